"""Paths between Unix and Windows, with the errors that Windows has for bad ones."""

from __future__ import annotations

import os
import re
from pathlib import Path

from winbridge.core import paths
from winbridge.ctypes.errors import windows_error

INVALID_DRIVE, BAD_NETPATH, INVALID_NAME, NAME_TOO_LONG = 15, 67, 123, 206
"""System error codes (Microsoft Learn)."""

LONGEST_PATH, LONGEST_NAME = 32767, 255
"""Characters (Microsoft Learn, Maximum path length limitation)."""

_ILLEGAL = re.compile(r'[<>"|?*\x00-\x1f]')

StrPath = str | os.PathLike[str]


def unix_to_windows(path: StrPath, prefix: Path) -> str:
    """The Windows path of a Unix path.

    Raises:
        OSError: it has none; ``winerror`` says why.
    """
    text = os.fspath(path)
    _check(text, text.split("/"), text)
    if "\\" in text or ":" in text:
        raise _refused(INVALID_NAME, "a name holds a character that Windows does not allow", text)
    return paths.unix_to_windows(text, prefix)


def windows_to_unix(path: StrPath, prefix: Path) -> str:
    """The Unix path of a Windows path.

    Raises:
        OSError: it has none; ``winerror`` says why.
    """
    text = os.fspath(path)
    if text.startswith("\\\\?\\unix\\"):
        return paths.windows_to_unix(text, prefix)
    inner = text[4:] if text.startswith("\\\\?\\") else text
    if inner.startswith(("\\\\", "//")):
        raise _refused(BAD_NETPATH, "a path of a network has no Unix path", text)
    _check(text, re.split(r"[\\/]", inner), inner)
    if ":" in inner[2:]:
        raise _refused(INVALID_NAME, "a name holds a character that Windows does not allow", text)
    try:
        return paths.windows_to_unix(text, prefix)
    except ValueError as error:
        raise _refused(INVALID_DRIVE, str(error), text) from error


def _check(given: str, names: list[str], text: str) -> None:
    if not text:
        raise _refused(INVALID_NAME, "the path is empty", given)
    if _ILLEGAL.search(text):
        raise _refused(INVALID_NAME, "a name holds a character that Windows does not allow", given)
    if len(text) > LONGEST_PATH or any(len(name) > LONGEST_NAME for name in names):
        raise _refused(NAME_TOO_LONG, "the path, or a name in it, is too long for Windows", given[:60] + "...")


def _refused(code: int, reason: str, path: str) -> OSError:
    return windows_error(code, f"{reason}: {path!r}")
