"""The standard streams of a process that was started."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

from winbridge.remote.carriers.stream import READING, PipeCarrier
from winbridge.remote.errors import DisconnectError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

TAIL = 4096
"""Bytes of standard error that are kept to tell why the process has ended."""

LAST_MOMENT = 0.2
"""Seconds to wait for the exit code of a process whose output has ended."""


class ProcessCarrier(PipeCarrier):
    """Its standard input and output.

    The end of the process is the end of what it says, even where others hold its output open: services that Wine
    started, or its own children.
    """

    def __init__(self, process: subprocess.Popen[bytes], words: LastWords) -> None:
        super().__init__(process.stdout, process.stdin, f"process {process.pid}")
        self._process = process
        self._words = words
        self._before = b""
        self._serves = False
        self._end = _pidfd(process)
        if self._end is not None:
            self._readable.register(self._end, READING)

    def give_back(self, data: bytes) -> None:
        """It serves, from these bytes on: have them come once more."""
        self._before = data
        self._serves = True

    def fill(self, room: memoryview) -> int:
        if self._before:
            count = min(len(room), len(self._before))
            room[:count], self._before = self._before[:count], self._before[count:]
            return count
        if self._end is None:
            return super().fill(room) or self._ended()
        first = self._readable.poll()[0][0]  # in the order in which they were registered: what it says before its end
        if self._shut:
            return 0
        return (os.readv(self._in, [room]) if first == self._in else 0) or self._ended()

    def wait(self, timeout: float | None) -> bool:
        return bool(self._before) or super().wait(timeout)

    def _ended(self) -> int:
        """Nothing more will come.

        Raises:
            DisconnectError: it said why.
        """
        said = self._words.all() if self._serves and not self._shut else ""
        if said:
            raise DisconnectError(f"{self.name} has ended; the last it wrote to stderr:\n{said}")
        return 0

    def obituary(self, what: str) -> str:
        """What has become of the process, for a message."""
        import subprocess

        with contextlib.suppress(subprocess.TimeoutExpired):
            what += f" (exit status {self._process.wait(LAST_MOMENT)})"
        said = self._words.all()
        return f"{self._process.args!r} {what}; it wrote to stderr:{chr(10) + said if said else ' nothing'}"

    def give_up(self) -> None:
        """It never served: end it."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        super().close()
        if self._end is not None:
            os.close(self._end)
            self._end = None


class LastWords:
    """The standard error of a process.

    Args:
        process: whose.
        printed: takes what comes, as ``Outputs.feed`` does.
    """

    def __init__(self, process: subprocess.Popen[bytes], printed: Callable[[int, int, bytes], Any]) -> None:
        self._printed = printed
        self._process = process
        self._stream = process.stderr
        self._tail = b""
        self._lock = threading.Lock()
        if self._stream is not None:
            os.set_blocking(self._stream.fileno(), False)  # this end of the pipe only

    def follow(self) -> None:
        """Listen to it in the background, until the process ends."""
        if self._stream is not None:
            threading.Thread(target=self._run, name="winbridge-remote-stderr", daemon=True).start()

    def all(self) -> str:
        """The last lines of what it has written until now."""
        if self._stream is not None:
            self._take()
        return self._tail.decode("utf-8", "replace").strip()

    def _run(self) -> None:
        import select

        assert self._stream is not None
        poll = select.poll()
        poll.register(self._stream, READING)
        end = _pidfd(self._process)
        if end is not None:
            poll.register(end, READING)
        open_ = True
        while open_:
            ended = end in [descriptor for descriptor, _ in poll.poll()]
            open_ = self._take() and not ended
        if end is not None:
            os.close(end)
        with self._lock:
            self._stream.close()

    def _take(self) -> bool:
        """Read what is there; whether more may come."""
        assert self._stream is not None
        with self._lock:
            while not self._stream.closed:
                try:
                    data = os.read(self._stream.fileno(), 1 << 16)
                except BlockingIOError:
                    return True
                if not data:
                    break
                self._tail = (self._tail + data)[-TAIL:]
                self._printed(2, 0, data)
        return False


def _pidfd(process: subprocess.Popen[bytes]) -> int | None:
    """A descriptor that is ready to be read when the process has ended; None where the system has none."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(process.pid)
    return None
