"""Pools: sessions on a few processes, each with a namespace; limits, losses and the end."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from types import SimpleNamespace

import pytest

from tests.conftest import ROOT
from tests.remote.fix_servers import DEADLINE, Certificates, RawPeer, Running, await_gone, await_true
from winbridge.core.errors import ConfigError
from winbridge.remote import DisconnectError, OperationError, Options
from winbridge.remote.pool.address import is_path, parse_address
from winbridge.remote.pool.client import PoolSession
from winbridge.remote.pool.limits import Limits
from winbridge.remote.protocol import HEADER, Kind
from winbridge.remote.servers import run_pool
from winbridge.remote.servers.relay import PIECE, End, Relay, bye
from winbridge.remote.tls import client_tls, server_tls

SECRET = "correct horse battery staple"


def start(workers: int = 1, **limits: object) -> Running:
    return Running(run_pool, "127.0.0.1:0", workers, secret=SECRET, limits=Limits()._replace(**limits))


def opened(pool: Running, **options: object) -> PoolSession:
    return PoolSession(pool.server.address, secret=SECRET, **options)


@pytest.fixture(scope="module")
def pool() -> Iterator[Running]:
    with start(2) as running:
        yield running


@pytest.fixture
def session(pool: Running) -> Iterator[PoolSession]:
    with opened(pool) as session:
        yield session


@pytest.fixture
def fifo(tmp_path) -> str:
    """Code reads it to wait for the test."""
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


def run(session: PoolSession, code: str, locs: dict | None = None, globs: dict | None = None) -> object:
    return session.eval(code, locs, globs).result(DEADLINE)


# -- evals


def test_the_walkthrough(pool):
    sessions = [opened(pool) for _ in range(3)]
    assert len({session.session_id for session in sessions}) == 3
    turns = itertools.cycle(sessions)
    futures = [next(turns).eval("a * b", locs={"a": number}, globs={"b": 7}) for number in range(9)]
    assert not wait(futures, DEADLINE).not_done
    assert [future.result() for future in futures] == [7 * number for number in range(9)]
    for session in sessions:
        session.close()


def test_the_session_id_stands_in_the_log(pool):
    with opened(pool) as session:
        assert re.fullmatch("[0-9a-f]{12}", session.session_id)
        pool.log.wait_for(f"session {session.session_id}: opened for 127.0.0.1:.* on worker")
    pool.log.wait_for(f"session {session.session_id}: closed after 1 calls")
    assert repr(session) == f"<PoolSession {session.session_id} at {pool.server.address}, closed>"


def test_each_session_has_its_namespace(pool):
    with start(1) as one, opened(one) as here, opened(one) as there:
        assert run(here, "import os; x = 1; os.getpid()") == run(there, "import os; x = 2; os.getpid()")
        assert (run(here, "x"), run(there, "x")) == (1, 2)
        run(here, "def double(): return 2 * x")
        assert run(here, "double()") == 2
        with pytest.raises(NameError):
            run(there, "double()")


def test_local_names_pass_and_global_names_replace(session):
    run(session, "kept = 1")
    assert run(session, "kept + passing", {"passing": 2}) == 3
    run(session, "lost = passing", {"passing": 2})
    with pytest.raises(NameError):
        run(session, "lost")
    assert run(session, "other", globs={"other": 5}) == 5
    with pytest.raises(NameError):
        run(session, "kept", globs={"other": 5})
    assert run(session, "kept") == 1


def test_statements_classes_and_dataclasses(session):
    code = "import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int\nPoint(3)"
    with pytest.raises(OperationError, match="no module 'session_"):  # there is no such class here
        run(session, code)
    assert run(session, "import pickle; pickle.loads(pickle.dumps(Point(4))).x") == 4


def test_evals_of_a_session_run_in_order(session):
    run(session, "seen = []")
    futures = [session.eval("seen.append(number); number", {"number": number}) for number in range(200)]
    assert [future.result(DEADLINE) for future in futures] == list(range(200))
    assert run(session, "seen") == list(range(200))


def test_sessions_of_one_worker_do_not_wait_for_each_other(fifo):
    with start(1) as one, opened(one) as waits, opened(one) as goes:
        future = waits.eval("open(path).read()", {"path": fifo})
        assert run(goes, "1 + 1") == 2
        assert not future.done()
        with open(fifo, "w") as opening:
            opening.write("done")
        assert future.result(DEADLINE) == "done"


def test_eval_never_waits_and_its_arguments_are_checked(session, fifo):
    first = session.eval("open(path).read()", {"path": fifo})
    second = session.eval("2")
    assert not first.wait(0) and not second.wait(0)
    with pytest.raises(TypeError, match="code is a str, not bytes"):
        session.eval(b"1")
    with pytest.raises(TypeError, match="locs is a dict or None"):
        session.eval("1", [])
    with pytest.raises(TypeError, match="globs is a dict or None"):
        session.eval("1", {}, ())
    with open(fifo, "w") as opening:
        opening.write("1")
    assert second.wait(DEADLINE) and (first.result(), second.result()) == ("1", 2)


def test_errors_come_back_as_themselves(session):
    with pytest.raises(ZeroDivisionError) as failure:
        run(session, "1 / 0")
    assert "1 / 0" in str(failure.value.__cause__)
    with pytest.raises(SyntaxError):
        run(session, "1 +")
    with pytest.raises(OperationError, match=r"lambda|function"):
        run(session, "lambda: 1")
    with pytest.raises(OperationError):
        run(session, "x", {"x": lambda: 1})
    assert run(session, "1") == 1


def test_a_session_is_a_connection_too(session):
    assert session.connection.call(os.getpid) != os.getpid()
    items = session.connection.replicate([1, 2])
    items.append(3)
    assert list(items) == [1, 2, 3]
    assert list(session.connection.map(abs, range(-2000, 0))) == list(range(2000, 0, -1))


# -- cancelling


def test_a_waiting_eval_can_be_cancelled(session, fifo):
    first = session.eval("open(path).read()", {"path": fifo})
    second, third = session.eval("never = 1"), session.eval("'never' in globals()")
    assert second.cancel() and second.cancelled()
    with open(fifo, "w") as opening:
        opening.write("1")
    assert (first.result(DEADLINE), third.result(DEADLINE)) == ("1", False)
    with pytest.raises(CancelledError):
        second.result()
    assert not first.cancel()


def test_a_running_eval_can_be_cancelled(session):
    endless = session.eval("print('runs', flush=True)\nwhile True: pass")
    assert next(session.output(endless)) == (1, "runs")
    assert endless.running()
    assert endless.cancel()
    assert run(session, "'goes on'") == "goes on"


def test_a_session_that_closes_leaves_nothing_running(pool):
    with start(1) as one, opened(one) as watching:
        with opened(one) as closing:
            running = closing.eval("import time\nprint('runs', flush=True)\nwhile True: time.sleep(0.01)")
            assert next(closing.output(running)) == (1, "runs")
            name = f"session_{closing.session_id}"
        assert running.exception(DEADLINE)
        here = "import sys; name in sys.modules"
        await_true(lambda: not run(watching, here, {"name": name}))


# -- output


def test_output_comes_while_the_code_runs(session, fifo):
    future = session.eval("import sys; print('out', flush=True); print('err', file=sys.stderr); open(path).read()",
                          {"path": fifo})  # fmt: skip
    lines = session.output(future)
    assert (next(lines), next(lines)) == ((1, "out"), (2, "err"))
    assert not future.done()
    with open(fifo, "w") as opening:
        opening.write("x")
    assert list(lines) == []
    assert future.result(DEADLINE) == "x"


def test_output_goes_to_the_session_and_the_eval_that_prints(fifo):
    code = "import sys\nfor number in range(100): print(name, number); print(name, number, file=sys.stderr)"
    with start(1) as one:
        sessions = [opened(one) for _ in range(3)]
        futures = {(s, turn): s.eval(code, {"name": f"{i}/{turn}"}) for i, s in enumerate(sessions) for turn in "ab"}
        for (session, turn), future in futures.items():
            name = f"{sessions.index(session)}/{turn}"
            lines = list(session.output(future))
            assert [line for stream, line in lines if stream == 1] == [f"{name} {number}" for number in range(100)]
            assert [line for stream, line in lines if stream == 2] == [f"{name} {number}" for number in range(100)]
        for session in sessions:
            session.close()


def test_threads_that_code_starts_print_for_it(session):
    code = "import threading\nt = threading.Thread(target=print, args=('from a thread',), kwargs={'end': ''})"
    future = session.eval(f"{code}\nt.start()\nt.join()")
    assert list(session.output(future)) == [(1, "from a thread")]


def test_code_may_fork(session):
    """What a child prints is not the session's; it can be terminated."""
    run(session, "import multiprocessing; fork = multiprocessing.get_context('fork').Process")
    assert run(session, "p = fork(target=print, args=('from a child',)); p.start(); p.join(); p.exitcode") == 0
    run(session, "import os, signal; r, w = os.pipe()\ndef wait():\n    os.write(w, b'.')\n    signal.pause()")
    waiting = "p = fork(target=wait); p.start(); os.read(r, 1); p.terminate(); p.join(); p.exitcode"
    assert run(session, waiting) == -signal.SIGTERM


