"""Faults of DLLs that end nothing: stuck at loading, changes to what all share, output."""

from __future__ import annotations

import logging
import math
import os
import threading

import pytest

from tests.faults.matrix import EACH_ARCH, Bench, agent_of, gone, row
from winbridge import CallTimeoutError, load_dll

GROUP = "DLLs"


@row(
    GROUP,
    "its DllMain never returns",
    seen=CallTimeoutError,
    within=1,
    after="Threads that have called before go on calling. Windows starts no thread and loads nothing more in this"
    " process, so other threads, loading and looking functions up time out. ``close()`` ends the process at once,"
    " without telling its DLLs.",
)
def stuck_in_dllmain(bench: Bench) -> None:
    dll = bench.dll(timeout_call=0.5, timeout_stop=60)
    session, process = dll.session(), agent_of(dll.session())
    caught = threading.Event()

    def load() -> None:
        bench.strike(lambda: None)
        with bench.noticed("timeout_call"):
            session.load_dll(bench.dlls / "stuck.dll").anything  # noqa: B018 - loads it
        caught.set()

    assert dll.add(1, 2) == 3
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert caught.is_set() and dll.add(2, 3) == 5 and session.abandoned == 1
    with pytest.raises(CallTimeoutError):
        session.load_dll("winmm")
    bench.strike(session.close)
    bench.measure()
    assert gone(process, 0)


@row(
    GROUP,
    "changes the floating-point control words",
    seen=None,
    after="All later calls compute as usual, also after a crash: what the DLL leaves is put right. Functions of the C"
    " runtime (``_controlfp``, ``fesetround``) do change it for the thread, as they are meant to.",
)
def spoils_arithmetic(bench: Bench) -> None:
    dll = bench.dll()
    exact = [typed(dll[name]) for name in ("divide", "divide_x87")]
    usual = [function(1.0, 3.0) for function in exact]
    dll.spoil_arithmetic()
    assert [function(1.0, 3.0) for function in exact] == usual == [1 / 3, 1 / 3]
    with pytest.raises(OSError, match="access violation"):
        dll.spoil_and_crash()
    assert [function(1.0, 0.0) for function in exact] == [math.inf, math.inf]

    control = load_dll("msvcrt", convention="cdecl", session=dll.session())._controlfp
    upwards, rounding = 0x200, 0x300
    control(upwards, rounding)
    assert exact[0](1.0, 3.0) == math.nextafter(1 / 3, 1)
    control(0, rounding)
    assert exact[0](1.0, 3.0) == 1 / 3


def typed(function):
    import ctypes

    function.argtypes, function.restype = [ctypes.c_double, ctypes.c_double], ctypes.c_double
    return function


@row(
    GROUP,
    "changes the working directory",
    seen=None,
    after="``load_dll`` takes relative paths from Python's own working directory, as ever. Only Windows code in the"
    " same session sees the change.",
    sides=EACH_ARCH,
)
def changes_the_directory(bench: Bench) -> None:
    dll = bench.dll()
    (bench.folder / "vendor.dll").write_bytes((bench.dlls / "culprit.dll").read_bytes())
    before = os.getcwd()
    assert dll.change_directory(b"C:\\windows") == 1 and os.getcwd() == before
    bench.monkeypatch.chdir(bench.folder)
    assert load_dll("./vendor.dll", convention="cdecl", session=dll.session()).add(2, 3) == 5
    assert dll.add(2, 3) == 5


@row(
    GROUP,
    "changes the locale",
    seen=None,
    after="Everything; only that C runtime in the same session sees the change.",
    sides=EACH_ARCH,
)
def changes_the_locale(bench: Bench) -> None:
    import ctypes
    import locale

    dll = bench.dll()
    dll.change_locale.restype = ctypes.c_char_p
    before = locale.setlocale(locale.LC_ALL)
    assert b"German" in dll.change_locale(b"German")
    assert locale.setlocale(locale.LC_ALL) == before
    assert typed(dll.divide)(1.0, 4.0) == 0.25
    with pytest.raises(OSError, match="access violation writing 0x0+10"):
        dll.spoil_and_crash()


@row(
    GROUP,
    "prints without end",
    seen=None,
    after="Everything: its standard output and error go to the log ``winbridge.agent``.",
)
def prints(bench: Bench) -> None:
    counter = Counter()
    bench.request.addfinalizer(counter.attach())
    dll = bench.dll()
    future = dll.flood.submit(4096)
    assert dll.add(2, 3) == 5
    future.result(20)
    bench.until(lambda: counter.size >= 4096 * 1023)
    assert dll.add(2, 3) == 5


class Counter(logging.Handler):
    """Counts the characters x in the log of the agents."""

    size = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.size += record.getMessage().count("x")

    def attach(self):
        logger = logging.getLogger("winbridge.agent")
        before = logger.level
        logger.setLevel("INFO")
        logger.addHandler(self)
        return lambda: (logger.removeHandler(self), logger.setLevel(before))
