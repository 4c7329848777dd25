"""The standard library's classes under ours: they lend every object the buffer protocol.

Before Python 3.12 a class written in Python cannot offer its memory to ``memoryview``, ``readinto`` or numpy.
The standard ctypes' classes can, at any address. So each of our classes derives from one of them and has its
instances made by ``from_address``; of all that they can do, only the buffer protocol is used.
Layouts, values and conversions are ours: those of Windows.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from winbridge.ctypes import codes

__all__ = ["Array", "ArrayType", "Bytes", "Fields", "Reference", "Simple", "SimpleType", "Structure", "StructureType"]

Simple: Any = ctypes._SimpleCData
Array: Any = ctypes.Array
Structure: Any = ctypes.Structure

Reference: Any = type(ctypes.byref(ctypes.c_int()))

SimpleType: Any = type(Simple)
ArrayType: Any = type(Array)
StructureType: Any = type(Structure)

Bytes = ctypes.c_ubyte


_PLAIN = {
    "b": ctypes.c_byte, "B": ctypes.c_ubyte, "h": ctypes.c_short, "H": ctypes.c_ushort, "i": ctypes.c_int,
    "I": ctypes.c_uint, "q": ctypes.c_longlong, "Q": ctypes.c_ulonglong, "f": ctypes.c_float, "d": ctypes.c_double,
    "c": ctypes.c_char, "P": ctypes.c_void_p,
}  # fmt: skip


def plain(item: Any, pointer_size: int) -> Any:
    """A type of the host alone that lies in memory as one of ours; ours itself for structures.

    What an array of the host consists of is not seen by the garbage collector (CPython before 3.13): were it
    ours, a family of types would never go.
    """
    shape = item._typeinfo_
    if shape.code is not None:
        addresses = shape.code in codes.POINTERS
        return _PLAIN[address_code(pointer_size) if addresses else codes.host_code(shape.code, pointer_size)]
    if issubclass(item, Array):
        inner = plain(shape.item, pointer_size)
        return item if inner is shape.item else inner * shape.length
    return item


def address_code(pointer_size: int) -> str:
    """The host's code for an address; on 64 bit its own ``cast`` takes such types."""
    return "P" if pointer_size == 8 else "I"


def make(meta: Any, mcls: Any, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
    """A class of ours, made and (from Python 3.13 on, which does this apart) laid out by a metaclass of the host."""
    cls = meta.__new__(mcls, name, bases, space)
    if sys.version_info >= (3, 13):
        meta.__init__(cls, name, bases, space)
    return cls


simple_at = SimpleType.from_address
"""(class made by SimpleType, address) -> an instance over that address; the same for the others."""

array_at = ArrayType.from_address
structure_at = StructureType.from_address


FILLER = "_"
"""The host's field for bytes of which it knows no more."""


class Fields(list[Any]):
    """``_fields_`` that are meant for the host alone."""


def give_size(cls: type, size: int, fields: list[tuple[str, Any, int]] | None = None) -> None:
    """Tell the class under an aggregate how large its instances are.

    Args:
        cls: made by StructureType.
        size: of an instance.
        fields: name, type and offset of those that it adds to its base, where the host would lay them
            out alike (then the buffer's format tells them); None for plain bytes.
    """
    before = ctypes.sizeof(cls.__base__)  # type: ignore[arg-type]
    if fields and _natural(fields, before, size):
        inside = [(name, kind) for name, kind, _ in fields]
    else:
        inside = [(FILLER, Bytes * max(size - before, 0))]
    cls._fields_ = Fields(inside)  # type: ignore[attr-defined]
    for name, _ in inside:
        delattr(cls, name)
    if "_fields_" in vars(cls):
        del cls._fields_  # type: ignore[attr-defined]


def _natural(fields: list[tuple[str, Any, int]], start: int, size: int) -> bool:
    """Whether fields laid out by the plain rules come to lie where they are."""
    at, widest = start, 1
    for _, kind, offset in fields:
        alignment = ctypes.alignment(kind) or 1
        widest = max(widest, alignment)
        at = -(-at // alignment) * alignment
        if at != offset:
            return False
        at += ctypes.sizeof(kind)
    return -(-at // widest) * widest == size


def address_of(view: memoryview) -> int:
    """Where writable bytes lie in this process."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


def bytes_of(obj: Any) -> memoryview:
    """The memory of an object of the standard ctypes."""
    return memoryview((Bytes * ctypes.sizeof(obj)).from_address(ctypes.addressof(obj))).cast("B")


def pointer_to(address: int) -> Any:
    """The standard library's pointer for an address."""
    return ctypes.c_void_p(address)


def exporter(source: Any, size: int, offset: int) -> memoryview:
    """Bytes of an object with a writable buffer; errors as of ``from_buffer``."""
    return memoryview((Bytes * size).from_buffer(source, offset)).cast("B")
