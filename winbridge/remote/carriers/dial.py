"""Connecting to a server: functions that do it, within so many seconds, when they are called."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from winbridge.remote.carriers.stream import SocketCarrier
from winbridge.remote.errors import DisconnectError

if TYPE_CHECKING:
    from collections.abc import Callable

    from winbridge.remote.options import Options


def tcp(host: str, port: int, options: Options | None) -> Callable[[float], SocketCarrier]:
    """Connect to a TCP port; with TLS if the options say so."""

    def dial(timeout: float) -> SocketCarrier:
        try:
            sock = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise DisconnectError(f"{host}:{port} cannot be reached: {error}; does a server run there?") from error
        name = f"tcp {host}:{port}"
        if options is not None and options.ssl is not None:
            from winbridge.remote.tls import secured

            sock = secured(sock, options.ssl, server_hostname=host, timeout=timeout)
        return SocketCarrier(sock, name)

    return dial


def unix(path: str) -> Callable[[float], SocketCarrier]:
    """Connect to a Unix socket."""

    def dial(timeout: float) -> SocketCarrier:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        try:
            sock.connect(path)
        except OSError as error:
            sock.close()
            raise DisconnectError(f"the socket {path} cannot be reached: {error}; does a server run there?") from error
        return SocketCarrier(sock, f"unix socket {path!r}")

    return dial
