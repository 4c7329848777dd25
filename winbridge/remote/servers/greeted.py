"""A socket whose client has introduced itself already, as a carrier for a connection."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from winbridge.remote import protocol
from winbridge.remote.carriers.stream import SocketCarrier
from winbridge.remote.servers.admission import Admitted
from winbridge.remote.servers.relay import bye

if TYPE_CHECKING:
    from winbridge.remote.carriers.contract import Part

PATIENCE = 1.0
"""Seconds that a client gets to take the last word and close."""


class GreetedCarrier(SocketCarrier):
    """The connection finds the client's preamble at the start, as always; its own was sent before.

    Args:
        admitted: the socket belongs to the carrier from now on.
        name: the client's address.
    """

    def __init__(self, admitted: Admitted, name: str) -> None:
        super().__init__(admitted.sock, name)
        _, oldest, newest, *_ = protocol.PREAMBLE.unpack(admitted.preamble)
        self._preamble = protocol.preamble(0, oldest, newest)  # the secret has been shown
        self._receive = self.fill
        self._greeted = False
        self.fill = self._fill_first  # type: ignore[assignment]

    def _fill_first(self, room: memoryview) -> int:
        room[: len(self._preamble)] = self._preamble
        self.fill = self._receive
        return len(self._preamble)

    def wait(self, timeout: float | None) -> bool:
        return self.fill != self._receive or super().wait(timeout)

    def write(self, parts: Sequence[Part]) -> None:
        if self._greeted:
            super().write(parts)
        self._greeted = True


def refuse(sock: socket.socket, reason: str) -> None:
    """Tell a client that has introduced itself why it is not served, and close."""
    deadline = time.monotonic() + PATIENCE
    with sock, contextlib.suppress(OSError):
        sock.settimeout(PATIENCE)
        sock.sendall(bye(reason))
        sock.shutdown(socket.SHUT_WR)
        # If we closed while it sends, it would fail at that and not see why.
        while time.monotonic() < deadline and sock.recv(1 << 16):
            pass
