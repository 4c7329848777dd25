"""Processes that are started for a connection, and processes that serve who started them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.remote.conformance import Conformance
from winbridge.remote import Connection, DisconnectError, OperationError, Options, ProtocolError, get_bios, starting

SERVE = [sys.executable, "-m", "winbridge.remote"]
LONG = 30


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where the children find ``tests``


PEERS = {"module": ["-m", "winbridge.remote"], "bios": ["-c", get_bios()]}


@pytest.fixture(scope="module", params=PEERS.values(), ids=list(PEERS))
def connection(request: pytest.FixtureRequest):
    with Connection.from_command(["env", f"PYTHONPATH={ROOT}", sys.executable, *request.param]) as connection:
        yield connection


class TestOverStandardStreams(Conformance):
    """All that every connection does."""


def gone(pid: int) -> bool:
    """Whether a process that is not our child has ended, or does soon."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], LONG)[0])
    finally:
        os.close(handle)


def test_from_shell() -> None:
    with Connection.from_shell(f"exec '{sys.executable}' -m winbridge.remote") as connection:
        assert connection.call(os.getpid) == connection.process.pid
    assert connection.process.returncode == 0


@pytest.mark.parametrize("arguments", PEERS.values(), ids=list(PEERS))
def test_from_process(arguments: list[str]) -> None:
    process = subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with Connection.from_process(process) as connection:
        assert connection.process is process
        assert connection.call(os.getpid) == process.pid
    assert process.returncode == 0
    with pytest.raises(ValueError, match="stdin=PIPE"):
        Connection.from_process(process_without_pipes())


def process_without_pipes() -> subprocess.Popen[bytes]:
    process = subprocess.Popen(["true"])
    process.wait()
    return process


def test_a_program_that_uses_from_stdio() -> None:
    code = """
from winbridge.remote import Connection, Options
print("before")
with Connection.from_stdio(options=Options(timeout=20)) as connection:
    print("there", connection.call(eval, "6 * 7"))
    try:
        input()
    except EOFError:
        print("no input")
print("after")
"""
    with Connection.from_command([sys.executable, "-c", code]) as connection:
        lines = list(connection.output())
    assert lines == [(1, "before"), (1, "there 42"), (1, "no input")]


def test_standard_input_and_output_are_there_once() -> None:
    with (
        Connection.from_command(SERVE) as connection,
        pytest.raises(OperationError, match="belong to a connection already"),
    ):
        connection.execute("from winbridge.remote import Connection; Connection.from_stdio()")


def test_a_program_that_ends_at_its_start_is_tried_again_where_that_helps(tmp_path: Path) -> None:
    """A Wine server that is just ending takes new programs along."""
    tried = tmp_path / "tried"
    script = f"[ -e {tried} ] || {{ touch {tried}; exit 1; }}; exec {' '.join(SERVE)}"

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            script, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    first = start()
    with starting._connected(first, None, start) as connection:
        assert connection.process is not first
        assert connection.call(os.getpid) == connection.process.pid
    assert first.returncode == 1
    assert connection.process.returncode == 0


def test_what_is_said_before_is_output() -> None:
    with Connection.from_shell(f"echo 'Last login: today'; echo warning >&2; exec {' '.join(SERVE)}") as connection:
        printed = connection.output()
        assert sorted([next(printed), next(printed)]) == [(1, "Last login: today"), (2, "warning")]
        assert connection.call(abs, -1) == 1


def test_there_is_no_such_program() -> None:
    with pytest.raises(FileNotFoundError, match="nosuchprogram"):
        Connection.from_command(["nosuchprogram"])


@pytest.mark.parametrize(
    "operation", [lambda c: c.call(abs, 1), lambda c: c.__enter__(), lambda c: c.submit(abs, 1).result()]
)
def test_a_program_that_ends(operation) -> None:
    connection = Connection.from_shell("echo sorry >&2; exit 3")
    with pytest.raises(DisconnectError, match=r"(?s)ended before it served \(exit status 3\).*sorry"):
        operation(connection)
    assert list(connection.output()) == [(2, "sorry")]
    connection.close()


def test_a_program_that_says_something_else() -> None:
    connection = Connection.from_command(["yes"])
    with pytest.raises(ProtocolError, match=r"does not serve a connection; it said b'y\\ny\\n"):
        connection.call(abs, 1)
    assert connection.wait(LONG)
    assert connection.process.returncode == -signal.SIGKILL


