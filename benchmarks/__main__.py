"""python -m benchmarks: measure, or write the tables and plots of the documentation. See ``--help``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from benchmarks import peers, rounds, tables, workloads
from benchmarks.progress import tracked
from benchmarks.remote import workloads as remote_workloads
from benchmarks.remote.command import chosen, measure_remote, remote
from benchmarks.results import Results

LATEST = peers.CACHE / "bench" / "results.json"
LETTERS = (*workloads.LETTERS, *remote_workloads.LETTERS)


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="Few short rounds, at most 16 sessions: a look, not a measurement.")
@click.option("--only", callback=chosen(LETTERS), default=",".join(LETTERS), help="Letters of workloads, as in a,b.")
@click.option("--output", type=click.Path(dir_okay=False), default=str(LATEST), help="The JSON file of DLL calls.")
@click.pass_context
def main(context: click.Context, quick: bool, only: tuple[str, ...], output: str) -> None:
    """Measure winbridge and its peers in interleaved rounds, and print the medians.

    Letters a to i are DLL calls, j to p remote Python, which writes a JSON file remote.json beside the other.
    """
    if context.invoked_subcommand is not None:
        return
    calls = tuple(letter for letter in only if letter in workloads.LETTERS)
    if calls:
        measure(quick, calls, output)
    if calls != only:
        others = tuple(letter for letter in only if letter not in calls)
        measure_remote(quick, others, str(Path(output).with_name("remote.json")))


def measure(quick: bool, only: tuple[str, ...], output: str) -> None:
    """Run, write the results, print them."""
    console = Console()
    with tracked(console) as (say, track):
        results = rounds.run(rounds.QUICK if quick else rounds.FULL, only, say, track)
    results.write(Path(output))
    tables.show(tables.all_tables(results), console)
    console.print(f"written to {output}; python -m benchmarks report makes the documentation's tables and plots of it")


@main.command()
@click.option("--source", type=click.Path(exists=True, dir_okay=False), help="The JSON file to take, and keep there.")
def report(source: str | None) -> None:
    """Write the tables and plots that docs/benchmarks.rst shows."""
    from benchmarks import report

    report.write(Results.read(Path(source)) if source else None)


main.add_command(remote)

if __name__ == "__main__":
    main()
