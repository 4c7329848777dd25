"""Fields of structures and unions: where they lie, and how they are read and written.

The layout is that of Microsoft's compilers, as ctypes on Windows has it (CPython, Modules/_ctypes/cfield.c): a bit
field shares its storage with the one before when both types have the same size and there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from winbridge.core.impl import step
from winbridge.ctypes.arrays import field_access
from winbridge.ctypes.data import CData, get_item, keep, read, set_item, write

BIT_FIELD_CODES = "bBhHiIlLqQ?"


class Declaration(NamedTuple):
    """One entry of ``_fields_``."""

    name: str
    kind: Any
    bits: int = 0


class Place(NamedTuple):
    """Where a field lies: its byte offset, and within the integer there its lowest bit."""

    declaration: Declaration
    offset: int
    bit: int


class Layout(NamedTuple):
    """Where all fields lie, and what they make together."""

    places: list[Place]
    size: int
    alignment: int


def declarations(fields: Any) -> list[Declaration]:
    """Check ``_fields_``; the errors are those of ctypes."""
    if not isinstance(fields, Sequence):
        raise TypeError("'_fields_' must be a sequence of pairs")
    return [_declaration(entry, index) for index, entry in enumerate(fields)]


def _declaration(entry: Any, index: int) -> Declaration:
    if not isinstance(entry, tuple) or len(entry) not in (2, 3) or not isinstance(entry[0], str):
        raise TypeError("'_fields_' must be a sequence of (name, C type) pairs")
    name, kind = entry[:2]
    if getattr(kind, "_typeinfo_", None) is None:
        raise TypeError(f"second item in _fields_ tuple (index {index}) must be a C type")
    if len(entry) == 2:
        return Declaration(name, kind)
    bits = entry[2]
    if not isinstance(bits, int) or bits.bit_length() > 31:  # a C int
        raise TypeError("'_fields_' must be a sequence of (name, C type) pairs")
    if kind._typeinfo_.code is None or kind._typeinfo_.code not in BIT_FIELD_CODES:
        raise TypeError(f"bit fields not allowed for type {kind.__name__}")
    if not 0 < bits <= 8 * kind._typeinfo_.size:
        raise ValueError("number of bits invalid for bit field")
    return Declaration(name, kind, bits)


def lay_out(fields: list[Declaration], start: int, alignment: int, pack: int, union: bool, big: bool) -> Layout:
    """Find each field's place.

    Args:
        fields: those to be laid out.
        start, alignment: size and alignment of what comes before (a base class).
        pack: ``_pack_``, 0 for none.
        union: all at the start.
        big: bit fields begin at the highest bit of their storage.

    Returns:
        places, and size and alignment of the whole.
    """
    places: list[Place] = []
    end, size, total = start, start, max(alignment, 1)
    storage, used = 0, 0  # of the open bit field: its bytes, and its bits in use
    for field in fields:
        shape = field.kind._typeinfo_
        aligned = min(pack, shape.alignment) if pack else shape.alignment
        if union:
            end, storage = 0, 0
        if field.bits and storage == shape.size and used + field.bits <= 8 * storage:
            places.append(Place(field, end - shape.size, _lowest_bit(field, used, big)))
            used += field.bits
            continue
        end = -(-end // aligned) * aligned if aligned else end
        places.append(Place(field, end, _lowest_bit(field, 0, big)))
        end += shape.size
        size = max(size, end)
        total = max(total, aligned)
        storage, used = (shape.size, field.bits) if field.bits else (0, 0)
    return Layout(places, -(-size // total) * total, total)


def _lowest_bit(field: Declaration, used: int, big: bool) -> int:
    if not big or not field.bits:
        return used
    size: int = field.kind._typeinfo_.size
    return 8 * size - used - field.bits


class CField:
    """Structure/Union member

    Attributes:
        offset: in bytes.
        size: in bytes; for bit fields the number of bits in the high, the first bit in the low 16 bits.
    """

    __slots__ = ("_bits", "_index", "_kind", "_load", "_name", "_offset", "_size", "_store")

    def __init__(self, place: Place, index: int) -> None:
        declaration = place.declaration
        kind = declaration.kind
        self._offset = place.offset
        self._name = declaration.name
        self._bits = declaration.bits
        self._kind = kind
        self._index = index
        self._size: int = kind._typeinfo_.size
        self._load, self._store = kind._typeinfo_.load, kind._typeinfo_.store
        text = field_access(kind)
        if text is not None:
            self._load, self._store = text
        if declaration.bits:
            self._load, self._store = _bit_access(kind, place.bit, declaration.bits)
            self._size = (declaration.bits << 16) + place.bit

    @property
    def offset(self) -> int:
        """offset in bytes of this field"""
        return self._offset

    @property
    def size(self) -> int:
        """size in bytes of this field"""
        return self._size

    @step("get_field")
    def __get__(self, obj: Any, owner: Any = None) -> Any:
        if obj is None:
            return self
        load = self._load
        try:
            return load(obj, self._offset) if load is not None else get_item(obj, self._kind, self._offset, self._index)
        except AttributeError:
            _check(obj)
            raise

    @step("set_field")
    def __set__(self, obj: Any, value: Any) -> None:
        _check(obj)
        store = self._store
        if store is None or (isinstance(value, CData) and not self._bits):
            set_item(obj, self._kind, self._offset, self._index, value)
        else:
            kept = store(obj, self._offset, value)
            if kept is not None:
                keep(obj, self._index, kept)

    def __delete__(self, obj: Any) -> None:
        raise TypeError("can't delete attribute")

    def __repr__(self) -> str:
        name = self._kind.__name__
        if self._bits:
            return f"<Field type={name}, ofs={self.offset}:{self.size & 0xFFFF}, bits={self._bits}>"
        return f"<Field type={name}, ofs={self.offset}, size={self.size}>"


CField.__module__ = "_ctypes"


def _check(obj: Any) -> None:
    if not isinstance(obj, CData):
        raise TypeError("not a ctypes instance")


def _bit_access(kind: Any, shift: int, bits: int) -> tuple[Any, Any]:
    """How some bits of an integer are read and written."""
    size, order = kind._typeinfo_.size, "big" if getattr(kind, "__ctype_be__", None) is kind else "little"
    mask = (1 << bits) - 1
    code = kind._typeinfo_.code
    sign = 1 << (bits - 1) if code in "bhilq" else 0

    def load(obj: Any, offset: int) -> Any:
        value = int.from_bytes(read(obj, offset, size), order) >> shift & mask  # type: ignore[arg-type]
        return bool(value) if code == "?" else value - (mask + 1 if value & sign else 0)

    def store(obj: Any, offset: int, value: Any) -> None:
        if code == "?":
            value = bool(value)
        if not isinstance(value, int):
            raise TypeError(f"int expected instead of {type(value).__name__} instance")
        before = int.from_bytes(read(obj, offset, size), order)  # type: ignore[arg-type]
        after = before & ~(mask << shift) | (value & mask) << shift
        write(obj, offset, after.to_bytes(size, order))  # type: ignore[arg-type]

    return load, store
