"""A call that waits for its caller can be cancelled like any other, and the connection goes on."""

from __future__ import annotations

import random
import threading
import time

import pytest

from tests.remote import far
from tests.remote.fix_peer import peer
from tests.remote.test_connection import wait_until
from winbridge.remote import Connection, ref

LONG = 30
WAYS = ["call", "many calls", "future"]
ROUNDS = 60


@pytest.fixture(scope="module", params=[True, False], ids=["memory", "socket"])
def connection(request: pytest.FixtureRequest):
    with peer(there={"shared_memory": request.param}) as connection:
        yield connection


def begin(connection: Connection, way: str, event: threading.Event):
    """A call that waits for the event here; it has begun when this returns."""
    connection.call(far.forget_endings)
    started = threading.Event()
    future = connection.submit(far.ask_caller, way, ref(started.set), ref(event))
    assert started.wait(LONG)
    return future


@pytest.mark.parametrize("way", WAYS)
def test_it_is_interrupted_though_nothing_answers_it(connection: Connection, way: str) -> None:
    event = threading.Event()
    assert begin(connection, way, event).cancel()
    wait_until(lambda: connection.call(far.endings) == ["CallCancelled"])
    event.set()


def test_it_is_interrupted_when_what_it_executes_for_its_own_call_is_done(connection: Connection) -> None:
    """It has called us, and we have called it."""
    assert begin(connection, "call within call", threading.Event()).cancel()
    connection.call(far.let_it_out)
    wait_until(lambda: connection.call(far.endings) == ["CallCancelled"])


@pytest.mark.parametrize("way", WAYS)
def test_at_any_moment_the_connection_goes_on(connection: Connection, way: str) -> None:
    moments = random.Random(way)
    for _ in range(ROUNDS):
        event = threading.Event()
        future = begin(connection, way, event)
        if moments.random() < 0.5:
            threading.Timer(moments.random() * 0.002, event.set).start()
        moment = time.monotonic() + moments.random() * 0.002
        while time.monotonic() < moment:  # to be anywhere in its way
            connection.is_connected()
        future.cancel()
        event.set()
        wait_until(lambda: connection.call(far.endings) in (["CallCancelled"], ["went on"]))
    assert connection.call(far.lent) == 0
    wait_until(lambda: connection.call(far.echo, len(connection.references)) == 0)


def test_what_is_cancelled_before_it_begins_gives_back_what_it_was_lent() -> None:
    """Its arguments are unpacked nevertheless."""
    with peer(there={"max_threads": 1}) as connection:
        gate = threading.Event()
        first = begin(connection, "future", gate)
        second = connection.submit(far.echo, ref([]))
        assert second.cancel()
        gate.set()
        assert first.result(LONG) is None
        wait_until(lambda: connection.call(far.endings) == ["went on"] and len(connection.references) == 0)
