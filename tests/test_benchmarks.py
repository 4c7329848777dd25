"""The benchmarks: reduction and report from known samples, processes that fail, and one short run end to end."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import aims, contenders, plots, processes, report, rounds, tables, workloads
from benchmarks.results import Results

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def results() -> Results:
    """Three processes of some contenders, with an outlier each; the extension meets an aim, pure Python does not."""
    made = Results(
        machine={"processor": "one that was made up"},
        effort={"rounds": 3, "slow_rounds": 1},
        letters=["a", "e", "f", "g", "h", "i"],
        began="2026-01-01T00:00+00:00",
        ended="2026-01-01T00:10+00:00",
        load=[[0.1, 0.2, 0.3], [1, 1, 1]],
    )
    samples = {
        "two_ints": {"ctypes": [4e-7, 9e-7, 5e-7], "load_dll": [1e-6, 9e-6, 1.1e-6], "zugbruecke": [2.5e-4]},
        "big_buffer": {"ctypes": [1e-3], "load_dll": [5e-3], "drop-in": [0.9e-3]},
        "memcpy": {"load_dll": [1.5e-3]},
        "many_calls": {"ctypes": [5e-7]},
        "vectorized_calls": {"load_dll": [5e-8]},
        "session": {"load_dll": [0.07]},
        "first_call": {"ctypes": [0.4], "load_dll": [0.2]},
        "memory_1": {"drop-in": [3 << 20]},
        "throughput_1": {"drop-in": [123456.0]},
        "idle": {"drop-in": [0.02]},
    }
    for workload, by_contender in samples.items():
        for contender, values in by_contender.items():
            for value in values:
                made.add(workload, contender, value)
    made.add("two_ints", "load_dll, pure Python", 5e-6)
    made.fail("two_ints", "rpyc", "exit status 1:\n no module")
    return made


def test_medians_and_ratios(results: Results) -> None:
    assert results.median("two_ints", "load_dll") == 1.1e-6
    assert results.ratio("two_ints", "load_dll", "ctypes") == pytest.approx(1.1e-6 / 5e-7)
    assert results.ratio("many_calls", "ctypes", "load_dll", "vectorized_calls") == pytest.approx(10)
    assert results.median("two_ints", "rpyc") is results.ratio("two_ints", "rpyc", "ctypes") is None


def test_aims_are_judged(results: Results) -> None:
    found = {(outcome.aim, outcome.whose): outcome for outcome in aims.outcomes(results)}
    two_ints = "(a) at most {} times native ctypes"
    assert found[two_ints.format(3), "load_dll"][2:] == ("2.2 ×", True)
    assert found[two_ints.format(6), "load_dll, pure Python"][2:] == ("10.0 ×", False)
    assert found[two_ints.format(3), "drop-in"].met is None
    buffer = "(e) 16 MiB each way: at least 70 % of memcpy"
    assert found[buffer, "load_dll"][2:] == ("75%", True)  # 2 copies of 1.5 ms in the 4 ms over native
    assert found[buffer, "drop-in"][2:] == ("no copy", True)
    assert found["(f) vectorize at least 5 times faster than native ctypes in a loop", "load_dll"].met
    assert found["(g) session and first call, warm: at most 60 ms", "load_dll"][2:] == ("70 ms", False)
    assert found["(h) private memory of a session, 1 open: at most 12 MiB", "drop-in"][2:] == ("3.0 MiB", True)
    assert found["(i) idle sessions: no processor time", "drop-in"][2:] == ("2.000% of a core", False)
    assert not any(outcome.aim.startswith("(b)") for outcome in found.values()), "(b) was not asked for"


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1.234567e-6, workloads.SECONDS, "1.23 µs"),
        (4e-8, workloads.SECONDS, "0.04 µs"),
        (0.0123, workloads.SECONDS, "12.3 ms"),
        (2.0, workloads.SECONDS, "2.00 s"),
        (9e-3 * 1024**2, workloads.BYTES, "0.0 MiB"),
        (123456.7, workloads.RATE, "123,457"),
        (0.015, workloads.SHARE, "1.50%"),
        (None, workloads.SECONDS, "–"),
    ],
)
def test_quantities(value: float | None, unit: str, shown: str) -> None:
    assert tables.quantity(value, unit) == shown


def test_report(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is in the extra winbridge[bench]")
    written = report.write(results, tmp_path)
    assert Results.read(tmp_path / "results.json") == results
    calls = (tmp_path / "calls.inc").read_text()
    assert "    * - load_dll\n      - 1.10 µs (2.20 ×)\n" in calls and "      - 250 µs (500 ×)\n" in calls
    failures = (tmp_path / "failures.inc").read_text()
    assert "    * - rpyc\n      - (a) two ints\n      - exit status 1: no module\n" in failures
    drawn = {path.name: path.read_bytes() for path in written if path.suffix == ".svg"}
    assert set(drawn) == {"calls.svg", "starts.svg", "sessions.svg"}
    assert b"(a) two ints" in drawn["calls.svg"]
    again = {path.name: path.read_bytes() for path in plots.draw(Results.read(tmp_path / "results.json"), tmp_path)}
    assert again == drawn


def test_the_page_shows_every_table() -> None:
    page = (ROOT / "docs" / "benchmarks.rst").read_text()
    empty = Results({}, {"rounds": 0, "slow_rounds": 0}, [], "")
    missing = [table.name for table in tables.all_tables(empty) if f"benchmarks/{table.name}.inc" not in page]
    assert not missing


def test_documented_tables_are_those_of_the_figures(tmp_path: Path) -> None:
    """The page is never edited by hand."""
    kept = ROOT / "docs" / "benchmarks"
    for table in tables.all_tables(Results.read(kept / "results.json")):
        assert (kept / f"{table.name}.inc").read_text() == tables.as_rst(table), (
            f"docs/benchmarks/{table.name}.inc is not what results.json gives: run python -m benchmarks report"
        )


def test_a_process_that_fails_has_a_reason() -> None:
    code = 'import sys; print(\'{"workload": "two_ints", "value": 1}\'); sys.exit(\'this went wrong\')'
    lines, problem = processes.lines_of([sys.executable, "-c", code], dict(os.environ), 60)
    assert (lines, problem) == ([{"workload": "two_ints", "value": 1}], "exit status 1: this went wrong")


def test_a_process_that_hangs_is_ended_with_its_children() -> None:
    """The child holds the pipes, too; nobody waits for it."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        'print(\'{"workload": "child", "value": %d}\' % child.pid, flush=True)\n'
        "time.sleep(600)"
    )
    lines, problem = processes.lines_of([sys.executable, "-c", code], dict(os.environ), 2)
    assert problem == "not done within 2 s"
    with contextlib.suppress(ProcessLookupError):
        child = os.pidfd_open(lines[0]["value"])
        assert select.select([child], [], [], 10)[0], "the child goes on"
        os.close(child)


