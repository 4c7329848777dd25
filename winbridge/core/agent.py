"""The Windows process behind a local session: start it, hear its greeting, tell how it died, end it."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import struct
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

from winbridge.core import prefix, wine, wire
from winbridge.core.config import Config
from winbridge.core.errors import AgentDiedError, AgentStartError, WireError

AGENTS = Path(__file__).resolve().parent.parent / "agents"
TAIL_LINES = 50

MACHINES = {"win64": 0x8664, "win32": 0x14C}
"""IMAGE_FILE_MACHINE_AMD64 and IMAGE_FILE_MACHINE_I386."""

_COFF = struct.Struct("<4sHH12xH2x")
"""Signature, machine, number of sections, bytes of the optional header that follows."""

_SECTION = struct.Struct("<16xII16x")
"""Size and place of a section's bytes in the file."""

READS_AT_ONCE = 64
"""A DLL that prints without end must not keep the warden from its other work."""

logger = logging.getLogger("winbridge.agent")


class _EndedEarlyError(AgentStartError):
    """The agent ended before it greeted."""


def executable(arch: str) -> Path:
    """The agent's file for an architecture.

    Raises:
        AgentStartError: it was not built.
    """
    path = AGENTS / f"winbridge-agent{arch[3:]}.exe"
    if not path.is_file():
        raise AgentStartError(
            f"the {arch} agent {path} is missing: build it with `make agents`, or reinstall winbridge"
        )
    return path


def _require_whole(path: Path, arch: str) -> None:
    """Refuse a damaged file, which Wine would try to run as something else.

    Raises:
        AgentStartError: it is no Windows program of this architecture, or ends too early (layout: Microsoft's
            "PE Format").
    """
    try:
        fault = _damage(path.read_bytes(), arch)
    except OSError as error:
        fault = f"cannot be read: {error}"
    if fault:
        raise AgentStartError(f"the {arch} agent {path} {fault}: build it with `make agents`, or reinstall winbridge")


def _damage(data: bytes, arch: str) -> str:
    """What is wrong with a program's file; empty if nothing is."""
    try:
        (header,) = struct.unpack_from("<I", data, 60)
        signature, machine, sections, optional = _COFF.unpack_from(data, header)
        table = header + _COFF.size + optional
        end = max(sum(_SECTION.unpack_from(data, table + _SECTION.size * number)) for number in range(sections))
    except (struct.error, ValueError):
        signature = b""
    if data[:2] != b"MZ" or signature != b"PE\0\0":
        return "is damaged: it is no Windows program"
    if machine != MACHINES[arch]:
        return f"is damaged or misplaced: it is made for another machine ({machine:#x})"
    return f"is damaged: it has {len(data)} bytes of {end}" if len(data) < end else ""


class _BrokenStreamError(AgentDiedError, WireError):
    """The agent sent what does not follow the wire's rules, and was ended."""


