"""Tables of a run: once as data, shown on a terminal or written as reStructuredText."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import aims, workloads
from benchmarks.contenders import BY_NAME
from benchmarks.results import Results
from benchmarks.workloads import Workload

MISSING = "–"


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        name: of its file in docs/benchmarks, without ``.inc``.
        title: what it shows.
        header, rows: its cells.
    """

    name: str
    title: str
    header: list[str]
    rows: list[list[str]]


def quantity(value: float | None, unit: str) -> str:
    """A figure with three digits and its unit."""
    if value is None:
        return MISSING
    if unit == workloads.SECONDS:
        scale, name = next((s, n) for s, n in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if value * s >= 1 or n == "µs")
        return f"{digits(value * scale)} {name}"
    if unit == workloads.BYTES:
        return f"{value / aims.MIB:.1f} MiB"
    if unit == workloads.SPEED:
        return f"{value / 1e6:,.0f} MB/s"
    return f"{value:.2%}" if unit == workloads.SHARE else f"{value:,.0f}"


def digits(value: float) -> str:
    """Three significant digits, at least all before the point."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def all_tables(results: Results) -> list[Table]:
    """Every table of a run; one may be empty."""
    return [
        aims_table(aims.outcomes(results)),
        _calls(results),
        _own(results),
        _by_contender(results, "starts", "Starts", workloads.STARTS),
        _sessions(results),
        _by_contender(results, "processor", "Processor time, as a share of one core", workloads.CONSUMED),
        failures_table(results, workloads.BY_NAME),
        machine_table(results),
    ]


def aims_table(outcomes: list[aims.Outcome], name: str = "aims") -> Table:
    """Which aims were met."""
    words = {True: "met", False: "**not met**", None: "not measured"}
    rows = [[each.aim, each.whose, each.figure or MISSING, words[each.met]] for each in outcomes]
    return Table(name, "Aims", ["aim", "with", "measured", ""], rows)


def _calls(results: Results) -> Table:
    chosen = [workload for workload in workloads.CALLS if workload.name in results.samples]
    names = [name for name in BY_NAME if any(name in results.samples[workload.name] for workload in chosen)]
    rows = [[name, *(_against_native(results, workload, name) for workload in chosen)] for name in names]
    return Table("calls", "A call", ["", *(workload.title for workload in chosen)], rows)


def _against_native(results: Results, workload: Workload, name: str) -> str:
    value = results.median(workload.name, name)
    ratio = results.ratio(workload.name, name, BY_NAME[name].native)
    shown = quantity(value, workload.unit)
    return shown if ratio is None or name == BY_NAME[name].native else f"{shown} ({digits(ratio)} ×)"


def _own(results: Results) -> Table:
    names = [name for name in BY_NAME if BY_NAME[name].kind == "load_dll" and BY_NAME[name].arch == "win64"]
    chosen = [workload for workload in (*workloads.OWN_CALLS, workloads.ASLEEP) if workload.name in results.samples]
    names = [name for name in names if any(name in results.samples[workload.name] for workload in chosen)]
    rows = [
        [workload.title, *(quantity(results.median(workload.name, name), workload.unit) for name in names)]
        for workload in chosen
    ]
    return Table("own", "Arrays, shared memory, sleepers", ["", *names], rows)


def _by_contender(results: Results, name: str, title: str, candidates: Iterable[Workload]) -> Table:
    chosen = [workload for workload in candidates if workload.name in results.samples]
    found = dict.fromkeys(name for workload in chosen for name in results.samples[workload.name])
    names = sorted(found, key=lambda each: [*BY_NAME, each].index(each))
    rows = [
        [each, *(quantity(results.median(workload.name, each), workload.unit) for workload in chosen)] for each in names
    ]
    return Table(name, title, ["", *(workload.title for workload in chosen)], rows)


def _sessions(results: Results) -> Table:
    rows = []
    for count in workloads.COUNTS:
        for name in results.samples.get(f"memory_{count}", {}):
            figures = [workload for workload in workloads.MANY if workload.name.endswith(f"_{count}")]
            cells = [quantity(results.median(workload.name, name), workload.unit) for workload in figures]
            rows.append([f"{count}, {name}", *cells])
    header = ["sessions", "to open one", "private memory of one", "of that the agent's", "calls a second, all"]
    return Table("sessions", "Sessions side by side, a thread each", header, rows)


def failures_table(results: Results, known: Mapping[str, Workload], name: str = "failures") -> Table:
    """What was not measured, by contender and reason.

    Args:
        results: of a run.
        known: the workloads by their names, for their titles.
        name: of the table.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for workload, by_contender in results.failures.items():
        title = known[workload].title if workload in known else workload
        for contender, reason in by_contender.items():
            found.setdefault((contender, reason), []).append(title)
    rows = [[contender, "; ".join(titles), reason] for (contender, reason), titles in found.items()]
    return Table(name, "Not measured", ["of", "figures", "reason"], rows)


def machine_table(results: Results, name: str = "machine") -> Table:
    """Where and when it was measured."""
    load = " and ".join(", ".join(f"{average:.2f}" for average in averages) for averages in results.load)
    counts = f"{results.effort['rounds']} rounds"
    if "slow_rounds" in results.effort:
        counts += f", {results.effort['slow_rounds']} of the slow peers and of sessions"
    run = {"measured": f"{results.began} to {results.ended}, {counts}", "load average": load}
    return Table(name, "Machine", ["", ""], [[what, value] for what, value in {**results.machine, **run}.items()])


def show(tables: Iterable[Table], console: Console) -> None:
    """Print those that have anything to show."""
    for table in filter(lambda table: table.rows, tables):
        shown = RichTable(*table.header, title=table.title, title_justify="left")
        for row in table.rows:
            shown.add_row(*(cell.replace("**", "") for cell in row))
        console.print(shown)


def as_rst(table: Table) -> str:
    """A ``list-table``, or a word where there is nothing."""
    if not table.rows:
        return "Nothing.\n"
    lines = [".. list-table::", *["    :header-rows: 1"] * any(table.header), ""]
    for row in [table.header] * any(table.header) + table.rows:
        lines += [f"    {'*' if number == 0 else ' '} - {cell}".rstrip() for number, cell in enumerate(row)]
    return "\n".join(lines) + "\n"
