"""Plots of a run as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.plots import COLOURS, new_figure, written
from benchmarks.remote import workloads
from benchmarks.remote.contenders import BY_NAME, CONTENDERS
from benchmarks.results import Results
from benchmarks.tables import digits
from benchmarks.workloads import Workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.plots import Plot

OURS, THEIRS = COLOURS[0], COLOURS[6]


def draw(results: Results, folder: Path) -> list[Path]:
    """Write remote_calls.svg, remote_rates.svg and remote_starts.svg, those that the results have figures for.

    Raises:
        ImportError: matplotlib is missing; it comes with ``winbridge[bench]``.
    """
    plots: dict[str, Plot] = {"remote_calls": _calls, "remote_rates": _rates, "remote_starts": _starts}
    return written(plots, results, folder)


def _bars(results: Results, axes: Any, workload: Workload, scale: float, label: str) -> None:
    found = [each.name for each in CONTENDERS if results.median(workload.name, each.name)]
    values = [(results.median(workload.name, name) or 0) * scale for name in found]
    bars = axes.barh(found, values, color=[OURS if BY_NAME[name].ours else THEIRS for name in found])
    axes.bar_label(bars, [digits(value) for value in values], padding=2, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.margins(x=0.2)


def _beside(results: Results, *shown: tuple[Workload, float, str]) -> Figure | None:
    chosen = [each for each in shown if results.samples.get(each[0].name)]
    if not chosen:
        return None
    figure, axes = new_figure(4.5 * len(chosen), 3.5, len(chosen))
    for each, (workload, scale, label) in zip([axes] if len(chosen) == 1 else axes, chosen, strict=True):
        _bars(results, each, workload, scale, label)
    return figure


def _calls(results: Results) -> Figure | None:
    """Microseconds of a call."""
    return _beside(
        results,
        (workloads.ONE_CORE, 1e6, "µs a call, one core (less is better)"),
        (workloads.TWO_CORES, 1e6, "µs a call, a core each (less is better)"),
    )


def _rates(results: Results) -> Figure | None:
    """Calls a second, and how fast large values travel."""
    return _beside(
        results,
        (workloads.MAPPED, 1e-3, "thousand calls a second, gathered"),
        (workloads.SUBMITTED, 1e-3, "thousand calls a second, a message each"),
        (workloads.ECHO_BYTES, 1e-6, "MB/s of 16 MiB there and back"),
    )


def _starts(results: Results) -> Figure | None:
    """Milliseconds until there is another Python."""
    return _beside(
        results,
        (workloads.CONNECT, 1e3, "ms to start and first answer"),
        (workloads.IMPORT, 1e3, "ms to import"),
    )
