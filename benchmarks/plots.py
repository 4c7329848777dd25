"""Plots of a run as SVG, the same bytes for the same figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import aims, tables, workloads
from benchmarks.contenders import BY_NAME, NATIVE
from benchmarks.results import Results

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    Plot = Callable[[Results], Figure | None]

COLOURS = ("#0b5d8a", "#69a9cf", "#1f7a4d", "#8fcaa8", "#b5651d", "#8a3b6b", "#777777")


def draw(results: Results, folder: Path) -> list[Path]:
    """Write calls.svg, starts.svg and sessions.svg, those that the results have figures for.

    Raises:
        ImportError: matplotlib is missing; it comes with ``winbridge[bench]``.
    """
    return written({"calls": _calls, "starts": _starts, "sessions": _sessions}, results, folder)


def written(plots: dict[str, Plot], results: Results, folder: Path) -> list[Path]:
    """Draw plots and write each as an SVG of its name.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("the plots need matplotlib: pip install 'winbridge[bench]'") from error
    matplotlib.use("svg")
    files = []
    with matplotlib.rc_context({"svg.hashsalt": "winbridge", "svg.fonttype": "none", "font.size": 9}):
        for name, plot in plots.items():
            figure = plot(results)
            if figure is not None:
                files.append(folder / f"{name}.svg")
                figure.savefig(files[-1], metadata={"Date": None, "Creator": None})
    return files


def new_figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """A figure of so many inches with its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns)


def _calls(results: Results) -> Figure | None:
    """Times native ctypes, by workload; on a logarithmic scale."""
    chosen = [workload for workload in workloads.CALLS if results.median(workload.name, NATIVE)]
    names = [name for name, each in BY_NAME.items() if each.native == NATIVE and name != NATIVE and not each.cores]
    names = [name for name in names if any(results.median(workload.name, name) for workload in chosen)]
    if not chosen or not names:
        return None
    figure, axes = new_figure(8, 1 + 0.16 * len(chosen) * (len(names) + 2))
    step = 0.8 / len(names)
    for number, name in enumerate(names):
        ratios = [results.ratio(workload.name, name, NATIVE) or 0 for workload in chosen]
        places = [index + number * step for index in range(len(chosen))]
        bars = axes.barh(places, ratios, step, label=name, color=COLOURS[number % len(COLOURS)])
        axes.bar_label(bars, [tables.digits(ratio) if ratio else "" for ratio in ratios], padding=2, fontsize=7)
    axes.set_yticks([index + 0.4 - step / 2 for index in range(len(chosen))], [each.title for each in chosen])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times ctypes in a Windows Python on Wine (less is better)")
    axes.margins(x=0.15)
    axes.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def _starts(results: Results) -> Figure | None:
    """Milliseconds from the start of a program to its first answer."""
    names = [name for name in BY_NAME if results.median("first_call", name)]
    if not names:
        return None
    figure, axes = new_figure(8, 1 + 0.3 * len(names))
    values = [(results.median("first_call", name) or 0) * 1e3 for name in names]
    bars = axes.barh(names, values, color=COLOURS[0])
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=2)
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds from the start of the program to the first answer")
    axes.margins(x=0.1)
    return figure


def _sessions(results: Results) -> Figure | None:
    """Memory of a session and throughput of all, by their number."""
    name = "drop-in" if "drop-in" in results.samples.get("memory_1", {}) else "drop-in, pure Python"
    counts = [count for count in workloads.COUNTS if results.median(f"memory_{count}", name)]
    if not counts:
        return None
    figure, (memory, rate) = new_figure(8, 3, 2)
    places = list(range(len(counts)))
    sizes = [(results.median(f"memory_{count}", name) or 0) / aims.MIB for count in counts]
    memory.bar(places, sizes, color=COLOURS[0])
    memory.set_title("private memory of one session, MiB")
    rate.bar(places, [results.median(f"throughput_{count}", name) or 0 for count in counts], color=COLOURS[2])
    rate.set_title("calls a second of all sessions")
    for axes in (memory, rate):
        axes.set_xticks(places, [str(count) for count in counts])
        axes.set_xlabel("sessions")
    return figure
