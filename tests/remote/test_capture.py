"""What is printed at the other side comes, whole, in order, and never into the protocol."""

from __future__ import annotations

import os
import sys

import pytest

from winbridge.remote import Connection

SERVE = [sys.executable, "-m", "winbridge.remote"]
LONG = 30

EVERY_WAY = """
import ctypes, os, subprocess, sys
libc = ctypes.CDLL(None)
print("print")
sys.stdout.write("write\\n")
sys.stdout.buffer.write(b"buffer\\n")
os.write(1, b"descriptor\\n")
libc.puts(b"C"), libc.fflush(None)
os.system("echo system")
subprocess.run(["echo", "child"])
subprocess.run(["echo", "named"], stdout=sys.stdout)
print("again")
print("error", file=sys.stderr)
os.write(2, b"descriptor 2\\n")
subprocess.run("echo child 2 >&2", shell=True)
print("last", file=sys.__stderr__, end="")
"""


@pytest.fixture
def connection():
    with Connection.from_command(SERVE) as connection:
        yield connection


def printed(connection: Connection, count: int) -> list[tuple[int, str]]:
    lines = connection.output()
    return [next(lines) for _ in range(count)]


def test_every_way_to_print_in_order(connection: Connection) -> None:
    connection.execute(EVERY_WAY)
    first = ["print", "write", "buffer", "descriptor", "C", "system", "child", "named", "again"]
    second = ["error", "descriptor 2", "child 2"]
    assert printed(connection, 12) == [(1, line) for line in first] + [(2, line) for line in second]
    connection.close()
    assert list(connection.output()) == [(2, "last")]


def test_all_of_it_is_here_before_the_answer(connection: Connection) -> None:
    for number in range(50):
        connection.execute(f"import os; os.write(1, b'raw {number}\\n'); print('text', {number})")
        there = list(connection.outputs.lines(None, lambda: True))
        assert there == [(1, f"raw {number}"), (1, f"text {number}")]


def test_it_comes_while_the_function_runs(connection: Connection) -> None:
    reader = connection.execute("import os; reader, writer = os.pipe(); reader")
    code = "import os; print('live'); os.write(1, b'raw\\n'); os.read(number, 1)"
    future = connection.submit(exec, code, {"number": reader})
    assert printed(connection, 2) == [(1, "live"), (1, "raw")]
    assert not future.done()
    connection.execute("os.write(writer, b'x')")
    future.result(LONG)


def test_each_future_has_its_own(connection: Connection) -> None:
    connection.execute(
        "import threading\n"
        "barrier = threading.Barrier(3)\n"
        "def work(name):\n"
        "    for number in range(3):\n"
        "        barrier.wait(30)\n"
        "        print(name, end=' ')\n"
        "        print(number)"
    )
    work = connection.call_ref(eval, "__import__('__main__').work")
    futures = {name: connection.submit(work, name) for name in "abc"}
    for name, future in futures.items():
        assert list(connection.output(future)) == [(1, f"{name} {number}") for number in range(3)]
        assert future.result(LONG) is None


def test_a_lot_of_it(connection: Connection) -> None:
    count = 20_000
    future = connection.submit(eval, f"[print('line', n) for n in range({count})] and None")
    assert sum(line == (1, f"line {number}") for number, line in enumerate(connection.output(future))) == count
    future = connection.submit(eval, f"__import__('os').system('yes | head -n {count}')")
    assert sum(line == (1, "y") for line in connection.output(future)) == count


def test_any_bytes(connection: Connection) -> None:
    connection.execute(r"import os, sys; os.write(1, b'\xff\x00\x80\n'); print('\udcff größe €')")
    connection.execute(r"sys.stdout.buffer.write(b'\xc3'); sys.stdout.buffer.write(b'\xbc\n')")
    assert printed(connection, 3) == [(1, "\ufffd\x00\ufffd"), (1, "\\udcff größe €"), (1, "ü")]


def test_what_looks_like_the_protocol_is_only_text(connection: Connection) -> None:
    connection.execute(r"import os; os.write(1, b'\x93winbrg\n\x01' * 1000); os.write(1, bytes(100))")
    assert connection.call(abs, -1) == 1


def test_standard_input_is_empty(connection: Connection) -> None:
    assert connection.execute("import sys, os; [sys.stdin.read(), os.read(0, 1)]") == ["", b""]
    assert connection.execute("import subprocess; subprocess.run('cat', capture_output=True).stdout") == b""


def test_processes_that_fork(connection: Connection) -> None:
    connection.execute(
        "import os\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('child')\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print('parent')"
    )
    assert printed(connection, 2) == [(1, "child"), (1, "parent")]


def test_threads_of_the_function(connection: Connection) -> None:
    connection.execute("import threading; t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()")
    assert printed(connection, 1) == [(1, "thread")]


def test_objects_that_print_when_they_die(connection: Connection) -> None:
    connection.execute(
        "import gc\n"
        "class Noisy:\n"
        "    def __del__(self): print('dead')\n"
        "for _ in range(100):\n"
        "    n = Noisy(); n.me = n\n"
        "del n; gc.collect()"
    )
    assert printed(connection, 100) == [(1, "dead")] * 100


def test_descriptors_that_the_function_closes(connection: Connection) -> None:
    connection.execute("import os; os.close(1); os.close(2)")
    assert connection.call(abs, -1) == 1
    connection.execute("print('still')")
    assert printed(connection, 1) == [(1, "still")]


def test_replaced_streams(connection: Connection) -> None:
    caught = connection.execute(
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()) as caught: print('caught')\n"
        "print('free')\n"
        "caught.getvalue()"
    )
    assert caught == "caught\n"
    assert printed(connection, 1) == [(1, "free")]


def test_the_protocol_is_not_inherited(connection: Connection) -> None:
    """A child that lives on does not keep the connection open, nor writes into it."""
    listed = connection.execute(
        "import subprocess\n"
        "subprocess.run(['ls', '-l', '/proc/self/fd'], close_fds=False, capture_output=True, text=True).stdout"
    )
    source = "from winbridge.remote import get_connection; c = get_connection()._capture; [c.incoming, c.outgoing]"
    private = connection.execute(source)
    ours = {os.readlink(f"/proc/{connection.peer['pid']}/fd/{number}") for number in private}
    assert len(ours) == 2
    assert not [name for name in ours if name in listed]


def test_the_peer_may_print_here_too(connection: Connection, capfd: pytest.CaptureFixture[str]) -> None:
    """Only a process that serves is captured."""
    connection.call(exec, "from winbridge.remote import get_connection; get_connection().call(print, 'here')")
    assert capfd.readouterr().out == "here\n"
