"""Log records of another process in the loggers of this one."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time

import pytest

from tests.remote import far
from tests.remote.fix_peer import oldest_python, peer
from winbridge.remote import Connection, DisconnectError
from winbridge.remote import logging as remote_logging
from winbridge.remote.logging import RemoteHandler, receive


@pytest.fixture(params=["same", "oldest"])
def connection(request):
    python = oldest_python() if request.param == "oldest" else sys.executable
    if python is None:
        pytest.skip("no CPython 3.8 on this machine")
    with peer(python) as connection:
        yield connection


@pytest.fixture
def arrived():
    """What the logger ``far`` of this process handles."""
    handler = far.Collecting()
    logger = logging.getLogger("far")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def after(connection):
    """Wait until what was logged there has been handled here."""
    connection.call(far.flush_logs)


def test_records_arrive_with_all_that_is_in_them(connection, arrived):
    receive(connection, level=logging.INFO)
    connection.call(far.log, "far.part", logging.INFO, "%s is %d", ("x", 5), {"job": 7, "tags": {"a": [1]}})
    connection.call(far.log, "far.part", logging.DEBUG, "too low")
    connection.call(far.log, "far.other", logging.CRITICAL, "no arguments, 100 %")
    after(connection)
    first, second = arrived
    assert (first.name, first.levelno, first.getMessage(), first.args) == ("far.part", logging.INFO, "x is 5", ("x", 5))
    assert (first.job, first.tags) == (7, {"a": [1]}) and first.funcName == "log" and first.lineno > 0
    assert first.process == int(connection.peer["pid"]) and abs(first.created - time.time()) < 60
    assert first.remote is connection
    assert second.getMessage() == "no arguments, 100 %"


def test_the_levels_and_filters_of_this_side_hold(connection, arrived):
    receive(connection, level=logging.DEBUG)
    logging.getLogger("far").setLevel(logging.ERROR)
    for level in (logging.DEBUG, logging.WARNING, logging.ERROR):
        connection.call(far.log, "far.part", level, "at %d", (level,))
    after(connection)
    assert [record.levelno for record in arrived] == [logging.ERROR]


def test_an_exception_arrives_as_itself_and_as_text(connection, arrived):
    receive(connection)
    connection.call(far.log_failure, "far")
    after(connection)
    (record,) = arrived
    kind, error, _ = record.exc_info
    assert kind is far.OddError and error.code == 7
    text = logging.Formatter("%(message)s").format(record)
    assert text.startswith("failed at work\nTraceback") and "in raise_odd" in text and "OddError: odd (7)" in text


def test_what_cannot_be_pickled_arrives_as_text(connection, arrived):
    receive(connection)
    connection.call(far.log_strange, "far")
    after(connection)
    first, second = arrived
    assert first.getMessage().startswith("lock <unlocked") and first.getMessage().endswith(" and [1]")
    assert first.lock.startswith("<unlocked")
    assert second.getMessage() == "an unknown" and second.thing == "a thing"


def test_a_bad_format_does_no_harm(connection, arrived, capfd):
    receive(connection)
    connection.call(far.log, "far", logging.ERROR, "%d", (object,))
    connection.call(far.log, "far", logging.ERROR, "still here")
    after(connection)
    assert [record.getMessage() for record in arrived] == ["still here"]
    assert connection.call(far.echo, 1) == 1


def test_many_threads_and_collected_garbage(connection, arrived):
    receive(connection)
    connection.call(far.log_from_many, "far", 4, 200)
    records = [record for record in arrived if record.name == "far"]
    for number in range(4):
        assert [record.args[1] for record in records if record.args[0] == number] == list(range(200))
    assert sum(record.name == "far.collected" for record in arrived) == 800
    assert connection.call_ref(far.handlers)[0].dropped == 0


def test_receiving_twice_is_receiving_once(connection, arrived):
    receive(connection)
    receive(connection)
    connection.call(far.log, "far", logging.ERROR, "once")
    after(connection)
    assert len(arrived) == 1 and len(connection.call(far.count_handlers)) == 1


def test_both_directions_do_not_play_ping_pong(connection, arrived):
    receive(connection)
    handler = RemoteHandler(connection)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        there = connection.call_ref(far.Collecting)
        connection.call(far.add_handler, there)
        connection.call(far.log, "far", logging.ERROR, "from there")
        logging.getLogger("here").error("from %s", "here")
        after(connection)
        handler.flush()
        after(connection)
        assert [record.getMessage() for record in arrived] == ["from there"]
        assert connection.call(far.messages_of, there) == ["from there", "from here"]
    finally:
        root.removeHandler(handler)
        handler.close()


def test_a_flood_is_cut_and_counted(connection, arrived):
    """The loggers here stand still, so the queue there fills; nobody waits for anybody."""
    receive(connection)
    gate = threading.Event()
    logging.getLogger("far").addFilter(stop := Standing(gate))
    try:
        count = remote_logging.MOST_QUEUED + 2 * remote_logging.MOST_AT_ONCE + 500
        dropped = connection.call(far.flood, "far", count)
        assert 0 < dropped <= 500 + 2 * remote_logging.MOST_AT_ONCE
    finally:
        gate.set()
        logging.getLogger("far").removeFilter(stop)
    connection.call(far.flush_logs)
    wait_for(lambda: len(arrived) == count - dropped)
    assert connection.call(far.echo, 1) == 1


def test_a_record_from_within_the_sending(connection, arrived):
    """What the package itself logs while it sends a record does not make another record for ever."""
    receive(connection)
    connection.call(far.log_each_send, "far.sends")
    connection.call(far.log, "far", logging.ERROR, "one")
    after(connection)
    assert "one" in [record.getMessage() for record in arrived]
    assert len(arrived) < 20


def test_a_peer_that_is_gone_is_no_trouble(capfd):
    with peer() as connection:
        handler = RemoteHandler(connection)
        logger = logging.Logger("alone")
        logger.addHandler(handler)
        logger.error("arrives nowhere, but is sent")
        handler.flush()
        assert handler.dropped == 0
    with pytest.raises(DisconnectError):
        connection.call(far.echo, 1)
    for number in range(50):
        logger.error("lost %d", number)
    handler.flush()
    assert handler.dropped == 50
    handler.close()
    assert capfd.readouterr().err == "" or "Traceback" not in capfd.readouterr().err


def test_handlers_of_closed_connections_go(arrived):
    """This process is both sides here; what it sends to itself is not handled twice."""
    pairs = [socket.socketpair() for _ in range(2)]
    try:
        for ours, theirs in pairs:
            there = Connection.from_socket(theirs, server=True)
            with Connection.from_socket(ours) as connection:
                receive(connection, "far")
                (handler,) = far.handlers("far")
                logging.getLogger("far").error("round")
                handler.flush()
                assert handler.dropped == 0
            there.close()
        assert [record.getMessage() for record in arrived] == ["round", "round"]
    finally:
        handler.close()
        logging.getLogger("far").removeHandler(handler)


def test_closing_the_handler_sends_the_rest_and_ends_its_thread(connection, arrived):
    handler = connection.call_ref(far.new_handler)
    for number in range(300):
        connection.call(far.log, "far", logging.ERROR, "%d", (number,))
    handler.close()
    assert [record.args[0] for record in arrived] == list(range(300))
    assert connection.call(far.logging_threads) == 0


class Standing(logging.Filter):
    """Stops whoever logs until a gate opens."""

    def __init__(self, gate):
        super().__init__()
        self.gate = gate

    def filter(self, record):
        return self.gate.wait(30)


def wait_for(condition):
    deadline = time.monotonic() + 30
    turn = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        turn.wait(0.01)
