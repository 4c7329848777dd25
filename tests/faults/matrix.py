"""The matrix: one row a fault. A scenario provokes it for real and checks what its row promises."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from winbridge import Win32Session, Win64Session
from winbridge.core.wire import Result

ROOT = Path(__file__).resolve().parents[2]
SESSIONS = {"win64": Win64Session, "win32": Win32Session}

EVERYWHERE = tuple((arch, transport) for arch in SESSIONS for transport in ("shm", "stream"))
EACH_ARCH = tuple((arch, "shm") for arch in SESSIONS)
EACH_TRANSPORT = (("win64", "shm"), ("win64", "stream"))
ONCE = (("win64", "shm"),)
ONLY_32 = (("win32", "shm"),)

PATIENCE = 30.0
"""Seconds after which a test gives up waiting for what should have happened long ago."""

SLACK = 4.0
"""Seconds that a busy machine may add to a row's ``within``; the report has what was measured."""


PRELUDE = """
import os, signal, sys, threading
import winbridge
def open_session(**parameters):
    kind = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[sys.argv[1]]
    return kind(transport=sys.argv[2], **parameters)
def culprit(session):
    return session.load_dll(sys.argv[3], convention="cdecl")
def agent(session):
    return session.transport.link.agent.process.pid
"""
"""What the programs begin with."""


class Row(NamedTuple):
    """One fault.

    Attributes:
        group: heading in the documentation.
        fault: what goes wrong.
        seen: the exception that the program gets, None where there is none to get.
        within: seconds until it is noticed, None where the row sets no limit.
        after: what works afterwards.
        sides: architectures and transports that it is tried on.
        slow: whether it takes more than a few seconds.
        scenario: provokes it and checks all that.
    """

    group: str
    fault: str
    seen: type[BaseException] | None
    within: float | None
    after: str
    sides: tuple[tuple[str, str], ...]
    slow: bool
    scenario: Callable[[Bench], None]

    @property
    def name(self) -> str:
        return self.scenario.__name__


MATRIX: list[Row] = []


class Measured(NamedTuple):
    """How long one side took to notice one row's fault, in seconds."""

    row: str
    side: str
    seconds: float


MEASURED: list[Measured] = []


def row(
    group: str,
    fault: str,
    *,
    seen: type[BaseException] | None,
    after: str,
    within: float | None = None,
    sides: tuple[tuple[str, str], ...] = EVERYWHERE,
    slow: bool = False,
) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Enter the decorated scenario into the matrix; the parameters are those of ``Row``."""

    def enter(scenario: Callable[[Bench], None]) -> Callable[[Bench], None]:
        MATRIX.append(Row(group, fault, seen, within, after, sides, slow, scenario))
        return scenario

    return enter


class Bench:
    """What a scenario works with: one architecture and transport, a folder of its own, DLLs that misbehave."""

    def __init__(self, request: pytest.FixtureRequest, row: Row, arch: str, transport: str) -> None:
        self.row = row
        self.arch = arch
        self.transport = transport
        self.request = request
        self.folder: Path = request.getfixturevalue("tmp_path")
        self.monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        self.dlls: Path = request.getfixturevalue("culprits") / arch
        self.kind = SESSIONS[arch]
        self._struck = 0.0

    prelude = PRELUDE

    def open(self, **parameters: Any) -> Any:
        """This thread's session."""
        return self.kind(transport=self.transport, **parameters)

    def dll(self, session: Any | None = None, **parameters: Any) -> Any:
        """The culprit, loaded in a session, by default a new one with some parameters."""
        return (session or self.open(**parameters)).load_dll(self.dlls / "culprit.dll", convention="cdecl")

    def spare_prefix(self) -> Path:
        """A copy of the prefix, to spoil."""
        return self.request.getfixturevalue("spoiled_prefix")

    def need_mounts(self) -> None:
        """Skip where a program may not have mounts of its own."""
        if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
            pytest.skip("NOT RUN: this user may not make a mount namespace (unshare -m)")

    def in_call(self, function: Callable[..., Any], *arguments: Any, milliseconds: int = 60_000) -> Any:
        """A future of ``linger``, when its call has arrived; with a function, of that on another thread."""
        file = self.folder / f"arrived-{time.monotonic_ns()}"
        future = function.submit(*arguments, self.windows(file), milliseconds)
        self.until(file.exists)
        return future

    @staticmethod
    def windows(path: Path) -> bytes:
        return b"Z:" + str(path).replace("/", "\\").encode()

    def callback(self, session: Any, handler: Callable[[], int]) -> ctypes.c_void_p:
        """A function pointer ``int (*)(int)``."""
        width = session.pointer_size
        self._callback = session.callbacks.make(lambda area: handler(), words=width, popped=0, result=Result.INT32)
        return ctypes.c_void_p(self._callback.address)

    def strike(self, blow: Callable[..., Any], *arguments: Any) -> None:
        """Make the fault happen; ``noticed`` counts from here."""
        self._struck = time.monotonic()
        blow(*arguments)

    @contextlib.contextmanager
    def noticed(self, match: str | None = None) -> Iterator[pytest.ExceptionInfo[BaseException]]:
        """The row's exception comes in time."""
        assert self.row.seen is not None
        with pytest.raises(self.row.seen, match=match) as caught:
            yield caught
        self.measure()

    def measure(self) -> None:
        """Now it was noticed."""
        seconds = time.monotonic() - self._struck
        MEASURED.append(Measured(self.row.name, f"{self.arch} {self.transport}", round(seconds, 4)))
        print(f"{self.row.name} on {self.arch}, {self.transport}: noticed after {1000 * seconds:.1f} ms")
        assert self.row.within is None or seconds <= self.row.within + SLACK

    def until(self, condition: Callable[[], Any]) -> None:
        """Wait for something that another thread or process does."""
        deadline, nobody = time.monotonic() + PATIENCE, threading.Event()
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            nobody.wait(0.001)

    def python(self, code: str, *arguments: object) -> subprocess.Popen[str]:
        """A program of its own; its first arguments are architecture, transport and the culprit's path."""
        return self.program("-c", self.prelude + code, after=arguments)

    def program(self, *what: object, after: tuple[object, ...] = ()) -> subprocess.Popen[str]:
        """What the interpreter is told to run, with the same first arguments."""
        command = [sys.executable, *what, self.arch, self.transport, self.dlls / "culprit.dll", *after]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        return subprocess.Popen([*map(str, command)], env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


def agent_of(session: Any) -> int:
    """The process id of a session's agent."""
    return session.transport.link.agent.process.pid


def signal_to(process: int, number: int) -> Callable[[], None]:
    return lambda: os.kill(process, number)


def gone(process: int, seconds: float = PATIENCE) -> bool:
    """Whether a process that is no child of ours ends in time."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def interrupted_after(seconds: float, bench: Bench) -> Iterator[None]:
    """Ctrl-C, a while after the block was entered: inside of a call that takes longer."""
    main = threading.get_ident()
    timer = threading.Timer(seconds, lambda: bench.strike(signal.pthread_kill, main, signal.SIGINT))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def copy_of_prefix(source: Path, target: Path) -> Path:
    """A prefix to throw away; its files are links, but for those that Wine writes."""

    def put(given: str, taken: str) -> None:
        written = given.endswith(".reg") or Path(given).name in ("wineserver", ".update-timestamp")
        try:
            shutil.copy2(given, taken) if written else os.link(given, taken)
        except OSError:  # another disk
            shutil.copy2(given, taken)

    shutil.copytree(source, target, symlinks=True, copy_function=put)
    (target / "wineserver").unlink(missing_ok=True)
    return target
