"""How sessions and agents begin, go on and end, on real Wine."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

import winbridge
from tests.conftest import ROOT
from winbridge import (
    AgentDiedError,
    AgentStartError,
    CallTimeoutError,
    ConfigError,
    SessionClosedError,
    Win32Session,
    Win64Session,
)
from winbridge.core import agent, wine, wire
from winbridge.core.config import Config
from winbridge.core.sharing import Replica

pytestmark = pytest.mark.wine
SESSIONS = {"win64": Win64Session, "win32": Win32Session}


@pytest.fixture
def session(arch):
    return SESSIONS[arch]()


def pid_of(session) -> int:
    return session.transport.link.agent.process.pid


def wait_until_gone(pid: int, seconds: float) -> bool:
    """Whether a process that is no child of ours ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def test_implicit_session_opens_by_itself_and_is_shared(specimen, arch):
    assert SESSIONS[arch].get_session() is None or specimen.session() is SESSIONS[arch].get_session()
    here = specimen.thread_id()
    seen = []
    thread = threading.Thread(target=lambda: seen.append((specimen.session(), specimen.thread_id())))
    thread.start()
    thread.join()
    assert seen[0][0] is specimen.session()
    assert seen[0][1] != here  # its own channel, its own Windows thread


def test_a_thread_that_ended_leaves_no_thread_object(run_python, arch):
    code = f"""
import threading, winbridge
thread = threading.Thread(target=lambda: winbridge.{SESSIONS[arch].__name__}().memory.alloc(4))
thread.start()
thread.join()
print([thread.name for thread in threading.enumerate() if not thread.name.startswith("winbridge-warden")])
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("['MainThread']\n", "")


def test_a_threads_channel_goes_with_it(specimen):
    session = specimen.session()
    specimen.thread_id()
    before = len(session._channels)
    threads = [threading.Thread(target=specimen.thread_id) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(session._channels) == before


def segments_of(session) -> int:
    """Shared segments that the agent has mapped."""
    maps = Path(f"/proc/{pid_of(session)}/maps").read_text().splitlines()
    return len({line.split("-")[0] for line in maps if "memfd:winbridge" in line})


def test_a_threads_memory_goes_with_it_in_the_agent_too(specimen):
    session = specimen.session()
    specimen.thread_id()
    large = (ctypes.c_char * (1 << 20))()
    specimen.fill(large, 2, 64)  # the heap's segment for it stays
    before = segments_of(session)
    for _ in range(5):
        thread = threading.Thread(target=lambda: [specimen.fill(large, 1 << 20, 65), specimen.fill(large, 2, 66)])
        thread.start()
        thread.join()
    deadline = time.monotonic() + 10
    while segments_of(session) > before and time.monotonic() < deadline:
        specimen.add(1, 2)  # the agent's threads end a little later than ours
    assert large[1] == b"B" and large[2] == b"A"
    assert segments_of(session) == before


def test_last_error_is_kept_by_thread(specimen):
    specimen.fail_with(11)
    seen = []

    def work():
        specimen.fail_with(22)
        seen.append(specimen.last_error())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [22] and specimen.last_error() == 11


@pytest.mark.win64
@pytest.mark.win32
def test_two_architectures_side_by_side(dll_folder):
    sizes = [winbridge.load_dll(dll_folder / arch / "specimen.dll", convention="cdecl") for arch in SESSIONS]
    assert [dll.session().arch for dll in sizes] == ["win64", "win32"]
    assert [dll.add(2, 3) for dll in sizes] == [5, 5]


def test_closing_ends_the_process(session):
    pid = pid_of(session)
    assert session.up
    session.close()
    assert not session.up and wait_until_gone(pid, 0)


def test_status_line(session, arch):
    assert repr(session).startswith(
        f"<{type(session).__name__} '{session.id}' up, {arch}, shm, pid {pid_of(session)}, 1 channel"
    )
    session.close()
    assert repr(session) == f"<{session.name} closed>"


def test_parameters(arch):
    session = SESSIONS[arch](id="lab", history=3, timeout_call=60)
    assert session.id == "lab" and session.get_parameter("timeout_call") == 60
    session.set_parameter("timeout_call", None)
    assert session.get_parameter("timeout_call") is None
    with pytest.raises(ConfigError, match="new_session"):
        session.set_parameter("prefix", "/elsewhere")
    with pytest.raises(ConfigError):
        session.set_parameter("nonsense", 1)
    with pytest.raises(ConfigError):
        session.get_parameter("nonsense")


def test_history_is_bounded_and_off_unless_asked(arch, specimen_path):
    session = SESSIONS[arch](history=3)
    dll = session.load_dll(specimen_path, convention="cdecl")
    read_at = dll.read_at
    for _ in range(5):
        dll.add(1, 2)
    with pytest.raises(OSError, match="reading"):
        read_at(16)
    assert [(call.name, call.outcome) for call in session.history] == [
        ("add", "ok"),
        ("add", "ok"),
        ("read_at", "WindowsFault"),
    ]
    assert all(call.duration > 0 for call in session.history)
    session.set_parameter("history", 0)
    dll.add(1, 2)
    assert session.history is None


def test_background_calls_stay_in_the_session_of_who_submits(arch, specimen_path):
    """Whatever sessions open and close meanwhile: each makes what functions remember out of date."""
    specimen = winbridge.load_dll(specimen_path, convention="cdecl", arch=arch)
    shared = specimen.session()

    def work():
        own = SESSIONS[arch]()
        futures = []
        for _ in range(20):
            futures.append(specimen.process_id.submit())
            winbridge.MemorySession().close()
        seen.append(({future.result() for future in futures}, specimen.process_id(), own is shared))

    seen = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (processes, own_process, same), here = seen[0], specimen.process_id()
    assert processes == {own_process} and own_process != here and not same


def test_killed_agent_is_an_exception_and_the_next_use_a_fresh_session(specimen):
    dead = specimen.session()
    os.kill(pid_of(dead), signal.SIGKILL)
    with pytest.raises(AgentDiedError, match="signal 9") as caught:
        specimen.add(1, 2)
    assert caught.value.exit_code == -9 and dead.closed
    assert specimen.add(1, 2) == 3
    assert specimen.session() is not dead


def test_a_fresh_session_has_the_parameters_of_the_dead_one(arch):
    session = SESSIONS[arch](id="lab")
    os.kill(pid_of(session), signal.SIGKILL)
    with pytest.raises(AgentDiedError):
        session.memory.alloc(1)
    assert SESSIONS[arch].current().id == "lab"


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_agent_killed_during_a_call(arch, specimen_path, transport):
    session = SESSIONS[arch](transport=transport)
    dll = session.load_dll(specimen_path, convention="cdecl")
    future = dll.wait_at_gate.submit(60_000)
    os.kill(pid_of(session), signal.SIGKILL)
    with pytest.raises(AgentDiedError):
        future.result(10)


def test_closing_while_another_thread_calls(specimen):
    future = specimen.wait_at_gate.submit(60_000)
    while not future.running():
        pass
    specimen.session().close()
    with pytest.raises((SessionClosedError, AgentDiedError)):
        future.result(10)


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_a_call_that_takes_too_long_is_abandoned(arch, specimen_path, transport):
    session = SESSIONS[arch](timeout_call=0.2, transport=transport)
    dll = session.load_dll(specimen_path, convention="cdecl")
    with pytest.raises(CallTimeoutError, match="0.2 s"):
        dll.wait_at_gate(60_000)
    assert dll.add(1, 2) == 3
    assert "1 abandoned call" in repr(session)


def test_interrupt_of_a_call_leaves_the_session_usable(specimen):
    main = threading.get_ident()
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        specimen.wait_at_gate(60_000)
    timer.join()
    assert specimen.add(1, 2) == 3


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_a_signal_handler_may_call_in_the_middle_of_a_call(arch, specimen_path, transport):
    """What it needs must not go over the channel on which the interrupted call waits for its answer."""
    SESSIONS[arch](transport=transport)
    dll = winbridge.load_dll(specimen_path, convention="cdecl")
    dll.add.argtypes = [ctypes.c_int, ctypes.c_int]
    kernel32 = winbridge.load_dll("kernel32", arch=arch)
    gate = kernel32.CreateEventA(None, True, False, b"winbridge-specimen-gate")
    assert dll.add(1, 2) == 3 and kernel32.ResetEvent(gate) and kernel32.SetEvent.address
    sums = []

    def handler(number, frame):
        sums.append(dll.add(20, 3))
        kernel32.SetEvent(gate)

    main, wait = threading.get_ident(), dll.wait_at_gate
    assert wait.address
    timer = threading.Timer(0.2, lambda: signal.pthread_kill(awaited(main), signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        timer.start()
        assert wait(60_000) == 0
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    assert sums == [23] and dll.add(1, 2) == 3


def awaited(thread):
    """The thread, when it waits for the agent and is not in the middle of keeping its memory equal."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        names = {frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._current_frames()[thread])}
        if not names & {"push", "pull", "send"}:
            return thread
    raise TimeoutError("the thread never waits")


