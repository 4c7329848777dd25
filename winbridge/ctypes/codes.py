"""The codes of simple types: how each is laid out, read and written.

The rules and the texts of the errors are those of ctypes (CPython, Modules/_ctypes/cfield.c).
"""

from __future__ import annotations

import operator
import struct
from typing import Any

from winbridge.core.impl import native
from winbridge.ctypes.shape import Load, Store

INTEGERS = {
    "b": "b", "B": "B", "h": "h", "H": "H", "i": "i", "I": "I", "l": "i", "L": "I", "q": "q", "Q": "Q",
}  # fmt: skip
REALS = {"f": "f", "d": "d", "g": "d"}
POINTERS = "PzZXO"
OTHERS = {"c": "c", "u": "H", "?": "B", "v": "h"}
ALL = "".join(INTEGERS) + "".join(REALS) + POINTERS + "".join(OTHERS)


def host_code(code: str, pointer_size: int) -> str:
    """The struct (and host) code that has the layout of a simple type."""
    if code in POINTERS:
        return "Q" if pointer_size == 8 else "I"
    return INTEGERS.get(code) or REALS.get(code) or OTHERS[code]


def type_name(value: Any) -> str:
    return type(value).__name__


def loader(form: struct.Struct) -> Load:
    """Reads one item of a struct format."""
    unpack, unpack_from, size = form.unpack, form.unpack_from, form.size

    def load(obj: Any, offset: int) -> Any:
        view = obj._view
        if view is None:
            return unpack(obj._read(offset, size))[0]
        return unpack_from(view, offset)[0]

    return native.Load(form.format[1:], load) if _is_native(form) else load


def storer(form: struct.Struct, store: Store) -> Store:
    """What stores a number of a struct format: the extension where it can, else the function."""
    return native.Store(form.format[1:], store) if _is_native(form) else store


def _is_native(form: struct.Struct) -> bool:
    return native is not None and form.format[:1] == "<" and form.format[1:] in INTEGERS | REALS


def writer(form: struct.Struct) -> Store:
    """Writes one item of a struct format."""
    pack, pack_into = form.pack, form.pack_into

    def write(obj: Any, offset: int, value: Any) -> None:
        view = obj._view
        if view is None:
            obj._write(offset, pack(value))
        else:
            pack_into(view, offset, value)

    return write


def integer(code: str, order: str = "<") -> tuple[Load, Store]:
    """Integers wrap around, as in C."""
    form = struct.Struct(order + INTEGERS[code])
    write = writer(struct.Struct(order + INTEGERS[code].upper()))
    mask = (1 << 8 * form.size) - 1

    def store(obj: Any, offset: int, value: Any) -> None:
        if not isinstance(value, int):
            value = operator.index(value)
        write(obj, offset, value & mask)

    return loader(form), storer(form, store)


def real(code: str, order: str = "<") -> tuple[Load, Store]:
    form = struct.Struct(order + REALS[code])
    write = writer(form)

    def store(obj: Any, offset: int, value: Any) -> None:
        if not isinstance(value, float):
            if not (hasattr(value, "__float__") or hasattr(value, "__index__")):
                raise TypeError(f"must be real number, not {type_name(value)}")
            value = float(value)
        try:
            write(obj, offset, value)
        except OverflowError:  # a double too large for a float: infinite, as the C cast has it
            write(obj, offset, float("inf") if value > 0 else float("-inf"))

    return loader(form), storer(form, store)


def character() -> tuple[Load, Store]:
    write = writer(struct.Struct("c"))

    def store(obj: Any, offset: int, value: Any) -> None:
        if isinstance(value, bytes | bytearray) and len(value) == 1:
            write(obj, offset, bytes(value))
        elif isinstance(value, int) and 0 <= value < 256:
            write(obj, offset, bytes((value,)))
        else:
            raise TypeError("one character bytes, bytearray or integer expected")

    return loader(struct.Struct("c")), store


def wide_character() -> tuple[Load, Store]:
    """UTF-16: a character beyond the 65,536 first has two units and does not fit."""
    load, write = loader(struct.Struct("<H")), writer(struct.Struct("<H"))

    def store(obj: Any, offset: int, value: Any) -> None:
        if not isinstance(value, str):
            raise TypeError(f"unicode string expected instead of {type_name(value)} instance")
        if len(value) != 1 or ord(value) > 0xFFFF:
            raise TypeError("one character unicode string expected")
        write(obj, offset, ord(value))

    return lambda obj, offset: chr(load(obj, offset)), store


def boolean(code: str, order: str = "<") -> tuple[Load, Store]:
    """C's bool, and VARIANT_BOOL with -1 for true."""
    form = struct.Struct("B" if code == "?" else order + "h")
    load, write = loader(form), writer(form)
    true = 1 if code == "?" else -1

    def store(obj: Any, offset: int, value: Any) -> None:
        write(obj, offset, true if value else 0)

    return lambda obj, offset: bool(load(obj, offset)), store
