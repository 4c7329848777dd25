"""Sessions: configuration, the agent, the wire, and what carries it. Nothing here knows of DLLs' types."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["Config", "GatewaySession", "SessionEngine", "Singleton", "Win32Session", "Win64Session"]

_HOME_OF = {
    "Config": "winbridge.core.config",
    "GatewaySession": "winbridge.core.gateway",
    "SessionEngine": "winbridge.core.session",
    "Singleton": "winbridge.core.singleton",
    "Win32Session": "winbridge.core.local",
    "Win64Session": "winbridge.core.local",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'winbridge.core' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
