"""``winbridge serve``: the gateway on uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from typing import NamedTuple

import uvicorn
from starlette.applications import Starlette

from winbridge.core.config import Config
from winbridge.core.errors import ConfigError
from winbridge.core.logs import configure_logging
from winbridge.gateway.app import create_app
from winbridge.gateway.guard import is_loopback
from winbridge.gateway.sessions import Limits, Sessions
from winbridge.remote.tls import server_tls

KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than a program usually pauses between two calls."""

GRACE = 10
"""Seconds that connections get to end, once the sessions are closed."""


LOOK = 0.02
"""Seconds between two looks whether calls are still under way, when the server ends."""


class Tls(NamedTuple):
    """What the server shows to clients, as PEM files."""

    certificate: Path
    key: Path | None = None
    """None where it stands in the certificate's file."""


class Server(uvicorn.Server):
    """A server that lets calls end, for a while, and then ends the sessions: calls that hang end with their agents."""

    def __init__(self, config: uvicorn.Config, sessions: Sessions) -> None:
        super().__init__(config)
        self._sessions = sessions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sessions.drain()
        deadline = time.monotonic() + self._sessions.limits.drain
        while self._sessions.busy and time.monotonic() < deadline and not self.force_exit:
            await asyncio.sleep(LOOK)
        await asyncio.to_thread(self._sessions.close_all)
        await super().shutdown(sockets)


def make_server(app: Starlette, tls: Tls | None = None) -> Server:
    """A server of an application of ``create_app``, yet to be run: ``server.run(sockets=[listen(...)])``."""
    settings = uvicorn.Config(
        app, lifespan="on", ws="none", log_level="warning", access_log=False, server_header=False,
        timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=GRACE,
        ssl_certfile=tls and tls.certificate, ssl_keyfile=tls and tls.key,
    )  # fmt: skip
    return Server(settings, app.state.sessions)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: that address cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot listen on {host!r}, port {port}: {error}; name another --host or --port") from error
    # Connections inherit it. asyncio only sets it where the protocol is named, and without it each answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Also inherited: a client whose machine vanished while it waited for callbacks is noticed, and its session expires.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE)
    return listener


def address(listener: socket.socket, tls: Tls | None = None) -> str:
    """The URL that clients connect to."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def serve(
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    *,
    limits: Limits | None = None,
    tls: Tls | None = None,
    config: Config | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then let calls under way end, as the limits say, and close all sessions.

    Args:
        host: where to listen.
        port: 0 takes a free one.
        token: what clients must show; only on this machine's own addresses may it be None.
        tls: what to show to clients; None speaks plain HTTP.
        limits, config: see ``create_app``. The parameters ``log_level`` and ``log_file`` count for the gateway too.

    Raises:
        ConfigError: no token for an address that others reach, it cannot be listened on, or the certificate is bad.
    """
    if token is None and not is_loopback(host):
        raise ConfigError(f"host={host!r}: others reach it, so clients need a token: give one (--token-file)")
    if tls is not None:
        server_tls(*tls)  # its errors name the file, and it never asks for a password at the terminal
    config = config if config is not None else Config()
    configure_logging(config)
    server = make_server(create_app(token, limits, config), tls)
    with listen(host, port) as listener:
        print(_announcement(listener, host, token, tls), flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when all is closed
            server.run(sockets=[listener])


def _announcement(listener: socket.socket, host: str, token: str | None, tls: Tls | None) -> str:
    asks = "clients need the token" if token is not None else "NO TOKEN: anybody on this machine can run code as you"
    reach = "" if tls or is_loopback(host) else "; not encrypted, others may listen: give --tls-cert and --tls-key"
    return f"winbridge gateway listens on {address(listener, tls)} ({asks}{reach})"
