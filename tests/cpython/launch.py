"""Start tests/cpython/run.py under a Windows Python or under winbridge, again after each crash, until all is told."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT
from tests.cpython import run
from winbridge.core import paths, wine
from winbridge.core.config import Config
from winbridge.core.prefix import ensure

CACHE = ROOT / ".cache" / "cpython"
LIBRARY = CACHE / "Lib"
PYTHONS = ROOT / ".cache" / "windows-python"
SECONDS = 180
"""After which a process counts as hanging; a watchdog, no test should come near."""

OUTSIDE = "outside of any test"
"""Stands for a test where a process ends other than it should at its start or its end."""


class Outcome(NamedTuple):
    """Of one test: ``ok``, ``fail``, ``error``, ``skip``, ``crash`` or ``hang``, and what there is to say."""

    outcome: str
    detail: str


def modules() -> list[str]:
    """Names of the test modules fetched, empty where there are none."""
    return sorted(path.stem for path in (LIBRARY / "ctypes" / "test").glob("test_*.py"))


def helper(arch: str) -> Path:
    return CACHE / arch / "_ctypes_test.dll"


def on_windows(arch: str, names: Sequence[str]) -> dict[str, Outcome]:
    """Outcomes of test modules under the Windows Python's own ctypes, by test."""
    config = Config()
    prefix = ensure(config)
    with tempfile.TemporaryDirectory(prefix="winbridge-") as folder:
        report = Path(folder, "report")
        files = [paths.unix_to_windows(path, prefix) for path in (run.__file__, LIBRARY, helper(arch), report)]
        program = [str(wine.find_loader(config, arch).path), str(PYTHONS / arch / "python.exe")]
        command = [*program, files[0], "windows", *files[1:], *names]
        return collect(command, wine.environment(config), report)


def under_winbridge(arch: str, name: str) -> dict[str, Outcome]:
    """Outcomes of one test module under winbridge's drop-in, by test."""
    with tempfile.TemporaryDirectory(prefix="winbridge-") as folder:
        report = Path(folder, "report")
        command = [sys.executable, "-m", run.__name__, arch, str(LIBRARY), str(helper(arch)), str(report), name]
        return collect(command, {**os.environ, "WINBRIDGE_ARCH": arch}, report)


def collect(command: Sequence[str], environment: Mapping[str, str], report: Path) -> dict[str, Outcome]:
    """Run until the report is complete; the test that a process died in, or never left, is noted there."""
    report.touch()
    while True:
        ended, said = watched(command, {**environment, "PYTHONDONTWRITEBYTECODE": "1"})
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        outcomes = {test: Outcome(*result) for test, *result in lines if result}
        last = lines[-1] if lines else [run.END]
        if last == [run.END] and lines and ended == 0:
            return outcomes
        if last == [run.END] or len(last) > 1:
            return {**outcomes, OUTSIDE: verdict(ended, said)}
        with report.open("a") as file:
            file.write(json.dumps([*last, *verdict(ended, said)]) + "\n")


def verdict(ended: int | None, said: str) -> Outcome:
    last = " | ".join(said.strip().splitlines()[-3:])
    if ended is None:
        return Outcome("hang", f"still running after {SECONDS} s: {last}")
    return Outcome("crash", f"the process ended with {ended}: {last}")


def watched(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int | None, str]:
    """The exit status, None if it had to be killed, and the output.

    Read until the process ends, not the pipe: services of Wine may hold the other end. The Windows Python needs pipes
    for its standard handles.
    """
    reader, writer = os.pipe()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=environment, cwd=ROOT
    )
    ended = os.pidfd_open(process.pid)
    said = b""
    until = time.monotonic() + SECONDS
    while (ready := select.select([reader, ended], [], [], max(0, until - time.monotonic()))[0]) and reader in ready:
        said += os.read(reader, 65536)
    if not ready:
        process.kill()
    status = process.wait()
    for descriptor in (reader, writer, ended):
        os.close(descriptor)
    return (status if ready else None), said.decode(errors="replace")