def test_output_without_an_end_and_as_bytes(session):
    future = session.eval("import sys; sys.stdout.buffer.write(b'a\\xc3\\xa4'); print('\\udc80')")
    assert list(session.output(future)) == [(1, "aä\\udc80")]
    future = session.eval("print('unfinished', end='')")
    assert list(session.output(future)) == [(1, "unfinished")]


def test_output_of_the_whole_session(pool):
    with opened(pool) as session:
        lines = session.output()
        for number in range(3):
            session.eval("print(number)", {"number": number})
        assert [next(lines) for _ in range(3)] == [(1, "0"), (1, "1"), (1, "2")]


# -- losses


@pytest.mark.parametrize(
    ("code", "outcome"),
    [("import os; os._exit(3)", "exit code 3"), ("import ctypes; ctypes.string_at(16)", "SIGSEGV")],
)
def test_a_worker_that_dies_takes_its_own_sessions_only(code, outcome):
    with start(2) as two:
        here, there = opened(two), opened(two)
        pid = run(here, "import os; os.getpid()")
        assert pid != run(there, "import os; kept = 1; os.getpid()")
        dying, waiting = here.eval(code), here.eval("1")
        for future in (dying, waiting):
            with pytest.raises(DisconnectError, match=rf"session {here.session_id} is lost: worker \d .*{outcome}"):
                future.result(DEADLINE)
        assert not here.is_connected()
        two.log.wait_for(rf"ERROR worker \d \(pid {pid}\) ended: .*{outcome}; another takes its place")
        two.log.wait_for(f"session {here.session_id} is lost: worker .*{outcome}")
        assert run(there, "kept") == 1
        with opened(two) as another:
            assert run(another, "1 + 1") == 2
        here.close()
        there.close()


