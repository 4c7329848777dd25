"""Python in another interpreter: on the other side of a pipe, a socket, ssh, or of Wine.

::

    from winbridge.remote import Connection

    with Connection.from_command(["python3", "-m", "winbridge.remote"]) as connection:
        connection.call(os.getpid)

Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winbridge.remote.bios import get_bios
    from winbridge.remote.connection import Connection
    from winbridge.remote.current import get_connection
    from winbridge.remote.errors import DisconnectError, OperationError, ProtocolError, RemoteTraceback
    from winbridge.remote.options import Options
    from winbridge.remote.proxy import Proxy, get_proxy_connection
    from winbridge.remote.reference import Reference, ref
    from winbridge.remote.session import PythonSession, RemoteProcess, call, evaluate, execute, import_module

_HOMES = {
    "winbridge.remote.bios": ["get_bios"],
    "winbridge.remote.connection": ["Connection"],
    "winbridge.remote.current": ["get_connection"],
    "winbridge.remote.debugging": ["set_debug_level"],
    "winbridge.remote.errors": ["DisconnectError", "OperationError", "ProtocolError", "RemoteTraceback"],
    "winbridge.remote.options": ["Options"],
    "winbridge.remote.proxy": ["Proxy", "get_proxy_connection"],
    "winbridge.remote.reference": ["Reference", "ref"],
    "winbridge.remote.session": ["PythonSession", "RemoteProcess", "call", "evaluate", "execute", "import_module"],
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Connection",
    "DisconnectError",
    "OperationError",
    "Options",
    "ProtocolError",
    "Proxy",
    "PythonSession",
    "Reference",
    "RemoteProcess",
    "RemoteTraceback",
    "call",
    "evaluate",
    "execute",
    "get_bios",
    "get_connection",
    "get_proxy_connection",
    "import_module",
    "ref",
    "set_debug_level",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'winbridge.remote' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
