"""Answering import statements by who says them.

``builtins.__import__`` is replaced, not the finders: so it holds for modules however they were loaded (by pytest's
rewriting loader, from a zip, by ``exec``), code and its caches stay as they are, and ``sys.modules`` keeps the
originals for the standard library and for extension modules, whose imports do not come this way.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Mapping, Sequence
from types import CodeType, ModuleType, TracebackType
from typing import Any

Given = Mapping[str, ModuleType]
"""What a module gets instead of those modules, by their full names."""

Import = Callable[..., ModuleType]

_codes: set[CodeType] = set()


def replace(given: Callable[[Mapping[str, Any]], Given], names: Sequence[str]) -> None:
    """Answer import statements otherwise from now on.

    Args:
        given: tells by a module's globals what that module gets.
        names: of the top-level modules that it may be about.
    """
    concerned = frozenset(names)
    original: Import = builtins.__import__

    def __import__(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        try:
            module = original(name, globals, locals, fromlist, level)  # submodules that are nobody's else come by it
            if level == 0 and (top := name.partition(".")[0]) in concerned:
                answers = given(sys._getframe(1).f_globals if globals is None else globals)
                return answers.get(name if fromlist else top, module)
            return module
        except BaseException as error:
            error.__traceback__ = without_imports(error.__traceback__)
            raise

    _codes.add(__import__.__code__)
    builtins.__import__ = __import__


def without_imports(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without this module's frames, which stand in it wherever an import failed."""
    while traceback is not None and traceback.tb_frame.f_code in _codes:
        traceback = traceback.tb_next
    at = traceback
    while at is not None:
        while at.tb_next is not None and at.tb_next.tb_frame.f_code in _codes:
            at.tb_next = at.tb_next.tb_next
        at = at.tb_next
    return traceback
