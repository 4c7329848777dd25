"""A Windows Python interpreter, as its files describe it; nothing is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from winbridge.core.errors import DllNotFoundError
from winbridge.dll import pe
from winbridge.pythons import versions
from winbridge.pythons.errors import WindowsPythonError

PROGRAM = "python.exe"
LIBRARY = re.compile(r"python3\d+\.dll", re.IGNORECASE)
ARCHS = ("win64", "win32")


class Interpreter(NamedTuple):
    """What a ``python.exe`` is: its file, its version (``3.12.10``) and its architecture."""

    executable: Path
    version: str
    arch: str

    @property
    def series(self) -> str:
        """The version without its last part: ``3.12``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def home(self) -> Path:
        """The folder that Python calls ``sys.prefix``; in a virtual environment the program lies below it."""
        folder = self.executable.parent
        return folder.parent if (folder.parent / "pyvenv.cfg").is_file() else folder

    @property
    def site_packages(self) -> Path:
        """Where its packages lie."""
        return self.home / "Lib" / "site-packages"


def inspect(path: Path) -> Interpreter:
    """Read what a Windows Python is.

    Args:
        path: its ``python.exe``, or the folder with it.

    Raises:
        WindowsPythonError: there is none, or it is for another machine or no Python 3.
    """
    executable = path / PROGRAM if path.is_dir() else path
    if not executable.is_file():
        raise WindowsPythonError(f"there is no Windows Python at {path}: name its python.exe or the folder with it")
    try:
        arch = pe.architecture(executable)
    except DllNotFoundError as error:
        raise WindowsPythonError(f"{executable} is no Windows program: {error}") from error
    if arch not in ARCHS:
        raise WindowsPythonError(f"{executable} is for {arch}, and Wine runs win64 and win32 here")
    return Interpreter(executable, _version(executable), arch)


def _version(executable: Path) -> str:
    """That of Python's DLL where it lies beside the program, which may be a launcher of any version."""
    beside = (path for path in executable.parent.iterdir() if LIBRARY.fullmatch(path.name))
    file = next(beside, executable)
    found = versions.VERSION.match(_product_version(file))
    if not found:
        raise WindowsPythonError(f"{executable} is no Python 3: {file.name} does not tell a version of it")
    return found[0]


def _product_version(file: Path) -> str:
    """The text in the version resource (Microsoft's VS_VERSIONINFO); empty where there is none."""
    import pefile

    with pefile.PE(str(file), fast_load=True) as image:
        image.parse_data_directories(directories=[pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_RESOURCE"]])
        for block in (part for group in getattr(image, "FileInfo", []) for part in group):
            for table in getattr(block, "StringTable", []):
                if version := table.entries.get(b"ProductVersion"):
                    return str(version.decode(errors="replace"))
    return ""
