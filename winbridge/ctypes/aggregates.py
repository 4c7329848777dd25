"""Structures and unions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from winbridge.ctypes import host
from winbridge.ctypes.data import CData, DataType
from winbridge.ctypes.fields import CField, Declaration, Place, declarations, lay_out
from winbridge.ctypes.shape import Shape


class AggregateType(DataType):
    """Lays out a class by its ``_fields_``, now or when they are assigned later."""

    def __init__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> None:
        type.__init__(cls, name, bases, space)  # type: ignore[call-overload] # a mixin for metaclasses
        if not bases:  # nothing to stand on: only the errors are of interest
            declarations(space.get("_fields_", ()))
            return
        base: Any = cls.__base__  # type: ignore[attr-defined]
        if base is CData or AggregateData in bases or UnionData in bases:
            return
        before = getattr(base, "_typeinfo_", None)
        cls._typeinfo_ = _inherited(before)
        if before is not None:
            before.final = True
        if "_fields_" in space:
            cls._fields_ = space["_fields_"]

    @property
    def _fields_(cls) -> Any:
        """The fields, as given; of the nearest base that has some."""
        return _declared(cls)

    @_fields_.setter
    def _fields_(cls, value: Any) -> None:
        """Only the host's own setting comes here: it goes on by itself."""

    def __setattr__(cls, name: str, value: Any) -> None:
        if name == "_fields_" and not isinstance(value, host.Fields):
            given = cls._converted(value)
            _set_fields(cls, given)
            name, value = "_declared_fields_", given
        super().__setattr__(name, value)

    def _converted(cls, fields: Any) -> Any:
        return fields


def _declared(cls: Any) -> Any:
    for each in cls.__mro__:
        if "_declared_fields_" in vars(each):
            return vars(each)["_declared_fields_"]
    raise AttributeError(f"type object {cls.__name__!r} has no attribute '_fields_'")


def _inherited(before: Shape | None) -> Shape:
    if before is None:
        return Shape(0, 0, host.structure_at)
    return Shape(
        before.size,
        before.alignment,
        host.structure_at,
        length=before.length,
        pointers=before.pointers,
        fields=before.fields,
    )


def _set_fields(cls: Any, value: Any) -> None:
    shape = cls._typeinfo_
    if shape.final:
        raise AttributeError("_fields_ is final")
    pack = _pack(cls)
    fields = declarations(value)
    for field in fields:
        field.kind._typeinfo_.final = True
    if shape.final:
        raise AttributeError("Structure or union cannot contain itself")
    union = issubclass(cls, UnionData)
    base = cls.__base__._typeinfo_ or Shape(0, 1, shape.at)
    layout = lay_out(fields, base.size, base.alignment, pack, union, hasattr(cls, "_swappedbytes_"))
    shape.size, shape.alignment = layout.size, layout.alignment
    shape.length = base.length + len(fields)
    shape.pointers = base.pointers or any(field.kind._typeinfo_.pointers for field in fields)
    shape.fields = base.fields + tuple((*place.declaration[:2], place.offset, place.bit, place.declaration.bits)
                                       for place in layout.places)  # fmt: skip
    for index, place in enumerate(layout.places, base.length):
        setattr(cls, place.declaration.name, CField(place, index))
    _add_anonymous(cls, fields)
    plain = [(field.name, field.kind, place.offset) for field, place in zip(fields, layout.places, strict=True)]
    unusual = (
        pack or union or any(field.bits for field in fields) or len({field.name for field in fields}) < len(fields)
    )
    _describe(cls, layout.size, None if unusual else plain)


def _describe(cls: Any, size: int, fields: Any) -> None:
    """The host's setting of ``_fields_`` overwrites ours and looks at ``_anonymous_``: shield both from it."""
    names = {*(field[0] for field in fields or ()), host.FILLER, "_anonymous_", "_pack_"}
    hidden = {name: vars(cls)[name] for name in names if name in vars(cls)}
    plain = not hasattr(cls, "_anonymous_") and not hasattr(cls, "_pack_")
    for name in hidden:
        delattr(cls, name)
    cls._anonymous_ = ()  # before what a base has
    host.give_size(cls, size, fields if plain else None)
    delattr(cls, "_anonymous_")
    for name, entry in hidden.items():
        setattr(cls, name, entry)


