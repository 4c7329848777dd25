"""The data types of ctypes as they are on Windows: ``from winbridge import ctypes``.

long has 4 bytes, ``c_longlong`` 8, ``sizeof`` gives Windows sizes. Functions of DLLs come from
``winbridge.load_dll``; the rest of ctypes (``windll``, callbacks) is not here yet.
"""

from __future__ import annotations

import ctypes as _ctypes
from ctypes import (
    ARRAY,
    POINTER,
    ArgumentError,
    Array,
    BigEndianStructure,
    LittleEndianStructure,
    Structure,
    Union,
    addressof,
    byref,
    c_bool,
    c_byte,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int8,
    c_int16,
    c_int32,
    c_short,
    c_ubyte,
    c_uint,
    c_uint8,
    c_uint16,
    c_uint32,
    c_ushort,
    c_void_p,
    c_wchar,
    c_wchar_p,
    cast,
    create_string_buffer,
    create_unicode_buffer,
    pointer,
    py_object,
)
from typing import Any

from winbridge.core.errors import WindowsFault
from winbridge.ctypes.types import (
    c_int64,
    c_long,
    c_longdouble,
    c_longlong,
    c_size_t,
    c_ssize_t,
    c_uint64,
    c_ulong,
    c_ulonglong,
)
from winbridge.dll.lasterror import get_errno, get_last_error, set_errno, set_last_error
from winbridge.dll.layout import layout

c_voidp = c_void_p

__all__ = [
    "ARRAY",
    "POINTER",
    "ArgumentError",
    "Array",
    "BigEndianStructure",
    "LittleEndianStructure",
    "Structure",
    "Union",
    "WindowsFault",
    "addressof",
    "alignment",
    "byref",
    "c_bool",
    "c_byte",
    "c_char",
    "c_char_p",
    "c_double",
    "c_float",
    "c_int",
    "c_int8",
    "c_int16",
    "c_int32",
    "c_int64",
    "c_long",
    "c_longdouble",
    "c_longlong",
    "c_short",
    "c_size_t",
    "c_ssize_t",
    "c_ubyte",
    "c_uint",
    "c_uint8",
    "c_uint16",
    "c_uint32",
    "c_uint64",
    "c_ulong",
    "c_ulonglong",
    "c_ushort",
    "c_void_p",
    "c_voidp",
    "c_wchar",
    "c_wchar_p",
    "cast",
    "create_string_buffer",
    "create_unicode_buffer",
    "get_errno",
    "get_last_error",
    "pointer",
    "py_object",
    "set_errno",
    "set_last_error",
    "sizeof",
]


def _type_of(thing: Any, verb: str) -> Any:
    kind = thing if isinstance(thing, type) else type(thing)
    if not issubclass(kind, _ctypes.c_int.__mro__[2]):  # _CData, which has no public name
        raise TypeError(f"{verb}")
    return kind


def sizeof(thing: Any, arch: str = "win64") -> int:
    """The size in bytes that a ctypes type or instance has on Windows.

    Args:
        thing: the type or instance.
        arch: ``win64`` or ``win32``.

    Raises:
        TypeError: it is neither.
    """
    return layout(_type_of(thing, "this type has no size"), arch).size


def alignment(thing: Any, arch: str = "win64") -> int:
    """The alignment in bytes that a ctypes type or instance has on Windows.

    Args:
        thing: the type or instance.
        arch: ``win64`` or ``win32``.

    Raises:
        TypeError: it is neither.
    """
    return layout(_type_of(thing, "no alignment info"), arch).alignment


def __getattr__(name: str) -> Any:
    if hasattr(_ctypes, name) and not name.startswith("__"):
        raise AttributeError(f"winbridge.ctypes has no {name} yet; functions of DLLs come from winbridge.load_dll()")
    raise AttributeError(f"module 'winbridge.ctypes' has no attribute {name!r}")
