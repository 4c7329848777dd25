"""What strangers may say to the Python side: an agent, a gateway, its client. Any bytes have a documented end."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import struct
import threading
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fuzz import inputs, seeds
from tests.fix_gateway import TOKEN
from winbridge import AgentDiedError, GatewaySession, Win64Session, WinbridgeError, WireError
from winbridge.core import wire
from winbridge.core.transport.connection import LONGEST_PAGE, Connection, Endpoint
from winbridge.core.wire import Op, Status
from winbridge.gateway.app import create_app

WHOLE = [*seeds.records(), *seeds.requests()]
EDGES = st.sampled_from([0, 1, 7, 8, 55, 56, 57, 64, 255, 8192, 8224, 8225, 1 << 31, (1 << 32) - 1])
LONG_EDGES = EDGES | st.sampled_from([1 << 32, 1 << 40, 1 << 63, (1 << 64) - 1])
QUICK = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def changed(data: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    room = bytearray(data)
    for place, value in changes:
        room[place % len(room)] = value
    return bytes(room[: len(room) - cut])


broken = st.builds(
    changed,
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.sampled_from([0, 0, 0, 1, 8, 23, 60]),
)
contradictory = st.builds(
    lambda magic, channel, size, arena, rest: wire.FRAME.pack(magic, channel, size, 0, arena) + rest,
    st.just(wire.FRAME_MAGIC) | EDGES,
    st.sampled_from([0, 1, 1, 1, 2, 77]),
    EDGES,
    LONG_EDGES,
    st.binary(max_size=200),
)
answers = st.builds(
    lambda status, area, tail: (
        wire.frame(1, wire.RESPONSE.pack(status, 0, 0, 0.0, 0, 0, area, 0, 0) + tail[:area], 64) + tail[area:]
    ),
    st.integers(0, 6),
    st.integers(0, 300),
    st.binary(max_size=400),
)
sayings = broken | contradictory | answers | st.binary(max_size=300)
json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["abc", "win64"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "arch", "pointer_size", "wire_version", "channel", "arena", "arena_size", "size", "x"]
            ),
            inner,
            max_size=7,
        )
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize("name", ["stream_answer", "http_answer", "gateway_body", "records"])
@given(data=sayings)
@QUICK
def test_frames_are_taken_or_refused(name, data):
    inputs.INPUTS[name](data)


@pytest.mark.parametrize("name", ["http_problem", "json_bodies", "json_answer"])
@given(data=json_texts | st.binary(max_size=100) | st.just(b"[" * 5000))
@example(data=b'{"id":"abc","arch":"_ver\xff\xff"}')
@QUICK
def test_json_is_taken_or_refused(name, data):
    inputs.INPUTS[name](data)


def test_the_arena_of_a_channel_that_is_gone_is_not_kept():
    """An agent could name any size: it is read in pieces, and what follows is found."""
    message = wire.RESPONSE.pack(Status.OK, 0, 5, 0.0, 0, 0, 0, 0, 0)
    late = wire.frame(7, message, 3 << 20) + message + bytes(3 << 20)
    agent = inputs.PipedAgent(late + wire.frame(1, message) + message)
    link = inputs.Link(agent)
    try:
        channel = inputs.StreamChannel(link, 1, inputs.Arena(memoryview(bytearray(4096)), inputs.ADDRESS))
        assert channel.exchange(inputs.REQUEST, 30.0)[2] == 5
    finally:
        link._end_warden()
        agent.leave()


def say(session, data: bytes) -> None:
    """Put bytes into the stream that a session's agent answers on."""
    path = f"/proc/self/fd/{session.transport.link.agent.output}"
    end = os.open(path, os.O_WRONLY)
    os.write(end, data)
    os.close(end)


RECORD = wire.RESPONSE.pack(Status.OK, 0, 0, 0.0, 0, 0, 0, 0, 0)


@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.parametrize("transport", ["shm", "stream"])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"Segmentation fault (core dumped)", "not a frame of winbridge"),
        (wire.frame(0, RECORD) + RECORD, "did not ask for"),
    ],
)
def test_a_stream_that_breaks_ends_the_session(transport, said, reason):
    session = Win64Session(transport=transport)
    session.memory.alloc(16)
    say(session, said)
    session.transport.link.agent.process.wait(10)
    with pytest.raises(AgentDiedError, match=reason) as caught:
        session.memory.alloc(16)
    assert isinstance(caught.value, WireError) and session.closed


