"""Modules of the standard library that define types by ctypes' names: run anew with ours."""

from __future__ import annotations

import builtins
import importlib.util
import sys
from types import CodeType
from typing import Any


def executed(name: str, ctypes: Any) -> dict[str, Any]:
    """What a module of the standard library defines when its ``import ctypes`` gives another module.

    Args:
        name: of the module.
        ctypes: what it imports under that name.

    Returns:
        its names.
    """

    def importing(module: str, *arguments: Any, **named: Any) -> Any:
        return ctypes if module == "ctypes" else builtins.__import__(module, *arguments, **named)

    space = {"__name__": name, "__builtins__": {**vars(builtins), "__import__": importing}}
    exec(_code(name), space)
    return {key: value for key, value in space.items() if not key.startswith("__") and value is not ctypes}


def _code(name: str) -> CodeType:
    spec = importlib.util.find_spec(name)
    loader: Any = spec.loader if spec is not None else None
    code: CodeType | None = loader.get_code(name) if loader is not None else None
    if code is None:
        raise ImportError(f"the source of {name} is not to be found in Python {sys.version.split()[0]}")
    return code
