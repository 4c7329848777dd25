"""The heap: memory that this process and every agent see at the same address.

Objects of ``winbridge.ctypes`` are born here, so a DLL works on them in place: nothing is copied, and a
pointer that a DLL keeps stays good as long as the object lives. There is one heap for each width of a
pointer. It belongs to this process, not to a session: an object outlives the session it was
used in, and is known to the next one. ``core.sharing`` shows it to the agents.
"""

from __future__ import annotations

import bisect
import operator
import os
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from winbridge.core.guard import Guard
from winbridge.core.impl import chosen, step
from winbridge.core.transport.segment import GRANULE, Segment

if TYPE_CHECKING:
    from winbridge.core.session import SessionEngine

SMALL = 1024
"""Up to here blocks come in multiples of ALIGNMENT, above in powers of two."""

LARGE = 1 << 20
"""From here on a block has a segment of its own."""

ALIGNMENT = 16
SEGMENT = {8: 1 << 24, 4: 1 << 22}
"""Bytes of a segment for small blocks, by pointer size. Untouched pages take no memory."""

_start = operator.itemgetter(0)
_zeros = [bytes(size) for size in range(SMALL + 1)]


class Block:
    """Bytes of the heap; given back when this object goes.

    Attributes:
        address: where it lies, here and in the agents.
        size: as asked for.
        view: the bytes.
    """

    __slots__ = ("__weakref__", "_bin", "_room", "address", "size", "view")

    def __init__(self, address: int, size: int, room: memoryview, bin: deque[tuple[int, memoryview]]) -> None:
        self.address = address
        self.size = size
        self.view = room[:size]
        self._room = room
        self._bin = bin

    def __del__(self) -> None:
        self._bin.append((self.address, self._room))  # nothing else: a finaliser may run anywhere


_Block: type[Block] = chosen(Block)


class Heap:
    """The heap for one width of pointers.

    Args:
        pointer_size: 8 or 4.

    Attributes:
        segments: all of it; only ever grows.
        shared: blocks that the program holds by itself, so that any session may be given their addresses.
    """

    def __init__(self, pointer_size: int) -> None:
        self.pointer_size = pointer_size
        self.segments: list[Segment] = []
        self.shared: weakref.WeakSet[Block] = weakref.WeakSet()
        self._bins: defaultdict[int, deque[tuple[int, memoryview]]] = defaultdict(deque)
        self._spans: list[tuple[int, int, memoryview]] = []
        self._current: Segment | None = None
        self._used = 0
        self._lock = Guard("taking memory")
        self._lent: list[tuple[int, int, memoryview, Any]] = []

    @step("allocate")
    def allocate(self, size: int) -> Block:
        """Zeroed memory.

        Raises:
            MemoryError: there is none, or (32 bit) no address for it.
        """
        if size >= LARGE:
            return self._allocate_large(size)
        room = -(-size // ALIGNMENT) * ALIGNMENT or ALIGNMENT if size <= SMALL else 1 << (size - 1).bit_length()
        bin = self._bins[room]
        try:
            address, view = bin.pop()
        except IndexError:
            address, view = self._carve(room)
            return _Block(address, size, view, bin)
        block = _Block(address, size, view, bin)
        block.view[:] = _zeros[size] if size <= SMALL else bytes(size)
        return block

    def _carve(self, room: int) -> tuple[int, memoryview]:
        with self._lock:
            segment = self._current
            if segment is None or self._used + room > segment.size:
                segment = self._current = self._grow(SEGMENT[self.pointer_size])
                self._used = 0
            start, self._used = self._used, self._used + room
        return segment.address + start, segment.view[start : start + room]

    def _allocate_large(self, size: int) -> Block:
        room = -(-size // GRANULE) * GRANULE
        bin = self._bins[room]
        try:
            address, _ = bin.pop()
            segment = next(segment for segment in self.segments if segment.address == address)
            segment.clear()
        except IndexError:
            with self._lock:
                segment = self._grow(room)
        return _Block(segment.address, size, segment.view, bin)

    def _grow(self, size: int) -> Segment:
        segment = Segment(size, self.pointer_size, heap=True)
        self._spans.append((segment.address, segment.address + size, segment.view))
        self.segments.append(segment)  # last: whoever sees the new length finds the segment complete
        return segment

    def view(self, address: int, size: int) -> memoryview | None:
        """The bytes at an address, None when they are not in the heap."""
        for start, end, view in self._spans:
            if start <= address and address + size <= end:
                return view[address - start : address - start + size]
        return None

    def lend(self, address: int, view: memoryview, owner: Any) -> None:
        """Let memory that is not the heap's be seen too: the stack of an agent's thread.

        Args:
            address: where it lies, here and in that agent; others may have something else there.
            view: its bytes.
            owner: the ``link`` of that agent's transport.
        """
        with self._lock:
            self._lent = sorted([*self._lent, (address, address + len(view), view, owner)], key=_start)

    def take_back(self, address: int) -> None:
        """What was lent at an address is seen no longer; who has a part of it keeps that."""
        with self._lock:
            self._lent = [entry for entry in self._lent if entry[0] != address]

    def seen(self, address: int, size: int, session: Callable[[], SessionEngine]) -> memoryview | None:
        """The bytes at an address of a session, of the heap or lent; None when this process cannot see them."""
        found = self.view(address, size)
        if found is not None:
            return found
        lent = self._lent
        index = bisect.bisect_right(lent, address, key=_start) - 1
        if index < 0:
            return None
        start, end, view, owner = lent[index]
        if address + size > end or getattr(session().transport, "link", None) is not owner:
            return None
        return view[address - start : address - start + size]

    def rest(self, address: int) -> memoryview | None:
        """The bytes from an address to the end of its segment, None when it is not in the heap."""
        for start, end, view in self._spans:
            if start <= address < end:
                return view[address - start :]
        return None

    def used(self) -> list[tuple[int, memoryview]]:
        """What may hold something: address and bytes."""
        with self._lock:
            return [
                (segment.address, segment.view[: self._used] if segment is self._current else segment.view)
                for segment in self.segments
            ]

    def fork(self) -> None:
        """In a forked child: its objects are its own from here on."""
        self._lock = Guard("taking memory")
        for segment in self.segments:
            segment.fork()


_heaps = {8: Heap(8), 4: Heap(4)}


def heap(pointer_size: int) -> Heap:
    """This process's heap for a width of pointers."""
    return _heaps[pointer_size]


def _after_fork() -> None:
    for each in _heaps.values():
        each.fork()


os.register_at_fork(after_in_child=_after_fork)
