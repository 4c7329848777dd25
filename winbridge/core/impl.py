"""Which implementation of the hot steps is in use: the C extension ``winbridge._native``, or Python alone.

The environment variable ``WINBRIDGE_IMPL`` forces one, ``python`` or ``native``. Without it the extension is taken
where it was built. Both do the same; whole steps of a call are chosen here, once, when they are defined.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from winbridge.core import wire

ABI = 8
"""Goes up with every change of what Python and the extension know of each other; setup.py compiles it in."""

BUILD = "build it in a checkout with `make extension`, or install with WINBRIDGE_BUILD_EXTENSION=1"

Function = TypeVar("Function", bound=Callable[..., Any])


def _load() -> Any:
    """The extension to use, None for Python alone.

    Raises:
        ImportError: it is forced, and is not there or belongs to another version.
    """
    forced = os.environ.get("WINBRIDGE_IMPL") or None
    if forced not in (None, "python", "native"):
        raise ImportError(f"WINBRIDGE_IMPL={forced!r} is unknown: it takes python or native")
    if forced == "python":
        return None
    try:
        extension = importlib.import_module("winbridge._native")
    except ImportError as error:
        if forced is None:
            return None
        raise ImportError(f"WINBRIDGE_IMPL=native, and the extension cannot be imported ({error}): {BUILD}") from error
    problem = _stale(extension)
    if problem is None:
        return extension
    if forced:
        raise ImportError(f"WINBRIDGE_IMPL=native, and {problem}")
    warnings.warn(f"{problem}; Python is used in its place", RuntimeWarning, stacklevel=2)
    return None


def _stale(extension: Any) -> str | None:
    """What is wrong with an extension of another version."""
    theirs, ours = (extension.ABI, extension.WIRE), (ABI, wire.VERSION)
    if theirs == ours:
        return None
    return (
        f"{extension.__file__} is of another version of winbridge (interface and wire {theirs[0]}.{theirs[1]},"
        f" needed is {ours[0]}.{ours[1]}): {BUILD}"
    )


native: Any = _load()
"""The extension, or None."""

__impl__ = "python" if native is None else "native"
"""Which implementation is in use: ``python`` or ``native``."""


def step(name: str) -> Callable[[Function], Function]:
    """Put a step of the extension in front of a function: it does the usual case, the function all others.

    Args:
        name: of the extension's function that makes it.
    """

    def in_front(function: Function) -> Function:
        return function if native is None else getattr(native, name)(function)

    return in_front


def chosen(kind: Any) -> Any:
    """A class of Python, or the extension's of the same name."""
    return kind if native is None else getattr(native, kind.__name__)
