"""The protocol without any process: what is legal, what is not, and that no bytes whatever do harm."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import random
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.remote import subject
from winbridge.remote import Connection, DisconnectError, OperationError, Options, ProtocolError, protocol
from winbridge.remote.frames import FrameReader, encode
from winbridge.remote.protocol import HEADER, LEGAL, NAMES, Frame, Kind, State

LIMIT = 1 << 20


class Pieces:
    """A carrier that brings given bytes in pieces of random sizes, and then the end."""

    name = "pieces"
    waits = True

    def __init__(self, data: bytes, seed: int = 0) -> None:
        self.data = data
        self.random = random.Random(seed)

    def fill(self, room: memoryview) -> int:
        piece = self.data[: min(len(room), self.random.choice((1, 2, 7, 30, 1000, 1 << 20)))]
        room[: len(piece)] = piece
        self.data = self.data[len(piece) :]
        return len(piece)


def reader(data: bytes, seed: int = 0, state: str = State.READY) -> FrameReader:
    made = FrameReader(Pieces(data, seed), LIMIT)
    made.state = state
    return made


def joined(frame: Frame) -> bytes:
    return b"".join(encode(*frame))


buffers = st.lists(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(bytearray)), max_size=5)
serials = st.integers(1, protocol.LAST_SERIAL)
asking = st.builds(Frame, st.sampled_from([Kind.CALL]), st.integers(0, 3), serials, serials, st.binary(), buffers)
answers = st.builds(
    Frame, st.sampled_from([Kind.RESULT, Kind.ERROR]), st.just(0), serials, st.just(0), st.binary(), buffers
)
notes = st.builds(Frame, st.just(Kind.OUTPUT), st.integers(1, 2), serials, st.just(0), st.binary(), st.just([]))
bare = st.builds(Frame, st.sampled_from([Kind.PING, Kind.PONG]), *[st.just(0)] * 3, st.just(b""), st.just([]))
frames = st.one_of(asking, answers, notes, bare)


@given(st.lists(frames, max_size=6), st.integers(0, 1000))
def test_frames_arrive_as_they_were_sent_however_they_are_cut(sent, seed):
    reading = reader(b"".join(map(joined, sent)), seed)
    for frame in sent:
        assert reading.read() == frame
    with pytest.raises(DisconnectError):
        reading.read()


@given(st.sampled_from([0, 1, 65535, 65536, 65537, 200_000]), st.booleans(), st.integers(0, 1000))
@settings(max_examples=40)
def test_large_buffers_keep_their_type(size, frozen, seed):
    data = bytes(size) if frozen else bytearray(size)
    got = reader(joined(Frame(Kind.RESULT, 0, 1, 0, b"p", [data, data])) + b"rest", seed).read()
    assert got.buffers == [data, data]
    assert {type(buffer) for buffer in got.buffers} == {type(data)}


@pytest.mark.parametrize("count", [8191, 8192, 8193, 65535])
def test_so_many_buffers_that_their_sizes_are_more_than_one_read(count):
    frame = Frame(Kind.CALL, 0, 1, 0, b"p", [bytes([number % 256]) for number in range(count)])
    assert reader(joined(frame) + joined(frame)).read() == frame


def read_all(reading: FrameReader) -> None:
    """There is an end, which is a DisconnectError, or a ProtocolError, which is one; and nothing else."""
    while True:
        try:
            frame = reading.read()
        except DisconnectError:
            return
        assert frame.kind in LEGAL[State.READY]
        assert len(frame.payload) + sum(map(len, frame.buffers)) <= LIMIT


@given(st.binary(max_size=2000), st.integers(0, 1000))
@settings(max_examples=300)
def test_no_bytes_do_harm(data, seed):
    read_all(reader(data, seed))


@given(st.lists(frames, min_size=1, max_size=4), st.data())
@settings(max_examples=300)
def test_no_damaged_frames_do_harm(sent, data):
    stream = bytearray(b"".join(map(joined, sent)))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    read_all(reader(bytes(stream)))


@pytest.mark.parametrize("state", list(LEGAL))
@pytest.mark.parametrize("kind", list(NAMES))
def test_the_table_says_what_may_come(state, kind):
    flags = 1 if kind == Kind.OUTPUT else 0
    frame = joined(Frame(kind, flags, 5, 0, b"", []))
    if kind in LEGAL[state]:
        assert reader(frame, state=state).read().kind == kind
    else:
        with pytest.raises(ProtocolError, match=NAMES[kind]):
            reader(frame, state=state).read()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ((99, 0, 0, 1, 0, 0), "unknown kind 99"),
        ((0, 0, 0, 0, 0, 0), "unknown kind 0"),
        ((Kind.CALL, 4, 0, 1, 0, 0), "unknown flags 0x4"),
        ((Kind.RESULT, 1, 0, 1, 0, 0), "unknown flags 0x1"),
        ((Kind.CALL, 0, 0, 0, 0, 0), "CALL without a serial"),
        ((Kind.RESULT, 0, 0, 0, 0, 0), "RESULT without a serial"),
        ((Kind.CANCEL, 0, 0, 0, 0, 0), "CANCEL without a serial"),
        ((Kind.PING, 0, 0, 0, 0, 7), "PING with 0 buffers, 7 bytes"),
        ((Kind.OUTPUT, 1, 1, 1, 0, 0), "OUTPUT with 1 buffers"),
        ((Kind.OUTPUT, 3, 0, 1, 0, 0), "OUTPUT of stream 3"),
        ((Kind.RESULT, 0, 0, 1, 1, 0), "within 1"),
        ((Kind.CALL, 0, 0, 1, 0, LIMIT + 1), f"more than the {LIMIT} allowed"),
        ((Kind.CALL, 0, 0, 1, 0, 1 << 63), f"more than the {LIMIT} allowed"),
    ],
)
def test_what_is_not_a_frame(header, message):
    with pytest.raises(ProtocolError, match=message):
        reader(HEADER.pack(*header) + bytes(100)).read()


def test_buffers_count_for_the_limit():
    header = HEADER.pack(Kind.CALL, 0, 2, 1, 0, 10) + struct.pack("<2Q", LIMIT, protocol.FROZEN | 1)
    with pytest.raises(ProtocolError, match=f"{LIMIT + 11} bytes"):
        reader(header).read()


def test_nothing_large_may_come_before_the_greeting():
    with pytest.raises(ProtocolError, match="65536 allowed"):
        reader(HEADER.pack(Kind.HELLO, 0, 0, 0, 0, 65537), state=State.GREETING).read()


def test_a_peer_that_announces_more_than_it_sends_gets_no_memory_for_it():
    reading = FrameReader(Pieces(HEADER.pack(Kind.CALL, 0, 0, 1, 0, 1 << 40) + bytes(1000)), 1 << 50)
    reading.state = State.READY
    with pytest.raises(DisconnectError):
        reading.read()


def test_what_is_too_large_is_not_sent():
    with pytest.raises(OperationError, match="more than the peer takes: 100000"):
        encode(Kind.CALL, 0, 1, 0, b"", [bytes(100_001)], 100_000)
    with pytest.raises(OperationError, match="65536 separate buffers"):
        encode(Kind.CALL, 0, 1, 0, b"", [b""] * 65536)


def test_the_preamble_finds_the_highest_common_version():
    for theirs, ours, version in (((1, 1), (1, 1), 1), ((1, 3), (2, 9), 3), ((2, 9), (1, 2), 2)):
        assert protocol.agree(protocol.preamble(0, *theirs), *ours) == (version, 0)
    for theirs, ours in (((2, 3), (1, 1)), ((1, 1), (2, 3))):
        with pytest.raises(
            ProtocolError, match=f"peer speaks {theirs[0]} to {theirs[1]}, this side {ours[0]} to {ours[1]}"
        ):
            protocol.agree(protocol.preamble(0, *theirs), *ours)


@given(st.integers(0, protocol.PREAMBLE.size * 8 - 1))
def test_no_damage_of_a_preamble_goes_unnoticed(bit):
    data = bytearray(protocol.preamble())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        protocol.agree(bytes(data))


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), st.text("abc=0 ü", max_size=10), max_size=5))
def test_fields_of_a_hello(fields):
    assert protocol.unpack_fields(protocol.pack_fields(fields)) == fields


@given(st.binary(max_size=100))
def test_no_bytes_as_hello_or_release_do_harm(data):
    for unpack in (protocol.unpack_fields, protocol.unpack_releases):
        with contextlib.suppress(ProtocolError):
            unpack(data)


def test_serials_are_never_0_and_begin_again():
    with Hostile() as peer:
        peer.connection.link._numbers = itertools.count(protocol.LAST_SERIAL - 2)
        futures = [peer.connection.submit(abs, number) for number in range(3)]
        serials = [peer.reader.read().serial for _ in futures]
        assert serials == [protocol.LAST_SERIAL - 1, protocol.LAST_SERIAL, 1]
        peer.connection.link._numbers = itertools.count(protocol.LAST_SERIAL - 1)
        peer.connection.submit(abs, 3)
        assert peer.reader.read().serial == 2  # the others are taken


class Hostile:
    """A peer that has introduced itself properly, and then sends what it likes."""

    def __init__(self) -> None:
        ours, self.socket = socket.socketpair()
        self.connection = Connection.from_socket(ours, server=True, options=Options(max_message=LIMIT, timeout=10))
        hello = protocol.pack_fields({"max_message": str(LIMIT), "host": "here"})
        self.socket.sendall(protocol.preamble() + joined(Frame(Kind.HELLO, 0, 0, 0, hello, [])))
        self.connection.await_open()
        self.reader = FrameReader(self, LIMIT)
        self.reader.exactly(protocol.PREAMBLE.size)
        self.reader.read()
        self.reader.state = State.READY

    def fill(self, room: memoryview) -> int:
        return self.socket.recv_into(room)

    def __enter__(self) -> Hostile:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.socket.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 40,
        joined(Frame(Kind.HELLO, 0, 0, 0, b"a=b", [])),
        joined(Frame(Kind.RESULT, 0, 77, 0, b"", [])),
        joined(Frame(Kind.RELEASE, 0, 0, 0, b"odd", [])),
        HEADER.pack(Kind.CALL, 0, 0, 1, 0, LIMIT + 1),
        HEADER.pack(Kind.CALL, 0, 65535, 1, 0, 0) + b"\x7f" * 8 * 65535,
    ],
)
def test_a_connection_ends_at_what_is_illegal_and_says_why(data):
    with Hostile() as peer:
        pending = peer.connection.submit(abs, 1)
        with contextlib.suppress(BrokenPipeError):  # the end of long data comes too late
            peer.socket.sendall(data)
        assert isinstance(pending.exception(20), ProtocolError)
        with pytest.raises(ProtocolError):
            peer.connection.call(abs, 1)
        assert peer.reader.read().kind == Kind.CALL
        bye = peer.reader.read()
        assert bye.kind == Kind.BYE
        assert b"the peer" in bytes(bye.payload)


def test_a_call_that_cannot_be_unpickled_is_answered_and_harms_nobody():
    with Hostile() as peer:
        for payload in (b"", b"garbage", pickle.dumps(1), pickle.dumps((1, 2, 3)), b"cno.such\nmodule\n."):
            peer.socket.sendall(joined(Frame(Kind.CALL, 0, 1, 0, payload, [])))
            answer = peer.reader.read()
            assert (answer.kind, answer.serial) == (Kind.ERROR, 1)
        assert peer.connection.is_connected()


def test_a_serial_twice_at_the_same_time():
    with Hostile() as peer:
        call = joined(Frame(Kind.CALL, 0, 9, 0, pickle.dumps((subject.wait_for_gate, ("twice",), {})), []))
        peer.socket.sendall(call * 2)
        assert peer.connection.wait(20)
        with pytest.raises(ProtocolError, match="serial 9 while"):
            peer.connection.call(abs, 1)
        subject.open_gate("twice")


def test_a_request_within_a_question_that_nobody_asked_is_executed_all_the_same():
    with Hostile() as peer:
        peer.socket.sendall(joined(Frame(Kind.CALL, 0, 1, 12345, pickle.dumps((abs, (-3,), {})), [])))
        assert pickle.loads(peer.reader.read().payload) == 3


@given(st.lists(frames, max_size=5), st.binary(max_size=60))
@settings(max_examples=25, deadline=None)
def test_a_live_connection_survives_or_ends_whatever_comes(sent, rest):
    with Hostile() as peer:
        with contextlib.suppress(BrokenPipeError):
            peer.socket.sendall(b"".join(map(joined, sent)) + rest)
            peer.socket.shutdown(socket.SHUT_WR)
        assert peer.connection.wait(20)
        with pytest.raises(DisconnectError):
            peer.connection.call(abs, 1)
