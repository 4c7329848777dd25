"""The wire: one definition, the same in Python and C; what it writes it reads; the agent refuses what breaks it."""

from __future__ import annotations

import subprocess
import sys
from struct import calcsize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from winbridge import Win32Session, Win64Session, WireError
from winbridge.core import wire
from winbridge.core.transport.contract import Arena, Copy
from winbridge.core.wire import Op, Result, Status

SESSIONS = {"win64": Win64Session, "win32": Win32Session}


def test_the_c_header_is_current():
    done = subprocess.run(
        [sys.executable, "scripts/wire_header.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_stale_header_is_noticed(tmp_path):
    for name in ("scripts/wire_header.py", "winbridge/core/wire.py", "native/agent/wire.h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    source = tmp_path / "winbridge/core/wire.py"
    source.write_text(source.read_text().replace("VERSION = ", "VERSION = 1"))
    done = subprocess.run(
        [sys.executable, tmp_path / "scripts/wire_header.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "not current" in done.stderr


@pytest.mark.parametrize("name", ["GREETING", "REQUEST", "RESPONSE", "FRAME"])
def test_structures_have_no_padding(name):
    fields = getattr(wire, f"{name}_FIELDS")
    assert getattr(wire, name).size == sum(calcsize("<" + code) for _, code in fields)


def test_slot_holds_the_largest_request_and_a_response():
    slot = wire.SLOT
    assert slot["RESPONSE"] + wire.RESPONSE.size <= slot["REQUEST"]
    assert slot["REQUEST"] + wire.REQUEST.size + wire.MAX_ARGUMENT_BYTES <= slot["ARENA"]
    assert slot["REQUEST"] + wire.MAX_AREA <= slot["ARENA"]


word = st.integers(0, 2**64 - 1)


@given(
    op=st.sampled_from(list(Op)),
    words=st.binary(max_size=64),
    flags=st.integers(0, 2**32 - 1),
    target=word,
    errors=st.tuples(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1)),
    arena=st.tuples(word, word, word),
)
def test_requests_read_back(op, words, flags, target, errors, arena):
    message = wire.request(op, words, flags=flags, target=target, last_error=errors[0], errno=errors[1], arena=arena)
    assert wire.REQUEST.unpack_from(message) == (op, flags, len(words), *errors, 0, target, *arena)
    assert message[wire.REQUEST.size :] == words


@given(arena=st.tuples(word, word, word), other=st.tuples(word, word, word), words=st.binary(max_size=64))
def test_arena_fields_can_be_read_and_replaced(arena, other, words):
    message = wire.request(Op.CALLBACK_RETURN, words, target=7, arena=arena)
    assert wire.op_of(message) == Op.CALLBACK_RETURN and wire.arena_of(message) == arena
    assert wire.with_arena(message, *other) == wire.request(Op.CALLBACK_RETURN, words, target=7, arena=other)


def test_only_a_callbacks_record_has_an_area():
    plain = wire.RESPONSE.pack(Status.OK, 1, 2, 3.0, 4, 5, 6, 7, 8)
    assert wire.record_of(plain) == (Status.OK, 1, 2, 3.0, 4, 5, 6, 7, 8)
    waiting = wire.RESPONSE.pack(Status.CALLBACK, 1, 2, 3.0, 4, 5, 4, 7, 8)
    assert wire.record_of(waiting + b"area") == (Status.CALLBACK, 1, 2, 3.0, 4, 5, 4, 7, 8, b"area")
    for broken in (plain + b"area", waiting, waiting + b"areas"):
        with pytest.raises(ValueError, match="area"):
            wire.record_of(broken)


@given(before=st.binary(max_size=40), changes=st.dictionaries(st.integers(0, 39), st.integers(0, 255)))
def test_a_copy_knows_which_range_changed(before, changes):
    view = memoryview(bytearray(b"..." + before + b"..."))
    copy = Copy(Arena(view, 0x1000), 3, len(before))
    copy.known = before
    for index, value in changes.items():
        if index < len(before):
            view[3 + index] = value
    differ = [index for index, (old, new) in enumerate(zip(before, copy.view, strict=True)) if old != new]
    start, end = copy.changed()
    assert (start, end) == (3 + differ[0], 4 + differ[-1]) if differ else start == end


def test_response_names_follow_the_fields():
    assert wire.Response._fields == tuple(name for name, _ in wire.RESPONSE_FIELDS)
    assert wire.Greeting._fields == tuple(name for name, _ in wire.GREETING_FIELDS)


@pytest.mark.wine
@pytest.mark.parametrize("transport", ["shm", "stream"])
@pytest.mark.parametrize(
    ("message", "rule"),
    [
        (wire.REQUEST.pack(999, Result.POINTER, 0, 0, 0, 0, 0, 0, 0, 0), "opcode"),
        (wire.REQUEST.pack(Op.ALLOC, 77, 8, 0, 0, 0, 0, 0, 0, 0) + bytes(8), "result"),
        (wire.REQUEST.pack(Op.ALLOC, Result.POINTER, 3, 0, 0, 0, 0, 0, 0, 0) + bytes(3), "size"),
    ],
)
def test_the_agent_refuses_and_goes_on(arch, transport, message, rule):
    session = SESSIONS[arch](transport=transport)
    with pytest.raises(WireError, match=rule):
        session.exchange(message)
    address = session.memory.alloc(16)
    assert session.memory.read(address, 16) == bytes(16)


@pytest.mark.wine
def test_oversized_request_in_shared_memory_is_refused(arch):
    session = SESSIONS[arch](transport="shm")
    with pytest.raises(WireError, match="size"):
        session.exchange(wire.REQUEST.pack(Op.ALLOC, Result.POINTER, 1 << 30, 0, 0, 0, 0, 0, 0, 0))
    assert session.up
