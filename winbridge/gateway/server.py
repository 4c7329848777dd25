"""``winbridge serve``: the gateway on uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import uvicorn
from starlette.applications import Starlette

from winbridge.core.config import Config
from winbridge.core.errors import ConfigError
from winbridge.gateway.app import create_app
from winbridge.gateway.guard import is_loopback
from winbridge.gateway.sessions import Limits, Sessions

KEEP_ALIVE = 75
"""Seconds that an idle connection stays open: longer than a program usually pauses between two calls."""

GRACE = 10
"""Seconds that connections get to end, once the sessions are closed."""


class Server(uvicorn.Server):
    """A server that ends the sessions first: calls that hang end with their agents."""

    def __init__(self, config: uvicorn.Config, sessions: Sessions) -> None:
        super().__init__(config)
        self._sessions = sessions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self._sessions.close_all)
        await super().shutdown(sockets)


def make_server(app: Starlette) -> Server:
    """A server of an application of ``create_app``, yet to be run: ``server.run(sockets=[listen(...)])``."""
    settings = uvicorn.Config(
        app, lifespan="on", ws="none", log_level="warning", access_log=False, server_header=False,
        timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=GRACE,
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


def address(listener: socket.socket) -> str:
    """The URL that clients connect to."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    *,
    limits: Limits | None = None,
    config: Config | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then close all sessions.

    Args:
        host: where to listen.
        port: 0 takes a free one.
        token: what clients must show; only on this machine's own addresses may it be None.
        limits, config: see ``create_app``.

    Raises:
        ConfigError: no token for an address that others reach, or it cannot be listened on.
    """
    if token is None and not is_loopback(host):
        raise ConfigError(f"host={host!r}: others reach it, so clients need a token: give one (--token-file)")
    server = make_server(create_app(token, limits, config))
    with listen(host, port) as listener:
        print(_announcement(listener, host, token), flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again when all is closed
            server.run(sockets=[listener])


def _announcement(listener: socket.socket, host: str, token: str | None) -> str:
    asks = "clients need the token" if token is not None else "NO TOKEN: anybody on this machine can run code as you"
    reach = "" if is_loopback(host) else "; not encrypted, others may listen: put a proxy with TLS before it"
    return f"winbridge gateway listens on {address(listener)} ({asks}{reach})"
