"""The loop of a server: accept, let the client introduce itself, hand the connection on; end gently or at once."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
import time
from typing import Protocol

from winbridge.remote.errors import DisconnectError
from winbridge.remote.servers.admission import Admission, Admitted
from winbridge.remote.servers.listening import describe

logger = logging.getLogger("winbridge.remote.servers")

PENDING = 64
"""Clients at once that have not introduced themselves yet; for the next one, the oldest of them has to go."""

RETRY = 0.1
"""Seconds to wait when the system has no descriptor for another connection."""


class Handler(Protocol):
    """What is done with connections."""

    def handle(self, admitted: Admitted, client: str) -> None:
        """Serve one connection, until it ends; each has a thread of its own.

        Raises:
            DisconnectError: it did not end as it should; the server logs that.
        """

    def refuse(self, admitted: Admitted, reason: str) -> None:
        """Tell a client why it is not served."""

    def drain(self) -> None:
        """Let what is running end, and begin nothing new. Does not wait."""

    def kill(self) -> None:
        """End everything now."""


class Server:
    """A listening socket with all that came from it.

    Args:
        listener: belongs to the server from now on.
        admission: what clients have to show.
        handler: what is done with them.
        connections: how many are served at once; more are told that there are too many.
        grace: seconds that a gentle end may take.

    Attributes:
        address: where clients connect to.
        serving: how many are served.
    """

    def __init__(
        self, listener: socket.socket, admission: Admission, handler: Handler, connections: int, grace: float
    ) -> None:
        self.address = describe(listener)
        self._listener = listener
        self._admission = admission
        self._handler = handler
        self._limit = connections
        self._grace = grace
        self._wake, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._woken, self._either = select.poll(), select.poll()
        for poll, sock in ((self._woken, self._wake), (self._either, self._wake), (self._either, listener)):
            poll.register(sock, select.POLLIN)
        self._lock = threading.Lock()
        self._pending: dict[int, socket.socket] = {}
        self.serving = 0
        self._threads: set[threading.Thread] = set()
        self._stopping = False
        self._forced = False

    def stop(self, force: bool = False) -> None:
        """End the server, from any thread or from a signal handler; ``serve`` returns when it has ended.

        Args:
            force: at once, rather than when what is running has ended or ``grace`` is over.
        """
        self._stopping = True
        self._forced |= force
        self._tell()

    def _tell(self) -> None:
        with contextlib.suppress(OSError):  # it is full, and so wakes anyway; or the server has ended
            self._waker.send(b".")

    def serve(self) -> None:
        """Serve until it is stopped."""
        logger.info("%s: listening", self.address)
        try:
            while not self._stopping:
                self._step()
        finally:
            self._listener.close()
            self._end()
            logger.info("%s: ended", self.address)

    def _step(self) -> None:
        ready = {descriptor for descriptor, _ in self._either.poll()}
        if self._wake.fileno() in ready:
            self._wake.recv(64)
        if self._listener.fileno() in ready and not self._stopping:
            self._accept()

    def _accept(self) -> None:
        try:
            sock, address = self._listener.accept()
        except OSError as error:  # it went away again, or there are no descriptors left
            logger.error("%s: a client could not be accepted: %s", self.address, error)
            self._woken.poll(1000 * RETRY)
            return
        client = "{}:{}".format(*address[:2]) if isinstance(address, tuple) else f"descriptor {sock.fileno()}"
        with self._lock:
            if len(self._pending) >= PENDING:
                self._evict()
            self._pending[id(sock)] = sock
        thread = threading.Thread(target=self._run, args=(sock, client), name=f"winbridge-server {client}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _evict(self) -> None:
        """Who floods us with connections that say nothing keeps nobody else out."""
        oldest = next(iter(self._pending))
        logger.error("%s: %d clients have not introduced themselves: the oldest has to go", self.address, PENDING)
        with contextlib.suppress(OSError):
            self._pending.pop(oldest).shutdown(socket.SHUT_RDWR)

    def _run(self, sock: socket.socket, client: str) -> None:
        try:
            admitted = self._admitted(sock)
            with admitted.sock:
                self._serve(admitted, client)
            logger.debug("%s: ended", client)
        except DisconnectError as error:
            logger.error("%s: %s: %s", client, type(error).__name__, error)
        except Exception:
            logger.exception("%s: a mistake in the server", client)
        finally:
            self._threads.discard(threading.current_thread())

    def _admitted(self, sock: socket.socket) -> Admitted:
        name = id(sock)
        try:
            return self._admission.admit(sock)
        finally:
            with self._lock:
                self._pending.pop(name, None)

    def _serve(self, admitted: Admitted, client: str) -> None:
        refused = self._take_place()
        if refused:
            logger.error("%s: refused: %s", client, refused)
            self._handler.refuse(admitted, refused)
            return
        try:
            self._handler.handle(admitted, client)
        finally:
            with self._lock:
                self.serving -= 1
            self._tell()

    def _take_place(self) -> str:
        """Count one more connection; the reason if there may not be another."""
        with self._lock:
            if self._stopping:
                return "the server is ending; connect again when it is back"
            if self.serving >= self._limit:
                return f"the server has {self._limit} connections, its limit; try again later"
            self.serving += 1
            return ""

    def _end(self) -> None:
        with self._lock:
            for sock in self._pending.values():
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        if not self._forced:
            self._handler.drain()
            self._wait_for_all()
        self._handler.kill()
        for thread in list(self._threads):
            thread.join()
        self._wake.close()
        self._waker.close()

    def _wait_for_all(self) -> None:
        """Until nothing is served any more, ``grace`` is over, or the end is forced."""
        deadline = time.monotonic() + self._grace
        while self.serving and not self._forced:
            left = max(0.0, deadline - time.monotonic())
            if not self._woken.poll(1000 * left):
                logger.error("%s: %d connections have not ended within %g s", self.address, self.serving, self._grace)
                return
            self._wake.recv(64)
