"""Sessions on this machine: an agent on Wine."""

from __future__ import annotations

import logging

from winbridge.core.config import KEYWORD
from winbridge.core.errors import ConfigError, ConnectError
from winbridge.core.session import SessionEngine
from winbridge.core.transport.contract import Transport
from winbridge.core.transport.shm import SharedTransport
from winbridge.core.transport.stream import StreamTransport

logger = logging.getLogger("winbridge.session")


class _LocalSession(SessionEngine):
    """What both architectures have in common."""

    implicit = True

    def connect(self) -> Transport:
        if self.config.arch not in (None, self.arch) and self.config.source("arch") == KEYWORD:
            raise ConfigError(f"arch={self.config.arch!r} does not fit {type(self).__name__}, which is {self.arch}")
        if self.config.transport == "stream":
            return StreamTransport(self.config, self.arch)
        transport = SharedTransport(self.config, self.arch)
        try:
            first = transport.channel()
        except (ConnectError, MemoryError, OSError) as error:
            transport.close(self.config.timeout_stop)
            if self.config.transport == "shm":
                raise
            logger.warning("%s: no shared memory (%s): its calls go over a byte stream, slower", self.name, error)
            return StreamTransport(self.config, self.arch)
        self._local.channel = first
        self._channels.add(first)
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
