"""Channels in shared memory: the default on one machine.

A channel is one segment (see ``segment``) and two pipes. The segment begins with a slot (see ``slot``): two
counters, two flags, room for one message and one record (offsets in ``wire.SLOT``); the
arena follows, and behind it the stack of the agent's thread: what a DLL keeps there, and gives a callback the
address of, is seen here as it is (``Heap.seen``). Whoever waits spins for a while, then sets its flag and
sleeps in its pipe; the other side writes a byte when it sees the flag.

The agent holds the only writing end of our pipe, so its death wakes a sleeper at once; and
we hold the only writing end of its pipe, so a channel that we close (or that dies with us) ends
its thread there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from winbridge.core import wire
from winbridge.core.config import Config
from winbridge.core.errors import CallTimeoutError, ConnectError, SessionClosedError, WinbridgeError, WireError
from winbridge.core.heap import heap
from winbridge.core.impl import chosen
from winbridge.core.transport import slot
from winbridge.core.transport.abandoned import Abandoned
from winbridge.core.transport.contract import Arena, BusyChannelError
from winbridge.core.transport.segment import Segment, windows_path
from winbridge.core.transport.stream import FIRST_ARENA, Link, StreamTransport, grown
from winbridge.core.wire import SLOT, Op, Record, Status

ATTEMPTS = 16
NAP = 0.5
"""Seconds after which a sleeper looks again, should a wake-up ever be lost."""

USUAL_SPIN = 100
"""Microseconds. Waking a sleeper whose core was halted takes 30 to 70; who spins longer than that is still
awake when the other side comes, so a pair that fell asleep finds back to spinning (benchmarks)."""

RESTS = 16, 256
"""Calls for which a side that spun in vain goes to sleep at once: at first, and at most. shared.c has them too."""

STACKS = {8: 1 << 21, 4: 1 << 20}
"""Bytes of the stack of an agent's thread, by pointer size. Untouched pages take no memory."""

_ARENA = SLOT["ARENA"]

if TYPE_CHECKING:
    from winbridge.core.transport.slot import Slot
else:
    Slot = chosen(slot.Slot)


class SharedChannel(Slot):
    """One slot, one thread in the agent."""

    def __init__(self, link: Link, segment: Segment, wake_agent: int, woken: int, spin: int) -> None:
        self._slot = segment.view[:_ARENA]
        super().__init__(self._slot, wake_agent, woken, spin, RESTS, NAP)
        self.link = link
        self.arena = Arena(segment.view[_ARENA:FIRST_ARENA], segment.address + _ARENA)
        self._heap = heap(link.pointer_size)
        if segment.size > FIRST_ARENA:
            self._heap.lend(segment.address + FIRST_ARENA, segment.view[FIRST_ARENA:], link)
        self._segment = segment
        self._pipes = wake_agent, woken
        self._growths: list[Segment] = []
        self._closed = False

    def _occupied(self) -> Exception:
        return BusyChannelError()

    def _death(self) -> WinbridgeError:
        return self.link.agent.death()

    def _given_up(self) -> WinbridgeError:
        if not self.link.agent.up():
            return self.link.agent.death()
        return SessionClosedError("the channel was given up, in a callback of this call")

    def _late(self, timeout: float) -> WinbridgeError:
        return CallTimeoutError(f"no answer within timeout_call={timeout:g} s; the call was abandoned")

    def _oversized(self) -> WinbridgeError:
        return WireError("the agent sent a callback whose arguments are larger than the slot")

    def reserve(self, size: int, timeout: float | None = None) -> None:
        if self.arena.top + size <= len(self.arena.view):
            return
        room = grown(self.arena.top + size)
        try:
            growth = _share(self.link, room, lambda segment: self._map(segment, timeout))
        except ConnectError as error:
            raise MemoryError(f"the Windows process has no room for an arena of {room} bytes: {error}") from error
        if not self.arena.top:
            self._drop_arenas()
        self._growths.append(growth)
        self.arena = Arena(growth.view, growth.address)

    def _drop_arenas(self) -> None:
        """Of those that took each other's places, what no call uses any more."""
        self.arena.view.release()
        while self._growths:
            self._growths.pop().close()

    def _map(self, segment: Segment, timeout: float | None) -> Record:
        path = (segment.path + "\0").encode("utf-16-le")
        self._slot[_ARENA - len(path) :] = path  # the end of the slot is free: only the largest requests reach there
        words = self.link.words(self._segment.address + _ARENA - len(path), segment.address, segment.size)
        return self.exchange(wire.request(Op.MAP, words), timeout)

    def idle(self) -> bool:
        if self._closed:
            return False
        request, response = (self._slot[SLOT[name] :][:4] for name in ("REQUEST_SERIAL", "RESPONSE_SERIAL"))
        return request == response

    def abandon(self) -> Callable[[], bool]:
        waiting = Abandoned(self._pipes[1])
        self.close()
        return waiting

    def close(self) -> None:
        if self._closed or not self.release():
            return
        self._closed = True
        for descriptor in self._pipes:
            os.close(descriptor)
        self._heap.take_back(self._segment.address + FIRST_ARENA)
        for view in (self.arena.view, self._slot):
            view.release()
        for segment in (self._segment, *self._growths):
            segment.close()

    def __del__(self) -> None:
        self.close()


