"""What the peer is asked to do, beside calling a function of its own: these are called there by name."""

from __future__ import annotations

import sys
from typing import Any

MAIN = "__main__"

REMEMBERED = 1000
"""So many sources show their lines in tracebacks; a function that an older one has defined shows none."""

_names: dict[str, None] = {}
"""The file names of these sources, the newest last."""


def execute(source: str, variables: dict[str, Any] | None = None) -> Any:
    """Execute statements in ``__main__``.

    Args:
        source: Python code.
        variables: put there before.

    Returns:
        the value of the last statement if that is an expression, else None.
    """
    space = vars(sys.modules[MAIN])
    space.update(variables or {})
    return run(source, space, space)


def evaluate(source: str, local: dict[str, Any] | None = None, world: dict[str, Any] | None = None) -> Any:
    """Evaluate an expression, or execute statements.

    Args:
        source: Python code.
        local: the local names; None for those of ``world``.
        world: the global names; None for those of ``__main__``.

    Returns:
        the value of the expression, or of the last statement if that is one, else None.
    """
    space = vars(sys.modules[MAIN]) if world is None else world
    return run(source, space, space if local is None else local)


def run(source: str, world: dict[str, Any], local: dict[str, Any]) -> Any:
    """Execute statements; the value of the last one if that is an expression, else None."""
    import ast

    name = _remember(source)
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec", dont_inherit=True), world, local)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), world, local)  # type: ignore[attr-defined]


def _remember(source: str) -> str:
    """A file name under which tracebacks find the lines of the code."""
    import linecache

    name = f"<remote {hash(source) & 0xFFFFFFFF:08x}>"
    linecache.cache[name] = len(source), None, source.splitlines(True), name
    _names.pop(name, None)
    _names[name] = None
    for oldest in list(_names)[:-REMEMBERED]:
        _names.pop(oldest, None)
        linecache.cache.pop(oldest, None)
    return name


def identity(value: Any) -> Any:
    """The value: with ``ref`` around it, a copy that stays at the peer."""
    return value


def check_code(code: Any, local: Any, world: Any) -> None:
    """Raise TypeError for what ``evaluate`` does not take, before it is sent."""
    if not isinstance(code, str):
        raise TypeError(f"the code is a str, not {type(code).__name__}")
    for name, value in (("locs", local), ("globs", world)):
        if not isinstance(value, (dict, type(None))):
            raise TypeError(f"{name} is a dict or None, not {type(value).__name__}")


def import_module(name: str) -> Any:
    """A module, which stays where it is."""
    import importlib

    from winbridge.remote.reference import ref

    return ref(importlib.import_module(name))
