"""What this thread is doing for a connection: whose request it executes, whose values it packs or unpacks.

Functions that pickle calls (to make a proxy of a reference, a reference of a proxy) get no argument that says for
which connection; they find it here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection
    from winbridge.remote.values import Values

__all__ = ["current", "get_connection"]


class _Current(threading.local):
    connection: Connection | None = None
    """The connection whose request this thread executes."""

    values: Values | None = None
    """Whose ``dumps`` or ``loads`` this thread is in."""

    undo: list[Any] | None = None
    """Within ``dumps``: what to call if the message cannot be packed after all; None within ``loads``."""


current = _Current()


def get_connection() -> Connection:
    """The connection that called the function which this thread executes, to call back through it.

    Raises:
        OperationError: nobody called: this thread does not execute a request of a peer.
    """
    if current.connection is None:
        from winbridge.remote.errors import OperationError

        raise OperationError(
            "get_connection() is for functions that a peer calls, in the thread that executes them; "
            "this thread executes no request of a peer. Hand the connection to it as an argument"
        )
    return current.connection
