"""Connections to a process, one for each way to carry them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from winbridge.remote.connection import Connection
from winbridge.remote.options import Options

ROOT = Path(__file__).resolve().parent.parent.parent


def start_peer(kind: str, *descriptors: int, python: str = sys.executable) -> subprocess.Popen[bytes]:
    """A process that serves one connection over descriptors that it inherits."""
    command = [python, "-m", "tests.remote.peer", kind, *map(str, descriptors)]
    return subprocess.Popen(command, pass_fds=descriptors, cwd=ROOT, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def used(connection: Connection, process: subprocess.Popen[bytes]) -> Iterator[Connection]:
    try:
        with connection:
            yield connection
    finally:
        connection.cancel()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def over_socketpair(options: Options | None = None, python: str = sys.executable) -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = start_peer("socket", theirs.fileno(), python=python)
    with used(Connection.from_socket(ours, options=options), process) as connection:
        yield connection


@contextlib.contextmanager
def over_pipes(options: Options | None = None, python: str = sys.executable) -> Iterator[Connection]:
    our_in, their_out = os.pipe()
    their_in, our_out = os.pipe()
    process = start_peer("pipes", their_in, their_out, python=python)
    os.close(their_in)
    os.close(their_out)
    with used(Connection.from_pipes(our_in, our_out, options=options), process) as connection:
        yield connection


@contextlib.contextmanager
def over_tcp(options: Options | None = None, python: str = sys.executable) -> Iterator[Connection]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = start_peer("listener", listener.fileno(), python=python)
    with used(Connection.from_tcp("127.0.0.1", port, options=options), process) as connection:
        yield connection


@contextlib.contextmanager
def over_unix(options: Options | None = None, python: str = sys.executable) -> Iterator[Connection]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            process = start_peer("listener", listener.fileno(), python=python)
        with used(Connection.from_unix(path, options=options), process) as connection:
            yield connection


STREAM, SHARED = Options(shared_memory=False), Options()

Transport = Callable[..., Any]
TRANSPORTS: dict[str, Transport] = {
    "socketpair": partial(over_socketpair, STREAM),
    "pipes": partial(over_pipes, STREAM),
    "tcp": partial(over_tcp, STREAM),
    "unix": partial(over_unix, STREAM),
    "shared memory": partial(over_socketpair, SHARED),
    "shared memory, pipes": partial(over_pipes, SHARED),
}
"""Further ones are added where they are made: ``TRANSPORTS["ssh"] = over_ssh``."""
