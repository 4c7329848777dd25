"""CtypesSession: ctypes for a session of its own."""

from __future__ import annotations

import functools
import os
from types import SimpleNamespace, TracebackType
from typing import Any

from winbridge.core.config import Config
from winbridge.core.errors import ConfigError
from winbridge.core.session import SessionEngine
from winbridge.ctypes import paths
from winbridge.ctypes.api import Api
from winbridge.ctypes.errors import COMError
from winbridge.ctypes.family import Family
from winbridge.ctypes.implicit import KINDS
from winbridge.ctypes.loading import loader
from winbridge.ctypes.search import DllDirectory, find


class CtypesSession:
    """Every name of ``winbridge.ctypes`` as an attribute, bound to a session of its own.

    Several can be open at once, of both architectures, in one thread or in many::

        with CtypesSession(arch="win32") as ctypes:
            ctypes.windll.kernel32.GetTickCount()

    Types belong to the session that they come from: a pointer has 4 bytes in one for win32.

    Args:
        config: parameters as a ``Config``; None takes the usual sources.
        session: use this session (a ``GatewaySession``, say) in place of opening one.
        **parameters: single parameters, over those of ``config``.

    Attributes:
        session: the session behind it.

    Raises:
        AgentStartError: Wine or its prefix is at fault; the message says what to do.
        ConfigError: a parameter is bad, or does not go together with ``session``.
    """

    def __init__(
        self, config: Config | None = None, *, session: SessionEngine | None = None, **parameters: Any
    ) -> None:
        if session is not None and (config is not None or parameters):
            raise ConfigError("CtypesSession takes either a session or the parameters for one of its own, not both")
        self._owns = session is None
        self.session = session if session is not None else _open(config, parameters)
        family = Family(self.session.arch, lambda: self.session)
        self._api = Api(family, loader(lambda: self.session, self.session))
        self._family = family
        self.__dict__.update(self._api.names())
        self.COMError = COMError

    @property
    def id(self) -> str:
        """The name of the session in logs."""
        return self.session.id

    @property
    def up(self) -> bool:
        """Whether calls can be made."""
        return self.client_up and self.server_up

    @property
    def client_up(self) -> bool:
        """Whether this side is open."""
        return not self.session.closed

    @property
    def server_up(self) -> bool:
        """Whether the Windows process is there."""
        return self.session.transport.up()

    def terminate(self) -> None:
        """Close the session, unless it was given; safe to repeat."""
        if self._owns:
            self.session.close()

    close = terminate

    def get_parameter(self, name: str) -> Any:
        """The value of a parameter; see ``Config``."""
        return self.session.get_parameter(name)

    def set_parameter(self, name: str, value: Any) -> None:
        """Change a parameter of the running session; see ``SessionEngine.set_parameter``."""
        self.session.set_parameter(name, value)

    def path_unix_to_windows(self, path: str | os.PathLike[str]) -> str:
        """The Windows path of a Unix path; a relative one starts at the working directory.

        Raises:
            OSError: it has none; ``winerror`` is 123 for a name with characters that Windows refuses, 206 for one
                that is too long.
        """
        return paths.unix_to_windows(path, self.session.config.prefix)

    def path_windows_to_unix(self, path: str | os.PathLike[str]) -> str:
        """The Unix path of a Windows path.

        Raises:
            OSError: it has none; ``winerror`` is 15 for a drive that does not exist, 67 for a path of a network,
                123 for characters that Windows refuses, 206 for one that is too long.
        """
        return paths.windows_to_unix(path, self.session.config.prefix)

    def add_dll_directory(self, path: str) -> DllDirectory:
        """Search DLLs in another folder too, as ``os.add_dll_directory`` does on Windows.

        Args:
            path: a Windows or a Unix path.

        Returns:
            an object whose ``close()`` ends it.
        """
        return DllDirectory(self._family, path)

    @functools.cached_property
    def wintypes(self) -> SimpleNamespace:
        """``ctypes.wintypes`` for this session."""
        return self._api.wintypes

    @functools.cached_property
    def util(self) -> SimpleNamespace:
        """``ctypes.util`` for this session."""
        return SimpleNamespace(
            find_library=lambda name: None if name in ("c", "m") else find(self._family, name),
            find_msvcrt=lambda: None,
        )

    def __enter__(self) -> CtypesSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"ctypes has no {name!r}")

    def __repr__(self) -> str:
        return f"<CtypesSession of {self.session!r}>"


def _open(config: Config | None, parameters: dict[str, Any]) -> SessionEngine:
    whole = config.replace(**parameters) if config is not None else Config(**parameters)
    session: SessionEngine = KINDS[whole.arch or "win64"].apart(whole)
    return session
