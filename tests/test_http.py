"""The HTTP client's error paths: what a gateway, a proxy or the network may do to it."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading

import pytest
import requests
import responses
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from winbridge import (
    AgentDiedError,
    AgentStartError,
    CallTimeoutError,
    ConfigError,
    ConnectError,
    GatewaySession,
    NoSessionError,
    SessionClosedError,
    TransportError,
    WireError,
)
from winbridge.core import wire
from winbridge.core.transport.problem import MEDIA_TYPE, Kind
from winbridge.core.wire import Op, Status

URL = "http://gateway.test:8765"
SESSION = f"{URL}/v1/sessions/abc"
CHANNEL = f"{SESSION}/channels/1"
OPENED = {"id": "abc", "arch": "win64", "pointer_size": 8, "wire_version": wire.VERSION}
ARENA = {"channel": 1, "arena": 0x10000, "arena_size": 4096}
MESSAGE = wire.request(Op.ALLOC, struct.pack("<Q", 8))


@pytest.fixture
def web():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock
        GatewaySession.close_all()  # while the mock is there to be told


@pytest.fixture
def session(web):
    """A session that opened well; each test says what its exchanges meet."""
    web.post(f"{URL}/v1/sessions", json=OPENED, status=201)
    web.post(f"{SESSION}/channels", json=ARENA, status=201)
    web.delete(SESSION, status=204)
    web.delete(CHANNEL, status=204)
    return GatewaySession(URL, token="secret")


def record(status=Status.OK, result=0x5000):
    return wire.RESPONSE.pack(status, 0, result, 0.0, 0, 0, 0, 0, 0)


def answer(body=None, memory=b"", channel=1, announced=None):
    body = record() if body is None else body
    return wire.frame(channel, body, len(memory) if announced is None else announced) + body + memory


def meets(web, body=b"", status=200, content_type="application/octet-stream", **options):
    web.post(f"{CHANNEL}/exchange", body=body, status=status, content_type=content_type, **options)


def problem(web, status, kind, detail="the reason", **members):
    body = json.dumps({"type": kind.value, "title": "title", "status": status, "detail": detail, **members})
    meets(web, body, status, MEDIA_TYPE)


def test_an_exchange_carries_frame_request_and_arena_range(session, web):
    meets(web, answer(memory=b"back!"))
    arena = session.channel().arena
    arena.view[16:19] = b"out"
    assert session.exchange(wire.request(Op.READ, bytes(24), arena=(16, 3, 5)))[2] == 0x5000
    assert bytes(arena.view[16:21]) == b"back!" and arena.base == 0x10000
    sent = web.calls[-1].request
    assert (
        sent.body
        == wire.frame(1, bytes(wire.REQUEST.size + 24), 3) + wire.request(Op.READ, bytes(24), arena=(16, 3, 5)) + b"out"
    )
    assert sent.headers["Authorization"] == "Bearer secret"
    assert "Winbridge-Timeout" not in sent.headers


def test_the_gateway_is_told_how_long_a_call_may_take(session, web):
    meets(web, answer())
    session.set_parameter("timeout_call", 2.5)
    session.exchange(MESSAGE)
    assert web.calls[-1].request.headers["Winbridge-Timeout"] == "2.5"


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout("slow"),
        requests.ConnectionError(ReadTimeoutError(None, "/", "while the body came")),
    ],
)
def test_timeouts(session, web, error):
    meets(web, error)
    session.set_parameter("timeout_call", 3)
    with pytest.raises(CallTimeoutError, match=r"within timeout_call=3.* s; the call was abandoned") as caught:
        session.exchange(MESSAGE)
    assert isinstance(caught.value, TimeoutError)
    assert session.up and "1 abandoned call" in repr(session)


def test_timeout_at_the_gateway(session, web):
    problem(web, 504, Kind.CALL_TIMEOUT, "no answer within timeout_call=3 s")
    with pytest.raises(CallTimeoutError, match="504: no answer within"):
        session.exchange(MESSAGE)
    assert session.up


def test_a_channel_that_failed_is_given_up_and_another_opened(session, web):
    problem(web, 500, Kind.AGENT_FAILED)
    with pytest.raises(TransportError):
        session.exchange(MESSAGE)
    web.upsert(responses.POST, f"{CHANNEL}/exchange", body=answer(), content_type="application/octet-stream")
    assert session.exchange(MESSAGE)[0] == Status.OK
    assert [call.request.method for call in web.calls if call.request.url == CHANNEL] == ["DELETE"]


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectTimeout("no route"),
        requests.exceptions.SSLError("certificate verify failed"),
        requests.exceptions.ProxyError("proxy refused"),
        requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "Name or service not known"))),
    ],
)
def test_not_reached(session, web, error):
    meets(web, error)
    with pytest.raises(ConnectError, match=r"gateway http://gateway\.test:8765"):
        session.exchange(MESSAGE)


def test_refused_connections():
    with socket.socket() as unused:  # bound, not listening
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ConnectError, match="does `winbridge serve` run there") as caught:
            GatewaySession(url)
    assert isinstance(caught.value, ConnectionError)


def test_unknown_hosts():
    with pytest.raises(ConnectError, match=r"no-such-host\.invalid.* cannot be reached"):
        GatewaySession("http://no-such-host.invalid:1")


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("aborted"), requests.exceptions.ChunkedEncodingError("cut")]
)
def test_a_call_that_may_have_run_is_not_repeated(session, web, error):
    meets(web, error)
    with pytest.raises(TransportError, match="may have run, so it is not repeated"):
        session.exchange(MESSAGE)
    assert len([call for call in web.calls if call.request.url.endswith("/exchange")]) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused(web, status):
    body = {"type": Kind.TOKEN.value, "detail": "the gateway does not know this token"}
    web.post(f"{URL}/v1/sessions", body=json.dumps(body), status=status, content_type=MEDIA_TYPE)
    with pytest.raises(ConnectError, match=r"token; pass .*token=\.\.\.") as caught:
        GatewaySession(URL, token="wrong-secret")
    assert "wrong-secret" not in str(caught.value)
    assert GatewaySession.get_session() is None


def test_an_expired_session(session, web):
    problem(web, 404, Kind.NO_SESSION, "there is no session abc: it expired")
    with pytest.raises(SessionClosedError, match="it expired"):
        session.exchange(MESSAGE)
    assert not session.up and "down" in repr(session)


def test_another_404_is_not_an_expired_session(session, web):
    meets(web, "<html>not here</html>", 404, "text/html")
    with pytest.raises(TransportError, match="404: '<html>not here</html>'"):
        session.exchange(MESSAGE)
    assert session.up


def test_413_names_the_limit(session, web):
    problem(web, 413, Kind.TOO_LARGE, "the gateway takes bodies of 4096 bytes at most")
    with pytest.raises(TransportError, match="413: the gateway takes bodies of 4096 bytes"):
        session.exchange(MESSAGE)


def test_413_for_an_arena(session, web):
    body = json.dumps({"type": Kind.TOO_LARGE.value, "detail": "the gateway's limit is 8192"})
    web.post(f"{CHANNEL}/arena", body=body, status=413, content_type=MEDIA_TYPE)
    with pytest.raises(TransportError, match="limit is 8192"):
        session.memory.write(0x10000, bytes(100_000))


def test_no_room_for_an_arena(session, web):
    body = json.dumps({"type": Kind.NO_ROOM.value, "detail": "no free address"})
    web.post(f"{CHANNEL}/arena", body=body, status=507, content_type=MEDIA_TYPE)
    with pytest.raises(MemoryError, match="no free address"):
        session.channel().reserve(5000)


def test_an_arena_that_is_too_small_is_refused(session, web):
    web.post(f"{CHANNEL}/arena", json=ARENA)
    with pytest.raises(WireError, match="an arena of 4096 bytes, 5000 were asked for"):
        session.channel().reserve(5000)


@pytest.mark.parametrize("status", [500, 503])
def test_5xx_quotes_the_gateway(session, web, status):
    problem(web, status, Kind.TOO_MANY, "64 calls are under way")
    with pytest.raises(TransportError, match=f"answered {status}: 64 calls are under way"):
        session.exchange(MESSAGE)
    assert session.up


@pytest.mark.parametrize("body", ["<h1>Bad\n gateway</h1>", "", "{"])
def test_5xx_of_a_proxy(session, web, body):
    meets(web, body, 502, "text/html")
    quoted = repr(" ".join(body.split())) if body else "nothing else"
    with pytest.raises(TransportError) as caught:
        session.exchange(MESSAGE)
    assert str(caught.value) == f"the gateway {URL} answered 502: {quoted}"


@pytest.mark.parametrize("body", ["[]", "{", "[" * 100_000, '{"type": 5, "detail": null}'])
def test_broken_problems(session, web, body):
    meets(web, body, 502, MEDIA_TYPE)
    with pytest.raises(TransportError, match="answered 502"):
        session.exchange(MESSAGE)


def test_a_dead_agent(session, web):
    problem(web, 502, Kind.AGENT_DIED, "it exited with code 7", exit_code=7, stderr_tail="last words")
    with pytest.raises(AgentDiedError, match="exited with code 7") as caught:
        session.exchange(MESSAGE)
    assert (caught.value.exit_code, caught.value.stderr_tail) == (7, "last words")
    assert session.closed and GatewaySession.get_session() is None
    with pytest.raises(NoSessionError):
        GatewaySession.current()
    assert not [call for call in web.calls if call.request.method == "DELETE"]  # there is nothing to close any more


def test_an_agent_that_does_not_start(web):
    body = {"type": Kind.AGENT_START.value, "detail": "Wine was not found"}
    web.post(f"{URL}/v1/sessions", body=json.dumps(body), status=500, content_type=MEDIA_TYPE)
    with pytest.raises(AgentStartError, match="Wine was not found"):
        GatewaySession(URL)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"x" * 200,
        answer()[:-1],
        answer(memory=b"too much"),
        answer(channel=2),
        answer(body=record() + b"\0" * 8),
        answer(announced=9),
    ],
)
def test_garbage(session, web, body):
    meets(web, body)
    with pytest.raises(WireError, match=r"the gateway http://gateway\.test:8765 sent"):
        session.exchange(MESSAGE)


def test_too_little_memory_comes_back(session, web):
    meets(web, answer(memory=b"123"))
    before = bytes(session.channel().arena.view)
    with pytest.raises(WireError, match="asked for 4"):
        session.exchange(wire.request(Op.READ, bytes(24), arena=(0, 0, 4)))
    assert before == bytes(4096)


def test_a_malformed_request_brings_no_memory_back(session, web):
    meets(web, answer(body=record(Status.MALFORMED, 1)))
    with pytest.raises(WireError, match="opcode breaks a rule"):
        session.exchange(wire.request(Op.READ, bytes(24), arena=(0, 0, 4)))


@pytest.mark.parametrize("content_type", ["text/html", "application/json", ""])
def test_wrong_content_types(session, web, content_type):
    meets(web, answer(), content_type=content_type)
    with pytest.raises(WireError, match="does not answer like a gateway of winbridge"):
        session.exchange(MESSAGE)


def test_redirections_are_not_followed(session, web):
    meets(web, b"", 307, headers={"Location": "http://elsewhere.test/"})
    with pytest.raises(TransportError, match=r"use the address http://elsewhere\.test/"):
        session.exchange(MESSAGE)
    assert not [call for call in web.calls if "elsewhere" in call.request.url]


def test_an_old_gateway_that_ignores_versions(web):
    web.post(f"{URL}/v1/sessions", json=OPENED | {"wire_version": 99}, status=201)
    closed = web.delete(SESSION, status=204)
    with pytest.raises(WireError, match=rf"speaks version 99 of the wire, this client {wire.VERSION}"):
        GatewaySession(URL)
    assert closed.call_count == 1


def test_a_gateway_that_refuses_the_version(web):
    body = {"type": Kind.WIRE_VERSION.value, "detail": "the gateway speaks version 99"}
    web.post(f"{URL}/v1/sessions", body=json.dumps(body), status=400, content_type=MEDIA_TYPE)
    with pytest.raises(WireError, match="speaks version 99"):
        GatewaySession(URL)
    assert json.loads(web.calls[0].request.body) == {"arch": "win64", "wire_version": wire.VERSION}


@pytest.mark.parametrize(
    "opened",
    [
        b"<html>",
        b"[]",
        b"{}",
        json.dumps(OPENED | {"id": "../../etc"}),
        json.dumps(OPENED | {"pointer_size": 16}),
        json.dumps(OPENED | {"wire_version": "1"}),
    ],
)
def test_what_is_no_gateway(web, opened):
    web.post(f"{URL}/v1/sessions", body=opened, status=201, content_type="application/json")
    with pytest.raises(WireError, match="does not answer like a gateway of winbridge"):
        GatewaySession(URL)


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
    while left:
        left -= len(connection.recv(left))


@contextlib.contextmanager
def last_answer(last):
    """A session with a server that opens it and a channel, and answers an exchange with exactly these bytes."""
    opened = http(json.dumps(OPENED).encode(), "application/json", "201 Created")
    channel = http(json.dumps(ARENA).encode(), "application/json", "201 Created")

    def run():
        for data in (opened, channel, last):
            connection, _ = listener.accept()
            with connection:
                read_request(connection)
                connection.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield GatewaySession(f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            thread.join()


def http(body, content_type="application/octet-stream", status="200 OK", length=None):
    length = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    "last",
    [
        http(answer()[:20], length=len(answer())),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
    ],
    ids=["cut body", "no http", "nothing"],
)
def test_cut_answers(last):
    with last_answer(last) as session, pytest.raises(TransportError, match="may have run, so it is not repeated"):
        session.exchange(MESSAGE)


def test_a_cut_head():
    """The HTTP layer takes what is there of it for the whole, without a body."""
    with last_answer(b"HTTP/1.1 200 OK\r\nContent-Ty") as session, pytest.raises(WireError, match="no content type"):
        session.exchange(MESSAGE)


def test_tls_where_there_is_none():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].sendall(b"plain text, no handshake\r\n" * 9))
        thread.start()
        with pytest.raises(ConnectError, match=r"verify="):
            GatewaySession(f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "gateway:8765"}, "expected a gateway's address"),
        ({"url": "ftp://gateway"}, "expected a gateway's address"),
        ({"url": "http://gateway:99999"}, "expected a gateway's address"),
        ({"url": "http://me:pass@gateway"}, "goes into token="),
        ({"url": URL, "token": "two\nlines"}, "printable"),
        ({"url": URL, "token": ""}, "printable"),
        ({"url": URL, "timeout": 0}, "more than 0"),
        ({"url": URL, "timeout": float("nan")}, "more than 0"),
        ({"url": URL, "arch": "arm"}, "arch"),
        ({"url": URL, "prefix": "/tmp"}, "counts on the gateway's machine"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        GatewaySession(**arguments)


def test_secrets_stay_out_of_status_lines_and_messages(session):
    assert "secret" not in repr(session) + repr(session.transport.endpoint)
    with pytest.raises(ConfigError) as caught:
        GatewaySession.new_session("http://me:passphrase@gateway")
    assert "passphrase" not in str(caught.value)


def test_it_never_opens_by_itself():
    with pytest.raises(NoSessionError, match="GatewaySession"):
        GatewaySession.current()


def test_the_environment_says_what_arch(web, monkeypatch):
    monkeypatch.setenv("WINBRIDGE_ARCH", "win32")
    web.post(f"{URL}/v1/sessions", json=OPENED | {"arch": "win32", "pointer_size": 4}, status=201)
    web.delete(SESSION, status=204)
    session = GatewaySession(URL)
    assert (session.arch, session.pointer_size) == ("win32", 4)
    assert json.loads(web.calls[0].request.body)["arch"] == "win32"


def test_closing_where_the_gateway_is_gone(session, web):
    web.upsert(responses.DELETE, SESSION, body=requests.ConnectionError("gone"))
    session.close()
    assert session.closed and not session.up
    session.close()
