"""CPython's own tests of ctypes pass under winbridge's drop-in wherever they pass under a Windows Python on Wine.

Where they do not, ``cpython/differences.py`` says why. An overview: ``python -m tests.cpython.results``.
"""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

from tests.cpython import launch, run
from tests.cpython.differences import DIFFERENCES, reason
from tests.cpython.results import missed
from winbridge.core import wine

pytestmark = [pytest.mark.wine, pytest.mark.slow]
ARCHS = ("win64", "win32")
NOT_FETCHED = "CPYTHON'S TESTS OF ctypes ARE NOT HERE AND NOT RUN. Fetch them: python scripts/cpython_tests.py"
NO_PYTHON = "NO WINDOWS PYTHON in {}: CPYTHON'S TESTS OF ctypes ARE NOT RUN. Make one: python scripts/windows_python.py"


def why_not(arch: str) -> str | None:
    """What is missing here to run the tests."""
    if not launch.modules() or not launch.helper(arch).exists():
        return NOT_FETCHED
    python = launch.PYTHONS / arch / "python.exe"
    return None if python.exists() else NO_PYTHON.format(python.parent)


@pytest.fixture(scope="module")
def on_windows() -> dict[str, dict[str, launch.Outcome]]:
    """Outcomes by architecture and test under the Windows Python."""
    archs = [arch for arch in ARCHS if not why_not(arch) and wine.supports(arch)]
    return {arch: launch.on_windows(arch, launch.modules()) for arch in archs}


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest):
    """Tests of CPython's counted over all modules, printed at the end."""
    counts: Counter[str] = Counter()
    yield counts
    told = [
        f"CPython's tests of ctypes that pass on Windows, {arch}: "
        + ", ".join(f"{counts[arch, what]} {what}" for what in ("pass", "differ", "fail"))
        for arch in ARCHS
        if any(counts[arch, what] for what in ("pass", "differ", "fail"))
    ]
    with request.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        print("", *told, sep="\n")


@pytest.mark.parametrize("module", launch.modules() or [pytest.param("", id="not fetched")])
def test_passes_as_on_windows(on_windows, tally, arch, module):
    if problem := why_not(arch):
        pytest.skip(problem)
    missing = missed(on_windows[arch], launch.under_winbridge(arch, module), module)
    failed = {test: outcome for test, outcome in missing.items() if reason(arch, test) is None}
    passing = [name for name, seen in on_windows[arch].items() if seen.outcome == "ok" and name.split(".")[0] == module]
    better = [test for test in passing if reason(arch, test) and test not in missing]
    tally[arch, "pass"] += sum(test not in missing for test in passing)
    tally[arch, "differ"] += len(missing) - len(failed)
    tally[arch, "fail"] += sum(test in failed for test in passing)
    told = [f"{outcome.outcome} {test}: {outcome.detail}" for test, outcome in failed.items()]
    assert not failed, "\n".join(told)
    assert not better, f"they pass: take them out of cpython/differences.py: {better}"


def test_windows_python_passes_them(on_windows):
    """What does not pass there would not be asked of winbridge: too little of that, and the comparison says nothing."""
    if not on_windows:
        pytest.skip(why_not("win64") or "no architecture can be run")
    for outcomes in on_windows.values():
        counts = Counter(outcome.outcome for outcome in outcomes.values())
        assert counts["ok"] > 500, counts
        assert counts["crash"] == counts["hang"] == 0, counts


def test_every_difference_is_of_a_test_that_passes_on_windows(on_windows):
    if len(on_windows) < len(ARCHS):
        pytest.skip(next(filter(None, map(why_not, ARCHS)), "32-BIT WINE IS NOT INSTALLED: not run"))
    wanted = [{test for test, seen in on_windows[arch].items() if seen.outcome == "ok"} for arch in ARCHS]
    known = wanted[0] | wanted[1] | {f"{arch} {test}" for arch in ARCHS for test in on_windows[arch]}
    assert set(DIFFERENCES) <= known


DEADLY = """
import os, signal, threading, unittest

class Deadly(unittest.TestCase):
    def test_1_passes(self): pass
    def test_2_dies(self): os.kill(os.getpid(), signal.SIGSEGV)
    def test_3_fails(self): self.assertEqual(1, 2)
    def test_4_hangs(self): threading.Event().wait()
    def test_5_passes(self): pass
"""


def test_a_crash_or_a_hang_is_told_and_stops_no_other_test(tmp_path, monkeypatch):
    """Here under this interpreter's own ctypes: what runs the tests is what is tested."""
    monkeypatch.setattr(launch, "SECONDS", 3)
    folder = tmp_path / "ctypes" / "test"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "test_deadly.py").write_text(DEADLY)
    report = tmp_path / "report"
    command = [sys.executable, run.__file__, "windows", str(tmp_path), "", str(report), "test_deadly", "test_not_there"]
    outcomes = launch.collect(command, os.environ, report)
    assert [seen.outcome for seen in outcomes.values()] == ["ok", "ok", "crash", "fail", "hang", "ok", "error"]
    assert outcomes["test_deadly.Deadly.test_3_fails"].detail.startswith("AssertionError: 1 != 2")
    assert "ended with -11" in outcomes["test_deadly.Deadly.test_2_dies"].detail
