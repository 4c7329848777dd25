"""Passing frames on between a client and the process that serves it: headers are looked at, the rest is not.

Nothing is queued here. A frame is passed on in pieces as the other side takes them, so who does not read is not
written to, and in the end who writes has to wait.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from winbridge.remote import protocol
from winbridge.remote.errors import DisconnectError, OperationError, ProtocolError
from winbridge.remote.protocol import BUFFER_SIZE, FROZEN, HEADER, Flag, Kind, State

PIECE = 1 << 18
"""Bytes that are read at once. A frame that is not longer is passed on whole or not at all."""

SOON = 0.2
"""Seconds that a frame which is being sent has to end, before the last one is not sent at all."""

ANY_SIZE = 1 << 62
"""No limit of ours: for a side that is not cut off for a large message."""


def bye(reason: str) -> bytes:
    """The last frame to a client."""
    payload = reason.encode()
    return HEADER.pack(Kind.BYE, 0, 0, 0, 0, len(payload)) + payload


def refusal(serial: int, reason: str) -> bytes:
    """The answer to a question that was not passed on, or whose answer was not."""
    error = pickle.dumps(OperationError(reason), 4)
    payload = pickle.dumps((error, "OperationError", reason, ""), 4)
    return HEADER.pack(Kind.ERROR, 0, 0, serial, 0, len(payload)) + payload


class Head(NamedTuple):
    """What is known of a frame before it has come.

    Attributes:
        body: bytes that follow.
        raw: the bytes that were read so far.
    """

    kind: int
    flags: int
    serial: int
    within: int
    body: int
    raw: bytes

    @property
    def asks(self) -> bool:
        return self.kind in protocol.ASKING and not self.flags & Flag.NO_ANSWER

    @property
    def answers(self) -> bool:
        return self.kind in (Kind.RESULT, Kind.ERROR)


class End:
    """The client's end, or that of the process.

    Attributes:
        asked: serials of what it has asked and has no answer to.
        sending_since: the time (monotonic) since which it does not take what is sent; None if it does.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.asked: set[int] = set()
        self.sending_since: float | None = None
        self._sock = sock
        self._turn = threading.Lock()
        self._have = b""
        self._torn = False

    def send(self, frame: bytes) -> None:
        """Send one frame, however long it takes."""
        with self._turn:
            self._send(frame)

    def say_last(self, frame: bytes) -> None:
        """Send the last frame, if it is taken soon: who does not read holds nobody up here. Safe to repeat."""
        if frame and self._turn.acquire(timeout=SOON):
            try:
                if not self._torn:  # else this would be taken for the rest of what it was being sent
                    self._sock.send(frame, socket.MSG_DONTWAIT)
            except OSError:
                pass  # it has gone, or takes nothing
            finally:
                self._turn.release()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def pass_on(self, head: Head, source: End) -> None:
        """Send a frame whose body comes from the other end."""
        size = min(head.body, PIECE)
        first = head.raw + source.take(size)
        with self._turn:
            if head.answers:
                self.asked.discard(head.serial)  # before it can hear the answer and ask the next
            self._torn = True
            self._send(first)
            while size < head.body:
                piece = source.some(head.body - size)
                self._send(piece)
                size += len(piece)
            self._torn = False

    def _send(self, data: bytes) -> None:
        self.sending_since = time.monotonic()
        try:
            self._sock.sendall(data)
        finally:
            self.sending_since = None

    @property
    def busy(self) -> bool:
        """Whether it waits for an answer, or is being sent something."""
        return bool(self.asked) or self._turn.locked()

    def take(self, size: int, may_end: bool = False) -> bytes:
        """The next so many bytes; none if it has ended before the first and may do that.

        Raises:
            DisconnectError: it has ended.
        """
        while len(self._have) < size:
            more = self._sock.recv(PIECE)
            if not more:
                if may_end and not self._have:
                    return b""
                raise DisconnectError(f"it ended after {len(self._have)} of {size} bytes")
            self._have += more
        data, self._have = self._have[:size], self._have[size:]
        return data

    def some(self, most: int) -> bytes:
        """The next bytes, at least one.

        Raises:
            DisconnectError: it has ended.
        """
        data = self._have[:most] or self._sock.recv(min(most, PIECE))
        self._have = self._have[most:]
        if not data:
            raise DisconnectError("it ended in the middle of a message")
        return data

    def linger(self) -> None:
        """Read until it ends, to nobody's use: if we closed while it sends, it would fail at that and not see why."""
        with contextlib.suppress(OSError):
            while self.some(PIECE):
                pass

    def shut(self) -> None:
        """Nothing comes from it any more, and nothing goes to it; safe to repeat."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._sock.close()


class Relay:
    """One direction.

    Args:
        source, target: where frames come from and go to.
        limit: bytes that a frame may have at most.
        objection: tells why a question or an answer is not passed on, an empty text if it is; who asked is told.
        moved: called for each frame but heartbeats.
    """

    def __init__(
        self,
        source: End,
        target: End,
        limit: int,
        objection: Callable[[Head], str],
        moved: Callable[[], None],
    ) -> None:
        self._source = source
        self._target = target
        self._limit = limit
        self._objection = objection
        self._moved = moved
        self._state = State.GREETING

    @property
    def greeted(self) -> bool:
        """Whether the source has said HELLO."""
        return self._state != State.GREETING

    @property
    def said_bye(self) -> bool:
        """Whether the source has said that this is all."""
        return self._state == State.CLOSED

    def run(self) -> bool:
        """Pass on what comes, until the source ends.

        Returns:
            whether it said BYE.

        Raises:
            ProtocolError: the source breaks the rules.
            DisconnectError, OSError: one of the two has ended.
        """
        while (head := self._next()) is not None:
            if head.kind not in (Kind.PING, Kind.PONG):
                self._moved()
            self._handle(head)
        return self.said_bye

    def _next(self) -> Head | None:
        raw = self._source.take(HEADER.size, may_end=True)
        if not raw:
            return None
        kind, flags, count, serial, within, size = HEADER.unpack(raw)
        protocol.check(self._state, kind, flags, count, serial, within, size, self._limit)
        table = self._source.take(count * BUFFER_SIZE.size)
        body = size + sum(number & ~FROZEN for (number,) in BUFFER_SIZE.iter_unpack(table))
        protocol.check_size(protocol.NAMES[kind], body, self._limit)
        self._state = {Kind.HELLO: State.READY, Kind.BYE: State.CLOSED}.get(kind, self._state)
        return Head(kind, flags, serial, within, body, raw + table)

    def _handle(self, head: Head) -> None:
        if head.answers:
            self._answer(head)
        elif head.kind in protocol.ASKING:
            self._question(head)
        else:
            self._target.pass_on(head, self._source)

    def _question(self, head: Head) -> None:
        if head.serial in self._source.asked:
            raise ProtocolError(f"it used serial {head.serial} again before that was answered")
        objection = self._objection(head)
        if objection:
            self._skip(head.body)
            if head.asks:
                self._source.send(refusal(head.serial, objection))
            return
        if head.asks:
            self._source.asked.add(head.serial)
        self._target.pass_on(head, self._source)

    def _answer(self, head: Head) -> None:
        if head.serial not in self._target.asked:
            raise ProtocolError(f"it answered serial {head.serial}, which nobody asked")
        objection = self._objection(head)
        if objection:
            self._skip(head.body)
            self._target.asked.discard(head.serial)
            self._target.send(refusal(head.serial, objection))
        else:
            self._target.pass_on(head, self._source)

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._source.some(size))
