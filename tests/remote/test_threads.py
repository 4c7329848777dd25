"""One thread of the peer executes its requests as long as it is free, so what belongs to a thread is met again."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from tests import windows_pythons
from tests.remote import far
from tests.remote.fix_peer import peer
from winbridge.remote import Connection, ref

LONG = 30
ROUNDS = 20

STAY = """
import time
from winbridge.remote import get_connection

def stay():
    reading = get_connection().link.reading
    while not reading.led():
        time.sleep(0)
"""
"""``stay`` returns when another thread reads, which so is to get the next request."""


@pytest.fixture(params=[True, False], ids=["memory", "socket"])
def connection(request: pytest.FixtureRequest):
    with peer(there={"shared_memory": request.param}) as connection:
        connection.execute(STAY)
        yield connection


def test_connections_of_sqlite3_are_met_again(connection: Connection) -> None:
    database = connection.call_ref(sqlite3.connect, ":memory:")
    for number in range(ROUNDS):
        connection.execute("stay()")
        assert database.execute("select ?", (number,)).fetchone() == (number,)


def test_the_thread_is_the_one_that_serves(connection: Connection) -> None:
    name = "__import__('threading').current_thread().name"
    for _ in range(ROUNDS):
        connection.execute("stay()")
        assert [connection.eval(name) for _ in range(3)] == ["MainThread"] * 3


def test_others_execute_what_comes_while_it_is_busy(connection: Connection) -> None:
    event, started = threading.Event(), threading.Event()
    future = connection.submit(far.ask_caller, "call", ref(started.set), ref(event))
    assert started.wait(LONG)
    assert connection.eval("__import__('threading').current_thread().name") != "MainThread"
    event.set()
    assert future.result(LONG) is None
    assert connection.call(far.endings) == ["went on"]


def test_no_threads_pile_up(connection: Connection) -> None:
    for _ in range(ROUNDS):
        connection.execute("stay()")
        connection.execute("1")
    assert connection.eval("__import__('threading').active_count()") < 8


COM = """
import ctypes, threading
ole32 = ctypes.windll.ole32

def apartment():
    kind, qualifier = ctypes.c_int(-1), ctypes.c_int()
    return ole32.CoGetApartmentType(ctypes.byref(kind), ctypes.byref(qualifier)), kind.value
"""
UNINITIALISED = -0x7FFBFE10  # CO_E_NOTINITIALIZED
MAIN_APARTMENT = 3


@pytest.mark.wine
@pytest.mark.win64
def test_com_is_initialised_for_the_next_request_too() -> None:
    with Connection.from_wine(str(windows_pythons.python("win64"))) as connection:
        connection.execute(STAY + COM)
        assert connection.eval("apartment()[0]") == UNINITIALISED
        assert connection.execute("ole32.CoInitialize(None)") == 0
        for _ in range(ROUNDS):
            connection.execute("stay()")
            assert connection.eval("apartment()") == (0, MAIN_APARTMENT)
