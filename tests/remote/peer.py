"""The other side of the tests' connections: ``python -m tests.remote.peer KIND DESCRIPTOR...`` serves one."""

from __future__ import annotations

import socket
import sys

from winbridge.remote.connection import Connection
from winbridge.remote.options import Options


def main(kind: str, *numbers: str) -> None:
    descriptors = [int(number) for number in numbers]
    options = Options(timeout=20)
    if kind == "pipes":
        connection = Connection.from_pipes(*descriptors, options=options, server=True)
    elif kind == "listener":
        with socket.socket(fileno=descriptors[0]) as listener:
            connection = Connection.from_socket(listener.accept()[0], options=options, server=True)
    else:
        connection = Connection.from_socket(socket.socket(fileno=descriptors[0]), options=options, server=True)
    connection.wait()
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
