"""pylibdmtx: write Data Matrix symbols, put them on a page, find and read them again.

Structures by pointer and by value, pointers in structures followed, ``byref`` of pointers that the library sets to
null, and pixels that the library keeps from one call to the next.
"""

from __future__ import annotations

import hashlib
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # pylibdmtx imports distutils
    from pylibdmtx.pylibdmtx import PyLibDMTXError, decode, encode

SYMBOLS = (
    (b"winbridge", None, None),
    (b"0123456789" * 3, "Ascii", "24x24"),
    (b"WINE AND PYTHON", "C40", None),
    (bytes(range(128, 168)), "Base256", "SquareAuto"),
    (b"rectangular", "Text", "16x36"),
)
MARGIN = 20


def page(symbols: list) -> tuple[bytes, int, int]:
    """One below the other on a white page, of 8 bits a pixel."""
    width = max(symbol.width for symbol in symbols) + 2 * MARGIN
    rows = [b"\xff" * width] * MARGIN
    for symbol in symbols:
        for start in range(0, len(symbol.pixels), 3 * symbol.width):
            row = symbol.pixels[start : start + 3 * symbol.width : 3]
            rows.append((b"\xff" * MARGIN + row).ljust(width, b"\xff"))
        rows += [b"\xff" * width] * MARGIN
    return b"".join(rows), width, len(rows)


def main() -> None:
    symbols = []
    for data, scheme, size in SYMBOLS:
        symbol = encode(data, scheme=scheme, size=size)
        symbols.append(symbol)
        print(data, scheme, symbol.width, symbol.height, symbol.bpp, hashlib.sha256(symbol.pixels).hexdigest())
    pixels, width, height = page(symbols)
    print("page", width, height, hashlib.sha256(pixels).hexdigest())
    for found in sorted(decode((pixels, width, height), timeout=60_000)):
        print(found.data, *found.rect)
    print("first", len(decode((pixels, width, height), max_count=1, shrink=2, gap_size=2)))
    print("blank", decode((b"\xff" * 10_000, 100, 100), max_count=1))
    try:
        encode(b"x" * 100, size="10x10")
    except PyLibDMTXError as error:
        print("too long:", error)


if __name__ == "__main__":
    main()
