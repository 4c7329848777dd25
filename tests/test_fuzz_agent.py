"""What a client may say to a real agent: a broken request has an answer, a broken stream an end, and neither hangs."""

from __future__ import annotations

import os
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fuzz import build, seeds
from winbridge import AgentDiedError, Win32Session, Win64Session, WindowsFault, WireError
from winbridge.core import wire
from winbridge.core.wire import Flag, Op, Status

pytestmark = pytest.mark.wine
SESSIONS = {"win64": Win64Session, "win32": Win32Session}
REQUEST = wire.request(Op.ALLOC, bytes(8))


def frame(magic=wire.FRAME_MAGIC, channel=0, size=None, arena=0, message=REQUEST, memory=b"") -> bytes:
    size = len(REQUEST) if size is None else size
    return wire.FRAME.pack(magic, channel, size, 0, arena) + message + memory


def outside(start: int) -> bytes:
    return frame(arena=16, message=wire.request(Op.ALLOC, bytes(8), arena=(start, 16, 0)), memory=bytes(16))


BROKEN = [
    ("not a frame", frame(magic=0x12345678)),
    ("no such channel", frame(channel=4711)),
    ("message size", frame(size=8)),
    ("message size", frame(size=wire.REQUEST.size + wire.MAX_ARGUMENT_BYTES + 1)),
    ("sizes disagree", frame(message=wire.request(Op.ALLOC, bytes(16)))),
    ("sizes disagree", frame(arena=8, memory=bytes(8))),
    ("outside of the arena", outside(wire.CONTROL_ARENA - 8)),
    ("outside of the arena", outside((1 << 64) - 8)),
]


@pytest.mark.parametrize(("rule", "data"), BROKEN)
def test_a_broken_frame_ends_the_agent_with_a_reason(arch, rule, data):
    session = SESSIONS[arch]()
    agent = session.transport.link.agent
    session.memory.alloc(16)
    os.write(agent.input, data)
    agent.process.wait(10)
    with pytest.raises(AgentDiedError, match=f"broken stream: {rule}"):
        session.memory.alloc(16)
    assert agent.process.returncode == 0 and session.closed


def test_half_a_frame_is_no_request(arch):
    session = SESSIONS[arch](transport="stream")
    agent = session.transport.link.agent
    session.memory.alloc(16)
    os.write(agent.input, frame()[:-3])
    agent.process.stdin.close()
    agent.process.wait(10)
    assert agent.process.returncode == 0


# None of these writes where it is told: such a request can end an agent, as the function of a DLL can.
HARMLESS = [
    Op.READ, Op.STRING, Op.RESOLVE, Op.FREE, Op.MAP, Op.ARENA, Op.OPEN_SHARED, Op.OPEN_STREAM, Op.CLOSE_STREAM,
    Op.THUNK_FREE, Op.THUNK_NEW, Op.CALLBACK_RETURN, Op.CALL_MANY, Op.CALL, max(Op) + 1, 255, 1 << 31, (1 << 32) - 1,
]  # fmt: skip
EDGES = st.sampled_from([0, 1, 2, 7, 8, 4095, 8192, 65536, (1 << 31) - 1, (1 << 32) - 1, 1 << 63, (1 << 64) - 1])
messages = st.builds(
    lambda op, flags, size, words, target, cut: (
        wire.REQUEST.pack(op, flags, len(words) * 8 if size is None else size, 0, 0, 0, target, 0, 0, 0)
        + struct.pack(f"<{len(words)}Q", *words)[cut:]
    ),
    st.sampled_from(HARMLESS),
    st.integers(0, 12) | st.sampled_from([Flag.SWAP_ERRNO, Flag.SWAP_LAST_ERROR, 0xFFFFFFFF]),
    st.none() | st.sampled_from([1, 3, 4, 12, 8191, 8192, 8193, 1 << 31, (1 << 32) - 1]),
    st.lists(EDGES, max_size=12),
    st.sampled_from([0, 1, 0xFFFF]),
    st.sampled_from([0, 0, 0, 4]),
)


