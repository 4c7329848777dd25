"""A byte stream to the agent: frames over its standard input and output.

It works wherever the two pipes can be carried, and it opens the channels in shared memory. One
thread, the *warden*, reads what the agent sends, logs what it writes to standard error, and
notices its death::

    thread ──frame──▶ stdin   agent   stdout ──▶ warden ──▶ inbox of the channel ──▶ thread
                                      stderr ──▶ warden ──▶ logging, "winbridge.agent"
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable

from winbridge.core import wire
from winbridge.core.agent import Agent
from winbridge.core.config import Config
from winbridge.core.errors import (
    AgentError,
    AgentStartError,
    CallTimeoutError,
    ConnectError,
    SessionClosedError,
    WireError,
)
from winbridge.core.guard import Guard
from winbridge.core.transport.contract import Arena, BusyChannelError, Copies
from winbridge.core.transport.segment import Segment
from winbridge.core.wire import Op, Record, Status

logger = logging.getLogger("winbridge.agent")

FIRST_ARENA = 1 << 18

PIECE = 1 << 16

NAP = 0.25
"""Seconds after which who waits for the agent looks whether it is still there, and not stopped."""


LEAST_STACK = 40
"""Calls of Python, one within the other, that a request may take, with what a callback's failure is reported by."""


def grown(size: int) -> int:
    """The size of an arena that holds ``size`` bytes: doubling keeps the number of moves small."""
    return max(FIRST_ARENA, 1 << (size - 1).bit_length())


class Outgoing:
    """Whole frames into the agent's pipe, whatever interrupts their sender.

    What Ctrl-C or a time-out cuts short is kept, and goes out before the next frame: else the agent would take
    that one for the rest of the first.

    Args:
        agent: who reads them.
    """

    def __init__(self, agent: Agent) -> None:
        self.over = False
        self._agent = agent
        self._lock = Guard("sending to the agent")
        self._head = self._arena = memoryview(b"")
        self._written: deque[int] = deque()
        self._room = select.poll()
        self._room.register(agent.input, select.POLLOUT)
        os.set_blocking(agent.input, False)  # the agent's end is not affected

    def send(self, channel: StreamChannel, head: bytes, arena: memoryview, deadline: float | None) -> None:
        """Send a frame; ``channel.sent`` counts it if it goes out, be it after an exception.

        Raises:
            AgentDiedError: nobody reads it.
            CallTimeoutError: the agent takes nothing until the deadline (``time.monotonic``).
        """
        if not self._lock.acquire(timeout=-1 if deadline is None else max(0.0, deadline - time.monotonic())):
            raise _too_long()
        try:
            self._send(channel, head, arena, deadline)
        finally:
            self._lock.release()

    def _send(self, channel: StreamChannel, head: bytes, arena: memoryview, deadline: float | None) -> None:
        self._finish(deadline)
        before = channel.sent
        try:
            channel.sent = before + 1
            self._head, self._arena = memoryview(head), arena
            self._finish(deadline)
        except BaseException:
            if self._written:
                self._arena = memoryview(bytes(self._arena))  # what it shows may change now
            else:
                self._head = self._arena = memoryview(b"")
                channel.sent = before
            raise

    def _finish(self, deadline: float | None) -> None:
        while rest := self._rest():
            try:
                # One call of C from the write to the note: an interrupt comes before or after both.
                self._written.extend(map(os.writev, (self._agent.input,), (rest,)))
            except BlockingIOError:
                self._wait_for_room(deadline)
            except (BrokenPipeError, ValueError) as error:
                raise self._agent.death() from error
        self._head = self._arena = memoryview(b"")
        self._written.clear()

    def _rest(self) -> list[memoryview]:
        if self.over:  # nobody would answer; and the descriptor may be another file's by now
            raise self._agent.death()
        done = sum(self._written)
        parts = self._head[done:], self._arena[max(0, done - len(self._head)) :]
        return [part for part in parts if part]

    def _wait_for_room(self, deadline: float | None) -> None:
        left = NAP if deadline is None else min(NAP, deadline - time.monotonic())
        if left <= 0:
            raise _too_long()
        self._room.poll(left * 1000)  # a service of Wine may hold the pipe open when the agent is gone: look again

    def wait(self) -> None:
        """Wait for whoever is sending; after ``over`` that is not long."""
        with self._lock:
            pass


def _too_long() -> CallTimeoutError:
    return CallTimeoutError("the Windows process takes no more data (is it stopped?); the call was abandoned")


