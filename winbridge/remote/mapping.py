"""Many calls of one function: in batches, several of them under way, so that nobody waits for a single one."""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from winbridge.remote import failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from winbridge.remote.connection import Connection
    from winbridge.remote.futures import RemoteFuture

UNDER_WAY = 3
"""Batches that are sent before the first one is answered: one is executed, one waits, one answer is on its way."""

LARGEST = 1024
"""Items in a batch; more would save nothing and make the first result late."""

LONGEST = 0.02
"""Seconds that a batch should take."""


def mapped(connection: Connection, function: Callable[..., Any], iterables: Iterable[Iterable[Any]]) -> Iterator[Any]:
    """See ``Connection.map``."""
    items = zip(*iterables)
    return _results(connection, function, items)


def _results(connection: Connection, function: Callable[..., Any], items: Iterator[Any]) -> Iterator[Any]:
    under_way: deque[tuple[RemoteFuture, float, int]] = deque()
    size = 1
    try:
        while True:
            while len(under_way) < UNDER_WAY:
                batch = list(islice(items, size))
                if not batch:
                    break
                future = connection.submit_batch(function, batch)
                under_way.append((future, time.monotonic(), len(batch)))
            if not under_way:
                return
            future, began, count = under_way.popleft()
            results, failure = future.result()
            size = _next_size(size, count, time.monotonic() - began)
            yield from results
            if failure is not None:
                raise failures.unpacked(connection.values, *failure)
    finally:
        for future, _, _ in under_way:
            future.cancel()


def _next_size(size: int, count: int, seconds: float) -> int:
    """Double it as long as batches are quick, halve it where they take long."""
    if seconds < LONGEST / 2 and count == size:
        return min(size * 2, LARGEST)
    return max(1, size // 2) if seconds > LONGEST * UNDER_WAY else size
