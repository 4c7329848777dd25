"""Servers: who connects gets a Python to work with.

================================  =================================================================================
``run_tcp``, ``run_unix``         listen, until SIGTERM or SIGINT
``LocalConnectionHandler``        serves connections in this process, in threads
``ProcessConnectionHandler``      serves each in a process of its own
``BIOSConnectionHandler``         the same, in a Python that has no winbridge: it is sent the code first
``run_pool``                      sessions of many clients on a few processes
================================  =================================================================================
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winbridge.remote.pool.serving import run_pool
    from winbridge.remote.servers.handlers import (
        BIOSConnectionHandler,
        ConnectionHandler,
        LocalConnectionHandler,
        ProcessConnectionHandler,
    )
    from winbridge.remote.servers.running import run_tcp, run_unix

_HANDLERS = "winbridge.remote.servers.handlers"
_HOME_OF = {
    "BIOSConnectionHandler": _HANDLERS,
    "ConnectionHandler": _HANDLERS,
    "LocalConnectionHandler": _HANDLERS,
    "ProcessConnectionHandler": _HANDLERS,
    "run_pool": "winbridge.remote.pool.serving",
    "run_tcp": "winbridge.remote.servers.running",
    "run_unix": "winbridge.remote.servers.running",
}

__all__ = [
    "BIOSConnectionHandler",
    "ConnectionHandler",
    "LocalConnectionHandler",
    "ProcessConnectionHandler",
    "run_pool",
    "run_tcp",
    "run_unix",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'winbridge.remote.servers' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
