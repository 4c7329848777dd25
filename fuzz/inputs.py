"""One input for each parser on the Python side; the hypothesis tests and the coverage-guided fuzzer share them.

Each function takes bytes that a stranger may have sent. It returns when the parser took them or refused them as it is
documented to; anything else is an exception that goes through, and a finding.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import threading
from collections.abc import Callable
from types import SimpleNamespace

import msgspec
import requests

from winbridge.core import wire
from winbridge.core.agent import Agent
from winbridge.core.errors import AgentDiedError, TransportError, WinbridgeError, WireError
from winbridge.core.failure import failure
from winbridge.core.transport.connection import BYTES, Connection, Endpoint
from winbridge.core.transport.contract import Arena
from winbridge.core.transport.gatewayjson import ArenaNeeded, ChannelOpened, NewSession, SessionOpened, decode
from winbridge.core.transport.http import HttpChannel, HttpTransport
from winbridge.core.transport.problem import exception
from winbridge.core.transport.stream import Link, StreamChannel
from winbridge.gateway.frames import Exchange, Range, operation, parse
from winbridge.gateway.problems import Problem

ROOM = 64
"""Bytes of arena that the request under way asked for."""

REQUEST = wire.request(wire.Op.READ, bytes(24), arena=(0, 0, ROOM))
ENDPOINT = Endpoint("http://gateway.test", None, 1.0, False)
ADDRESS = 0x10000


class PipedAgent(Agent):
    """Real pipes where an agent's standard streams are, and at their other end ``said`` as the answer to a request."""

    def __init__(self, said: bytes) -> None:
        self.arch = "win64"
        self.process = SimpleNamespace(pid=os.getpid(), kill=lambda: None)  # type: ignore[assignment]
        self.greeting = wire.Greeting(wire.MAGIC, wire.VERSION, 8, 1, 0, ADDRESS)
        self.server, self.broken, self.lost_server = None, None, False
        self._asked, self.input = os.pipe()
        self.output, self._answers = os.pipe()
        self.errors, silent = os.pipe()
        os.close(silent)
        self._answering = threading.Thread(target=self._answer, args=(said,))
        self._answering.start()

    def _answer(self, said: bytes) -> None:
        left = wire.FRAME.size + len(REQUEST)
        while left:
            left -= len(os.read(self._asked, left))
        os.write(self._answers, said)
        os.close(self._answers)

    def log_errors(self) -> bool:
        return False

    def death(self) -> AgentDiedError:
        assert self.broken is None or isinstance(self.broken, WireError | ValueError), self.broken
        return AgentDiedError(str(self.broken))

    def leave(self) -> None:
        self._answering.join()
        for descriptor in (self._asked, self.input, self.output, self.errors):
            os.close(descriptor)


logging.getLogger("winbridge.agent").setLevel(logging.ERROR)  # each broken stream is a warning


def stream_answer(data: bytes) -> None:
    """What an agent sends over its stream: the warden takes frames, a thread waits for one of them."""
    agent = PipedAgent(data[: 1 << 15])
    link = Link(agent)
    try:
        channel = StreamChannel(link, 1, Arena(memoryview(bytearray(4096)), ADDRESS))
        with contextlib.suppress(AgentDiedError):
            _expect_sound(channel.exchange(REQUEST, 10.0))
        untouched = bytes(channel.arena.view[ROOM:])
        assert untouched == bytes(len(untouched)), "bytes beyond the range that was asked for"
    finally:
        link._end_warden()
        agent.leave()


def _expect_sound(record: wire.Record) -> None:
    assert len(record) == 10 if record[0] == wire.Status.CALLBACK else len(record) == 9
    if record[0] not in (wire.Status.OK, wire.Status.CALLBACK):
        assert isinstance(failure(record, 8), WinbridgeError)


class Replay(requests.adapters.BaseAdapter):
    """A gateway that says one thing."""

    def __init__(self, status: int, media_type: str, body: bytes) -> None:
        super().__init__()
        self._said = status, media_type, body

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override]
        response = requests.Response()
        response.status_code, media_type, response._content = self._said
        response.headers["Content-Type"] = media_type
        response._content_consumed = True
        response.request, response.url = request, str(request.url)
        return response

    def close(self) -> None:
        pass


def _transport() -> HttpTransport:
    transport = HttpTransport.__new__(HttpTransport)
    transport.endpoint, transport.path, transport.pointer_size = ENDPOINT, "/v1/sessions/abc", 8
    transport._up = False
    return transport


def http_answer(data: bytes) -> None:
    """What a gateway answers to a frame."""
    opened = ChannelOpened(channel=1, arena=ADDRESS, arena_size=4096)
    connection = Connection(ENDPOINT)
    connection._http.mount("http://", Replay(200, BYTES, data))
    transport = _transport()
    transport.detach = lambda number: None  # type: ignore[method-assign]
    channel = HttpChannel(transport, connection, opened)
    with contextlib.suppress(WireError):
        _expect_sound(channel.exchange(REQUEST))
    untouched = bytes(channel.arena.view[ROOM:])
    assert untouched == bytes(len(untouched)), "bytes beyond the range that was asked for"


def http_problem(data: bytes) -> None:
    """What a gateway, or a proxy before it, answers that is no success."""
    status = 400 + data[0] % 200 if data else 500
    error = exception(status, "application/problem+json", data[1:], ENDPOINT.url)
    assert isinstance(error, WinbridgeError | MemoryError)


def json_bodies(data: bytes) -> None:
    """JSON of either side."""
    for kind in (NewSession, SessionOpened, ChannelOpened, ArenaNeeded):
        try:
            found = decode(data, kind)
        except ValueError:
            continue
        assert decode(msgspec.json.encode(found), kind) == found


def json_answer(data: bytes) -> None:
    """The JSON that a gateway answers when a channel is opened, all the way to the channel."""
    transport = _transport()
    transport.detach = lambda number: None  # type: ignore[method-assign]
    connection = Connection(ENDPOINT)
    connection._http.mount("http://", Replay(201, "application/json", data))
    with contextlib.suppress(TransportError, WireError):
        opened = connection.ask("/v1/sessions/abc/channels", None, ChannelOpened, 1.0)
        channel = HttpChannel(transport, connection, opened)
        channel.reserve(1 << 12)


def gateway_body(data: bytes) -> None:
    """What a client posts to a gateway as an exchange."""
    operation(data)
    arena = Arena(memoryview(bytearray(4096)), ADDRESS)
    with contextlib.suppress(Problem):
        request = parse(data, 1)
        _expect_inside(request, request.place(arena), arena)


def _expect_inside(request: Exchange, back: Range, arena: Arena) -> None:
    assert len(request.message) <= wire.REQUEST.size + wire.MAX_ARGUMENT_BYTES
    assert back.start + back.size <= len(arena.view)
    record = (wire.Status.OK, 0, 0, 0.0, 0, 0, 0, 0, 0)
    assert len(back.answer(1, record)) == wire.FRAME.size + wire.RESPONSE.size + back.size


def records(data: bytes) -> None:
    """A record by itself."""
    with contextlib.suppress(ValueError):
        record = wire.record_of(data)
        _expect_sound(record)
        head = struct.unpack_from("<II", data)
        assert record[:2] == head


INPUTS: dict[str, Callable[[bytes], None]] = {
    "stream_answer": stream_answer,
    "http_answer": http_answer,
    "http_problem": http_problem,
    "json_bodies": json_bodies,
    "json_answer": json_answer,
    "gateway_body": gateway_body,
    "records": records,
}
