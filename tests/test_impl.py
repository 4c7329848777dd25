"""The two implementations of the hot steps: which is chosen, and that both do the same."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import winbridge
from winbridge import AgentDiedError, CallTimeoutError, SessionClosedError, WireError
from winbridge.core import impl, wire
from winbridge.core.transport import slot
from winbridge.core.wire import SLOT, Op, Result, Status

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "impl_cases.py"
PATIENCE = 60
SHOW = "import winbridge; print(winbridge.__impl__)"
WITHOUT = "import sys; sys.modules['winbridge._native'] = None\n"
OTHER_VERSION = """
import sys, types
other = types.ModuleType("winbridge._native")
other.ABI, other.WIRE, other.__file__ = 0, 1, "/old/_native.so"
sys.modules["winbridge._native"] = other
"""

built = pytest.mark.skipif(
    importlib.util.find_spec("winbridge._native") is None,
    reason="THE C EXTENSION IS NOT BUILT (make extension): not run",
)


def python(code: str, implementation: str | None = None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "WINBRIDGE_IMPL"}
    if implementation is not None:
        environment["WINBRIDGE_IMPL"] = implementation
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )


# Which one.


def test_python_can_be_forced():
    assert python(SHOW, "python").stdout.strip() == "python"


@built
@pytest.mark.parametrize("forced", ["native", None, ""])
def test_the_extension_is_taken_where_it_is_built(forced):
    assert python(SHOW, forced).stdout.strip() == "native"


def test_without_the_extension_it_is_python():
    done = python(WITHOUT + SHOW)
    assert (done.stdout.strip(), done.stderr) == ("python", "")


def test_forced_without_the_extension_says_how_to_build_it():
    done = python(WITHOUT + SHOW, "native")
    assert done.returncode == 1
    assert "ImportError: WINBRIDGE_IMPL=native" in done.stderr and "make extension" in done.stderr


def test_an_unknown_name_is_refused():
    done = python(SHOW, "rust")
    assert "ImportError: WINBRIDGE_IMPL='rust' is unknown: it takes python or native" in done.stderr


def test_an_extension_of_another_version_is_refused():
    done = python(OTHER_VERSION + SHOW)
    assert done.stdout.strip() == "python"
    assert "RuntimeWarning: /old/_native.so is of another version of winbridge" in done.stderr
    done = python(OTHER_VERSION + SHOW, "native")
    assert done.returncode == 1 and f"0.1, needed is {impl.ABI}.{wire.VERSION}" in done.stderr


def test_this_run_uses_the_one_that_was_asked_for():
    assert winbridge.__impl__ == impl.__impl__ == os.environ.get("WINBRIDGE_IMPL", winbridge.__impl__)
    assert (impl.native is None) == (winbridge.__impl__ == "python")


@built
@pytest.mark.wine
def test_both_do_the_same(specimen_path, arch):
    """Some 3,000 calls, errors and objects, whose outcomes are printed."""
    code = f"import runpy, sys; runpy.run_path({str(CASES)!r}, run_name='__main__')"
    runs = {name: python(code, name, str(specimen_path), arch) for name in ("python", "native")}
    for name, done in runs.items():
        assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, [name]), done.stderr
    assert runs["native"].stdout.count("\n") > 2500
    assert runs["native"].stdout.splitlines() == runs["python"].stdout.splitlines()


# One slot, with the agent's side of it played by a thread.


def slots() -> list[object]:
    found = [pytest.param(slot.Slot, id="python")]
    if importlib.util.find_spec("winbridge._native") is not None:
        native = importlib.import_module("winbridge._native")
        found.append(pytest.param(native.Slot, id="native"))
    return found


class Pair:
    """A slot of a class, and what its agent needs."""

    def __init__(self, kind, spin: int) -> None:
        class Channel(kind):
            def _death(self):
                return AgentDiedError("it died")

            def _given_up(self):
                return SessionClosedError("it was given up")

            def _late(self, timeout):
                return CallTimeoutError(f"late: {timeout:g}")

            def _oversized(self):
                return WireError("too large")

            def close(self):
                self.release()

        self.memory = bytearray(SLOT["ARENA"])
        self.view = memoryview(self.memory)
        self.words = self.view.cast("I")
        self.requests, wake_agent = os.pipe()
        woken, self.wakes = os.pipe()
        self.descriptors = [self.requests, wake_agent, woken, self.wakes]
        self.channel = Channel(self.view, wake_agent, woken, spin, (16, 256), 0.5)
        self.seen = 0

    def word(self, name: str) -> int:
        return self.words[SLOT[name] // 4]

    def put(self, name: str, value: int) -> None:
        self.words[SLOT[name] // 4] = value

    def answer(self, *responses: tuple[wire.Response, bytes]) -> threading.Thread:
        """Answer so many requests, from a thread."""

        def run():
            for response, area in responses:
                self.put("AGENT_ASLEEP", 1)
                while self.word("REQUEST_SERIAL") == self.seen:
                    os.read(self.requests, 64)
                self.put("AGENT_ASLEEP", 0)
                self.seen = self.word("REQUEST_SERIAL")
                self.view[SLOT["REQUEST"] : SLOT["REQUEST"] + len(area)] = area
                self.view[SLOT["RESPONSE"] : SLOT["RESPONSE"] + wire.RESPONSE.size] = wire.RESPONSE.pack(*response)
                self.put("RESPONSE_SERIAL", self.seen)
                if self.word("CLIENT_ASLEEP"):
                    os.write(self.wakes, b"\0")

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def close(self) -> None:
        self.channel.close()
        for descriptor in self.descriptors:
            os.close(descriptor)


@pytest.fixture(params=slots())
def pair(request):
    made = Pair(request.param, 100)
    yield made
    made.close()


RECORD = wire.Response(Status.OK, 5, -(2**63), 2.5, -7, 2**32 - 1, 2**64 - 1, 1, 2)


def test_a_record_comes_back_whole(pair):
    agent = pair.answer(*[(RECORD, b"")] * 300)
    for _ in range(300):
        assert pair.channel.exchange(wire.request(Op.CALL, b"12345678")) == tuple(RECORD)
    agent.join()
    assert bytes(pair.view[SLOT["REQUEST"] :][:64]) == wire.request(Op.CALL, b"12345678")


def test_a_callback_brings_its_area(pair):
    agent = pair.answer((RECORD._replace(status=Status.CALLBACK, access=40), bytes(range(40))))
    assert pair.channel.exchange(wire.request(Op.CALL))[9] == bytes(range(40))
    agent.join()


@pytest.mark.parametrize("size", [SLOT["ARENA"] - SLOT["REQUEST"] + 1, 2**64 - 1])
def test_an_area_larger_than_the_slot_is_an_error(pair, size):
    agent = pair.answer((RECORD._replace(status=Status.CALLBACK, access=size), b""))
    with pytest.raises(WireError, match="too large"):
        pair.channel.exchange(wire.request(Op.CALL))
    agent.join()


def test_a_message_larger_than_the_slot_is_an_error(pair):
    with pytest.raises(ValueError):
        pair.channel.exchange(bytes(SLOT["ARENA"]))
    assert pair.word("REQUEST_SERIAL") == 0


@pytest.mark.parametrize("timeout", [0.01, 0, 1e-9])
def test_a_time_out(pair, timeout):
    with pytest.raises(CallTimeoutError, match=f"late: {timeout:g}"):
        pair.channel.exchange(b"", timeout)


def test_the_end_of_the_agent_wakes_a_sleeper(pair):
    os.close(pair.descriptors.pop())
    with pytest.raises(AgentDiedError):
        pair.channel.exchange(b"", None)


def test_nobody_reads_the_wake_up(pair):
    pair.put("AGENT_ASLEEP", 1)
    os.close(pair.descriptors.pop(0))
    with pytest.raises(AgentDiedError):
        pair.channel.exchange(b"")


def test_a_released_slot_is_given_up(pair):
    assert pair.channel.release()
    with pytest.raises(SessionClosedError):
        pair.channel.exchange(b"")


def test_a_stray_wake_up_does_no_harm(pair):
    os.write(pair.wakes, b"\0\0\0")
    agent = pair.answer(*[(RECORD, b"")] * 3)
    for _ in range(3):
        assert pair.channel.exchange(b"", PATIENCE) == tuple(RECORD)
    agent.join()


@pytest.mark.parametrize("kind", slots())
def test_without_spinning_it_sleeps_at_once(kind):
    pair = Pair(kind, 0)
    agent = pair.answer(*[(RECORD, b"")] * 50)
    for _ in range(50):
        assert pair.channel.exchange(b"", PATIENCE) == tuple(RECORD)
    agent.join()
    pair.close()


@pytest.mark.parametrize("kind", slots()[1:])
def test_memory_goes_away_only_after_the_thread_that_waits(kind):
    """Only C holds on to an address; Python finds out by its views."""
    pair = Pair(kind, 100)
    errors = []

    def wait():
        try:
            pair.channel.exchange(b"")
        except SessionClosedError as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not pair.word("CLIENT_ASLEEP") and time.monotonic() < deadline:
        os.sched_yield()
    assert pair.channel.release() is False
    pair.put("RESPONSE_SERIAL", 1)
    os.write(pair.wakes, b"\0")
    thread.join(PATIENCE)
    assert len(errors) == 1 and pair.channel.release() is True
    pair.close()


# With a real agent.


@pytest.mark.wine
def test_other_threads_go_on_during_a_long_call(specimen):
    specimen.nap.argtypes, specimen.nap.restype = [ctypes.c_uint], None
    count, stop = [0], threading.Event()

    def run():
        while not stop.is_set():
            count[0] += 1

    specimen.nap(0)
    thread = threading.Thread(target=run)
    thread.start()
    before = count[0]
    specimen.nap(200)
    during = count[0] - before
    stop.set()
    thread.join()
    assert during > 1000


@pytest.mark.wine
def test_ctrl_c_ends_a_long_call(specimen_path, arch):
    kind = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[arch]
    session = kind(transport="shm")
    specimen = session.load_dll(specimen_path, convention="cdecl")
    specimen.nap.argtypes, specimen.nap.restype = [ctypes.c_uint], None
    specimen.nap(0)
    words = session.channel()._slot.cast("I")
    before, sent = words[0], []

    def interrupt():
        deadline = time.monotonic() + PATIENCE
        while words[0] == before and time.monotonic() < deadline:  # until the call is under way
            os.sched_yield()
        words.release()
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        specimen.nap(PATIENCE * 1000)
    took = time.monotonic() - sent[0]
    thread.join()
    assert took < 1.0  # 0.1 is the aim, the rest is slack for a busy machine
    assert specimen.add(2, 3) == 5 and specimen.session() is session


@pytest.mark.wine
def test_a_prototype_changed_in_a_callback_of_its_own_call(specimen_path, arch):
    windows = winbridge.CtypesSession(arch=arch)
    with windows:
        sort = windows.cdll.msvcrt.qsort
        pointer = windows.POINTER(windows.c_int)
        compare = windows.CFUNCTYPE(windows.c_int, pointer, pointer)
        items = (windows.c_int * 3)(3, 1, 2)

        def ordered(left, right):
            sort.argtypes, sort.restype = None, windows.c_int
            return left[0] - right[0]

        for _ in range(2):
            sort.argtypes = [pointer, windows.c_size_t, windows.c_size_t, compare]
            sort.restype = None
            assert sort(items, 3, 4, compare(ordered)) is None
        assert items[:] == [1, 2, 3]


@pytest.mark.wine
def test_a_function_that_is_used_by_many_threads_and_sessions(specimen_path, arch):
    kind = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[arch]
    add = winbridge.load_dll(specimen_path, convention="cdecl", arch=arch).add
    add.argtypes = [ctypes.c_int, ctypes.c_int]
    wrong = []

    def run(own: bool, first: int):
        if own:
            kind()
        wrong.extend(number for number in range(first, first + 300) if add(number, 1) != number + 1)

    threads = [threading.Thread(target=run, args=(index % 2 == 0, 1000 * index)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# The build.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "environment", "status", "text"),
    [
        ("", {"CC": "no-such-compiler"}, 0, "no-such-compiler is not on PATH"),
        ("1", {"CC": "no-such-compiler"}, 1, "no-such-compiler is not on PATH"),
        ("0", {"CC": "no-such-compiler"}, 0, ""),
        ("1", {}, 0, ""),
        ("2", {}, 1, "it takes 0, 1 or nothing"),
    ],
)
def test_the_build_falls_back_or_fails(tmp_path, wanted, environment, status, text):
    command = [
        sys.executable,
        "setup.py",
        "build_ext",
        "--build-lib",
        str(tmp_path),
        "--build-temp",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "WINBRIDGE_BUILD_EXTENSION": wanted, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    output = done.stdout + done.stderr
    assert (done.returncode != 0) == bool(status), output
    assert text in output
    assert len(list(tmp_path.glob("winbridge/_native*.so"))) == (wanted == "1" and not status)


def test_the_result_of_a_callback_is_none():
    """core/callbacks.py writes the flags of a callback's return without it."""
    assert Result.NONE == 0
