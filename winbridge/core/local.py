"""Sessions on this machine: an agent on Wine."""

from __future__ import annotations

import logging

from winbridge.core.config import KEYWORD, Config
from winbridge.core.errors import ConfigError, ConnectError
from winbridge.core.session import SessionEngine
from winbridge.core.transport.contract import Channel, Transport
from winbridge.core.transport.shm import SharedTransport
from winbridge.core.transport.stream import StreamTransport

logger = logging.getLogger("winbridge.session")


def open_transport(config: Config, arch: str) -> tuple[Transport, Channel]:
    """Start an agent and open its first channel: in shared memory where that works, else over a byte stream.

    Raises:
        AgentStartError, AgentDiedError: see ``winbridge.core.agent.Agent``.
        ConnectError: the one carrier that ``config.transport`` asks for does not work.
    """
    if config.transport == "stream":
        return _with_channel(StreamTransport(config, arch))
    try:
        return _with_channel(SharedTransport(config, arch))
    except (ConnectError, MemoryError, OSError) as error:
        if config.transport == "shm":
            raise
        logger.warning("no shared memory (%s): the calls of this session go over a byte stream, slower", error)
        return _with_channel(StreamTransport(config, arch))


def _with_channel(transport: StreamTransport) -> tuple[Transport, Channel]:
    try:
        return transport, transport.channel()
    except BaseException:
        transport.close(transport.config.timeout_stop)
        raise


class _LocalSession(SessionEngine):
    """What both architectures have in common."""

    implicit = True

    def connect(self) -> Transport:
        if self.config.arch not in (None, self.arch) and self.config.source("arch") == KEYWORD:
            raise ConfigError(f"arch={self.config.arch!r} does not fit {type(self).__name__}, which is {self.arch}")
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
