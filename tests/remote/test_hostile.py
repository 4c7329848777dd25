"""Peers that break the rules: each harms itself alone, the log says what it did, and the server goes on."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.remote.fix_servers import RawPeer, Running, await_true
from winbridge.remote import Connection, DisconnectError, OperationError, Options, protocol
from winbridge.remote.authentication import CHALLENGE, MAGIC, AuthenticationError, authenticate_client
from winbridge.remote.protocol import HEADER, Ask, Kind
from winbridge.remote.servers import LocalConnectionHandler, ProcessConnectionHandler, run_pool, run_tcp
from winbridge.remote.servers.server import PENDING

SECRET = "correct horse battery staple"
HASTE = 0.3
"""Seconds that clients get to introduce themselves at the hasty servers."""

KINDS = ["local", "process", "pool"]


def start(kind: str, timeout: float, **options: object) -> Running:
    if kind == "pool":
        return Running(run_pool, "127.0.0.1:0", 1, secret=SECRET, timeout=timeout)
    handler = {"local": LocalConnectionHandler, "process": ProcessConnectionHandler}[kind]
    return Running(
        run_tcp, "127.0.0.1", 0, handler(Options(timeout=timeout)), secret=SECRET, timeout=timeout, **options
    )


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Running]:
    with start(request.param, 30.0) as running:
        yield running


@pytest.fixture(scope="module")
def local() -> Iterator[Running]:
    """What happens before authentication is the same for all."""
    with start("local", 30.0) as running:
        yield running


@pytest.fixture
def hasty() -> Iterator[Running]:
    with start("local", HASTE) as running:
        yield running


def connect(server: Running) -> Connection:
    return Connection.from_tcp(*server.address, options=Options(secret=SECRET))


class Bomb:
    """What makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.file),)


def check(server: Running, attack: Callable[[RawPeer], object], pattern: str, answered: str = "") -> None:
    """Attack beside a client that is at work; both it and the next one go on."""
    since = len(server.log.lines)
    with connect(server) as before:
        peer = RawPeer(server.address, SECRET)
        try:
            with contextlib.suppress(ConnectionError):  # the server need not listen to the end
                attack(peer)
            assert answered.encode() in peer.end()
            server.log.wait_for(pattern, since)
        finally:
            peer.close()
        assert before.call(abs, -1) == 1
    with connect(server) as after:
        assert after.call(abs, -2) == 2


# -- before authentication


def wrong_magic(peer: RawPeer) -> None:
    peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


def old_version(peer: RawPeer) -> None:
    peer.write(protocol.preamble(Ask.SECRET, 0, 0))


def future_version(peer: RawPeer) -> None:
    peer.write(protocol.preamble(Ask.SECRET, 1000, 1001))


def damaged_preamble(peer: RawPeer) -> None:
    right = protocol.preamble(Ask.SECRET)
    peer.write(right[:-1] + bytes([right[-1] ^ 1]))


def truncated_preamble(peer: RawPeer) -> None:
    peer.write(protocol.preamble(Ask.SECRET)[:7])
    peer.sock.shutdown(1)


def truncated_challenge(peer: RawPeer) -> None:
    peer.greet()
    peer.write(CHALLENGE.pack(MAGIC, bytes(32))[:20])
    peer.sock.shutdown(1)


def no_secret(peer: RawPeer) -> None:
    peer.write(protocol.preamble(0))


def guessed_secret(peer: RawPeer) -> None:
    peer.greet()
    with pytest.raises(AuthenticationError):
        authenticate_client(type(peer.secret)("guess"), peer.preambles, peer.read, peer.write)


def no_challenge(peer: RawPeer) -> None:
    peer.greet()
    peer.write(bytes(CHALLENGE.size + 32))


def reflected(peer: RawPeer) -> None:
    peer.greet()
    peer.write(peer.read(CHALLENGE.size) + bytes(32))


def silent_frames(peer: RawPeer) -> None:
    """Frames in the place of the challenge."""
    peer.greet()
    peer.frame(Kind.HELLO, protocol.pack_fields({"max_message": "100"}))
    peer.frame(Kind.PING)


