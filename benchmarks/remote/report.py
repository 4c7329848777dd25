"""The tables and plots that docs/benchmarks_remote.rst shows, from docs/benchmarks/remote.json."""

from __future__ import annotations

from pathlib import Path

from benchmarks.remote import plots, tables
from benchmarks.report import FOLDER, keep
from benchmarks.results import Results


def write(results: Results | None = None, folder: Path = FOLDER) -> list[Path]:
    """Write them; see ``benchmarks.report.write``."""
    return keep(results, folder, "remote.json", tables.all_tables, plots.draw)
