"""What all data types have in common: memory, and who keeps it alive."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

from winbridge.core.impl import step
from winbridge.ctypes import host
from winbridge.ctypes.shape import Shape

if TYPE_CHECKING:
    from winbridge.ctypes.family import Family


SLOTS = (
    "_address_",
    "_b_base_",
    "_block",
    "_foreign",
    "_index",
    "_kept",
    "_offset",
    "_owner",
    "_size",
    "_source",
    "_view",
)
"""What each instance remembers, in the root classes of a family: beside what the program adds.

``_view`` and ``_address_``: see ``CData``. ``_block``: the memory, where it is its own. ``_foreign``: whether it is
that of another Python object, ``_source``. ``_b_base_``, ``_offset``, ``_index``: the instance that this one is a part
of, and where. ``_kept``: what it keeps alive. ``_size``: after ``resize``.
"""

DEFAULTS = {
    "_foreign": False,
    "_index": 0,
    "_offset": 0,
    "_owner": False,
    "_size": 0,
    "_source": None,
    "_b_base_": None,
    "_kept": None,
}


class CData:
    """An object in memory that Python and the DLLs both see.

    ``_view`` is its bytes where this process can reach them, None where only the Windows side can (then every
    access goes there). ``_address_`` is where the Windows side has it.
    """

    __slots__ = ()

    _typeinfo_: Any = None
    _family_: Family

    if TYPE_CHECKING:  # the slots of the root classes

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return new(cls)

    @property
    def _objects(self) -> Any:
        """What this object keeps alive, as in ctypes: None, or a dict by position."""
        return self._kept

    def _read(self, offset: int, size: int) -> bytes:
        """Bytes of an object that is not in this process's memory."""
        return self._family_.memory.read(self._address_ + offset, size)

    def _write(self, offset: int, data: bytes) -> None:
        self._family_.memory.write(self._address_ + offset, data)

    def __getattr__(self, name: str) -> Any:
        if name == "_address_":  # memory of another Python object: DLLs get at it through a mirror
            return address_of_foreign(self)
        if name in DEFAULTS:
            return DEFAULTS[name]
        if name == "_view":  # made by the standard ctypes, as a part of an object of its own
            self._foreign, self._view = True, host.bytes_of(self)
            return self._view
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _points_at_array(self) -> bool:
        """Whether numpy's ``data_as`` made this pointer; it leaves the array there, in ``_arr``."""
        return "_arr" in getattr(self, "__dict__", ())

    def __bytes__(self) -> bytes:
        return read(self, 0, size_of(self))

    def __ctypes_from_outparam__(self) -> Any:
        return self

    def __reduce__(self) -> Any:
        if self._typeinfo_.pointers:
            raise ValueError("ctypes objects containing pointers cannot be pickled")
        return _restored, (type(self), (self.__dict__, bytes(self)))

    def __setstate__(self, attributes: Any, data: Any) -> None:
        if not isinstance(self.__dict__, dict):
            raise TypeError(f"{type(self).__name__}.__dict__ must be a dictionary, not {type(self.__dict__).__name__}")
        self.__dict__.update(attributes)
        write(self, 0, data)

    @property
    def _b_needsfree_(self) -> bool:
        """Whether the memory is its own."""
        return bool(self._owner)


def _restored(cls: Any, state: Any) -> Any:
    obj = cls.__new__(cls)
    obj.__setstate__(*state)
    return obj


# Making objects.


def shape_of(cls: Any) -> Shape:
    """The shape of a type, which from now on is final.

    Raises:
        TypeError: it is abstract.
    """
    shape: Shape | None = cls._typeinfo_
    if shape is None:
        raise TypeError("abstract class")
    shape.final = True
    return shape


@step("new_object")
def new(cls: Any) -> Any:
    """A zeroed instance in memory of its own."""
    shape = shape_of(cls)
    block = cls._family_.heap.allocate(shape.size)
    obj = shape.at(cls, block.address)
    obj._block = block
    obj._view = block.view
    obj._address_ = block.address
    obj._owner = True
    obj._b_base_ = obj._kept = None
    return obj


@step("object_at")
def at_address(cls: Any, address: int) -> Any:
    """An instance over memory that belongs to somebody else."""
    shape = shape_of(cls)
    family = cls._family_
    view = family.heap.seen(address, shape.size, family.session)
    if view is None:
        return _remote(cls, shape, address)
    obj = shape.at(cls, address)
    obj._view = view
    obj._address_ = address
    return obj


def _remote(cls: Any, shape: Shape, address: int) -> Any:
    """An instance over memory of the Windows process; what exports a buffer is a copy."""
    block = cls._family_.heap.allocate(shape.size)
    obj = shape.at(cls, block.address)
    obj._block = block
    obj._view = None
    obj._address_ = address
    if shape.size and (shape.item is not None or shape.fields) and not cls._points_:
        cls._family_.twins.of_windows(obj, block.view)
    return obj


