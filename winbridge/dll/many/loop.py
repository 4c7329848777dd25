"""One function's calls, many in one exchange: the request, its memory, how many at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from winbridge.core import wire
from winbridge.core.errors import WindowsFault
from winbridge.core.session import SessionEngine
from winbridge.core.wire import Column, Flag, Op, Record
from winbridge.dll import lasterror
from winbridge.dll.living import living
from winbridge.dll.stack import imbalance

BUDGET = 30
"""Milliseconds after which the agent begins no other item, so that Ctrl-C works; Windows' ticks add up to 16."""

ROOM = 3 << 16
"""Bytes of an exchange in the arena: they stay in the processor's cache, and every channel has them from the start."""

FAR_ROOM = 1 << 20
"""The same where the arena is copied: there an exchange costs more, and more where the heap is kept equal around it."""

FIRST, LAST = 1024, 1 << 20
"""Items of the first exchange, and of one at most."""

_PROGRESS = struct.Struct("<Q")


def room_of(session: SessionEngine) -> int:
    """Bytes of an exchange in the arena, about."""
    return ROOM if session.transport.shares_memory else FAR_ROOM


class Pace:
    """How many items go in the next exchange: twice as many while they are quick, as many as were done when not.

    Args:
        last: at most.
    """

    def __init__(self, last: int) -> None:
        self._last = max(last, 1)
        self.size = min(FIRST, self._last)

    def note(self, asked: int, done: int) -> None:
        """Learn from an exchange."""
        if done < asked:
            self.size = max(done, 1)
        elif asked >= self.size:
            self.size = min(2 * self.size, self._last)


class Room:
    """Memory of one exchange, in the thread's arena: the progress, then what comes back, then what only goes.

    Args:
        session: whose.
        sizes: bytes of each piece.

    Attributes:
        views: the pieces, here.
        addresses: of the pieces, there.
    """

    def __init__(self, session: SessionEngine, sizes: list[int]) -> None:
        places = [_PROGRESS.size]
        for size in sizes:
            places.append(places[-1] + -(-size // 8) * 8)
        self._arena = arena = session.reserve(places[-1] + 8)
        self._top = arena.top
        self.start = start = -(-arena.top // 8) * 8
        self.size = places[-1]
        self.address = arena.base + start
        self.view = arena.view[start : start + self.size]
        self.views = [self.view[place : place + size] for place, size in zip(places[:-1], sizes, strict=True)]
        self.addresses = [self.address + place for place in places[:-1]]
        self.view[: _PROGRESS.size] = bytes(_PROGRESS.size)

    def __enter__(self) -> Room:
        self._arena.top = self.start + self.size  # a callback's calls lay their memory behind
        return self

    def __exit__(self, *_: object) -> None:
        self._arena.top = self._top

    @property
    def progress(self) -> int:
        """How many items are through."""
        done: int = _PROGRESS.unpack_from(self.view)[0]
        return done


class Outcome(NamedTuple):
    """How many items are through, and what ended the next one, if something did."""

    done: int
    error: Exception | None


class Loop:
    """Calls of one function in one session.

    Args:
        session: where the function is.
        name: what messages call it.
        address: its address there.
        flags: the Result of the function and ``Flag`` bits, as of a CALL.
        popped: bytes that a call takes off the stack.
    """

    def __init__(self, session: SessionEngine, name: str, address: int, flags: int, popped: int) -> None:
        self.session = session
        self.name = name
        self.address = address
        self.flags = int(flags)
        self.popped = popped
        self._living = living(session)

    def run(self, count: int, columns: Iterable[Column], room: Room, back: int) -> Outcome:
        """Make up to ``count`` calls.

        Args:
            columns: the results', then each argument's.
            room: the memory of those that are not in place.
            back: bytes of its first piece, which comes back.

        Returns:
            the outcome: fewer are done than asked for where time was up, or where one failed.

        Raises:
            AgentDiedError, CallTimeoutError, SessionClosedError: see ``SessionEngine.exchange``.
        """
        words = wire.many(room.address, count, self._budget(), self.popped, columns)
        message = wire.request(
            Op.CALL_MANY,
            words,
            flags=self.flags,
            target=self.address,
            last_error=lasterror.private()[0],
            errno=lasterror.private()[1],
            arena=(room.start, room.size, _PROGRESS.size + back),
        )
        try:
            record = self._exchange(message)
        except WindowsFault as fault:
            return Outcome(room.progress, fault)
        self._keep_errors(record)
        if record[5] != self.popped:
            return Outcome(room.progress - 1, imbalance(self.name, record[5], self.popped))
        return Outcome(room.progress, None)

    def _budget(self) -> int:
        """An exchange must not last so long that its last call has no time left of ``timeout_call``."""
        timeout = self.session.config.timeout_call
        return BUDGET if timeout is None else min(BUDGET, int(timeout * 1000 / 8))

    def _exchange(self, message: bytes) -> Record:
        """No Python code runs between the items, so objects are brought over and back around all of them."""
        if self._living.idle:
            return self.session.exchange(message, self.name)
        reached = self._living.push(())
        try:
            return self.session.exchange(message, self.name)
        finally:
            if not self.session.closed:
                self._living.pull(reached)

    def _keep_errors(self, record: Record) -> None:
        if self.flags & Flag.SWAP_LAST_ERROR:
            lasterror.keep_last_error(record[1])
        if self.flags & Flag.SWAP_ERRNO:
            lasterror.set_errno(record[4])
