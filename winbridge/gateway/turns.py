"""Turns: what a client does on a channel, in a thread, for as long as the client is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

from winbridge.core.transport.problem import Kind
from winbridge.gateway.channels import HostedChannel
from winbridge.gateway.problems import Problem

PATIENCE = 1.0
"""Seconds after which the gateway looks whether the client of a call that still runs is still there."""

T = TypeVar("T")


class Turns:
    """The threads that calls are made in.

    Args:
        limit: calls under way at once.
        waiting: requests at once that wait for a DLL's own threads; they are no calls, and hold no thread of those.
    """

    def __init__(self, limit: int, waiting: int) -> None:
        self._limit = limit
        self._waiting = ThreadPoolExecutor(waiting, "winbridge-gateway-wait")
        self._places = threading.BoundedSemaphore(limit)
        self._pool = ThreadPoolExecutor(limit, "winbridge-gateway-call")

    async def take(self, request: Request, channel: HostedChannel, work: Callable[[], T], waits: bool = False) -> T:
        """Do ``work`` on a channel and give what it returns.

        Args:
            request: who asks.
            channel: one that nobody else has.
            work: what to do.
            waits: whether it only waits for a callback of a thread that a DLL made.

        Raises:
            Problem: the channel is in use, or too many calls are under way.
            ClientDisconnect: the client went away; the channel was given up.
        """
        call = self._wait(channel, work) if waits else self._begin(channel, work)
        try:
            while not (await asyncio.wait({call}, timeout=PATIENCE))[0]:
                if await request.is_disconnected():
                    raise ClientDisconnect
        except (ClientDisconnect, asyncio.CancelledError):
            call.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody is there to hear it
            channel.close()
            raise
        return call.result()

    def _begin(self, channel: HostedChannel, work: Callable[[], T]) -> asyncio.Future[T]:
        channel.acquire()
        if not self._places.acquire(blocking=False):
            channel.release()
            raise Problem(Kind.TOO_MANY, f"{self._limit} calls are under way, the gateway's limit; try again")

        def run() -> T:
            try:
                return work()
            finally:
                channel.release()
                self._places.release()

        return asyncio.wrap_future(self._pool.submit(run))

    def _wait(self, channel: HostedChannel, work: Callable[[], T]) -> asyncio.Future[T]:
        channel.acquire()

        def run() -> T:
            try:
                return work()
            finally:
                channel.release()

        return asyncio.wrap_future(self._waiting.submit(run))

    def close(self) -> None:
        """Wait for the threads to end; no call may be under way any more."""
        self._pool.shutdown()
        self._waiting.shutdown()
