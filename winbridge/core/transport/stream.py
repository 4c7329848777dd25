"""A byte stream to the agent: frames over its standard input and output.

It works wherever the two pipes can be carried, and it opens the channels in shared memory. One
thread, the *warden*, reads what the agent sends, logs what it writes to standard error, and
notices its death::

    thread ──frame──▶ stdin   agent   stdout ──▶ warden ──▶ inbox of the channel ──▶ thread
                                      stderr ──▶ warden ──▶ logging, "winbridge.agent"
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import subprocess
import threading
from collections import deque

from winbridge.core import wire
from winbridge.core.agent import Agent
from winbridge.core.config import Config
from winbridge.core.errors import AgentError, CallTimeoutError, ConnectError, SessionClosedError, WireError
from winbridge.core.transport.contract import Arena, Copies
from winbridge.core.transport.segment import Segment
from winbridge.core.wire import Op, Record, Status

logger = logging.getLogger("winbridge.agent")

FIRST_ARENA = 1 << 18


def grown(size: int) -> int:
    """The size of an arena that holds ``size`` bytes: doubling keeps the number of moves small."""
    return max(FIRST_ARENA, 1 << (size - 1).bit_length())


class Link:
    """The framed stream to one agent: whole frames out under a lock, frames in by the warden."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.spent: deque[int] = deque()
        self._channels: dict[int, StreamChannel] = {}
        self._sending = threading.Lock()
        self._dead = False
        self._over = False
        self._stop, self._stopper = os.pipe()
        self._numbers = 0
        base = agent.greeting.arena
        self.control = StreamChannel(self, 0, Arena(memoryview(bytearray(wire.CONTROL_ARENA)), base))
        self._controlling = threading.Lock()
        self._watching = threading.Lock()  # held by the warden as long as it runs
        self._watching.acquire()
        self._warden = threading.Thread(target=self._watch, name=f"winbridge-warden-{agent.process.pid}", daemon=True)
        self._warden.start()

    @property
    def pointer_size(self) -> int:
        return self.agent.greeting.pointer_size

    def words(self, *values: int) -> bytes:
        """Argument words of the agent's width."""
        return wire.words(self.pointer_size, *values)

    def number(self) -> int:
        """A number for another channel."""
        with self._sending:
            self._numbers += 1
            return self._numbers

    def attach(self, channel: StreamChannel) -> None:
        self._channels[channel.number] = channel
        if self._dead:
            channel.inbox.put(None)

    def send(self, channel: int, message: bytes, arena: memoryview) -> None:
        """Send one frame.

        Raises:
            AgentDiedError: nobody reads it.
        """
        try:
            with self._sending:
                if self._over or self._dead:  # nobody would answer; and the descriptor may be another file's by now
                    raise self.agent.death()
                for part in (wire.frame(channel, message, len(arena)), message, arena):
                    self._write(part)
        except (BrokenPipeError, ValueError) as error:
            raise self.agent.death() from error

    def _write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.agent.input, view) :]

    def manage(self, op: Op, *arguments: int | str, timeout: float) -> Record:
        """Call one of the agent's own functions on channel 0; texts go as UTF-16 in its arena."""
        with self._controlling:
            while self.spent:
                self._manage(Op.CLOSE_STREAM, (self.spent.popleft(),), timeout)
            return self._manage(op, arguments, timeout)

    def _manage(self, op: Op, arguments: tuple[int | str, ...], timeout: float) -> Record:
        arena = self.control.arena
        words, used = [], 0
        for argument in arguments:
            if isinstance(argument, str):
                data = (argument + "\0").encode("utf-16-le")
                arena.view[used : used + len(data)] = data
                words.append(arena.base + used)
                used += len(data)
            else:
                words.append(argument)
        return self.control.exchange(wire.request(op, self.words(*words), arena=(0, used, 0)), timeout)

    def _watch(self) -> None:
        poll = select.poll()
        for descriptor in (self.agent.output, self.agent.errors, self._stop):
            poll.register(descriptor, select.POLLIN)
        death = self._register_death(poll)
        try:
            while self._turn(poll, death):
                pass
        except (OSError, ValueError, WireError) as error:
            logger.warning("the stream of agent %s broke: %s", self.agent.process.pid, error)
        finally:
            self._dead = True
            for channel in list(self._channels.values()):
                channel.inbox.put(None)
            if death is not None:
                os.close(death)
            self._watching.release()

    def _register_death(self, poll: select.poll) -> int | None:
        """Services of Wine inherit the agent's streams, so their end does not tell of its death."""
        with contextlib.suppress(OSError, AttributeError):
            death = os.pidfd_open(self.agent.process.pid)
            poll.register(death, select.POLLIN)
            return death
        return None

    def _turn(self, poll: select.poll, death: int | None) -> bool:
        ready = dict(poll.poll(None if death is not None else 250))
        if self.agent.errors in ready:
            self._log_errors(poll)
        if self.agent.output in ready and not self._receive():
            return False
        gone = death in ready if death is not None else not self.agent.up()
        return self._stop not in ready and (self.agent.output in ready or not gone)

    def _log_errors(self, poll: select.poll) -> None:
        lines = self.agent.drain_errors()
        for line in lines:
            logger.info("%s: %s", self.agent.process.pid, line)
        if not lines:
            poll.unregister(self.agent.errors)

    def _receive(self) -> bool:
        header = bytearray(wire.FRAME.size)
        if not self._read(memoryview(header)):
            return False
        magic, number, size, _, arena_size = wire.FRAME.unpack(header)
        channel = self._channels.get(number)
        if magic != wire.FRAME_MAGIC or not 0 <= size - wire.RESPONSE.size <= wire.MAX_AREA:
            raise WireError(f"not a frame of winbridge: {bytes(header)!r}")
        message = bytearray(size)
        room = channel.room[:arena_size] if channel else memoryview(bytearray(arena_size))
        if len(room) != arena_size:
            raise WireError(f"the agent sent {arena_size} bytes of arena, more than channel {number} asked for")
        if not (self._read(memoryview(message)) and self._read(room)):
            return False
        if channel:
            channel.inbox.put(wire.record_of(message))
        return True

    def _read(self, room: memoryview) -> bool:
        while room:
            done = os.readv(self.agent.output, [room])
            if not done:
                return False
            room = room[done:]
        return True

    def detach(self, number: int) -> None:
        """Forget a channel; the agent is told when it is next spoken to (this may run in a finaliser)."""
        if self._channels.pop(number, None) is not None and number:
            self.spent.append(number)

    def close(self, timeout: float) -> None:
        """Ask the agent to exit, so that its DLLs are told; kill it after ``timeout`` seconds."""
        if self._stopper < 0:
            return
        with contextlib.suppress(AgentError, OSError):
            if self.agent.up():
                self.send(0, wire.request(Op.EXIT, self.words(0)), memoryview(b""))
        try:
            self.agent.process.wait(timeout)
        except subprocess.TimeoutExpired:
            logger.warning("agent %s did not exit within timeout_stop=%g s: killed", self.agent.process.pid, timeout)
        self._end_warden()
        self.agent.process.kill()  # who still sends is not held up any longer
        with self._sending:
            self._over = True
        self.agent.kill()

    def _end_warden(self) -> None:
        os.write(self._stopper, b"\0")
        # Not join(): a session may be closed by the end of its thread, when current_thread() would make another.
        self._watching.acquire()
        for descriptor in (self._stop, self._stopper):
            os.close(descriptor)
        self._stopper = -1

    def disown(self) -> None:
        """In a forked child: the warden was not copied, only the descriptors were."""
        if self._stopper >= 0:
            os.close(self._stop)
            os.close(self._stopper)
            self._stopper = -1
            self.agent.disown()


