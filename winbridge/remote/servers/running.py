"""Running a server until it is told to end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator
from types import FrameType

from winbridge.remote.authentication import Secret, find_secret
from winbridge.remote.servers.admission import Admission
from winbridge.remote.servers.handlers import ConnectionHandler, LocalConnectionHandler
from winbridge.remote.servers.listening import check_exposure, listen_tcp, listen_unix
from winbridge.remote.servers.server import Server

Started = Callable[[Server], object]

CONNECTIONS = 128
TIMEOUT = 10.0
GRACE = 10.0


def run_tcp(
    host: str,
    port: int,
    handler: ConnectionHandler | None = None,
    *,
    secret: str | bytes | Secret | None = None,
    secret_file: str | os.PathLike[str] | None = None,
    tls: ssl.SSLContext | None = None,
    allow_unauthenticated: bool = False,
    connections: int = CONNECTIONS,
    timeout: float = TIMEOUT,
    grace: float = GRACE,
    started: Started | None = None,
) -> None:
    """Serve connections over TCP, until SIGTERM or SIGINT, or ``stop()`` of the server that ``started`` gets.

    A client that gets in can run any code as this user. So it has to show the secret, or a certificate. What they
    send is not encrypted without TLS.

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        handler: what is done with connections; None for a ``LocalConnectionHandler``.
        secret: what clients must know; None takes ``WINBRIDGE_SECRET`` or ``WINBRIDGE_SECRET_FILE``.
        secret_file: a file with it, which nobody else may read.
        tls: of ``winbridge.remote.tls.server_tls``.
        allow_unauthenticated: let every program on this machine in, of every user. Loopback addresses only.
        connections: how many at once.
        timeout: seconds that a client may take to introduce itself.
        grace: seconds that what is running gets to end. A second signal ends it at once.
        started: called with the server when it listens; the server has ``address`` and ``stop(force=False)``.

    Raises:
        ConfigError: the address cannot be had, or anybody could run code here.
    """
    with open_tcp(host, port, secret, secret_file, tls, allow_unauthenticated, timeout) as (listener, admission):
        run(Server(listener, admission, handler or LocalConnectionHandler(), connections, grace), started)


def run_unix(
    path: str | os.PathLike[str],
    handler: ConnectionHandler | None = None,
    *,
    users: Collection[int] = (),
    secret: str | bytes | Secret | None = None,
    secret_file: str | os.PathLike[str] | None = None,
    connections: int = CONNECTIONS,
    timeout: float = TIMEOUT,
    grace: float = GRACE,
    started: Started | None = None,
) -> None:
    """Serve connections over a Unix socket, to processes of this user and of root; else as ``run_tcp``.

    Args:
        path: file of the socket; it is removed at the end.
        users: numbers of further users that may connect.
        secret: what clients must know in addition; the environment is not asked for one here.

    Raises:
        ConfigError: the path cannot be had.
    """
    with open_unix(path, secret, secret_file, users, timeout) as (listener, admission):
        run(Server(listener, admission, handler or LocalConnectionHandler(), connections, grace), started)


@contextlib.contextmanager
def open_tcp(
    host: str,
    port: int,
    secret: str | bytes | Secret | None,
    secret_file: str | os.PathLike[str] | None,
    tls: ssl.SSLContext | None,
    allow_unauthenticated: bool,
    timeout: float,
) -> Iterator[tuple[socket.socket, Admission]]:
    """A listening TCP socket, and what clients have to show there; arguments and errors as of ``run_tcp``."""
    known = find_secret(secret, secret_file)
    with listen_tcp(host, port) as listener:
        check_exposure(listener, known, tls, allow_unauthenticated)
        yield listener, Admission(known, tls, (), timeout)


@contextlib.contextmanager
def open_unix(
    path: str | os.PathLike[str],
    secret: str | bytes | Secret | None,
    secret_file: str | os.PathLike[str] | None,
    users: Collection[int],
    timeout: float,
) -> Iterator[tuple[socket.socket, Admission]]:
    """A listening Unix socket, and what clients have to show there; arguments and errors as of ``run_unix``."""
    known = find_secret(secret, secret_file, {})
    with listen_unix(path, public=bool(users)) as listener:
        try:
            yield listener, Admission(known, None, users, timeout)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def run(server: Server, started: Started | None = None) -> None:
    """Run a server; in the main thread, signals end it: the first gently, the second at once."""
    stopping = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        server.stop(force=stopping.is_set())
        stopping.set()

    with _handled(stop):
        if started is not None:
            started(server)
        server.serve()


@contextlib.contextmanager
def _handled(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
