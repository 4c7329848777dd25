"""A connection's life: opening, ending in all ways, at exit, in forked children; and that nothing is left."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.remote import subject
from tests.remote.fix_transports import ROOT, TRANSPORTS, over_pipes, over_socketpair
from winbridge.remote import Connection, DisconnectError, OperationError, Options, ProtocolError, get_connection, ref

LONG = 30


@contextlib.contextmanager
def joined(left_options: Options | None = None, right_options: Options | None = None):
    """Two connections of this process, which are connected with each other."""
    ours, theirs = socket.socketpair()
    left = Connection.from_socket(ours, options=left_options)
    right = Connection.from_socket(theirs, options=right_options, server=True)
    with left, right:
        yield left, right


@pytest.fixture
def pair():
    with joined() as both:
        yield both


def wait_until(condition, seconds: float = LONG) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        os.sched_yield()


def test_both_sides_may_call(pair):
    left, right = pair
    assert left.call(pow, 2, 5) == right.call(pow, 2, 5) == 32


def test_get_connection_is_the_one_that_calls(pair):
    left, right = pair
    subject.seen.clear()
    assert left.submit(subject.call_back, subject.count_calls, 4).result(LONG) == 4
    assert right.call(subject.call_back, subject.count_calls, 5) == 5
    assert subject.seen == [4, 5]
    with pytest.raises(OperationError, match="get_connection"):
        get_connection()


def test_opening_is_in_the_background_and_with_waits_for_it():
    ours, theirs = socket.socketpair()
    connection = Connection.from_socket(ours)
    assert not connection.is_connected()
    assert "opening" in repr(connection)
    with Connection.from_socket(theirs, server=True), connection:
        assert connection.is_connected()
    assert not connection.is_connected()
    assert "closed" in repr(connection)


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    connection = Connection.from_tcp("127.0.0.1", port)
    with pytest.raises(DisconnectError, match=f"127.0.0.1:{port} cannot be reached"):
        connection.call(abs, 1)
    with pytest.raises(DisconnectError, match="cannot be reached"), connection:
        pass
    connection.close()


def test_a_unix_socket_that_is_not_there(tmp_path):
    with pytest.raises(DisconnectError, match="no-such"):
        Connection.from_unix(str(tmp_path / "no-such")).call(abs, 1)


def test_a_peer_that_says_nothing_is_given_up():
    ours, theirs = socket.socketpair()
    with theirs:
        connection = Connection.from_socket(ours, options=Options(timeout=0.05))
        with pytest.raises(DisconnectError, match="did not answer in time"):
            connection.call(abs, 1)
        connection.close()


def test_a_peer_that_speaks_something_else():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"SSH-2.0-OpenSSH_9.2 and more of it\r\n")
        with pytest.raises(ProtocolError, match="SSH-2.0-OpenSSH"), Connection.from_socket(ours):
            pass


def test_later_operations_fail_too(pair):
    left, _ = pair
    left.close()
    for operation in (
        lambda: left.call(abs, 1), lambda: left.submit(abs, 1), lambda: list(left.map(abs, [1])),
        lambda: left.execute("1"), lambda: left.replicate([]), lambda: left.send_output(1, b""),
    ):  # fmt: skip
        with pytest.raises(DisconnectError, match="closed by this side"):
            operation()


def test_closing_is_told_to_the_other_side(pair):
    left, right = pair
    future = right.submit(subject.wait_for_gate, "never opened 1")
    left.close()
    assert right.wait(LONG)
    with pytest.raises(DisconnectError, match="peer has closed"):
        right.call(abs, 1)
    with pytest.raises(DisconnectError, match="peer has closed"):
        future.result(LONG)
    subject.open_gate("never opened 1")


def test_closing_says_goodbye_after_a_message_that_is_on_its_way(pair):
    left, right = pair
    with left.link._sending:  # as a thread does that sends an answer
        closing = threading.Thread(target=left.close)
        closing.start()
        wait_until(lambda: left.link is None or left.link._said_bye)
    closing.join(LONG)
    assert right.wait(LONG)
    assert str(right.life.failure) == "the peer has closed the connection"


def test_serving_what_the_peer_has_closed_already_just_ends(pair):
    left, right = pair
    right.close()
    assert left.wait(LONG)
    left.serve()


def test_serving_what_could_not_be_opened_tells_why(tmp_path):
    with pytest.raises(DisconnectError, match="no-such"):
        Connection.from_unix(str(tmp_path / "no-such")).serve()


def test_cancel_ends_what_is_pending_at_once(pair):
    left, right = pair
    answers: list[BaseException] = []

    def call() -> None:
        try:
            left.call(subject.wait_for_gate, "never opened 2")
        except BaseException as error:
            answers.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    future = left.submit(subject.wait_for_gate, "never opened 2")
    wait_until(lambda: len(right.link.serving.busy()) == 5)
    left.cancel()
    for thread in threads:
        thread.join(LONG)
    assert [str(answer) for answer in answers] == ["the connection was cancelled"] * 4
    assert isinstance(future.exception(LONG), DisconnectError)
    left.close()
    left.close()
    subject.open_gate("never opened 2")


def test_closing_from_inside_of_a_request(pair):
    left, right = pair
    with pytest.raises(DisconnectError):
        left.call(subject.close_from_inside)
    assert right.wait(LONG)


def test_more_requests_than_allowed_wait_for_their_turn():
    with joined(right_options=Options(max_threads=2)) as (left, right):
        subject.seen.clear()
        futures = [left.submit(subject.enter_and_wait, f"turn{number}") for number in range(5)]
        wait_until(lambda: len(subject.seen) == 2)
        assert futures[4].cancel()
        # What comes from inside of a request that is executed, or answers one, does not have to wait.
        assert right.submit(abs, -7).result(LONG) == 7
        assert right.call(subject.call_back, subject.same, 8) == 8
        assert subject.seen == ["turn0", "turn1"]
        for number in range(4):
            subject.open_gate(f"turn{number}")
        assert [future.result(LONG) for future in futures[:4]] == [f"turn{number}" for number in range(4)]
        assert left.call(abs, -1) == 1
        assert sorted(map(str, subject.seen)) == ["turn0", "turn1", "turn2", "turn3"]


@pytest.mark.parametrize("name", list(TRANSPORTS))
def test_a_peer_that_dies_is_noticed_at_once(name):
    with contextlib.suppress(DisconnectError), TRANSPORTS[name]() as connection:
        future = connection.submit(subject.wait_for_gate, "never")
        began = time.monotonic()
        with pytest.raises(DisconnectError):
            connection.call(subject.die, 3)
        assert isinstance(future.exception(LONG), DisconnectError)
        # "At once" is a matter of microseconds; the heartbeat would take 30 seconds.
        assert time.monotonic() - began < 5
        assert not connection.is_connected()


@pytest.mark.parametrize("name", list(TRANSPORTS))
def test_a_peer_that_is_killed_while_nobody_waits_is_noticed(name):
    with contextlib.suppress(DisconnectError), TRANSPORTS[name]() as connection:
        os.kill(int(connection.peer["pid"]), signal.SIGKILL)
        assert connection.wait(5)


def test_a_process_that_ends_is_told_with_its_exit_code():
    code = "from tests.remote.peer import main; main('pipes', '0', '1')"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with Connection.from_process(process) as connection:
        assert connection.call(os.getpid) == process.pid
        with pytest.raises(DisconnectError, match=f"process {process.pid} has ended with exit code 7"):
            connection.call(subject.die, 7)


def test_closing_ends_the_process():
    code = "from tests.remote.peer import main; main('pipes', '0', '1')"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with Connection.from_process(process) as connection:
        assert connection.call(os.getpid) == process.pid
    assert process.returncode == 0


def test_cancel_kills_a_process_that_hangs():
    process = subprocess.Popen(["sleep", "1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    connection = Connection.from_process(process)
    connection.cancel()
    connection.close()
    assert process.returncode is not None


def test_a_process_without_pipes_is_refused():
    process = subprocess.Popen(["true"])
    with pytest.raises(ValueError, match="stdin=PIPE"):
        Connection.from_process(process)
    process.wait()


@pytest.mark.parametrize("over", [over_socketpair, over_pipes])
def test_a_peer_that_reads_nothing_does_not_hold_up_the_end(over):
    with over() as connection:
        pid = int(connection.peer["pid"])
        os.kill(pid, signal.SIGSTOP)
        try:
            threads = [threading.Thread(target=_send_much, args=(connection,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            wait_until(connection.link._sending.locked)
            connection.close()
            for thread in threads:
                thread.join(LONG)
                assert not thread.is_alive()
        finally:
            os.kill(pid, signal.SIGCONT)


def _send_much(connection: Connection) -> None:
    with pytest.raises(DisconnectError):
        connection.call(len, bytes(50_000_000))


def test_messages_that_are_too_large_are_refused_before_they_are_sent():
    with joined(right_options=Options(max_message=1 << 20)) as (left, right):
        with pytest.raises(OperationError, match="more than the peer takes: 1048576"):
            left.call(len, bytes(1 << 20))
        assert left.call(len, bytes(1 << 19)) == 1 << 19
        with pytest.raises(OperationError, match="more than the peer takes"):
            left.call(print, ref([]), ref({}), bytes(1 << 20))
        with pytest.raises(OperationError, match="more than the peer takes"):
            list(left.map(print, [ref([])], [bytes(1 << 20)]))
        assert len(left.references) == 0, "what was lent in vain was given back"
        with pytest.raises(OperationError, match="more than the peer takes"):
            right.call(bytes, 1 << 21)  # the answer is what is too large
        left.link.most = left.values.most = 1 << 30
        with pytest.raises(DisconnectError, match="more than the 1048576 allowed"):
            left.call(len, bytes(1 << 21))


def test_a_silent_peer_elsewhere_is_lost_after_the_timeout(monkeypatch):
    from winbridge.remote import heartbeat

    monkeypatch.setattr(heartbeat, "host", lambda: "another one")
    with joined(Options(timeout=0.4)) as (left, right):
        seen = left.link.reader.received
        wait_until(lambda: left.link.reader.received > seen + 2)  # it is asked, and answers
        assert left.is_connected()
        future = left.submit(subject.wait_for_gate, "heart")
        monkeypatch.setattr(right.link, "try_send", lambda *_: None)  # no more answers
        error = future.exception(LONG)
        assert isinstance(error, DisconnectError)
        assert "the peer is lost: nothing of it for" in str(error)
        subject.open_gate("heart")


def test_an_interrupt_leaves_the_connection_usable(run_python):
    code = """