def test_a_program_that_says_nothing() -> None:
    connection = Connection.from_command(["sleep", "1000"], options=Options(timeout=0.3))
    with pytest.raises(DisconnectError, match=r"(?s)did not start within 0.3 s \(option timeout\).*stderr: nothing"):
        connection.call(abs, 1)
    assert connection.wait(LONG)
    assert connection.process.returncode == -signal.SIGKILL


def test_an_opening_that_is_cancelled() -> None:
    connection = Connection.from_command(["sleep", "1000"])
    connection.cancel()
    with pytest.raises(DisconnectError, match="cancelled"):
        connection.call(abs, 1)
    assert connection.wait(LONG)
    assert connection.process.returncode is not None


def test_a_peer_that_is_killed_is_missed_at_once() -> None:
    """Even where a child of it holds its output open."""
    with Connection.from_command(SERVE) as connection:
        child = connection.execute("import subprocess; child = subprocess.Popen(['sleep', '1000']); child.pid")
        future = connection.submit(time.sleep, 1000)
        killed = time.monotonic()
        connection.process.kill()
        with pytest.raises(DisconnectError, match="signal 9"):
            future.result(LONG)
        assert time.monotonic() - killed < 5, "aim: 1 s; the rest is slack for a busy machine"
        with pytest.raises(DisconnectError):
            connection.call(abs, 1)
    os.kill(child, signal.SIGKILL)


def test_a_crash_tells_where_it_was() -> None:
    with (
        Connection.from_command(SERVE) as connection,
        pytest.raises(DisconnectError, match="(?s)signal 11|Segmentation") as caught,
    ):
        connection.execute("def crash():\n    import ctypes\n    ctypes.string_at(0)\ncrash()")
    assert "in crash" in str(caught.value)


def test_an_exit_in_a_call() -> None:
    with Connection.from_command(SERVE) as connection, pytest.raises(DisconnectError, match="exit code 7"):
        connection.call(os._exit, 7)


def test_options_of_the_module() -> None:
    with Connection.from_command([*SERVE, "accept_exported_modules=True", "max_message=100_000"]) as connection:
        assert connection.peer["accept_exported_modules"] == "1"
        assert connection.peer["max_message"] == "100000"


@pytest.mark.parametrize(("argument", "said"), [("timeout=soon", "name=value"), ("nosuch=1", "no such option")])
def test_bad_options_of_the_module(argument: str, said: str) -> None:
    connection = Connection.from_command([*SERVE, argument])
    with pytest.raises(DisconnectError, match=said):
        connection.call(abs, 1)
    connection.close()


def test_ctrl_c_is_for_the_program_in_front() -> None:
    with Connection.from_command(SERVE) as connection:
        assert connection.call(abs, -2) == 2
        connection.process.send_signal(signal.SIGINT)
        assert connection.call(abs, -1) == 1
        child = connection.execute("import subprocess, sys, signal; subprocess.run([sys.executable, '-c',"
                                   " 'import signal; print(signal.getsignal(2) is signal.default_int_handler)'],"
                                   " capture_output=True).stdout")  # fmt: skip
        assert child == b"True\n"


def test_peers_end_with_this_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from winbridge.remote import Connection\n"
        "c = Connection.from_command([sys.executable, '-m', 'winbridge.remote'])\n"
        "print(c.peer['pid'], flush=True); c.eval('__import__(\"time\").sleep(1000)')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as running:
        peer = int(running.stdout.readline())
        running.kill()
    assert gone(peer)


def test_peers_end_with_a_program_that_forgets_them() -> None:
    code = (
        "import sys; from winbridge.remote import Connection\n"
        "c = Connection.from_command([sys.executable, '-m', 'winbridge.remote'])\n"
        "print(c.peer['pid'], flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert gone(int(done.stdout))


def test_several_at_once() -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(Connection.from_command(SERVE)) for _ in range(4)]
        assert len({connection.call(os.getpid) for connection in connections}) == 4


def test_nothing_is_left(tmp_path: Path) -> None:
    def descriptors() -> set[str]:
        return {
            os.readlink(f"/proc/self/fd/{name}")
            for name in os.listdir("/proc/self/fd")
            if os.path.exists(f"/proc/self/fd/{name}")
        }

    before = descriptors()
    for args in (SERVE, [sys.executable, "-c", get_bios()]):
        with Connection.from_command(args) as connection:
            connection.execute("print(1)")
        with contextlib.suppress(OperationError), Connection.from_command(["false"]):
            pass
    deadline = time.monotonic() + LONG
    while descriptors() - before and time.monotonic() < deadline:
        os.sched_yield()
    assert descriptors() - before == set()