@step("object_part")
def part(cls: Any, whole: Any, offset: int, index: int) -> Any:
    """The instance that is a field or an item of another."""
    shape = shape_of(cls)
    view = whole._view
    if view is None:
        obj = _remote(cls, shape, whole._address_ + offset)
    elif whole._foreign:
        obj = _over(cls, shape, view[offset : offset + shape.size])
    else:
        address = whole._address_ + offset
        obj = shape.at(cls, address)
        obj._view = view[offset : offset + shape.size]
        obj._address_ = address
    obj._b_base_ = whole
    obj._index = index
    obj._offset = offset
    return obj


def _over(cls: Any, shape: Shape, view: memoryview) -> Any:
    """An instance over this process's other memory."""
    start = host.address_of(view) if shape.size else 0
    obj = shape.at(cls, start)
    obj._view = view
    obj._foreign = True
    return obj


def foreign(cls: Any, source: Any) -> Any:
    """An instance over an object's memory, which it keeps alive."""
    obj = _over(cls, shape_of(cls), memoryview(source).cast("B"))
    obj._source = source
    return obj


def from_buffer(cls: Any, source: Any, offset: int = 0) -> Any:
    """An instance that shares the memory of an object with a writable buffer."""
    shape = shape_of(cls)
    if offset < 0:
        raise ValueError("offset cannot be negative")
    if isinstance(source, CData) and source._view is not None:
        _check_room(size_of(source), offset, shape.size)
        obj = at_address(cls, source._address_ + offset)
    else:
        with memoryview(source) as view:
            if view.readonly:
                raise TypeError("underlying buffer is not writable")
            if not view.c_contiguous:
                raise TypeError("underlying buffer is not C contiguous")
            _check_room(view.nbytes, offset, shape.size)
        obj = _over(cls, shape, host.exporter(source, shape.size, offset))
    obj._source = source
    obj._kept = {"ffffffff": memoryview(source)}
    return obj


def _check_room(available: int, offset: int, size: int) -> None:
    if size > available - offset:
        raise ValueError(f"Buffer size too small ({available} instead of at least {size + offset} bytes)")


def from_buffer_copy(cls: Any, source: Any, offset: int = 0) -> Any:
    """An instance in memory of its own with a copy of the bytes of an object."""
    shape = shape_of(cls)
    if offset < 0:
        raise ValueError("offset cannot be negative")
    data = bytes(source)
    _check_room(len(data), offset, shape.size)
    obj = new(cls)
    obj._view[:] = data[offset : offset + shape.size]
    return obj


def address_of_foreign(obj: Any) -> int:
    """Where DLLs see an object that lies in the memory of another Python object."""
    if obj._b_base_ is not None:
        address = obj._b_base_._address_ + obj._offset
    elif obj._foreign:
        address = obj._family_.twins.of_buffer(obj)
    else:
        raise AttributeError(f"{type(obj).__name__!r} object has no attribute '_address_'")
    obj._address_ = address
    return int(address)


# Access.


def size_of(obj: Any) -> int:
    """Bytes of an instance, which ``resize`` may have changed."""
    size: int = obj._size or obj._typeinfo_.size
    return size


def read(obj: Any, offset: int, size: int) -> bytes:
    """Bytes of an instance."""
    view = obj._view
    return obj._read(offset, size) if view is None else bytes(view[offset : offset + size])


def write(obj: Any, offset: int, data: bytes | memoryview) -> None:
    """Overwrite bytes of an instance."""
    view = obj._view
    if view is None:
        obj._write(offset, bytes(data))
    else:
        view[offset : offset + len(data)] = data


def resize(obj: Any, size: int) -> None:
    """Give an instance more memory than its type needs.

    Raises:
        TypeError: it is no ctypes instance.
        ValueError: that is less than its type needs, or it does not own its memory.
    """
    if not isinstance(obj, CData):
        raise TypeError("excepted ctypes instance")
    least = obj._typeinfo_.size
    if size < least:
        raise ValueError(f"minimum size is {least}")
    if not obj._b_needsfree_:
        raise ValueError("Memory cannot be resized because this object doesn't own it")
    block = obj._family_.heap.allocate(size)
    held = size_of(obj)
    kept = min(held, size)
    block.view[:kept] = read(obj, 0, kept)
    obj._block, obj._view, obj._address_, obj._size = block, block.view, block.address, size


# Keeping alive.

_KEYS = [format(index, "x") for index in range(64)]


