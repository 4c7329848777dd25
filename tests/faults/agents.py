"""Faults of the Windows process: killed, crashed, stopped, its Wine server gone."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.faults.matrix import Bench, agent_of, gone, interrupted_after, row
from winbridge import AgentDiedError, CallTimeoutError, WindowsFault

GROUP = "The Windows process"
SERVER = "Nothing of the old server stays; the fresh session starts another."
FRESH = "The session is closed; the next use opens a fresh one."


def programs_in(prefix: Path) -> list[str]:
    """Processes of a prefix."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended
            if f"WINEPREFIX={prefix}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text())
    return found


def fresh_session_works(bench: Bench, session) -> None:
    assert session.closed and not session.up
    bench.kind.close_session()
    assert bench.dll().add(2, 3) == 5


@row(GROUP, "killed between calls", seen=AgentDiedError, within=1, after=FRESH)
def killed_between_calls(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    bench.strike(os.kill, agent_of(session), signal.SIGKILL)
    with bench.noticed("killed by signal 9") as caught:
        dll.add(1, 2)
    assert caught.value.exit_code == -9
    fresh_session_works(bench, session)


@row(GROUP, "killed during a call", seen=AgentDiedError, within=1, after=FRESH)
def killed_during_a_call(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    future = bench.in_call(dll.linger)
    bench.strike(os.kill, agent_of(session), signal.SIGKILL)
    with bench.noticed("killed by signal 9"):
        future.result(20)
    fresh_session_works(bench, session)


@row(GROUP, "killed while several threads call", seen=AgentDiedError, within=1, after=f"Each thread is told. {FRESH}")
def killed_while_several_threads_call(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    futures = [bench.in_call(dll.linger) for _ in range(4)]
    bench.strike(os.kill, agent_of(session), signal.SIGKILL)
    for future in futures:
        with bench.noticed("killed by signal 9"):
            future.result(20)
    fresh_session_works(bench, session)


@row(GROUP, "killed while Python answers a callback", seen=AgentDiedError, within=1, after=FRESH)
def killed_in_a_callback(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    address = bench.callback(session, lambda: [bench.strike(os.kill, agent_of(session), signal.SIGKILL), 0][1])
    with bench.noticed("killed by signal 9"):
        dll.call_back(address, 1)
    fresh_session_works(bench, session)


@row(GROUP, "ended by the DLL during a call", seen=AgentDiedError, within=1, after=FRESH)
def ended_during_a_call(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    bench.strike(lambda: None)
    with bench.noticed("exited with code 9") as caught:
        dll.terminate(9)
    assert caught.value.exit_code == 9
    fresh_session_works(bench, session)


@row(GROUP, "crashed on a thread of the DLL, between calls", seen=AgentDiedError, within=1, after=FRESH)
def crashed_between_calls(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    dll.crash_later(bench.windows(bench.folder / "now"))
    bench.strike((bench.folder / "now").touch)
    bench.until(lambda: not session.up)
    with bench.noticed("unhandled exception 0xc0000005"):
        dll.add(1, 2)
    fresh_session_works(bench, session)


@row(GROUP, "ended by a DLL's function that a callback calls", seen=AgentDiedError, within=1, after=FRESH)
def ended_in_a_callback(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    bench.monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    address = bench.callback(session, lambda: [bench.strike(lambda: None), dll.terminate(7)][1])
    with bench.noticed("exited with code 7"):
        dll.call_back(address, 1)
    fresh_session_works(bench, session)


@row(
    GROUP,
    "a Windows exception in a call",
    seen=WindowsFault,
    within=1,
    after="The same session, also other threads' calls.",
)
def windows_exception(bench: Bench) -> None:
    dll = bench.dll()
    other = bench.in_call(dll.linger, milliseconds=300)
    bench.strike(lambda: None)
    with bench.noticed("access violation writing"):
        dll.spoil_and_crash()
    assert dll.add(2, 3) == 5 and other.result(20) == 1


@row(
    GROUP,
    "stopped (SIGSTOP), with ``timeout_call``",
    seen=CallTimeoutError,
    after="``repr(session)`` says that it is stopped. When the process goes on, so does the session.",
)
def stopped_with_a_time_limit(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    session.set_parameter("timeout_call", 0.3)
    os.kill(agent_of(session), signal.SIGSTOP)
    for _ in range(2):  # the second has to open a channel first
        bench.strike(lambda: None)
        with bench.noticed():
            dll.add(1, 2)
    assert "(stopped)" in repr(session) and session.abandoned == 1
    os.kill(agent_of(session), signal.SIGCONT)
    session.set_parameter("timeout_call", 20)
    assert dll.add(2, 3) == 5 and "stopped" not in repr(session)
    bench.until(lambda: session.abandoned == 0)


@row(
    GROUP,
    "stopped, while much data is sent to it",
    seen=CallTimeoutError,
    after="When the process goes on, so does the session: the rest of what was cut short is sent first.",
)
def stopped_in_the_middle_of_a_message(bench: Bench) -> None:
    session = bench.open()
    block = session.memory.alloc(1 << 23)
    session.set_parameter("timeout_call", 0.5)
    bench.strike(os.kill, agent_of(session), signal.SIGSTOP)
    with bench.noticed():
        session.memory.write(block, bytes(1 << 23))
    os.kill(agent_of(session), signal.SIGCONT)
    session.set_parameter("timeout_call", 20)
    session.memory.write(block, b"after")
    assert session.memory.read(block, 5) == b"after"


@row(
    GROUP,
    "stopped, and Ctrl-C",
    seen=KeyboardInterrupt,
    within=0.1,
    after="When the process goes on, so does the session.",
)
def stopped_and_interrupted(bench: Bench) -> None:
    dll = bench.dll()
    session = dll.session()
    os.kill(agent_of(session), signal.SIGSTOP)
    for _ in range(2):  # the second has to open a channel first
        with bench.noticed(), interrupted_after(0.2, bench):
            dll.add(1, 2)
    os.kill(agent_of(session), signal.SIGCONT)
    assert dll.add(2, 3) == 5
    bench.until(lambda: session.abandoned == 0)


@row(GROUP, "stopped, and the session is closed", seen=None, within=1, after="The process is killed, not waited for.")
def stopped_and_closed(bench: Bench) -> None:
    session = bench.open(timeout_stop=60)
    process = agent_of(session)
    os.kill(process, signal.SIGSTOP)
    bench.strike(session.close)
    bench.measure()
    assert gone(process, 0)


@row(
    GROUP,
    "the Wine server killed, between calls",
    seen=AgentDiedError,
    within=1,
    after=f"{FRESH} {SERVER}",
)
def server_killed_between_calls(bench: Bench) -> None:
    dll = bench.dll(prefix=bench.request.getfixturevalue("spare_prefix"))
    session = dll.session()
    bench.strike(os.kill, session.transport.link.agent.server, signal.SIGKILL)
    bench.until(lambda: not session.up)
    with bench.noticed("its Wine server .* ended"):
        dll.add(1, 2)
    bench.until(lambda: not programs_in(session.config.prefix))
    bench.kind.close_session()
    assert bench.dll(prefix=session.config.prefix).add(2, 3) == 5


@row(
    GROUP,
    "the Wine server killed, during calls",
    seen=AgentDiedError,
    within=1,
    after=f"{FRESH} {SERVER}",
)
def server_killed_during_calls(bench: Bench) -> None:
    dll = bench.dll(prefix=bench.request.getfixturevalue("spare_prefix"))
    session = dll.session()
    futures = [bench.in_call(dll.linger) for _ in range(2)]
    bench.strike(os.kill, session.transport.link.agent.server, signal.SIGKILL)
    for future in futures:
        with bench.noticed("its Wine server .* ended"):
            future.result(20)
    bench.until(lambda: not programs_in(session.config.prefix))
    bench.kind.close_session()
    assert bench.dll(prefix=session.config.prefix).add(2, 3) == 5
