"""Callbacks at the level of session, transports and agent: a DLL calls a pointer, a handler here answers."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import struct
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fix_dlls import NATIVE, compile_dll
from winbridge import (
    AgentDiedError,
    CallTimeoutError,
    SessionClosedError,
    Win32Session,
    Win64Session,
    WindowsFault,
    load_dll,
)
from winbridge.core import wire
from winbridge.core.wire import CALLBACK_GONE, Flag, Op, Result

pytestmark = pytest.mark.wine
SESSIONS = {"win64": Win64Session, "win32": Win32Session}

DOUBLE = struct.Struct("<d")
FLOAT = struct.Struct("<f")
MIXED = "idqfhdBfqd"
MIXED_VALUES = (-1, 2.5, -3000000000000, 4.5, -5, 6.5, 7, 8.5, 9000000000000, 10.5)
TURNED = "difqdhfBdq"
TURNED_VALUES = (1.5, -2, 3.5, -4000000000000, 5.5, -6, 7.5, 8, 9.5, 10000000000000)


def at(callback) -> ctypes.c_void_p:
    """As an argument: on 64 bit an address is more than the int that a number is without argtypes."""
    return ctypes.c_void_p(callback.address)


@pytest.fixture(scope="module")
def caller_paths(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("callers")
    return {arch: compile_dll(arch, NATIVE / "caller.c", folder / f"caller-{arch}.dll") for arch in SESSIONS}


class Side(NamedTuple):
    """A session with the DLL that calls back, and what a test needs to make callbacks by hand."""

    session: object
    dll: object
    path: str

    @property
    def width(self) -> int:
        return self.session.pointer_size

    def words(self, codes: str) -> int:
        return sum(self.room(code) for code in codes)

    def room(self, code: str) -> int:
        return max(struct.calcsize("<" + code), self.width)

    def values(self, codes: str, area: bytes) -> tuple:
        """The arguments in an area, as the ABI lays them out."""
        found, at = [], wire.AREA_REALS[self.width]
        for index, code in enumerate(codes):
            in_register = self.width == 8 and index < 4 and code in "fd"
            found.append(struct.unpack_from("<" + code, area, 8 * index if in_register else at)[0])
            at += self.room(code)
        assert at == len(area)
        return tuple(found)

    def call64(self, name: str, *arguments: int) -> int:
        """Call a cdecl function with a 64-bit result; ctypes' own c_int64 is a C long here, so 32 bits to Windows."""
        words = wire.words(self.width, *arguments)
        return self.session.exchange(wire.request(Op.CALL, words, target=self.dll[name].address, flags=Result.INT64))[2]

    def make(self, function, codes: str = "i", result: Result = Result.INT32, *, stdcall: bool = False):
        """A callback whose handler gets Python values; floating-point results become bits."""
        words = self.words(codes)

        def handler(area: bytes) -> int:
            value = function(*self.values(codes, area))
            shape = {Result.DOUBLE: DOUBLE, Result.FLOAT: FLOAT}.get(result)
            return value if shape is None else int.from_bytes(shape.pack(value), "little")

        popped = words if stdcall and self.width == 4 else 0
        return self.session.callbacks.make(handler, words=words, popped=popped, result=result)


def open_side(carrier: str, arch: str, caller_paths, request=None, **parameters) -> Side:
    if carrier == "http":
        from winbridge import GatewaySession

        gateway = request.getfixturevalue("gateway")
        session = GatewaySession(gateway.url, token=gateway.token, arch=arch, **parameters)
    else:
        session = SESSIONS[arch](transport=carrier, **parameters)
    path = "Z:" + str(caller_paths[arch]).replace("/", "\\")
    return Side(session, load_dll(path, convention="cdecl", session=session), path)


def sides(*carriers: str):
    return pytest.mark.parametrize(
        "side",
        [
            pytest.param((carrier, arch), marks=getattr(pytest.mark, arch), id=f"{carrier}-{arch}")
            for carrier in carriers
            for arch in SESSIONS
        ],
        indirect=True,
    )


everywhere = sides("shm", "stream", "http")
here = sides("shm", "stream")


@pytest.fixture
def side(request, caller_paths) -> Side:
    return open_side(*request.param, caller_paths, request)


def typed(function, restype):
    function.restype = restype
    return function


# Arguments and results.


@everywhere
def test_integers_in_every_position(side):
    seen = []
    callback = side.make(lambda *values: [seen.append(values), values[-1]][1] - 1, "q" * 10, Result.INT64)
    assert side.call64("call_int64s", callback.address) == 2**63 - 1
    assert seen == [(-1, 2, -3, 4, -5, 6, -7, 8, -9, 2**63 - 1)]


