"""winbridge: use Windows code from Python on Linux as if it were its own.

::

    from winbridge import load_dll
    load_dll("kernel32").GetTickCount()

Names are imported when they are first used, so that ``import winbridge`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winbridge.core.config import Config
    from winbridge.core.errors import (
        AgentDiedError,
        AgentError,
        AgentStartError,
        CallTimeoutError,
        ConfigError,
        ConnectError,
        DllError,
        DllNotFoundError,
        FunctionNotFoundError,
        NoSessionError,
        PrototypeError,
        SessionClosedError,
        SessionError,
        SessionExistsError,
        TransportError,
        WinbridgeError,
        WindowsFault,
        WireError,
    )
    from winbridge.core.gateway import GatewaySession
    from winbridge.core.local import Win32Session, Win64Session
    from winbridge.core.session import SessionEngine
    from winbridge.core.singleton import Singleton
    from winbridge.core.transport.memory import MemorySession
    from winbridge.ctypes.session import CtypesSession
    from winbridge.dll.function import DllFunction
    from winbridge.dll.lasterror import get_errno, get_last_error, set_errno, set_last_error
    from winbridge.dll.library import Dll
    from winbridge.dll.load import call, function, load_dll
    from winbridge.dll.pointer import RemotePointer
    from winbridge.dll.shared import shared, shared_array
    from winbridge.dll.sync import sync
    from winbridge.remote.session import PythonSession

__version__ = "0.1.0"

__impl__: str
"""Which implementation of the hot steps is in use: ``python``, or ``native`` (the C extension)."""

_HOMES = {
    "winbridge.core.config": ["Config"],
    "winbridge.core.errors": [
        "AgentDiedError",
        "AgentError",
        "AgentStartError",
        "CallTimeoutError",
        "ConfigError",
        "ConnectError",
        "DllError",
        "DllNotFoundError",
        "FunctionNotFoundError",
        "NoSessionError",
        "PrototypeError",
        "SessionClosedError",
        "SessionError",
        "SessionExistsError",
        "TransportError",
        "WinbridgeError",
        "WindowsFault",
        "WireError",
    ],
    "winbridge.core.gateway": ["GatewaySession"],
    "winbridge.core.impl": ["__impl__"],
    "winbridge.core.local": ["Win32Session", "Win64Session"],
    "winbridge.core.session": ["SessionEngine"],
    "winbridge.core.singleton": ["Singleton"],
    "winbridge.core.transport.memory": ["MemorySession"],
    "winbridge.ctypes.session": ["CtypesSession"],
    "winbridge.dll.function": ["DllFunction"],
    "winbridge.dll.lasterror": ["get_errno", "get_last_error", "set_errno", "set_last_error"],
    "winbridge.dll.library": ["Dll"],
    "winbridge.dll.load": ["call", "function", "load_dll"],
    "winbridge.dll.pointer": ["RemotePointer"],
    "winbridge.dll.shared": ["shared", "shared_array"],
    "winbridge.dll.sync": ["sync"],
    "winbridge.remote.session": ["PythonSession"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AgentDiedError",
    "AgentError",
    "AgentStartError",
    "CallTimeoutError",
    "Config",
    "ConfigError",
    "ConnectError",
    "CtypesSession",
    "Dll",
    "DllError",
    "DllFunction",
    "DllNotFoundError",
    "FunctionNotFoundError",
    "GatewaySession",
    "MemorySession",
    "NoSessionError",
    "PrototypeError",
    "PythonSession",
    "RemotePointer",
    "SessionClosedError",
    "SessionEngine",
    "SessionError",
    "SessionExistsError",
    "Singleton",
    "TransportError",
    "Win32Session",
    "Win64Session",
    "WinbridgeError",
    "WindowsFault",
    "WireError",
    "call",
    "function",
    "get_errno",
    "get_last_error",
    "load_dll",
    "set_errno",
    "set_last_error",
    "shared",
    "shared_array",
    "sync",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'winbridge' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