def consistent(message: bytes) -> bool:
    """Whether a stream would take it as a frame; the rest is for ``BROKEN``."""
    return len(message) - wire.REQUEST.size == wire.REQUEST.unpack_from(message)[2]


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_any_request_has_an_answer(arch, transport):
    session = SESSIONS[arch](transport=transport)

    @given(message=messages if transport == "shm" else messages.filter(consistent))
    @example(wire.request(Op.STRING, wire.words(session.pointer_size, session.memory.alloc(8), 1, 1 << 20, 0)))
    @example(wire.request(Op.THUNK_NEW, wire.words(session.pointer_size, 1, 7, 7, 0)))
    @settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
    def ask(message: bytes) -> None:
        try:
            record = session.exchange(message)
            assert len(record) == 9 and record[0] == Status.OK
        except (WireError, WindowsFault):
            pass

    def go_on() -> bytes:
        return session.memory.read(session.memory.alloc(16), 16)

    ask()
    with ThreadPoolExecutor(1) as another:  # this channel may have been given another arena
        assert another.submit(go_on).result() == bytes(16)
    assert session.up


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_what_belongs_to_another_channel_is_refused(arch, transport):
    """Arenas and streams come and go by the thread that owns them, else one goes while another thread uses it."""
    session = SESSIONS[arch](transport=transport)
    for op, *values in ((Op.ARENA, 0, 65536), (Op.CLOSE_STREAM, 1), (Op.OPEN_STREAM, 77, 65536), (Op.SERVE,)):
        if op == Op.SERVE:
            record = session.transport.link.manage(op, *values, timeout=10)
        else:
            record = session.exchange(wire.request(op, wire.words(session.pointer_size, *values)))
        assert record[2] == 0, op
    assert session.memory.alloc(16)


@pytest.mark.parametrize(("size", "stack"), [(0, 0), (4096, 0), (16383, 0), (65536, 4096)])
def test_a_slot_that_is_too_small_is_refused(arch, size, stack):
    link = SESSIONS[arch]().transport.link
    path = r"\\?\unix\dev\null"
    record = link.manage(Op.OPEN_SHARED, path, 1 << 30, size, path, path, 0, stack, timeout=10)
    assert record[:3] == (Status.OK, 87, 0)  # ERROR_INVALID_PARAMETER


def test_the_main_thread_waits_for_no_callback(arch):
    """It is the watchdog: a thunk that it calls returns 0, as one does whose client has gone."""
    session = SESSIONS[arch](transport="stream")
    link, width = session.transport.link, session.pointer_size
    thunk = session.exchange(wire.request(Op.THUNK_NEW, wire.words(width, 1, 0, 0, 5)))[2]
    record = link.control.exchange(wire.request(Op.CALL, target=thunk, flags=wire.Result.INT32), 10)
    assert record[:3] == (Status.OK, record[1], 0)
    assert session.memory.alloc(16)


def test_ranges_that_overlap_are_moved(arch):
    session = SESSIONS[arch]()
    address = session.memory.alloc(32)
    session.memory.write(address, b"0123456789abcdef")
    width = session.pointer_size
    session.exchange(wire.request(Op.READ, wire.words(width, address, address + 3, 16)))
    assert session.memory.read(address, 19) == b"0120123456789abcdef"
    session.exchange(wire.request(Op.WRITE, wire.words(width, address, address + 3, 16)))
    assert session.memory.read(address, 19) == b"0123456789abcdefdef"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "sanitizers"),
    [("fuzz_stream", "address,undefined"), ("fuzz_shared", "address,undefined"), ("fuzz_stream", "thread")],
)
def test_the_agents_parsers_under_sanitizers(tmp_path, target, sanitizers):
    """The seeds of the fuzzers, and what these have found: no access out of bounds, no race, nothing leaked."""
    seeds.write(target, tmp_path)
    command = [build.replayer(target, sanitizers), *sorted(tmp_path.iterdir())]
    if sanitizers == "thread":
        command = ["setarch", "-R", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stderr.count(str(tmp_path)) == len(list(tmp_path.iterdir()))


def test_a_slot_that_changes_under_the_check(arch):
    """The client writes other sizes while the agent reads: what was checked is what is used."""
    session = SESSIONS[arch](transport="shm", timeout_call=20)
    address = session.memory.alloc(16)
    slot = session.channel()._slot
    place = wire.SLOT["REQUEST"] + 8
    over = threading.Event()

    def meddle() -> None:
        while not over.is_set():
            for size in (0, 0xFFFFFFF8, 8192, 8200):
                struct.pack_into("<I", slot, place, size)

    thread = threading.Thread(target=meddle)
    thread.start()
    counts = dict.fromkeys(("answered", "refused"), 0)
    try:
        for _ in range(3000):
            try:
                session.exchange(wire.request(Op.RESOLVE, wire.words(session.pointer_size, 0, 0)))
                counts["answered"] += 1
            except WireError:
                counts["refused"] += 1
            except WindowsFault:
                counts["answered"] += 1
    finally:
        over.set()
        thread.join()
    assert sum(counts.values()) == 3000 and counts["refused"]
    assert session.memory.read(address, 16) == bytes(16) and session.up
