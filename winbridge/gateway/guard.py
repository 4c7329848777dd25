"""Who may speak to the gateway."""

from __future__ import annotations

import base64
import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from winbridge.core.transport.problem import Kind
from winbridge.gateway.problems import Problem
from winbridge.gateway.routes import ACCESS

ASK = 'Basic realm="winbridge gateway, the password is its token", charset="UTF-8"'


def is_loopback(host: str) -> bool:
    """Whether a name or address means this machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(given: str) -> bytes:
    """What a person typed where a browser asked for user and password."""
    try:
        return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _no_token(detail: str, reader: bool) -> Problem:
    """Browsers ask their user only where there is nothing but to read: what he typed goes from other sites too."""
    problem = Problem(Kind.TOKEN, detail)
    problem.headers["WWW-Authenticate"] = f"Bearer, {ASK}" if reader else "Bearer"
    return problem


class Guard:
    """Lets requests through that show the token.

    Without a token, only those that call this machine by a name of its own: another name may be
    one that a web page had pointed here.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        access = ACCESS.get(scope["path"], "token") if scope["type"] == "http" else "all"
        if access != "all":
            problem = self._objection(Headers(scope=scope), access == "reader")
            if problem is not None:
                scope["problem"] = problem.kind.value
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _objection(self, headers: Headers, reader: bool) -> Problem | None:
        if self._expected is None:
            return self._objection_to_host(headers.get("host", ""))
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and reader:
            token = _password(given)
        elif scheme.lower() == "bearer":
            token = given.strip().encode("latin-1")
        else:
            return _no_token("the gateway asks for a token (Authorization: Bearer ...)", reader)
        if not hmac.compare_digest(token, self._expected):
            return _no_token("the gateway does not know this token", reader)
        return None

    def _objection_to_host(self, host: str) -> Problem | None:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = None
        if name is not None and is_loopback(name):
            return None
        return Problem(Kind.FORBIDDEN_HOST, f"without a token the gateway answers to localhost, not to {host!r}")
