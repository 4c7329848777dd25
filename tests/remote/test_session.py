"""PythonSession: its life is that of every session; its Python is another process, on Wine, of a pool, or elsewhere."""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import os
import platform
import queue
import re
import signal
import subprocess
import sys
import threading

import pytest

import winbridge
from tests import windows_pythons
from tests.remote.fix_peer import oldest_python
from tests.test_singleton import in_thread
from winbridge import (
    CallTimeoutError,
    ConfigError,
    DllError,
    MemorySession,
    PythonSession,
    SessionClosedError,
    SessionEngine,
    SessionExistsError,
    Win64Session,
    load_dll,
    remote,
)
from winbridge.remote import Connection, DisconnectError, OperationError, Options, servers

SECRET = "a secret of the tests, long enough"
RUNS = "import time\nprint('runs')\nwhile True:\n    time.sleep(0.01)"


@pytest.fixture
def session():
    return PythonSession(interpreter=sys.executable)


@pytest.fixture
def implicit(monkeypatch):
    """What opens by itself is a Python of this machine."""
    monkeypatch.setenv("WINBRIDGE_PYTHON", sys.executable)


@pytest.fixture
def gate(tmp_path):
    """A pipe by name: code that opens it to read waits until a test opens it to write."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return str(path)


def let_through(gate: str) -> None:
    with open(gate, "w"):
        pass


class Pool:
    """A pool of two processes with a secret, and what it logs."""

    def __init__(self, log) -> None:
        self._log = log
        with open(log, "w") as file:
            command = ["pool", "--listen", "localhost:0", "--workers", "2"]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "winbridge", *command], stdout=subprocess.PIPE, stderr=file, text=True,
                env={**os.environ, "WINBRIDGE_SECRET": SECRET},
            )  # fmt: skip
        self.addr = self.process.stdout.readline().split()[-1]

    @property
    def log(self) -> str:
        return self._log.read_text()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        with self.process.stdout:
            return self.process.wait(30)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    pool = Pool(tmp_path_factory.mktemp("pool") / "log")
    yield pool
    SessionEngine.close_all()
    assert pool.stop() == 0


@pytest.fixture
def known(pool, monkeypatch):
    """The pool's address, to who knows its secret."""
    monkeypatch.setenv("WINBRIDGE_SECRET", SECRET)
    return pool.addr


# One per thread and type.


def test_it_is_a_session_and_a_singleton(session):
    assert isinstance(session, SessionEngine) and PythonSession() is session
    assert PythonSession(interpreter=sys.executable) is session
    with pytest.raises(SessionExistsError, match=r"new_session\(addr='far:1', options=Options\(secret='\*\*\*'\)"):
        PythonSession(addr="far:1", options=Options(secret="do not show"))


def test_other_types_live_beside_it(session):
    memory = MemorySession(libraries={"lib": {"answer": lambda: 42}})
    assert MemorySession() is memory and PythonSession() is session
    assert load_dll("lib").answer() == 42


def test_it_hosts_no_dlls(session):
    for name in ("memory", "modules", "callbacks", "heap", "transport"):
        assert not hasattr(session, name)
    for load in (session.load_dll, functools.partial(load_dll, session=session)):
        with pytest.raises(DllError, match="hosts no DLLs"):
            load("kernel32")


def test_status_line(session):
    version = platform.python_version()
    pid = session.call(os.getpid)
    assert repr(session) == f"<PythonSession '{session.id}' up, Python {version} on linux, pid {pid}>"
    assert repr(session.connect()) == f"<RemoteProcess of {session!r}>"
    session.close()
    assert repr(session) == f"<PythonSession '{session.id}' closed>" and not session.up


def test_threads_have_their_own_and_it_ends_with_them(session):
    theirs = in_thread(lambda: (own := PythonSession(interpreter=sys.executable), own.call(os.getpid), own.up))
    assert theirs[0] is not session and theirs[1] != session.call(os.getpid) and theirs[2]
    assert theirs[0].closed