@contextlib.contextmanager
def stranger(answer):
    """A server that takes a request and then does what it likes; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65536)
                        answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


http_heads = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 201 Created\r\n", b"HTTP/1.0 301 Moved\r\nLocation: \xff\xfe\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n", b"HTTP/1.1 502 Bad Gateway\r\n", b"HTTP/9.9 200 OK\r\n",
        b"HTTP/1.1 999 ?\r\n", b"HTTP/1.1 -1 No\r\n", b"HTTP/1.1 204 No Content\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
    ]
)  # fmt: skip
http_fields = st.lists(
    st.sampled_from(
        [
            b"Content-Length: -5\r\n", b"Content-Length: 5\r\n", b"Content-Length: 99999999999999999999\r\n",
            b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n", b"Content-Type: application/json\r\n",
            b"Content-Type: application/octet-stream\r\n", b"Content-Type: application/problem+json\r\n", b": :\r\n",
            b"Content-Type: \xff\xfe\r\n", b"Set-Cookie: " + b"x" * 70000 + b"\r\n", b"no colon\r\n",
        ]
    ),
    max_size=4,
).map(b"".join)  # fmt: skip


def test_whatever_a_server_answers_is_an_error_of_ours():
    said = b""
    with stranger(lambda connection: connection.sendall(said)) as url:

        @given(
            head=http_heads, fields=http_fields, body=sayings | st.just(b"5\r\nhello\r\n0\r\n\r\n") | st.just(b"zz\r\n")
        )
        @example(b"HTTP/1.1 301 Moved\r\nLocation: \xff\xfe\r\n", b"", b"")
        @example(b"HTTP/1.1 200 OK\r\n", b"Content-Length: 99999999999999999999\r\n", b"x")
        @QUICK
        def ask(head: bytes, fields: bytes, body: bytes) -> None:
            nonlocal said
            said = head + fields + b"\r\n" + body
            with Connection(Endpoint(url, None, 10.0, False)) as connection:
                with contextlib.suppress(WinbridgeError, MemoryError):
                    connection.exchange("/v1/sessions/a/channels/1/exchange", inputs.REQUEST, 10.0, 4096)
                with contextlib.suppress(WinbridgeError, MemoryError):
                    connection.ask("/v1/sessions", None, inputs.SessionOpened, 10.0)

        ask()


@pytest.mark.parametrize("length", ["", "Content-Length: 1000000000000\r\n"])
def test_an_answer_without_end_is_cut_off(length):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{length}\r\n".encode()
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(head)
        with contextlib.suppress(OSError):  # the client hangs up
            while sent < 64 * LONGEST_PAGE:
                sent += connection.send(bytes(65536))

    with (
        stranger(pour) as url,
        Connection(Endpoint(url, None, 10.0, False)) as connection,
        pytest.raises(WireError, match=f"more than {LONGEST_PAGE} bytes"),
    ):
        connection.exchange("/", inputs.REQUEST, 30.0, LONGEST_PAGE)
    assert sent < 64 * LONGEST_PAGE


def gateway_says(replies: list[str]):
    """A gateway that answers each request with the next JSON body."""

    def answer(connection: socket.socket) -> None:
        body = replies.pop(0) if replies else "{}"
        head = f"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n{body}".encode())

    return stranger(answer)


SESSION = f'{{"id":"a","arch":"win64","pointer_size":8,"wire_version":{wire.VERSION}}}'


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([SESSION.replace('"pointer_size":8', '"pointer_size":4')], "pointers of 4 bytes"),
        ([SESSION.replace("win64", "win32")], "where win64 was asked for"),
        ([SESSION, '{"channel":1,"arena":65536,"arena_size":1099511627776}'], "arena of 1099511627776 bytes"),
        ([SESSION, '{"channel":1,"arena":-1,"arena_size":4096}'], "does not answer like a gateway"),
        ([SESSION, '{"channel":1,"arena":65536,"arena_size":4096,"arena":"x"}'], "does not answer like a gateway"),
    ],
)
def test_a_gateway_that_contradicts_itself_is_refused(replies, reason):
    with gateway_says(list(replies)) as url, pytest.raises(WireError, match=reason):
        GatewaySession(url, token="secret").memory.alloc(16)


# Nothing here may write where it is told, as these bodies reach a real agent.
harmless = st.sampled_from([Op.READ, Op.STRING, Op.RESOLVE, Op.OPEN_SHARED, Op.EXIT, Op.ARENA, 24, 99, 1 << 31])
bodies = st.builds(
    lambda op, flags, size, words, arena, frame: (
        wire.FRAME.pack(*frame)
        + wire.REQUEST.pack(op, flags, size, 0, 0, 0, 0, *arena)
        + struct.pack(f"<{len(words)}Q", *words)
    ),
    harmless,
    st.integers(0, 12),
    st.sampled_from([0, 8, 24, 32]) | EDGES,
    st.lists(st.sampled_from([0, 1, 8]) | LONG_EDGES, min_size=3, max_size=4),
    st.tuples(LONG_EDGES, LONG_EDGES, LONG_EDGES),
    st.tuples(
        st.just(wire.FRAME_MAGIC) | EDGES, st.just(1) | EDGES, st.sampled_from([80, 88]) | EDGES, st.just(0), LONG_EDGES
    ),
)


@pytest.mark.wine
@pytest.mark.win64
def test_a_gateway_outlives_what_its_clients_send(gateway):
    session = GatewaySession(gateway.url, token=TOKEN)
    session.memory.alloc(16)
    where = urlsplit(gateway.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    path = f"{session.transport.path}/channels/1"
    headers = gateway.headers | {"Content-Type": "application/octet-stream"}
    with contextlib.closing(connection):

        @given(body=bodies | sayings.filter(lambda body: body[24:28] not in WRITERS), cut=st.sampled_from([0, 0, 1, 9]))
        @QUICK
        def post(body: bytes, cut: int) -> None:
            connection.request("POST", f"{path}/exchange", body[: len(body) - cut], headers)
            with connection.getresponse() as response:
                response.read()
                assert response.status in (200, 400), body

        post()
    assert session.memory.alloc(16)


@pytest.fixture(scope="module")
def closing_app():
    """An application that opens no session, whose agent a test would start; all else is checked as ever."""
    app = create_app(TOKEN)
    app.state.sessions.close_all()
    return app


def answer_of(app, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """The status that the gateway's application answers with, as any ASGI server would ask it."""
    messages = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        messages.append(message)

    scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "headers": headers}
    scope |= {"raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http"}
    scope |= {"client": ("127.0.0.1", 1), "server": ("localhost", 80)}
    asyncio.run(app(scope, receive, send))
    return messages[0]["status"]


