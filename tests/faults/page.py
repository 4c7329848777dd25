"""Writes docs/faults.rst from the matrix: python -m tests.faults.page"""

from __future__ import annotations

from itertools import groupby

from tests.faults import agents, calls, clients, dlls, machine, prefixes, starting
from tests.faults.matrix import MATRIX, ROOT, Row

PAGE = ROOT / "docs" / "faults.rst"

ORDER = [module.GROUP for module in (agents, calls, dlls, starting, prefixes, machine, clients)]

HEAD = """\
Faults
======

What can go wrong, what your program sees of it, and what works afterwards. Each row is a test that provokes the fault
for real (``tests/test_fault_matrix.py``); this page is written from the same rows. *Within* is the longest time from
the fault to the exception, or to the end of what ends, on a machine that is not busy with something else.

A Windows process that is stopped with SIGSTOP stays if the Python program is killed meanwhile, until it is told to go
on; then it ends too.

"""


def text() -> str:
    """The page, in reStructuredText."""
    by_group = sorted(MATRIX, key=lambda row: ORDER.index(row.group))  # a stable sort
    tables = (section(group, list(rows)) for group, rows in groupby(by_group, key=lambda row: row.group))
    return HEAD + "\n".join(tables)


def section(group: str, rows: list[Row]) -> str:
    lines = [group, "-" * len(group), "", ".. list-table::", "    :header-rows: 1", "    :widths: 24 18 10 40", ""]
    for cells in [("fault", "exception", "within", "what works afterwards"), *map(cells_of, rows)]:
        lines += [f"    {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"


def cells_of(row: Row) -> tuple[str, str, str, str]:
    seen = "none" if row.seen is None else f"``{row.seen.__name__}``"
    within = "" if row.within is None else f"{row.within * 1000:.0f} ms" if row.within < 1 else f"{row.within:g} s"
    return row.fault, seen, within, row.after


if __name__ == "__main__":
    PAGE.write_text(text())
