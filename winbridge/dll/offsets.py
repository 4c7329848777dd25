"""Where a byte of a host object lies in its Windows image, and the other way round."""

from __future__ import annotations

import ctypes

from winbridge.dll.layout import Layout
from winbridge.dll.moves import HOST_POINTER, Bits, Copy, Numbers, Pointers, Reals, Refusal, Run


def windows_offset(shape: Layout, host: int) -> int:
    """The offset in the Windows image that stands for an offset in the host's object.

    Args:
        shape: the object's layout.
        host: bytes from its start on the host, as in ``byref(x, Point.y.offset)``. In the padding
            it means the field after it.
    """
    if shape.same or host <= 0:
        return host
    if host >= shape.host_size:
        return shape.size + host - shape.host_size
    for run in shape.runs:
        wide, narrow = _widths(run)
        inside = host - run.host
        if 0 <= inside < run.bytes // narrow * wide:
            return run.windows + inside // wide * narrow + min(inside % wide, narrow - 1)
    return min((run.windows for run in shape.runs if run.host > host), default=shape.size)


def host_offset(shape: Layout, windows: int) -> int:
    """The reverse of ``windows_offset``."""
    if shape.same or windows <= 0:
        return windows
    if windows >= shape.size:
        return shape.host_size + windows - shape.size
    for run in shape.runs:
        wide, narrow = _widths(run)
        inside = windows - run.windows
        if 0 <= inside < run.bytes:
            return run.host + inside // narrow * wide + min(inside % narrow, wide - 1)
    return min((run.host for run in shape.runs if run.windows > windows), default=shape.host_size)


def _widths(run: Run) -> tuple[int, int]:
    """Bytes of one item, on the host and on Windows."""
    if isinstance(run, Copy | Refusal):
        return 1, 1
    if isinstance(run, Numbers | Bits):
        return run.host_width, run.width
    if isinstance(run, Pointers):
        return HOST_POINTER, run.width
    if isinstance(run, Reals):
        return ctypes.sizeof(ctypes.c_longdouble), ctypes.sizeof(ctypes.c_double)
    return ctypes.sizeof(ctypes.c_wchar), 2
