"""Faults of single calls: too long, interrupted."""

from __future__ import annotations

import os
import signal

from tests.faults.matrix import Bench, agent_of, gone, interrupted_after, row
from winbridge import CallTimeoutError

GROUP = "Calls"


@row(
    GROUP,
    "longer than ``timeout_call``",
    seen=CallTimeoutError,
    after="The session, for all threads. ``repr(session)`` counts the call as abandoned until it returns.",
)
def too_long(bench: Bench) -> None:
    dll = bench.dll(timeout_call=0.4)
    session = dll.session()
    bench.strike(lambda: None)
    with bench.noticed("timeout_call=0.4 s"):
        dll.linger(bench.windows(bench.folder / "arrived"), 1500)
    assert dll.add(2, 3) == 5 and "1 abandoned calls" in repr(session)
    bench.until(lambda: session.abandoned == 0)
    assert "abandoned" not in repr(session) and dll.add(2, 3) == 5


@row(
    GROUP,
    "one that never returns, and the session is closed",
    seen=None,
    within=1,
    after="Its Windows thread ends with the process.",
)
def stuck_and_closed(bench: Bench) -> None:
    dll = bench.dll(timeout_call=0.3, timeout_stop=60)
    session, process = dll.session(), agent_of(dll.session())
    for number in range(3):
        try:
            dll.linger(bench.windows(bench.folder / f"arrived-{number}"), 0xFFFFFFFF)
        except CallTimeoutError:
            continue
    assert session.abandoned == 3
    bench.strike(session.close)
    bench.measure()
    assert gone(process, 0) and session.abandoned == 0


@row(GROUP, "Ctrl-C during a long one", seen=KeyboardInterrupt, within=0.1, after="The session, for all threads.")
def interrupted(bench: Bench) -> None:
    dll = bench.dll()
    with bench.noticed(), interrupted_after(0.3, bench):
        dll.linger(bench.windows(bench.folder / "arrived"), 1500)
    assert dll.add(2, 3) == 5 and dll.session().abandoned == 1
    bench.until(lambda: dll.session().abandoned == 0)


@row(
    GROUP,
    "Ctrl-C while much data is sent",
    seen=KeyboardInterrupt,
    within=0.1,
    after="The session: the rest of what was cut short is sent first.",
    sides=(("win64", "stream"), ("win32", "stream")),
)
def interrupted_in_the_middle_of_a_message(bench: Bench) -> None:
    session = bench.open()
    block = session.memory.alloc(1 << 23)
    os.kill(agent_of(session), signal.SIGSTOP)
    with bench.noticed(), interrupted_after(0.2, bench):
        session.memory.write(block, bytes(1 << 23))
    os.kill(agent_of(session), signal.SIGCONT)
    session.memory.write(block, b"after")
    assert session.memory.read(block, 5) == b"after"


@row(
    GROUP,
    "Ctrl-C while Python answers a callback",
    seen=KeyboardInterrupt,
    within=0.1,
    after="The session; the DLL's call ends by itself, its further callbacks return 0.",
)
def interrupted_in_a_callback(bench: Bench) -> None:
    dll = bench.dll()
    address = bench.callback(dll.session(), lambda: [bench.strike(signal.raise_signal, signal.SIGINT), 0][1])
    with bench.noticed():
        dll.call_back(address, 1)
    assert dll.add(2, 3) == 5
    bench.until(lambda: dll.session().abandoned == 0)


@row(
    GROUP,
    "callbacks nested until Python's stack is full",
    seen=RecursionError,
    after="The session. The error is one of the innermost callback, which returns 0; like all errors in callbacks it"
    " goes to ``sys.unraisablehook``.",
)
def too_deep(bench: Bench) -> None:
    dll = bench.dll()
    told, call_back = [], dll.call_back
    bench.monkeypatch.setattr("sys.unraisablehook", lambda info: told.append(info.exc_type))
    address = bench.callback(dll.session(), lambda: call_back(address, 1))
    assert call_back(address, 1) == 0
    assert set(told) <= {bench.row.seen}
    assert dll.add(2, 3) == 5 and dll.session().abandoned == 0
