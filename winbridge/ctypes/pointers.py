"""Pointers, and the other types that hold an address."""

from __future__ import annotations

import struct
from typing import Any

from winbridge.core.impl import step
from winbridge.ctypes import codes, host
from winbridge.ctypes.data import (
    CData,
    DataType,
    assign,
    at_address,
    container,
    family_of,
    keep,
    kept_by,
    new,
    part,
    read,
    size_of,
)
from winbridge.ctypes.shape import Shape
from winbridge.ctypes.strings import narrow

_get = {size: codes.loader(struct.Struct(code)) for size, code in ((8, "<Q"), (4, "<I"))}
_set = {size: codes.writer(struct.Struct(code)) for size, code in ((8, "<Q"), (4, "<I"))}


def get_word(obj: Any, offset: int = 0) -> int:
    """The address at an offset of an object."""
    address: int = _get[obj._family_.pointer_size](obj, offset)
    return address


def set_word(obj: Any, address: int, offset: int = 0) -> None:
    """Write an address."""
    size = obj._family_.pointer_size
    _set[size](obj, offset, address & (1 << 8 * size) - 1)


@step("pointer_to")
def pointer_to(kind: Any, array: Any) -> Any:
    """A pointer of a type to an array, which it keeps alive: what ``cast`` makes of the two."""
    made = new(kind)
    set_word(made, array._address_)
    made._kept = kept_by_cast(array)
    return made


def kept_by_cast(obj: Any) -> Any:
    """As in ctypes, both share what the first keeps alive, and the first itself."""
    if isinstance(obj, CData):
        kept = container(obj)._kept
        if kept is None:
            kept = container(obj)._kept = {}
        if type(kept) is dict:
            kept[id(obj)] = obj
            return kept
    return {id(obj): obj} if isinstance(obj, CData | bytes | str) else None


