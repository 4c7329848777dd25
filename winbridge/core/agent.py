"""The Windows process behind a local session: start it, hear its greeting, tell how it died, end it."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

from winbridge.core import prefix, wine, wire
from winbridge.core.config import Config
from winbridge.core.errors import AgentDiedError, AgentStartError

AGENTS = Path(__file__).resolve().parent.parent / "agents"
TAIL_LINES = 50


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


def _require_32_bit(config: Config) -> None:
    """A prefix made by a Wine without 32 bit stays without when that part is installed later."""
    folder = config.prefix / "drive_c" / "windows" / "syswow64"
    if folder.is_dir() and not (folder / "kernel32.dll").exists():
        loader = wine.find_loader(config, "win64").path
        raise AgentStartError(
            f"the Wine prefix {config.prefix} was made by a Wine without 32 bit ({folder} has no kernel32.dll);"
            f" bring it up to date: rm {config.prefix}/.update-timestamp;"
            f" WINEPREFIX={config.prefix} {loader} wineboot -u"
        )


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
        try:
            self.greeting = self._greeted(config)
        except _EndedEarlyError:  # a Wine server that is just ending takes a new program with it
            logger.info("the %s agent ended before it greeted; starting it once more", arch)
            self.greeting = self._greeted(config)

    def _greeted(self, config: Config) -> wire.Greeting:
        self.process = self._start(config)
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.input = self.process.stdin.fileno()
        self.output = self.process.stdout.fileno()
        self.errors = self.process.stderr.fileno()
        try:
            return self._greeting(config.timeout_start)
        except BaseException:
            self.kill()
            raise

    def _start(self, config: Config) -> subprocess.Popen[bytes]:
        binary = executable(self.arch)
        loader = wine.find_loader(config, self.arch)
        prefix.ensure(config)
        if self.arch == "win32":
            _require_32_bit(config)
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
        data = b""
        deadline = time.monotonic() + timeout
        while len(data) < size:
            remaining = deadline - time.monotonic()
            ready, _, _ = select.select([self.output], [], [], max(0.0, min(remaining, 0.2)))
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
        self.drain_errors()
        code = self.process.returncode
        ending = "" if code is None else f" (exit status {code})"
        said = "".join(f"\n  {line}" for line in self.tail) or " nothing"
        advice = "`winbridge doctor` checks the installation"
        return f"the {self.arch} agent {what}{ending}; it wrote to stderr:{said}\n{advice}"

    def drain_errors(self) -> list[str]:
        """Read what is there of the agent's standard error, without waiting; returns the new lines."""
        with self._draining:  # who comes second finds in the tail what the first one read
            lines = self._read_errors()
            self.tail.extend(lines)
        return lines

    def _read_errors(self) -> list[str]:
        data = b""
        with contextlib.suppress(OSError):
            while self.errors >= 0 and select.select([self.errors], [], [], 0)[0]:
                piece = os.read(self.errors, 65536)
                if not piece:
                    break
                data += piece
        return data.decode(errors="replace").splitlines()

    def up(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def death(self) -> AgentDiedError:
        """The exception that tells how the process ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        self.drain_errors()
        code = self.process.returncode
        how = "is gone" if code is None else f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        tail = "\n".join(self.tail)
        said = f"; the last it wrote to stderr:\n{tail}" if tail else ""
        return AgentDiedError(f"the {self.arch} Windows process (pid {self.process.pid}) {how}{said}", code, tail)

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
        self.release()
        self.process.returncode = 0  # it is not our child: keep Popen from waiting for it