def test_a_signal_handler_in_the_middle_of_keeping_memory_equal(arch, specimen_path, monkeypatch):
    """It cannot do the same; waiting would be for ever."""
    session = SESSIONS[arch](transport="stream")
    dll = winbridge.load_dll(specimen_path, convention="cdecl")
    dll.add.argtypes = [ctypes.c_int, ctypes.c_int]
    assert dll.add(1, 2) == 3
    session.uses_heap = True

    def handler(number, frame):
        with pytest.raises(RuntimeError, match="signal handler .* in the middle of bringing .* have it set a flag"):
            dll.add(20, 3)

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGUSR1)
        return read(*arguments)

    read = Replica._read
    before = signal.signal(signal.SIGUSR1, handler)
    monkeypatch.setattr(Replica, "_read", interrupted)
    try:
        shared = winbridge.shared(64)
        assert dll.add(1, 2) == 3
    finally:
        monkeypatch.undo()
        signal.signal(signal.SIGUSR1, before)
    assert dll.add(2, 3) == 5 and shared


CLIENT = """
import os, sys, time, winbridge
session = getattr(winbridge, sys.argv[1])(transport=sys.argv[2])
print(session.transport.link.agent.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("transport", ["shm", "stream"])
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=["kill", "term", "exit"])
def test_the_agent_does_not_outlive_its_client(arch, transport, end):
    command = [sys.executable, "-c", CLIENT, SESSIONS[arch].__name__, transport]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    pid = int(client.stdout.readline())
    if end is None:
        client.stdin.close()
    else:
        client.send_signal(end)
    client.wait()
    client.stdout.close()
    client.stdin.close()
    assert wait_until_gone(pid, 2)


def test_a_fork_leaves_the_parents_session_alone(specimen):
    session = specimen.session()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fresh = type(session).get_session() is None
            os.write(
                writer, b"ok" if fresh and specimen.add(3, 4) == 7 and specimen.session() is not session else b"bad"
            )
            type(session).close_all()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 10) == b"ok"
    os.close(reader)
    assert specimen.add(1, 2) == 3 and specimen.session() is session


def test_a_forked_child_does_not_keep_the_agent_alive(arch):
    code = f"""
