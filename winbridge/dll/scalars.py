"""Numbers: from a Python value to what is packed into an argument word.

The rules, and the texts of the errors, are those of ctypes on Windows.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.dll.layout import SimpleData, simple_format

CArgument: Any = type(ctypes.byref(ctypes.c_int()))

_SIGNED = {"b": 8, "h": 16, "i": 32, "q": 64}
_UNSIGNED = {"B": 8, "H": 16, "I": 32, "Q": 64}
INTEGERS = frozenset("bBhHiIqQ")
REALS = frozenset("fd")


def is_simple(kind: Any) -> bool:
    """Whether a type is a simple one: a number, a character, c_void_p, c_char_p, c_wchar_p."""
    return isinstance(kind, type) and issubclass(kind, SimpleData)


def is_address(kind: Any) -> bool:
    """Whether a type is c_void_p, c_char_p or c_wchar_p."""
    return is_simple(kind) and kind._type_ in ("P", "z", "Z")


def pointer_code(arch: str) -> str:
    return "Q" if arch == "win64" else "I"


def required_format(kind: Any, arch: str) -> str:
    code: str | None = simple_format(kind, arch)
    if code is None:
        raise PrototypeError(f"{kind.__name__} cannot be passed to a DLL")
    return code


def wrap(code: str, value: int) -> int:
    """A number as an integer of that width holds it: ctypes does not check for overflow."""
    if code in _UNSIGNED:
        return value & ((1 << _UNSIGNED[code]) - 1)
    half = 1 << (_SIGNED[code] - 1)
    return ((value + half) & (2 * half - 1)) - half


def fit_untyped(value: int) -> int:
    """An int without a declared type is a Windows int or unsigned int.

    Raises:
        OverflowError: it is longer.
    """
    if not -(1 << 31) <= value < 1 << 32:
        raise OverflowError("int too long to convert")
    return wrap("i", value)


def fit_typed(kind: Any, code: str) -> Callable[[Any], int | float | bytes]:
    """What makes a number that ``struct`` refuses fit a declared type."""

    def fit(value: Any) -> int | float | bytes:
        kind.from_param(value)  # raises for what ctypes refuses
        return encoded(kind, code, kind(value).value if code in REALS else value)

    return fit


def encoded(kind: Any, code: str, value: Any) -> int | float | bytes:
    """The value of a simple object of type ``kind``, for packing with ``code``.

    Raises:
        OverflowError: a standard c_long is given more than the 4 bytes that it has on Windows.
        TypeError: a character takes two wchar_t on Windows.
    """
    if isinstance(value, str):
        units = value.encode("utf-16-le", "surrogatepass")
        if len(units) != 2:
            raise TypeError("one character unicode string expected")
        return int.from_bytes(units, "little")
    if isinstance(value, bytes):
        return value if code == "c" else value[0]
    if kind._type_ == "v":  # VARIANT_TRUE is -1 (Microsoft Learn, VARIANT_BOOL)
        return -1 if value else 0
    if kind._type_ in "lL" and not -(1 << 31) <= value < 1 << 32:
        raise OverflowError(
            f"{value} does not fit {kind.__name__}: long has 4 bytes on Windows."
            " For 64 bits use winbridge.ctypes.c_longlong or c_ulonglong (Linux has one class for both)"
        )
    return wrap(code, value) if code in INTEGERS else value


def is_number(argument: Any) -> bool:
    """Whether it is what ``c_int.from_param(5)`` gives: a number in ctypes' own wrapping."""
    return isinstance(argument, CArgument) and _tag(argument) in _BY_TAG


def unwrapped(argument: Any) -> Any:
    """The number as an instance of its type. Only ctypes can look inside, in a call: so it is sent through one."""
    kind = _BY_TAG[_tag(argument)]
    echo = ctypes.CFUNCTYPE(kind, kind)(lambda value: value)
    undeclared = ctypes.cast(echo, ctypes.CFUNCTYPE(kind))  # a declared type would refuse the wrapping
    return kind(undeclared(argument))


def _tag(argument: Any) -> str:
    """The type code in "<cparam 'i' (5)>"; no attribute tells it."""
    return repr(argument)[9]


_NUMBERS: tuple[Any, ...] = (
    ctypes.c_bool, ctypes.c_char, ctypes.c_wchar, ctypes.c_byte, ctypes.c_ubyte, ctypes.c_short, ctypes.c_ushort,
    ctypes.c_int, ctypes.c_uint, ctypes.c_long, ctypes.c_ulong, ctypes.c_float, ctypes.c_double,
    type("c_longlong", (SimpleData,), {"_type_": "q"}), type("c_ulonglong", (SimpleData,), {"_type_": "Q"}),
)  # fmt: skip
_BY_TAG = {kind._type_: kind for kind in _NUMBERS}
