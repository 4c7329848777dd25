"""What the gateway answers when something is wrong."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from winbridge.core.errors import AgentDiedError, AgentStartError, CallTimeoutError
from winbridge.core.transport.problem import MEDIA_TYPE, Kind

TITLES = {
    Kind.AGENT_DIED: "The Windows process ended",
    Kind.AGENT_FAILED: "The Windows process did not answer as it should",
    Kind.AGENT_START: "No Windows process could be started",
    Kind.BAD_REQUEST: "The request breaks a rule",
    Kind.CALL_TIMEOUT: "The call took too long",
    Kind.CHANNEL_BUSY: "The channel is in use",
    Kind.CLOSING: "The gateway is closing",
    Kind.FORBIDDEN_HOST: "The gateway is called by another name",
    Kind.FORBIDDEN_OP: "The operation is not for clients",
    Kind.MEDIA_TYPE: "The body has the wrong type",
    Kind.NO_CHANNEL: "No such channel",
    Kind.NO_ROOM: "The Windows process has no room",
    Kind.NO_SESSION: "No such session",
    Kind.TOKEN: "The token is missing or wrong",
    Kind.TOO_LARGE: "Too large",
    Kind.TOO_MANY: "Too many at once",
    Kind.WIRE_VERSION: "Another version of the wire",
}


class Problem(Exception):  # noqa: N818 - the standard's word
    """An answer that is no success.

    Args:
        status: the HTTP status.
        kind: its type.
        detail: what is wrong here, and what to do.
        **members: further members of the body.
    """

    def __init__(self, status: int, kind: Kind, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.members = members

    def response(self) -> Response:
        return problem_response(self.status, self.kind.value, TITLES[self.kind], self.detail, **self.members)


def problem_response(status: int, kind: str, title: str, detail: str, **members: Any) -> Response:
    """An answer in the form of RFC 9457."""
    body = {"type": kind, "title": title, "status": status, "detail": detail, **members}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Response(json.dumps(body), status, headers, MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """The problem that an error of a session is for its client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, AgentDiedError):
        return Problem(502, Kind.AGENT_DIED, str(error), exit_code=error.exit_code, stderr_tail=error.stderr_tail)
    if isinstance(error, AgentStartError):
        return Problem(500, Kind.AGENT_START, str(error))
    if isinstance(error, CallTimeoutError):
        return Problem(504, Kind.CALL_TIMEOUT, str(error))
    if isinstance(error, MemoryError):
        return Problem(507, Kind.NO_ROOM, str(error) or "out of memory")
    return Problem(502, Kind.AGENT_FAILED, str(error))