def _share(link: Link, size: int, mapping: Callable[[Segment], Record]) -> Segment:
    """Make a segment and have the agent map it: at an address that is free in both processes."""
    refused = []
    try:
        for _ in range(ATTEMPTS):
            segment = Segment(size, link.pointer_size)
            try:
                record = mapping(segment)
            except BaseException:
                link.keep(segment.close)
                raise
            refused.append(segment)  # kept until the end, so that the next one gets another address
            if record[0] == Status.OK and record[2]:
                refused.pop().seal()
                return segment
        raise ConnectError(f"the agent cannot map a shared segment of {size} bytes (Windows error {record[1]})")
    finally:
        for segment in refused:
            segment.close()


class SharedTransport(StreamTransport):
    """An agent on this machine: the stream opens the channels, shared memory carries the calls."""

    name = "shm"
    shares_memory = True

    def __init__(self, config: Config, arch: str) -> None:
        super().__init__(config, arch)
        cores = len(os.sched_getaffinity(0))
        self.spin = config.spin_us if config.spin_us is not None else USUAL_SPIN if cores > 1 else 0

    def channel(self, timeout: float | None = None) -> SharedChannel:  # type: ignore[override]
        to_agent, wake_agent = os.pipe()
        woken, to_client = os.pipe()
        pipes, limit = (to_agent, to_client), timeout or self.config.timeout_start
        try:
            segment = self._segment(lambda segment: self._open(segment, pipes, limit))
        except BaseException:
            os.close(wake_agent)
            os.close(woken)
            raise
        finally:  # the agent has its own now
            for descriptor in pipes:
                self.link.let_go(partial(os.close, descriptor))
        return SharedChannel(self.link, segment, wake_agent, woken, self.spin)

    def _segment(self, ask: Callable[[Segment], Record]) -> Segment:
        """Room for a channel, without a stack where there is no room for one any more (some 240 channels of 32 bit)."""
        try:
            return _share(self.link, FIRST_ARENA + STACKS[self.link.pointer_size], ask)
        except MemoryError:
            return _share(self.link, FIRST_ARENA, ask)

    def share(self, segment: Segment) -> None:
        arguments = segment.path, segment.address, segment.size
        record = self.link.manage(Op.SHARE, *arguments, timeout=self.config.timeout_start)
        if record[0] != Status.OK or not record[2]:
            raise ConnectError(
                f"the agent cannot map {segment.size} bytes of this process at {segment.address:#x}"
                f" (Windows error {record[1]}): the address is taken there; open another session"
            )

    def _open(self, segment: Segment, pipes: tuple[int, int], timeout: float) -> Record:
        paths = segment.path, *map(windows_path, pipes)
        stack = segment.size - FIRST_ARENA
        arguments = paths[0], segment.address, FIRST_ARENA, paths[1], paths[2], self.spin, stack
        return self.link.manage(Op.OPEN_SHARED, *arguments, timeout=timeout)
