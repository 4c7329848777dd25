"""Packages of a Windows Python: the host's pip chooses and unpacks wheels, here they are put into place.

pip unpacks into a new folder, whole or not at all. What an older version left is taken out by its RECORD, then the
files of the new one are moved in as its RECORD names them. So packages may share a folder: ``pip install --target``
leaves a folder that is there as it is, or replaces it.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from winbridge.pythons import hostpip
from winbridge.pythons.errors import WindowsPythonError
from winbridge.pythons.interpreter import Interpreter

PLATFORMS = {"win64": "win_amd64", "win32": "win32"}
MACHINES = {"win64": "AMD64", "win32": "x86"}
OUTSIDE = "../../"
"""What RECORD has before files that lie beside the packages; pip puts those at the top of its target."""


def pip(interpreter: Interpreter, command: str, arguments: Sequence[str]) -> int:
    """Run a command of pip for a Windows Python.

    Args:
        interpreter: whose packages.
        command: ``install``, ``uninstall``, ``list`` or ``freeze``.
        arguments: its packages and options, as pip takes them; of ``uninstall`` names alone.

    Returns:
        the exit status.

    Raises:
        WindowsPythonError: there is no pip here, the command is another, or a package is not there.
    """
    if command == "install":
        return _install(interpreter, arguments)
    if command == "uninstall":
        return _uninstall(interpreter, [name for name in arguments if not name.startswith("-")])
    if command in ("list", "freeze"):
        return _run(interpreter, [command, "--path", str(interpreter.site_packages), *arguments])
    raise WindowsPythonError(f"pip {command}: for a Windows Python there are install, uninstall, list and freeze")


def _install(interpreter: Interpreter, arguments: Sequence[str]) -> int:
    interpreter.site_packages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=interpreter.home) as folder:
        wheels = ["--only-binary=:all:", "--platform", PLATFORMS[interpreter.arch], "--implementation", "cp"]
        target = [
            "--python-version",
            interpreter.version,
            "--target",
            folder,
            "--no-compile",
            "--root-user-action=ignore",
        ]
        status = _run(interpreter, ["install", *arguments, *wheels, *target])
        if not status:
            for package in distributions(path=[folder]):
                _replace(interpreter, package, Path(folder))
        return status


def _uninstall(interpreter: Interpreter, names: Sequence[str]) -> int:
    for name in names:
        package = _installed(interpreter, name)
        if package is None:
            raise WindowsPythonError(f"{interpreter.executable} has no package {name}")
        _take_out(interpreter, package)
        print(f"Uninstalled {name}-{package.version}")
    return 0


def _run(interpreter: Interpreter, arguments: Sequence[str]) -> int:
    pip = [sys.executable, hostpip.__file__, json.dumps(_markers(interpreter)), "--disable-pip-version-check"]
    with contextlib.suppress(ImportError):
        import pip as _  # noqa: F401 - whether it is there

        return subprocess.run([*pip, *arguments], stdin=subprocess.DEVNULL).returncode
    raise WindowsPythonError(f"{sys.executable} has no pip, which chooses the wheels: {sys.executable} -m ensurepip")


def _markers(interpreter: Interpreter) -> dict[str, str]:
    """What PEP 508's environment markers are there; the release is that of Wine's default Windows."""
    return {
        "os_name": "nt",
        "sys_platform": "win32",
        "platform_system": "Windows",
        "platform_machine": MACHINES[interpreter.arch],
        "platform_release": "10",
        "platform_version": "10.0.19043",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "implementation_version": interpreter.version,
        "python_version": interpreter.series,
        "python_full_version": interpreter.version,
    }


def _replace(interpreter: Interpreter, package: Distribution, folder: Path) -> None:
    before = _installed(interpreter, package.metadata["Name"])
    if before is not None:
        _take_out(interpreter, before)
    # Its description goes last: what an interrupted move leaves does not count as installed.
    for name in sorted(_record(package), key=lambda name: ".dist-info/" in name):
        place = _place(interpreter, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / name.removeprefix(OUTSIDE)).replace(place)


def _installed(interpreter: Interpreter, name: str) -> Distribution | None:
    there = distributions(path=[str(interpreter.site_packages)])
    return next((package for package in there if _normalised(package.metadata["Name"]) == _normalised(name)), None)


def _normalised(name: str) -> str:
    """As the simple index does (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _take_out(interpreter: Interpreter, package: Distribution) -> None:
    places = [_place(interpreter, name) for name in _record(package)]
    for file in [*places, *(compiled for place in places for compiled in _compiled(place))]:
        file.unlink(missing_ok=True)
    for folder in sorted({place.parent for place in places}, key=lambda path: len(path.parts), reverse=True):
        _remove_empty(folder, interpreter.site_packages)


def _compiled(module: Path) -> Iterator[Path]:
    if module.suffix == ".py":
        yield from (module.parent / "__pycache__").glob(f"{module.stem}.cpython-*.pyc")


def _remove_empty(folder: Path, top: Path) -> None:
    with contextlib.suppress(OSError):  # others have files there
        (folder / "__pycache__").rmdir()
    with contextlib.suppress(OSError):
        while folder.is_relative_to(top) and folder != top:
            folder.rmdir()
            folder = folder.parent


def _record(package: Distribution) -> list[str]:
    return [row[0] for row in csv.reader((package.read_text("RECORD") or "").splitlines()) if row]


def _place(interpreter: Interpreter, name: str) -> Path:
    place = Path(os.path.normpath(interpreter.site_packages / name))
    if not place.is_relative_to(interpreter.home):
        raise WindowsPythonError(f"a package has a file {name}, which would lie outside of {interpreter.home}")
    return place
