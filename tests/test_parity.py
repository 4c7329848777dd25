"""One body of cases under winbridge and under a Windows Python's own ctypes on Wine: the outcomes are the same.

Where they are not, on purpose, ``parity_cases.DELIBERATE`` says so, and why.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import winbridge
from tests import parity_cases
from tests.conftest import ROOT
from winbridge.core import paths, wine
from winbridge.core.config import Config
from winbridge.core.prefix import ensure
from winbridge.ctypes.implicit import implicit
from winbridge.dll.own import c_longlong, c_ulonglong

pytestmark = pytest.mark.wine
PYTHONS = ROOT / ".cache" / "windows-python"
TYPES = ("standard", "winbridge", "dropin")
"""Functions from ``load_dll`` with types of the standard library, with winbridge's, and all from winbridge.ctypes."""

NO_PYTHON = "NO WINDOWS PYTHON in {}: PARITY WITH ctypes IS NOT TESTED. Make one: python scripts/windows_python.py"


class Bridged:
    """The names of ctypes, for Windows, on Linux, with functions from ``load_dll``."""

    get_last_error = staticmethod(winbridge.get_last_error)
    set_last_error = staticmethod(winbridge.set_last_error)
    get_errno = staticmethod(winbridge.get_errno)
    set_errno = staticmethod(winbridge.set_errno)

    def __init__(self, arch: str, types: Any) -> None:
        self.arch = arch
        self.types = types

    def CDLL(self, name: str, **options: Any) -> winbridge.Dll:
        return winbridge.load_dll(name, arch=self.arch, convention="cdecl", **options)

    def WinDLL(self, name: str, **options: Any) -> winbridge.Dll:
        return winbridge.load_dll(name, arch=self.arch, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.types, name)


def namespace(arch: str, types: str) -> Any:
    """ctypes as the cases see it."""
    own = SimpleNamespace(**implicit(arch).names())
    if types == "dropin":
        return own
    if types == "winbridge":
        return Bridged(arch, own)
    longs = {"c_longlong": c_longlong, "c_ulonglong": c_ulonglong}  # the standard ones are c_long on Linux
    return Bridged(arch, SimpleNamespace(**{**vars(ctypes), **longs}))


def on_windows(arch: str, path: Path, folder: Path) -> dict[str, Any]:
    """The outcomes under the Windows Python; its standard handles have to be pipes."""
    config = Config()
    prefix = ensure(config)
    report = folder / f"{arch}.json"
    script = Path(parity_cases.__file__)
    names = [paths.unix_to_windows(file, prefix) for file in (script, path, report)]
    loader = wine.find_loader(config, arch)
    command = [loader.path, PYTHONS / arch / "python.exe", *names]
    exit_code, said = run_with_pipes(command, {**wine.environment(config), "PYTHONDONTWRITEBYTECODE": "1"})
    lines = report.read_text().splitlines() if report.exists() else []
    assert exit_code == 0, f"Windows Python ended with {exit_code} after {len(lines)} cases, {lines[-1:]}: {said}"
    return dict(json.loads(line) for line in lines)


def run_with_pipes(command: list[Any], environment: dict[str, str]) -> tuple[int, str]:
    """Read until the process ends, not the pipe: services of Wine may hold the other end."""
    reader, writer = os.pipe()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, env=environment)
    ended = os.pidfd_open(process.pid)
    said = b""
    while select.select([reader, ended], [], [])[0] != [ended]:
        said += os.read(reader, 65536)
    for descriptor in (reader, writer, ended):
        os.close(descriptor)
    return process.wait(), said.decode(errors="replace")


@pytest.fixture(scope="module")
def outcomes(dll_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """The outcomes of all cases by architecture and types: ours, and those of Windows."""
    found = {}
    for arch in ("win64", "win32"):
        if (PYTHONS / arch / "python.exe").exists() and wine.supports(arch):
            path = dll_folder / arch / "specimen.dll"
            for types in TYPES:
                found[arch, types] = dict(parity_cases.run(namespace(arch, types), str(path)))
            found[arch, "windows"] = on_windows(arch, path, tmp_path_factory.mktemp("parity"))
    winbridge.SessionEngine.close_all()
    return found


def normal(outcome: Any) -> Any:
    """Without what differs by version: how an error's cause is named, and that int and long are one on Windows."""
    if isinstance(outcome, dict):
        return {key: normal(value) for key, value in outcome.items()}
    if isinstance(outcome, list):
        return [normal(value) for value in outcome]
    if not isinstance(outcome, str):
        return outcome
    text = re.sub(r"<class '(\w+)'>", r"\1", outcome)
    text = re.sub(r"c_(u?)int\b", r"c_\1long", text)
    if sys.version_info[:2] != (3, 11):  # the Windows Python's: others word what from_param refuses in other ways
        text = re.sub(r"^(argument \d+): .*", r"\1", text)
    return text


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("name", parity_cases.CASES)
def test_same_as_ctypes_on_windows(outcomes, arch, types, name):
    if (arch, "windows") not in outcomes:
        pytest.skip(NO_PYTHON.format(PYTHONS / arch))
    here, there = (normal(outcomes[arch, side][name]) for side in (types, "windows"))
    assert not any(isinstance(side, dict) and "case failed" in side for side in (here, there)), (here, there)
    where, reason = parity_cases.DELIBERATE.get(name, ("nowhere", ""))
    if not where or {arch, types} & set(where.split()):
        assert here != there, f"no longer different, take it out of DELIBERATE: {reason}"
    else:
        assert here == there


def test_every_deliberate_difference_has_a_case():
    assert set(parity_cases.DELIBERATE) <= set(parity_cases.CASES)
    assert len(parity_cases.CASES) >= 80
