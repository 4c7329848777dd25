"""Where a DLL is: from the name that a user gave to the file, its architecture, and what Windows is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from winbridge.core import paths
from winbridge.core.errors import DllNotFoundError

SEARCH_DEFAULT_DIRS = 0x1000
SEARCH_DLL_LOAD_DIR = 0x100
"""Flags of LoadLibraryExW, the ones that ctypes uses since Python 3.8 (Microsoft Learn, LoadLibraryExW)."""


class Location(NamedTuple):
    """A DLL by name.

    Attributes:
        given: what the user wrote.
        file: the file on this machine, None where the Windows side searches for it.
        arch: ``win64`` or ``win32`` by the file's header, None where there is no file to look at.
        winmode: flags of LoadLibraryExW in place of the usual ones.
    """

    given: str
    file: Path | None = None
    arch: str | None = None
    winmode: int | None = None

    def windows(self, prefix: Path) -> tuple[str, int]:
        """The name and the flags for LoadLibraryExW."""
        name, flags = self._usual(prefix)
        return name, flags if self.winmode is None else self.winmode

    def _usual(self, prefix: Path) -> tuple[str, int]:
        if self.file is not None and not paths.is_windows_path(self.given):
            dot = "" if self.file.suffix else "."  # else Windows appends .dll
            return paths.unix_to_windows(self.file, prefix) + dot, SEARCH_DEFAULT_DIRS | SEARCH_DLL_LOAD_DIR
        if paths.is_windows_path(self.given):
            return self.given, SEARCH_DEFAULT_DIRS | SEARCH_DLL_LOAD_DIR
        return self.given, SEARCH_DEFAULT_DIRS


def locate(name: str | os.PathLike[str], prefix: Path, arch: str | None = None) -> Location:
    """Find out what a name means.

    A name with a slash, or that of a file in the working directory, is a file on this machine;
    one with a backslash or a drive letter is a Windows path; any other is a DLL that Windows finds by
    its own rules (system DLLs).

    Args:
        name: what the user wrote.
        prefix: the Wine prefix, for Windows paths.
        arch: of the process that is to load it, if known: 32-bit ones see another system32.

    Raises:
        DllNotFoundError: there is no such file, or it is no DLL (the message says what it is).
    """
    from winbridge.dll import pe

    text = os.fspath(name)
    if not isinstance(text, str) or not text:
        raise TypeError(f"the name of a DLL is a non-empty str or a path, not {name!r}")
    if paths.is_windows_path(text):
        file = windows_file(text, prefix, arch)
        return Location(text, file, pe.architecture(file) if file else None)
    if "/" not in text and not os.path.isfile(text):
        return Location(text)
    file = Path(text).absolute()
    if not os.path.exists(file):  # unlike Path.exists, also False for names that no file can have
        raise DllNotFoundError(f"there is no file {file} (looked for {text!r} from {Path.cwd()})")
    return Location(text, file, pe.architecture(file))


def windows_file(path: str, prefix: Path, arch: str | None) -> Path | None:
    """The file behind a Windows path as a process of that architecture sees it, None if there is none here.

    A 32-bit process sees SysWOW64 under the name system32 (where the prefix has both).
    """
    redirected = _replaced(path, "\\system32\\", "\\syswow64\\") if arch == "win32" else path
    return _existing(redirected, prefix) or _existing(path, prefix)


def _replaced(path: str, old: str, new: str) -> str:
    path = path.replace("/", "\\")
    at = path.lower().find(old)
    return path if at < 0 else path[:at] + new + path[at + len(old) :]


def _existing(path: str, prefix: Path) -> Path | None:
    try:
        file = Path(paths.windows_to_unix(path, prefix))
    except (OSError, ValueError):
        return None
    return file if os.path.isfile(file) else None