def test_a_worker_is_replaced_again_and_again():
    with start(1) as one:
        pids = []
        for _ in range(5):
            with opened(one) as session:
                pids.append(run(session, "import os; os.getpid()"))
                with pytest.raises(DisconnectError, match="is lost: worker 1 .*killed by SIGKILL"):
                    run(session, "os.kill(os.getpid(), 9)")
            one.log.wait_for(rf"\(pid {pids[-1]}\) ended: killed by SIGKILL; another takes its place")
        assert len(set(pids)) == 5


def test_who_calls_while_a_worker_dies_is_told_so_too():
    with start(1) as one, opened(one) as session, opened(one) as killing:
        killing.eval("import threading, os; threading.Timer(0.05, os._exit, [5]).start()")
        with pytest.raises(DisconnectError, match=f"session {session.session_id} is lost: worker 1 .*exit code 5"):
            call_for_ever(session)


def call_for_ever(session: PoolSession) -> None:
    while True:
        session.connection.call(len, bytes(1 << 14))


def test_half_a_result_is_never_completed_with_something_else():
    """The worker dies in the middle of a large result, of which less is missing than the last message has bytes."""
    ours, client = socket.socketpair()
    worker, theirs = socket.socketpair()
    with ours, client, worker, theirs:
        target, source = End(ours), End(worker)
        target.asked.add(1)
        whole = HEADER.pack(Kind.RESULT, 0, 0, 1, 0, PIECE + 10) + bytes(PIECE + 10)
        hello = HEADER.pack(Kind.HELLO, 0, 0, 0, 0, 0)
        received = []
        reading = threading.Thread(target=lambda: received.append(RawPeer.end(SimpleNamespace(sock=client))))
        reading.start()
        sending = threading.Thread(target=lambda: (theirs.sendall(hello + whole[:-5]), theirs.shutdown(1)))
        sending.start()
        with pytest.raises(DisconnectError, match="in the middle of a message"):
            Relay(source, target, 1 << 30, lambda _: "", lambda: None).run()
        target.say_last(bye("a reason that is longer than five bytes"))
        reading.join(DEADLINE)
        sending.join(DEADLINE)
        assert received == [hello + whole[:-5]]