def test_a_thread_that_ended_leaves_no_thread_object(run_python):
    code = """
import os, sys, threading, winbridge
session = []
def work():
    session.append(winbridge.PythonSession(interpreter=sys.executable))
    session[0].connect().eval("1").result()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print([thread.name for thread in threading.enumerate() if not thread.name.startswith("winbridge")], session[0].closed)
"""
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("['MainThread'] True\n", "")


def test_a_program_ends_at_once_whatever_runs(run_python):
    code = """
import os, sys, winbridge
process = winbridge.PythonSession(interpreter=sys.executable).connect()
future = process.eval("import os, time; print(os.getpid()); time.sleep(1000)")
print(next(process.output(future))[1])
"""
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_threads_without_one_use_that_of_the_main_thread(session):
    assert in_thread(remote.call, os.getpid) == session.call(os.getpid)


def test_new_and_close_session(session):
    fresh = PythonSession.new_session(interpreter=sys.executable, id="fresh")
    assert session.closed and fresh.up and fresh.name == "PythonSession 'fresh'"
    assert PythonSession.close_session() is fresh and PythonSession.get_session() is None


def test_closing_ends_the_process_and_all_that_waits(session):
    process, pid = session.connect(), session.call(os.getpid)
    futures = [process.eval(RUNS) for _ in range(3)]
    assert next(process.output(futures[0])) == (1, "runs")
    with session:
        assert session.up
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert [type(future.exception(10)) for future in futures] == [DisconnectError] * 3
    for use in (lambda: session.call(os.getpid), session.connect, session.__enter__):
        with pytest.raises(SessionClosedError, match=r"winbridge\.remote\.call\(\)"):
            use()
    with pytest.raises(DisconnectError, match="closed by this side"):
        process.eval("1")


def test_calls_under_way_end_with_the_session(known):
    session = PythonSession(addr=known)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        call = executor.submit(session.evaluate, RUNS)
        assert next(session.connect().output()) == (1, "runs")
        session.close()
        with pytest.raises(SessionClosedError, match="is closed"):
            call.result(30)


def test_a_forked_child_starts_with_none_and_leaves_the_parents_alone(session):
    before = session.call(os.getpid)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            assert PythonSession.get_session() is None and session.closed
            with PythonSession(interpreter=sys.executable) as own:
                os.write(writer, b"ok" if own.call(os.getpid) not in (before, os.getppid()) else b"bad")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 10) == b"ok"
    os.close(reader)
    assert session.call(os.getpid) == before


def test_parameters_and_history(session):
    assert session.history is None
    session.set_parameter("history", True)
    session.call(abs, -1)
    with pytest.raises(ZeroDivisionError):
        session.evaluate("\n1 / 0\n")
    session.import_module("math")
    session.connect().eval("long = '" + 100 * "x" + "'").wait()
    assert [(call.name, call.outcome) for call in session.history] == [
        ("abs", "ok"), ("1 / 0", "ZeroDivisionError"), ("import math", "ok"), ("long = '" + 49 * "x" + "...", "ok"),
    ]  # fmt: skip
    assert session.get_parameter("timeout_call") is None


def test_a_call_that_takes_too_long_is_given_up_and_the_session_goes_on(session, gate):
    session.set_parameter("timeout_call", 0.2)
    with pytest.raises(CallTimeoutError, match=r"open took longer than timeout_call = 0\.2 s.* goes on"):
        session.call(open, gate)
    assert session.call(abs, -1) == 1 and session.up
    let_through(gate)


def test_a_functions_own_timeout_error_stays_what_it_is(session):
    session.set_parameter("timeout_call", 60)
    with pytest.raises(TimeoutError, match="^its own$") as caught:
        session.execute("raise TimeoutError('its own')")
    assert type(caught.value) is TimeoutError


# The implicit one.


def test_module_functions_open_it(implicit):
    assert PythonSession.get_session() is None
    pid = remote.call(os.getpid)
    assert pid != os.getpid() and PythonSession.get_session().peer["pid"] == str(pid)
    assert remote.execute("x = y + 1; x * 2", y=20) == 42
    assert remote.evaluate("x") == 21 and remote.evaluate("x + z", {"z": 1}, {"x": 1}) == 2
    math = remote.import_module("math")
    assert math.floor(2.5) == 2 and remote.import_module("math") is math
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        remote.import_module("no_such_module")