names = st.text(max_size=30) | st.sampled_from(["1", "9" * 5000, "-1", "1e9", "\x00", "²", "..", "%2e%2e", "a" * 9999])
paths = st.builds(
    "/v1/sessions{}{}{}".format,
    names.map(lambda name: f"/{name}") | st.just(""),
    names.map(lambda name: f"/channels/{name}") | st.sampled_from(["", "/channels"]),
    st.sampled_from(["", "/exchange", "/arena", "/"]),
)
values = st.binary(max_size=30) | st.sampled_from(
    [b"1", b"-1", b"9" * 5000, b"nan", b"1e999", b"application/json", b"\xb2"]
)
fields = st.lists(
    st.tuples(st.sampled_from([b"content-length", b"content-type", b"winbridge-timeout", b"host", b"x"]), values)
)


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "\x00"]),
    path=paths,
    headers=fields,
    body=json_texts | sayings,
    kind=st.sampled_from([b"application/json", b"application/octet-stream", b"text/html"]),
)
@example("POST", f"/v1/sessions/a/channels/{'9' * 5000}/exchange", [], b"", b"text/html")
@example("POST", "/v1/sessions", [], b'{"arch":"\xff","wire_version":1}', b"application/json")
@example("POST", "/v1/sessions", [(b"content-length", b"9" * 5000)], b"{}", b"application/json")
@QUICK
def test_any_request_is_refused_in_order(closing_app, method, path, headers, body, kind):
    shown = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", kind)]
    assert answer_of(closing_app, method, path, shown + headers, body) in {400, 404, 405, 413, 415, 503}


WRITERS = frozenset(
    struct.pack("<I", op)
    for op in (
        Op.CALL, Op.WRITE, Op.RELEASE, Op.FREE, Op.HEAP, Op.SERVE, Op.CALL_MANY, Op.LOAD, Op.ALLOC, Op.MODULE_PATH,
        Op.THUNK_NEW, Op.THUNK_FREE,
    )
)  # fmt: skip
