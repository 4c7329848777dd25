"""Sockets that listen, and who may listen where without authentication."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import stat
from pathlib import Path

from winbridge.core.errors import ConfigError
from winbridge.remote.authentication import Secret

BACKLOG = 128

ALIVE = 75
"""Seconds after which the system asks a silent TCP peer whether it is there."""

LOST = 60_000
"""Milliseconds after which a TCP peer that takes nothing of what is sent is lost (TCP_USER_TIMEOUT in tcp(7))."""


def listen_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Raises:
        ConfigError: that address cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError, OverflowError) as error:
        raise ConfigError(f"cannot listen on {host!r}, port {port}: {error}; name another host or port") from error
    # Connections inherit these.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ALIVE)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def listen_unix(path: str | os.PathLike[str], public: bool = False) -> socket.socket:
    """A listening Unix socket; a socket that a dead server left there is replaced.

    Args:
        path: its file.
        public: whether other users may reach it; the kernel tells who they are.

    Raises:
        ConfigError: that path cannot be had.
    """
    file = Path(path)
    listener = socket.socket(socket.AF_UNIX)
    try:
        _remove_abandoned(file)
        listener.bind(str(file))
        file.chmod(0o666 if public else 0o600)  # nobody connects before listen()
        listener.listen(BACKLOG)
    except (OSError, ValueError) as error:
        listener.close()
        raise ConfigError(f"cannot listen on the Unix socket {file}: {error}; name another path") from error
    return listener


def _remove_abandoned(file: Path) -> None:
    try:
        if not stat.S_ISSOCK(file.lstat().st_mode):
            return  # bind will say that it exists
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(file))
        except ConnectionRefusedError:
            file.unlink()


def check_exposure(
    listener: socket.socket, secret: Secret | None, tls: ssl.SSLContext | None, allow_unauthenticated: bool
) -> None:
    """See to it that only those who show something can connect over TCP.

    TLS counts when it asks clients for certificates. Without it and without a secret, every program on this machine
    can connect, of every user; so that has to be asked for, and others than this machine never get in like that.

    Raises:
        ConfigError: anybody could run code here.
    """
    if listener.family == socket.AF_UNIX or secret is not None:
        return
    if tls is not None and tls.verify_mode == ssl.CERT_REQUIRED:
        return
    host, port = listener.getsockname()[:2]
    if not ipaddress.ip_address(host).is_loopback:
        raise ConfigError(
            f"{host}, port {port}: others reach it, so clients need a secret (WINBRIDGE_SECRET_FILE, secret=) or"
            " certificates (TLS with clients=)"
        )
    if not allow_unauthenticated:
        raise ConfigError(
            f"{host}, port {port}: give a secret (WINBRIDGE_SECRET_FILE, secret=) or TLS with certificates of clients;"
            " or allow_unauthenticated=True (--allow-unauthenticated): then every user here can run code as you"
        )


def describe(listener: socket.socket) -> str:
    """Where clients connect to."""
    address = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return os.fsdecode(address)
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
