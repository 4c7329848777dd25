"""Channels in shared memory: the default on one machine.

A channel is one segment (see ``segment``) and two pipes. The segment begins with a slot: two
counters, two flags, room for one message and one record (offsets in ``wire.SLOT``); the
arena follows. Whoever waits spins for a while, then sets its flag and sleeps in its pipe;
the other side writes a byte when it sees the flag.

The agent holds the only writing end of our pipe, so its death wakes a sleeper at once; and
we hold the only writing end of its pipe, so a channel that we close (or that dies with us) ends
its thread there.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable

from winbridge.core import wire
from winbridge.core.config import Config
from winbridge.core.errors import CallTimeoutError, ConnectError, SessionClosedError
from winbridge.core.transport.contract import Arena
from winbridge.core.transport.segment import Segment, windows_path
from winbridge.core.transport.stream import FIRST_ARENA, Link, StreamTransport, grown
from winbridge.core.wire import SLOT, Op, Record, Status

ATTEMPTS = 16
NAP = 0.5
"""Seconds after which a sleeper looks again, should a wake-up ever be lost."""

USUAL_SPIN = 100
"""Microseconds. Waking a sleeper whose core was halted takes 30 to 70; who spins longer than that is still
awake when the other side comes, so a pair that fell asleep finds back to spinning (benchmarks/run.py)."""

FIRST_REST, LAST_REST = 16, 256
"""Calls for which a side that spun in vain goes to sleep at once; shared.c does the same."""

NO_SPIN = range(0)

SPINS_PER_MICROSECOND = 20
"""Turns of the waiting loop in a microsecond, about, on current processors."""

_REQUEST_SERIAL = SLOT["REQUEST_SERIAL"] // 4
_RESPONSE_SERIAL = SLOT["RESPONSE_SERIAL"] // 4
_AGENT_ASLEEP = SLOT["AGENT_ASLEEP"] // 4
_CLIENT_ASLEEP = SLOT["CLIENT_ASLEEP"] // 4
_REQUEST = SLOT["REQUEST"]
_RESPONSE = SLOT["RESPONSE"]
_ARENA = SLOT["ARENA"]
_CALLBACK = int(Status.CALLBACK)
_unpack = wire.RESPONSE.unpack_from


class SharedChannel:
    """One slot, one thread in the agent."""

    def __init__(self, link: Link, segment: Segment, wake_agent: int, woken: int, spin: int) -> None:
        self.link = link
        self.arena = Arena(segment.view[_ARENA:], segment.address + _ARENA)
        self._segment = segment
        self._slot = segment.view[:_ARENA]
        self._words = self._slot.cast("I")
        self._serial = 0
        self._spin = self._usual_spin = range(spin * SPINS_PER_MICROSECOND)
        self._rest = 0  # calls until spinning is tried again
        self._next_rest = FIRST_REST
        self._wake_agent = wake_agent
        self._woken = woken
        self._poll = select.poll()
        self._poll.register(woken, select.POLLIN)
        self._barrier = threading.Lock()
        self._growths: list[Segment] = []
        self._closed = False

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        words, slot = self._words, self._slot
        try:
            slot[_REQUEST : _REQUEST + len(message)] = message
            words[_REQUEST_SERIAL] = serial = self._serial = (self._serial + 1) & 0xFFFFFFFF
            with self._barrier:  # taking a lock is a full memory barrier
                asleep = words[_AGENT_ASLEEP]
            if asleep:
                os.write(self._wake_agent, b"\0")
            for _ in () if asleep else self._spin:  # waking it takes longer than spinning is worth
                if words[_RESPONSE_SERIAL] == serial:
                    break
            else:
                self._adapt(asleep)
                self._sleep(serial, timeout)
            record: Record = _unpack(slot, _RESPONSE)
            if record[0] == _CALLBACK:
                return *record, bytes(slot[_REQUEST : _REQUEST + record[6]])  # type: ignore[return-value]
            return record
        except BrokenPipeError:
            raise self.link.agent.death() from None
        except ValueError as error:
            if not self._closed:
                raise
            if not self.link.agent.up():
                raise self.link.agent.death() from error
            raise SessionClosedError("the channel was given up, in a callback of this call") from error

    def _adapt(self, asleep: int) -> None:
        """Spinning in vain (a long call, a busy machine) only keeps others from running: give it a rest."""
        if self._rest:
            self._rest -= 1
            if not self._rest:
                self._spin = self._usual_spin
        elif not asleep:
            self._spin, self._rest = NO_SPIN, self._next_rest
            self._next_rest = FIRST_REST if self._next_rest == LAST_REST else 2 * self._next_rest

    def _sleep(self, serial: int, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        words = self._words
        words[_CLIENT_ASLEEP] = 1
        with self._barrier:
            pass
        while words[_RESPONSE_SERIAL] != serial:
            left = NAP if deadline is None else min(NAP, deadline - time.monotonic())
            if left <= 0:
                raise CallTimeoutError(f"no answer within timeout_call={timeout:g} s; the call was abandoned")
            self._nap(left)
        words[_CLIENT_ASLEEP] = 0

    def _nap(self, seconds: float) -> None:
        for _, event in self._poll.poll(seconds * 1000):
            if event & select.POLLIN:
                os.read(self._woken, 64)
            else:
                raise self.link.agent.death()

    def reserve(self, size: int) -> None:
        if self.arena.top + size <= len(self.arena.view):
            return
        room = grown(self.arena.top + size)
        try:
            growth = _share(self.link, room, self._map)
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

    def _map(self, segment: Segment) -> Record:
        path = (segment.path + "\0").encode("utf-16-le")
        self._slot[_ARENA - len(path) :] = path  # the end of the slot is free: only the largest requests reach there
        words = self.link.words(self._segment.address + _ARENA - len(path), segment.address, segment.size)
        return self.exchange(wire.request(Op.MAP, words))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for descriptor in (self._wake_agent, self._woken):
            os.close(descriptor)
        for view in (self.arena.view, self._words, self._slot):
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
            refused.append(segment)  # kept until the end, so that the next one gets another address
            record = mapping(segment)
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

    def channel(self) -> SharedChannel:  # type: ignore[override]
        to_agent, wake_agent = os.pipe()
        woken, to_client = os.pipe()
        try:
            segment = _share(self.link, FIRST_ARENA, lambda segment: self._open(segment, to_agent, to_client))
        except BaseException:
            os.close(wake_agent)
            os.close(woken)
            raise
        finally:  # the agent has its own now
            os.close(to_agent)
            os.close(to_client)
        return SharedChannel(self.link, segment, wake_agent, woken, self.spin)

    def share(self, segment: Segment) -> None:
        arguments = segment.path, segment.address, segment.size
        record = self.link.manage(Op.SHARE, *arguments, timeout=self.config.timeout_start)
        if record[0] != Status.OK or not record[2]:
            raise ConnectError(
                f"the agent cannot map {segment.size} bytes of this process at {segment.address:#x}"
                f" (Windows error {record[1]}): the address is taken there; open another session"
            )

    def _open(self, segment: Segment, to_agent: int, to_client: int) -> Record:
        paths = segment.path, windows_path(to_agent), windows_path(to_client)
        arguments = paths[0], segment.address, segment.size, paths[1], paths[2], self.spin
        return self.link.manage(Op.OPEN_SHARED, *arguments, timeout=self.config.timeout_start)
