"""What winbridge.remote aims at, and whether a run met it."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.aims import Outcome, at_least, at_most
from benchmarks.remote.contenders import BASELINE, PIPE, SESSION, SHARED, TCP, UNIX
from benchmarks.results import Results


def outcomes(results: Results) -> list[Outcome]:
    """The aims of what was asked for, in the order of the workloads."""
    every = [*_calls(results), *_rates(results), *_starts(results)]
    return [outcome for outcome in every if outcome.aim[1] in results.letters]


def _calls(results: Results) -> Iterator[Outcome]:
    for workload, cores in (("call", "not pinned"), ("call_one_core", "one core")):
        for name in (PIPE, UNIX):
            ratio = results.ratio(workload, name, BASELINE)
            aim = f"(j) at most 1.5 times multiprocessing.connection, {cores}"
            yield at_most(aim, name, ratio, 1.5, lambda v: f"{v:.2f} ×")
    call = results.median("call_two_cores", SHARED)
    yield at_most("(j) at most 15 µs, a core each", SHARED, call, 15e-6, lambda v: f"{v * 1e6:.1f} µs")


def _rates(results: Results) -> Iterator[Outcome]:
    for name in (SHARED, PIPE, UNIX, TCP):
        rate = results.median("mapped", name)
        yield at_least("(k) at least 100,000 calls a second", name, rate, 100_000, lambda v: f"{v:,.0f}")
    for workload, what in (("echo_bytes", "bytes"), ("echo_array", "a numpy array")):
        for name in (SHARED, PIPE, UNIX, TCP):
            speed = results.median(workload, name)
            aim = f"(l) 16 MiB of {what}: at least 1,000 MB/s"
            yield at_least(aim, name, speed, 1e9, lambda v: f"{v / 1e6:,.0f} MB/s")
    for name in (SHARED, PIPE, UNIX, TCP):
        ratio = results.ratio("append", name, name, "call")
        yield at_most("(m) append at most 1.2 times a call", name, ratio, 1.2, lambda v: f"{v:.2f} ×")


def _starts(results: Results) -> Iterator[Outcome]:
    for workload, aim, limit in (
        ("connect", "(n) new local process: at most 60 ms", 0.06),
        ("import", "(o) import: at most 40 ms", 0.04),
    ):
        for name in (SHARED, SESSION):
            yield at_most(aim, name, results.median(workload, name), limit, lambda v: f"{v * 1e3:.0f} ms")
