"""Opening a session's transport on this machine, with what starts programs on Wine."""

from __future__ import annotations

import logging

from winbridge.core.config import Config
from winbridge.core.errors import ConnectError
from winbridge.core.transport.contract import Channel
from winbridge.core.transport.shm import SharedTransport
from winbridge.core.transport.stream import StreamTransport

logger = logging.getLogger("winbridge.session")


def open_transport(config: Config, arch: str) -> tuple[StreamTransport, Channel]:
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


def _with_channel(transport: StreamTransport) -> tuple[StreamTransport, Channel]:
    try:
        return transport, transport.channel()
    except BaseException:
        transport.close(transport.config.timeout_stop)
        raise
