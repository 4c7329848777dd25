"""examples/demo.py, run as a user runs it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "examples" / "demo.py"
pytestmark = [pytest.mark.wine, pytest.mark.win64]

ONLY_64_BIT = """
import runpy, sys
from pathlib import Path
import winbridge.core.agent
winbridge.core.agent.AGENTS = Path(sys.argv[1])
runpy.run_path(sys.argv[2], run_name="__main__")
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def lines(text: str, kind: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(kind)]


@pytest.mark.win32
def test_everything_is_shown_for_both_architectures() -> None:
    done = run(str(DEMO))
    assert (done.returncode, done.stderr) == (0, "")
    assert "msvcrt    the answer is 42, and pi is about 3.1416" in done.stdout
    assert "access violation reading 0x0000000000000010" in done.stdout
    for kind in ("session", "sqlite3", "ctypes", "both", "speed"):
        assert [arch for line in lines(done.stdout, kind) for arch in ("win64", "win32") if arch in line] == [
            "win64",
            "win32",
        ]
    assert all("1000 rows" in line for line in lines(done.stdout, "sqlite3"))


def test_without_32_bit_it_says_so_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "winbridge-agent64.exe").symlink_to(ROOT / "winbridge" / "agents" / "winbridge-agent64.exe")
    done = run("-c", ONLY_64_BIT, str(tmp_path), str(DEMO))
    assert (done.returncode, done.stderr) == (0, "")
    assert "!!! NO 32-BIT SESSION" in done.stdout
    assert len(lines(done.stdout, "sqlite3")) == len(lines(done.stdout, "speed")) == 1


def test_a_comparison_that_fails_ends_it() -> None:
    expect = runpy.run_path(str(DEMO))["expect"]
    with pytest.raises(SystemExit) as ended:
        expect("the answer", 41, 42)
    assert ended.value.code == "!!! the answer: 41 instead of 42"
