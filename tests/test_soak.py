"""Short soaks: the parts of ``make soak`` in processes of their own, much shorter, and the threads for some seconds.

A leak of one object a call, handle a load or descriptor a session shows in them; what takes a million calls to show is
for ``make soak``.
"""

from __future__ import annotations

import csv
import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest

from soak import figures
from soak.__main__ import write_tables
from tests.conftest import ROOT
from tests.fix_dlls import NATIVE, compile_dll
from winbridge.dll.mirrors import Mirrors
from winbridge.dll.spans import FORGET, Spans

COUNTS = {"calls": 10_000, "callbacks": 2_000, "loads": 400, "sessions": 5}
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def dlls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dlls")
    for arch in ("win64", "win32"):
        (folder / arch).mkdir()
        for name in ("specimen", "caller"):
            compile_dll(arch, NATIVE / f"{name}.c", folder / arch / f"{name}.dll")
    return folder


def printed(module: str, *arguments: object) -> list[dict]:
    command = [sys.executable, "-m", f"soak.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.wine
@pytest.mark.parametrize("part", COUNTS)
def test_nothing_grows(part: str, arch: str, dlls: Path) -> None:
    samples = printed("measure", part, arch, dlls, COUNTS[part], 4)
    assert samples[-1]["done"] >= COUNTS[part]
    assert figures.grown(samples) == {}


@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.win32
def test_threads_get_their_own_answers(dlls: Path) -> None:
    (hammered,) = printed("hammer", dlls, 5)
    assert hammered["errors"] == []
    assert (hammered["threads"], len(hammered["sessions"])) == (32, 4)
    assert set(hammered["done"]) == {
        "numbers", "texts", "buffers", "callbacks", "last errors", "faults", "thread ids",
    }  # fmt: skip


@pytest.mark.wine
@pytest.mark.win64
def test_wrong_answers_are_noticed(dlls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that share what is one thread's are told from one another."""
    from soak.hammer import Caller, Hammer
    from winbridge import Win64Session

    with Win64Session.apart() as session:
        monkeypatch.setattr(Caller, "_texts", lambda *_: False)
        hammer = Hammer([session], dlls, 2)
        hammer.run(2)
    assert hammer.errors and {error.partition(": ")[2] for error in hammer.errors} == {"texts: a wrong answer"}


def test_the_table_of_mirrors_forgets_what_is_gone() -> None:
    """It lies in this process, so a leak there would be the program's."""
    spans: Spans[str] = Spans()
    spans.add(8, 4, "stays")
    for start in range(16, 1_600_000, 16):
        spans.add(start, 8, "goes")
        spans.discard(start, "goes")
    assert len(spans._new) + len(spans._starts) <= 2 * FORGET
    assert (spans.find(10), spans.find(1000)) == ((8, "stays"), None)
    table = Mirrors(8)
    alive = [(ctypes.c_int * size)() for size in range(1, 6001)]
    for array in alive:
        table.of(array)
    assert len(table.there.at) == 6000
    del array, alive[10:]
    for size in range(1, 3001):
        table.of((ctypes.c_int * size)())
    table._forget_count = 0
    table.of(ctypes.c_int())
    assert len(table.there.at) <= 11
    assert all(table.at_host(ctypes.addressof(array)) is table.known(array) for array in alive)


def samples(**gauges: list[int]) -> figures.Samples:
    return [
        {"done": 1000 * index, "gauges": {name.replace("_", " "): values[index] for name, values in gauges.items()}}
        for index in range(3)
    ]


def test_growth_is_noticed() -> None:
    flat = samples(agent_handles=[32, 40, 32], client_memory=[9000, 9900, 9400], agent_memory=[5000, 4000, 3000])
    assert figures.grown(flat) == {}
    leaking = samples(agent_handles=[32, 32, 33], client_memory=[9000, 9600, 10200])
    assert set(figures.grown(leaking)) == {"agent handles", "client memory"}
    assert figures.slope(leaking, "client memory") == pytest.approx(600)


def test_the_tables_of_the_documentation_are_those_of_a_full_run(tmp_path: Path) -> None:
    measured = json.loads((DOCS / "soak.json").read_text())
    assert {(run["part"], run["samples"][-1]["done"]) for run in measured["runs"]} == {
        ("calls", 1_000_000), ("callbacks", 100_000), ("loads", 20_000), ("sessions", 500),
    }  # fmt: skip
    assert [figures.grown(run["samples"]) for run in measured["runs"]] == [{}] * 8
    assert measured["threads"]["errors"] == [] and measured["threads"]["seconds"] >= 60
    write_tables(measured, tmp_path)
    for table in tmp_path.iterdir():
        assert table.read_text() == (DOCS / table.name).read_text()
        with table.open(newline="") as file:
            assert len({len(row) for row in csv.reader(file)}) == 1
