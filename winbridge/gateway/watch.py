"""What is seen of every request: its id, its line in the log, its figures; and the end of those that go wrong."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from winbridge.gateway.logs import current_request, logger
from winbridge.gateway.metrics import Metrics
from winbridge.gateway.problems import UNTYPED, problem_response

REQUEST_ID = "X-Request-Id"
REQUEST_ID_PATTERN = "^[A-Za-z0-9._:-]{1,64}$"
"""Ids that are taken as they come; for others one is made, so that nobody writes into the log what he likes."""

_ID = re.compile(REQUEST_ID_PATTERN.replace("$", r"\Z").encode())
_HEADER = REQUEST_ID.lower().encode()

FREQUENT = frozenset({"exchange", "batch", "health", "metrics", "status"})
"""Operations that come so often that the log has them only at level DEBUG."""


class Watch:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Request(self._app, self._metrics, scope, receive, send).answer()
        else:
            await self._app(scope, receive, send)


class _Request:
    """One request on its way through."""

    def __init__(self, app: ASGIApp, metrics: Metrics, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._metrics = metrics
        self._scope = scope
        self._receive = receive
        self._send = send
        self._id = _id_of(scope["headers"])
        self._status = 0
        self._received = self._sent = 0

    async def answer(self) -> None:
        current_request.set(self._id)  # uvicorn runs each request in a context of its own
        started = time.perf_counter()
        try:
            await self._app(self._scope, self.receive, self.send)
        except Exception:
            logger.exception("a mistake in the gateway")  # strangers are not told more
            if not self._status:
                told = "a mistake in the gateway; its log has more under this request's id"
                await problem_response(500, UNTYPED, "Internal Server Error", told)(
                    self._scope, self.receive, self.send
                )
        finally:
            self._note(time.perf_counter() - started)

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._status >= 400:
                self._metrics.problem(self._scope.get("problem", f"status-{self._status}"))
            message["headers"] = [*message.get("headers", ()), (_HEADER, self._id.encode())]
        else:
            self._sent += len(message.get("body", b""))
        await self._send(message)

    def _note(self, seconds: float) -> None:
        operation = getattr(self._scope.get("endpoint"), "__name__", "none")
        self._metrics.request(operation, self._status, self._received, self._sent)
        level = logging.DEBUG if operation in FREQUENT and self._status < 400 else logging.INFO
        if logger.isEnabledFor(level):
            path, method = self._scope["path"], self._scope["method"]
            logger.log(level, "%s %r: %d after %.1f ms", method, path[:200], self._status, 1000 * seconds)


def _id_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The id that the client gave, or a new one."""
    given = next((value for name, value in headers if name == _HEADER), b"")
    return given.decode() if _ID.match(given) else secrets.token_hex(8)