def test_what_a_peer_lacks_is_its_failure(results: Results, tmp_path: Path) -> None:
    """It is reported, and no process is started."""
    missing = {"peers": "pip found no network", "windows python": "no Python 3.11"}
    run = rounds.Rounds(rounds.QUICK, ("b",), results, missing, tmp_path)
    for title, step in run.steps():
        if title in ("zugbruecke", contenders.NATIVE):
            step()
    assert results.failures["ten_floats"]["zugbruecke"] == "peers: pip found no network"
    assert results.failures["ten_floats"][contenders.NATIVE] == "windows python: no Python 3.11"


@pytest.mark.slow
@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.win32
def test_a_short_run(tmp_path: Path) -> None:
    """Everything runs: winbridge, a Windows Python, and the peers where they can be installed."""
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "a", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = Results.read(output)
    for name in ("load_dll, pure Python", "drop-in, pure Python", "load_dll, 32 bit, pure Python"):
        assert len(found.samples["two_ints"][name]) == rounds.QUICK.rounds
        assert 0 < found.median("two_ints", name) < 0.1
    figures, failures = found.samples["two_ints"], found.failures.get("two_ints", {})
    assert figures.keys() | failures.keys() == {contender.name for contender in contenders.CONTENDERS}
    assert "(a) two ints" in done.stdout