class PointerType(DataType, host.SimpleType):  # type: ignore[misc]
    """Makes pointer types from their ``_type_``.

    For the host they are simple types that hold an address. So on 64 bit its own ``cast`` takes them, and numpy's
    ``array.ctypes.data_as`` works where numpy uses the standard ctypes.
    """

    _points_ = True

    def __new__(mcls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        family = space.get("_family_") or family_of(bases)
        layout = host.address_code(family.pointer_size)
        cls = host.make(host.SimpleType, mcls, name, bases, {**space, "_type_": layout})
        if "from_param" in vars(cls) and "from_param" not in space:  # that of the host's c_void_p
            del cls.from_param
        if "_type_" in space:
            cls._type_ = space["_type_"]
        else:
            del cls._type_
        return cls

    def __init__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> None:
        type.__init__(cls, name, bases, space)
        if PointerData in bases:
            return
        item = space.get("_type_")
        if item is not None and not isinstance(item, DataType):
            raise TypeError("_type_ must have storage info")
        size = cls._family_.pointer_size
        cls._typeinfo_ = Shape(size, size, host.simple_at, item=item, length=1, pointers=True)

    def set_type(cls, item: Any) -> None:
        """Say what an incomplete pointer type points to."""
        if not isinstance(item, DataType):
            raise TypeError("_type_ must have storage info")
        cls._typeinfo_.item = item
        cls._type_ = item


class PointerData(CData):
    """The base of pointers."""

    __slots__ = ()

    def __init__(self, target: Any = None) -> None:
        if target is not None:
            self.contents = target

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        if cls._typeinfo_ is None or cls._typeinfo_.item is None:
            raise TypeError("Cannot create instance: has no _type_")
        return CData.__new__(cls)

    @property
    def value(self) -> Any:
        """Not there: it would be the host's."""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute 'value'")

    @property
    @step("get_contents")
    def contents(self) -> Any:
        """the object this pointer points to (read-write)"""
        address = get_word(self)
        if not address:
            raise ValueError("NULL pointer access")
        return _target(self, address)

    @contents.setter
    def contents(self, target: Any) -> None:
        item = self._typeinfo_.item
        if item is None or not (isinstance(target, item) or _item_of(target) is item):
            expected = item.__name__ if item is not None else "???"
            raise TypeError(f"expected {expected} instead of {type(target).__name__}")
        set_word(self, target._address_)
        keep(self, 1, target)
        keep(self, 0, kept_by(target))

    @step("get_pointed")
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._several(index)
        position = _index(index)
        item = self._typeinfo_.item
        window = _Window(self, position)
        if item._typeinfo_.load is not None:
            return item._typeinfo_.load(window, 0)
        return _inside(self, at_address(item, window._address_), position)

    def __setitem__(self, index: Any, value: Any) -> None:
        position = _assigned_index(index)
        keep(self, position, assign(_Window(self, position), self._typeinfo_.item, 0, value))

    def __delitem__(self, index: Any) -> None:
        _assigned_index(index)
        raise TypeError("Pointer does not support item deletion")

    def _several(self, index: slice) -> Any:
        step = 1 if index.step is None else _index(index.step)
        if step == 0:
            raise ValueError("slice step cannot be zero")
        if index.start is None and step < 0:
            raise ValueError("slice start is required for step < 0")
        if index.stop is None:
            raise ValueError("slice stop is required")
        positions = range(_index(index.start or 0), _index(index.stop), step)
        code = self._typeinfo_.item._typeinfo_.code
        if code in ("c", "u"):
            return _text(self, positions, code)
        return [self[position] for position in positions]

    def __bool__(self) -> bool:
        return any(read(self, 0, size_of(self)))


def _text(pointer: Any, positions: range, code: str) -> Any:
    empty: Any = b"" if code == "c" else ""
    if not positions:
        return empty
    if positions.step != 1:
        return empty.join(pointer[position] for position in positions)
    width = 1 if code == "c" else 2
    start = get_word(pointer) + width * positions[0]
    data = pointer._family_.memory.read(start, width * len(positions))
    return data if code == "c" else narrow(data)


def _index(index: Any) -> int:
    try:
        position: int = index.__index__()
    except AttributeError:
        raise TypeError("Pointer indices must be integer") from None
    return position


def _assigned_index(index: Any) -> int:
    if not hasattr(index, "__index__"):
        raise TypeError(f"sequence index must be integer, not '{type(index).__name__}'")
    return _index(index)


def _item_of(target: Any) -> Any:
    return target._typeinfo_.item if isinstance(target, CData) and hasattr(target, "__len__") else None


def _target(pointer: Any, address: int) -> Any:
    """The object at the address; in the memory of another Python object when such a one was assigned."""
    item = pointer._typeinfo_.item
    known = pointer._kept.get("1") if pointer._b_base_ is None and type(pointer._kept) is dict else None
    if isinstance(known, CData) and known._foreign and known._address_ == address:
        obj = part(item, known, 0, 0)
        obj._source, obj._address_ = known, address
    else:
        obj = at_address(item, address)
    return _inside(pointer, obj, 0)


def _inside(pointer: Any, obj: Any, index: int) -> Any:
    """In ctypes what a pointer gives out is a part of the pointer, as far as keeping alive is concerned."""
    obj._b_base_ = pointer
    obj._index = index
    return obj


class _Window:
    """Memory that a pointer points to, for the functions that read and write parts of an object."""

    __slots__ = ("_address_", "_family_", "_view")

    def __init__(self, pointer: Any, index: int) -> None:
        address = get_word(pointer)
        if not address:
            raise ValueError("NULL pointer access")
        size = pointer._typeinfo_.item._typeinfo_.size
        self._family_ = pointer._family_
        self._address_ = address + index * size
        self._view = self._family_.heap.seen(self._address_, size, self._family_.session)

    def _read(self, offset: int, size: int) -> bytes:
        data: bytes = self._family_.memory.read(self._address_ + offset, size)
        return data

    def _write(self, offset: int, data: bytes) -> None:
        self._family_.memory.write(self._address_ + offset, data)
