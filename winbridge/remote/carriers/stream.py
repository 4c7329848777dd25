"""Streams of bytes that the system provides: sockets, and pairs of descriptors."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winbridge.remote.carriers.contract import Part

SMALL = 1 << 14
"""Up to so many bytes it is cheaper to join parts than to hand several to the system."""

MOST_PARTS = 64
"""So many are handed over at once; Linux takes up to 1024 (IOV_MAX)."""

PIPE_ROOM = 1 << 20
"""Bytes that a pipe of ours may hold, where the system allows it: fewer turns for large messages."""

READING, WRITING = 1, 4
"""POLLIN and POLLOUT of poll(2)."""


class SocketCarrier:
    """A connected socket; it belongs to the carrier from now on."""

    waits = True

    def __init__(self, sock: socket.socket, name: str = "") -> None:
        self._socket = sock
        self.name = name or _name_of(sock)
        sock.settimeout(None)
        if sock.family != getattr(socket, "AF_UNIX", None):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.taken: list[int] = []
        self.fill = sock.recv_into  # one step less on the way of each message
        self._sent: list[int] = []
        self._due = 0

    def whole(self) -> bool:
        return self._sent in ([], [self._due])

    def write(self, parts: Sequence[Part]) -> None:
        self._sent = []
        self._due = sum(map(len, parts))
        if len(parts) == 1:
            # An interrupt (of a signal) comes between two steps of Python: what was sent is noted then.
            self._sent.extend(map(self._socket.send, parts))
            if self._sent[0] == self._due:
                return
            parts = [memoryview(parts[0])[self._sent[0] :]]
        self._sent = [-1]
        self._write_parts(parts)
        self._sent = [self._due]

    def _write_parts(self, parts: Sequence[Part]) -> None:
        if sum(map(len, parts)) <= SMALL:
            self._socket.sendall(b"".join(parts))
        elif not hasattr(self._socket, "sendmsg"):  # Windows
            for part in parts:
                self._socket.sendall(part)
        else:
            write_parts(parts, self._socket.sendmsg)

    def wait(self, timeout: float | None) -> bool:
        return _ready(self._socket, READING, timeout)

    def writable(self) -> bool:
        return _ready(self._socket, WRITING, 0)

    def shut_down(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()

    def disown(self) -> None:
        self._socket.close()


def _ready(end: Any, event: int, timeout: float | None, wake: int | None = None) -> bool:
    """Whether something can be read or written at once, or a wake-up call is there; with a poll object of its own,
    as one cannot be used by several threads.
    """
    import select

    if not hasattr(select, "poll"):  # Windows, where only sockets come here
        return any(select.select([end] * (event == READING), [end] * (event == WRITING), [], timeout))
    poll = select.poll()
    poll.register(end, event)
    if wake is not None:
        poll.register(wake, READING)
    return bool(poll.poll(None if timeout is None else max(0.0, timeout) * 1000))


def _name_of(sock: socket.socket) -> str:
    try:
        peer = sock.getpeername()
    except OSError:
        peer = ""
    if isinstance(peer, tuple):
        return f"tcp {peer[0]}:{peer[1]}"
    return f"unix socket {peer!r}" if peer else "socket"


def write_parts(parts: Sequence[Part], write: Any) -> None:
    """Write all parts, with a function that takes several and tells how many bytes it took."""
    left = [memoryview(part).cast("B") for part in parts if len(part)]
    start = 0
    while start < len(left):
        done = write(left[start : start + MOST_PARTS])
        while start < len(left) and done >= len(left[start]):
            done -= len(left[start])
            start += 1
        if done:
            left[start] = left[start][done:]


class PipeCarrier:
    """A descriptor to read and one to write.

    Args:
        incoming, outgoing: descriptors, or file objects that have one; they belong to the carrier from now on.
        name: what it is, for messages.
        shared: other processes use the same open files (what is inherited as standard input and output), so their
            mode must not be changed.
    """

    def __init__(self, incoming: Any, outgoing: Any, name: str = "pipes", shared: bool = False) -> None:
        self.name = name
        self._owners = [incoming] if incoming is outgoing else [incoming, outgoing]
        self._in, self._out = (end if isinstance(end, int) else end.fileno() for end in (incoming, outgoing))
        self.waits = os.name == "posix"
        self.taken: list[int] = []
        self._shut = False
        self._sent: list[int] = []
        self._due = 0
        if self.waits:
            self._wakes()
            if not shared:
                self._tune()
        else:
            import msvcrt

            for end in (self._in, self._out):
                msvcrt.setmode(end, os.O_BINARY)  # type: ignore[attr-defined,unused-ignore]

    def _wakes(self) -> None:
        import select

        # Nothing else ends a read of a pipe: not even closing it does.
        self._wake, self._waker = os.pipe()
        self._readable, self._writable = select.poll(), select.poll()
        self._readable.register(self._in, READING)
        self._readable.register(self._wake, READING)
        self._writable.register(self._out, WRITING)
        self._writable.register(self._wake, READING)

    def _tune(self) -> None:
        os.set_blocking(self._out, False)  # else nothing ends a write that nobody reads
        for end in (self._in, self._out):
            with contextlib.suppress(ImportError, OSError, AttributeError):
                import fcntl

                fcntl.fcntl(end, fcntl.F_SETPIPE_SZ if hasattr(fcntl, "F_SETPIPE_SZ") else 1031, PIPE_ROOM)

    def fill(self, room: memoryview) -> int:
        if self.waits:
            if not self.taken:
                self._readable.poll()
                if self._shut:
                    return 0
                # An interrupt (of a signal) comes between two steps of Python: what has come is noted then.
                self.taken.extend(map(os.readv, (self._in,), ((room,),)))
            return self.taken[0]
        data = os.read(self._in, len(room))
        room[: len(data)] = data
        return len(data)

    def whole(self) -> bool:
        return self._sent in ([], [self._due])

    def write(self, parts: Sequence[Part]) -> None:
        self._sent = []
        self._due = sum(map(len, parts))
        if len(parts) == 1 and not self._shut:
            with contextlib.suppress(BlockingIOError):
                self._sent.extend(map(os.write, (self._out,), parts))
            done = sum(self._sent)
            if done == self._due:
                return
            parts = [memoryview(parts[0])[done:]]
        self._sent = [-1]
        self._write_parts(parts)
        self._sent = [self._due]

    def _write_parts(self, parts: Sequence[Part]) -> None:
        if sum(map(len, parts)) <= SMALL:
            self._write_all(b"".join(parts))
        elif self.waits:
            write_parts(parts, self._writev)
        else:
            for part in parts:
                self._write_all(part)

    def _write_all(self, data: Part) -> None:
        done = self._some(os.write, data)
        if done < len(data):
            view = memoryview(data)
            while done < len(data):
                done += self._some(os.write, view[done:])

    def _writev(self, parts: list[memoryview]) -> int:
        return self._some(os.writev, parts)

    def _some(self, write: Any, data: Any) -> int:
        while True:
            if self._shut:
                raise BrokenPipeError("the connection was closed")
            try:
                return int(write(self._out, data))
            except BlockingIOError:
                self._writable.poll()

    def wait(self, timeout: float | None) -> bool:
        return not self.waits or _ready(self._in, READING, timeout, self._wake)

    def writable(self) -> bool:
        return not self.waits or _ready(self._out, WRITING, 0)

    def shut_down(self) -> None:
        if self._shut:
            return
        self._shut = True
        if self.waits:
            os.write(self._waker, b"\0")
        else:
            self._let_go(self._owners[-1])  # whose end makes the peer end the other one

    def _let_go(self, end: Any) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.close(end) if isinstance(end, int) else end.close()

    def close(self) -> None:
        self._shut = True
        owners, self._owners = self._owners, []
        for end in owners:
            self._let_go(end)
        if self.waits and owners:
            os.close(self._wake)
            os.close(self._waker)

    def disown(self) -> None:
        self.close()
