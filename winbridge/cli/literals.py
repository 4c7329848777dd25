"""Arguments and types as they are written on the command line."""

from __future__ import annotations

import ast
from typing import Any

import click


def argument(text: str) -> Any:
    """The value that an argument stands for.

    Args:
        text: ``42``, ``-1``, ``0xff``, ``1.5``, ``'text'``, ``b'bytes'`` or ``NULL``.

    Raises:
        click.BadParameter: it is none of these.
    """
    if text in ("NULL", "None"):
        return None
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = NotImplemented
    if isinstance(value, int | float | str | bytes):
        return value
    raise click.BadParameter(
        f"{text!r} is not a number, a quoted text, b'bytes' or NULL; a text needs quotes of its own: \"'{text}'\"",
        param_hint="ARGS",
    )


def argument_types(text: str) -> list[Any]:
    """The types in a list separated by commas; an empty list declares a function without arguments."""
    return [argument_type(name.strip()) for name in text.split(",") if name.strip()]


def argument_type(name: str) -> Any:
    """The ctypes type of a name such as ``double``, ``c_double`` or ``DWORD``.

    Raises:
        click.BadParameter: there is none.
    """
    from winbridge import ctypes
    from winbridge.ctypes import wintypes

    found = getattr(ctypes, f"c_{name.removeprefix('c_')}", None) or getattr(wintypes, name, None)
    if not (isinstance(found, type) and hasattr(found, "from_param")):
        raise click.BadParameter(f"no type {name!r}; known are int, uint, double, char_p, wchar_p, DWORD, HANDLE ...")
    return found


def result_type(name: str) -> Any:
    """Like ``argument_type``; ``void`` stands for no result."""
    return None if name in ("void", "None") else argument_type(name)


def export(text: str) -> str | int:
    """A function's name, or its ordinal where that is what was given (``17`` or ``#17``)."""
    digits = text.removeprefix("#")
    return int(digits) if digits.isdecimal() else text