def test_one_for_all_threads_unless_asked_otherwise(implicit, monkeypatch):
    first = remote.call(os.getpid)
    assert in_thread(remote.call, os.getpid) == first
    monkeypatch.setenv("WINBRIDGE_SCOPE", "thread")
    PythonSession.close_all()
    assert remote.call(os.getpid) != in_thread(remote.call, os.getpid)


def test_one_that_is_lost_is_opened_again(implicit):
    first = remote.call(os.getpid)
    session = PythonSession.get_session()
    waiting = [session.connect().eval(code) for code in ("import os; os.kill(os.getpid(), 9)", "1")]
    for future in waiting:
        with pytest.raises(DisconnectError):
            future.result(30)
    with pytest.raises(DisconnectError):
        remote.call(os.getpid)
    assert session.closed
    assert remote.call(os.getpid) != first


@pytest.mark.parametrize("use", [remote.execute, remote.evaluate])
def test_code_is_text(implicit, use):
    with pytest.raises(TypeError, match="str"):
        use(b"1")


# eval.


def test_eval_never_waits_and_keeps_the_order(session, gate):
    process = session.connect()
    first = process.eval("items = []; open(gate).read()", locs={"gate": gate}, globs={})
    assert process.eval("seen = []").done() is False
    rest = [process.eval(f"seen.append({number}); len(seen)") for number in range(100)]
    big = process.eval("len(data)", locs={"data": bytes(50_000_000)})
    assert not any(future.done() for future in (first, *rest, big))
    let_through(gate)
    assert [future.result(30) for future in rest] == list(range(1, 101))
    assert big.result(30) == 50_000_000 and first.result() == ""
    assert process.eval("seen").result() == list(range(100))


def test_eval_takes_expressions_and_statements_in_names_of_their_own(session):
    process = session.connect()
    assert process.eval("a * b", locs={"a": 6}, globs={"b": 7}).result() == 42
    assert process.eval("c = a\nc + 1", locs={"a": 1}).result() == 2
    assert process.eval("def double(x):\n    return 2 * x").result() is None
    assert process.eval("double(a)", locs={"a": 4}).result() == 8
    assert process.eval("'c' in globals() or 'a' in globals()").result() is False


@pytest.mark.parametrize(
    "arguments", [(b"1",), (None,), (compile("1", "", "eval"),), ("1", []), ("1", None, 1), ("1", "locs")]
)
def test_eval_checks_what_it_is_given(session, arguments):
    with pytest.raises(TypeError):
        session.connect().eval(*arguments)


def test_eval_brings_exceptions_back(session):
    process = session.connect()
    with pytest.raises(KeyError, match="nothing") as caught:
        process.eval("def find():\n    return {}['nothing']\nfind()").result()
    assert "line 2, in find" in str(caught.value.__cause__)
    assert isinstance(process.eval("1 +").exception(), SyntaxError)
    with pytest.raises(OperationError, match="generator"):
        process.eval("(x for x in [])").result()
    with pytest.raises(OperationError, match="lock"):
        process.eval("x", locs={"x": threading.Lock()}).result()
    assert process.eval("'goes on'").result() == "goes on"


def test_output_comes_while_the_code_runs(session, gate):
    process = session.connect()
    code = "import sys\nprint('first')\nopen(gate).read()\nprint('second', file=sys.stderr)\nprint('no end', end='')"
    future = process.eval(code, locs={"gate": gate})
    another = process.eval("print('of another')")
    lines = process.output(future)
    assert next(lines) == (1, "first") and not future.done()
    let_through(gate)
    assert sorted(lines) == [(1, "no end"), (2, "second")]
    assert list(process.output(another)) == [(1, "of another")]


