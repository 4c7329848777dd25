"""examples/remote_python.py, run as a user runs it."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests import windows_pythons
from tests.conftest import ROOT

EXAMPLE = ROOT / "examples" / "remote_python.py"


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={**os.environ, **variables},
    )  # fmt: skip


@pytest.mark.wine
def test_windows_and_linux_agree(arch: str, tmp_path: Path) -> None:
    written = tmp_path / "zones.json"
    done = run("--python", str(windows_pythons.python(arch) / "python.exe"), "--json", str(written))
    assert (done.returncode, done.stderr) == (0, "")
    zones = {zone["name"]: zone for zone in json.loads(written.read_text())}
    assert f"read      {len(zones)} zones" in done.stdout and "          25 of " in done.stdout
    assert "zone      Nepal Standard Time        +345 minutes, as Asia/Kathmandu" in done.stdout
    berlin, darwin = zones["W. Europe Standard Time"], zones["AUS Central Standard Time"]
    assert (berlin["standard"], berlin["daylight"]) == (60, 120)
    assert (darwin["standard"], darwin["daylight"]) == (570, 570)


def test_without_a_windows_python_it_says_how_to_get_one(tmp_path: Path) -> None:
    done = run(XDG_DATA_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("!!! NO WINDOWS PYTHON: ") and "winbridge python install" in done.stderr


def test_a_difference_ends_it() -> None:
    example = runpy.run_path(str(EXAMPLE))
    zones = [example["Zone"](name, "", 1, 1) for name in example["SAME"]]
    with pytest.raises(SystemExit) as ended:
        example["check"](zones)
    assert ended.value.code == "!!! UTC: 1 minutes on Windows, Etc/UTC: 0 on Linux"
