"""python -m benchmarks remote: measure remote Python, or write its tables and plots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from benchmarks import tables
from benchmarks.peers import CACHE
from benchmarks.progress import tracked
from benchmarks.remote import rounds, workloads
from benchmarks.remote.tables import all_tables
from benchmarks.results import Results

LATEST = CACHE / "bench" / "remote.json"
Callback = Callable[[click.Context, click.Parameter, str], tuple[str, ...]]


def chosen(letters: tuple[str, ...]) -> Callback:
    """What reads an option ``--only``."""

    def read(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(value.replace(",", "")))
        unknown = [letter for letter in found if letter not in letters]
        if unknown:
            raise click.BadParameter(f"no workload {unknown[0]!r}; there are {', '.join(letters)}")
        return found

    return read


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="One short round: a look, not a measurement.")
@click.option("--only", callback=chosen(workloads.LETTERS), default=",".join(workloads.LETTERS), help="As in j,k.")
@click.option("--output", type=click.Path(dir_okay=False), default=str(LATEST), help="The JSON file to write.")
@click.pass_context
def remote(context: click.Context, quick: bool, only: tuple[str, ...], output: str) -> None:
    """Measure remote Python and its peers."""
    if context.invoked_subcommand is None:
        measure_remote(quick, only, output)


def measure_remote(quick: bool, only: tuple[str, ...], output: str) -> None:
    """Run, write the results, print them."""
    console = Console()
    with tracked(console) as (say, track):
        results = rounds.run(rounds.QUICK if quick else rounds.FULL, only, say, track)
    results.write(Path(output))
    tables.show(all_tables(results), console)
    console.print(f"written to {output}; python -m benchmarks remote report makes the documentation's tables of it")


@remote.command("report")
@click.option("--source", type=click.Path(exists=True, dir_okay=False), help="The JSON file to take, and keep there.")
def report(source: str | None) -> None:
    """Write the tables and plots that docs/benchmarks_remote.rst shows."""
    from benchmarks.remote import report

    report.write(Results.read(Path(source)) if source else None)
