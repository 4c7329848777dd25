"""Run modules of CPython's ctypes tests in this process, and report each test as it begins and as it ends.

    run.py WHERE LIBRARY DLL REPORT MODULE...

WHERE is ``windows`` for this interpreter's own ctypes, on Windows, or the architecture of winbridge's drop-in. LIBRARY
is CPython's Lib, DLL is _ctypes_test.dll. REPORT gets lines of JSON: ``[test]`` when it begins, ``[test, outcome,
detail]`` when it ends; a module counts as a test of its import. Tests that REPORT names already are left out, so that
a run that a crash has ended can be taken up behind it.

The Windows Python starts this file as a script: it imports nothing of ours there.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import json
import sys
import traceback
import types
import unittest
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import Any

PACKAGE = "ctypes.test"
END = "end"


class TestLoader(SourceFileLoader):
    """Loads a test module with builtins of its own, whose ``__import__`` decides what the module imports."""

    def __init__(self, name: str, path: str, names: dict[str, Any]) -> None:
        super().__init__(name, path)
        self.names = names

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = self.names
        super().exec_module(module)


class TestFinder:
    """Finds the package ctypes.test in a folder, whatever stands for ctypes."""

    def __init__(self, folder: Path, names: dict[str, Any]) -> None:
        self.folder = folder
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        parent, _, last = name.rpartition(".")
        if name == PACKAGE:
            file, inner = self.folder / "__init__.py", [str(self.folder)]
        elif parent == PACKAGE:
            file, inner = self.folder / f"{last}.py", None
        else:
            return None
        loader = TestLoader(name, str(file), self.names)
        return importlib.util.spec_from_file_location(name, file, loader=loader, submodule_search_locations=inner)


class Report(unittest.TestResult):
    """Writes what happens as it happens, so that nothing is lost with the process."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        lines = map(json.loads, path.read_text().splitlines() if path.exists() else [])
        self.known = {test: result[:1] for test, *result in lines}
        self.file = path.open("a", buffering=1)
        self.worst = ("ok", "")

    def write(self, *line: str) -> None:
        self.file.write(json.dumps(line) + "\n")

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.worst = ("ok", "")
        self.write(identity(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.write(identity(test), *self.worst)
        self.worst = ("ok", "")

    def note(self, test: Any, outcome: str, detail: str) -> None:
        if not isinstance(test, unittest.TestCase):  # what stands for a failed setUpClass or setUpModule
            self.write(identity(test), outcome, detail)
        elif self.worst[0] == "ok":
            self.worst = (outcome, detail)

    def addError(self, test: Any, err: Any) -> None:
        self.note(test, "error", explain(err))

    def addFailure(self, test: Any, err: Any) -> None:
        self.note(test, "fail", explain(err))

    def addSkip(self, test: Any, reason: str) -> None:
        self.note(test, "skip", reason)

    def addUnexpectedSuccess(self, test: Any) -> None:
        self.note(test, "fail", "unexpected success")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.note(test, "fail" if issubclass(err[0], test.failureException) else "error", explain(err))


def identity(test: Any) -> str:
    return str(test.id()).replace(f"{PACKAGE}.", "")


def explain(error: Any) -> str:
    """The exception's last line, the line of the test that met it, and where it was raised."""
    kind, value, trace = error
    frames = traceback.extract_tb(trace)
    last = "".join(traceback.format_exception_only(kind, value)).strip().splitlines()
    message = last[-1] if issubclass(kind, SyntaxError) else last[0]
    places = [frame for frame in frames if Path(frame.filename).parent.parent.name == "ctypes"] or frames
    met = f" [{Path(places[-1].filename).name}:{places[-1].lineno}: {places[-1].line}]" if places else ""
    raised = frames[-1] if frames else None
    inside = f" raised at {Path(raised.filename).name}:{raised.lineno}" if raised and raised not in places else ""
    return f"{message}{met}{inside}"


def each_test(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from each_test(part)
        else:
            yield part


def run_module(name: str, report: Report) -> None:
    if report.known.get(name, ["ok"]) != ["ok"]:
        return
    report.write(name)
    try:
        module = importlib.import_module(f"{PACKAGE}.{name}")
    except unittest.SkipTest as reason:
        report.write(name, "skip", str(reason))
    except Exception:
        report.write(name, "error", explain(sys.exc_info()))
    else:
        report.write(name, "ok", "")
        tests = each_test(unittest.defaultTestLoader.loadTestsFromModule(module))
        unittest.TestSuite(test for test in tests if identity(test) not in report.known).run(report)


def imports_as_on_windows(arch: str) -> dict[str, Any]:
    """Builtins for the test modules that show them the modules that say which machine this is as Windows has them."""
    from tests.cpython import views

    shown = views.as_on_windows(arch)

    def import_shown(name: str, *place: Any, **named: Any) -> Any:
        found = builtins.__import__(name, *place, **named)
        return shown.get(found.__name__, found)

    return {**vars(builtins), "__import__": import_shown}


def main(where: str, library: str, dll: str, report: str, *modules: str) -> None:
    names = vars(builtins)
    if where != "windows":
        import winbridge.ctypes

        winbridge.ctypes.install()
        names = imports_as_on_windows(where)
    sys.path.insert(0, library)
    sys.meta_path.insert(0, TestFinder(Path(library, "ctypes", "test"), names))
    helper = types.ModuleType("_ctypes_test")
    helper.__file__ = dll
    sys.modules["_ctypes_test"] = helper
    results = Report(Path(report))
    for module in modules:
        run_module(module, results)
    results.write(END)


if __name__ == "__main__":
    main(*sys.argv[1:])
