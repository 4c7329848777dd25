"""The tables and plots that docs/benchmarks.rst shows, from docs/benchmarks/results.json."""

from __future__ import annotations

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
    kept = folder / "results.json"
    if results is not None:
        results.write(kept)
    results = Results.read(kept)
    written = [kept]
    for table in tables.all_tables(results):
        written.append(folder / f"{table.name}.inc")
        written[-1].write_text(tables.as_rst(table))
    return written + plots.draw(results, folder)
