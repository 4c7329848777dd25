"""Paths, from Unix to Windows and back, through the drives of a Wine prefix.

A prefix holds its drives as links, ``dosdevices/c:`` and so on. Nothing is started: the
links and the file system tell all. Wine also opens any Unix path as ``\\\\?\\unix\\...``,
case-sensitive and unchanged; that form is given where no drive leads to a path, or where
Windows' rules for names would alter it.
"""

from __future__ import annotations

import ntpath
import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["is_windows_path", "unix_to_windows", "windows_to_unix"]

UNIX_FORM = "\\\\?\\unix\\"

# What the Windows layer refuses, or strips from the end of a name.
_ALTERED = re.compile(r'[<>:"|?*\x00-\x1f]|[. ](?:/|$)')
_VERBATIM = re.compile(r"^(?:\\\\[?.]|\\\?\?)\\(?=[A-Za-z]:)")
_DRIVE = re.compile(r"[a-z]:")

StrPath = str | os.PathLike[str]


def is_windows_path(text: str) -> bool:
    """Tell whether a text is a Windows path rather than a Unix path or a bare name.

    A drive letter with a colon makes it one, and so does a backslash, unless the text
    begins as a Unix path does (``/``, ``./``, ``../``, ``~``).
    """
    if text.startswith(("/", "./", "../", "~")):
        return False
    return bool(re.match("[A-Za-z]:", text)) or "\\" in text


def unix_to_windows(path: StrPath, prefix: StrPath) -> str:
    """Convert a Unix path to the Windows path by which Wine's programs know the file.

    Args:
        path: it need not exist; a relative one starts at the working directory.
        prefix: the Wine prefix, whose drive nearest to the path is taken.

    Returns:
        for example ``C:\\\\x`` or ``Z:\\\\home\\\\u\\\\x``, or the ``\\\\\\\\?\\\\unix\\\\`` form.

    Raises:
        ValueError: a name holds a backslash, which separates names in Windows.
    """
    absolute = _absolute(os.fspath(path))
    if "\\" in absolute:
        raise ValueError(f"{absolute} has no Windows path: a name in it holds a backslash; rename or link it")
    letter, rest = _nearest_drive(absolute, Path(prefix))
    if not letter or _ALTERED.search(rest):
        return UNIX_FORM + absolute.lstrip("/").replace("/", "\\")
    return f"{letter.upper()}\\" + rest.replace("/", "\\")


def windows_to_unix(path: str, prefix: StrPath) -> str:
    """Convert a Windows path to the Unix path of the same file.

    As in Windows, case does not matter where no file has the exact name, and ``/``
    separates names too. A relative path starts at the working directory.

    Args:
        path: it need not exist; what does not is taken over as it is written.
        prefix: the Wine prefix with the drives.

    Returns:
        an absolute path.

    Raises:
        ValueError: the prefix has no such drive, or the path is one of a network, of a
            device, or relative to the working directory of a drive (``C:x``).
    """
    text = path.replace("/", "\\")
    if text.lower().startswith(UNIX_FORM):
        return os.path.normpath("/" + text[len(UNIX_FORM) :].replace("\\", "/"))
    text = _VERBATIM.sub("", text)
    if text.startswith(("\\\\", "\\??\\")):
        raise ValueError(f"{path} names a network or a device: there is no Unix path for it")
    drive, rest = ntpath.splitdrive(text)
    if drive and not rest.startswith("\\"):
        raise ValueError(f"{path} is relative to the working directory of drive {drive}; write {drive}\\...")
    base = _base(drive, rest, Path(prefix))
    # Windows folds "." and ".." away in the text, before it looks at any file.
    names = [name for name in ntpath.normpath("\\" + rest.lstrip("\\")).split("\\") if name]
    return _existing(base, names) if drive or rest.startswith("\\") else _existing_relative(base, rest)


def _absolute(path: str) -> str:
    # Only Unix knows where ".." leads behind a link.
    if ".." in path.split("/"):
        path = os.path.realpath(path)
    return "/" + os.path.abspath(path).lstrip("/")


def _nearest_drive(path: str, prefix: Path) -> tuple[str, str]:
    """The drive whose folder is the path or its closest ancestor, and what remains; "" for none."""
    drives: dict[tuple[int, int], str] = {}
    for letter, folder in _drives(prefix):
        if identity := _identity(folder):
            drives.setdefault(identity, letter)
    for ancestor in (path, *map(str, Path(path).parents)):
        if letter := drives.get(_identity(ancestor) or (0, 0), ""):
            return letter, path[len(ancestor) :].lstrip("/")
    return "", path


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _drives(prefix: Path) -> Iterator[tuple[str, str]]:
    """Letters with a colon, in lower case, and the folders they lead to."""
    folder = prefix / "dosdevices"
    if folder.is_dir():
        for name in sorted(os.listdir(folder)):
            if _DRIVE.fullmatch(name):
                yield name, _target(folder / name)


def _target(link: Path) -> str:
    to = os.readlink(link) if link.is_symlink() else ""
    return os.path.normpath(link.parent / to) if to else str(link)


def _base(drive: str, rest: str, prefix: Path) -> str:
    if not drive and not rest.startswith("\\"):
        return os.getcwd()
    # A path that begins with a backslash means the drive of the working directory.
    letter = drive.lower() or _nearest_drive(os.getcwd(), prefix)[0]
    folders = dict(_drives(prefix))
    if letter not in folders:
        known = ", ".join(name.upper() for name in folders) or "none"
        raise ValueError(
            f"{(drive or rest).rstrip(':')}: the Wine prefix {prefix} has no such drive, it has {known};"
            f" a link adds one: ln -s FOLDER {prefix / 'dosdevices' / (letter or 'x:')}"
        )
    return os.path.abspath(folders[letter])


def _existing_relative(base: str, rest: str) -> str:
    found = base
    for name in ntpath.normpath(rest).split("\\"):
        found = os.path.dirname(found) if name == ".." else _existing(found, [name] if name != "." else [])
    return found


def _existing(base: str, names: list[str]) -> str:
    """Walk down from a folder; a name in another case will do where the exact one is missing."""
    whole = os.path.join(base, *names)
    if os.path.lexists(whole):
        return whole
    found = base
    for name in names:
        found = os.path.join(found, _match(found, name))
    return found


def _match(folder: str, name: str) -> str:
    if os.path.lexists(os.path.join(folder, name)):
        return name
    try:
        present = sorted(os.listdir(folder))
    except OSError:
        return name
    return next((other for other in present if other.lower() == name.lower()), name)
