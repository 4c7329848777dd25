"""The benchmarks of remote Python: aims and report from known samples, and one short run end to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.remote import aims, contenders, peers, report, rounds, tables, workloads
from benchmarks.remote.contenders import BASELINE, PIPE, SHARED, TCP, UNIX
from benchmarks.results import Results
from benchmarks.tables import as_rst

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def results() -> Results:
    """Three processes of some contenders, with an outlier each."""
    made = Results(
        machine={"processor": "one that was made up"},
        effort={"rounds": 3},
        letters=[letter for letter in workloads.LETTERS if letter != "o"],
        began="2026-01-01T00:00+00:00",
        ended="2026-01-01T00:10+00:00",
        load=[[0.1, 0.2, 0.3], [1, 1, 1]],
    )
    samples = {
        "call": {BASELINE: [2e-5, 9e-5, 1.9e-5], PIPE: [2.8e-5], UNIX: [4e-5], SHARED: [1.5e-5]},
        "call_two_cores": {SHARED: [1.4e-5, 9e-5, 1.3e-5]},
        "append": {PIPE: [3.5e-5], SHARED: [1.5e-5]},
        "mapped": {SHARED: [2e6], TCP: [99_999.0]},
        "echo_bytes": {SHARED: [1.25e9], BASELINE: [2.5e8]},
        "connect": {SHARED: [0.061]},
        "import": {SHARED: [0.5]},
        "memory": {SHARED: [3 << 20]},
    }
    for workload, by_contender in samples.items():
        for contender, values in by_contender.items():
            for value in values:
                made.add(workload, contender, value)
    made.fail("echo_array", "execnet", "DumpError: can't")
    return made


def test_aims_are_judged(results: Results) -> None:
    found = {(outcome.aim, outcome.whose): outcome[2:] for outcome in aims.outcomes(results)}
    call = "(j) at most 1.5 times multiprocessing.connection, not pinned"
    assert found[call, PIPE] == ("1.40 ×", True)
    assert found[call, UNIX] == ("2.00 ×", False)
    assert found["(j) at most 15 µs, a core each", SHARED] == ("14.0 µs", True)
    assert found["(k) at least 100,000 calls a second", TCP] == ("99,999", False)
    assert found["(l) 16 MiB of bytes: at least 1,000 MB/s", SHARED] == ("1,250 MB/s", True)
    assert found["(l) 16 MiB of bytes: at least 1,000 MB/s", PIPE] == ("", None)
    assert found["(m) append at most 1.2 times a call", PIPE] == ("1.25 ×", False)
    assert found["(n) new local process: at most 60 ms", SHARED] == ("61 ms", False)
    assert not any(aim.startswith("(o)") for aim, _ in found), "(o) was not asked for"


def test_report(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is in the extra winbridge[bench]")
    written = report.write(results, tmp_path)
    assert Results.read(tmp_path / "remote.json") == results
    calls = (tmp_path / "remote_calls.inc").read_text()
    assert "    * - pipe\n      - 28.0 µs (1.40 ×)\n      - –\n      - 35.0 µs (1.25 ×)\n" in calls
    assert "- 1,250 MB/s (5.00 ×)\n" in (tmp_path / "remote_echoes.inc").read_text()
    assert "- (l) a numpy array of 16 MiB\n      - DumpError: can't\n" in (tmp_path / "remote_failures.inc").read_text()
    drawn = {path.name for path in written if path.suffix == ".svg"}
    assert drawn == {"remote_calls.svg", "remote_rates.svg", "remote_starts.svg"}


def test_the_page_shows_every_table() -> None:
    page = (ROOT / "docs" / "benchmarks_remote.rst").read_text()
    missing = [
        table.name
        for table in tables.all_tables(Results({}, {"rounds": 0}, [], ""))
        if f"benchmarks/{table.name}.inc" not in page
    ]
    assert not missing


def test_documented_tables_are_those_of_the_figures() -> None:
    """The page is never edited by hand."""
    kept = ROOT / "docs" / "benchmarks"
    for table in tables.all_tables(Results.read(kept / "remote.json")):
        assert (kept / f"{table.name}.inc").read_text() == as_rst(table), (
            f"docs/benchmarks/{table.name}.inc is not what remote.json gives: run python -m benchmarks remote report"
        )


def test_what_a_peer_lacks_is_its_failure(results: Results) -> None:
    """It is reported, and no process is started."""
    run = rounds.Rounds(rounds.QUICK, ("k", "o"), results, {"rpyc": "pip found no network"})
    run.measure(contenders.BY_NAME["rpyc"])
    for name in ("mapped", "submitted", "import"):
        assert results.failures[name]["rpyc"] == "pip found no network"


def test_a_package_that_cannot_be_installed_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(peers, "ENVIRONMENT", tmp_path / "file" / "peers")
    monkeypatch.setattr(peers, "PACKAGES", {"nothing": ("nothing",)})
    reasons = peers.provide(lambda text: None)
    assert list(reasons) == ["nothing"] and "Not a directory" in reasons["nothing"]


@pytest.mark.slow
def test_a_short_run(tmp_path: Path) -> None:
    """Everything runs: winbridge in all its ways, the standard library, and the peers that can be installed."""
    output = tmp_path / "remote.json"
    command = [sys.executable, "-m", "benchmarks", "remote", "--quick", "--only", "j", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = Results.read(output)
    for workload in ("call", "call_one_core", "call_two_cores"):
        figures, failures = found.samples[workload], found.failures.get(workload, {})
        assert {*contenders.OURS, BASELINE, "multiprocessing.managers"} <= figures.keys()
        assert figures.keys() | failures.keys() == {contender.name for contender in contenders.CONTENDERS}
        assert all(0 < found.median(workload, name) < 1 for name in figures)
    assert "(j) a call" in done.stdout


@pytest.mark.slow
def test_each_workload_of_each_of_our_ways(tmp_path: Path) -> None:
    """They do what they say (the bodies check it), and what one cannot do has a reason."""
    results = Results({}, {"rounds": 1}, [], "")
    run = rounds.Rounds(rounds.QUICK._replace(budget=0.0), ("k", "l", "m", "n", "p"), results, {})
    for name in (SHARED, contenders.SESSION, BASELINE):
        run.measure(contenders.BY_NAME[name])
    for name in (workload.name for workload in workloads.WITHIN if workload.letter != "j"):
        assert len(results.samples[name][SHARED]) == 1
    assert results.failures["mapped"][contenders.SESSION] == "a session has none; its connection has map"
    assert results.failures["append"][BASELINE] == "it has messages, and no proxies"