@everywhere
def test_doubles_in_every_position(side):
    seen = []
    callback = side.make(lambda *values: [seen.append(values), 0.25][1], "d" * 10, Result.DOUBLE)
    assert typed(side.dll.call_doubles, ctypes.c_double)(at(callback)) == 1.25
    assert seen == [tuple(range(1, 11))] or seen == [tuple(k + 0.5 for k in range(1, 11))]


@everywhere
@pytest.mark.parametrize("stdcall", [False, True], ids=["cdecl", "stdcall"])
def test_mixed_arguments(side, stdcall):
    seen = []
    suffix = "_stdcall" if stdcall else ""
    first = side.make(lambda *values: [seen.append(values), -0.75][1], MIXED, Result.DOUBLE, stdcall=stdcall)
    second = side.make(lambda *values: [seen.append(values), -(10**15)][1], TURNED, Result.INT64, stdcall=stdcall)
    for _ in range(3):
        assert typed(side.dll[f"call_mixed{suffix}"], ctypes.c_double)(at(first)) == -1.5
        assert side.call64(f"call_turned{suffix}", second.address) == -2 * 10**15
    assert seen == [MIXED_VALUES, TURNED_VALUES] * 3


@here
def test_other_results(side):
    single = side.make(lambda value: value * 2, "f", Result.FLOAT)
    side.dll.call_float.argtypes = [ctypes.c_void_p, ctypes.c_float]
    assert typed(side.dll.call_float, ctypes.c_float)(at(single), 1.5) == 4.0
    assert side.dll.call_none(at(side.make(lambda: 41, "", stdcall=True))) == 42
    small = side.make(lambda value: -value, "b", Result.INT8)
    assert typed(side.dll.call_int8, ctypes.c_int8)(at(small), 5) == -5


@here
def test_structures_by_value(side):
    def handler(area: bytes) -> int:
        if side.width == 4:
            *items, last = struct.unpack_from("<6i", area)
        else:
            address, last = struct.unpack_from("<Qi", area, 32)
            items = struct.unpack("<5i", side.session.memory.read(address, 20))
        return sum(items) + last

    words = 16 if side.width == 8 else 24
    callback = side.session.callbacks.make(handler, words=words, popped=0, result=Result.INT32)
    assert side.dll.call_by_value(at(callback)) == 22


@here
@pytest.mark.parametrize("name", ["repeat", "repeat_stdcall"])
def test_registers_and_stack_stay_balanced(side, name):
    callback = side.make(lambda value: value, "q", Result.INT64, stdcall=name != "repeat")
    count = 300
    assert side.call64(name, callback.address, count) == sum(range(count)) + count**2


@everywhere
def test_qsort_of_msvcrt(side):
    numbers = [5, -3, 9, 1, 7, 0, -3]
    calls = []

    def compare(left: int, right: int) -> int:
        calls.append((left, right))
        first, second = (struct.unpack("<i", side.session.memory.read(address, 4))[0] for address in (left, right))
        return (first > second) - (first < second)

    callback = side.make(compare, "QQ" if side.width == 8 else "II")
    items = (ctypes.c_int * len(numbers))(*numbers)
    qsort = load_dll("msvcrt", convention="cdecl", session=side.session).qsort
    qsort.argtypes, qsort.restype = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p], None
    qsort(items, len(numbers), 4, at(callback))
    assert list(items) == sorted(numbers) and calls


# Calls within callbacks.


@everywhere
def test_nested_calls_run_on_the_same_windows_thread(side):
    threads = [side.dll.thread_id()]
    callback = side.make(lambda value: [threads.append(side.dll.thread_id()), value + 1][1])
    side.dll.keep(at(callback))
    assert side.dll.call_kept(4) == 5
    assert len(threads) == 2 and threads[0] == threads[1]


@everywhere
def test_recursion(side):
    deepest = 100 if side.session.transport.name != "http" else 20
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    callback = side.make(lambda depth: side.dll.descend(at(callback), depth + 1) if depth < deepest else 1000)
    try:
        assert side.dll.descend(at(callback), 0) == 1000 + deepest + 1
    finally:
        sys.setrecursionlimit(before)
    assert side.dll.thread_id()


@everywhere
def test_a_fault_in_a_nested_call_ends_that_call_only(side):
    faults = []

    def handler(depth: int) -> int:
        try:
            side.dll.read_at(0x10)
        except WindowsFault as fault:
            faults.append(fault.address)
        return side.dll.descend(at(callback), depth - 1) if depth else 7

    callback = side.make(handler)
    assert side.dll.descend(at(callback), 5) == 7 + 6
    assert faults == [0x10] * 6
    with pytest.raises(WindowsFault):
        side.dll.read_at(0x20)


