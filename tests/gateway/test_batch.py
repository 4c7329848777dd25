"""Batches: what calls one by one would do, in one request."""

from __future__ import annotations

import ctypes
import struct

import pytest

from tests.fix_dlls import NATIVE, compile_dll
from tests.test_gateway import RawClient, kind_of
from winbridge import AgentDiedError, GatewaySession, Win64Session, WindowsFault, load_dll
from winbridge.core import wire
from winbridge.core.transport.connection import Connection
from winbridge.core.wire import AREA_REALS, Op, Result

wine = pytest.mark.wine


@pytest.fixture(params=["http", "shm", "stream"])
def session(request, gateway):
    if request.param == "http":
        return GatewaySession(gateway.url, gateway.token)
    return Win64Session(transport=request.param)


@pytest.fixture
def specimen(session, dll_folder):
    path = "Z:" + str(dll_folder / "win64" / "specimen.dll").replace("/", "\\")
    return session.load_dll(path, convention="cdecl")


@pytest.fixture(scope="module")
def caller_path(tmp_path_factory):
    return compile_dll("win64", NATIVE / "caller.c", tmp_path_factory.mktemp("caller") / "caller.dll")


@pytest.fixture
def caller(session, caller_path):
    return session.load_dll("Z:" + str(caller_path).replace("/", "\\"), convention="cdecl")


@wine
@pytest.mark.win64
def test_calls_of_several_functions_in_order(session, specimen):
    kernel32 = load_dll("kernel32", session=session)
    with session.batch() as batch:
        pending = [(batch.call(specimen.add, n, 1), n + 1) for n in range(50)]
        pending += [(batch.call(kernel32.MulDiv, n, 6, 3), 2 * n) for n in range(50)]
        assert not pending[0][0].done
        with pytest.raises(RuntimeError, match="has not been made yet"):
            pending[0][0].result()
    assert [later.result() for later, _ in pending] == [right for _, right in pending]


@wine
@pytest.mark.win64
def test_a_thousand_calls_are_one_request(gateway, monkeypatch):
    posted = []
    send = Connection.exchange
    monkeypatch.setattr(
        Connection, "exchange", lambda self, path, *rest: posted.append(path) or send(self, path, *rest)
    )
    with GatewaySession(gateway.url, gateway.token) as session:
        kernel32 = load_dll("kernel32", session=session)
        kernel32.MulDiv(1, 1, 1)
        posted.clear()
        with session.batch() as batch:
            later = [batch.call(kernel32.MulDiv, n, 6, 3) for n in range(1000)]
        assert [path.rpartition("/")[2] for path in posted] == ["batch"]
        assert [pending.result() for pending in later] == [2 * n for n in range(1000)]
        with session.batch() as batch:
            later = [batch.call(kernel32.MulDiv, n, 6, 3) for n in range(5000)]
        assert [pending.result() for pending in later] == [2 * n for n in range(5000)]


@wine
@pytest.mark.win64
def test_calls_with_memory_come_in_their_turn(session, specimen):
    value = ctypes.c_int(21)
    with session.batch() as batch:
        first = batch.call(specimen.add, 1, 2)
        second = batch.call(specimen.double_in_place, ctypes.byref(value))
        assert first.result() == 3 and second.done and value.value == 42
        third = batch.call(specimen.add, (1 << 32) - 1, 2)  # wraps, as in a call
        with pytest.raises(ctypes.ArgumentError):
            batch.call(specimen.add, 1 << 64, 2)
    assert third.result() == 1


@wine
@pytest.mark.win64
def test_an_error_ends_the_batch_where_it_is(session, specimen):
    msvcrt = load_dll("msvcrt", session=session, convention="cdecl")
    batch = session.batch()
    later = [batch.call(specimen.add, n, n) for n in range(2)]
    later += [batch.call(msvcrt.strlen, 0x10), batch.call(specimen.add, 3, 3)]
    with pytest.raises(WindowsFault, match=r"reading .*item 2") as caught:
        batch.send()
    assert (caught.value.index, caught.value.results) == (2, [0, 2])
    assert later[1].result() == 2 and later[2].done and not later[3].done
    with pytest.raises(WindowsFault):
        later[2].result()
    with pytest.raises(RuntimeError, match="an error ended the batch before it"):
        later[3].result()
    assert specimen.add(2, 3) == 5


@wine
@pytest.mark.win64
def test_an_error_in_the_block_sends_nothing(session, specimen):
    pending = []

    def block():
        with session.batch() as batch:
            pending.append(batch.call(specimen.leave, 7))
            raise KeyError

    with pytest.raises(KeyError):
        block()
    assert not pending[0].done and specimen.add(2, 3) == 5


@wine
@pytest.mark.win64
def test_callbacks_in_the_middle_of_a_batch(session, caller):
    kernel32 = load_dll("kernel32", session=session)
    seen = []

    def handler(area):
        value = struct.unpack_from("<i", area, AREA_REALS[8])[0]
        seen.append(kernel32.MulDiv(value, 6, 3))  # a call within the callback within the batch
        return value + 1

    callback = session.callbacks.make(handler, words=8, popped=0, result=Result.INT32)
    caller.keep(ctypes.c_void_p(callback.address))
    with session.batch() as batch:
        later = [batch.call(kernel32.MulDiv, n, 1, 1) for n in range(3)]
        kept = [batch.call(caller.call_kept, n) for n in range(3)]
        after = batch.call(kernel32.MulDiv, 6, 7, 1)
        assert not kept[0].done and not seen
    assert [pending.result() for pending in later] == [0, 1, 2]
    assert [pending.result() for pending in kept] == [1, 2, 3] and seen == [0, 2, 4]
    assert after.result() == 42


@wine
@pytest.mark.win64
def test_a_dead_agent(session, specimen):
    batch = session.batch()
    batch.call(specimen.add, 1, 1)
    later = batch.call(specimen.leave, 7)
    with pytest.raises(AgentDiedError, match="code 7"):
        batch.send()
    with pytest.raises((AgentDiedError, RuntimeError)):
        later.result()
    assert session.closed


# Bodies that break a rule.


def head(size, arena=0, channel=1):
    return wire.FRAME.pack(wire.FRAME_MAGIC, channel, size, 0, arena)


@wine
@pytest.mark.win64
def test_batches_that_break_a_rule_make_no_call(gateway):
    with RawClient(gateway) as raw:

        def kind(body):
            headers = {"Content-Type": "application/octet-stream"}
            return kind_of(raw.web.post(f"{raw.channel}/batch", data=body, headers=headers))

        call = raw.frame(wire.request(Op.CALL, bytes(8), target=0x10))
        fine = raw.frame(wire.request(Op.ALLOC, bytes(8)))
        assert kind(b"") == kind(call + b"x") == kind(call[:-1]) == kind(head(1 << 31)) == "bad-request"
        assert kind(head(0) * 20000) == kind(head(0)) == kind(call + head(8, 1 << 63)) == "bad-request"
        assert kind(call + fine) == "forbidden-op"
        assert kind(call * 20000) == "bad-request"
        assert raw.hosted.calls == 0
        raw.still_answers()
