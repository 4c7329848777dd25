"""A pool as a whole: what it does with connections, and how it runs."""

from __future__ import annotations

import logging
import os
import ssl
import threading
from collections.abc import Collection

from winbridge.core.errors import ConfigError
from winbridge.remote.authentication import Secret
from winbridge.remote.pool.address import is_path, parse_address
from winbridge.remote.pool.limits import Limits
from winbridge.remote.pool.sessions import Session
from winbridge.remote.pool.workers import WorkerLostError, Workers
from winbridge.remote.servers import running
from winbridge.remote.servers.admission import Admitted
from winbridge.remote.servers.greeted import refuse
from winbridge.remote.servers.server import Server

logger = logging.getLogger("winbridge.remote.pool")

CLOCK = 0.25
"""Seconds between two looks at what has been idle for too long."""

MOMENT = 0.2
"""Seconds until it is known that a worker has ended which takes no session."""


class PoolHandler:
    """Gives each connection a session.

    Args:
        workers: where their code runs; they belong to the handler from now on.
        limits: what they may use.
        patience: seconds that a client may take for its HELLO.
    """

    def __init__(self, workers: Workers, limits: Limits, patience: float) -> None:
        self._patience = patience
        self._workers = workers
        self._limits = limits
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="winbridge-pool-clock", daemon=True)
        self._clock.start()

    def handle(self, admitted: Admitted, client: str) -> None:
        """Serve one session, until it ends."""
        try:
            session = self._opened(admitted, client)
        except WorkerLostError as error:
            logger.error("%s: refused: %s", client, error)
            self.refuse(admitted, f"{error}; try again later")
            return
        try:
            session.run()
        finally:
            self._workers.give_back(session.worker)
            with self._lock:
                del self._sessions[session.id]

    def _opened(self, admitted: Admitted, client: str) -> Session:
        """A session on the worker that has the fewest; one that has just ended does not count."""
        while True:
            worker = self._workers.take()
            try:
                session = Session(admitted, client, worker, self._limits, self._patience)
            except OSError:
                self._workers.give_back(worker)
                worker.ended.wait(MOMENT)
                continue
            with self._lock:
                self._sessions[session.id] = session
            return session

    def refuse(self, admitted: Admitted, reason: str) -> None:
        """Tell a client why there is no session for it."""
        refuse(admitted.sock, reason)

    def drain(self) -> None:
        """Let the calls under way end, and begin nothing new."""
        for session in self._all():
            session.drain()

    def kill(self) -> None:
        """End everything now."""
        self._over.set()
        self._clock.join()
        for session in self._all():
            session.end("the pool has ended")
            session.cut()
        self._workers.close()

    def _all(self) -> list[Session]:
        with self._lock:
            return list(self._sessions.values())

    def _tick(self) -> None:
        while not self._over.wait(CLOCK):
            for session in self._all():
                session.look()


def run_pool(
    listen: str,
    workers: int = 1,
    *,
    secret: str | bytes | Secret | None = None,
    secret_file: str | os.PathLike[str] | None = None,
    tls: ssl.SSLContext | None = None,
    allow_unauthenticated: bool = False,
    users: Collection[int] = (),
    limits: Limits | None = None,
    timeout: float = running.TIMEOUT,
    started: running.Started | None = None,
) -> None:
    """Serve sessions of many clients on a few processes, until SIGTERM or SIGINT, or ``stop()`` of the server.

    The first signal lets calls under way end and refuses new ones; the second ends all at once.

    Args:
        listen: ``HOST:PORT``, or the path of a Unix socket (with a ``/`` in it).
        workers: how many processes.
        secret, secret_file, tls, allow_unauthenticated, timeout, started: as of ``run_tcp``.
        users: as of ``run_unix``.
        limits: what clients may use; None for the usual ones.

    Raises:
        ConfigError: the address is none or cannot be had, or anybody could run code here.
        AgentStartError: a worker does not start.
    """
    limits = limits or Limits()
    if workers < 1:
        raise ConfigError(f"workers={workers}: a pool needs one at least")
    if is_path(listen):
        place = running.open_unix(listen, secret, secret_file, users, timeout)
    else:
        place = running.open_tcp(*parse_address(listen), secret, secret_file, tls, allow_unauthenticated, timeout)
    with place as (listener, admission):
        handler = PoolHandler(Workers(workers, limits), limits, timeout)
        running.run(Server(listener, admission, handler, limits.sessions, limits.grace), started)
