"""Sessions on this machine: an agent on Wine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from winbridge.core.config import KEYWORD
from winbridge.core.errors import ConfigError
from winbridge.core.session import SessionEngine

if TYPE_CHECKING:
    from winbridge.core.transport.contract import Transport


class _LocalSession(SessionEngine):
    """What both architectures have in common."""

    implicit = True

    def connect(self) -> Transport:
        if self.config.arch not in (None, self.arch) and self.config.source("arch") == KEYWORD:
            raise ConfigError(f"arch={self.config.arch!r} does not fit {type(self).__name__}, which is {self.arch}")
        from winbridge.core.transport.local import open_transport  # a fifth of what load_dll takes to import

        transport, first = open_transport(self.config, self.arch)
        self._local.channel = channel = self.replicated(transport, first)
        self._channels.add(channel)
        return transport


class Win64Session(_LocalSession):
    """64-bit Windows code on this machine's Wine. Parameters: see ``Config``.

    Raises:
        AgentStartError: Wine or its prefix is at fault; the message says what to do.
        SessionExistsError: this thread has one with other parameters.
    """

    arch = "win64"


class Win32Session(_LocalSession):
    """32-bit Windows code on this machine's Wine. Parameters: see ``Config``.

    Raises:
        AgentStartError: Wine or its prefix is at fault; the message says what to do.
        SessionExistsError: this thread has one with other parameters.
    """

    arch = "win32"
