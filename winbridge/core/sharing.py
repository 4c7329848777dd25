"""Showing the heap to an agent: mapped where memory is shared, kept equal where it is not.

A stream (or a gateway) cannot share memory. There the agent has memory of its own at the heap's addresses;
before a request goes what changed here is written there, and after its record has come what
changed there is read back. Both are found by comparison with what was last known to be equal.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from winbridge.core import wire
from winbridge.core.changes import carry
from winbridge.core.errors import ConnectError
from winbridge.core.guard import Guard
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
        self._timeout: float | None = None
        self._lock = Guard("bringing an agent's copy of the memory up to date")

    def push(self, timeout: float | None = None) -> None:
        """Write there what changed here; each request may take ``timeout`` seconds."""
        with self._lock:
            self._timeout = timeout
            for address, view in self._heap.used():
                twin = self._twin(address)
                twin.extend(bytes(len(view) - len(twin)))
                for start, now in _different(view, twin):
                    self._patch(address + start, bytes(twin[start : start + len(now)]), now)
                    twin[start : start + len(now)] = now

    def pull(self, timeout: float | None = None) -> None:
        """Read back what changed there; each request may take ``timeout`` seconds."""
        with self._lock:
            self._timeout = timeout
            for address, view in self._heap.used():
                twin = self._twin(address)
                for start in range(0, min(len(view), len(twin)), PIECE):
                    theirs = self._read(address + start, min(PIECE, len(twin) - start))
                    known = bytes(twin[start : start + len(theirs)])
                    if theirs != known:
                        carry(view[start : start + len(theirs)], known, theirs)
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

    def _patch(self, address: int, before: bytes, after: bytes) -> None:
        """Change there what changed here: a thread of the agent may be changing the bytes beside."""
        for start in range(0, len(after), PIECE):
            old, new = before[start : start + PIECE], after[start : start + PIECE]
            self._channel.reserve(2 * len(new), self._timeout)
            arena = self._channel.arena
            arena.view[: 2 * len(new)] = old + new
            self._exchange(Op.PATCH, address + start, arena.base, len(new), arena=(0, 2 * len(new), 0))

    def _read(self, address: int, size: int) -> bytes:
        self._channel.reserve(size, self._timeout)
        arena = self._channel.arena
        self._exchange(Op.READ, address, arena.base, size, arena=(0, 0, size))
        return bytes(arena.view[:size])

    def _exchange(self, op: Op, *values: int, arena: tuple[int, int, int] = (0, 0, 0)) -> Record:
        words = wire.words(self._pointer_size, *values)
        record = self._channel.exchange(wire.request(op, words, arena=arena), self._timeout)
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
        replica.push(timeout)
        record = self._channel.exchange(message, timeout)
        replica.pull(timeout)
        return record

    def exchange_many(self, messages: list[bytes], timeout: float | None = None) -> list[Record]:
        """Requests in order, up to the first whose record is not OK; the copy is kept equal around all of them."""
        session = self._session()
        replica = session.replica() if session is not None and (session.uses_heap or session.heap.shared) else None
        if replica is not None:
            replica.push(timeout)
        together = getattr(self._channel, "exchange_many", self._in_turn)
        records: list[Record] = together(messages, timeout)
        if replica is not None:
            replica.pull(timeout)
        return records

    def _in_turn(self, messages: list[bytes], timeout: float | None) -> list[Record]:
        records: list[Record] = []
        for message in messages:
            records.append(self._channel.exchange(message, timeout))
            if records[-1][0]:
                break
        return records

    def reserve(self, size: int, timeout: float | None = None) -> None:
        self._channel.reserve(size, timeout)

    def idle(self) -> bool:
        return self._channel.idle()

    def abandon(self) -> Callable[[], bool]:
        return self._channel.abandon()

    def close(self) -> None:
        self._channel.close()
