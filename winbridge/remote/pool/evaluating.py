"""What a worker does for sessions: each has a namespace, and its code runs in order."""

from __future__ import annotations

import contextlib
import sys
import threading
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from winbridge.remote.current import get_connection
from winbridge.remote.operations import run
from winbridge.remote.pool import printing

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection


class _Session:
    def __init__(self, name: str) -> None:
        self.name = name
        # A module, because pickle, dataclasses and others look for classes in the module that they name.
        self.module = types.ModuleType(f"session_{name}", f"What session {name} has defined.")
        self.turn = threading.RLock()  # a callback of the client may run code too


_sessions: dict[Connection, _Session] = {}


@contextlib.contextmanager
def session(name: str, connection: Connection) -> Iterator[None]:
    """Give a session its namespace, as long as its connection is served."""
    made = _sessions[connection] = _Session(name)
    sys.modules[made.module.__name__] = made.module
    try:
        yield
    finally:
        del _sessions[connection]
        del sys.modules[made.module.__name__]


def session_id() -> str:
    """The name of the session that asks, called by its client; empty where it is no session of a pool."""
    own = _sessions.get(get_connection())
    return own.name if own else ""


def execute(source: str, variables: dict[str, Any]) -> Any:
    """As ``evaluate`` in the session's namespace, with variables that are put there before."""
    vars(_sessions[get_connection()].module).update(variables)
    return evaluate(source, None, None)


def evaluate(code: str, locs: dict[str, Any] | None, globs: dict[str, Any] | None) -> Any:
    """Run code of a session; called by its client.

    Args:
        code: an expression, or statements.
        locs: local names; None for those of ``globs``.
        globs: global names, in the place of those that the session has; None for the session's, where what the code
            defines stays.

    Returns:
        the value of the last statement if that is an expression, else None.
    """
    own = _sessions[get_connection()]
    world = vars(own.module) if globs is None else globs
    world.setdefault("__name__", own.module.__name__)
    with own.turn:  # one that was cancelled may not have ended yet
        try:
            return run(code, world, world if locs is None else locs)
        finally:
            printing.flush()