import os, signal, threading, time
from tests.remote.fix_transports import over_socketpair, over_pipes
from tests.remote import subject
for over in (over_socketpair, over_pipes):
    with over() as connection:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            connection.call(subject.wait_for_gate, "interrupted")
        except KeyboardInterrupt:
            print("interrupted")
        connection.call(subject.open_gate, "interrupted")
        print(connection.call(subject.same, "usable"))
"""
    done = run_python(code)
    assert done.stdout.split() == ["interrupted", "usable"] * 2, done.stderr


@pytest.mark.parametrize("name", ["socketpair", "pipes", "shared memory"])
def test_interrupts_in_the_middle_of_anything_leave_it_usable(run_python, name):
    code = """
import random, signal, sys
from tests.remote.fix_transports import TRANSPORTS
class Interrupt(BaseException):
    pass
def handler(*_):
    raise Interrupt
signal.signal(signal.SIGALRM, handler)
random.seed(1)
interrupted = 0
with TRANSPORTS[sys.argv[1]]() as connection:
    while interrupted < 150:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.003))
            while True:
                assert connection.call(divmod, 17, 5) == (3, 2)
        except Interrupt:
            interrupted += 1
            assert connection.call(divmod, 17, 5) == (3, 2)
print(interrupted)
"""
    done = run_python(code, name)
    assert done.stdout.strip() == "150", done.stderr


def test_a_signal_handler_that_calls_gets_an_answer_or_an_error_but_does_not_hang(run_python):
    code = """
