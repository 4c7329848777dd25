"""Errors that nobody can catch, reported as CPython does."""

from __future__ import annotations

import sys
import traceback
from typing import Any


def _arguments_type() -> Any:
    """The type of the hook's argument, which has no public name: seen by having a finaliser fail."""
    seen: list[Any] = []

    class Failing:
        def __del__(self) -> None:
            raise ValueError

    hook, sys.unraisablehook = sys.unraisablehook, seen.append
    try:
        Failing()
    finally:
        sys.unraisablehook = hook
    return type(seen.pop())  # not kept: its traceback has the frames of all who import us


_ARGUMENTS = _arguments_type()  # now: a report may come where the stack has no room for much


def report(error: BaseException, message: str, obj: Any) -> None:
    """Hand an exception to ``sys.unraisablehook``.

    Args:
        error: the exception.
        message: what was being done, for example ``on calling ctypes callback function``.
        obj: what it was done with.
    """
    fields = type(error), error, error.__traceback__, f"Exception ignored {message}", obj
    try:
        sys.unraisablehook(_ARGUMENTS(fields))
    except RecursionError:
        pass  # no room is left to tell anybody
    except Exception:
        traceback.print_exc()