import os, sys, winbridge
session = winbridge.{SESSIONS[arch].__name__}()
if os.fork():
    print(session.transport.link.agent.process.pid, flush=True)
    os.kill(os.getpid(), 9)
os.close(1)
sys.stdin.read()
"""
    client = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    pid = int(client.stdout.readline())
    client.wait()
    gone = wait_until_gone(pid, 2)
    client.stdin.close()  # lets the child end
    client.stdout.close()
    assert gone


def test_exit_with_a_call_in_flight(run_python, specimen_path):
    code = """
import sys, threading, winbridge
dll = winbridge.load_dll(sys.argv[1], convention="cdecl")
threading.Thread(target=dll.wait_at_gate, args=(60000,), daemon=True).start()
dll.add(1, 2)
print("leaving")
"""
    done = run_python(code, str(specimen_path))
    assert done.returncode == 0 and done.stdout == "leaving\n"


def test_what_a_dll_prints_goes_to_the_log(specimen, arch, capfd, caplog):
    caplog.set_level("INFO", "winbridge.agent")
    for text in (b"one", b"two"):
        specimen.chatter(text)
    session = specimen.session()
    assert specimen.add(1, 2) == 3
    session.close()
    assert "one" in caplog.text and "two" in caplog.text
    out, err = capfd.readouterr()
    assert "one" not in out + err


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_printing_does_not_disturb_the_stream(arch, specimen_path, transport):
    dll = SESSIONS[arch](transport=transport).load_dll(specimen_path, convention="cdecl")
    for count in range(50):
        dll.chatter(b"noise " * 20)
        assert dll.add(count, 1) == count + 1


LOADER = """#!/bin/sh
echo start >> "$0.starts"
[ $(wc -l < "$0.starts") -gt {failures} ] || exit 1
exec {loader} "$@"
"""


@pytest.mark.parametrize(("failures", "starts"), [(0, 1), (1, 2)])
def test_a_start_that_failed_is_tried_once_more(arch, tmp_path, failures, starts):
    script = tmp_path / "wine"
    script.write_text(LOADER.format(failures=failures, loader=wine.find_loader(Config(), arch).path))
    script.chmod(0o755)
    assert SESSIONS[arch](wine=script).up
    assert len((tmp_path / "wine.starts").read_text().splitlines()) == starts


def test_a_wine_that_says_a_lot_before_the_agent_greets(arch, tmp_path, caplog):
    """More than a pipe holds."""
    script, loader = tmp_path / "wine", wine.find_loader(Config(), arch).path
    script.write_text(f'#!/bin/sh\nyes 0024:fixme:something | head -n 40000 >&2\nexec {loader} "$@"\n')
    script.chmod(0o755)
    with caplog.at_level("INFO", "winbridge.agent"):
        assert SESSIONS[arch](wine=script).up
    assert caplog.text.count("0024:fixme:something") == 40_000


def test_a_start_that_fails_twice_is_an_error(arch, tmp_path):
    script = tmp_path / "wine"
    script.write_text(LOADER.format(failures=9, loader="nothing"))
    script.chmod(0o755)
    with pytest.raises(AgentStartError, match=r"ended before it greeted \(exit status 1\).*\n.*doctor"):
        SESSIONS[arch](wine=script)
    assert len((tmp_path / "wine.starts").read_text().splitlines()) == 2


def test_missing_agent(monkeypatch, tmp_path, arch):
    monkeypatch.setattr(agent, "AGENTS", tmp_path)
    with pytest.raises(AgentStartError, match="make agents"):
        SESSIONS[arch]()


def test_another_version_of_the_agent(monkeypatch, arch):
    monkeypatch.setattr(wire, "VERSION", 99)
    with pytest.raises(AgentStartError, match=r"version \d+ .* this client 99"):
        SESSIONS[arch]()


def test_a_file_that_is_no_agent(monkeypatch, tmp_path, arch, dll_folder):
    (tmp_path / f"winbridge-agent{arch[3:]}.exe").write_text("not a program")
    monkeypatch.setattr(agent, "AGENTS", tmp_path)
    with pytest.raises(AgentStartError, match="no Windows program.*make agents"):
        SESSIONS[arch]()


def test_wrong_architecture_parameter(arch):
    other = {"win64": "win32", "win32": "win64"}[arch]
    with pytest.raises(ConfigError, match=other):
        SESSIONS[arch](arch=other)


def test_no_shared_memory_falls_back_to_the_stream(monkeypatch, arch, specimen_path):
    from winbridge.core.transport import shm

    monkeypatch.setattr(shm, "windows_path", lambda descriptor: r"\\?\unix\nowhere")
    session = SESSIONS[arch]()
    assert session.transport.name == "stream"
    assert session.load_dll(specimen_path, convention="cdecl").add(2, 3) == 5
    with pytest.raises(winbridge.ConnectError, match="shared"):
        SESSIONS[arch].new_session(transport="shm")
