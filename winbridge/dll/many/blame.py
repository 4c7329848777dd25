"""Which of many calls an error is of."""

from __future__ import annotations

import sys
from typing import Any

from winbridge.core.errors import WindowsFault


def blame(error: Exception, index: int, results: Any) -> Exception:
    """The error, with the attributes ``index`` and ``results`` (of the items before), and the index in its text."""
    note = f"item {index:,}"
    if isinstance(error, WindowsFault):
        error.args = (f"{error.args[0]} ({note})",)
    elif sys.version_info >= (3, 11):
        error.add_note(note)
    error.index, error.results = index, results  # type: ignore[attr-defined]
    return error
