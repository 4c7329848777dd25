"""A worker process of a pool: ``python -m winbridge.remote.pool.worker PARENT CONTROL LIMIT``."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from types import FrameType

from winbridge.remote.carriers.stream import SocketCarrier
from winbridge.remote.connection import Connection
from winbridge.remote.options import Options
from winbridge.remote.pool import evaluating, printing
from winbridge.remote.pool.workers import READY
from winbridge.remote.servers import children, local

LONGEST_NAME = 64


def main(parent: str, descriptor: str, limit: str) -> None:
    """Take sessions, until the pool ends.

    Args:
        parent: process id of the pool.
        descriptor: of the socket that brings sessions.
        limit: bytes that a message may have.
    """
    children.die_with(int(parent))
    ignore_sigterm()
    control = socket.socket(fileno=int(descriptor))
    control.set_inheritable(False)
    printing.install()
    options = Options(max_message=int(limit), shared_memory=False)
    control.send(READY)
    while True:
        name, descriptors, _, _ = socket.recv_fds(control, LONGEST_NAME, 1)
        if not name:
            os._exit(0)  # the pool has ended, whatever is still running
        sock = socket.socket(fileno=descriptors[0])
        threading.Thread(target=serve, args=(name.decode(), sock, options), name=f"session {name.decode()}").start()


def ignore_sigterm() -> None:
    """A service manager sends it to all processes of a pool, and when workers end is the pool's business.

    It does not stay ignored in processes that the code of sessions starts.
    """
    worker = os.getpid()

    def ignore(number: int, _: FrameType | None) -> None:
        if os.getpid() != worker:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, ignore)


def serve(name: str, sock: socket.socket, options: Options) -> None:
    """Serve one session, until its client ends."""
    connection = Connection(SocketCarrier(sock, f"session {name}"), options, server=True, start=False)
    with evaluating.session(name, connection):
        connection.life.start()
        local.serve(connection)


if __name__ == "__main__":
    main(*sys.argv[1:])
