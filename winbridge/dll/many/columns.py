"""Columns of an exchange: numpy arrays that the agent reads and writes in place, or copies in the arena."""

from __future__ import annotations

from typing import Any

import numpy

from winbridge.core.session import SessionEngine
from winbridge.core.wire import Column
from winbridge.dll.many.elements import Element


class Items:
    """The items of an array, in C order.

    Args:
        array: of any shape and layout, of a type that may be cast to the element's.
        element: what the agent takes them for.
        session: whose agent.

    Attributes:
        step: bytes in the arena for each item, 0 where they need none.
        once: bytes in the arena for all items, where it is the same number for all.
        width: bytes of one item.
    """

    def __init__(self, array: Any, element: Element, session: SessionEngine) -> None:
        self._dtype = numpy.dtype("<" + element.code)
        self._kind = element.kind
        self.width = self._dtype.itemsize
        self._array = array
        self._flat = array.reshape(-1) if array.ndim == 1 or array.flags.c_contiguous else array.flat
        constant = array.size > 1 and not any(array.strides) and not array.flags.writeable
        self._place = self._in_place(session) if isinstance(self._flat, numpy.ndarray) else None
        self.step = 0 if constant or self._place is not None else self.width
        self.once = self.width if constant else 0

    def _in_place(self, session: SessionEngine) -> int | None:
        """The address of the first item, if the agent sees the array and reads it as it is."""
        flat = self._flat
        if not session.transport.shares_memory or flat.dtype != self._dtype or not flat.size:
            return None
        first = int(flat.ctypes.data)
        last = first + int(flat.strides[0]) * (flat.size - 1)
        low, high = min(first, last), max(first, last) + self.width
        return first if session.heap.view(low, high - low) is not None else None

    def size(self, count: int) -> int:
        """Bytes in the arena for so many items."""
        return self.once or self.step * count

    def column(self, start: int, address: int) -> Column:
        """Of the items from ``start`` on; the arena's address for those that are copied."""
        if self.step or self.once:
            return Column(address, self.step, self._kind)
        assert self._place is not None
        stride = int(self._flat.strides[0])
        return Column(self._place + start * stride, stride, self._kind)

    def to(self, view: memoryview, start: int, count: int) -> None:
        """Copy items to the arena, as far as needed."""
        if self.once:
            numpy.frombuffer(view, self._dtype)[:] = self._flat[:1]
        elif self.step:
            numpy.frombuffer(view, self._dtype)[:] = self._flat[start : start + count]

    def back(self, view: memoryview, start: int, count: int) -> None:
        """Copy items from the arena, as far as needed."""
        if self.step and count:
            self._flat[start : start + count] = numpy.frombuffer(view, self._dtype, count)
