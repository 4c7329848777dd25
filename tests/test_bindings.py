"""Packages of PyPI with ctypes bindings, unmodified: their Windows DLLs here do what their libraries for Linux do.

The scripts in tests/bindings do some work with a package and print what came of it. Each runs with the Linux wheel
under this Python, with the Windows wheel under a Windows Python on Wine, and with the Windows wheel under this Python
through ``winbridge run``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.test_parity import NO_PYTHON, PYTHONS, run_with_pipes
from winbridge.core import paths, wine
from winbridge.core.config import Config
from winbridge.core.prefix import ensure

pytestmark = pytest.mark.wine
SCRIPTS = ROOT / "tests" / "bindings"
PACKAGES = ROOT / ".cache" / "bindings"
NO_PACKAGES = "NO {} in {}: UNMODIFIED BINDINGS ARE NOT TESTED. Fetch them: python scripts/binding_packages.py"
WORK = {
    "pypdfium2": "pdf_pages.py",
    "pymediainfo": "media_files.py",
    "pyzbar": "bar_codes.py",
    "pylibdmtx": "data_matrix.py",
}
LIBRARIES = {"pyzbar": "libzbar.so", "pylibdmtx": "libdmtx.so"}  # of Debian; the other wheels bring theirs
OLDER_LIBRARY = {("pyzbar", "win32")}  # its DLL is zbar 0.10, which knows no orientation


@pytest.fixture(scope="module", params=WORK)
def package(request: pytest.FixtureRequest) -> str:
    return request.param


def packages(package: str, place: str) -> Path:
    folder = PACKAGES / f"{package}-{place}"
    if not folder.exists():
        pytest.skip(NO_PACKAGES.format(folder.name, PACKAGES))
    return folder


def output(command: list[str | Path], folder: Path, **environment: str) -> str:
    """Standard output and errors apart, so that a warning does not count as a difference."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def on_linux(package: str) -> str:
    """With the library for Linux."""
    folder = packages(package, "linux")
    libraries = PACKAGES / "libraries"
    if package in LIBRARIES and not (libraries / LIBRARIES[package]).exists():
        pytest.skip(NO_PACKAGES.format(LIBRARIES[package], libraries))
    return output([sys.executable, SCRIPTS / WORK[package]], folder, LD_LIBRARY_PATH=str(libraries))


def on_windows(package: str, arch: str) -> str:
    """With the DLL, under a Windows Python on Wine."""
    folder = packages(package, arch)
    if not (PYTHONS / arch / "python.exe").exists():
        pytest.skip(NO_PYTHON.format(PYTHONS / arch))
    config = Config()
    prefix = ensure(config)
    environment = {**wine.environment(config), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    environment["PYTHONPATH"] = paths.unix_to_windows(folder, prefix)
    script = paths.unix_to_windows(SCRIPTS / WORK[package], prefix)
    exit_code, said = run_with_pipes(
        [wine.find_loader(config, arch).path, PYTHONS / arch / "python.exe", script], environment
    )
    assert exit_code == 0, said
    return said.replace("\r\n", "\n")


def through_winbridge(package: str, arch: str) -> str:
    """With the DLL, under this Python."""
    command = [sys.executable, "-m", "winbridge", "run", "--platform", "windows", SCRIPTS / WORK[package]]
    return output(command, packages(package, arch), WINBRIDGE_ARCH=arch)


def test_the_dll_does_what_the_library_does(package, arch):
    expected = on_windows(package, arch) if (package, arch) in OLDER_LIBRARY else on_linux(package)
    assert expected.count("\n") > 10
    assert through_winbridge(package, arch) == expected


def test_the_reference_holds_on_windows(package, arch):
    """Where the other test fails and this one does not, the fault is winbridge's, not Wine's or the DLL's."""
    if (package, arch) in OLDER_LIBRARY:
        pytest.skip("the library for Linux is another version: nothing to compare with")
    assert on_windows(package, arch) == on_linux(package)