class StreamChannel:
    """A channel whose arena is copied: its range goes out behind the request, and comes back behind the record."""

    def __init__(self, link: Link, number: int, arena: Arena) -> None:
        self.link = link
        self.number = number
        self.arena = arena
        self.inbox: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self.room = arena.view[:0]
        """Where the arena range goes that comes with the next record."""
        self.closed = False
        self._copies = Copies()
        link.attach(self)

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        if self.closed:
            if not self.link.agent.up():
                raise self.link.agent.death()
            raise SessionClosedError("the channel was given up, in a callback of this call")
        message, copy, memory = self._copies.begin(message, self.arena)
        self.room = copy.view
        self.link.send(self.number, message, memory)
        try:
            record = self.inbox.get(timeout=timeout)
        except queue.Empty:
            raise CallTimeoutError(f"no answer within timeout_call={timeout:g} s; the call was abandoned") from None
        if record is None:
            raise self.link.agent.death()
        self._copies.end(copy, record)
        return record

    def reserve(self, size: int) -> None:
        if self.arena.top + size <= len(self.arena.view):
            return
        room = grown(self.arena.top + size)
        record = self.exchange(wire.request(Op.ARENA, self.link.words(self.number, room)))
        if record[0] != Status.OK or not record[2]:
            raise MemoryError(f"the agent has no room for an arena of {room} bytes")
        self.arena = Arena(memoryview(bytearray(room)), record[2])

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.link.detach(self.number)

    def __del__(self) -> None:
        self.close()


class StreamTransport:
    """The agent over its standard input and output."""

    name = "stream"
    shares_memory = False

    def __init__(self, config: Config, arch: str) -> None:
        self.config = config
        self.link = Link(Agent(config, arch))
        self.pointer_size = self.link.pointer_size

    def channel(self) -> StreamChannel:
        number = self.link.number()
        record = self.link.manage(Op.OPEN_STREAM, number, FIRST_ARENA, timeout=self.config.timeout_start)
        if record[0] != Status.OK or not record[2]:
            raise ConnectError(f"the agent could not open a channel (Windows error {record[1]})")
        return StreamChannel(self.link, number, Arena(memoryview(bytearray(FIRST_ARENA)), record[2]))

    def share(self, segment: Segment) -> None:
        raise ConnectError(f"a {self.name} carries bytes, it shares no memory")

    def up(self) -> bool:
        return self.link.agent.up()

    def describe(self) -> str:
        return f"pid {self.link.agent.process.pid}"

    def close(self, timeout: float) -> None:
        self.link.close(timeout)

    def disown(self) -> None:
        self.link.disown()