import signal
from tests.remote.fix_transports import over_socketpair
from tests.remote import subject
from winbridge.remote import OperationError
with over_socketpair() as connection:
    said = []
    def handler(*_):
        try:
            said.append(connection.call(abs, -1))
        except OperationError as error:  # the thread that it runs in was reading
            said.append(str(error))
        connection.submit(subject.open_gate, "signal")
    signal.signal(signal.SIGALRM, handler)
    connection.call(abs, -1)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    print(connection.call(subject.wait_for_gate, "signal"))
    print(said[0])
"""
    done = run_python(code)
    answer, said = done.stdout.splitlines()
    assert answer == "signal", done.stderr
    assert said == "1" or "a signal handler or a finaliser" in said


def test_forked_children_have_dead_copies(run_python):
    code = """
import os
from tests.remote.fix_transports import over_socketpair, over_pipes
from winbridge.remote import DisconnectError
for over in (over_socketpair, over_pipes):
    with over() as connection:
        pid = os.fork()
        if not pid:
            try:
                connection.call(abs, -1)
            except DisconnectError as error:
                print(error, flush=True)
            connection.close()
            os._exit(0)
        os.waitpid(pid, 0)
        print(connection.call(abs, -1), flush=True)
"""
    done = run_python(code)
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stderr
    assert "belongs to the parent process" in lines[0]
    assert lines[1] == "1"


def test_a_program_that_closes_nothing_ends(run_python):
    code = """
