"""A connection served in this process."""

from __future__ import annotations

import threading

from winbridge.remote.connection import Connection
from winbridge.remote.errors import DisconnectError, ProtocolError
from winbridge.remote.options import Options
from winbridge.remote.protocol import State
from winbridge.remote.servers.admission import Admitted
from winbridge.remote.servers.greeted import GreetedCarrier

LOOK = 0.02
"""Seconds between two looks whether the last call has ended."""


def serve(connection: Connection) -> None:
    """Wait for a connection to end; what is still being executed for it then is cancelled: nobody waits for it."""
    connection.wait()
    if connection.life.link is not None:
        serving = connection.life.link.serving
        for serial in serving.busy():
            serving.cancel(serial)


class LocalService:
    """Serves one connection in threads of its own: one that never ends its call holds nobody else up.

    Args:
        admitted: the connection.
        client: its address.
        options: of this side.
        kind: the class of the connection.
    """

    def __init__(
        self, admitted: Admitted, client: str, options: Options, kind: type[Connection] = Connection
    ) -> None:  # fmt: skip
        self.connection = kind(GreetedCarrier(admitted, client), options, server=True)

    def run(self) -> None:
        """Until the connection ends.

        Raises:
            ProtocolError: the client broke the rules.
            DisconnectError: it went away without a word, or did not introduce itself in time.
        """
        serve(self.connection)
        life = self.connection.life
        said_bye = life.link is not None and life.link.reader.state in (State.CLOSING, State.CLOSED)
        if isinstance(life.failure, ProtocolError) or (isinstance(life.failure, DisconnectError) and not said_bye):
            raise life.failure

    def drain(self) -> None:
        """End when nothing is being executed any more. Does not wait."""
        threading.Thread(target=self._drain, name="winbridge-server-drain", daemon=True).start()

    def _drain(self) -> None:
        while (link := self.connection.life.link) and link.serving.busy() and not self.connection.wait(LOOK):
            pass
        self.connection.close()

    def kill(self) -> None:
        """End now."""
        self.connection.cancel()