@here
def test_a_fault_of_the_dll_after_its_callback(side):
    callback = side.make(lambda value: 0x50)
    for _ in range(2):
        with pytest.raises(WindowsFault, match="reading") as caught:
            side.dll.read_what(at(callback))
        assert caught.value.address == 0x50
    assert side.dll.thread_id()


@everywhere
def test_a_handler_that_raises(side, monkeypatch):
    caught = []
    monkeypatch.setattr(sys, "unraisablehook", caught.append)

    def handler(value: int) -> int:
        raise ZeroDivisionError(str(value))

    callback = side.make(handler)
    assert side.dll.descend(at(callback), 3) == 1
    assert [(info.exc_type, str(info.exc_value)) for info in caught] == [(ZeroDivisionError, "3")]
    assert "callback" in caught[0].err_msg and repr(caught[0].object) == repr(callback.handler)
    caught.clear()


@here
def test_last_error_as_on_windows(side):
    seen = []

    def handler(value: int) -> int:
        seen.append((value, last_error()))
        side.session.memory.alloc(4)  # the agent's own doing does not show
        side.dll.fail(55)
        seen.append(last_error())
        return 3

    kernel32 = load_dll("kernel32", session=side.session)
    last_error = kernel32.GetLastError
    callback = side.make(handler)
    side.dll.fail(11)
    assert side.dll.with_errors(at(callback), 44) == 55_003
    assert seen == [(44, 44), 55] and last_error() == 55


@here
def test_last_error_that_a_handler_gives(side):
    seen = []

    def handler(area: bytes, last_error: int, errno: int) -> tuple[int, int, int]:
        seen.append(last_error)
        return 5, last_error + 1, errno

    words = side.words("i")
    callback = side.session.callbacks.make(
        handler, words=words, popped=0, result=Result.INT32, flags=Flag.SWAP_LAST_ERROR
    )
    assert side.dll.with_errors(at(callback), 44) == 45_005 and seen == [44]


@here
def test_what_a_swapping_call_hides_stays_hidden(side):
    swapping = load_dll(side.path, convention="cdecl", session=side.session, use_last_error=True)
    callback = side.make(lambda value: [side.dll.fail(66), 1][1])
    side.dll.fail(11)
    assert swapping.with_errors(at(callback), 44) == 66_001
    kernel32 = load_dll("kernel32", session=side.session)
    assert kernel32.GetLastError() == 11


# Memory of the call that waits.


@everywhere
def test_the_memory_of_the_running_call(side):
    """What the DLL wrote is seen; what nested calls write stays; nested calls do not overwrite it."""
    count = 500

    def handler(address: int, size: int) -> int:
        assert size == count
        data = struct.unpack(f"<{count}i", side.session.memory.read(address, 4 * count))
        side.session.memory.write(address, struct.pack("<i", 100))
        own = (ctypes.c_int * count)(*[1] * count)
        side.dll.work_on(own, count, at(inner))
        return int(data == tuple(range(count)))

    inner = side.make(lambda *_: 0, "Qi" if side.width == 8 else "Ii")
    callback = side.make(handler, "Qi" if side.width == 8 else "Ii")
    items = (ctypes.c_int * count)()
    assert side.dll.work_on(items, count, at(callback)) == 1000 + sum(range(count)) + 100
    assert list(items) == [100, *range(1, count)]


@everywhere
def test_an_arena_that_grows_in_a_callback(side):
    """The outer call's memory stays where it is, although the nested ones need larger arenas."""
    count = 1000

    def handler(address: int, size: int) -> int:
        for megabytes in (1, 3):
            large = (ctypes.c_char * (megabytes << 20))()
            assert side.session.memory.read(side.session.memory.alloc(megabytes << 20), megabytes << 20) == large.raw
        side.session.memory.write(address + 4, struct.pack("<i", 77))
        return 1

    callback = side.make(handler, "Qi" if side.width == 8 else "Ii")
    for _ in range(2):
        items = (ctypes.c_int * count)()
        assert side.dll.work_on(items, count, at(callback)) == 1000 + sum(range(count)) + 76
        assert items[1] == 77 and items[count - 1] == count - 1