class Link:
    """The framed stream to one agent: whole frames out, frames in by the warden."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.spent: deque[int] = deque()
        # An agent that goes on later opens what a request named, by descriptors' numbers: no other files must be there.
        self._unanswered = contextlib.ExitStack()
        self.stuck: set[int] = set()
        """Channels that were given up in the middle of a call that has not returned yet."""
        self._channels: dict[int, StreamChannel] = {}
        self._outgoing = Outgoing(agent)
        self._dead = False
        self._stop, self._stopper = os.pipe()
        self._numbers = itertools.count(1)
        base = agent.greeting.arena
        self.control = StreamChannel(self, 0, Arena(memoryview(bytearray(wire.CONTROL_ARENA)), base))
        self._controlling = Guard("managing channels")
        self._watching = threading.Lock()  # held by the warden as long as it runs
        self._watching.acquire()
        self._warden = threading.Thread(target=self._watch, name=f"winbridge-warden-{agent.process.pid}", daemon=True)
        try:
            self._warden.start()
        except RuntimeError as error:
            os.close(self._stop)
            os.close(self._stopper)
            agent.kill()
            raise AgentStartError(f"{error}: open no session while the program ends") from error

    @property
    def pointer_size(self) -> int:
        return self.agent.greeting.pointer_size

    def words(self, *values: int) -> bytes:
        """Argument words of the agent's width."""
        return wire.words(self.pointer_size, *values)

    def number(self) -> int:
        """A number for another channel."""
        return next(self._numbers)

    def attach(self, channel: StreamChannel) -> None:
        self._channels[channel.number] = channel
        if self._dead:
            channel.inbox.put(None)

    def send(self, channel: StreamChannel, message: bytes, arena: memoryview, deadline: float | None) -> None:
        """Send one frame; see ``Outgoing.send``."""
        if self._dead:
            raise self.agent.death()
        self._outgoing.send(channel, wire.frame(channel.number, message, len(arena)) + message, arena, deadline)

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
        death, server = _watched(poll, self.agent.process.pid), _watched(poll, self.agent.server)
        try:
            while self._turn(poll, death, server):
                pass
        except (OSError, ValueError, WireError) as error:
            logger.warning("the stream of agent %s broke: %s", self.agent.process.pid, error)
            self.agent.end_broken(error)
        finally:
            self._dead = True
            for channel in list(self._channels.values()):
                channel.inbox.put(None)
            for descriptor in filter(None, (death, server)):
                os.close(descriptor)
            self._watching.release()

    def _turn(self, poll: select.poll, death: int | None, server: int | None) -> bool:
        ready = dict(poll.poll(None if death is not None else 250))
        if self.agent.errors in ready:
            self._log_errors(poll)
        if server in ready:
            poll.unregister(server)
            self.agent.end_without_server()
        if self.agent.output in ready and not self._receive():
            return False
        # Services of Wine inherit the agent's streams, so their end does not tell of its death.
        gone = death in ready if death is not None else not self.agent.up()
        return self._stop not in ready and (self.agent.output in ready or not gone)

    def _log_errors(self, poll: select.poll) -> None:
        if not self.agent.log_errors():
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
        room = self._room_for(channel, arena_size)
        if not (self._read(memoryview(message)) and (self._read(room) if channel else self._skip(arena_size))):
            return False
        record = wire.record_of(message)
        if channel:
            channel.answers += 1
            channel.inbox.put((channel.answers, record))
        elif record[0] != Status.CALLBACK:
            self.stuck.discard(number)
        return True

    def _room_for(self, channel: StreamChannel | None, size: int) -> memoryview:
        if channel is None:
            return memoryview(b"")
        if channel.answers >= channel.sent:
            raise WireError(f"the agent sent an answer that channel {channel.number} did not ask for")
        if size > len(channel.room):
            raise WireError(f"the agent sent {size} bytes of arena, more than channel {channel.number} asked for")
        return channel.room[:size]

    def _skip(self, size: int) -> bool:
        """Read what belongs to a channel that was given up, and do not keep it."""
        room = memoryview(bytearray(min(size, PIECE)))
        while size:
            done = os.readv(self.agent.output, [room[:size]])
            if not done:
                return False
            size -= done
        return True

    def _read(self, room: memoryview) -> bool:
        while room:
            done = os.readv(self.agent.output, [room])
            if not done:
                return False
            room = room[done:]
        return True

    def let_go(self, close: Callable[[], None]) -> None:
        """Free what the last request on channel 0 named; that waits where it got no answer."""
        if self.control.idle():
            close()
        else:
            self.keep(close)

    def keep(self, close: Callable[[], None]) -> None:
        """Free what a request named that got no answer, when the agent has ended."""
        self._unanswered.callback(close)
        if self._outgoing.over:  # it has
            self._unanswered.close()

    def detach(self, number: int) -> None:
        """Forget a channel; the agent is told when it is next spoken to (this may run in a finaliser)."""
        if self._channels.pop(number, None) is not None and number:
            self.spent.append(number)

    def close(self, timeout: float) -> None:
        """Ask the agent to exit, so that its DLLs are told; kill it after ``timeout`` seconds."""
        if self._stopper < 0:
            return
        self._ask_to_exit(time.monotonic() + timeout)
        self._end_warden()
        self._outgoing.over = True
        self.agent.process.kill()
        self._outgoing.wait()  # who still sends is not held up any longer
        self.agent.kill()
        self._unanswered.close()

    def _ask_to_exit(self, deadline: float) -> None:
        with contextlib.suppress(AgentError, CallTimeoutError, OSError):
            if self.agent.up():
                self.send(self.control, wire.request(Op.EXIT, self.words(0)), memoryview(b""), deadline)
        while (left := deadline - time.monotonic()) > 0 and not self.agent.stopped():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.agent.process.wait(min(NAP, left))
                return
        logger.warning("agent %s is stopped, or did not exit within timeout_stop: killed", self.agent.process.pid)

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
            self._unanswered.close()


