"""The package's shape: light to import, dependencies one way, public names complete."""

from __future__ import annotations

import ast
import importlib
import shutil
import subprocess
from pathlib import Path

import pytest

import winbridge
from tests.conftest import ROOT
from tests.remote.fix_peer import oldest_python
from winbridge import remote

PACKAGE = ROOT / "winbridge"
UPPER = {"dll", "remote", "gateway", "ctypes", "cli"}
REMOTE = sorted((PACKAGE / "remote").rglob("*.py"))
HERE = {"reaching", "session", "servers", "pool"}
"""What of ``remote`` is for this side alone; all else runs on the other side too, where little of winbridge is."""
FAR = [path for path in REMOTE if path.relative_to(PACKAGE / "remote").parts[0].removesuffix(".py") not in HERE]
THERE = {"winbridge", "winbridge.core", "winbridge.core.errors"}


def imported(path: Path) -> set[str]:
    """The modules of winbridge that a file imports, those for type checkers apart."""
    names: set[str] = set()
    tree = ast.parse(path.read_text())
    checking = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    skipped = {inner for node in checking for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.split(".")[0] == "winbridge"}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "core").rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_core_imports_none_of_the_upper_ones(path):
    assert not {name for name in imported(path) if name.split(".")[1:2] and name.split(".")[1] in UPPER}


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "dll").rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_dll_imports_only_core(path):
    assert {name.split(".")[1] for name in imported(path) if "." in name} <= {"core", "dll"}


def shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", REMOTE, ids=shown)
def test_remote_imports_core_and_the_windows_pythons(path):
    assert {name.split(".")[1] for name in imported(path) if "." in name} <= {"core", "pythons", "remote"}


def at_import(path: Path) -> set[str]:
    """The modules of winbridge that are imported when a file is, functions and type checking apart."""
    found = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or alias.name for node in found for alias in node.names}
    return {name for name in names if name.split(".")[0] == "winbridge"}


@pytest.mark.parametrize("path", FAR, ids=shown)
def test_what_runs_on_the_other_side_needs_little_of_winbridge(path):
    names = at_import(path)
    assert {name for name in names if not name.startswith("winbridge.remote")} <= THERE
    assert not {name for name in names if name.removeprefix("winbridge.remote.").split(".")[0] in HERE}


def test_the_other_side_may_be_python_3_8(tmp_path):
    """Its modules are imported there, with nothing beside them."""
    python = oldest_python()
    if python is None:
        pytest.skip("NO PYTHON 3.8 HERE")
    files = [*FAR, *(ROOT.joinpath(*f"{name}.__init__".split(".")).with_suffix(".py") for name in THERE)]
    for file in [file if file.is_file() else file.parent.with_suffix(".py") for file in files]:
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FAR if path.name != "__main__.py"]
    code = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_all_is_sorted_complete_and_true():
    assert winbridge.__all__ == sorted(winbridge.__all__)
    assert sorted(name for name in winbridge._HOME_OF if not name.startswith("_")) == winbridge.__all__
    for name in winbridge.__all__:
        assert getattr(winbridge, name) is not None
        assert name in dir(winbridge)


def test_names_of_remote_are_true():
    assert remote.__all__ == sorted(remote.__all__) == sorted(remote._HOME_OF)
    for name in remote.__all__:
        assert getattr(remote, name) is not None
        assert name in dir(remote)
    assert winbridge.PythonSession is remote.PythonSession


@pytest.mark.parametrize("module", ["winbridge.core", "winbridge.dll"])
def test_package_names_are_true(module):
    package = importlib.import_module(module)
    assert sorted(package._HOME_OF) == package.__all__
    assert all(getattr(package, name) is getattr(winbridge, name) for name in package.__all__)


def test_unknown_names_are_attribute_errors():
    for module in (winbridge, winbridge.core, winbridge.dll, winbridge.remote):
        with pytest.raises(AttributeError, match="no_such"):
            module.no_such  # noqa: B018


def test_import_is_light_and_silent(run_python):
    done = run_python(
        "import sys; before = set(sys.modules); import winbridge; print(*sorted(set(sys.modules) - before))"
    )
    assert done.stderr == ""
    heavy = {"requests", "pefile", "msgspec", "click", "rich", "ctypes", "asyncio", "numpy", "logging", "subprocess"}
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("name", ["Connection", "Options", "Proxy", "get_bios", "DisconnectError"])
def test_import_of_remote_is_light(run_python, name):
    """What a process that serves has to import, too."""
    done = run_python(
        "import sys; before = set(sys.modules); import winbridge.remote; "
        f"winbridge.remote.{name}; print(*sorted(set(sys.modules) - before))"
    )
    heavy = {
        "asyncio", "click", "cloudpickle", "concurrent.futures", "logging", "msgspec", "multiprocessing", "numpy",
        "pefile", "platformdirs", "requests", "socket", "ssl", "subprocess", "tempfile", "winbridge.core.config",
        "winbridge.core.session",
    }  # fmt: skip
    assert done.stderr == ""
    assert not heavy & set(done.stdout.split())


def test_ctypes_inside_the_package_is_the_standard_library():
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "__main__.py"}:
        module = importlib.import_module(
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        )
        found = getattr(module, "ctypes", None)
        assert module.__name__ == "winbridge" or found is None or found.__name__ == "ctypes", path
