"""Tables of a run."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.remote import aims, workloads
from benchmarks.remote.contenders import BASELINE, CONTENDERS
from benchmarks.results import Results
from benchmarks.tables import Table, aims_table, digits, failures_table, machine_table, quantity
from benchmarks.workloads import Workload


def all_tables(results: Results) -> list[Table]:
    """Every table of a run; one may be empty."""
    return [
        aims_table(aims.outcomes(results), "remote_aims"),
        _table(results, "remote_calls", "A call", (workloads.CALL, *workloads.PLACED.values(), workloads.APPEND)),
        _table(results, "remote_rates", "Many calls", (workloads.MAPPED, workloads.SUBMITTED)),
        _table(results, "remote_echoes", "Large values", (workloads.ECHO_BYTES, workloads.ECHO_ARRAY)),
        _table(
            results, "remote_starts", "Starts",
            (workloads.CONNECT, workloads.CONNECT_AGAIN, workloads.IMPORT, workloads.MEMORY),
        ),
        failures_table(results, workloads.BY_NAME, "remote_failures"),
        machine_table(results, "remote_machine"),
    ]  # fmt: skip


def _table(results: Results, name: str, title: str, candidates: Iterable[Workload]) -> Table:
    chosen = [workload for workload in candidates if workload.name in results.samples]
    found = [each.name for each in CONTENDERS if any(each.name in results.samples[one.name] for one in chosen)]
    rows = [[each, *(_cell(results, workload, each) for workload in chosen)] for each in found]
    return Table(name, title, ["", *(workload.title for workload in chosen)], rows)


def _cell(results: Results, workload: Workload, name: str) -> str:
    """The figure, with how many times that of the standard library's, or of a call, it is."""
    shown = quantity(results.median(workload.name, name), workload.unit)
    if workload == workloads.APPEND:
        ratio = results.ratio(workload.name, name, name, workloads.CALL.name)
    else:
        ratio = None if name == BASELINE else results.ratio(workload.name, name, BASELINE)
    return shown if ratio is None else f"{shown} ({digits(ratio)} ×)"
