"""What ``ProcessConnectionHandler`` starts: ``python -m winbridge.remote.servers.child PARENT SOCKET REPORT ...``."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any

from winbridge.remote.capture import Capture
from winbridge.remote.connection import Connection
from winbridge.remote.errors import DisconnectError
from winbridge.remote.link import Link
from winbridge.remote.options import Options
from winbridge.remote.servers import children
from winbridge.remote.servers.admission import Admitted
from winbridge.remote.servers.local import LocalService


class PrintingConnection(Connection):
    """A connection over which goes what this process prints, C code and child processes included."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._capture = Capture()
        super().__init__(*arguments, **options)

    def became_open(self, link: Link) -> None:
        self._capture.attach(link)
        super().became_open(link)


def main(parent: str, descriptor: str, report: str, preamble: str, client: str, options: str) -> None:
    """Serve one connection.

    Args:
        parent: process id of the server.
        descriptor: of the connection's socket.
        report: descriptor of the pipe that tells the server what the client did wrong.
        preamble: the client's, in hexadecimal.
        client: its address.
        options: of this side, in JSON.
    """
    children.die_with(int(parent))
    for number in (descriptor, report):
        os.set_inheritable(int(number), False)
    with socket.socket(fileno=int(descriptor)) as sock:
        service = LocalService(
            Admitted(sock, bytes.fromhex(preamble)), client, Options(**json.loads(options)), PrintingConnection
        )

        def drain(_: int, __: FrameType | None) -> None:
            service.drain()

        signal.signal(signal.SIGTERM, drain)
        try:
            service.run()
        except DisconnectError as error:
            os.write(int(report), f"{type(error).__name__}: {error}".encode()[:4096])


if __name__ == "__main__":
    main(*sys.argv[1:])
