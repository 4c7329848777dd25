"""The documentation is true: its code runs, its outputs are what is printed, it builds without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import winbridge
from tests import rst_blocks, windows_pythons

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.rst", *sorted(path for path in DOCS.rglob("*.rst") if "_build" not in path.parts)]


def runnable(page: Path) -> list[rst_blocks.Block]:
    return [block for block in rst_blocks.blocks(page) if block.language in rst_blocks.RUNNABLE]


def parameters() -> list[object]:
    found = []
    for page in filter(runnable, PAGES):
        needs_32_bit = any("win32" in block.text.lower() for block in runnable(page))
        marks = [pytest.mark.wine, pytest.mark.win64, *[pytest.mark.win32] * needs_32_bit]
        found.append(pytest.param(page, id=str(page.relative_to(ROOT)), marks=marks))
    return found


@pytest.mark.parametrize("page", parameters())
def test_code_blocks(page: Path, tmp_path: Path) -> None:
    """In a process and a folder of their own; the folder has the DLLs that the pages speak of."""
    shutil.copytree(ROOT / ".cache" / "dlls", tmp_path, dirs_exist_ok=True)
    environment = windows_pythons.of_page(page, tmp_path)
    command = [sys.executable, "-m", "tests.rst_blocks", str(page)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.rst"
    page.write_text(
        "Page\n\n.. code-block:: pycon\n\n    >>> 6 * 7\n    43\n\n.. code-block:: python\n\n    assert 6 * 7 == 43\n"
    )
    examples, code = rst_blocks.blocks(page)
    with pytest.raises(AssertionError, match=r"page.rst\", line 5(?s:.*)43(?s:.*)42"):
        rst_blocks.run_pycon(page, examples, {})
    with pytest.raises(AssertionError) as failure:
        rst_blocks.run_python(page, code, {})
    assert failure.traceback[-1].lineno + 1 == 10


def test_a_wrong_output_of_a_command_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.rst"
    page.write_text(
        ".. code-block:: console\n\n"
        "    $ winbridge --version\n    winbridge, version ...\n"
        "    $ winbridge --help\n    no\n"
    )
    (block,) = rst_blocks.blocks(page)
    with pytest.raises(AssertionError, match="winbridge --help"):
        rst_blocks.run_console(page, block)


def test_every_public_name_is_in_the_reference() -> None:
    reference = (DOCS / "api.rst").read_text()
    documented = set(re.findall(r"auto(?:class|function):: winbridge\.(\w+)$", reference, re.MULTILINE))
    errors = set(winbridge.core.errors.__all__)
    assert documented | errors == set(winbridge.__all__)


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="sphinx is in the extra winbridge[docs]")
    pytest.importorskip("furo", reason="furo is in the extra winbridge[docs]")
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(tmp_path / "trees")]
    done = subprocess.run([*build, str(DOCS), str(tmp_path / "html")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "html" / "internals" / "wire.html").is_file()
