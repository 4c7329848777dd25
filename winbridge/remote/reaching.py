"""From what a user names (an address, an interpreter) to a connection with the Python there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from winbridge.core.config import Config
from winbridge.core.errors import ConfigError
from winbridge.remote.connection import Connection
from winbridge.remote.options import Options

WINE = {"wine": None, "wine64": "win64", "wine32": "win32"}
"""Interpreters that stand for a Windows Python on Wine, and which architecture each means."""

DOS_HEADER = b"MZ"
"""What Windows programs begin with (IMAGE_DOS_SIGNATURE of the PE format)."""


class Place(NamedTuple):
    """Where a session's Python is; at most one of the first three is given.

    Attributes:
        addr: ``host:port``, or the path of a Unix socket.
        connection: one that is there already.
        interpreter: what to start.
        options: of the connection; None for the usual ones.
    """

    addr: str | None = None
    connection: Connection | None = None
    interpreter: str | os.PathLike[str] | None = None
    options: Options | None = None

    def check(self) -> None:
        """See to it that it is one place.

        Raises:
            ConfigError: several are given, the address is no text, or options are for a connection that has its own.
        """
        given = [name for name in ("addr", "connection", "interpreter") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} name different Pythons: give one of them")
        if not isinstance(self.addr, str | None):
            raise ConfigError(f"addr={self.addr!r}: expected a text such as localhost:9000")
        if self.connection is not None and self.options is not None:
            raise ConfigError("options: a connection has its own, give them where it is made")

    def reach(self, config: Config) -> Connection:
        """Open a connection to it.

        Args:
            config: ``python`` is the interpreter where none is named, ``arch`` the architecture of one on Wine.

        Raises:
            ConfigError: the address or the interpreter is none.
            WindowsPythonError: there is no such Windows Python.
            AgentStartError: Wine or its prefix is at fault.
        """
        if self.connection is not None:
            return self.connection
        if self.addr is not None:
            from winbridge.remote.pool.client import connect

            return connect(self.addr, None, None, None, self.options or Options())
        if self.interpreter is None and config.python is not None:
            return start(config.python, self.options, config, f"python ({config.source('python')})")
        return start(self.interpreter or "wine", self.options, config, "interpreter")


def start(interpreter: str | os.PathLike[str], options: Options | None, config: Config, name: str) -> Connection:
    """Start an interpreter; nothing needs to be installed for it.

    Args:
        interpreter: one of ``WINE``; the name or the path of a Python of this machine; or what names a Windows Python
            (see ``winbridge.pythons.registry.find``).
        options: None for the usual ones, with ``timeout_start`` for the time to open.
        config: parameters of Wine.
        name: of the argument or parameter that it comes from.

    Raises:
        ConfigError: there is no such file.
        WindowsPythonError, AgentStartError: as above.
    """
    from winbridge.remote import bios, starting

    named = os.path.expanduser(interpreter)
    options = options or Options(timeout=config.timeout_start)
    if named in WINE:
        return starting.from_wine(None, options, config, WINE[named] or config.arch)
    program = shutil.which(named)
    if program is not None and not _is_for_windows(program):
        return starting.from_command([program, "-c", bios.get_bios()], options)
    if os.path.isabs(named) and not os.path.exists(named):
        raise ConfigError(f"{name} = {named!r}: there is no such file; `winbridge python list` shows Windows Pythons")
    return starting.from_wine(named, options, config, config.arch)


def _is_for_windows(program: str) -> bool:
    with Path(program).open("rb") as file:
        return file.read(len(DOS_HEADER)) == DOS_HEADER