def test_what_a_worker_has_started_ends_with_it():
    with start(1) as one, opened(one) as session:
        child = run(session, "import os, subprocess; subprocess.Popen(['sleep', '1000']).pid")
        with pytest.raises(DisconnectError):
            run(session, "os._exit(0)")
        await_gone(child)


# -- limits


def test_more_sessions_than_allowed_are_told_so():
    with start(1, sessions=2) as one, opened(one) as first, opened(one) as second:
        with pytest.raises(DisconnectError, match="has 2 connections, its limit; try again later"):
            opened(one)
        assert run(first, "1") + run(second, "1") == 2
        first.close()
        await_true(lambda: one.server.serving < 2)
        with opened(one) as third:
            assert run(third, "3") == 3


def test_large_messages_are_told_apart():
    with start(1, message=1 << 20) as one, opened(one) as session:
        with pytest.raises(OperationError, match="1048576"):
            run(session, "len(x)", {"x": bytes(2 << 20)})
        with pytest.raises(OperationError, match="the result is a message of .* bytes, the pool's limit is 1048576"):
            run(session, "bytes(2 << 20)")
        assert run(session, "len(x)", {"x": bytes(1 << 19)}) == 1 << 19


def test_more_calls_than_allowed_are_told_so(fifo):
    with start(1, calls=3) as one, opened(one) as session:
        reading = f"open({fifo!r}).read()"
        under_way = [session.connection.submit(eval, reading) for _ in range(3)]
        with pytest.raises(OperationError, match="has 3 calls under way, the pool's limit"):
            session.connection.call(abs, -1)
        for future in under_way:
            future.cancel()
        with open(fifo, "w"):
            pass


def test_more_waiting_evals_than_allowed_are_told_so(pool, fifo):
    with opened(pool, queue=2) as session:
        first = session.eval("open(path).read()", {"path": fifo})
        await_true(first.running)
        waiting = [session.eval("1") for _ in range(2)]
        with pytest.raises(OperationError, match="2 evals of session .* wait already"):
            session.eval("1")
        with open(fifo, "w"):
            pass
        assert [future.result(DEADLINE) for future in waiting] == [1, 1]


