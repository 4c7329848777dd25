"""Arguments that are buffers: bytearray, numpy arrays, array.array, mmap, memoryview.

The function gets the address of their memory, as if a ctypes array had been made ``from_buffer`` of them.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from winbridge.dll.owners import is_array, is_read_only, outermost
from winbridge.dll.prototype import is_pointer
from winbridge.dll.reach import Reach
from winbridge.dll.scalars import is_simple

_BYTES = (ctypes.c_char, ctypes.c_byte, ctypes.c_ubyte)


def is_buffer(argument: Any) -> bool:
    """Whether an argument of this type is passed as a buffer."""
    if is_array(argument):
        return True
    try:
        return not isinstance(argument, bytes) and bool(memoryview(argument).contiguous)
    except (TypeError, BufferError):
        return False


def fits(argument: Any, kind: Any) -> bool:
    """Whether a declared type takes such a buffer: any for ``c_void_p``, else one of the items it points to.

    Args:
        argument: the buffer.
        kind: the item of ``argtypes``, None where the prototype does not tell.
    """
    if kind is None or kind is ctypes.c_void_p:
        return True
    item = ctypes.c_char if kind is ctypes.c_char_p else kind._type_ if is_pointer(kind) else None
    if item is None or not is_simple(item):
        return False
    if is_array(argument):
        return bool(sys.modules["numpy"].dtype(item) == argument.dtype) or (item in _BYTES and argument.itemsize == 1)
    return item in _BYTES


def buffer(argument: Any, reach: Reach) -> int:
    """The address of its memory.

    Raises:
        TypeError: its items do not lie side by side, or it cannot be written to.
    """
    if is_array(argument):
        if not (argument.flags.c_contiguous or argument.flags.f_contiguous):
            raise TypeError("the array is not contiguous: pass numpy.ascontiguousarray(...) of it")
        if argument.dtype.hasobject:
            raise TypeError("an array of Python objects means nothing to a DLL")
        if not argument.flags.writeable and not is_read_only(outermost(argument)):
            return reach.copy(argument.tobytes("A"))  # a read-only view of what others may write to
    elif isinstance(argument, memoryview) and argument.readonly:
        return reach.copy(argument.tobytes())
    return reach.memory(argument)
