"""Seconds of a call, from batches that are long enough for the clock."""

import statistics
import time

BATCH = 0.01
LEAST_BATCHES, MOST_BATCHES = 5, 40
PATIENCE = 10
"""How many times its budget a slow call may take to make its batches."""


def once(run, count):
    """Seconds of ``count`` calls; a body may measure them itself."""
    start = time.perf_counter()
    own = run(count)
    return time.perf_counter() - start if own is None else own


def measure(run, budget):
    """The median over batches that together take about ``budget`` seconds.

    A body may say the size of its batches: ``run.calls``.
    """
    first = once(run, 1)  # what only the first call does is not measured
    count = getattr(run, "calls", 0) or _batch(run, first)
    seconds = once(run, count)
    wanted = min(max(int(budget / seconds), LEAST_BATCHES), MOST_BATCHES)
    batches = min(wanted, max(int(PATIENCE * budget / seconds), 1))
    return statistics.median(once(run, count) / count for _ in range(batches))


def _batch(run, first):
    """How many calls take long enough. The shorter of two trials counts, as on a busy machine any may be disturbed."""
    if first > 10 * BATCH:
        return 1
    count = 1
    while (seconds := min(once(run, count), once(run, count))) < BATCH:
        wanted = int(count * BATCH / max(seconds, 1e-9))
        count = max(2 * count, min(10 * count, wanted))
    return count