class Agent:
    """A running agent and our ends of its standard streams (file descriptors).

    Args:
        config: the session's parameters.
        arch: ``win64`` or ``win32``.

    Raises:
        AgentStartError: Wine, the prefix or the agent's file is at fault, or it did not
            greet us within ``timeout_start`` seconds, or greeted in another version.
    """

    def __init__(self, config: Config, arch: str) -> None:
        self.arch = arch
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._draining = threading.Lock()
        self._prefix = config.prefix
        self.server: int | None = None
        self.lost_server = False
        self.broken: Exception | None = None
        try:
            self.greeting = self._greeted(config)
        except _EndedEarlyError:  # a Wine server that is just ending takes a new program with it
            logger.info("the %s agent ended before it greeted; starting it once more", arch)
            self.greeting = self._greeted_or_failed(config)

    def _greeted_or_failed(self, config: Config) -> wire.Greeting:
        try:
            return self._greeted(config)
        except _EndedEarlyError as error:
            raise AgentStartError(str(error)) from None

    def _greeted(self, config: Config) -> wire.Greeting:
        self.process = self._start(config)
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.input = self.process.stdin.fileno()
        self.output = self.process.stdout.fileno()
        self.errors = self.process.stderr.fileno()
        self._cut, self._errors_ended = b"", False
        try:
            greeting = self._greeting(config.timeout_start)
            self.server = wine.server_process(config.prefix)
            return greeting
        except BaseException:
            self.kill()
            raise

    def _start(self, config: Config) -> subprocess.Popen[bytes]:
        binary = executable(self.arch)
        _require_whole(binary, self.arch)
        loader = wine.find_loader(config, self.arch)
        prefix.ensure(config)
        if self.arch == "win32":
            prefix.ensure_32_bit(config)
        try:
            return subprocess.Popen(
                [str(loader.path), str(binary)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=wine.environment(config),
                start_new_session=True,  # Ctrl-C is for the user's program; the agent ends with us
            )
        except OSError as error:
            raise AgentStartError(f"{loader.path} cannot be run: {error}") from error

    def _greeting(self, timeout: float) -> wire.Greeting:
        greeting = wire.Greeting(*wire.GREETING.unpack(self._first_bytes(wire.GREETING.size, timeout)))
        if greeting.magic != wire.MAGIC:
            raise AgentStartError(f"{executable(self.arch)} is not an agent of winbridge: it said {greeting.magic!r}")
        if greeting.version != wire.VERSION:
            raise AgentStartError(
                f"the {self.arch} agent speaks version {greeting.version} of the wire, this client {wire.VERSION}:"
                " build the agents again with `make agents`, or reinstall winbridge"
            )
        if greeting.pointer_size != wire.POINTER_SIZES[self.arch]:
            raise AgentStartError(f"the {self.arch} agent is a {greeting.pointer_size * 8}-bit program: rebuild it")
        return greeting

    def _first_bytes(self, size: int, timeout: float) -> bytes:
        data, sources = b"", [self.output, self.errors]
        deadline = time.monotonic() + timeout
        while len(data) < size:
            remaining = deadline - time.monotonic()
            found = select.select(sources, [], [], max(0.0, min(remaining, 0.2)))[0]
            if self.errors in found and not self.log_errors():  # its end; else Wine could fill the pipe, and wait
                sources.remove(self.errors)
            ready = self.output in found
            chunk = os.read(self.output, size - len(data)) if ready else b""
            data += chunk
            if not chunk and (ready or self.process.poll() is not None):
                raise _EndedEarlyError(self._failure("ended before it greeted"))
            if not chunk and remaining <= 0:
                raise AgentStartError(self._failure(f"did not greet within timeout_start={timeout:g} s"))
        return data

    def _failure(self, what: str) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        self.drain_errors(last=True)
        code = self.process.returncode
        ending = "" if code is None else f" (exit status {code})"
        said = "".join(f"\n  {line}" for line in self.tail) or " nothing"
        advice = "`winbridge doctor` checks the installation"
        return f"the {self.arch} agent {what}{ending}; it wrote to stderr:{said}\n{advice}"

    def log_errors(self) -> bool:
        """Log the lines that came on the agent's standard error; returns whether more may come."""
        for line in self.drain_errors():
            logger.info("%s: %s", self.process.pid, line)
        return not self._errors_ended

    def drain_errors(self, last: bool = False) -> list[str]:
        """Read what is there of the agent's standard error, without waiting; returns the new lines.

        Args:
            last: whether to take the beginning of a line for a line.
        """
        with self._draining:  # who comes second finds in the tail what the first one read
            data = self._cut + self._read_errors()
            end = len(data) if last or self._errors_ended else data.rfind(b"\n") + 1
            self._cut = data[end:]
            lines = data[:end].decode(errors="replace").splitlines()
            self.tail.extend(lines)
        return lines

    def _read_errors(self) -> bytes:
        data = b""
        with contextlib.suppress(OSError):
            for _ in range(READS_AT_ONCE):
                if self.errors < 0 or not select.select([self.errors], [], [], 0)[0]:
                    break
                piece = os.read(self.errors, 65536)
                if not piece:
                    self._errors_ended = True
                    break
                data += piece
        return data

    def up(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def stopped(self) -> bool:
        """Whether somebody stopped the process (SIGSTOP): it goes on when told to (SIGCONT), and answers nothing."""
        try:
            state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state in "Tt"

    def end_without_server(self) -> None:
        """End a process whose Wine server is gone: some of its threads may be gone too, others wait for ever."""
        self.lost_server = True
        self.process.kill()
        wine.end_orphans(self._prefix)

    def end_broken(self, error: Exception) -> None:
        """End a process whose stream broke: nothing says where its next frame starts."""
        self.broken = error
        self.process.kill()

    def death(self) -> AgentDiedError:
        """The exception that tells how the process ended; a WireError too where what it sent was the reason."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        self.drain_errors(last=True)
        code = self.process.returncode
        how = "is gone" if code is None else f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        if self.lost_server:
            how += f", since its Wine server (pid {self.server}) ended; the next session starts another"
        tail = "\n".join(self.tail)
        said = f"; the last it wrote to stderr:\n{tail}" if tail else ""
        kind = _BrokenStreamError if isinstance(self.broken, WireError | ValueError) else AgentDiedError
        if self.broken:
            how += f", since its stream broke: {self.broken}"
        return kind(f"the {self.arch} Windows process (pid {self.process.pid}) {how}{said}", code, tail)

    def kill(self) -> None:
        """End the process now and free our ends of its streams."""
        self.process.kill()
        self.process.wait()
        self.release()

    def release(self) -> None:
        """Close our ends of the streams; the agent ends when it sees that."""
        with self._draining:
            self.errors = -1  # the number may soon be another file's
            for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
                if stream:
                    stream.close()

    def disown(self) -> None:
        """In a forked child: drop the inherited descriptors; the process is the parent's."""
        self._draining = threading.Lock()  # the parent's warden may have held it at the fork
        self._cut, self._errors_ended = b"", False
        self.release()
        self.process.returncode = 0  # it is not our child: keep Popen from waiting for it
