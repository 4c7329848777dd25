"""Types that ctypes makes, by a name that another process finds them by.

A class is pickled as the name that it is imported by; of ours only those have one that a program defines.
"""

from __future__ import annotations

import copyreg
import importlib
import pickle
from typing import Any

from winbridge.ctypes.aggregates import StructureType, SwappedStructureType, SwappedUnionType, UnionType
from winbridge.ctypes.arrays import ArrayType
from winbridge.ctypes.functions import FunctionType
from winbridge.ctypes.pointers import PointerType
from winbridge.ctypes.simple import SimpleType


def _implicit(arch: str) -> Any:
    return importlib.import_module("winbridge.ctypes.implicit").implicit(arch)


def named(arch: str, name: str) -> Any:
    """A class of ctypes for the implicit session."""
    return _implicit(arch).names()[name]


def wintype(arch: str, name: str) -> Any:
    """A class of ctypes.wintypes for the implicit session."""
    return getattr(_implicit(arch).wintypes, name)


def array(item: Any, length: int) -> Any:
    """``item * length``"""
    return item * length


def pointer(item: Any) -> Any:
    """``POINTER(item)``"""
    return item._family_.POINTER(item)


def prototype(arch: str, maker: str, restype: Any, argtypes: tuple[Any, ...]) -> Any:
    """A function type."""
    return getattr(_implicit(arch), maker)(restype, *argtypes)


def reduced(cls: Any) -> Any:
    """How a class is pickled.

    Raises:
        pickle.PicklingError: it belongs to a CtypesSession, which no other process has.
    """
    family = getattr(cls, "_family_", None)
    if family is None:
        return cls.__qualname__
    shape = cls._typeinfo_
    if isinstance(cls, ArrayType) and shape is not None and family.array_type(shape.item, shape.length) is cls:
        return array, (shape.item, shape.length)
    if isinstance(cls, PointerType) and shape is not None and family.pointer_cache.get(shape.item) is cls:
        return pointer, (shape.item,)
    if cls.__module__ not in ("ctypes", "_ctypes", "ctypes._endian", "ctypes.wintypes"):
        return cls.__qualname__
    if _implicit(family.arch).family is not family:
        raise pickle.PicklingError(f"{cls.__name__} belongs to a CtypesSession, which no other process has")
    if isinstance(cls, FunctionType) and shape is not None:
        maker = "CFUNCTYPE" if cls._flags_ & 1 else "WINFUNCTYPE"
        return prototype, (family.arch, maker, cls._restype_, cls._argtypes_)
    return (wintype if cls.__module__ == "ctypes.wintypes" else named), (family.arch, cls.__name__)


for _kind in (
    SimpleType,
    ArrayType,
    StructureType,
    UnionType,
    SwappedStructureType,
    SwappedUnionType,
    PointerType,
    FunctionType,
):
    copyreg.pickle(_kind, reduced)