import subprocess, sys
from winbridge.remote import Connection
code = "from tests.remote.peer import main; main('pipes', '0', '1')"
process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
connection = Connection.from_process(process)
print(process.pid, connection.call(abs, -1))
"""
    done = run_python(code)
    pid, one = done.stdout.split()
    assert (one, done.returncode) == ("1", 0), done.stderr
    assert not Path(f"/proc/{pid}").exists()


def counts() -> tuple[int, int, int]:
    gc.collect()
    memory = [
        line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd" in line or "/dev/shm" in line
    ]
    threads = [thread for thread in threading.enumerate() if thread.name != "winbridge-remote-heart"]
    return len(os.listdir("/proc/self/fd")), len(threads), len(memory)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["socketpair", "pipes"])
def test_a_thousand_connections_leave_nothing(kind):
    before = counts()
    for _ in range(500):
        if kind == "socketpair":
            ours, theirs = socket.socketpair()
            left, right = Connection.from_socket(ours), Connection.from_socket(theirs, server=True)
        else:
            (our_in, their_out), (their_in, our_out) = os.pipe(), os.pipe()
            left = Connection.from_pipes(our_in, our_out)
            right = Connection.from_pipes(their_in, their_out, server=True)
        with left:
            assert left.call(abs, -1) == 1
        assert right.wait(LONG)
        right.close()
    del left, right
    wait_until(lambda: counts() <= before)


def test_connections_to_processes_leave_nothing():
    before = counts()
    for over in (over_socketpair, over_pipes):
        for _ in range(3):
            with over() as connection:
                assert connection.call(abs, -1) == 1
    del connection
    wait_until(lambda: counts() <= before)


HEAVY = "asyncio concurrent.futures logging multiprocessing ssl numpy traceback"


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("import winbridge.remote", HEAVY + " pickle socket"),
        ("from winbridge.remote import Connection", HEAVY),
    ],
)
def test_importing_is_light(run_python, statement, names):
    done = run_python(f"import sys; {statement}; print([name for name in {names.split()} if name in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr
