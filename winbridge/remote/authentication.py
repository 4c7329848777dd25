"""Who is at the other end: a secret that both sides know, or the user behind a Unix socket. TLS is in ``tls``.

The exchange of a secret lies between the preambles and the first frame::

    both    CHALLENGE  magic, nonce
    client  PROOF      HMAC-SHA256(secret, "client", both nonces, both preambles)
    server  VERDICT    accepted, HMAC-SHA256(secret, "server", both nonces, both preambles)

Each message has a fixed size, and nothing of it is unpickled. The nonces make a recorded proof worthless, the role
in it makes one's own proof worthless to the other side, and the preambles in it let nobody talk the two into an
older version. The client proves itself first: who only guesses gets nothing from the server to check guesses with.

The exchange does not encrypt what follows. Where others can reach the cable, use TLS or ssh.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from winbridge.core.errors import ConfigError
from winbridge.remote.errors import DisconnectError

if TYPE_CHECKING:
    import socket

__all__ = [
    "AuthenticationError",
    "Exchange",
    "Secret",
    "authenticate_client",
    "authenticate_server",
    "check_peer_uid",
    "find_secret",
    "read_secret",
]

CLIENT = b"client"
"""The role of the side that connected."""

SERVER = b"server"
"""The role of the side that listened."""

MAGIC = b"WBau"
NONCE_SIZE = 32
PROOF_SIZE = 32
CHALLENGE = struct.Struct(f"<4s{NONCE_SIZE}s")
VERDICT = struct.Struct(f"<B{PROOF_SIZE}s")
ACCEPTED = 1
REFUSED = 0

SECRET_VARIABLE = "WINBRIDGE_SECRET"
FILE_VARIABLE = "WINBRIDGE_SECRET_FILE"

MAKE_ONE = "make one: (umask 077; python3 -c 'import secrets; print(secrets.token_urlsafe(32))' > FILE)"


class AuthenticationError(DisconnectError):
    """A peer is not the one that it has to be; the connection was closed before anything of it was read."""


class Secret:
    """A shared secret, which no repr and no log shows.

    Args:
        value: a long random text, or bytes.

    Raises:
        ConfigError: it is empty.
    """

    __slots__ = ("_key",)

    def __init__(self, value: str | bytes | Secret) -> None:
        self._key: bytes = value.key if isinstance(value, Secret) else _encoded(value)
        if not self._key:
            raise ConfigError(f"the secret is empty; {MAKE_ONE}")

    @property
    def key(self) -> bytes:
        return self._key

    def __repr__(self) -> str:
        return "Secret(...)"


def _encoded(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def read_secret(file: str | os.PathLike[str]) -> Secret:
    """The secret in a file, without the line's end.

    Raises:
        ConfigError: the file cannot be read, is empty, or others than its owner may read or write it.
    """
    path = Path(file)
    try:
        with path.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode & 0o777
            text = opened.read().strip()
    except OSError as error:
        raise ConfigError(f"the secret file {path} cannot be read: {error}; {MAKE_ONE}") from error
    if os.name == "posix" and mode & 0o077:
        raise ConfigError(f"others may use the secret file {path} (mode {mode:04o}): chmod 600 {path}")
    if not text:
        raise ConfigError(f"the secret file {path} is empty; {MAKE_ONE}")
    return Secret(text)


def find_secret(
    given: str | bytes | Secret | None = None,
    file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Secret | None:
    """The secret from the first source that has one: argument, file, ``WINBRIDGE_SECRET``, ``WINBRIDGE_SECRET_FILE``.

    Args:
        given: the secret itself.
        file: the file it is in.
        environment: where the variables are; None takes the process's.

    Returns:
        None where no source has one.

    Raises:
        ConfigError: as of ``read_secret``.
    """
    environment = os.environ if environment is None else environment
    if given is not None:
        return Secret(given)
    if file is not None:
        return read_secret(file)
    if environment.get(SECRET_VARIABLE):
        return Secret(environment[SECRET_VARIABLE])
    if environment.get(FILE_VARIABLE):
        return read_secret(environment[FILE_VARIABLE])
    return None


class Exchange:
    """One side's part in the exchange. It does no I/O.

    Args:
        role: CLIENT or SERVER, this side's.
        secret: what both know.
        preambles: the client's and the server's, joined.
        nonce: random bytes that were never used before; None draws them.
    """

    def __init__(self, role: bytes, secret: Secret, preambles: bytes, nonce: bytes | None = None) -> None:
        self._role = role
        self._secret = secret
        self._preambles = preambles
        self._ours = os.urandom(NONCE_SIZE) if nonce is None else nonce
        self._theirs = b""

    @property
    def challenge(self) -> bytes:
        """What this side sends first."""
        return CHALLENGE.pack(MAGIC, self._ours)

    def receive(self, challenge: bytes) -> None:
        """Take the other side's challenge.

        Raises:
            AuthenticationError: it is none, or our own.
        """
        magic, nonce = CHALLENGE.unpack(challenge)
        if magic != MAGIC:
            raise AuthenticationError(f"the peer's authentication begins with {magic!r}, which is no challenge")
        if nonce == self._ours:
            raise AuthenticationError("the peer sent our own challenge back")
        self._theirs = nonce

    @property
    def proof(self) -> bytes:
        """What shows the other side that we know the secret."""
        return self._mac(self._role)

    def verify(self, proof: bytes) -> bool:
        """Whether the other side's proof is right."""
        import hmac

        return hmac.compare_digest(self._mac(CLIENT if self._role == SERVER else SERVER), proof)

    def _mac(self, role: bytes) -> bytes:
        import hmac

        nonces = (self._ours, self._theirs) if self._role == CLIENT else (self._theirs, self._ours)
        return hmac.new(self._secret.key, b"".join((role, *nonces, self._preambles)), "sha256").digest()


