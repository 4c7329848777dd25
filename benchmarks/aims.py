"""What winbridge aims at, and whether a run met it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.contenders import NATIVE
from benchmarks.results import Results
from benchmarks.workloads import COUNTS

MIB = 1 << 20
NO_COPY = 3
"""Times the rate of memcpy, from which on nothing can have been copied."""

NONE = 0.001
"""The share of a core that counts as none: below what the clocks of an idle machine tell."""


class Outcome(NamedTuple):
    """One aim for one way to call.

    Attributes:
        aim: in words, with its limit.
        whose: the contender.
        figure: as text; "" where nothing was measured.
        met: whether it is; None where nothing was measured.
    """

    aim: str
    whose: str
    figure: str
    met: bool | None


def outcomes(results: Results) -> list[Outcome]:
    """The aims of what was asked for, in the order of the workloads."""
    every = [*_calls(results), *_buffers(results), *_arrays(results), *_starts(results), *_sessions(results)]
    return [outcome for outcome in every if outcome.aim[1] in results.letters]


def _judged(
    aim: str, whose: str, value: float | None, shown: Callable[[float], str], met: Callable[[float], bool]
) -> Outcome:
    return Outcome(aim, whose, "", None) if value is None else Outcome(aim, whose, shown(value), met(value))


def _calls(results: Results) -> Iterator[Outcome]:
    for workload, letter, names, limit in (
        ("two_ints", "a", ("load_dll", "drop-in"), 3),
        ("two_ints", "a", ("load_dll, pure Python", "drop-in, pure Python"), 6),
        ("ten_floats", "b", ("load_dll", "drop-in"), 1.5),
        ("nine_callbacks", "c", ("load_dll", "drop-in"), 3),
    ):
        for name in names:
            ratio = results.ratio(workload, name, NATIVE)
            aim = f"({letter}) at most {limit:g} times native ctypes"
            yield at_most(aim, name, ratio, limit, lambda v: f"{v:.1f} ×")
    for name in ("load_dll, one core", "load_dll, pure Python, one core"):
        value = results.median("asleep", name)
        yield at_most("(a) both sides asleep: at most 15 µs", name, value, 15e-6, lambda v: f"{v * 1e6:.1f} µs")


def at_most(aim: str, whose: str, value: float | None, limit: float, shown: Callable[[float], str]) -> Outcome:
    """An aim that a figure meets up to a limit; None is a figure that is missing."""
    return _judged(aim, whose, value, shown, lambda v: v <= limit)


def at_least(aim: str, whose: str, value: float | None, limit: float, shown: Callable[[float], str]) -> Outcome:
    """An aim that a figure meets from a limit on; None is a figure that is missing."""
    return _judged(aim, whose, value, shown, lambda v: v >= limit)


def memcpy_share(results: Results, name: str) -> float | None:
    """The rate of the buffer each way as a share of memcpy's: what it takes longer than on Windows, for two copies."""
    ours, native = results.median("big_buffer", name), results.median("big_buffer", NATIVE)
    copy = results.median("memcpy", "load_dll") or results.median("memcpy", "load_dll, pure Python")
    if ours is None or native is None or copy is None:
        return None
    return 2 * copy / max(ours - native, 1e-9)


def _buffers(results: Results) -> Iterator[Outcome]:
    def shown(share: float) -> str:
        return "no copy" if share > NO_COPY else f"{share:.0%}"

    for name in ("load_dll", "drop-in"):
        share = memcpy_share(results, name)
        yield at_least("(e) 16 MiB each way: at least 70 % of memcpy", name, share, 0.7, shown)
    ratio = results.ratio("shared_read_16_MiB", "load_dll", "load_dll", "shared_read_4_KiB")
    aim = "(e) shared_array independent of size: 16 MiB at most 1.2 times 4 KiB"
    yield at_most(aim, "load_dll", ratio, 1.2, lambda v: f"{v:.2f} ×")


def _arrays(results: Results) -> Iterator[Outcome]:
    native = results.median("many_calls", NATIVE)
    for name in ("load_dll", "load_dll, pure Python"):
        ours = results.median("vectorized_calls", name)
        ratio = native / ours if native and ours else None
        aim = "(f) vectorize at least 5 times faster than native ctypes in a loop"
        yield at_least(aim, name, ratio, 5, lambda v: f"{v:.1f} × faster")


def _starts(results: Results) -> Iterator[Outcome]:
    for aim, workload, names, limit in (
        ("(g) session and first call, warm: at most 60 ms", "session", ("load_dll", "drop-in"), 0.06),
        ("(g) the same, cold: at most 800 ms", "cold_session", ("load_dll", "drop-in"), 0.8),
        ("(g) import: at most 40 ms", "import", ("load_dll", "drop-in"), 0.04),
    ):
        for name in names:
            yield at_most(aim, name, results.median(workload, name), limit, lambda v: f"{v * 1e3:.0f} ms")


def _sessions(results: Results) -> Iterator[Outcome]:
    counts = [count for count in COUNTS if f"memory_{count}" in results.samples]
    for count in counts or [COUNTS[-1]]:
        value = results.median(f"memory_{count}", "drop-in")
        aim = f"(h) private memory of a session, {count} open: at most 12 MiB"
        yield at_most(aim, "drop-in", value, 12 * MIB, lambda v: f"{v / MIB:.1f} MiB")
    value = results.median("idle", "drop-in")
    yield at_most("(i) idle sessions: no processor time", "drop-in", value, NONE, lambda v: f"{v:.3%} of a core")
