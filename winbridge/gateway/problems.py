"""What the gateway answers when something is wrong."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from winbridge.core.errors import AgentDiedError, AgentStartError, CallTimeoutError
from winbridge.core.transport.problem import MEDIA_TYPE, Kind

ANSWERS = {
    Kind.AGENT_DIED: (502, "The Windows process ended"),
    Kind.AGENT_FAILED: (502, "The Windows process did not answer as it should"),
    Kind.AGENT_START: (500, "No Windows process could be started"),
    Kind.BAD_REQUEST: (400, "The request breaks a rule"),
    Kind.CALL_TIMEOUT: (504, "The call took too long"),
    Kind.CHANNEL_BUSY: (409, "The channel is in use"),
    Kind.CLOSING: (503, "The gateway is closing"),
    Kind.FORBIDDEN_HOST: (403, "The gateway is called by another name"),
    Kind.FORBIDDEN_OP: (400, "The operation is not for clients"),
    Kind.MEDIA_TYPE: (415, "The body has the wrong type"),
    Kind.NO_CHANNEL: (404, "No such channel"),
    Kind.NO_ROOM: (507, "The Windows process has no room"),
    Kind.NO_SESSION: (404, "No such session"),
    Kind.TOKEN: (401, "The token is missing or wrong"),
    Kind.TOO_LARGE: (413, "Too large"),
    Kind.TOO_MANY: (503, "Too many at once"),
    Kind.WIRE_VERSION: (400, "Another version of the wire"),
}
"""The status and title of each type."""

UNTYPED = "about:blank"
"""The type of what HTTP's own status says in full."""


class Problem(Exception):  # noqa: N818 - the standard's word
    """An answer that is no success.

    Args:
        kind: its type.
        detail: what is wrong here, and what to do.
        **members: further members of the body.
    """

    def __init__(self, kind: Kind, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.status, self.title = ANSWERS[kind]
        self.kind = kind
        self.detail = detail
        self.members = members
        self.headers: dict[str, str] = {}

    def response(self) -> Response:
        answer = problem_response(self.status, self.kind.value, self.title, self.detail, **self.members)
        answer.headers.update(self.headers)
        return answer


def problem_response(status: int, kind: str, title: str, detail: str, **members: Any) -> Response:
    """An answer in the form of RFC 9457."""
    body = {"type": kind, "title": title, "status": status, "detail": detail, **members}
    return Response(json.dumps(body), status, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """The problem that an error of a session is for its client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, AgentDiedError):
        return Problem(Kind.AGENT_DIED, str(error), exit_code=error.exit_code, stderr_tail=error.stderr_tail)
    if isinstance(error, AgentStartError):
        return Problem(Kind.AGENT_START, str(error))
    if isinstance(error, CallTimeoutError):
        return Problem(Kind.CALL_TIMEOUT, str(error))
    if isinstance(error, MemoryError):
        return Problem(Kind.NO_ROOM, str(error) or "out of memory")
    return Problem(Kind.AGENT_FAILED, str(error))
