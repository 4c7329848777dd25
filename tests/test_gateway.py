"""The gateway with real clients, real agents and hostile requests."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import signal
import socket
import struct
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest
import requests

from tests.conftest import ROOT
from tests.fix_gateway import run_gateway
from winbridge import (
    AgentDiedError,
    CallTimeoutError,
    ConfigError,
    ConnectError,
    GatewaySession,
    SessionClosedError,
    TransportError,
    WindowsFault,
    WireError,
)
from winbridge.core import wire
from winbridge.core.transport.problem import MEDIA_TYPE
from winbridge.core.wire import Op, Result
from winbridge.gateway.server import serve
from winbridge.gateway.sessions import Limits

wine = pytest.mark.wine


@pytest.fixture
def session(gateway, arch):
    return GatewaySession(gateway.url, gateway.token, arch=arch)


@pytest.fixture
def specimen(session, dll_folder):
    return session.load_dll(windows_path(dll_folder, session.arch), convention="cdecl")


def windows_path(dll_folder, arch):
    return "Z:" + str(dll_folder / arch / "specimen.dll").replace("/", "\\")


def kind_of(response):
    """The short name of a problem, whose form is checked."""
    assert response.headers["Content-Type"] == MEDIA_TYPE
    body = response.json()
    assert body["status"] == response.status_code and body["title"] and body["detail"]
    return body["type"].rpartition(":")[2]


class RawClient:
    """A client that says what it likes."""

    def __init__(self, gateway, arch="win64"):
        self.web = requests.Session()
        self.web.headers.update(gateway.headers)
        self.url = gateway.url
        opened = self.web.post(f"{self.url}/v1/sessions", json={"arch": arch, "wire_version": wire.VERSION})
        assert opened.status_code == 201
        self.session = f"{self.url}/v1/sessions/{opened.json()['id']}"
        answer = self.web.post(f"{self.session}/channels", json={})
        assert answer.status_code == 201
        self.arena = answer.json()
        self.channel = f"{self.session}/channels/{self.arena['channel']}"
        self.hosted = gateway.sessions._sessions[opened.json()["id"]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(requests.ConnectionError):  # a test may have ended the gateway
            self.web.delete(self.session)
        self.web.close()

    def exchange(self, body, **headers):
        return self.web.post(
            f"{self.channel}/exchange", data=body, headers={"Content-Type": "application/octet-stream", **headers}
        )

    def frame(self, message, memory=b""):
        return wire.frame(self.arena["channel"], message, len(memory)) + message + memory

    def still_answers(self):
        answer = self.exchange(self.frame(wire.request(Op.ALLOC, struct.pack("<Q", 8))))
        assert answer.status_code == 200 and len(answer.content) == wire.FRAME.size + wire.RESPONSE.size


@pytest.fixture
def raw(gateway):
    with RawClient(gateway) as client:
        yield client


# What a client's program does.


@wine
def test_system_dlls(session, arch):
    kernel32 = session.modules.load("kernel32")
    target = session.modules.resolve(kernel32, "GetCurrentProcessId")
    record = session.exchange(wire.request(Op.CALL, target=target, flags=Result.UINT32))
    assert record[2] > 0
    assert session.pointer_size == {"win64": 8, "win32": 4}[arch]
    assert session.modules.path(kernel32).lower().endswith("kernel32.dll")


@wine
def test_functions_and_memory(specimen):
    import ctypes

    value = ctypes.c_int(21)
    specimen.double_in_place(ctypes.byref(value))
    assert value.value == 42 and specimen.add(2, 3) == 5
    data = secrets.token_bytes(3 << 20)  # more than the first arena
    address = specimen.session().memory.alloc(len(data))
    specimen.session().memory.write(address, data)
    assert specimen.session().memory.read(address, len(data)) == data


@wine
def test_faults(session):
    with pytest.raises(WindowsFault, match="access violation reading 0x0+10$") as caught:
        session.memory.read(0x10, 4)
    assert caught.value.address == 0x10
    assert session.up and session.memory.alloc(4)


@wine
def test_a_dead_agent_ends_its_own_session_only(gateway, specimen, arch):
    other = RawClient(gateway)
    with other:
        session, before = specimen.session(), len(gateway.sessions)
        with pytest.raises(AgentDiedError, match="exited with code 7") as caught:
            specimen.leave(7)
        assert caught.value.exit_code == 7
        assert session.closed and len(gateway.sessions) == before - 1
        other.still_answers()
    assert GatewaySession(gateway.url, gateway.token, arch=arch).memory.alloc(4)


@wine
def test_last_words_of_an_agent(specimen):
    with pytest.raises(AgentDiedError) as caught:
        specimen.give_up()
    assert "specimen gives up" in caught.value.stderr_tail


@wine
def test_all_calls_of_a_dead_agent_hear_of_it(specimen):
    causes = []

    def end(function, argument):
        try:
            function(argument)
        except AgentDiedError as error:
            causes.append(error)
        except SessionClosedError as error:  # the other thread heard first, and closed the session
            causes.append(error.__cause__)

    specimen.add(1, 1)
    channels = len(specimen.session()._channels)
    thread = threading.Thread(target=end, args=(specimen.wait_at_gate, -1))
    thread.start()
    while len(specimen.session()._channels) == channels:
        specimen.add(1, 1)
    end(specimen.terminate, 3)
    thread.join()
    assert len(causes) == 2
    assert any(isinstance(cause, AgentDiedError) and cause.exit_code == 3 for cause in causes)


@wine
def test_calls_that_take_too_long_are_given_up(gateway, specimen):
    session = specimen.session()
    session.set_parameter("timeout_call", 0.2)
    with pytest.raises(CallTimeoutError):
        specimen.wait_at_gate(-1)
    session.set_parameter("timeout_call", None)
    assert specimen.add(2, 3) == 5 and session.up and len(gateway.sessions) == 1


@wine
def test_threads_have_windows_threads_of_their_own(specimen):
    seen = [specimen.thread_id()]
    threads = [threading.Thread(target=lambda: seen.append(specimen.thread_id())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 4


@wine
def test_channels_of_ended_threads_are_closed_at_the_gateway(gateway, session):
    hosted = next(iter(gateway.sessions._sessions.values()))
    for _ in range(5):
        thread = threading.Thread(target=session.memory.alloc, args=(4,))
        thread.start()
        thread.join()
    assert len(hosted._channels) <= 2


@wine
@pytest.mark.win64
def test_two_clients_at_once(gateway):
    program = (
        "import sys; from winbridge import GatewaySession, load_dll\n"
        "with GatewaySession(sys.argv[1], sys.argv[2]):\n"
        "    kernel32 = load_dll('kernel32')\n"
        "    print(kernel32.GetCurrentProcessId(), flush=True); sys.stdin.readline()\n"
        "    print(all(kernel32.MulDiv(n, 6, 3) == 2 * n for n in range(200)))\n"
    )
    command = [sys.executable, "-c", program, gateway.url, gateway.token]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    clients = [subprocess.Popen(command, **pipes) for _ in range(2)]
    agents = {client.stdout.readline() for client in clients}  # both are connected now
    assert len(agents) == 2 and len(gateway.sessions) == 2
    assert [client.communicate("\n")[0] for client in clients] == ["True\n", "True\n"]
    assert [client.returncode for client in clients] == [0, 0]
    assert len(gateway.sessions) == 0


@wine
@pytest.mark.win64
def test_a_forked_child_leaves_the_parents_session_alone(gateway):
    session = GatewaySession(gateway.url, gateway.token)
    address = session.memory.alloc(8)
    child = os.fork()
    if not child:
        os._exit(0 if session.closed and GatewaySession.get_session() is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    session.memory.write(address, b"parent")
    assert session.up and session.memory.string_at(address) == b"parent"


@wine
@pytest.mark.win64
def test_closing_ends_calls_under_way(gateway, dll_folder):
    session = GatewaySession(gateway.url, gateway.token)
    specimen = session.load_dll(windows_path(dll_folder, "win64"), convention="cdecl")
    errors, started = [], threading.Event()

    def wait():
        specimen.add(1, 1)
        started.set()
        try:
            specimen.wait_at_gate(-1)
        except SessionClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait()
    session.close()
    thread.join()
    assert len(errors) == 1 and len(gateway.sessions) == 0


# Tokens.


@pytest.mark.parametrize("given", [None, "wrong", "correct-horse-battery-stapl", "\x7f" * 3])
def test_wrong_tokens(gateway, given):
    headers = {} if given is None else {"Authorization": f"Bearer {given}"}
    answer = requests.post(f"{gateway.url}/v1/sessions", json={}, headers=headers)
    assert answer.status_code == 401 and kind_of(answer) == "token"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert gateway.token not in answer.text


def test_a_wrong_token_in_a_session(gateway):
    with pytest.raises(ConnectError, match=r"does not know this token; pass .*token="):
        GatewaySession(gateway.url, "wrong")


def test_other_schemes_of_authorization(gateway):
    assert requests.get(f"{gateway.url}/v1/sessions", auth=("user", gateway.token)).status_code == 401


def test_health_needs_no_token(gateway):
    answer = requests.get(f"{gateway.url}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_without_a_token_only_names_of_this_machine_count():
    with run_gateway(token=None) as gateway:
        port = urlsplit(gateway.url).port
        for host in ("localhost", "127.0.0.1", f"localhost:{port}", f"[::1]:{port}"):
            assert requests.get(f"{gateway.url}/v1/nothing", headers={"Host": host}).status_code == 404
        for host in ("evil.test", f"evil.test:{port}", "127.0.0.1.evil.test", "[", ""):
            answer = requests.get(f"{gateway.url}/v1/nothing", headers={"Host": host})
            assert answer.status_code == 403 and kind_of(answer) == "forbidden-host"


def test_others_reach_it_only_with_a_token():
    with pytest.raises(ConfigError, match="clients need a token"):
        serve("0.0.0.0", 0)


# Sessions that are not there.


@pytest.mark.parametrize("path", ["", "/channels", "/channels/1", "/channels/1/exchange", "/channels/1/arena"])
def test_unknown_sessions(gateway, path):
    body = {"data": b"", "headers": gateway.headers | {"Content-Type": "application/octet-stream"}}
    if path.endswith("arena"):
        body = {"json": {"size": 1}, "headers": gateway.headers}
    method = "DELETE" if path in ("", "/channels/1") else "POST"
    answer = requests.request(method, f"{gateway.url}/v1/sessions/nosuch{path}", **body)
    assert answer.status_code == 404 and kind_of(answer) == "no-session"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2/nothing", 404), ("GET", "/v1/sessions", 405)])
def test_unknown_paths_and_methods(gateway, method, path, status):
    answer = requests.request(method, gateway.url + path, headers=gateway.headers)
    assert answer.status_code == status and kind_of(answer) == "about:blank".rpartition(":")[2]


@wine
@pytest.mark.win64
def test_expired_sessions():
    now = [1000.0]
    with run_gateway(limits=Limits(idle_timeout=60, sessions=1), clock=lambda: now[0]) as gateway:
        session = GatewaySession(gateway.url, gateway.token)
        session.memory.alloc(4)
        now[0] += 59
        session.memory.alloc(4)  # begins anew
        now[0] += 59
        assert session.memory.alloc(4)
        now[0] += 61
        with pytest.raises(SessionClosedError, match="expired after 60 s"):
            session.memory.alloc(4)
        assert not session.up
        # Its place is free at once, although nobody swept.
        assert GatewaySession.new_session(gateway.url, gateway.token, timeout=20).memory.alloc(4)
        assert len(gateway.sessions) == 1


@wine
@pytest.mark.win64
def test_the_sweeper_ends_agents_of_sessions_that_nobody_uses():
    now = [1000.0]
    with run_gateway(limits=Limits(idle_timeout=0.4), clock=lambda: now[0]) as gateway, RawClient(gateway) as client:
        now[0] += 1
        client.hosted._transport.link.agent.process.wait()
        while len(gateway.sessions):
            requests.get(f"{client.url}/healthz")


# Limits.


@wine
@pytest.mark.win64
def test_limits_of_sessions_and_channels():
    with run_gateway(limits=Limits(sessions=1, channels=1)) as gateway, RawClient(gateway) as client:
        answer = client.web.post(f"{client.url}/v1/sessions", json={"arch": "win64", "wire_version": wire.VERSION})
        assert answer.status_code == 503 and kind_of(answer) == "too-many"
        with pytest.raises(TransportError, match="all 1 sessions of the gateway are in use"):
            GatewaySession(gateway.url, gateway.token)
        assert kind_of(client.web.post(f"{client.session}/channels", json={})) == "too-many"
        assert client.web.delete(client.channel).status_code == 204
        assert client.web.post(f"{client.session}/channels", json={}).status_code == 201


@wine
@pytest.mark.win64
def test_bodies_over_the_limit():
    limits = Limits(body=1 << 20)
    with run_gateway(limits=limits) as gateway, RawClient(gateway) as client:
        answer = send_raw(client, f"Content-Length: {limits.body + 1}")
        assert answer.status == 413 and b"bodies of 1048576 bytes" in answer.read()
        chunk = b"%x\r\n" % (limits.body + 1) + bytes(limits.body + 1)
        answer = send_raw(client, "Transfer-Encoding: chunked", chunk)
        assert answer.status == 413
        client.still_answers()
        answer = client.web.post(f"{client.channel}/arena", json={"size": limits.arena + 1})
        assert answer.status_code == 413 and str(limits.arena) in answer.json()["detail"]
        assert client.web.post(f"{client.channel}/arena", json={"size": limits.arena}).status_code == 200
        with pytest.raises(TransportError, match=f"limit is {limits.arena}"):
            GatewaySession(gateway.url, gateway.token).channel().reserve(limits.body)


def send_raw(client, header, body=b""):
    """A request whose body is not sent to its end."""
    parts = urlsplit(client.channel)
    connection = socket.create_connection((parts.hostname, parts.port))
    head = f"POST {parts.path}/exchange HTTP/1.1\r\nHost: {parts.netloc}\r\n{header}\r\n"
    head += f"Authorization: {client.web.headers['Authorization']}\r\nContent-Type: application/octet-stream\r\n\r\n"
    with connection:
        connection.sendall(head.encode() + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer


@wine
@pytest.mark.win64
def test_calls_under_way_are_limited(dll_folder):
    with run_gateway(limits=Limits(calls=1)) as gateway, RawClient(gateway) as client:
        with hanging_call(gateway, dll_folder) as other:
            answer = client.exchange(client.frame(wire.request(Op.ALLOC, struct.pack("<Q", 8))))
            assert answer.status_code == 503 and kind_of(answer) == "too-many"
            client.web.delete(other.session)
            assert other.connection.getresponse().status == 404
        client.still_answers()


@contextlib.contextmanager
def hanging_call(gateway, dll_folder):
    """A client in a call that does not end; ``client.connection`` is what waits for it."""
    with RawClient(gateway) as client:
        wait = resolve(client, windows_path(dll_folder, "win64"), b"wait_at_gate")
        body = client.frame(wire.request(Op.CALL, struct.pack("<Q", 0xFFFFFFFF), target=wait))
        parts = urlsplit(client.channel)
        client.connection = http.client.HTTPConnection(parts.hostname, parts.port)
        headers = {**gateway.headers, "Content-Type": "application/octet-stream"}
        client.connection.request("POST", f"{parts.path}/exchange", body, headers)
        channel = client.hosted.channel(client.arena["channel"])
        while not channel._turn.locked():
            requests.get(f"{client.url}/healthz")
        try:
            yield client
        finally:
            client.connection.close()


def resolve(client, dll, name):
    """The address of a function, by frames made here."""

    def ask(op, build, data):
        message = wire.request(op, struct.pack("<2Q", *build(client.arena["arena"])), arena=(0, len(data), 0))
        answer = client.exchange(client.frame(message, data))
        return wire.RESPONSE.unpack_from(answer.content, wire.FRAME.size)[2] & (2**64 - 1)

    module = ask(Op.LOAD, lambda at: (at, 0), (dll + "\0").encode("utf-16-le"))
    return ask(Op.RESOLVE, lambda at: (module, at), name + b"\0")


@wine
@pytest.mark.win64
def test_busy_channels(gateway, dll_folder):
    with hanging_call(gateway, dll_folder) as client:
        answer = client.exchange(client.frame(wire.request(Op.ALLOC, struct.pack("<Q", 8))))
        assert answer.status_code == 409 and kind_of(answer) == "channel-busy"
        assert kind_of(client.web.post(f"{client.channel}/arena", json={"size": 1})) == "channel-busy"
        assert client.web.delete(client.channel).status_code == 204  # given up in the middle of its call
        assert kind_of(client.exchange(b"")) == "no-channel"
        assert client.web.post(f"{client.session}/channels", json={}).status_code == 201


@wine
@pytest.mark.win64
def test_a_client_that_goes_away_gives_its_channel_up(gateway, dll_folder):
    with hanging_call(gateway, dll_folder) as client:
        client.connection.close()
        while client.hosted._channels:
            requests.get(f"{client.url}/healthz")
        assert kind_of(client.exchange(b"")) == "no-channel"


# Requests that break rules.


def test_sessions_are_checked(gateway):
    def post(**body):
        return requests.post(f"{gateway.url}/v1/sessions", headers=gateway.headers, **body)

    assert kind_of(post(json={"arch": "win64", "wire_version": 99})) == "wire-version"
    for wrong in (
        {"arch": "arm", "wire_version": 1},
        {"arch": "win64"},
        [],
        "text",
        {"arch": "win64", "wire_version": ""},
    ):
        answer = post(json=wrong)
        assert answer.status_code == 400 and kind_of(answer) == "bad-request"
    headers = gateway.headers | {"Content-Type": "application/json"}
    for wrong in (b"", b"{", b"\xff", b"[" * 4000):
        assert requests.post(f"{gateway.url}/v1/sessions", data=wrong, headers=headers).status_code == 400
    assert requests.post(f"{gateway.url}/v1/sessions", data=b" " * 5000, headers=headers).status_code == 413
    # What a web page may send to another site without asking first.
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        body = {
            "data": '{"arch": "win64", "wire_version": 1}',
            "headers": gateway.headers | {"Content-Type": media_type},
        }
        answer = requests.post(f"{gateway.url}/v1/sessions", **body)
        assert answer.status_code == 415 and kind_of(answer) == "media-type"
    assert len(gateway.sessions) == 0


ALLOWED = {
    Op.CALL, Op.LOAD, Op.FREE, Op.RESOLVE, Op.MODULE_PATH, Op.READ, Op.WRITE, Op.STRING, Op.ALLOC, Op.RELEASE,
    Op.HEAP, Op.THUNK_NEW, Op.THUNK_FREE, Op.CALLBACK_RETURN, Op.SERVE, Op.CALL_MANY, Op.PATCH,
}  # fmt: skip


@wine
@pytest.mark.win64
def test_operations_that_are_not_for_clients(raw):
    forbidden = [*(op for op in Op if op not in ALLOWED), max(Op) + 1, 0xFFFFFFFF]
    assert Op.EXIT in forbidden and Op.MAP in forbidden
    for op in forbidden:
        answer = raw.exchange(raw.frame(wire.request(op, bytes(8))))
        assert answer.status_code == 400 and kind_of(answer) == "forbidden-op"
    raw.still_answers()


@wine
@pytest.mark.win64
def test_forbidden_operations_in_a_session(gateway):
    session = GatewaySession(gateway.url, gateway.token)
    with pytest.raises(WireError, match=f"op {Op.EXIT:d} is not allowed from outside"):
        session.exchange(wire.request(Op.EXIT, bytes(8)))
    assert session.memory.alloc(4)


def header(**changes):
    fields = {"op": Op.READ, "flags": Result.POINTER, "size": 24, "start": 0, "out": 0, "back": 0} | changes
    numbers = fields["op"], fields["flags"], fields["size"], 0, 0, 0, 0, fields["start"], fields["out"], fields["back"]
    return wire.REQUEST.pack(*numbers)


def framed(message, memory=b"", **changes):
    fields = {"magic": wire.FRAME_MAGIC, "channel": 1, "size": len(message), "arena": len(memory)} | changes
    head = wire.FRAME.pack(fields["magic"], fields["channel"], fields["size"], 0, fields["arena"])
    return head + message + memory


HUGE = (1 << 64) - 1
WORDS = bytes(24)


@wine
@pytest.mark.win64
def test_bodies_that_break_a_rule_touch_nothing(raw):
    size = raw.arena["arena_size"]
    bodies = {
        "empty": b"",
        "short": b"x" * 103,
        "no frame": bytes(200),
        "magic": framed(header() + WORDS, magic=7),
        "channel": framed(header() + WORDS, channel=2),
        "frame's size": framed(header() + WORDS, size=10),
        "frame's size, huge": framed(header() + WORDS, size=0xFFFFFFFF),
        "words, announced more": framed(header(size=32) + WORDS),
        "words, too many": framed(header(size=16384) + bytes(16384)),
        "words, huge": framed(header(size=0xFFFFFFFF) + WORDS),
        "arena, sizes disagree": framed(header(out=4) + WORDS, b"123"),
        "arena, not sent": framed(header(out=4) + WORDS, arena=4),
        "arena, not announced": framed(header() + WORDS, b"1234", arena=0),
        "arena, huge": framed(header(out=HUGE) + WORDS, arena=HUGE),
        "start behind": framed(header(start=size, out=1) + WORDS, b"1"),
        "start, huge": framed(header(start=HUGE, out=1) + WORDS, b"1"),
        "back behind": framed(header(back=size + 1) + WORDS),
        "back from the middle": framed(header(start=size - 3, back=4) + WORDS),
        "back, huge": framed(header(back=HUGE) + WORDS),
    }
    kinds = {name: kind_of(raw.exchange(body)) for name, body in bodies.items()}
    assert kinds == dict.fromkeys(bodies, "bad-request")
    raw.still_answers()


@wine
@pytest.mark.win64
def test_the_whole_arena_may_go_and_come_back(raw):
    data = secrets.token_bytes(raw.arena["arena_size"])
    message = wire.request(Op.ALLOC, struct.pack("<Q", 1), arena=(0, len(data), len(data)))
    answer = raw.exchange(raw.frame(message, data))
    assert answer.status_code == 200 and answer.content.endswith(data)


@wine
@pytest.mark.win64
@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_timeouts_that_are_none(raw, text):
    answer = raw.exchange(raw.frame(wire.request(Op.ALLOC, struct.pack("<Q", 8))), **{"Winbridge-Timeout": text})
    assert answer.status_code == 400 and kind_of(answer) == "bad-request"


@wine
@pytest.mark.win64
def test_the_wrong_type_of_body(raw):
    answer = raw.web.post(f"{raw.channel}/exchange", data=b"", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    raw.still_answers()


# The server itself.


@wine
@pytest.mark.win64
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_all_agents(number, dll_folder):
    program = "import sys; from winbridge.gateway.server import Limits, serve;"
    program += "serve(port=0, token=sys.argv[1], limits=Limits(drain=0.2))"
    server = subprocess.Popen([sys.executable, "-c", program, "token"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    line = server.stdout.readline()
    url = re.fullmatch(r"winbridge gateway listens on (http://127\.0\.0\.1:\d+) \(clients need the token\)\n", line)[1]
    session = GatewaySession(url, "token")
    specimen = session.load_dll(windows_path(dll_folder, "win64"), convention="cdecl")
    errors = []

    def hang():
        try:
            specimen.wait_at_gate(-1)
        except (SessionClosedError, TransportError) as error:
            errors.append(error)

    thread = threading.Thread(target=hang)
    specimen.add(1, 1)
    thread.start()
    agents = children(server.pid)
    assert len(agents) == 1
    server.send_signal(number)
    assert server.wait() == (0 if number == signal.SIGINT else -signal.SIGTERM)
    thread.join()
    server.stdout.close()
    assert not [pid for pid in agents if os.path.exists(f"/proc/{pid}")]
    assert len(errors) == 1


@wine
@pytest.mark.win64
def test_calls_under_way_are_answered_when_the_gateway_closes(dll_folder):
    with contextlib.ExitStack() as clients:
        with run_gateway(limits=Limits(drain=0.2)) as gateway:
            client = clients.enter_context(hanging_call(gateway, dll_folder))
        answer = client.connection.getresponse()
        assert answer.status == 404 and b"no-session" in answer.read()


def children(pid):
    tasks = os.listdir(f"/proc/{pid}/task")
    return [int(child) for task in tasks for child in open(f"/proc/{pid}/task/{task}/children").read().split()]


def test_an_address_that_is_taken(gateway):
    with pytest.raises(ConfigError, match="cannot listen on '127.0.0.1'"):
        serve("127.0.0.1", urlsplit(gateway.url).port)
