"""Unpacks an archive into a Windows Python that is ready for packages."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from winbridge.pythons import registry, versions
from winbridge.pythons.errors import WindowsPythonError
from winbridge.pythons.interpreter import PROGRAM, Interpreter, inspect
from winbridge.pythons.registry import Known

NUGET_ROOT = "tools/"
SITE_LINE = re.compile(r"^#?\s*import site\s*$", re.MULTILINE)


def install(archive: Path, source: str, name: str | None, version: str | None, arch: str | None) -> Known:
    """Install from an archive; it is there whole or not at all.

    Args:
        archive: an embeddable package, a NuGet package, or another zip file with ``python.exe`` at its top.
        source: where it came from, in words.
        name: what to call it; None takes its version and its architecture, ``3.12-win64``.
        version: what it must be, as a version or a series; None takes any.
        arch: what it must be; None takes any.

    Raises:
        WindowsPythonError: the archive is damaged or holds something else, or the name is taken.
    """
    with registry.staged() as folder:
        _unpack(archive, folder)
        interpreter = inspect(folder)
        _require(interpreter, archive, version, arch)
        _admit_packages(interpreter)
        registry.record(folder, interpreter.executable, source)
        return registry.publish(folder, name or registry.default_name(interpreter))


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            root = _root(packed, archive)
            for item in packed.infolist():
                if item.filename.startswith(root) and item.filename != root:
                    item.filename = item.filename[len(root) :]
                    packed.extract(item, folder)  # which lets no name lead out of the folder
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise WindowsPythonError(f"{archive} cannot be unpacked: {error}") from error


def _root(packed: zipfile.ZipFile, archive: Path) -> str:
    """What stands before ``python.exe`` in its name."""
    names = set(packed.namelist())
    for root in ("", NUGET_ROOT):
        if root + PROGRAM in names:
            return root
    raise WindowsPythonError(
        f"{archive} holds no {PROGRAM}: it takes the embeddable package (python-3.12.10-embed-amd64.zip) or a NuGet"
        " package (python.3.12.10.nupkg)"
    )


def _require(interpreter: Interpreter, archive: Path, version: str | None, arch: str | None) -> None:
    if version is not None and not versions.matches(interpreter.version, version):
        raise WindowsPythonError(f"{archive} is Python {interpreter.version}, and {version} was asked for")
    if arch not in (None, interpreter.arch):
        raise WindowsPythonError(f"{archive} is a {interpreter.arch} Python, and {arch} was asked for")


def _admit_packages(interpreter: Interpreter) -> None:
    """Have it see its site-packages.

    An embeddable package comes with a ``pythonNNN._pth``, which lists all of ``sys.path`` and leaves the module
    ``site`` out, until its last line is no comment any more
    (https://docs.python.org/3/library/sys_path_init.html#pth-files).
    """
    interpreter.site_packages.mkdir(parents=True, exist_ok=True)
    for file in interpreter.home.glob("python3*._pth"):
        text = file.read_text()
        file.write_text(SITE_LINE.sub("import site", text) if SITE_LINE.search(text) else f"{text}\nimport site\n")