def test_cancelled_code_is_interrupted(session):
    process = session.connect()
    running = process.eval(RUNS)
    waiting, last = process.eval("waited = True"), process.eval("'waited' in globals()")
    assert next(process.output(running)) == (1, "runs")
    assert waiting.cancel() and running.cancel()
    assert last.result(30) is False
    assert running.cancelled() and waiting.cancelled() and not last.cancel()
    for future in (running, waiting):
        with pytest.raises(concurrent.futures.CancelledError):
            future.result()


def test_futures_are_those_of_concurrent_futures(session):
    process = session.connect()
    futures = [process.eval(str(number)) for number in range(5)]
    assert all(isinstance(future, concurrent.futures.Future) for future in futures)
    assert {future.result() for future in concurrent.futures.as_completed(futures, 30)} == set(range(5))
    assert futures[0].wait(0) and futures[0].exception() is None


# Where the Python is.


def test_a_given_connection_stays_when_the_session_closes():
    with Connection.from_command([sys.executable, "-m", "winbridge.remote"]) as connection:
        with PythonSession(connection=connection) as session:
            assert session.session_id == session.id
            assert session.evaluate("__import__('os').getpid()") == connection.call(os.getpid)
        assert connection.is_connected() and connection.call(abs, -1) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"addr": "a:1", "interpreter": "wine"}, "addr and interpreter name different"),
        ({"addr": "nowhere"}, "HOST:PORT"),
        ({"addr": "here:"}, "HOST:PORT"),
        ({"addr": "here:70000"}, "HOST:PORT"),
        ({"addr": 9000}, "localhost:9000"),
        ({"interpreter": "/no/such/python"}, "no such file"),
        ({"interpreter": sys.executable, "pyton": 1}, "python"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_bad_places_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        PythonSession(**arguments)
    assert PythonSession.get_session() is None


def test_a_parameter_that_names_no_interpreter_tells_where_it_comes_from(monkeypatch):
    monkeypatch.setenv("WINBRIDGE_PYTHON", "/no/such/python")
    with pytest.raises(ConfigError, match=r"python \(environment variable WINBRIDGE_PYTHON\) = '/no/such/python'"):
        remote.call(os.getpid)


def test_where_nobody_listens(tmp_path):
    for addr in ("localhost:1", str(tmp_path / "socket")):
        with pytest.raises(DisconnectError, match="does a server run there"):
            PythonSession(addr=addr)


def test_what_is_no_python_says_what_it_did():
    with pytest.raises(DisconnectError, match="ended"):
        PythonSession(interpreter="/bin/false")


def test_an_old_python_with_nothing_installed():
    python = oldest_python()
    if python is None:
        pytest.skip("NO PYTHON 3.8 HERE")
    with PythonSession(interpreter=python) as session:
        assert session.peer["python"].startswith("3.8.")
        assert session.connect().eval("sum(range(5))").result() == 10


def test_a_server_that_is_no_pool(tmp_path):
    path, running = str(tmp_path / "socket"), queue.SimpleQueue()
    thread = threading.Thread(target=servers.run_unix, args=(path,), kwargs={"started": running.put})
    thread.start()
    server = running.get(timeout=30)
    try:
        with PythonSession(addr=path) as session:
            assert session.session_id == session.id and session.call(os.getpid) == os.getpid()
    finally:
        server.stop()
        thread.join()


# A pool.


def test_the_walkthrough(known, pool):
    session = PythonSession(addr=known)
    assert re.fullmatch("[0-9a-f]{12}", session.session_id) and f"session {session.session_id}: opened" in pool.log
    process = session.connect()
    future = process.eval("for item in items:\n    print(item)\nlen(items) + 40", locs={"items": ["a", "b"]}, globs={})
    assert list(process.output(future)) == [(1, "a"), (1, "b")]
    assert future.wait() and future.result() == 42
    assert f"pool session {session.session_id}>" in repr(session)


def test_sessions_in_turns(known):
    """Each keeps names of its own, also where two of them share a process."""
    sessions = [PythonSession.apart(addr=known) for _ in range(4)]
    assert len({session.session_id for session in sessions}) == 4
    turns = itertools.cycle([session.connect() for session in sessions])
    for process in itertools.islice(turns, 4):
        process.eval("seen = []")
    futures = [next(turns).eval("seen.append(number); seen", {"number": number}) for number in range(4, 12)]
    assert [future.result(30) for future in futures] == [
        [4], [5], [6], [7], [4, 8], [5, 9], [6, 10], [7, 11],
    ]  # fmt: skip
    assert len({session.call(os.getpid) for session in sessions}) == 2
    assert sessions[0].execute("own = n; own", n=1) == 1
    assert [session.evaluate("'own' in globals()") for session in sessions] == [True, False, False, False]


def test_each_thread_its_session(known):
    barrier = threading.Barrier(4)

    def work(number):
        session = PythonSession(addr=known)
        barrier.wait()
        return session.session_id, remote.evaluate("6 * n", {"n": number})

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        found = list(executor.map(work, range(4)))
    assert len({name for name, _ in found}) == 4 and [value for _, value in found] == [0, 6, 12, 18]


def test_a_pool_asks_for_its_secret(pool):
    with pytest.raises(DisconnectError, match="secret"):
        PythonSession(addr=pool.addr)
    with pytest.raises(DisconnectError, match="does not accept our secret"):
        PythonSession(addr=pool.addr, options=Options(secret="another"))
    with PythonSession(addr=pool.addr, options=Options(secret=SECRET)) as session:
        assert session.evaluate("1 + 1") == 2


def test_a_worker_that_dies_is_an_error_that_says_so(known):
    session = PythonSession(addr=known)
    future = session.connect().eval("import os; os._exit(7)")
    with pytest.raises(DisconnectError, match=rf"session {session.session_id} is lost: .*exit code 7"):
        future.result(30)
    assert not session.up
    assert PythonSession.new_session(addr=known).evaluate("40 + 2") == 42


# A Windows Python on Wine.


@pytest.fixture
def windows_python(arch):
    return windows_pythons.python(arch) / "python.exe"


@pytest.mark.wine
def test_a_windows_python(windows_python, arch):
    with PythonSession(interpreter=windows_python) as session:
        assert session.peer["platform"] == "win32" and "on win32, pid" in repr(session)
        assert session.evaluate("__import__('struct').calcsize('P')") == {"win64": 8, "win32": 4}[arch]
        process = session.connect()
        code = "import sys; print('on Windows'); print('wrong', file=sys.stderr); sys.getwindowsversion()[0]"
        future = process.eval(code)
        assert sorted(process.output(future)) == [(1, "on Windows"), (2, "wrong")]
        assert future.result() >= 6


@pytest.mark.wine
def test_wine_is_what_opens_by_itself(windows_python, monkeypatch):
    monkeypatch.setenv("WINBRIDGE_PYTHON", str(windows_python))
    registry = remote.import_module("winreg")
    with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, r"Software\Microsoft\Windows NT\CurrentVersion") as key:
        assert registry.QueryValueEx(key, "ProductName")[0].startswith("Microsoft Windows")
    assert remote.call(platform.system) == "Windows"


@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.win32
def test_an_architecture_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("WINBRIDGE_PYTHON", str(windows_pythons.python("win64") / "python.exe"))
    for arguments in ({"interpreter": "wine32"}, {"interpreter": "wine", "arch": "win32"}):
        with pytest.raises(winbridge.WinbridgeError, match="win32 was asked for"):
            PythonSession(**arguments)
    with PythonSession(interpreter="wine64") as session:
        assert session.call(platform.machine) == "AMD64"


@pytest.mark.wine
@pytest.mark.win64
def test_dlls_and_a_windows_python_side_by_side(monkeypatch):
    monkeypatch.setenv("WINBRIDGE_PYTHON", str(windows_pythons.python("win64") / "python.exe"))
    ours, theirs = load_dll("kernel32"), remote.execute("import ctypes; ctypes.windll.kernel32.GetCurrentProcessId()")
    assert Win64Session.get_session() is not None
    assert ours.GetCurrentProcessId() != theirs == remote.import_module("os").getpid()
