"""Showing the heap to an agent: mapped where memory is shared, kept equal where it is not.

A stream (or a gateway) cannot share memory. There the agent has memory of its own at the heap's addresses;
before a request goes what changed here is written there, and after its record has come what
changed there is read back. Both are found by comparison with what was last known to be equal.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

from winbridge.core import wire
from winbridge.core.changes import carry
from winbridge.core.errors import ConnectError
from winbridge.core.heap import Heap
from winbridge.core.transport.contract import Arena, Channel, Transport
from winbridge.core.wire import Op, Record, Status

if TYPE_CHECKING:
    from winbridge.core.session import SessionEngine

PAGE = 4096
PIECE = 1 << 17
"""Bytes that go in one request at most."""


def map_heap(transport: Transport, heap: Heap, known: int) -> int:
    """Have the agent map the segments that it does not know yet.

    Returns:
        how many it knows now.

    Raises:
        ConnectError: an address is taken in the agent.
    """
    for segment in heap.segments[known:]:
        transport.share(segment)
        known += 1
    return known


class Replica:
    """An agent's copy of the heap, over any channel.

    Args:
        heap: what it is a copy of.
        channel: for reading and writing; nobody else uses it.
        pointer_size: of the agent.
    """

    def __init__(self, heap: Heap, channel: Channel, pointer_size: int) -> None:
        self._heap = heap
        self._channel = channel
        self._pointer_size = pointer_size
        self._twins: dict[int, bytearray] = {}
        self._lock = threading.Lock()

    def push(self) -> None:
        """Write there what changed here."""
        with self._lock:
            for address, view in self._heap.used():
                twin = self._twin(address)
                twin.extend(bytes(len(view) - len(twin)))
                for start, now in _different(view, twin):
                    self._move(Op.WRITE, address + start, memoryview(now))
                    twin[start : start + len(now)] = now

    def pull(self) -> None:
        """Read back what changed there."""
        with self._lock:
            for address, view in self._heap.used():
                twin = self._twin(address)
                for start in range(0, min(len(view), len(twin)), PIECE):
                    theirs = bytearray(min(PIECE, len(twin) - start))
                    self._move(Op.READ, address + start, memoryview(theirs))
                    known = bytes(twin[start : start + len(theirs)])
                    if theirs != known:
                        carry(view[start : start + len(theirs)], known, bytes(theirs))
                        twin[start : start + len(theirs)] = theirs

    def _twin(self, address: int) -> bytearray:
        twin = self._twins.get(address)
        if twin is None:
            size = next(segment.size for segment in self._heap.segments if segment.address == address)
            record = self._exchange(Op.HEAP, address, size)
            if record[2] != address:
                raise ConnectError(f"the agent has no memory at {address:#x} (Windows error {record[1]})")
            twin = self._twins[address] = bytearray()
        return twin

    def _move(self, op: Op, address: int, data: memoryview) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            size = len(piece)
            self._channel.reserve(size)
            arena = self._channel.arena
            if op == Op.WRITE:
                arena.view[:size] = piece
            back = size if op == Op.READ else 0
            self._exchange(op, address + start, arena.base, size, arena=(0, size - back, back))
            if op == Op.READ:
                piece[:] = arena.view[:size]

    def _exchange(self, op: Op, *values: int, arena: tuple[int, int, int] = (0, 0, 0)) -> Record:
        words = wire.words(self._pointer_size, *values)
        record = self._channel.exchange(wire.request(op, words, arena=arena))
        if record[0] != Status.OK:
            raise ConnectError(f"the agent refused {op.name} of the heap: {record[:3]}")
        return record


def _different(view: memoryview, twin: bytearray) -> Iterator[tuple[int, bytes]]:
    """Where the pages begin in which two equally long pieces differ, and what they hold now; neighbours together."""
    start = end = 0
    for page in range(0, len(view), PAGE):
        now = view[page : page + PAGE].tobytes()
        if now != twin[page : page + PAGE]:
            if page != end and end > start:
                yield start, view[start:end].tobytes()
            start = page if page != end or end == start else start
            end = page + len(now)
    if end > start:
        yield start, view[start:end].tobytes()


class ReplicatedChannel:
    """A channel that keeps the agent's copy of the heap equal, as the user of the channel sees it."""

    def __init__(self, channel: Channel, session: SessionEngine) -> None:
        self._channel = channel
        self._session = weakref.ref(session)

    @property
    def arena(self) -> Arena:
        """That of the channel, which may move."""
        return self._channel.arena

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        session = self._session()
        if session is None or not (session.uses_heap or session.heap.shared):
            return self._channel.exchange(message, timeout)
        replica = session.replica()
        replica.push()
        record = self._channel.exchange(message, timeout)
        replica.pull()
        return record

    def reserve(self, size: int) -> None:
        self._channel.reserve(size)

    def close(self) -> None:
        self._channel.close()
