"""The client's side of a pool: a session, whose code runs in order on one of the pool's processes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import Any

from winbridge.remote.authentication import Secret, find_secret
from winbridge.remote.connection import Connection
from winbridge.remote.evals import MOST_WAITING, EvalFuture, Evals
from winbridge.remote.options import Options
from winbridge.remote.pool import evaluating
from winbridge.remote.pool.address import is_path, parse_address


class PoolSession:
    """A session on a pool.

    Args:
        addr: ``HOST:PORT``, or the path of a Unix socket (with a ``/`` in it).
        secret: what the pool asks for; None takes ``WINBRIDGE_SECRET`` or ``WINBRIDGE_SECRET_FILE``.
        secret_file: a file with it, which nobody else may read.
        tls: of ``winbridge.remote.tls.client_tls``.
        options: of the connection.
        queue: how many evals may wait here for those before them.

    Attributes:
        addr: see above.
        connection: everything else that a connection can do, in the session's process.
        session_id: what the pool calls the session, in its log too.

    Raises:
        ConfigError: the address is none.
        DisconnectError: the pool cannot be reached, or does not take us; the message says why.
    """

    def __init__(
        self,
        addr: str,
        *,
        secret: str | bytes | Secret | None = None,
        secret_file: str | os.PathLike[str] | None = None,
        tls: ssl.SSLContext | None = None,
        options: Options | None = None,
        queue: int = MOST_WAITING,
    ) -> None:
        self.addr = addr
        self.connection = connect(addr, secret, secret_file, tls, options or Options())
        try:
            self.session_id: str = self.connection.call(evaluating.session_id)
        except BaseException:
            self.connection.cancel()
            raise
        self._evals = Evals(self.connection, evaluating.evaluate, f"session {self.session_id}", queue)

    def eval(self, code: str, locs: dict[str, Any] | None = None, globs: dict[str, Any] | None = None) -> EvalFuture:
        """Run code in the session, after what was sent before. Never waits.

        Args:
            code: an expression, or statements; its value is that of the last statement, if that is an expression.
            locs: local names; None for the global ones.
            globs: global names for this code alone; None for those of the session, which stay.

        Raises:
            TypeError: ``code`` is no text, or ``locs`` or ``globs`` is neither None nor a dict.
            OperationError: too many wait already.
            DisconnectError: the session was closed by this side.
        """
        return self._evals.submit(code, locs, globs)

    def output(self, future: EvalFuture | None = None) -> Iterator[tuple[int, str]]:
        """What the session's code prints, line by line as it comes.

        Args:
            future: only what this code prints, until it is done; None for everything, until the session ends.

        Returns:
            an iterator of (1, line) for standard output, (2, line) for standard error.
        """
        return self.connection.output() if future is None else self._evals.output(future)

    def is_connected(self) -> bool:
        """Whether the session is there, as far as one knows."""
        return self.connection.is_connected()

    def close(self) -> None:
        """End the session; what has not ended fails with DisconnectError. Safe to repeat."""
        self._evals.close()
        self.connection.close()

    def __enter__(self) -> PoolSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self.is_connected() else "closed"
        return f"<PoolSession {self.session_id} at {self.addr}, {state}>"


def connect(
    addr: str,
    secret: str | bytes | Secret | None,
    secret_file: str | os.PathLike[str] | None,
    tls: ssl.SSLContext | None,
    options: Options,
) -> Connection:
    """A connection to a pool or another server; arguments as of ``PoolSession``."""
    local = is_path(addr)
    known = find_secret(options.secret if secret is None else secret, secret_file, {} if local else None)
    options = options.copy(secret=known and known.key, ssl=tls or options.ssl)
    if local:
        return Connection.from_unix(addr, options=options)
    return Connection.from_tcp(*parse_address(addr), options=options)
