"""winbridge's ctypes and a Windows Python's own on Wine tell the same about every case of ``dropin_cases``.

Where they do not, on purpose, ``dropin_cases.DIFFERENCES`` says so, and why.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import dropin_cases
from tests.conftest import ROOT
from tests.cpython.launch import watched
from tests.dropin_registry import ALONE, CASES
from tests.fix_dlls import COMPILERS, compile_dll
from winbridge.core import paths, wine
from winbridge.core.config import Config
from winbridge.core.prefix import ensure

pytestmark = pytest.mark.wine
ARCHS = ("win64", "win32")
DLLS = ROOT / "tests" / "dlls"
PYTHONS = ROOT / ".cache" / "windows-python"
NO_PYTHON = "NO WINDOWS PYTHON in {}: PARITY WITH ctypes IS NOT TESTED. Make one: python scripts/windows_python.py"
MOST_CRASHES = 5


@pytest.fixture(scope="module")
def dlls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each architecture with dropin.dll, and decorated.dll with names as MSVC's linker makes them."""
    folder = tmp_path_factory.mktemp("dropin")
    for arch, compiler in COMPILERS.items():
        home = folder / arch
        home.mkdir()
        compile_dll(arch, DLLS / "dropin.c", home / "dropin.dll", str(DLLS / "dropin.def"))
        sources = DLLS / "decorated.c", DLLS / f"decorated-{arch}.def"
        subprocess.run([compiler, "-shared", "-static-libgcc", "-o", home / "decorated.dll", *sources], check=True)
    return folder


def run_cases(side: str, arch: str, folder: Path) -> dict[str, Any]:
    """What each case tells; one that a process dies in tells of that, and the next process goes on behind it."""
    config = Config()
    prefix = ensure(config)
    report = folder / f"{side}.json"
    report.touch()
    files = [Path(dropin_cases.__file__), folder / arch / "dropin.dll", folder, report]
    named = [paths.unix_to_windows(file, prefix) for file in files]
    environment = {**os.environ, "DROPIN_FOLDER_ON_WINDOWS": named[2]}
    if side == "windows":
        script, dll, *rest = named
        command = [
            str(wine.find_loader(config, arch).path),
            str(PYTHONS / arch / "python.exe"),
            script,
            side,
            dll,
            *rest,
        ]
        environment.update(wine.environment(config))
    else:
        script, dll, *rest = map(str, files)
        command = [sys.executable, script, side, named[1], *rest]
        environment["WINBRIDGE_ARCH"] = arch
    for _ in range(MOST_CRASHES):
        ended, said = watched(command, {**environment, "PYTHONDONTWRITEBYTECODE": "1"})
        lines = [json.loads(line) for line in report.read_text().splitlines()]
        assert lines, said
        if lines[-1] == [dropin_cases.END]:
            return {line[0]: line[1] for line in lines if len(line) == 2}
        with report.open("a") as file:
            print(
                json.dumps([lines[-1][0], {"case failed": f"the process ended with {ended}: {said[-3000:]}"}]),
                file=file,
            )
    raise AssertionError(f"more than {MOST_CRASHES} processes of {side} for {arch} died: {said[-3000:]}")


@pytest.fixture(scope="module")
def outcomes(dlls: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What all cases tell, by architecture and side."""
    archs = [arch for arch in ARCHS if (PYTHONS / arch / "python.exe").exists() and wine.supports(arch)]
    found = {}
    for arch in archs:
        for side in ("windows", "winbridge"):
            folder = dlls / f"{arch}-{side}"
            folder.mkdir()
            (folder / arch).symlink_to(dlls / arch)
            found[arch, side] = run_cases(side, arch, folder)
    return found


def told(outcomes: dict[tuple[str, str], dict[str, Any]], arch: str, side: str, name: str) -> Any:
    if (arch, side) not in outcomes:
        pytest.skip(NO_PYTHON.format(PYTHONS / arch))
    outcome = outcomes[arch, side][name]
    assert not (isinstance(outcome, dict) and "case failed" in outcome), f"{side}: {outcome['case failed']}"
    return outcome


def normal(outcome: Any) -> Any:
    """Without what differs by version: Pythons after the Windows one word in other ways what from_param refuses."""
    if isinstance(outcome, dict):
        return {key: normal(value) for key, value in outcome.items()}
    if isinstance(outcome, list):
        return [normal(value) for value in outcome]
    if isinstance(outcome, str) and sys.version_info[:2] != (3, 11):
        return re.sub(r"^(argument \d+): .*", r"\1", outcome)
    return outcome


@pytest.mark.parametrize("name", CASES)
def test_same_as_ctypes_on_windows(outcomes, arch, name):
    here, there = (normal(told(outcomes, arch, side, name)) for side in ("winbridge", "windows"))
    where, reason = dropin_cases.DIFFERENCES.get(name, ("nowhere", ""))
    if where in ("", arch):
        assert here != there, f"no longer different, take it out of DIFFERENCES: {reason}"
    else:
        assert here == there


@pytest.mark.parametrize("name", ALONE)
def test_what_only_winbridge_promises(outcomes, arch, name):
    assert told(outcomes, arch, "winbridge", name) == ALONE[name][1]


def test_every_difference_has_a_case():
    assert set(dropin_cases.DIFFERENCES) <= set(CASES)
