"""What tests of servers share: certificates made here and now, servers in threads, peers that speak byte by byte."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from winbridge.remote import protocol
from winbridge.remote.authentication import Secret, authenticate_client
from winbridge.remote.handshake import introduction
from winbridge.remote.options import Options
from winbridge.remote.protocol import HEADER, Kind
from winbridge.remote.servers.server import Server

DEADLINE = 30
"""Seconds that anything may take before a test fails."""


class Certificates:
    """Two self-signed certificates, for a server called localhost and for a client."""

    def __init__(self, folder: Path) -> None:
        self.server, self.server_key = self._make(folder, "server", "localhost")
        self.client, self.client_key = self._make(folder, "client", "a client")

    @staticmethod
    def _make(folder: Path, file: str, name: str) -> tuple[Path, Path]:
        certificate, key = folder / f"{file}.pem", folder / f"{file}.key"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run([*command, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        return certificate, key


def exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes, or EOFError."""
    pieces = []
    while size:
        pieces.append(sock.recv(min(size, 1 << 20)))
        if not pieces[-1]:
            raise EOFError("the other side closed")
        size -= len(pieces[-1])
    return b"".join(pieces)


class Log(logging.Handler):
    """What a server logs, to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.lines.append(f"{record.levelname} {record.getMessage()}")
            self._changed.notify_all()

    def wait_for(self, pattern: str, since: int = 0) -> str:
        """The first line since a number of lines that has the pattern; all lines in the error if none comes."""

        def found() -> list[str]:
            return [line for line in self.lines[since:] if re.search(pattern, line)]

        with self._changed:
            assert self._changed.wait_for(found, DEADLINE), f"no {pattern!r} in\n" + "\n".join(self.lines)
            return found()[0]


class Running:
    """A server in a thread of this process.

    Args:
        run: ``run_tcp`` or its like; it gets ``started``.
        *arguments, **options: its others.
    """

    def __init__(self, run: Callable[..., None], *arguments: object, **options: object) -> None:
        self.log = Log()
        self._logger = logging.getLogger("winbridge.remote")
        self._logger.addHandler(self.log)
        self._logger.setLevel(logging.DEBUG)
        self.server: Server
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(run, arguments, options), name="server", daemon=True)
        self.thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._logger.removeHandler(self.log)
            raise self._failure

    def _run(self, run: Callable[..., None], arguments: tuple[object, ...], options: dict[str, object]) -> None:
        try:
            run(*arguments, started=self._started, **options)
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    def _started(self, server: Server) -> None:
        self.server = server
        self._ready.set()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.server.address.rpartition(":")
        return host, int(port)

    def stop(self, force: bool = False) -> None:
        self.server.stop(force)
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive()
        self._logger.removeHandler(self.log)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(force=True)


class RawPeer:
    """A client that speaks byte by byte, and as wrongly as a test wants."""

    def __init__(self, address: tuple[str, int], secret: str) -> None:
        self.secret = Secret(secret)
        self.sock = socket.create_connection(address, DEADLINE)
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data
        self.sock.sendall(data)

    def read(self, size: int) -> bytes:
        return exactly(self.sock, size)

    def frame(
        self,
        kind: int,
        payload: bytes = b"",
        *,
        flags: int = 0,
        count: int = 0,
        serial: int = 0,
        size: int | None = None,
    ) -> None:
        """Send a frame whose header may say what it likes."""
        self.write(HEADER.pack(kind, flags, count, serial, 0, len(payload) if size is None else size) + payload)

    def greet(self) -> None:
        """Send the preamble and take the server's."""
        ours = protocol.preamble(protocol.Ask.SECRET)
        self.write(ours)
        self.preambles = ours + self.read(len(ours))

    def authenticate(self) -> None:
        self.greet()
        authenticate_client(self.secret, self.preambles, self.read, self.write)

    def hello(self) -> None:
        """All that precedes calls."""
        self.authenticate()
        self.frame(Kind.HELLO, protocol.pack_fields(introduction(Options())))
        kind, _, _, _, _, size = HEADER.unpack(self.read(HEADER.size))
        assert kind == Kind.HELLO
        self.read(size)

    def end(self) -> bytes:
        """What the server still says, until it closes."""
        data = b""
        try:
            while piece := self.sock.recv(1 << 16):
                data += piece
        except ConnectionResetError:
            pass
        return data

    def close(self) -> None:
        self.sock.close()


def await_true(condition: Callable[[], bool]) -> None:
    """Until it is so, which no event tells."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not become true"
        os.sched_yield()


def await_gone(pid: int) -> None:
    """Until a process, of whomever, has ended."""
    await_true(lambda: not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in _status(pid))


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"
