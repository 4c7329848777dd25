"""What the peer's functions print: kept here until somebody wants it."""

from __future__ import annotations

import codecs
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Key = tuple[int, int]

MOST_TEXT = 1 << 22
"""Characters that are kept; of what nobody takes the oldest is dropped."""


class Outputs:
    """The lines of one connection's peer."""

    def __init__(self) -> None:
        self.dropped = 0
        self._lines: deque[tuple[int, int, str]] = deque()
        self._size = 0
        self._ends: dict[Key, tuple[Any, str]] = {}
        """For each request and stream: its decoder, and the line that has not ended."""
        self._changed = threading.Condition()
        self._closed = False

    def feed(self, stream: int, serial: int, data: bytes | bytearray) -> None:
        """Bytes have come.

        Args:
            stream: 1 for standard output, 2 for standard error.
            serial: of the request that wrote them, 0 if that is not known.
        """
        with self._changed:
            decoder, rest = self._ends.pop((serial, stream), (None, ""))
            decoder = decoder or codecs.getincrementaldecoder("utf-8")("replace")
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            for line in lines:
                self._keep(serial, stream, line)
            if rest or decoder.getstate()[0]:
                self._ends[serial, stream] = decoder, rest
            self._changed.notify_all()

    def _keep(self, serial: int, stream: int, line: str) -> None:
        self._lines.append((serial, stream, line[:-1] if line.endswith("\r") else line))
        self._size += len(line) + 1
        while self._size > MOST_TEXT and len(self._lines) > 1:
            self._size -= len(self._lines.popleft()[2]) + 1
            self.dropped += 1

    def finish(self, serial: int) -> None:
        """A request is over: a line that it has not ended is one."""
        with self._changed:
            self._finish(serial)
            self._changed.notify_all()

    def _finish(self, serial: int | None) -> None:
        for key in [key for key in self._ends if serial is None or key[0] == serial]:
            decoder, rest = self._ends.pop(key)
            rest += decoder.decode(b"", True)
            if rest:
                self._keep(key[0], key[1], rest)

    def close(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._closed = True
            self._finish(None)
            self._changed.notify_all()

    def lines(self, serial: int | None, over: Callable[[], bool]) -> Iterator[tuple[int, str]]:
        """Take lines as they come, (1 or 2, line) each.

        Args:
            serial: only those of this request; None for all.
            over: tells that no more will come.
        """
        while True:
            with self._changed:
                done = over() or self._closed
                line = self._take(serial)
                if line is None and not done:
                    self._changed.wait()
                    continue
            if line is None:
                return
            yield line

    def wake(self) -> None:
        """What ``over`` says may have changed."""
        with self._changed:
            self._changed.notify_all()

    def _take(self, serial: int | None) -> tuple[int, str] | None:
        for position, (of, stream, line) in enumerate(self._lines):
            if serial is None or of == serial:
                del self._lines[position]
                self._size -= len(line) + 1
                return stream, line
        return None