@pytest.mark.parametrize(
    ("attack", "pattern"),
    [
        (wrong_magic, "ProtocolError: the peer does not speak winbridge's protocol"),
        (old_version, "ProtocolError: no common version.*0 to 0"),
        (future_version, "ProtocolError: no common version.*1000 to 1001"),
        (damaged_preamble, "ProtocolError: .*damaged"),
        (truncated_preamble, "ProtocolError: the client ended after 7 of 20 bytes"),
        (truncated_challenge, "ProtocolError: the client ended after 20 of 36 bytes"),
        (no_secret, "AuthenticationError: the client has no secret"),
        (guessed_secret, "AuthenticationError: the client does not know the secret"),
        (no_challenge, "AuthenticationError: .*which is no challenge"),
        (reflected, "AuthenticationError: the peer sent our own challenge back"),
        (silent_frames, "AuthenticationError: .*which is no challenge"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_before_authentication(local, attack, pattern):
    check(local, attack, pattern)


def test_a_recorded_introduction_is_worthless(local):
    good = RawPeer(local.address, SECRET)
    good.hello()
    recorded = good.sent
    good.close()
    check(local, lambda peer: peer.write(recorded), "AuthenticationError: the client does not know the secret")


@pytest.mark.parametrize("greet", [False, True])
def test_a_pickle_bomb_before_authentication_does_not_go_off(server, tmp_path, greet):
    bomb = pickle.dumps((Bomb(tmp_path / "went_off"), (), {}))

    def attack(peer: RawPeer) -> None:
        if greet:
            peer.greet()
        peer.frame(Kind.HELLO, protocol.pack_fields({"max_message": "100"}))
        peer.frame(Kind.CALL, bomb, serial=1)

    check(server, attack, "(Protocol|Authentication)Error")
    assert not (tmp_path / "went_off").exists()


def test_the_bomb_would_go_off_after_authentication(server, tmp_path):
    """Else the test above would show nothing."""
    with connect(server) as connection:
        assert connection.call(isinstance, Bomb(tmp_path / "went_off"), type(None))
    assert (tmp_path / "went_off").exists()


def trickle(peer: RawPeer) -> None:
    """A byte now and then, for as long as the server takes it."""
    peer.sock.settimeout(HASTE / 4)
    for byte in protocol.preamble(Ask.SECRET):
        peer.write(bytes([byte]))
        try:
            if len(peer.sock.recv(20)) == 0:
                return
        except TimeoutError:
            pass
        except ConnectionError:
            return
    raise AssertionError("the server has waited for all bytes")


def test_who_says_nothing_in_time_is_left(hasty):
    check(hasty, lambda peer: None, f"ProtocolError: the client took more than {HASTE:g} s")


def test_who_is_slow_is_left(hasty):
    check(hasty, trickle, f"ProtocolError: the client took more than {HASTE:g} s")


def test_who_stops_in_the_middle_is_left(hasty):
    check(hasty, RawPeer.greet, f"ProtocolError: the client took more than {HASTE:g} s")


def test_a_flood_of_silent_connections_keeps_nobody_out(local):
    since = len(local.log.lines)
    flood = [RawPeer(local.address, SECRET) for _ in range(PENDING + 20)]
    try:
        local.log.wait_for(f"{PENDING} clients have not introduced themselves: the oldest has to go", since)
        with connect(local) as connection:
            assert connection.call(abs, -1) == 1
        assert flood[0].end() == protocol.preamble(Ask.SECRET)
    finally:
        for peer in flood:
            peer.close()


def test_more_connections_than_allowed_are_told_so():
    with start("local", 30.0, connections=2) as server, connect(server) as first, connect(server) as second:
        with pytest.raises(DisconnectError, match="the server has 2 connections, its limit; try again later"):
            connect(server).call(abs, -1)
        server.log.wait_for("ERROR .*refused: the server has 2 connections")
        assert first.call(abs, -1) + second.call(abs, -1) == 2
        second.close()
        await_true(lambda: server.server.serving < 2)
        with connect(server) as third:
            assert third.call(abs, -1) == 1


# -- after authentication


def half_open(peer: RawPeer) -> None:
    peer.authenticate()


@pytest.mark.parametrize("kind", KINDS)
def test_who_stops_after_authentication_is_left(kind):
    with start(kind, 1.0) as server:
        check(server, half_open, "ERROR .*(in time|introduce)")


def truncated_frame(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.CALL, b"half", serial=1, size=1000)
    peer.sock.shutdown(1)


def truncated_header(peer: RawPeer) -> None:
    peer.hello()
    peer.write(HEADER.pack(Kind.CALL, 0, 0, 1, 0, 10)[:9])
    peer.sock.shutdown(1)


def oversized(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.CALL, serial=1, size=1 << 60)


def oversized_hello(peer: RawPeer) -> None:
    peer.authenticate()
    peer.frame(Kind.HELLO, size=1 << 20)


def oversized_buffers(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.CALL, serial=1, count=8000)
    peer.write(struct.pack("<Q", 1 << 62) * 8000)


def buffers_of_a_ping(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.PING, count=0xFFFF)


def unknown_kind(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(77)


def unknown_flags(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.CALL, flags=0x80, serial=1)


def call_before_hello(peer: RawPeer) -> None:
    peer.authenticate()
    peer.frame(Kind.CALL, pickle.dumps((abs, (1,), {})), serial=1)


def hello_again(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.HELLO, protocol.pack_fields({"max_message": "100"}))


def answer_to_nothing(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.RESULT, pickle.dumps(None), serial=12345)


def call_without_serial(peer: RawPeer) -> None:
    peer.hello()
    peer.frame(Kind.CALL, pickle.dumps((abs, (1,), {})))


@pytest.mark.parametrize(
    ("attack", "pattern"),
    [
        (truncated_frame, "ERROR .*(Protocol|Disconnect)Error"),
        (truncated_header, "ERROR .*(Protocol|Disconnect)Error"),
        (oversized, "ProtocolError: .*bytes, more than the"),
        (oversized_hello, "ProtocolError: .*bytes, more than the 65536"),
        (oversized_buffers, "ProtocolError: .*bytes, more than the"),
        (buffers_of_a_ping, "ProtocolError: .*PING with 65535 buffers"),
        (unknown_kind, "ProtocolError: .*unknown kind 77"),
        (unknown_flags, "ProtocolError: .*unknown flags 0x80"),
        (call_before_hello, "ProtocolError: .*CALL where"),
        (hello_again, "ProtocolError: .*HELLO where"),
        (answer_to_nothing, "ProtocolError: .*12345"),
        (call_without_serial, "ProtocolError: .*without a serial"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_after_authentication(server, attack, pattern):
    check(server, attack, pattern)


def test_what_follows_a_goodbye_is_not_looked_at(server, tmp_path):
    def attack(peer: RawPeer) -> None:
        peer.hello()
        peer.frame(Kind.BYE)
        peer.frame(Kind.CALL, pickle.dumps((Bomb(tmp_path / "went_off"), (), {})), serial=1)
        peer.write(os.urandom(5000))

    check(server, attack, "(ended|closed)")
    assert not (tmp_path / "went_off").exists()


def test_what_cannot_be_unpickled_is_an_error_of_the_call(server):
    peer = RawPeer(server.address, SECRET)
    try:
        peer.hello()
        peer.frame(Kind.CALL, b"\x80\x05garbage", serial=7)
        kind, _, _, serial, _, size = HEADER.unpack(peer.read(HEADER.size))
        assert (kind, serial) == (Kind.ERROR, 7)
        peer.read(size)
        peer.frame(Kind.CALL, pickle.dumps((abs, (-1,), {})), serial=8)
        kind, _, _, serial, _, _ = HEADER.unpack(peer.read(HEADER.size))
        assert (kind, serial) == (Kind.RESULT, 8)
    finally:
        peer.close()


def test_a_wrong_secret_is_told_to_the_client(server):
    with pytest.raises(AuthenticationError, match="does not accept our secret"):
        Connection.from_tcp(*server.address, options=Options(secret="guess")).call(abs, -1)
    with pytest.raises(OperationError, match="secret"):
        Connection.from_tcp(*server.address).call(abs, -1)
