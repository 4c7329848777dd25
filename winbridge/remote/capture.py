"""What is printed here goes to the peer, and never between the bytes of the protocol.

The protocol takes descriptors of its own. Descriptors 1 and 2 become pipes, and what comes out of these is sent on:
that of C code, and that of child processes. ``sys.stdout`` and ``sys.stderr`` bring their bytes here themselves, since
so it is known which request has printed them. Before an answer goes out, all that was printed before it does.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import OperationError
from winbridge.remote.pipes import Pipe, Pipes, redirect
from winbridge.remote.protocol import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from winbridge.remote.link import Link

    Piece = tuple[int, int, bytes]
    """Of which stream, of which request (0 if that is not known), what."""

STREAMS = {1: "stdout", 2: "stderr"}
MOST_AT_ONCE = 1 << 15
"""Bytes in one message: the smallest limit of messages is twice as much."""

MOST_KEPT = 1 << 20
"""Bytes that may wait to be sent; who prints more waits."""


class Capture:
    """Takes standard input, output and error of this process; there is one in a process.

    Attributes:
        incoming, outgoing: the descriptors that were 0 and 1, for the protocol.

    Raises:
        OperationError: they were taken before.
    """

    taken = False

    def __init__(self) -> None:
        if Capture.taken:
            raise OperationError("standard input and output of this process belong to a connection already")
        Capture.taken = True
        self._pipes = {stream: Pipe() for stream in STREAMS}
        self._stream_of = {pipe: stream for stream, pipe in self._pipes.items()}
        self._open = Pipes(list(self._stream_of))
        self._waking = Pipe()
        self._queue: deque[Piece] = deque()
        self._size = 0
        self._woken = False
        self._order = threading.RLock()  # an object's __del__ may print in the middle of our work
        self._sending = threading.Lock()
        self._link: Link | None = None
        self._forked = self._lost = False
        self._redirect()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _redirect(self) -> None:
        for stream in STREAMS:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                getattr(sys, STREAMS[stream]).flush()
        self.incoming, self.outgoing = os.dup(0), os.dup(1)
        self._keep_crashes_visible()
        null = os.open(os.devnull, os.O_RDWR)
        redirect(null, 0)
        os.close(null)
        for stream, pipe in self._pipes.items():
            redirect(pipe.writer, stream)
            os.close(pipe.writer)
            setattr(sys, STREAMS[stream], self._text(stream))
            setattr(sys, f"__{STREAMS[stream]}__", getattr(sys, STREAMS[stream]))

    def _keep_crashes_visible(self) -> None:
        """A process that crashes sends nothing more: its last words go where its errors went before."""
        import faulthandler

        if not faulthandler.is_enabled():
            with contextlib.suppress(OSError):
                faulthandler.enable(os.dup(2))

    def _text(self, stream: int) -> io.TextIOWrapper:
        errors = "backslashreplace"
        return io.TextIOWrapper(Printed(self, stream), "utf-8", errors, newline="\n", write_through=True)

    def attach(self, link: Link) -> None:
        """Send what was and will be printed over a connection that has just opened."""
        self._link = link
        link.serving.before_answer = self.drain
        atexit.register(self.drain)
        threading.Thread(target=self._run, name="winbridge-capture", daemon=True).start()

    def _run(self) -> None:
        everything = Pipes([self._waking, *self._stream_of])
        while True:  # also when nobody is there to be told: who prints must not wait for ever
            everything.wait()
            for pipe in everything.ready():
                if pipe is self._waking:
                    pipe.read()
            for pipe in self._send_all():
                everything.remove(pipe)

    def take(self, stream: int, data: bytes) -> None:
        """Python code prints."""
        if self._forked:
            _write_all(stream, data)
            return
        link = self._link
        serial = link.serving.within() if link else 0
        with self._order:
            self._gather()
            self._keep(stream, serial or self._only_request(), data)
            wake, self._woken = not self._woken, True
        if wake:
            os.write(self._waking.writer, b"\0")
        if self._size > MOST_KEPT and link:
            self.drain()

    def drain(self, serial: int = 0) -> None:
        """Send all that was printed until now.

        Args:
            serial: of the request that has just been executed, if it is for its answer.
        """
        self._send_all(serial)

    def _send_all(self, serial: int = 0) -> list[Pipe]:
        """Send all, and tell which pipes nobody can write to any more."""
        with self._sending:
            with self._order:
                ended = self._gather(serial)
                if not self._queue or self._link is None:
                    return ended
                pieces, self._queue = self._queue, deque()
                self._size, self._woken = 0, False
            self._send(self._link, pieces)
        return ended

    def _gather(self, just_executed: int = 0) -> list[Pipe]:
        """Queue what is in the pipes: it was written before what is queued next."""
        ended: list[Pipe] = []
        ready = self._open.ready()
        while ready:
            for pipe in ready:
                data = pipe.read()
                if data:
                    self._keep(self._stream_of[pipe], self._only_request(just_executed), data)
                else:
                    self._open.remove(pipe)
                    ended.append(pipe)
            if self._size > MOST_KEPT:
                break
            ready = self._open.ready()
        return ended

    def _keep(self, stream: int, serial: int, data: bytes) -> None:
        if not self._lost:
            self._queue.append((stream, serial, data))
            self._size += len(data)

    def _only_request(self, just_executed: int = 0) -> int:
        """The request that is being executed, if it is one."""
        busy = self._link.serving.busy() if self._link else []
        if just_executed:
            busy.append(just_executed)
        return busy[0] if len(busy) == 1 else 0

    def _send(self, link: Link, pieces: deque[Piece]) -> None:
        try:
            for stream, serial, data in _joined(pieces):
                link.send(Kind.OUTPUT, stream, serial, 0, data)
        except (OSError, OperationError):  # nobody is there to be told
            self._lost = True

    def _after_fork(self) -> None:
        """In a child our thread is missing: what it prints goes through the pipes, as that of all child processes."""
        self._forked = True
        self._order, self._sending = threading.RLock(), threading.Lock()


class Printed(io.RawIOBase):
    """What ``sys.stdout`` or ``sys.stderr`` writes to."""

    mode = "wb"

    def __init__(self, capture: Capture, stream: int) -> None:
        self._capture = capture
        self._stream = stream
        self.name = f"<{STREAMS[stream]}>"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream

    def write(self, data: Any) -> int:
        taken = bytes(data)
        self._capture.take(self._stream, taken)
        return len(taken)


def _joined(pieces: deque[Piece]) -> Iterator[Piece]:
    """Neighbours of the same origin together, and nothing too long."""
    while pieces:
        stream, serial, data = pieces.popleft()
        parts, size = [data], len(data)
        while pieces and pieces[0][:2] == (stream, serial) and size < MOST_AT_ONCE:
            parts.append(pieces.popleft()[2])
            size += len(parts[-1])
        data = b"".join(parts)
        for start in range(0, size, MOST_AT_ONCE):
            yield stream, serial, data[start : start + MOST_AT_ONCE]


def _write_all(stream: int, data: bytes) -> None:
    while data:
        data = data[os.write(stream, data) :]
