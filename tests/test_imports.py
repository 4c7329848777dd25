"""The package's shape: light to import, dependencies one way, public names complete."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import winbridge
from tests.conftest import ROOT

PACKAGE = ROOT / "winbridge"
UPPER = {"dll", "remote", "gateway", "ctypes", "cli"}


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


def test_all_is_sorted_complete_and_true():
    assert winbridge.__all__ == sorted(winbridge.__all__)
    assert sorted(name for name in winbridge._HOME_OF if not name.startswith("_")) == winbridge.__all__
    for name in winbridge.__all__:
        assert getattr(winbridge, name) is not None
        assert name in dir(winbridge)


@pytest.mark.parametrize("module", ["winbridge.core", "winbridge.dll"])
def test_package_names_are_true(module):
    package = importlib.import_module(module)
    assert sorted(package._HOME_OF) == package.__all__
    assert all(getattr(package, name) is getattr(winbridge, name) for name in package.__all__)


def test_unknown_names_are_attribute_errors():
    for module in (winbridge, winbridge.core, winbridge.dll):
        with pytest.raises(AttributeError, match="no_such"):
            module.no_such  # noqa: B018


def test_import_is_light_and_silent(run_python):
    done = run_python(
        "import sys; before = set(sys.modules); import winbridge; print(*sorted(set(sys.modules) - before))"
    )
    assert done.stderr == ""
    heavy = {"requests", "pefile", "msgspec", "click", "rich", "ctypes", "asyncio", "numpy", "logging", "subprocess"}
    assert not heavy & set(done.stdout.split())


def test_ctypes_inside_the_package_is_the_standard_library():
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "__main__.py"}:
        module = importlib.import_module(
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        )
        found = getattr(module, "ctypes", None)
        assert module.__name__ == "winbridge" or found is None or found.__name__ == "ctypes", path
