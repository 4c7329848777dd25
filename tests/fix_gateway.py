"""A gateway that runs: uvicorn in a thread, on a free loopback port, its sessions on real Wine."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

TOKEN = "correct-horse-battery-staple"


class RunningGateway(NamedTuple):
    url: str
    token: str | None
    sessions: object  # winbridge.gateway.sessions.Sessions

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@contextlib.contextmanager
def run_gateway(
    token: str | None = TOKEN, limits: object = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[RunningGateway]:
    from winbridge.gateway.app import create_app
    from winbridge.gateway.server import address, listen, make_server

    app = create_app(token, limits, clock=clock)
    server = make_server(app)
    with listen("127.0.0.1", 0) as listener:  # connections wait in its queue until the server is up
        thread = threading.Thread(target=server.run, args=([listener],), name="winbridge-test-gateway")
        thread.start()
        try:
            yield RunningGateway(address(listener), token, app.state.sessions)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    """A gateway with a token and the usual limits."""
    with run_gateway() as running:
        yield running
