"""The tables and plots that docs/benchmarks.rst shows, from docs/benchmarks/results.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import peers, plots, tables
from benchmarks.results import Results

FOLDER = peers.ROOT / "docs" / "benchmarks"


def write(results: Results | None = None, folder: Path = FOLDER) -> list[Path]:
    """Write them.

    Args:
        results: to keep as results.json; None takes those that are kept.
        folder: where results.json, the tables and the plots are.

    Returns:
        what was written.
    """
    return keep(results, folder, "results.json", tables.all_tables, plots.draw)


def keep(
    results: Results | None, folder: Path, name: str,
    tables_of: Callable[[Results], list[tables.Table]], draw: Callable[[Results, Path], list[Path]],
) -> list[Path]:  # fmt: skip
    """Write results, their tables and their plots.

    Args:
        results, folder: see ``write``.
        name: of the file with the results.
        tables_of: makes the tables.
        draw: writes the plots into a folder.
    """
    kept = folder / name
    if results is not None:
        results.write(kept)
    results = Results.read(kept)
    written = [kept]
    for table in tables_of(results):
        written.append(folder / f"{table.name}.inc")
        written[-1].write_text(tables.as_rst(table))
    return written + draw(results, folder)
