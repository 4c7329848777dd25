"""python -m benchmarks: measure, or write the tables and plots of the documentation. See ``--help``."""

from __future__ import annotations

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks import peers, rounds, workloads
from benchmarks.results import Results

LATEST = peers.CACHE / "bench" / "results.json"


def _letters(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, ...]:
    letters = tuple(dict.fromkeys(value.replace(",", "")))
    unknown = [letter for letter in letters if letter not in workloads.LETTERS]
    if unknown:
        raise click.BadParameter(f"no workload {unknown[0]!r}; there are {', '.join(workloads.LETTERS)}")
    return letters


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="Few short rounds, at most 16 sessions: a look, not a measurement.")
@click.option("--only", callback=_letters, default=",".join(workloads.LETTERS), help="Letters of workloads, as in a,b.")
@click.option("--output", type=click.Path(dir_okay=False), default=str(LATEST), help="The JSON file to write.")
@click.pass_context
def main(context: click.Context, quick: bool, only: tuple[str, ...], output: str) -> None:
    """Measure winbridge and its peers in interleaved rounds, and print the medians."""
    if context.invoked_subcommand is None:
        measure(quick, only, output)


def measure(quick: bool, only: tuple[str, ...], output: str) -> None:
    """Run, write the results, print them."""
    from pathlib import Path

    from benchmarks import tables

    console = Console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    # Drawn after each step only: a redraw takes the processor from what is measured.
    with Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False) as progress:
        task = progress.add_task("preparing", total=None)

        def track(titles: list[str]) -> rounds.Step:
            waiting = iter([*titles[1:], "done"])
            progress.update(task, total=len(titles), description=titles[0] if titles else "done")
            return lambda: progress.update(task, advance=1, description=next(waiting), refresh=True)

        def say(text: str) -> None:
            progress.update(task, description=text, refresh=True)

        results = rounds.run(rounds.QUICK if quick else rounds.FULL, only, say, track)
    results.write(Path(output))
    tables.show(results, console)
    console.print(f"written to {output}; python -m benchmarks report makes the documentation's tables and plots of it")


@main.command()
@click.option("--source", type=click.Path(exists=True, dir_okay=False), help="The JSON file to take, and keep there.")
def report(source: str | None) -> None:
    """Write the tables and plots that docs/benchmarks.rst shows."""
    from pathlib import Path

    from benchmarks import report

    report.write(Results.read(Path(source)) if source else None)


if __name__ == "__main__":
    main()
