"""A connection served in a Python that has no winbridge: it gets the code first, by its standard input."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

from winbridge.remote import bios, protocol
from winbridge.remote.errors import DisconnectError
from winbridge.remote.options import Options
from winbridge.remote.servers import children
from winbridge.remote.servers.admission import Admitted
from winbridge.remote.servers.relay import ANY_SIZE, End, Relay, bye

LOOK = 0.02
"""Seconds between two looks whether the last call has ended."""


class BareService:
    """Starts a Python with the BIOS as its program, sends it the code, and passes frames on from then on.

    It has to be made and run by the same thread: the process ends with that.

    Args:
        admitted: the connection.
        python: the interpreter.
        options: of the serving side.
    """

    def __init__(self, admitted: Admitted, python: str | None, options: Options) -> None:
        ours, theirs = socket.socketpair()
        self._client, self._inner = End(admitted.sock), End(ours)
        self._forth = Relay(self._client, self._inner, options.max_message, lambda _: "", lambda: None)
        self._ending = False
        program = children.DYING_WITH.format(parent=os.getpid()) + bios.get_bios()
        command = [python or sys.executable, "-c", program]
        with theirs:
            end = theirs.fileno()
            self._process = subprocess.Popen(command, stdin=end, stdout=end, start_new_session=True)
        try:
            self._boot(ours, options, admitted.preamble)
        except BaseException:
            self._end()
            raise

    def _boot(self, sock: socket.socket, options: Options, preamble: bytes) -> None:
        deadline = time.monotonic() + options.timeout
        self._hear(sock, bios.PROMPT, deadline)
        sock.sendall(bios.answer(options.copy(shared_memory=False)))  # we are between the two
        self._hear(sock, protocol.preamble(), deadline)  # which the client has from us
        sock.settimeout(None)
        _, oldest, newest, *_ = protocol.PREAMBLE.unpack(preamble)
        sock.sendall(protocol.preamble(0, oldest, newest))

    def _hear(self, sock: socket.socket, expected: bytes, deadline: float) -> None:
        """Read until something was said, and not a byte more."""
        heard = b""
        while not heard.endswith(expected):
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                piece = sock.recv(1)
            except TimeoutError:
                piece = b""
            if not piece:
                raise DisconnectError(f"{self._process.args!r} does not become a peer; it said {heard[-200:]!r}")
            heard += piece

    def run(self) -> None:
        """Until either side ends.

        Raises:
            DisconnectError: the client broke the rules, or the process did not end by itself.
        """
        back = threading.Thread(target=self._back, name="winbridge-server-back", daemon=True)
        back.start()
        try:
            self._forth.run()
        except OSError:
            pass  # the process has ended
        except DisconnectError as error:
            self._client.say_last(bye(str(error)))
            raise
        finally:
            self._inner.shut()
            back.join()
            status = self._end()
        if status and not self._ending:
            raise DisconnectError(f"process {self._process.pid} ended: {children.outcome(status)}")

    def _back(self) -> None:
        with contextlib.suppress(DisconnectError, OSError):
            Relay(self._inner, self._client, ANY_SIZE, lambda _: "", lambda: None).run()
        self._client.shut()

    def _end(self) -> int:
        try:
            self._process.wait(children.PATIENCE)
        except subprocess.TimeoutExpired:
            children.kill(self._process)
        self._inner.close()
        return self._process.wait()

    def drain(self) -> None:
        """End when nothing is being executed any more. Does not wait."""
        threading.Thread(target=self._drain, name="winbridge-server-drain", daemon=True).start()

    def _drain(self) -> None:
        while (self._client.busy or self._inner.busy) and self._process.poll() is None:
            time.sleep(LOOK)
        self._client.say_last(bye("the server is ending"))
        self.kill()

    def kill(self) -> None:
        """End now."""
        self._ending = True
        if self._process.poll() is None:
            children.kill(self._process)
