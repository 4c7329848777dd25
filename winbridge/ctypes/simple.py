"""Simple types: numbers, characters, strings by address."""

from __future__ import annotations

import struct
import sys
from typing import Any

from winbridge.ctypes import codes, host
from winbridge.ctypes.data import CData, DataType, family_of, keep
from winbridge.ctypes.shape import Load, Shape, Store, declared

SWAPPABLE = "hHiIlLqQfd"
"""Codes of which there is a big-endian twin."""


def access(code: str, family: Any, order: str = "<") -> tuple[Load, Store]:
    """How a simple type is read and written."""
    if code in codes.INTEGERS:
        return codes.integer(code, order)
    if code in codes.REALS:
        return codes.real(code, order)
    if code in "?v":
        return codes.boolean(code, order)
    if code == "c":
        return codes.character()
    if code == "u":
        return codes.wide_character()
    access: tuple[Load, Store] = family.addresses.access(code)
    return access


class SimpleType(DataType, host.SimpleType):  # type: ignore[misc]
    """Makes simple types from their ``_type_``."""

    def __new__(mcls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        if SimpleData in bases:  # the root of a family's simple types
            return _abstract(mcls, name, bases, space)
        code = _code(space, bases)
        family = family_of(bases)
        layout = codes.host_code(code, family.pointer_size)
        made_of = host.address_code(family.pointer_size) if code in codes.POINTERS else layout
        cls = host.make(host.SimpleType, mcls, name, bases, {**space, "_type_": made_of})
        cls._type_ = code
        swapped = space.get("_swapped_", False)
        cls._typeinfo_ = _shape(code, layout, family, cls.__base__ is family._SimpleCData, ">" if swapped else "<")
        if code in SWAPPABLE and not swapped:
            twin = mcls(name + "_be", bases, {"_type_": code, "_swapped_": True, "__module__": cls.__module__})
            for each in (cls, twin):
                each.__ctype_le__ = cls
                each.__ctype_be__ = twin
        return cls

    @property
    def dtype(cls: Any) -> Any:
        """For numpy, which takes a ``long`` for as wide as it is on this machine."""
        numpy = sys.modules.get("numpy")
        if numpy is None or cls._typeinfo_ is None or cls._typeinfo_.code not in ("l", "L"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute 'dtype'")
        order = ">" if getattr(cls, "_swapped_", False) else "<"
        return numpy.dtype(order + ("i4" if cls._typeinfo_.code == "l" else "u4"))

    def __init__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> None:
        type.__init__(cls, name, bases, space)


def _abstract(mcls: Any, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
    cls = host.make(host.SimpleType, mcls, name, bases, {**space, "_type_": "B"})
    delattr(cls, "_type_")
    return cls


def _code(space: dict[str, Any], bases: tuple[type, ...]) -> str:
    code = declared("_type_", space, bases)
    if code is None:
        raise AttributeError("class must define a '_type_' attribute")
    if not isinstance(code, str):
        raise TypeError("class must define a '_type_' string attribute")
    if len(code) != 1:
        raise ValueError("class must define a '_type_' attribute which must be a string of length 1")
    if code not in codes.ALL:
        known = "cbBhHiIlLfduzZqQPXOv?g"
        raise AttributeError(
            "class must define a '_type_' attribute which must be\n"
            f"a single character string containing one of '{known}'."
        )
    return code


def _shape(code: str, layout: str, family: Any, direct: bool, order: str) -> Shape:
    size = struct.calcsize("<" + layout)
    load, store = access(code, family, order)
    return Shape(
        size,
        size,
        host.simple_at,
        load=load if direct else None,  # an instance of a subclass is not unwrapped to a Python value
        store=store,
        value=load,
        code=code,
        pointers=code in codes.POINTERS,
    )


class SimpleData(CData):
    """The base of simple types."""

    __slots__ = ()

    def __init__(self, *value: Any) -> None:
        if len(value) > 1:
            raise TypeError(f"__init__ expected at most 1 argument, got {len(value)}")
        if value:
            (self.value,) = value

    @property
    def value(self) -> Any:
        """current value"""
        return self._typeinfo_.value(self, 0)

    @value.setter
    def value(self, value: Any) -> None:
        kept = self._typeinfo_.store(self, 0, value)
        if kept is not None:
            keep(self, 0, kept)

    @value.deleter
    def value(self) -> None:
        raise TypeError("can't delete attribute")

    def __bool__(self) -> bool:
        return any(bytes(self))

    def __ctypes_from_outparam__(self) -> Any:
        return self.value if self._typeinfo_.load is not None else self

    def __repr__(self) -> str:
        cls = type(self)
        if cls.__base__ is not self._family_._SimpleCData:
            return f"<{cls.__name__} object at {hex(id(self))}>"
        return f"{cls.__name__}({self.value!r})"
