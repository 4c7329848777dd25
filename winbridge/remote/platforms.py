"""What the standard library calls otherwise on Windows and elsewhere, for peers of the other sort.

``os.getpid`` is ``posix.getpid`` on Linux and ``nt.getpid`` on Windows, ``os.path.join`` is of ``posixpath`` and of
``ntpath``: at the other side they are its own. A path of the other side cannot be touched here, so it comes as a pure
one. Numbers of signals and of sorts of sockets differ, so they travel by their names.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import importlib
import os
import sys
from typing import Any

__all__ = ["PlatformError", "Reducers", "by_name", "exists", "find"]

_WINDOWS = os.name == "nt"
_OS, _PATH, _PURE = ("posix", "posixpath", "PosixPath") if _WINDOWS else ("nt", "ntpath", "WindowsPath")
"""Of the other sort."""

_NUMBERED = ("signal", "socket")
"""Modules whose constants have numbers of the system."""


class PlatformError(ImportError):
    """Something of the standard library does not exist on this platform."""


def find(module: str, name: str) -> Any:
    """What a name of the other side stands for on this one.

    Raises:
        PlatformError: that is of the standard library, and only there on the other side.
        ImportError, AttributeError: there is no such module or name on this side.
    """
    here, attribute = _here(module, name)
    try:
        return functools.reduce(getattr, attribute.split("."), importlib.import_module(here))
    except (ImportError, AttributeError) as error:
        if module == _OS or module.partition(".")[0] in getattr(sys, "stdlib_module_names", ()):
            raise PlatformError(
                f"{module}.{name} does not exist on this side, which is {sys.platform}. Objects that only one side can "
                "have stay there: use call_ref(), or return winbridge.remote.ref(it)"
            ) from error
        raise


def exists(module: str, name: str) -> bool:
    """Whether ``find`` finds it."""
    try:
        find(module, name)
    except (ImportError, AttributeError):
        return False
    return True


def _here(module: str, name: str) -> tuple[str, str]:
    if module == _OS:
        # A part of os.path is of these modules too, as _path_isdir.
        within_path = name.startswith("_path_") and not hasattr(os, name)
        return ("os.path", name[len("_path_") :]) if within_path else ("os", name)
    if module == _PATH:
        return "os.path", name
    if module in ("pathlib", "pathlib._local"):
        return "pathlib", f"Pure{name}" if name == _PURE else name
    return module, name


def by_name(value: Any) -> Any:
    """How to reduce a constant whose number is of the system: to its name. None for anything else."""
    kind = type(value)
    if kind.__module__ in _NUMBERED and isinstance(value, enum.Enum) and value.name in kind.__members__:
        return getattr, (kind, value.name)
    return None


class Reducers:
    """A ``dispatch_table`` for picklers: that of ``copyreg``, and ``by_name``."""

    def __getitem__(self, kind: type) -> Any:
        if kind.__module__ in _NUMBERED and issubclass(kind, enum.Enum):
            return _reduce_numbered
        return copyreg.dispatch_table[kind]


def _reduce_numbered(value: Any) -> Any:
    return by_name(value) or value.__reduce_ex__(5)