def test_an_idle_session_ends_and_a_busy_one_does_not(fifo):
    with start(1, idle=0.5) as one, opened(one) as idle, opened(one) as busy:
        future = busy.eval("open(path).read()", {"path": fifo})
        assert idle.connection.wait(DEADLINE)
        with pytest.raises(DisconnectError, match="idle for more than 0.5 s, its limit"):
            run(idle, "1")
        assert not future.done() and busy.is_connected()
        with open(fifo, "w") as opening:
            opening.write("1")
        assert future.result(DEADLINE) == "1"


def test_who_does_not_read_is_not_written_to(pool):
    """Its results fill what the system holds between the two, then the pool does not take its calls any more."""
    with opened(pool) as other:
        peer = RawPeer(pool.address, SECRET)
        try:
            peer.hello()
            call = pickle.dumps((bytes, (1 << 20,), {}), 5)
            peer.sock.settimeout(0.5)
            with pytest.raises((TimeoutError, ConnectionError)):
                flood(peer, call + bytes(1 << 16))
            assert run(other, "1 + 1") == 2
        finally:
            peer.close()


def test_who_takes_nothing_for_long_is_left():
    with start(1, idle=0.5) as one:
        peer = RawPeer(one.address, SECRET)
        try:
            peer.hello()
            endless = "while True: print('x' * 1000)"
            peer.frame(Kind.CALL, pickle.dumps((exec, (endless,), {})), serial=1)
            one.log.wait_for("it has taken nothing for 0.5 s")
            one.log.wait_for("closed after 1 calls")
            with opened(one) as other:
                assert run(other, "1 + 1") == 2
        finally:
            peer.close()


def flood(peer: RawPeer, call: bytes) -> None:
    """128 MiB of calls; there was no end otherwise."""
    for serial in range(1, 2000):
        peer.frame(Kind.CALL, call, serial=serial)


def test_many_sessions_leave_nothing():
    threads = set(threading.enumerate())
    with start(2) as two:
        with opened(two) as session:
            run(session, "1")
        await_true(lambda: not two.server.serving)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(100):
            with opened(two) as session:
                assert run(session, "1") == 1
        await_true(lambda: not two.server.serving)
        await_true(lambda: len(os.listdir("/proc/self/fd")) <= before)
        with opened(two) as session:
            assert run(session, "import os; len(os.listdir('/proc/self/fd'))") < 40
            assert run(session, "import threading; threading.active_count()") < 20
    left = set(threading.enumerate()) - threads
    assert not [each.name for each in left if each.name.startswith(("winbridge-pool", "winbridge-server"))]


# -- who gets in


def test_a_pool_on_a_unix_socket(tmp_path):
    path = str(tmp_path / "socket")
    with Running(run_pool, path, 1), PoolSession(path) as session:
        assert run(session, "6 * 7") == 42


def test_a_pool_with_tls(tmp_path):
    certificates = Certificates(tmp_path)
    context = server_tls(certificates.server, certificates.server_key, clients=certificates.client)
    shown = client_tls(certificates.server, certificate=certificates.client, key=certificates.client_key)
    with Running(run_pool, "localhost:0", 1, tls=context) as one:
        address = f"localhost:{one.address[1]}"
        with PoolSession(address, tls=shown) as session:
            assert run(session, "len(x)", {"x": bytes(1 << 22)}) == 1 << 22


def test_a_pool_needs_a_secret_and_an_address():
    with pytest.raises(ConfigError, match="give a secret"):
        Running(run_pool, "localhost:0", 1)
    with pytest.raises(ConfigError, match="others reach it"):
        Running(run_pool, "0.0.0.0:0", 1, allow_unauthenticated=True)
    for listen in ("localhost", "localhost:", ":9000", "localhost:x", "localhost:65536", "::1:9000"):
        with pytest.raises(ConfigError, match="is no address"):
            Running(run_pool, listen, 1, secret=SECRET)
    with pytest.raises(ConfigError, match="workers=0"):
        Running(run_pool, "localhost:0", 0, secret=SECRET)
    with pytest.raises(DisconnectError, match="does a server run there"):
        PoolSession("localhost:1", secret=SECRET, options=Options(timeout=10.0))