@sides("stream", "http")
def test_changes_of_the_clients_copy_go_back_with_the_answer(side):
    session, count = side.session, 100
    arena = session.reserve(4 * count)
    start = arena.top

    def handler(address: int, size: int) -> int:
        assert arena.view[start + 4 : start + 8] == struct.pack("<i", 1)  # it came with the callback
        session.memory.write(address, struct.pack("<i", 1000))
        arena.view[start + 8 : start + 12] = struct.pack("<i", 2000)
        return 0

    callback = side.make(handler, "Qi" if side.width == 8 else "Ii")
    words = wire.words(side.width, arena.base + start, count, callback.address)
    arena.top = start + 4 * count
    message = wire.request(
        Op.CALL, words, target=side.dll.work_on.address, flags=Result.INT32, arena=(start, 4 * count, 4 * count)
    )
    record = session.exchange(message)
    arena.top = start
    assert record[2] == sum(range(count)) + 1000 + 1998


# Life of callbacks.


@everywhere
def test_a_dropped_callback_is_a_clear_fault(side):
    callback = side.make(lambda value: value)
    address = callback.address
    side.dll.keep(at(callback))
    assert side.dll.call_kept(3) == 3
    callback.close()
    callback.close()
    for _ in range(2):
        with pytest.raises(WindowsFault, match="Python object is gone") as caught:
            side.dll.call_kept(3)
        assert caught.value.code == CALLBACK_GONE
        other = side.make(lambda value: value)  # the agent hears of the closed one
        assert other.address != address
    assert side.dll.descend(at(other), 3) == 4


