"""Connections to processes that are started for them, and from such a process to who started it.

The process serves on its standard input and output: ``python -m winbridge.remote``, a program that calls
``Connection.from_stdio()``, or the BIOS, which is sent the rest. What it says before (a greeting of a login shell, for
example) is no part of the protocol. Its standard error is ``output`` too, and its end is told by what it said last.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from winbridge.remote import bios
from winbridge.remote.capture import Capture
from winbridge.remote.carriers.process import LastWords, ProcessCarrier
from winbridge.remote.carriers.stream import PipeCarrier
from winbridge.remote.connection import Connection
from winbridge.remote.errors import DisconnectError, ProtocolError
from winbridge.remote.options import Options
from winbridge.remote.protocol import MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from winbridge.core.config import Config
    from winbridge.remote.link import Link

    Process = subprocess.Popen[bytes]

MOST_NOISE = 1 << 16
"""Bytes that may come before the protocol begins."""

NOT_PASSED = ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "PYTHONSTARTUP")
"""Variables that tell the Python here where its files are, and mean nothing to one on Wine."""


def from_command(args: Iterable[str], options: Options | None) -> Connection:
    """See ``Connection.from_command``.

    Raises:
        OSError: there is no such program.
    """
    return _connected(_start(list(args)), options)


def from_shell(script: str, options: Options | None) -> Connection:
    """See ``Connection.from_shell``."""
    return _connected(_start(script, shell=True), options)


def from_wine(
    python: str | None, options: Options | None, config: Config | None = None, arch: str | None = None
) -> Connection:  # fmt: skip
    """See ``Connection.from_wine``.

    Args:
        python: a name, a path or a version; None for that of the configuration, or the newest that is there.
        options: of this side.
        config: parameters of Wine; None takes the usual sources.
        arch: ``win64`` or ``win32``; None takes what there is, 64 bit first.

    Raises:
        WindowsPythonError: there is no such Python.
        AgentStartError: Wine or its prefix is at fault.
    """
    from winbridge.core import prefix, wine
    from winbridge.core.config import Config
    from winbridge.pythons import registry

    config = config or Config()
    interpreter = registry.find(config, python, arch)
    loader = wine.find_loader(config, interpreter.arch)
    prefix.ensure(config)
    if interpreter.arch == "win32":
        prefix.ensure_32_bit(config)
    environment = {name: value for name, value in wine.environment(config).items() if name not in NOT_PASSED}
    command = [str(loader.path), str(interpreter.executable), "-c", bios.get_bios()]

    def start() -> Process:
        # Nothing there asks on a terminal, so Ctrl-C is for the user's program alone.
        return _start(command, env=environment, start_new_session=True)

    return _connected(start(), options, start)


def from_process(process: Process, options: Options | None) -> Connection:
    """See ``Connection.from_process``."""
    if process.stdin is None or process.stdout is None:
        raise ValueError(f"process {process.pid} was started without stdin=PIPE, stdout=PIPE")
    return _connected(process, options)


def from_stdio(options: Options | None) -> Connection:
    """See ``Connection.from_stdio``."""
    return StdioConnection(Options() if options is None else options)


def _start(command: list[str] | str, **options: Any) -> Process:
    pipe = subprocess.PIPE
    errors = None if sys.platform == "win32" else pipe  # nothing there waits for two pipes
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, bufsize=0, **options)


def _connected(process: Process, options: Options | None, again: Callable[[], Process] | None = None) -> Connection:
    """A connection to a process.

    Args:
        process: what was started.
        options: of this side.
        again: starts it once more, if it ends without a word, as a Wine server that is just ending makes new ones do.
    """
    booting = _Booting(process, again)
    connection = Connection(booting.boot, options, process=process, start=False)
    booting.connection = connection
    connection.life.start()
    return connection


class _EndedEarlyError(DisconnectError):
    """It has ended before it served."""


class _Booting:
    """Listens to what a process says until it speaks the protocol.

    Attributes:
        connection: takes what the process prints before that.
    """

    connection: Connection

    def __init__(self, process: Process, again: Callable[[], Process] | None) -> None:
        self._process = process
        self._again = again
        self._heard = b""

    def boot(self, timeout: float) -> ProcessCarrier:
        """Bring it to its first byte of the protocol.

        Raises:
            DisconnectError: it has ended, or says nothing in time.
            ProtocolError: it says something else.
        """
        deadline = time.monotonic() + timeout
        try:
            return self._boot(deadline, timeout)
        except _EndedEarlyError as error:
            if self._again is None or self._heard or self.connection.life.failure is not None:
                raise DisconnectError(str(error)) from None
        self._process = self.connection.process = self._again()
        return self._boot(deadline, timeout)

    def _boot(self, deadline: float, timeout: float) -> ProcessCarrier:
        printed = self.connection.outputs.feed
        words = LastWords(self._process, printed)
        carrier = ProcessCarrier(self._process, words)
        words.follow()
        try:
            while not self._begins(carrier):
                self._hear(carrier, deadline, timeout)
        except BaseException:
            if self._heard:
                printed(1, 0, self._heard)
            carrier.give_up()
            raise
        return carrier

    def _begins(self, carrier: ProcessCarrier) -> bool:
        if bios.PROMPT in self._heard:
            self._cut(self._heard.index(bios.PROMPT), len(bios.PROMPT))
            carrier.write([bios.answer(self.connection.options)])
        if MAGIC not in self._heard:
            return False
        self._cut(self._heard.index(MAGIC), 0)
        carrier.give_back(self._heard)
        return True

    def _cut(self, noise: int, length: int) -> None:
        if noise:
            self.connection.outputs.feed(1, 0, self._heard[:noise])
        self._heard = self._heard[noise + length :]

    def _hear(self, carrier: ProcessCarrier, deadline: float, timeout: float) -> None:
        if len(self._heard) > MOST_NOISE:
            raise ProtocolError(f"{carrier.name} does not serve a connection; it said {self._heard[:200]!r}")
        left = deadline - time.monotonic()
        if left <= 0 or not carrier.wait(left):
            raise DisconnectError(carrier.obituary(f"did not start within {timeout:g} s (option timeout)"))
        room = bytearray(4096)
        count = carrier.fill(memoryview(room))
        if not count:
            raise _EndedEarlyError(carrier.obituary("ended before it served"))
        self._heard += room[:count]


class StdioConnection(Connection):
    """A connection over standard input and output; what is printed goes over it too."""

    def __init__(self, options: Options, start: bool = True) -> None:
        self._capture = Capture()
        carrier = PipeCarrier(
            self._capture.incoming, self._capture.outgoing, "standard input and output", shared=True
        )  # fmt: skip
        super().__init__(carrier, options, server=True, start=start)

    def became_open(self, link: Link) -> None:
        self._capture.attach(link)
        super().became_open(link)

    def close(self) -> None:
        self._capture.drain()
        super().close()
