"""What the code of sessions prints in a worker: each line goes to the session, and to the call, that prints it.

``sys.stdout`` and ``sys.stderr`` of a worker know whose code a thread executes; threads that such code starts count as
its own. What C code writes to the descriptors 1 and 2 has no such mark: it goes where the pool has its standard error.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from winbridge.remote.current import current

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection

PIECE = 1 << 16
"""Bytes that one message of output has at most."""


class _Place(threading.local):
    """Where the output of a thread goes that executes no call itself."""

    connection: Connection | None = None
    serial = 0


_inherited = _Place()
_own_process = os.getpid()


def _place() -> tuple[Connection | None, int]:
    """The session and the call that this thread works for; none in a forked child, which has no connection."""
    if os.getpid() != _own_process:
        return None, 0
    if current.connection is not None:
        return current.connection, current.connection.link.serving.within()
    return _inherited.connection, _inherited.serial


class _Bytes(io.RawIOBase):
    """One stream of all sessions; a line is sent when it is complete, or flushed.

    Args:
        stream: 1 or 2.
        otherwise: where that goes which no session prints.
    """

    def __init__(self, stream: int, otherwise: Any) -> None:
        self._stream = stream
        self._otherwise = otherwise
        self._started = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        connection, _ = _place()
        if connection is None:
            return int(self._otherwise.write(data))
        text = getattr(self._started, "text", b"") + bytes(data)
        end = text.rfind(b"\n") + 1
        self._started.text = text[end:]
        self._send(text[:end])
        return len(data)

    def flush(self) -> None:
        text, self._started.text = getattr(self._started, "text", b""), b""
        if text:
            self._send(text)
        self._otherwise.flush()

    def _send(self, text: bytes) -> None:
        connection, serial = _place()
        if connection is not None:
            for start in range(0, len(text), PIECE):
                connection.send_output(self._stream, text[start : start + PIECE], serial)


class _Text(io.TextIOBase):
    """A text stream that keeps nothing back: sessions share it."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, stream: int, otherwise: Any) -> None:
        self.buffer = _Bytes(stream, otherwise.buffer)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.buffer.write(text.encode(self.encoding, self.errors))
        return len(text)

    def flush(self) -> None:
        self.buffer.flush()


def install() -> None:
    """Take over this process's ``sys.stdout`` and ``sys.stderr``, and the start of its threads."""
    sys.stdout, sys.stderr = _Text(1, sys.stdout), _Text(2, sys.stderr)
    start = threading.Thread.start

    def start_inheriting(thread: threading.Thread) -> None:
        connection, serial = _place()
        if connection is not None:
            run = thread.run

            def run_there() -> None:
                _inherited.connection, _inherited.serial = connection, serial
                try:
                    run()
                finally:
                    flush()

            thread.run = run_there  # type: ignore[method-assign]
        start(thread)

    threading.Thread.start = start_inheriting  # type: ignore[assignment,method-assign]


def flush() -> None:
    """Send what this thread has printed without ending the line."""
    sys.stdout.flush()
    sys.stderr.flush()
