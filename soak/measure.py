"""One part of the soak in a process of its own: ``python -m soak.measure PART ARCH DLLS COUNT SAMPLES``.

It prints a line of JSON for each sample: ``done``, ``seconds`` and ``gauges``. The first is taken after a warm-up.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soak.gauges import MEMORY
from soak.parts import PARTS, Gauges, Work

SETTLE = 2.0
"""Seconds that a count may take to come back to what it was: threads of an agent end a little after ours."""


def measure(work: Work, gauges: Gauges, warm_up: int, count: int, samples: int) -> Iterator[dict[str, Any]]:
    """Warm up, then do ``count``; yield ``samples`` + 1 samples of that."""
    gauges()
    _repeat(work, warm_up)
    first = _settled(gauges, None)
    started, done = time.perf_counter(), 0
    yield {"done": 0, "seconds": 0.0, "gauges": first}
    for number in range(1, samples + 1):
        done += _repeat(work, count * number // samples - done)
        yield {"done": done, "seconds": time.perf_counter() - started, "gauges": _settled(gauges, first)}


def _repeat(work: Work, count: int) -> int:
    done = 0
    while done < count:
        done += work()
    return done


def _settled(gauges: Gauges, first: dict[str, int] | None) -> dict[str, int]:
    gc.collect()
    deadline = time.monotonic() + SETTLE
    while True:
        found = gauges()
        if first is None or time.monotonic() > deadline:
            return found
        if all(found[name] <= first[name] for name in found if name not in MEMORY):
            return found


def main(part: str, arch: str, dlls: str, count: str, samples: str) -> None:
    with PARTS[part].open(arch, Path(dlls)) as (work, gauges):
        for sample in measure(work, gauges, PARTS[part].warm_up, int(count), int(samples)):
            print(json.dumps(sample), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
