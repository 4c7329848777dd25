"""Arrays."""

from __future__ import annotations

import struct
from typing import Any

from winbridge.core.impl import step
from winbridge.ctypes import codes, host
from winbridge.ctypes.data import CData, DataType, family_of, get_item, part, read, set_item, size_of, write
from winbridge.ctypes.shape import Shape, declared
from winbridge.ctypes.strings import narrow, wide


class ArrayType(DataType, host.ArrayType):  # type: ignore[misc]
    """Makes array types from their ``_type_`` and ``_length_``."""

    def __new__(mcls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        if ArrayData in bases:  # the root of a family's arrays
            return _abstract(mcls, name, bases, space)
        item, length = _declared(space, bases)
        made_of = host.plain(item, family_of(bases).pointer_size)
        cls = host.make(host.ArrayType, mcls, name, bases, {**space, "_type_": made_of, "_length_": length})
        cls._type_ = item
        inner = item._typeinfo_
        inner.final = True
        cls._typeinfo_ = Shape(
            inner.size * length,
            inner.alignment,
            host.array_at,
            item=item,
            length=length,
            pointers=inner.pointers,
            packed=_packed(item),
        )
        _add_text(cls, inner.code)
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> None:
        type.__init__(cls, name, bases, space)  # not the host's


def _packed(item: Any) -> str | None:
    code = item._typeinfo_.code
    plain = item._typeinfo_.load is not None and not hasattr(item, "_swapped_")
    return codes.INTEGERS.get(code) or codes.REALS.get(code) if plain else None


def _abstract(mcls: Any, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
    cls = host.make(host.ArrayType, mcls, name, bases, {**space, "_type_": host.Bytes, "_length_": 0})
    delattr(cls, "_type_")
    delattr(cls, "_length_")
    return cls


def _declared(space: dict[str, Any], bases: tuple[type, ...]) -> tuple[Any, int]:
    length = declared("_length_", space, bases)
    item = declared("_type_", space, bases)
    if length is None:
        raise AttributeError("class must define a '_length_' attribute")
    if not isinstance(length, int):
        raise TypeError("The '_length_' attribute must be an integer")
    if length < 0:
        raise ValueError("The '_length_' attribute must not be negative")
    longest = 1 << (8 * family_of(bases).pointer_size - 1)
    if length >= longest:
        raise OverflowError("The '_length_' attribute is too large")
    if item is None:
        raise AttributeError("class must define a '_type_' attribute")
    if getattr(item, "_typeinfo_", None) is None:
        raise TypeError("_type_ must have storage info")
    if item._typeinfo_.size * length >= longest:
        raise OverflowError("array too large")
    return item, length


def _add_text(cls: Any, code: str | None) -> None:
    """Arrays of characters have ``value`` (and ``raw``), and are plain values in fields."""
    if code == "c":
        cls.value = property(_get_bytes, _set_bytes, _refuse_deletion, "string value")
        cls.raw = property(_get_raw, _set_raw, None, "value")
    elif code == "u":
        cls.value = property(_get_text, _set_text, _refuse_deletion, "string value")


def field_access(cls: Any) -> tuple[Any, Any] | None:
    """How an array of characters is read and written as a field: as text."""
    code = cls._typeinfo_.item._typeinfo_.code if isinstance(cls, ArrayType) else None
    if code == "c":
        return _field_bytes(cls._typeinfo_.size)
    return _field_text(cls._typeinfo_.size) if code == "u" else None


def _field_bytes(size: int) -> tuple[Any, Any]:
    def load(obj: Any, offset: int) -> bytes:
        return read(obj, offset, size).partition(b"\0")[0]

    def store(obj: Any, offset: int, value: Any) -> None:
        if not isinstance(value, bytes):
            raise TypeError(f"expected bytes, {type(value).__name__} found")
        text = value.partition(b"\0")[0]
        if len(text) > size:
            raise ValueError(f"bytes too long ({len(text)}, maximum length {size})")
        write(obj, offset, (text + b"\0")[:size])  # the zero where there is room

    return load, store


def _field_text(size: int) -> tuple[Any, Any]:
    def load(obj: Any, offset: int) -> str:
        return narrow(read(obj, offset, size)).partition("\0")[0]

    def store(obj: Any, offset: int, value: Any) -> None:
        if not isinstance(value, str):
            raise TypeError(f"unicode string expected instead of {type(value).__name__} instance")
        data = wide(value)
        if len(data) > size:
            raise ValueError(f"string too long ({len(data) // 2}, maximum length {size // 2})")
        write(obj, offset, (data + b"\0\0")[:size])

    return load, store


def _refuse_deletion(array: Any) -> None:
    raise TypeError("cannot delete attribute")


def _get_bytes(array: Any) -> bytes:
    return read(array, 0, size_of(array)).partition(b"\0")[0]


def _set_bytes(array: Any, value: Any) -> None:
    if not isinstance(value, bytes):
        raise TypeError(f"bytes expected instead of {type(value).__name__} instance")
    if len(value) > size_of(array):
        raise ValueError("byte string too long")
    write(array, 0, (value + b"\0")[: size_of(array)])


def _get_raw(array: Any) -> bytes:
    return read(array, 0, size_of(array))


def _set_raw(array: Any, value: Any) -> None:
    with memoryview(value) as view:
        data = view.tobytes()
    if len(data) > size_of(array):
        raise ValueError("byte string too long")
    write(array, 0, data)


def _get_text(array: Any) -> str:
    return narrow(read(array, 0, size_of(array))).partition("\0")[0]


def _set_text(array: Any, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"unicode string expected instead of {type(value).__name__} instance")
    data = wide(value)
    if len(data) > size_of(array):
        raise ValueError("string too long")
    write(array, 0, (data + b"\0\0")[: size_of(array)])


class ArrayData(CData):
    """The base of arrays."""

    __slots__ = ()

    @step("fill_array")
    def __init__(self, *values: Any) -> None:
        if values and not self._pack(values):
            for index, value in enumerate(values):
                self[index] = value

    def _pack(self, values: Any) -> bool:
        """Write numbers from the start on, all at once; whether that could be done."""
        code, view = self._typeinfo_.packed, self._view
        if code is None or view is None or type(self).__setitem__ is not ArrayData.__setitem__:
            return False
        if not set(map(type, values)) <= (_NUMBERS if code in "fd" else _WHOLE):
            return False
        try:
            struct.pack_into(f"<{len(values)}{code}", view, 0, *values)
        except (struct.error, OverflowError):  # a number that wraps, or too many of them
            return False
        return True

    def __len__(self) -> int:
        length: int = type(self)._typeinfo_.length
        return length

    @step("get_items")
    def __getitem__(self, index: Any) -> Any:
        shape = self._typeinfo_
        if index.__class__ is not int or not 0 <= index < shape.length:
            if isinstance(index, slice):
                return self._several(index)
            index = self._position(index)
        item = shape.item
        inner = item._typeinfo_
        load = inner.load
        offset = index * inner.size
        return load(self, offset) if load is not None else part(item, self, offset, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            return self._assign_several(index, value)
        item = self._typeinfo_.item
        position = self._position(index, "invalid index")
        return set_item(self, item, position * item._typeinfo_.size, position, value)

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Array does not support item deletion")

    def _position(self, index: Any, problem: str = "invalid index") -> int:
        try:
            position: int = index.__index__()
        except AttributeError:
            raise TypeError("indices must be integers") from None
        length = self._typeinfo_.length
        if position < 0:
            position += length
        if not 0 <= position < length:
            raise IndexError(problem)
        return position

    def _several(self, index: slice) -> Any:
        item = self._typeinfo_.item
        start, stop, step = index.indices(self._typeinfo_.length)
        code, size = item._typeinfo_.code, item._typeinfo_.size
        if code == "c" and item._typeinfo_.load:
            return read(self, 0, self._typeinfo_.size)[index]
        if code == "u" and item._typeinfo_.load:
            units = memoryview(read(self, 0, self._typeinfo_.size)).cast("H")
            return "".join(map(chr, [units[position] for position in range(start, stop, step)]))
        if item._typeinfo_.load and self._view is not None and code in _CAST and not hasattr(item, "_swapped_"):
            return self._view[: size * self._typeinfo_.length].cast(_CAST[code])[index].tolist()
        return [get_item(self, item, position * size, position) for position in range(start, stop, step)]

    def _assign_several(self, index: slice, values: Any) -> None:
        positions = range(*index.indices(self._typeinfo_.length))
        if len(values) != len(positions):
            raise ValueError("Can only assign sequence of same size")
        if positions == range(len(self)) and self._pack(values):
            return
        for position, value in zip(positions, values, strict=True):
            self[position] = value


_WHOLE = {int}
_NUMBERS = {int, float}


_CAST: dict[str, Any] = {
    "b": "b", "B": "B", "h": "h", "H": "H", "i": "i", "I": "I", "l": "i", "L": "I", "q": "q", "Q": "Q",
    "f": "f", "d": "d",
}  # fmt: skip