@here
def test_many_callbacks_leave_nothing(side):
    def lot(count: int) -> set[int]:
        return {side.make(lambda value: value).address // 65536 for _ in range(count)}

    pages = lot(10_000)
    gc.collect()
    assert len(side.session.callbacks.known) == 0
    assert len(pages) <= 2 and lot(100) <= pages


@here
def test_many_callbacks_at_once(side):
    made = [side.make(lambda value, index=index: value + index) for index in range(5000)]
    assert len({callback.address for callback in made}) == 5000
    assert [side.dll.descend(at(made[index]), 1) for index in (0, 2500, 4999)] == [2, 2502, 5001]
    pages = {callback.address // 65536 for callback in made}
    made.clear()
    assert {side.make(lambda value: value).address // 65536 for _ in range(5000)} <= pages


@here
def test_a_callback_can_close_itself(side):
    callback = side.make(lambda value: [callback.close(), side.make(lambda value: 0), 5][2])
    assert side.dll.descend(at(callback), 1) == 6


def test_bad_sizes_are_refused(arch):
    callbacks = SESSIONS[arch]().callbacks
    for words, popped in ((1 << 20, 0), (8, 16)):
        with pytest.raises(MemoryError):
            callbacks.make(lambda area: 0, words=words, popped=popped, result=Result.INT32)


@here
def test_an_answer_without_a_callback_is_refused(side):
    from winbridge import WireError

    with pytest.raises(WireError, match="opcode"):
        side.session.exchange(wire.request(Op.CALLBACK_RETURN, bytes(8)))
    assert side.dll.thread_id()


# Threads that the DLL made.


@everywhere
def test_a_thread_of_the_dll(side):
    threads = set()

    def handler(value: int) -> int:
        threads.add((threading.get_ident(), side.dll.thread_id(), side.dll.thread_id()))
        return value + 10

    callback = side.make(handler)
    for _ in range(3):
        assert side.dll.on_threads(at(callback), 1) == 10
    assert len({windows for _, *both in threads for windows in both}) == 3
    assert threading.get_ident() not in {ident for ident, *_ in threads}


@everywhere
def test_threads_of_the_dll_that_wait_for_each_other(side):
    count = 6
    barrier = threading.Barrier(count)
    callback = side.make(lambda value: [barrier.wait(30), side.dll.descend(at(inner), value)][1])
    inner = side.make(lambda value: value * 2)
    for _ in range(2):
        assert side.dll.on_threads(at(callback), count) == 2 * sum(range(count)) + count


@here
def test_waiting_threads_sleep(side):
    callback = side.make(lambda value: value)
    assert side.dll.on_threads(at(callback), 3) == 3
    pid = side.session.transport.link.agent.process.pid

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before, own = ticks(), time.process_time()
    threading.Event().wait(1)
    assert ticks() - before < 30 and time.process_time() - own < 0.3


@here
def test_threads_end_with_the_session(side):
    callback = side.make(lambda value: value)
    side.dll.on_threads(at(callback), 4)
    name = f"winbridge-callbacks-{side.session.id}-"
    assert any(thread.name.startswith(name) for thread in threading.enumerate())
    side.session.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(thread.name.startswith(name) for thread in threading.enumerate()):
        os.sched_yield()
    assert not any(thread.name.startswith(name) for thread in threading.enumerate())


@here
def test_a_freed_callback_on_a_thread_of_the_dll_ends_the_process(side):
    """As an unhandled exception does on Windows: nobody is there to catch it."""
    callback = side.make(lambda value: value)
    address = at(callback)
    callback.close()
    side.make(lambda value: value)
    with pytest.raises(AgentDiedError, match="(?i)e0574243.*whose Python object is gone"):
        side.dll.on_threads(address, 1)


# Ends in the middle.


@here
def test_close_while_a_callback_runs(side):
    callback = side.make(lambda value: [side.session.close(), value][1])
    with pytest.raises(SessionClosedError):
        side.dll.descend(at(callback), 1)
    assert side.session.closed


@here
def test_close_by_another_thread_while_a_callback_runs(side):
    def handler(value: int) -> int:
        closer = threading.Thread(target=side.session.close)
        closer.start()
        closer.join(20)
        return int(not closer.is_alive())

    callback = side.make(handler)
    with pytest.raises(SessionClosedError):
        side.dll.descend(at(callback), 1)


@here
@pytest.mark.parametrize("nested", [False, True], ids=["answering", "nested"])
def test_agent_killed_inside_a_callback(side, nested, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)

    def handler(value: int) -> int:
        os.kill(side.session.transport.link.agent.process.pid, signal.SIGKILL)
        return side.dll.thread_id() if nested else 0

    callback = side.make(handler)
    with pytest.raises(AgentDiedError):
        side.dll.descend(at(callback), 1)
    assert side.session.closed


@here
def test_agent_killed_while_a_thread_of_the_dll_is_inside(side):
    inside, killed = threading.Event(), threading.Event()
    callback = side.make(lambda value: [inside.set(), killed.wait(20), 0][2])
    side.dll.start_thread(at(callback), 1)
    assert inside.wait(20)
    os.kill(side.session.transport.link.agent.process.pid, signal.SIGKILL)
    with pytest.raises(AgentDiedError):
        side.dll.thread_id()
    killed.set()


@here
def test_interrupt_inside_a_callback(side):
    calls = []

    def handler(value: int) -> int:
        calls.append(value)
        signal.raise_signal(signal.SIGINT)
        return 99

    callback = side.make(handler, "q", Result.INT64)
    with pytest.raises(KeyboardInterrupt):
        side.dll.repeat(at(callback), 3)
    assert calls == [0]  # the later ones return 0 at once
    assert side.dll.thread_id() and side.dll.descend(at(side.make(lambda value: value)), 1) == 2


@here
def test_a_time_out_within_a_callback(side, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda info: raised.append(info.exc_type))
    raised = []
    sleep = load_dll("kernel32", session=side.session).Sleep
    sleep.argtypes, sleep.restype = [ctypes.c_uint], None
    callback = side.make(lambda value: [sleep(60_000), value][1])
    side.session.set_parameter("timeout_call", 0.3)
    with pytest.raises(SessionClosedError, match="given up"):
        side.dll.descend(at(callback), 1)
    assert raised == [CallTimeoutError]
    side.session.set_parameter("timeout_call", None)
    assert side.dll.thread_id()


@pytest.mark.win64
def test_waiting_for_callbacks_is_no_call_to_a_gateway(caller_paths):
    """With room for one call at once, several threads of the DLL can still wait, and be answered."""
    from tests.fix_gateway import TOKEN, run_gateway
    from winbridge import GatewaySession
    from winbridge.gateway.sessions import Limits

    with run_gateway(limits=Limits(calls=1)) as gateway:
        session = GatewaySession(gateway.url, token=TOKEN)
        side = Side(session, load_dll("Z:" + str(caller_paths["win64"]), convention="cdecl", session=session), "")
        came = threading.Semaphore(0)
        callback = side.make(lambda value: [came.release(), value][1])
        for value in range(3):
            side.dll.start_thread(at(callback), value)
            assert came.acquire(timeout=20)
        assert side.dll.thread_id()
        started = time.monotonic()
        session.close()
        assert time.monotonic() - started < 4
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("winbridge-callbacks")]


def test_exit_while_a_thread_of_the_dll_is_inside(run_python, caller_paths, arch):
    code = """
import ctypes, sys, threading, winbridge
from winbridge.core.wire import Result
dll = winbridge.load_dll(sys.argv[1], convention="cdecl")
inside = threading.Event()
callback = dll.session().callbacks.make(
    lambda area: [inside.set(), threading.Event().wait()][1], words=8, popped=0, result=Result.INT32
)
dll.start_thread(ctypes.c_void_p(callback.address), 1)
print(inside.wait(20))
"""
    done = run_python(code, str(caller_paths[arch]))
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
