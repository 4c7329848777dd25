"""The gateway as an ASGI application.

A request passes ``Watch`` (its id, log and figures), ``Guard`` (who may speak) and reaches its method of ``Handlers``;
the paths stand in ``routes``. Errors are problems as of RFC 9457; their types stand in
``winbridge.core.transport.problem``.
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
from winbridge.gateway.logs import logger
from winbridge.gateway.problems import UNTYPED, Problem, problem_of, problem_response
from winbridge.gateway.routes import OPERATIONS
from winbridge.gateway.sessions import Limits, Sessions
from winbridge.gateway.watch import Watch


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
    metrics = sessions.metrics
    app = Starlette(
        routes=_routes(handlers),
        middleware=[Middleware(Watch, metrics=metrics), Middleware(Guard, token=token)],
        exception_handlers={
            Problem: _answer,
            WinbridgeError: _answer,
            MemoryError: _answer,
            HTTPException: _answer_http,
            ClientDisconnect: _answer_nobody,
        },
        lifespan=handlers.lifespan,
    )
    app.state.sessions = sessions
    app.router.redirect_slashes = False  # to wherever the Host header says
    return app


def _routes(handlers: Handlers) -> list[Route]:
    return [
        Route(operation.path, getattr(handlers, operation.name), methods=[operation.method]) for operation in OPERATIONS
    ]


def _answer(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    request.scope["problem"] = problem.kind.value
    logger.info("%s: %s", problem.title, problem.detail)
    return problem.response()


def _answer_http(_: Request, error: Exception) -> Response:
    """Paths and methods that there are not."""
    assert isinstance(error, HTTPException)
    answer = problem_response(error.status_code, UNTYPED, error.detail, "see the paths under /v1/sessions")
    answer.headers.update(error.headers or {})
    return answer


def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # the client has gone: this reaches nobody
