"""TLS: the contexts of both sides, and a plain socket in front of an encrypted one.

A connection reads in one thread and writes in others, passes its descriptor on to processes, and reads into memory of
its own. An ``ssl.SSLSocket`` can do none of these safely. So two threads stand between it and a plain socket.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time

from winbridge.core.errors import ConfigError
from winbridge.remote.errors import DisconnectError

__all__ = ["client_tls", "secured", "server_tls"]

PIECE = 1 << 18
"""Bytes that are encrypted or decrypted in one go."""

PATIENCE = 0.5
"""Seconds that a peer gets to take our last message, when we close."""


def server_tls(
    certificate: str | os.PathLike[str],
    key: str | os.PathLike[str] | None = None,
    *,
    clients: str | os.PathLike[str] | None = None,
) -> ssl.SSLContext:
    """TLS for a server.

    Args:
        certificate: file with its certificate, in PEM.
        key: file with the key; None where ``certificate`` has both.
        clients: file with the certificates (or those of their authorities) that clients must show one of. Without
            it TLS encrypts, but anybody may connect: then a secret is needed too.

    Raises:
        ConfigError: a file is missing or unsuitable; the message names it.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_certificate(context, certificate, key)
    if clients is not None:
        _load_authorities(context, clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_tls(
    authorities: str | os.PathLike[str] | None = None,
    *,
    certificate: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> ssl.SSLContext:
    """TLS for a client; the server's certificate and its name are verified.

    Args:
        authorities: file with the server's certificate, or its authority's, in PEM; None takes the system's.
        certificate: file with our own, for servers that ask.
        key: file with its key; None where ``certificate`` has both.

    Raises:
        ConfigError: a file is missing or unsuitable; the message names it.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authorities is None:
        context.load_default_certs()
    else:
        _load_authorities(context, authorities)
    if certificate is not None:
        _load_certificate(context, certificate, key)
    return context


def _load_certificate(
    context: ssl.SSLContext, certificate: str | os.PathLike[str], key: str | os.PathLike[str] | None
) -> None:
    try:
        context.load_cert_chain(certificate, key, password="")  # an encrypted key is an error, not a question
    except OSError as error:  # ssl's own errors too
        raise ConfigError(f"certificate {certificate}, key {key or certificate}: cannot be used: {error}") from error


def _load_authorities(context: ssl.SSLContext, authorities: str | os.PathLike[str]) -> None:
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        raise ConfigError(f"certificates {authorities}: cannot be used: {error}") from error


def secured(
    sock: socket.socket, context: ssl.SSLContext, timeout: float, server_hostname: str | None = None
) -> socket.socket:
    """Do the TLS handshake and put a plain socket before an encrypted one.

    Args:
        sock: a connected socket, which belongs to the result from now on.
        context: of ``server_tls`` or ``client_tls``.
        timeout: seconds for the whole handshake.
        server_hostname: at a client, the name that must be in the server's certificate; None at a server.

    Returns:
        a socket for the plain bytes. Closing it closes the connection.

    Raises:
        DisconnectError: the handshake failed: no TLS, a certificate that is missing or wrong, or it took too long.
    """
    try:
        inside = _Inside(sock, context, server_hostname)
        inside.shake_hands(time.monotonic() + timeout)
        sock.settimeout(None)
    except OSError as error:  # ssl's own errors and time-outs too
        sock.close()
        raise DisconnectError(f"no TLS connection: {error}") from error
    outer, inner = socket.socketpair()
    for target in (inside.receive, inside.send):
        threading.Thread(target=target, args=(inner,), name="winbridge-remote-tls", daemon=True).start()
    return outer


class _Inside:
    """The encrypted side. The lock is never held while anything is waited for but the network taking what we send."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_hostname: str | None) -> None:
        self._sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname is None, server_hostname)
        self._state = threading.Lock()
        self._network = threading.Lock()

    def shake_hands(self, deadline: float) -> None:
        while True:
            self._sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            except ssl.SSLError:
                self._flush()  # the alert that tells the peer why
                raise
            else:
                self._flush()
                return

    def receive(self, plain: socket.socket) -> None:
        """Until the peer ends: decrypt what comes."""
        try:
            while True:
                with self._state:
                    piece = self._decrypted()
                self._flush()  # answers of TLS itself
                if piece:
                    plain.sendall(piece)
                elif piece is None:
                    self._feed()
                else:
                    break
        except OSError:
            pass  # lost or damaged: the plain side sees the end
        finally:
            _shut(plain, socket.SHUT_WR)

    def send(self, plain: socket.socket) -> None:
        """Until our side ends: encrypt what goes."""
        try:
            while piece := plain.recv(PIECE):
                with self._state:
                    self._tls.write(piece)
                self._flush()
        except OSError:
            pass  # the peer has gone; ``receive`` notices too
        finally:
            self._close()
            plain.close()

    def _decrypted(self) -> bytes | None:
        """The next bytes; empty at the end, None where more is needed first."""
        try:
            return self._tls.read(PIECE)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return b""

    def _feed(self) -> None:
        received = self._sock.recv(PIECE)
        if not received:
            raise ConnectionError("the peer closed the connection without ending TLS")
        self._incoming.write(received)

    def _flush(self) -> None:
        with self._network:  # around both, so that pieces leave in order
            with self._state:
                data = self._outgoing.read()
            if data:
                self._sock.sendall(data)

    def _close(self) -> None:
        """Say that this is the end, which nobody between the two can say for us."""
        try:
            with self._state:
                self._tls.unwrap()
        except (OSError, ValueError):
            pass  # the peer need not answer
        if self._network.acquire(timeout=PATIENCE):  # else it has stopped reading
            try:
                self._sock.settimeout(PATIENCE)
                self._sock.sendall(self._outgoing.read())
            except OSError:
                pass  # it has gone
            finally:
                self._network.release()
        _shut(self._sock, socket.SHUT_RDWR)
        self._sock.close()


def _shut(sock: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):  # it is shut already
        sock.shutdown(how)
