"""What stands behind the gateway's paths."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import re
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from msgspec import Struct, json
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from winbridge.core import wire
from winbridge.core.errors import AgentDiedError
from winbridge.core.transport.connection import BYTES, JSON
from winbridge.core.transport.gatewayjson import ArenaNeeded, Health, NewSession
from winbridge.core.transport.problem import Kind
from winbridge.gateway.bodies import read, read_json, timeout
from winbridge.gateway.channels import HostedChannel
from winbridge.gateway.frames import status_of
from winbridge.gateway.openapi import description
from winbridge.gateway.problems import Problem
from winbridge.gateway.sessions import HostedSession, Sessions
from winbridge.gateway.status import HEADERS, Status
from winbridge.gateway.turns import Turns

CONTROL_THREADS = 8
LONGEST_SWEEP = 15.0
"""Seconds between two looks for expired sessions, at most."""

CHANNEL_NUMBER = re.compile("[0-9]{1,10}")

T = TypeVar("T")


class Handlers:
    """One method a path. What blocks runs in threads: calls in some, the rest in others, so that calls which
    hang keep nobody from ending them.

    Args:
        sessions: what they work on.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        limits = sessions.limits
        self._turns = Turns(limits.calls, limits.sessions * limits.channels)
        self._control = ThreadPoolExecutor(CONTROL_THREADS, "winbridge-gateway-control")
        self._metrics = sessions.metrics
        self._status = Status(sessions.metrics, limits.sessions)
        self._description = json.encode(description())

    async def health(self, _: Request) -> Response:
        self._sessions.check_open()
        return _json(Health(status="ok"))

    async def description(self, _: Request) -> Response:
        return Response(self._description, media_type=JSON)

    async def metrics(self, _: Request) -> Response:
        return Response(await self._run(self._metrics.text), media_type=CONTENT_TYPE_LATEST)

    async def status(self, _: Request) -> Response:
        page = await self._run(self._status.page, self._sessions.samples())
        return HTMLResponse(page, headers=HEADERS)

    async def open_session(self, request: Request) -> Response:
        wanted = await read_json(request, NewSession)
        if wanted.wire_version != wire.VERSION:
            versions = f"version {wire.VERSION} of the wire, the client {wanted.wire_version}"
            advice = "install the same version of winbridge on both sides"
            raise Problem(Kind.WIRE_VERSION, f"the gateway speaks {versions}: {advice}")
        session = await self._run(self._sessions.open, wanted.arch)
        if await request.is_disconnected():  # nobody knows of it
            await self._run(self._sessions.close, session)
        return _json(session.describe(), 201)

    async def close_session(self, request: Request) -> Response:
        with self._session(request) as session:
            await self._run(self._sessions.close, session)
        return Response(status_code=204)

    async def open_channel(self, request: Request) -> Response:
        with self._session(request) as session:
            async with self._deaths(session):
                channel = await self._run(session.open_channel)
        return _json(channel.describe(), 201)

    async def close_channel(self, request: Request) -> Response:
        with self._session(request) as session:
            session.close_channel(self._channel(request, session))
        return Response(status_code=204)

    async def move_arena(self, request: Request) -> Response:
        wanted, limits = await read_json(request, ArenaNeeded), self._sessions.limits
        if wanted.size > limits.arena:
            bound = f"the gateway's limit is {limits.arena} (its bodies are limited to {limits.body})"
            raise Problem(Kind.TOO_LARGE, f"an arena of {wanted.size} bytes: {bound}")
        with self._session(request) as session:
            channel = self._channel(request, session)
            return _json(await self._turn(request, session, channel, lambda: channel.reserve(wanted.size)))

    async def exchange(self, request: Request) -> Response:
        def work(session: HostedSession, channel: HostedChannel, body: bytes, seconds: float | None) -> bytes:
            started = time.perf_counter()
            answer = channel.exchange(body, seconds)
            self._note(session, started, 1, status_of(answer))
            return answer

        return await self._call(request, work)

    async def batch(self, request: Request) -> Response:
        def work(session: HostedSession, channel: HostedChannel, body: bytes, seconds: float | None) -> bytes:
            started = time.perf_counter()
            answers, last = channel.exchange_many(body, seconds)
            self._note(session, started, len(answers), last)
            return b"".join(answers)

        return await self._call(request, work)

    def _note(self, session: HostedSession, started: float, made: int, last: int) -> None:
        self._metrics.calls(time.perf_counter() - started, made, last)
        session.calls += made

    async def _call(
        self, request: Request, work: Callable[[HostedSession, HostedChannel, bytes, float | None], bytes]
    ) -> Response:
        seconds = timeout(request)
        with self._session(request) as session:
            channel = self._channel(request, session)
            if not channel.in_call:
                self._sessions.check_open()
            body = await read(request, BYTES, self._sessions.limits.body)
            answer = await self._turn(
                request, session, channel, lambda: work(session, channel, body, seconds), channel.waits(body)
            )
        return Response(answer, media_type=BYTES)

    def _session(self, request: Request) -> contextlib.AbstractContextManager[HostedSession]:
        return self._sessions.use(request.path_params["id"])

    def _channel(self, request: Request, session: HostedSession) -> HostedChannel:
        number = request.path_params["number"]
        if not CHANNEL_NUMBER.fullmatch(number):
            raise Problem(Kind.NO_CHANNEL, f"{number[:20]!r} is no number of a channel")
        return session.channel(int(number))

    async def _turn(
        self, request: Request, session: HostedSession, channel: HostedChannel, work: Callable[[], T],
        waits: bool = False,
    ) -> T:  # fmt: skip
        async with self._deaths(session):
            try:
                return await self._turns.take(request, channel, work, waits)
            finally:
                if channel.spent:
                    session.close_channel(channel)

    @contextlib.asynccontextmanager
    async def _deaths(self, session: HostedSession) -> AsyncIterator[None]:
        """A session goes with its agent; where it was closed meanwhile, that is what the client hears."""
        try:
            yield
        except AgentDiedError:
            if await self._run(self._sessions.bury, session):
                raise
            raise self._sessions.missing(session.id) from None

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """In a thread, whose log lines name the request too."""
        run = contextvars.copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self._control, run, work, *arguments)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """While the server runs, sessions expire; at its end they are closed."""
        tasks = [asyncio.create_task(self._sweep()), asyncio.create_task(self._tick())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await self._run(self._sessions.close_all)
            self._turns.close()
            self._control.shutdown()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(self._sessions.limits.idle_timeout / 4, LONGEST_SWEEP))
            await self._run(self._sessions.expire)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._status.tick()


def _json(body: Struct, status: int = 200) -> Response:
    return Response(json.encode(body), status, media_type=JSON)
