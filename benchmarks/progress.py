"""How far a run is, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Say = Callable[[str], None]
Track = Callable[[list[str]], Callable[[], object]]


@contextmanager
def tracked(console: Console) -> Iterator[tuple[Say, Track]]:
    """Show it meanwhile.

    Returns:
        what is told of preparations, and what is given the titles of all steps and returns what is called after each.
    """
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    # Drawn after each step only: a redraw takes the processor from what is measured.
    with Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False) as progress:
        task = progress.add_task("preparing", total=None)

        def track(titles: list[str]) -> Callable[[], object]:
            waiting = iter([*titles[1:], "done"])
            progress.update(task, total=len(titles), description=titles[0] if titles else "done")
            return lambda: progress.update(task, advance=1, description=next(waiting), refresh=True)

        def say(text: str) -> None:
            progress.update(task, description=text, refresh=True)

        yield say, track
