"""The first bytes of a connection: nothing is believed, nothing is unpickled, and it has to be over in time."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Collection, Iterator
from typing import NamedTuple

from winbridge.remote import protocol
from winbridge.remote.authentication import AuthenticationError, Secret, authenticate_server, check_peer_uid
from winbridge.remote.errors import DisconnectError, ProtocolError
from winbridge.remote.tls import secured


class Admission(NamedTuple):
    """What clients have to show.

    Attributes:
        secret: the one that they must know.
        tls: encrypts, and asks for certificates if it is made so.
        users: who may connect to a Unix socket beside ourselves and root, by number.
        timeout: seconds for all of it.
    """

    secret: Secret | None = None
    tls: ssl.SSLContext | None = None
    users: Collection[int] = ()
    timeout: float = 10.0

    def admit(self, sock: socket.socket) -> Admitted:
        """Greet a client and let it show who it is.

        Args:
            sock: newly accepted; it belongs to the result from now on.

        Raises:
            AuthenticationError: it is not one that may connect.
            ProtocolError: it does not speak our protocol, none of our versions, or too slowly.
            DisconnectError: it went away, or speaks no TLS.
        """
        deadline = time.monotonic() + self.timeout
        try:
            if sock.family == socket.AF_UNIX:
                check_peer_uid(sock, self.users)
            if self.tls is not None:
                sock = secured(sock, self.tls, self.timeout)
            return self._greet(sock, _InTime(sock, deadline, self.timeout))
        except BaseException:
            sock.close()
            raise

    def _greet(self, sock: socket.socket, carrier: _InTime) -> Admitted:
        ours = protocol.preamble(protocol.Ask.SECRET if self.secret else 0)
        carrier.write(ours)
        theirs = carrier.read(len(ours))
        _, asks = protocol.agree(theirs)
        self._authenticate(bool(asks & protocol.Ask.SECRET), theirs + ours, carrier)
        sock.settimeout(None)
        return Admitted(sock, theirs)

    def _authenticate(self, client_asks: bool, preambles: bytes, carrier: _InTime) -> None:
        if self.secret is None:
            if client_asks:
                raise AuthenticationError("the client asks for a secret, and this server has none")
        elif not client_asks:
            raise AuthenticationError("the client has no secret, and this server asks for one")
        else:
            authenticate_server(self.secret, preambles, carrier.read, carrier.write)


class Admitted(NamedTuple):
    """A connection whose client has shown who it is; the next thing to come is its HELLO.

    Attributes:
        sock: both have sent their preambles on it.
        preamble: the client's.
    """

    sock: socket.socket
    preamble: bytes


class _InTime:
    """A socket that has to be quick: the time is for all together, so a byte now and then buys no more of it."""

    def __init__(self, sock: socket.socket, deadline: float, seconds: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._seconds = seconds

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            with self._in_time():
                received = self._sock.recv(size - len(data))
            if not received:
                raise ProtocolError(f"the client ended after {len(data)} of {size} bytes of its introduction")
            data += received
        return data

    def write(self, data: bytes) -> None:
        with self._in_time():
            self._sock.sendall(data)

    @contextlib.contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            self._sock.settimeout(max(self._deadline - time.monotonic(), 0.001))
            yield
        except TimeoutError:
            raise ProtocolError(f"the client took more than {self._seconds:g} s to introduce itself") from None
        except OSError as error:
            raise DisconnectError(f"the client went away: {error}") from error
