"""A peer of one's own: a child process that serves on a socket, and what is called in it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from winbridge.remote import Connection, Options

ROOT = Path(__file__).parents[2]

CHILD = """
import socket, sys
sys.path[:0] = {path!r}
from winbridge.remote import Connection, Options
from winbridge.remote.carriers.stream import SocketCarrier
carrier = SocketCarrier(socket.socket(fileno={number}))
Connection(carrier, Options(**{options!r}), server=True, start=False).serve()
"""


@contextlib.contextmanager
def peer(
    python: str = sys.executable,
    *,
    here: Options | None = None,
    there: dict[str, object] | None = None,
    path: tuple[str, ...] = (str(ROOT),),
) -> Iterator[Connection]:
    """A connection to a new process of this Python, with options of either side.

    Args:
        path: where the child finds modules; winbridge must be among them.
    """
    ours, theirs = socket.socketpair()
    code = CHILD.format(number=theirs.fileno(), options=there or {}, path=list(path))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = subprocess.Popen([python, "-c", code], pass_fds=[theirs.fileno()], env=environment, cwd="/")
    theirs.close()
    try:
        with Connection.from_socket(ours, options=here) as connection:
            yield connection
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def oldest_python() -> str | None:
    """A CPython 3.8, the oldest that may be a peer."""
    for name in ("/root/.pyenv/versions/3.8.18/bin/python", "/usr/bin/python3.8"):
        if Path(name).exists():
            return name
    return None
