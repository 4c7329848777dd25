"""What is repeated: each part opens what it needs, and then does some of it at a time and checks what comes back."""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import winbridge
from soak.gauges import AgentGauges, client_gauges

SESSIONS = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}
Gauges = Callable[[], dict[str, int]]


Work = Callable[[], int]
"""Does some of a part; returns how much."""


class Part(NamedTuple):
    """One soak run.

    Attributes:
        count: how many in a full run, on each architecture.
        warm_up: how many before the first sample, until caches and free lists have filled up.
        open: with an architecture and the folder of the test DLLs, a context with the work and the gauges.
    """

    count: int
    warm_up: int
    open: Callable[[str, Path], AbstractContextManager[tuple[Work, Gauges]]]


def _gauges(session: winbridge.SessionEngine) -> Gauges:
    agent = AgentGauges(session)
    return lambda: {**client_gauges(), **agent()}


def _check(holds: bool) -> None:
    if not holds:
        raise AssertionError("a call gave a wrong result")


@contextmanager
def calls(arch: str, dlls: Path) -> Iterator[tuple[Work, Gauges]]:
    """Ten calls of ten kinds, one of them a fault."""
    with SESSIONS[arch]() as session:
        dll = session.load_dll(dlls / arch / "specimen.dll", convention="cdecl", use_last_error=True)
        dll.sum_doubles.argtypes, dll.sum_doubles.restype = [ctypes.c_double] * 10, ctypes.c_double
        dll.wide_greeting.restype = ctypes.c_wchar_p
        dll.checksum.argtypes = [ctypes.c_char_p, ctypes.c_uint32]
        dll.read_at.argtypes = [ctypes.c_void_p]
        numbers = itertools.count()

        def work() -> int:
            number = next(numbers) % 1_000_000
            value = ctypes.c_int(number)
            _check(dll.add(number, 1) == number + 1)
            _check(dll.add(number, -1) == number - 1)
            _check(dll.sum_doubles(*[1.0] * 9, number) == 45 + 10 * number)
            dll.double_in_place(ctypes.byref(value))
            _check(value.value == 2 * number)
            _check(dll.wide_length("ä" * (number % 50)) == number % 50)
            _check(dll.wide_greeting() == "héllo 😀")
            size = number % 16 * 200
            _check(dll.checksum(bytes(size), size) == 0)
            _check(dll.sum_array((ctypes.c_int * 10)(*range(number, number + 10)), 10) == 10 * number + 45)
            dll.fail_with(number)
            _check(winbridge.get_last_error() == number)
            try:
                dll.read_at(16)
            except winbridge.WindowsFault:
                return 10
            raise AssertionError("a fault was not noticed")

        yield work, _gauges(session)


@contextmanager
def callbacks(arch: str, dlls: Path) -> Iterator[tuple[Work, Gauges]]:
    """A new callback is called ten times and dropped: from a loop in the DLL, each tenth from ten threads of it."""
    with SESSIONS[arch]() as session:
        dll = session.load_dll(dlls / arch / "caller.dll", convention="cdecl")
        types = winbridge.CtypesSession(session=session)
        dll.repeat.restype = types.c_longlong
        looped = types.CFUNCTYPE(types.c_longlong, types.c_longlong)
        threaded = types.CFUNCTYPE(types.c_int, types.c_int)
        together = threading.Barrier(
            10
        )  # threads that serve callbacks stay: as many as were ever busy at once, and one
        _check(dll.on_threads(threaded(lambda value: together.wait() * 0 + value), 10) == 45)
        numbers = itertools.count()

        def work() -> int:
            number = next(numbers)
            if number % 10:
                _check(dll.repeat(looped(lambda value: value * number), 10) == 45 * number + 100)
            else:
                _check(dll.on_threads(threaded(lambda value: value + number % 1000), 10) == 45 + 10 * (number % 1000))
            return 10

        yield work, _gauges(session)


@contextmanager
def loads(arch: str, dlls: Path) -> Iterator[tuple[Work, Gauges]]:
    """A DLL is loaded, called and freed, and one that stays is loaded again."""
    path = dlls / arch / "specimen.dll"
    windows_path = "Z:" + str(path).replace("/", "\\")
    with SESSIONS[arch]() as session:
        session.load_dll(dlls / arch / "caller.dll")

        def work() -> int:
            handle = session.modules.load(windows_path)
            _check(bool(session.modules.resolve(handle, "add")))
            session.modules.free(handle)
            _check(session.load_dll(dlls / arch / "caller.dll", convention="cdecl").call_none.__name__ == "call_none")
            return 2

        yield work, _gauges(session)


@contextmanager
def sessions(arch: str, dlls: Path) -> Iterator[tuple[Work, Gauges]]:
    """A session is opened, does a call, a callback and one with an argument in the heap, and closes."""

    def work() -> int:
        with SESSIONS[arch].apart() as session:
            dll = session.load_dll(dlls / arch / "caller.dll", convention="cdecl")
            types = winbridge.CtypesSession(session=session)
            dll.repeat.restype = types.c_longlong
            callback = types.CFUNCTYPE(types.c_longlong, types.c_longlong)
            _check(dll.repeat(callback(lambda value: 2 * value), 5) == 45)
            shared = session.load_dll(dlls / arch / "specimen.dll", convention="cdecl")
            numbers = winbridge.shared(ctypes.c_int * 4, arch)
            numbers[:] = [1, 2, 3, 4]
            _check(shared.sum_array(numbers, 4) == 10)
        return 1

    yield work, client_gauges


PARTS = {
    "calls": Part(1_000_000, 10_000, calls),
    "callbacks": Part(100_000, 5_000, callbacks),
    "loads": Part(20_000, 1_000, loads),
    "sessions": Part(500, 30, sessions),
}
