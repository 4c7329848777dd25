"""What servers do with connections that have been let in: serve them here, or in a process of their own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from winbridge.remote.options import Options
from winbridge.remote.servers.greeted import refuse

if TYPE_CHECKING:
    from winbridge.remote.servers.admission import Admitted


class Service(Protocol):
    """What serves one connection."""

    def run(self) -> None:
        """Until the connection ends.

        Raises:
            DisconnectError: it did not end as it should.
        """

    def drain(self) -> None:
        """End when nothing is being executed any more. Does not wait."""

    def kill(self) -> None:
        """End now."""


class ConnectionHandler:
    """Serves connections; how, a subclass says by its ``begin``.

    Args:
        options: of the serving side. Its ``secret`` and ``ssl`` are not used: clients have shown who they are before.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = (options or Options()).copy(secret=None, ssl=None)
        self._lock = threading.Lock()
        self._services: set[Service] = set()
        self._draining = False

    def begin(self, admitted: Admitted, client: str) -> Service:
        """Make what serves a connection.

        Args:
            admitted: the connection; the socket is closed by the server when the service has run.
            client: its address.
        """
        raise NotImplementedError(f"{type(self).__name__} has no begin(admitted, client)")

    def handle(self, admitted: Admitted, client: str) -> None:
        """Serve one connection, until it ends.

        Raises:
            DisconnectError: it did not end as it should.
        """
        service = self.begin(admitted, client)
        with self._lock:
            self._services.add(service)
        try:
            if self._draining:  # since the server let it in
                service.drain()
            service.run()
        finally:
            with self._lock:
                self._services.discard(service)

    def refuse(self, admitted: Admitted, reason: str) -> None:
        """Tell a client why it is not served."""
        refuse(admitted.sock, reason)

    def drain(self) -> None:
        """Let what is being executed end; end each connection then."""
        self._draining = True
        for service in self._all():
            service.drain()

    def kill(self) -> None:
        """End everything now."""
        for service in self._all():
            service.kill()

    def _all(self) -> list[Service]:
        with self._lock:
            return list(self._services)


class LocalConnectionHandler(ConnectionHandler):
    """Serves connections in threads of this process: clients share its modules, and one that ends it ends all."""

    def begin(self, admitted: Admitted, client: str) -> Service:
        from winbridge.remote.servers.local import LocalService

        return LocalService(admitted, client, self.options)


class ProcessConnectionHandler(ConnectionHandler):
    """Serves each connection in a process of its own, which ends with the connection, and with the server."""

    def begin(self, admitted: Admitted, client: str) -> Service:
        from winbridge.remote.servers.process import ProcessService

        return ProcessService(admitted, client, self.options)


class BIOSConnectionHandler(ConnectionHandler):
    """As ``ProcessConnectionHandler``, in a Python that has no winbridge: the server sends it the code.

    Args:
        python: the interpreter, any CPython since 3.8; None for the one of the server.
        options: see ``ConnectionHandler``.
    """

    def __init__(self, python: str | None = None, options: Options | None = None) -> None:
        super().__init__(options)
        self.python = python

    def begin(self, admitted: Admitted, client: str) -> Service:
        from winbridge.remote.servers.bare import BareService

        return BareService(admitted, self.python, self.options)
