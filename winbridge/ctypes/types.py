"""The simple types that differ between ctypes on Linux and on Windows.

On Linux ``c_longlong``, ``c_int64``, ``c_size_t`` and ``c_long`` are one class, so nothing can tell them
apart. Here each is what it is on Windows. Source: Windows data types, LLP64 and ILP32 (Microsoft Learn).
"""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_uint, c_wchar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class SimpleData(ctypes._SimpleCData[Any]):
        """Generic for type checkers only."""

else:
    SimpleData = ctypes._SimpleCData

c_long = c_int
c_ulong = c_uint


class c_longlong(SimpleData):
    """A signed integer of 8 bytes."""

    _type_ = "q"


class c_ulonglong(SimpleData):
    """An unsigned integer of 8 bytes."""

    _type_ = "Q"


class c_ssize_t(SimpleData):
    """A signed integer as wide as a pointer of the DLL's architecture (8 bytes on this side)."""

    _type_ = "q"
    pointer_wide = True


class c_size_t(SimpleData):
    """An unsigned integer as wide as a pointer of the DLL's architecture (8 bytes on this side)."""

    _type_ = "Q"
    pointer_wide = True


class c_longdouble(SimpleData):
    """A long double, which is a double for Windows compilers."""

    _type_ = "d"


c_int64, c_uint64 = c_longlong, c_ulonglong

__all__ = [
    "c_int64",
    "c_long",
    "c_longdouble",
    "c_longlong",
    "c_size_t",
    "c_ssize_t",
    "c_uint64",
    "c_ulong",
    "c_ulonglong",
    "c_wchar",
]