def _pack(cls: Any) -> int:
    pack = getattr(cls, "_pack_", 0)
    if not isinstance(pack, int) or not 0 <= pack < 1 << 31:
        raise ValueError("_pack_ must be a non-negative integer")
    return pack


def _add_anonymous(cls: Any, fields: list[Declaration]) -> None:
    """The fields of anonymous members are reached as the aggregate's own.

    As in ctypes: those that the member's type declares, not those of its bases.
    """
    names = vars(cls).get("_anonymous_", ())
    if not isinstance(names, Sequence):
        raise TypeError("_anonymous_ must be a sequence")
    for name in names:
        outer = vars(cls).get(name)
        if not isinstance(outer, CField):
            if name in vars(cls) or hasattr(cls, name):
                raise AttributeError(f"'{name}' is specified in _anonymous_ but not in _fields_")
            raise AttributeError(name)
        _add_inner(cls, outer)


def _add_inner(cls: Any, outer: CField) -> None:
    kind = outer._kind
    if not isinstance(kind, AggregateType):
        raise TypeError(f"{outer._name} must be an instance of Structure or Union")
    anonymous = getattr(kind, "_anonymous_", ())
    for name, *_ in kind._fields_:
        field = _shifted(getattr(kind, name), outer)
        if name in anonymous:
            _add_inner(cls, field)
        else:
            setattr(cls, name, field)


def _shifted(inner: CField, outer: CField) -> CField:
    """A field as seen from the aggregate around the one that it is in."""
    place = Place(Declaration(inner._name, inner._kind, 0), inner.offset + outer.offset, 0)
    field = CField(place, outer._index)
    field._size, field._bits, field._load, field._store = inner.size, inner._bits, inner._load, inner._store
    return field


class StructureType(AggregateType, host.StructureType):  # type: ignore[misc]
    """Makes structures."""

    def __new__(mcls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        return host.make(host.StructureType, mcls, name, bases, _without_fields(space))


class UnionType(StructureType):
    """Makes unions. The host's own metaclass of unions leaves stale entries in CPython's attribute cache."""


def _without_fields(space: dict[str, Any]) -> dict[str, Any]:
    """What the host may see of a class: the fields come later, by ``give_size``."""
    return {name: value for name, value in space.items() if name != "_fields_"}


class AggregateData(CData):
    """The base of structures and unions."""

    __slots__ = ()

    @property
    def _fields_(self) -> Any:
        return _declared(type(self))

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self._typeinfo_.fields
        if len(values) > len(fields):
            raise TypeError("too many initializers")
        for field, value in zip(fields, values, strict=False):
            if field[0] in named:
                raise TypeError(f"duplicate values for field {field[0]!r}")
            setattr(self, field[0], value)
        for name, value in named.items():
            setattr(self, name, value)


class UnionData(AggregateData):
    """The base of unions."""

    __slots__ = ()


SWAP = "__ctype_be__"
"""The attribute of a type by which its big-endian twin is found; DLLs are little-endian."""


def other_endian(kind: Any) -> Any:
    """The type with the other byte order.

    Raises:
        TypeError: there is none.
    """
    if hasattr(kind, SWAP):
        return getattr(kind, SWAP)
    family = getattr(kind, "_family_", None)
    if family is not None and issubclass(kind, family.Array):
        return other_endian(kind._type_) * kind._length_
    if family is not None and issubclass(kind, family.Structure | family.Union):
        return kind
    raise TypeError(f"This type does not support other endian: {kind}")


def _swapped(fields: Any) -> Any:
    return [(field[0], other_endian(field[1]), *field[2:]) for field in fields]


class SwappedStructureType(StructureType):
    """Makes structures whose fields are big-endian."""

    def _converted(cls, fields: Any) -> Any:
        return _swapped(fields)


class SwappedUnionType(UnionType):
    """Makes unions whose fields are big-endian."""

    def _converted(cls, fields: Any) -> Any:
        return _swapped(fields)
