"""DLLs: libraries, functions, prototypes, and how arguments and results are marshalled."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["Dll", "DllFunction", "RemotePointer", "load_dll"]

_HOME_OF = {
    "Dll": "winbridge.dll.library",
    "DllFunction": "winbridge.dll.function",
    "RemotePointer": "winbridge.dll.pointer",
    "load_dll": "winbridge.dll.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'winbridge.dll' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
