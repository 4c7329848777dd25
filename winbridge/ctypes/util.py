"""``ctypes.util`` as on Windows."""

import winbridge.ctypes as _ctypes
from winbridge.ctypes.search import find as _find


def find_msvcrt() -> None:
    """The name of the C runtime that Python uses: None, since that of today cannot be loaded by name."""


def find_library(name: str) -> str | None:
    """The path of a library that is found along the Windows side's PATH, or None.

    Args:
        name: with or without ``.dll``.
    """
    if name in ("c", "m"):  # the C runtime: see find_msvcrt
        return None
    return _find(_ctypes._family, name)