def authenticate_client(
    secret: Secret, preambles: bytes, read: Callable[[int], bytes], write: Callable[[bytes], object]
) -> None:
    """Prove that we know the secret, and that the server does.

    Args:
        secret: what both know.
        preambles: the client's and the server's, joined.
        read: gives exactly so many bytes, or raises.
        write: sends bytes.

    Raises:
        AuthenticationError: it does not know the secret, or does not accept ours.
    """
    exchange = Exchange(CLIENT, secret, preambles)
    write(exchange.challenge)
    exchange.receive(read(CHALLENGE.size))
    write(exchange.proof)
    verdict, proof = VERDICT.unpack(read(VERDICT.size))
    if verdict != ACCEPTED:
        raise AuthenticationError("the server does not accept our secret: it has another one")
    if not exchange.verify(proof):
        raise AuthenticationError("the server does not know our secret: it is not the one that we mean")


def authenticate_server(
    secret: Secret, preambles: bytes, read: Callable[[int], bytes], write: Callable[[bytes], object]
) -> None:
    """Let the client prove that it knows the secret, then prove it to the client; parameters as above.

    Raises:
        AuthenticationError: it does not.
    """
    exchange = Exchange(SERVER, secret, preambles)
    write(exchange.challenge)
    exchange.receive(read(CHALLENGE.size))
    if not exchange.verify(read(PROOF_SIZE)):
        write(VERDICT.pack(REFUSED, bytes(PROOF_SIZE)))
        raise AuthenticationError("the client does not know the secret")
    write(VERDICT.pack(ACCEPTED, exchange.proof))


PEER_CREDENTIALS = struct.Struct("3i")
"""``struct ucred`` of unix(7): process, user, group."""


def check_peer_uid(sock: socket.socket, allowed: Collection[int] = ()) -> int:
    """See to it that the process at the other end of a Unix socket is ours, root's, or a listed user's.

    The kernel noted the user when it connected (SO_PEERCRED in unix(7)); a process cannot choose what stands there.

    Args:
        sock: a connected Unix socket.
        allowed: further users, by number.

    Returns:
        the number of its user.

    Raises:
        AuthenticationError: it belongs to somebody else.
    """
    import socket

    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS.size)
    pid, uid, _ = PEER_CREDENTIALS.unpack(credentials)
    if uid not in {os.getuid(), 0, *allowed}:
        raise AuthenticationError(f"process {pid} belongs to user {uid}, who is not allowed here")
    return int(uid)