def test_addresses():
    assert parse_address("localhost:9000") == ("localhost", 9000)
    assert parse_address("[::1]:0") == ("::1", 0)
    assert is_path("./socket") and not is_path("localhost:9000")


# -- the end; the pool is a program of its own


@pytest.fixture
def program(tmp_path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``winbridge pool``, and its address."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    command = [sys.executable, "-m", "winbridge", "pool", "--listen", "localhost:0", "--workers", "2"]
    options = ["--secret-file", str(secret), "--grace", "20"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, *options], stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


def test_sigterm_lets_evals_end_and_refuses_more(program, fifo):
    process, address = program
    with PoolSession(address, secret=SECRET) as busy, PoolSession(address, secret=SECRET) as idle:
        future = busy.eval("print('runs', flush=True); open(path).read()", {"path": fifo})
        assert next(busy.output(future)) == (1, "runs")
        late = busy.eval("1")
        process.send_signal(signal.SIGTERM)
        assert idle.connection.wait(DEADLINE)
        with pytest.raises(DisconnectError, match="the pool is ending"):
            run(idle, "1")
        with pytest.raises(DisconnectError):
            PoolSession(address, secret=SECRET, options=Options(timeout=10.0))
        with pytest.raises(OperationError, match=r"the pool is ending: session .* takes no new calls"):
            busy.connection.call(abs, -1)
        with open(fifo, "w") as opening:
            opening.write("done")
        assert future.result(DEADLINE) == "done"
        with pytest.raises(OperationError, match="the pool is ending"):
            late.result(DEADLINE)
    assert process.wait(DEADLINE) == 0
    log = process.stderr.read()
    assert f"session {idle.session_id}: the pool is ending" in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_worker_outlives_a_pool(program, fifo, number):
    process, address = program
    with PoolSession(address, secret=SECRET) as session:
        pid = run(session, "import os; os.getpid()")
        stuck = session.eval("print('runs', flush=True); open(path).read()", {"path": fifo})
        assert next(session.output(stuck)) == (1, "runs")
        process.send_signal(number)
        if number != signal.SIGKILL:
            await_true(lambda: refused(session))
            process.send_signal(number)  # the second one ends it at once
        assert process.wait(DEADLINE) == (-9 if number == signal.SIGKILL else 0)
        await_gone(pid)
        with pytest.raises(DisconnectError):
            stuck.result(DEADLINE)


def refused(session: PoolSession) -> bool:
    """Whether the pool takes no new calls."""
    try:
        session.connection.call(abs, -1)
    except OperationError:
        return True
    return False


def test_what_c_code_prints_goes_to_the_pools_standard_error(program):
    process, address = program
    with PoolSession(address, secret=SECRET) as session:
        run(session, "import os; os.write(1, b'written to 1\\n'); os.write(2, b'written to 2\\n')")
        session_id = session.session_id
    process.send_signal(signal.SIGTERM)
    out, log = process.communicate(timeout=DEADLINE)
    assert out == ""
    assert "written to 1\n" in log and "written to 2\n" in log
    assert f"session {session_id}: opened" in log and "worker 2 (pid" in log
    assert SECRET not in log


def test_the_command_line_names_what_is_wrong():
    command = [sys.executable, "-m", "winbridge", "pool", "--workers", "1", "--listen"]
    for rest, message in (
        (["localhost:0"], "Error: 127.0.0.1, port .*: give a secret"),
        (["nowhere", "--allow-unauthenticated"], "Error: 'nowhere' is no address"),
        (["localhost:0", "--secret-file", "/no/such"], "Error: the secret file /no/such cannot be read"),
        (["localhost:0", "--tls-key", "/no/such"], "--tls-key and --tls-clients need --tls-certificate"),
    ):
        done = subprocess.run([*command, *rest], capture_output=True, text=True, cwd=ROOT, timeout=DEADLINE)
        assert done.returncode and re.search(message, done.stderr), done
