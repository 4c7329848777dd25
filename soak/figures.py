"""What the samples of a run say: whether anything grew, and the tables of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from soak.gauges import MEMORY

Samples = list[dict[str, Any]]

SLACK = 1024
"""KiB that memory may grow by between the first and the last sample: allocators give back what they like."""


def slope(samples: Samples, gauge: str) -> float:
    """By how much a gauge grows for each thousand, fitted to all samples by least squares."""
    xs = [sample["done"] / 1000 for sample in samples]
    ys = [sample["gauges"][gauge] for sample in samples]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread


def grown(samples: Samples) -> dict[str, str]:
    """The gauges that are not flat, and how they went.

    A count has to be no higher at the end than in the middle (what is opened once, if late, is no leak), and fitted
    memory to grow by no more than SLACK.
    """
    found = {}
    for gauge in samples[0]["gauges"]:
        values = [sample["gauges"][gauge] for sample in samples]
        growth = slope(samples, gauge) * samples[-1]["done"] / 1000
        if growth > SLACK if gauge in MEMORY else values[-1] > values[len(values) // 2]:
            found[gauge] = f"{values}: {growth:+.0f} over {samples[-1]['done']}"
    return found


def memory_rows(runs: list[dict[str, Any]]) -> Iterator[list[str]]:
    """The table of memory: a header, then a row for each gauge of each run."""
    yield ["what", "arch", "KiB", "start", "middle", "end", "slope for each 1,000"]
    for run in runs:
        samples = run["samples"]
        for gauge in MEMORY:
            if gauge in samples[0]["gauges"]:
                values = [f"{value:,}" for value in _picked(samples, gauge)]
                yield [_title(run), run["arch"], gauge, *values, _shown(slope(samples, gauge))]


def count_rows(runs: list[dict[str, Any]]) -> Iterator[list[str]]:
    """The table of counts: a header, then a row for each run; start, middle and end in each field."""
    gauges = dict.fromkeys(gauge for run in runs for gauge in run["samples"][0]["gauges"])
    counts = [gauge for gauge in gauges if gauge not in MEMORY]
    yield ["what", "arch", *counts]
    for run in runs:
        samples = run["samples"]
        known = samples[0]["gauges"]
        fields = [", ".join(map(str, _picked(samples, gauge))) if gauge in known else "" for gauge in counts]
        yield [_title(run), run["arch"], *fields]


def _title(run: dict[str, Any]) -> str:
    return f"{run['samples'][-1]['done']:,} {run['part']}"


def _picked(samples: Samples, gauge: str) -> list[int]:
    return [samples[index]["gauges"][gauge] for index in (0, len(samples) // 2, -1)]


def _shown(value: float) -> str:
    return f"{value:+.3f}" if abs(value) >= 0.0005 else "0"


def thread_rows(hammered: dict[str, Any]) -> Iterator[list[str]]:
    """The table of the threads: a header, then a row for each kind of check."""
    yield ["what is checked", "done", "errors"]
    for name, done in sorted(hammered["done"].items()):
        yield [name, f"{done:,}", str(sum(f": {name}:" in error for error in hammered["errors"]))]
    yield ["all", f"{sum(hammered['done'].values()):,}", str(len(hammered["errors"]))]
