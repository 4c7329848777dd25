"""A bounded record of the calls that a session made."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

USUAL_LENGTH = 1000
"""Calls kept for ``history=True``."""


class Call(NamedTuple):
    """One call: when it began (seconds since the epoch), what, for how long (seconds), and what came of it."""

    time: float
    name: str
    duration: float
    outcome: str


class History:
    """The last calls of a session, oldest first; iterable, indexable, with a length.

    Args:
        length: how many calls to keep.
    """

    def __init__(self, length: int) -> None:
        self._calls: deque[Call] = deque(maxlen=length)

    def add(self, name: str, started: float, outcome: str) -> None:
        """Record a call that began at ``time.perf_counter()`` value ``started`` and ends now."""
        duration = time.perf_counter() - started
        self._calls.append(Call(time.time() - duration, name, duration, outcome))

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, index: int) -> Call:
        return self._calls[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(tuple(self._calls))

    def __repr__(self) -> str:
        return f"<History of {len(self)} calls, room for {self._calls.maxlen}>"
