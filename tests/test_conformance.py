"""One suite over every transport: whatever carries the messages, a session behaves the same."""

from __future__ import annotations

import ctypes
import struct
import threading

import pytest

from winbridge import (
    MemorySession,
    SessionClosedError,
    Win32Session,
    Win64Session,
    WindowsFault,
    WireError,
    load_dll,
)
from winbridge.core import wire
from winbridge.core.modules import WindowsError
from winbridge.core.transport.contract import Arena
from winbridge.core.transport.memory import native
from winbridge.core.wire import Op, Result, Status

INT, DOUBLE = ctypes.c_int, ctypes.c_double


def memory_specimen() -> dict:
    """The functions of specimen.c that this suite calls, for the agent in memory."""
    return {
        "add": native(INT, [INT, INT])(lambda a, b: a + b),
        "sum_doubles": native(DOUBLE, [DOUBLE] * 10)(lambda *values: sum(k * v for k, v in enumerate(values, 1))),
        "echo_uint8": lambda value: value,
        "echo_int8": lambda value: value,
        "echo_float": native(ctypes.c_float, [ctypes.c_float])(lambda value: value),
        "echo_pointer": lambda value: value,
    }


@pytest.fixture(
    params=[
        "memory",
        *(
            pytest.param((carrier, arch), marks=[pytest.mark.wine, getattr(pytest.mark, arch)], id=f"{carrier}-{arch}")
            for carrier in ("shm", "stream", "http")
            for arch in ("win64", "win32")
        ),
    ]
)
def session(request, dll_folder):
    if request.param == "memory":
        yield MemorySession(libraries={"specimen": memory_specimen()})
        return
    carrier, arch = request.param
    if carrier == "http":
        from winbridge import GatewaySession

        gateway = request.getfixturevalue("gateway")
        yield GatewaySession(gateway.url, token=gateway.token, arch=arch)
    else:
        yield {"win64": Win64Session, "win32": Win32Session}[arch](transport=carrier)


@pytest.fixture
def specimen(session, dll_folder):
    name = (
        "specimen"
        if session.transport.name == "memory"
        else "Z:" + str(dll_folder / session.arch / "specimen.dll").replace("/", "\\")
    )
    return session.modules.load(name)


def call(session, specimen, name, words=b"", kind=Result.INT32):
    target = session.modules.resolve(specimen, name)
    return session.exchange(wire.request(Op.CALL, words, target=target, flags=kind))


def words(session, *values):
    return struct.pack(f"<{len(values)}{'Q' if session.pointer_size == 8 else 'I'}", *values)


def test_the_contract(session):
    channel = session.channel()
    assert isinstance(channel.arena, Arena) and channel.arena.view.format == "B" and not channel.arena.view.readonly
    assert session.transport.pointer_size in (4, 8) and session.transport.up()
    assert isinstance(session.transport.name, str) and session.transport.describe()
    record = channel.exchange(wire.request(Op.ALLOC, words(session, 8)), None)
    assert len(record) == len(wire.RESPONSE_FIELDS) and record[0] == Status.OK


def test_integers(session, specimen):
    assert call(session, specimen, "add", words(session, 2, 3))[2] == 5
    assert call(session, specimen, "add", words(session, 2**32 - 5, 3))[2] == -2
    assert call(session, specimen, "echo_uint8", words(session, 0xFF), Result.UINT8)[2] == 255
    assert call(session, specimen, "echo_int8", words(session, 0xFF), Result.INT8)[2] == -1


def test_floating_point(session, specimen):
    assert call(session, specimen, "sum_doubles", struct.pack("<10d", *range(1, 11)), Result.DOUBLE)[3] == 385.0
    word = struct.pack("<f", 1.5) + bytes(session.pointer_size - 4)
    assert call(session, specimen, "echo_float", word, Result.FLOAT)[3] == 1.5


def test_memory(session):
    address = session.memory.alloc(300)
    assert session.memory.read(address, 300) == bytes(300)
    data = bytes(range(1, 256))
    session.memory.write(address, data)
    assert session.memory.read(address, 255) == data
    assert session.memory.string_at(address) == data
    assert session.memory.string_at(address, 3) == data[:3]
    text = "h\xe9llo \U0001f600"
    session.memory.write(address, (text + "\0").encode("utf-16-le"))
    assert session.memory.wstring_at(address) == text
    session.memory.free(address)


def test_strings_longer_than_the_first_room(session):
    data = b"x" * 5000
    address = session.memory.alloc(len(data) + 1)
    session.memory.write(address, data)
    assert session.memory.string_at(address) == data


def test_large_blocks_make_the_arena_grow(session):
    data = bytes(range(256)) * 4096
    address = session.memory.alloc(len(data))
    session.memory.write(address, data)
    assert session.memory.read(address, len(data)) == data
    assert session.memory.string_at(address + 1, 10) == data[1:11]


def test_an_arena_that_fits_nowhere_is_a_memory_error_and_nothing_else(session):
    with pytest.raises(MemoryError, match=str(1 << 45)):
        session.reserve(1 << 45)
    assert session.memory.read(session.memory.alloc(4), 4) == bytes(4)


def test_faults(session):
    for _ in range(2):
        with pytest.raises(WindowsFault, match="access violation reading 0x0+10$") as caught:
            session.memory.read(0x10, 4)
        assert caught.value.address == 0x10
    assert session.up


def test_missing_things(session, specimen):
    with pytest.raises(WindowsError) as caught:
        session.modules.load("no-such-dll")
    assert caught.value.code == 126
    with pytest.raises(WindowsError) as caught:
        session.modules.resolve(specimen, "no_such_function")
    assert caught.value.code == 127


def test_module_path(session, specimen):
    assert session.modules.path(specimen).lower().endswith("specimen.dll")


def test_unknown_operations_are_refused(session):
    with pytest.raises((WireError, Exception), match="(?i)opcode|not allowed|op"):
        session.exchange(wire.REQUEST.pack(200, Result.POINTER, 0, 0, 0, 0, 0, 0, 0, 0))
    assert session.memory.alloc(4)


def test_threads_have_channels_of_their_own(session, specimen):
    def work(index):
        for count in range(50):
            assert call(session, specimen, "add", words(session, index, count))[2] == index + count
        channels.append(session.channel())

    channels, threads = [session.channel()], [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, channels))) == 5


def test_history(session):
    session.set_parameter("history", 2)
    for _ in range(3):
        session.memory.free(session.memory.alloc(4))
    assert [call.name for call in session.history] == ["ALLOC", "RELEASE"]


def test_closed_sessions_say_so(session):
    session.close()
    assert not session.up
    with pytest.raises(SessionClosedError):
        session.memory.alloc(4)


def test_load_dll_goes_over_any_of_them(session, dll_folder):
    if session.transport.name == "memory":
        dll = session.load_dll("specimen", convention="cdecl")
    else:
        path = "Z:" + str(dll_folder / session.arch / "specimen.dll").replace("/", "\\")
        dll = load_dll(path, convention="cdecl", session=session)
    dll.sum_doubles.argtypes = [DOUBLE] * 10
    dll.sum_doubles.restype = DOUBLE
    assert dll.add(2, 3) == 5 and dll.sum_doubles(*range(1, 11)) == 385.0
