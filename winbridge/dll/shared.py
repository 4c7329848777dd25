"""Objects of the standard ctypes, and numpy arrays, whose memory a DLL works on in place: it is never copied."""

from __future__ import annotations

import ctypes
import math
import weakref
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.core.heap import Block, heap
from winbridge.core.wire import POINTER_SIZES
from winbridge.dll.layout import layout


def shared(kind: Any, arch: str = "win64") -> Any:
    """A zeroed object in memory that this process and the DLLs of an architecture share.

    A DLL that is given it, or keeps a pointer to it, works on it in place: what either side writes the other
    sees at once, on a stream or through a gateway around each call. The memory is given back with the object.

    Args:
        kind: a type of ``winbridge.ctypes``, whose objects are shared anyway, or one of the standard ctypes whose
            bytes are the same on Windows, or a number of bytes.
        arch: of the DLLs: ``win64`` or ``win32``.

    Raises:
        PrototypeError: the type lies differently in memory on Windows.
        MemoryError: there is no more memory.
    """
    kind = ctypes.c_char * kind if isinstance(kind, int) else kind
    if hasattr(kind, "_family_"):
        return kind()
    shape = layout(kind, arch)
    if not shape.same:
        raise PrototypeError(
            f"{kind.__name__} lies differently in memory on {arch}, so it cannot be shared as it is:"
            " declare it with the types of winbridge.ctypes, whose objects always are"
        )
    home = heap(POINTER_SIZES[arch])
    block = home.allocate(shape.size)
    home.shared.add(block)
    made = kind.from_address(block.address)
    weakref.finalize(made, _release, block).atexit = False
    return made


def _release(block: Block) -> None:
    """Nothing: the block goes with this call's arguments."""


def shared_array(shape: int | tuple[int, ...], dtype: Any = float, arch: str = "win64") -> Any:
    """The same as ``numpy.zeros(shape, dtype)``, in shared memory.

    Args:
        shape, dtype: as for numpy.
        arch: of the DLLs: ``win64`` or ``win32``.
    """
    import numpy  # here, because it is needed by those who call this only

    items = numpy.dtype(dtype)
    count = math.prod(shape) if isinstance(shape, tuple) else shape
    room = shared(max(count * items.itemsize, 1), arch)
    return numpy.frombuffer(room, items, count).reshape(shape)
