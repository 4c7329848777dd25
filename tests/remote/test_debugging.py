"""The log of what connections do."""

from __future__ import annotations

import logging
import socket

import pytest

from winbridge.remote import Connection, set_debug_level


@pytest.fixture(autouse=True)
def silent_afterwards():
    yield
    set_debug_level(0)


def lines_of_a_call(level: int, caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    set_debug_level(level)
    ours, theirs = socket.socketpair()
    right = Connection.from_socket(theirs, server=True)
    with caplog.at_level(logging.DEBUG, "winbridge.remote"), Connection.from_socket(ours) as left, right:
        assert left.call(bytes, 100_000) == bytes(100_000)
    return caplog.text


def test_each_level_tells_more(caplog):
    assert lines_of_a_call(0, caplog) == ""
    text = lines_of_a_call(1, caplog)
    assert "open; the peer is {'python'" in text
    assert "ends: " in text
    assert "CALL" not in text
    text = lines_of_a_call(2, caplog)
    assert "-> CALL 1, " in text
    assert "<- RESULT 1, " in text
    assert "1 buffers of 100000" in text
    assert "builtins" not in text
    assert "builtins" in lines_of_a_call(3, caplog)
    assert lines_of_a_call(0, caplog) == ""


def test_a_level_that_is_not_there():
    with pytest.raises(ValueError, match="0, 1, 2 or 3, not 4"):
        set_debug_level(4)