def container(obj: Any) -> Any:
    """The outermost object that an object is part of; it holds what all its parts keep alive."""
    base = obj._b_base_
    while base is not None:
        obj, base = base, base._b_base_
    if obj._kept is None and obj._typeinfo_.length:
        obj._kept = {}
    return obj


def kept_by(obj: Any) -> Any:
    """What an object's container keeps alive."""
    return container(obj)._kept


def family_of(bases: tuple[Any, ...]) -> Any:
    """The family of a new class, by its bases."""
    return next((base._family_ for base in bases if hasattr(base, "_family_")), None)


def keep(obj: Any, index: int, value: Any) -> None:
    """Keep a value alive as long as the object that refers to it at a position."""
    if value is None:
        return
    holder = container(obj)
    kept = holder._kept
    if type(kept) is not dict:
        holder._kept = value
        return
    if holder is obj:
        kept[_KEYS[index] if 0 <= index < len(_KEYS) else format(index, "x")] = value
        return
    key = format(index, "x")
    while obj._b_base_ is not None:
        key += f":{obj._index:x}"
        obj = obj._b_base_
    holder._kept[key] = value


# Items and fields.


def get_item(whole: Any, cls: Any, offset: int, index: int) -> Any:
    """The value of a field or an item: a Python value of a simple type, else the instance."""
    load = cls._typeinfo_.load
    return load(whole, offset) if load is not None else part(cls, whole, offset, index)


def set_item(whole: Any, cls: Any, offset: int, index: int, value: Any) -> None:
    """Assign to a field or an item."""
    keep(whole, index, assign(whole, cls, offset, value))


def assign(whole: Any, cls: Any, offset: int, value: Any) -> Any:
    """Write a value of a type into memory.

    Returns:
        what must be kept alive for it.

    Raises:
        TypeError: the value does not fit the type.
    """
    if not isinstance(value, CData):
        return _assign_plain(whole, cls, offset, value)
    shape = cls._typeinfo_
    if isinstance(value, cls):
        write(whole, offset, read(value, 0, shape.size))
        return kept_by(value)
    if cls._points_ and isinstance(value, cls._family_.Array):
        return _assign_array(whole, cls, offset, value)
    raise _incompatible(value, cls)


def _assign_plain(whole: Any, cls: Any, offset: int, value: Any) -> Any:
    store = cls._typeinfo_.store
    if store is not None:
        return store(whole, offset, value)
    if isinstance(value, tuple):
        try:
            made = cls(*value)
        except Exception as error:
            raise RuntimeError(f"({cls.__name__}) {type(error).__name__}: {error}") from error
        return assign(whole, cls, offset, made)
    if cls._points_ and value is None:
        write(whole, offset, bytes(cls._typeinfo_.size))
        return None
    raise _incompatible(value, cls)


def _assign_array(whole: Any, cls: Any, offset: int, array: Any) -> Any:
    """An array becomes a pointer to its first item; it must be kept itself, not only what it keeps."""
    if array._typeinfo_.item is not cls._typeinfo_.item:
        raise _incompatible(array, cls)
    write(whole, offset, array._address_.to_bytes(cls._typeinfo_.size, "little"))
    return kept_by(array), array


def _incompatible(value: Any, cls: Any) -> TypeError:
    return TypeError(f"incompatible types, {type(value).__name__} instance instead of {cls.__name__} instance")


# Types.


class DataType:
    """What the metaclasses of all data types have in common."""

    _points_ = False

    def __mul__(cls, length: Any) -> Any:
        if not hasattr(length, "__index__"):
            return NotImplemented
        return cls._family_.array_type(cls, operator.index(length))  # type: ignore[attr-defined]

    __rmul__ = __mul__

    def from_address(cls, address: int) -> Any:
        """An instance over memory at an address of the Windows side."""
        if not isinstance(address, int):
            raise TypeError("integer expected")
        sys.audit("ctypes.cdata", address)
        return at_address(cls, address & (1 << 64) - 1)

    def from_buffer(cls, source: Any, offset: int = 0) -> Any:
        """An instance that shares the memory of an object with a writable buffer."""
        return from_buffer(cls, source, offset)

    def from_buffer_copy(cls, source: Any, offset: int = 0) -> Any:
        """An instance with a copy of an object's bytes."""
        return from_buffer_copy(cls, source, offset)

    def in_dll(cls, library: Any, name: str) -> Any:
        """The variable that a DLL exports under a name."""
        if hasattr(library, "variable"):  # of this very interpreter
            return library.variable(cls, name)
        return at_address(cls, cls._family_.variable(library, name))  # type: ignore[attr-defined]

    def from_param(cls, value: Any) -> Any:
        """What is passed for a value where this type is declared; raises TypeError when it does not fit."""
        from winbridge.ctypes.conversion import from_param

        return from_param(cls, value)
