"""What a gateway says when it cannot do something (RFC 9457), and the exception that it becomes at the client."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from winbridge.core.errors import (
    AgentDiedError,
    AgentStartError,
    CallTimeoutError,
    ConnectError,
    SessionClosedError,
    TransportError,
    WireError,
)

MEDIA_TYPE = "application/problem+json"

LONGEST_QUOTE = 300
"""Characters of a stranger's page that an error message quotes."""


class Kind(str, Enum):
    """Types of problems: the ``type`` member of the body."""

    AGENT_DIED = "urn:winbridge:problem:agent-died"
    AGENT_FAILED = "urn:winbridge:problem:agent-failed"
    AGENT_START = "urn:winbridge:problem:agent-start"
    BAD_REQUEST = "urn:winbridge:problem:bad-request"
    CALL_TIMEOUT = "urn:winbridge:problem:call-timeout"
    CHANNEL_BUSY = "urn:winbridge:problem:channel-busy"
    CLOSING = "urn:winbridge:problem:closing"
    FORBIDDEN_HOST = "urn:winbridge:problem:forbidden-host"
    FORBIDDEN_OP = "urn:winbridge:problem:forbidden-op"
    MEDIA_TYPE = "urn:winbridge:problem:media-type"
    NO_CHANNEL = "urn:winbridge:problem:no-channel"
    NO_ROOM = "urn:winbridge:problem:no-room"
    NO_SESSION = "urn:winbridge:problem:no-session"
    TOKEN = "urn:winbridge:problem:token"
    TOO_LARGE = "urn:winbridge:problem:too-large"
    TOO_MANY = "urn:winbridge:problem:too-many"
    WIRE_VERSION = "urn:winbridge:problem:wire-version"


_BY_KIND: dict[str, type[Exception]] = {
    Kind.AGENT_START.value: AgentStartError,
    Kind.CALL_TIMEOUT.value: CallTimeoutError,
    Kind.NO_ROOM.value: MemoryError,
    Kind.NO_SESSION.value: SessionClosedError,
    Kind.WIRE_VERSION.value: WireError,
}
_BY_STATUS: dict[int, type[Exception]] = {400: WireError, 401: ConnectError, 403: ConnectError}
_ADVICE = {
    401: "; pass the gateway's token as GatewaySession(url, token=...)",
    403: "; pass a token with the right to it as GatewaySession(url, token=...)",
}


def exception(status: int, media_type: str, body: bytes, url: str) -> Exception:
    """The exception for an answer that is not a success.

    Args:
        status: the HTTP status.
        media_type: its Content-Type, as it came.
        body: its body.
        url: the gateway's address, for the message.

    Returns:
        an exception of ``winbridge.core.errors``, or MemoryError where the agent has no room.
    """
    problem = _problem(media_type, body)
    words = str(problem.get("detail") or problem.get("title") or _quote(body))
    message = f"the gateway {url} answered {status}: {words}{_ADVICE.get(status, '')}"
    kind = problem.get("type")
    if kind == Kind.AGENT_DIED.value:
        return _death(message, problem)
    if isinstance(kind, str) and kind in _BY_KIND:
        return _BY_KIND[kind](message)
    return _BY_STATUS.get(status, TransportError)(message)


def _death(message: str, problem: dict[str, Any]) -> AgentDiedError:
    code, tail = problem.get("exit_code"), problem.get("stderr_tail")
    return AgentDiedError(message, code if isinstance(code, int) else None, tail if isinstance(tail, str) else "")


def _problem(media_type: str, body: bytes) -> dict[str, Any]:
    """The members of a problem; none where it is something else, such as a proxy's own page."""
    if media_type.partition(";")[0].strip().lower() != MEDIA_TYPE:
        return {}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _quote(body: bytes) -> str:
    text = " ".join(body[: 4 * LONGEST_QUOTE].decode(errors="replace").split())[:LONGEST_QUOTE]
    return repr(text) if text else "nothing else"
