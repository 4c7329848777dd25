"""Every fault of the matrix, on every side that its row names; see tests/faults for the rows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults import page
from tests.faults.matrix import MATRIX, MEASURED, ROOT, Bench, copy_of_prefix
from tests.fix_dlls import COMPILERS, NATIVE, compile_dll
from winbridge import Win32Session, Win64Session
from winbridge.core import prefix, wine
from winbridge.core.config import Config

pytestmark = pytest.mark.wine


def cases() -> list[object]:
    found = []
    for row in MATRIX:
        for arch, transport in row.sides:
            marks = [getattr(pytest.mark, arch), *[pytest.mark.slow] * row.slow]
            found.append(pytest.param(row, arch, transport, id=f"{row.name}-{arch}-{transport}", marks=marks))
    return found


@pytest.fixture(scope="module")
def culprits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("culprits")
    for arch in COMPILERS:
        (folder / arch).mkdir()
        for name in ("culprit", "stuck"):
            compile_dll(arch, NATIVE / f"{name}.c", folder / arch / f"{name}.dll")
    return folder


def stop_server(folder: Path) -> None:
    server = wine.find_wineserver(wine.find_loader(Config(), "win64"))
    for order in ("-k", "-w"):
        subprocess.run([server, order], env=os.environ | {"WINEPREFIX": str(folder)}, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def spare_prefix(tmp_path_factory: pytest.TempPathFactory):
    """A prefix whose Wine server may be killed."""
    folder = copy_of_prefix(prefix.ensure(Config()), tmp_path_factory.mktemp("prefix") / "spare")
    yield folder
    stop_server(folder)
    shutil.rmtree(folder)


@pytest.fixture
def spoiled_prefix(tmp_path: Path):
    """A prefix for one test."""
    folder = copy_of_prefix(prefix.ensure(Config()), tmp_path / "spoiled")
    yield folder
    Win64Session.close_all()
    Win32Session.close_all()
    os.chown(folder, os.geteuid(), -1)
    stop_server(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module", autouse=True)
def report():
    """Leaves what was measured where ``make`` and people find it."""
    yield
    target = ROOT / ".cache" / "fault_matrix.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([measured._asdict() for measured in MEASURED], indent=1) + "\n")


@pytest.mark.parametrize(("row", "arch", "transport"), cases())
def test_fault(request, row, arch, transport):
    row.scenario(Bench(request, row, arch, transport))


def test_the_page_shows_the_matrix():
    assert page.PAGE.read_text() == page.text(), "write it with: python -m tests.faults.page"
