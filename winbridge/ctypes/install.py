"""Putting the drop-in in the standard library's place, for programs that say ``import ctypes``."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from types import ModuleType

MODULES = {
    "ctypes": "winbridge.ctypes",
    "ctypes.util": "winbridge.ctypes.util",
    "ctypes.wintypes": "winbridge.ctypes.wintypes",
    "ctypes._endian": "winbridge.ctypes._endian",
    "_ctypes": "winbridge.ctypes._ctypes",
}
"""What stands for what."""

MACHOLIB = [f"ctypes.macholib{name}" for name in ("", ".dyld", ".dylib", ".framework")]
"""They know file names of macOS only, and stand for themselves. Debian's Python has none from 3.13 on."""


def stand_ins() -> dict[str, ModuleType]:
    """The modules of the drop-in by the names that they stand for."""
    with contextlib.suppress(ModuleNotFoundError):
        for name in MACHOLIB:
            importlib.import_module(name)
    selves = {name: module for name in MACHOLIB if (module := sys.modules.get(name))}
    return selves | {name: importlib.import_module(ours) for name, ours in MODULES.items()}


def install() -> None:
    """Replace ctypes and its modules for everything that is imported from now on, whoever imports it.

    Winbridge's own modules are imported first, with the standard library's.
    """
    _import_all("winbridge.core")
    _import_all("winbridge.dll")
    sys.modules.update(stand_ins())


def _import_all(package: str) -> None:
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(module.__path__, package + "."):
        importlib.import_module(found.name)
