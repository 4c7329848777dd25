"""The gateway as an ASGI application.

::

    GET    /healthz                              no token needed
    POST   /v1/sessions                          {arch, wire_version} -> 201 {id, arch, pointer_size, wire_version}
    DELETE /v1/sessions/ID                       -> 204
    POST   /v1/sessions/ID/channels              -> 201 {channel, arena, arena_size}
    DELETE /v1/sessions/ID/channels/N            -> 204
    POST   /v1/sessions/ID/channels/N/arena      {size} -> {channel, arena, arena_size}
    POST   /v1/sessions/ID/channels/N/exchange   frame, request, arena range -> frame, record, arena range

Errors are problems as of RFC 9457; their types stand in ``winbridge.core.transport.problem``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from winbridge.core.config import Config
from winbridge.core.errors import WinbridgeError
from winbridge.gateway.guard import Guard
from winbridge.gateway.handlers import Handlers
from winbridge.gateway.problems import Problem, problem_of, problem_response
from winbridge.gateway.sessions import Limits, Sessions


def create_app(
    token: str | None,
    limits: Limits | None = None,
    config: Config | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Starlette:
    """Make the application, for any ASGI server that runs its lifespan.

    Args:
        token: what clients must show; None only where nobody else can connect.
        limits: what they may use; None takes the usual ones.
        config: parameters of the agents; None takes the usual sources.
        clock: seconds, by which sessions expire.

    Returns:
        the application; ``app.state.sessions`` holds its sessions.

    Raises:
        ConfigError: a parameter is bad.
    """
    sessions = Sessions(limits or Limits(), config, clock)
    handlers = Handlers(sessions)
    app = Starlette(
        routes=_routes(handlers),
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={
            Problem: _answer,
            WinbridgeError: _answer,
            MemoryError: _answer,
            HTTPException: _answer_http,
            ClientDisconnect: _answer_nobody,
            Exception: _answer_fault,
        },
        lifespan=handlers.lifespan,
    )
    app.state.sessions = sessions
    app.router.redirect_slashes = False  # to wherever the Host header says
    return app


def _routes(handlers: Handlers) -> list[Route]:
    session = "/v1/sessions/{id}"
    channel = session + "/channels/{number}"
    return [
        Route("/healthz", handlers.health, methods=["GET"]),
        Route("/v1/sessions", handlers.open_session, methods=["POST"]),
        Route(session, handlers.close_session, methods=["DELETE"]),
        Route(session + "/channels", handlers.open_channel, methods=["POST"]),
        Route(channel, handlers.close_channel, methods=["DELETE"]),
        Route(channel + "/arena", handlers.move_arena, methods=["POST"]),
        Route(channel + "/exchange", handlers.exchange, methods=["POST"]),
    ]


def _answer(_: Request, error: Exception) -> Response:
    return problem_of(error).response()


def _answer_http(_: Request, error: Exception) -> Response:
    """Paths and methods that there are not."""
    assert isinstance(error, HTTPException)
    answer = problem_response(error.status_code, "about:blank", error.detail, "see the paths under /v1/sessions")
    answer.headers.update(error.headers or {})
    return answer


def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # the client has gone: this reaches nobody


def _answer_fault(_: Request, __: Exception) -> Response:
    """A mistake of ours: the server logs it, strangers are not told more."""
    return problem_response(500, "about:blank", "Internal Server Error", "a mistake in the gateway; its log has more")
