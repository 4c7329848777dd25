"""Where a byte of a host object lies in its Windows image."""

from __future__ import annotations

import ctypes

from winbridge.dll.layout import Layout
from winbridge.dll.moves import Bits, Copy, Move, Numbers, Pointers, Reals, Refusal


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
    for move in shape.moves:
        wide, narrow = _widths(move)
        inside = host - move.host
        if 0 <= inside < move.bytes // narrow * wide:
            return move.windows + inside // wide * narrow + min(inside % wide, narrow - 1)
    return min((move.windows for move in shape.moves if move.host > host), default=shape.size)


def _widths(move: Move) -> tuple[int, int]:
    """Bytes of one item, on the host and on Windows."""
    if isinstance(move, Copy | Refusal):
        return 1, 1
    if isinstance(move, Numbers | Bits):
        return move.host_width, move.width
    if isinstance(move, Pointers):
        return ctypes.sizeof(ctypes.c_void_p), move.width
    if isinstance(move, Reals):
        return ctypes.sizeof(ctypes.c_longdouble), ctypes.sizeof(ctypes.c_double)
    return ctypes.sizeof(ctypes.c_wchar), 2
