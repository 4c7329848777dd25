"""The same types with the ctypes of a Windows Python on Wine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cpython.launch import PYTHONS, watched
from tests.layouts import cases
from winbridge.core import paths, wine
from winbridge.core.config import Config
from winbridge.core.prefix import ensure

NO_PYTHON = "NO WINDOWS PYTHON in {}: LAYOUTS ARE NOT COMPARED. Make one: python scripts/windows_python.py"


def why_not(arch: str) -> str | None:
    """What is missing here to run it."""
    python = PYTHONS / arch / "python.exe"
    return None if python.exists() else NO_PYTHON.format(python.parent)


def answer(arch: str, measured: list[Any], filled: list[Any], folder: Path) -> tuple[list[Any], list[Any]]:
    """``cases.answer`` there; one process for all.

    Raises:
        AssertionError: it crashed, or gave no answer.
    """
    config = Config()
    prefix = ensure(config)
    asked, told = folder / f"{arch}.asked.json", folder / f"{arch}.told.json"
    asked.write_text(json.dumps([measured, filled]))
    files = [paths.unix_to_windows(file, prefix) for file in (cases.__file__, asked, told)]
    command = [str(wine.find_loader(config, arch).path), str(PYTHONS / arch / "python.exe"), *files]
    ended, said = watched(command, {**wine.environment(config), "PYTHONDONTWRITEBYTECODE": "1"})
    assert ended == 0 and told.exists(), f"Windows Python ended with {ended}: {said}"
    measures, fills = json.loads(told.read_text())
    return measures, fills