def _require_stack(frames: int) -> None:
    """Raise RecursionError now, if there is no room for so many calls of Python, and not in the middle of a message."""
    if frames:
        _require_stack(frames - 1)


def _watched(poll: select.poll, process: int | None) -> int | None:
    """A descriptor that tells of a process's end, registered; None where there is none to be had."""
    if process is None:
        return None
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.pidfd_open(process)
        poll.register(descriptor, select.POLLIN)
        return descriptor
    return None


class StreamChannel:
    """A channel whose arena is copied: its range goes out behind the request, and comes back behind the record."""

    def __init__(self, link: Link, number: int, arena: Arena) -> None:
        self.link = link
        self.number = number
        self.arena = arena
        self.inbox: queue.SimpleQueue[tuple[int, Record] | None] = queue.SimpleQueue()
        self.room = arena.view[:0]
        """Where the arena range goes that comes with the next record."""
        self.sent = 0
        self.answers = 0
        """Counted by the warden, whom no interrupt reaches."""
        self.closed = False
        self._busy = False
        self._copies = Copies()
        link.attach(self)

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        if self.closed:
            if not self.link.agent.up():
                raise self.link.agent.death()
            raise SessionClosedError("the channel was given up, in a callback of this call")
        if wire.op_of(message) != Op.CALLBACK_RETURN:  # the DLL waits for that: it is tried in any case
            _require_stack(LEAST_STACK)
        if self._busy:
            raise BusyChannelError
        self._busy = True
        try:
            return self._converse(message, timeout)
        finally:
            self._busy = False

    def _converse(self, message: bytes, timeout: float | None) -> Record:
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.idle():  # an earlier exchange was interrupted
            self._take(deadline, timeout)
        message, copy, memory = self._copies.begin(message, self.arena)
        self.room = copy.view
        self.link.send(self, message, memory, deadline)
        record = self._take(deadline, timeout)
        self._copies.end(copy, record)
        return record

    def _take(self, deadline: float | None, timeout: float | None) -> Record:
        number = 0
        while number != self.sent:
            try:
                answer = self.inbox.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                message = f"no answer within timeout_call={timeout:g} s; the call was abandoned"
                raise CallTimeoutError(message) from None
            if answer is None:
                raise self.link.agent.death()
            number, record = answer
        return record

    def idle(self) -> bool:
        return self.answers == self.sent

    def abandon(self) -> Callable[[], bool]:
        if not self.idle():
            self.link.stuck.add(self.number)
        self.close()
        return lambda: self.number in self.link.stuck

    def reserve(self, size: int, timeout: float | None = None) -> None:
        if self.arena.top + size <= len(self.arena.view):
            return
        room = grown(self.arena.top + size)
        record = self.exchange(wire.request(Op.ARENA, self.link.words(self.number, room)), timeout)
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

    def channel(self, timeout: float | None = None) -> StreamChannel:
        number = self.link.number()
        limit = timeout or self.config.timeout_start
        record = self.link.manage(Op.OPEN_STREAM, number, FIRST_ARENA, timeout=limit)
        if record[0] != Status.OK or not record[2]:
            raise ConnectError(f"the agent could not open a channel (Windows error {record[1]})")
        return StreamChannel(self.link, number, Arena(memoryview(bytearray(FIRST_ARENA)), record[2]))

    def share(self, segment: Segment) -> None:
        raise ConnectError(f"a {self.name} carries bytes, it shares no memory")

    def up(self) -> bool:
        return self.link.agent.up()

    def describe(self) -> str:
        return f"pid {self.link.agent.process.pid}{' (stopped)' * self.link.agent.stopped()}"

    def close(self, timeout: float) -> None:
        self.link.close(timeout)

    def disown(self) -> None:
        self.link.disown()
