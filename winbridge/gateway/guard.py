"""Who may speak to the gateway."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from winbridge.core.transport.problem import Kind
from winbridge.gateway.problems import Problem

OPEN_PATHS = frozenset({"/healthz"})


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets requests through that show the token.

    Without a token, only those that call this machine by a name of its own: another name may be
    one that a web page had pointed here.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            problem = self._objection(Headers(scope=scope))
            if problem is not None:
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _objection(self, headers: Headers) -> Problem | None:
        if self._expected is None:
            return self._objection_to_host(headers.get("host", ""))
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return Problem(401, Kind.TOKEN, "the gateway asks for a token (Authorization: Bearer ...)")
        if not hmac.compare_digest(token.strip().encode("latin-1"), self._expected):
            return Problem(401, Kind.TOKEN, "the gateway does not know this token")
        return None

    def _objection_to_host(self, host: str) -> Problem | None:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = None
        if name is not None and is_loopback(name):
            return None
        return Problem(403, Kind.FORBIDDEN_HOST, f"without a token the gateway answers to localhost, not to {host!r}")
