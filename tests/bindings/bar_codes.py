"""pyzbar: draw bar codes in three symbologies, read them upright, turned and upside down.

Prototypes made with ``CFUNCTYPE``, opaque structures by pointer, ``string_at`` of the library's memory, pixels that
the library keeps from one call to the next, and a second DLL that has to be loaded before the first.
"""

from __future__ import annotations

from ctypes import byref, c_int

from pyzbar import pyzbar
from pyzbar.wrapper import zbar_parse_config

MODULE = 3  # pixels of the narrowest bar
HEIGHT = 60
QUIET = 40  # pixels around each code

# Widths of bars and spaces, narrowest 1, as ISO/IEC 15417, 15420 and 16388 list them.
CODE128 = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232"
)
CODE128_STOP = "2331112"
EAN_DIGITS = ["3211", "2221", "2122", "1411", "1132", "1231", "1114", "1312", "1213", "3112"]
EAN_PARITIES = ["LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG", "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL"]
INTERLEAVED = ["11331", "31113", "13113", "33111", "11313", "31311", "13311", "11133", "31131", "13131"]


def code128(text: str) -> str:
    values = [104, *(ord(character) - 32 for character in text)]
    check = (values[0] + sum(place * value for place, value in enumerate(values))) % 103
    patterns = CODE128.split()
    return "".join(patterns[value] for value in [*values, check]) + CODE128_STOP


def ean13(digits: str) -> str:
    check = -sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10
    first, left, right = int(digits[0]), digits[1:7], digits[7:] + str(check)
    halves = zip(left, EAN_PARITIES[first], strict=True)
    widths = [EAN_DIGITS[int(digit)][:: 1 if parity == "L" else -1] for digit, parity in halves]
    return "111" + "".join(widths) + "11111" + "".join(EAN_DIGITS[int(digit)] for digit in right) + "111"


def interleaved(digits: str) -> str:
    pairs = zip(digits[::2], digits[1::2], strict=True)
    bars = "".join(a + b for x, y in pairs for a, b in zip(INTERLEAVED[int(x)], INTERLEAVED[int(y)], strict=True))
    return "1111" + bars + "311"


def drawn(widths: str) -> list[bytes]:
    """The rows of a picture of one code, 8 bits a pixel."""
    bars = b"".join(int(width) * MODULE * (b"\xff" if place % 2 else b"\0") for place, width in enumerate(widths))
    row = b"\xff" * QUIET + bars + b"\xff" * QUIET
    blank = b"\xff" * len(row)
    return [blank] * QUIET + [row] * HEIGHT + [blank] * QUIET


def turned(rows: list[bytes]) -> list[bytes]:
    return [bytes(column) for column in zip(*reversed(rows), strict=True)]


def stacked(pictures: list[list[bytes]]) -> list[bytes]:
    width = max(len(picture[0]) for picture in pictures)
    return [row.ljust(width, b"\xff") for picture in pictures for row in picture]


def read(title: str, rows: list[bytes], symbols: list | None = None) -> None:
    found = pyzbar.decode((b"".join(rows), len(rows[0]), len(rows)), symbols)
    print(title, len(rows[0]), len(rows))
    for code in sorted(found, key=lambda code: (code.type, code.data)):
        print("   ", code.type, code.data.decode(), code.orientation, *code.rect)


def main() -> None:
    codes = [code128("winbridge 64/32"), ean13("400638133393"), interleaved("0123456789")]
    together = stacked([drawn(widths) for widths in codes])
    read("all", together)
    read("EAN only", together, [pyzbar.ZBarSymbol.EAN13])
    read("turned", turned(drawn(codes[0])))
    read("upside down", turned(turned(drawn(codes[1]))))
    read("blank", [b"\xff" * 50] * 50)
    try:
        pyzbar.decode((b"\0" * 30, 5, 3))
    except pyzbar.PyZbarError as error:
        print(error)
    print_configuration("code39.min-length=7")
    print_configuration("nonsense")


def print_configuration(text: str) -> None:
    """Out parameters: ``POINTER(c_int)`` takes ``byref``."""
    symbology, setting, value = (c_int() for _ in range(3))
    status = zbar_parse_config(text.encode(), byref(symbology), byref(setting), byref(value))
    print(text, status, *((symbology.value, setting.value, value.value) if not status else ()))


if __name__ == "__main__":
    main()
