"""Over a real ssh server: the far side needs a Python and nothing else."""

from __future__ import annotations

import os
import platform
import select
import shlex
import sys

import pytest

from tests.conftest import ROOT
from tests.remote import subject
from tests.remote.conformance import Conformance
from winbridge.remote import Connection, DisconnectError, Options, get_bios

pytest_plugins = ["tests.remote.fix_ssh"]


@pytest.fixture(scope="module")
def connection(ssh: list[str]):
    with Connection.from_command([*ssh, "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", get_bios()]) as connection:
        yield connection


class TestOverSsh(Conformance):
    """All that every connection does."""


def test_the_bios_gets_through_the_far_shell_without_quotes(connection: Connection) -> None:
    assert connection.eval("__import__('winbridge.remote').remote.__spec__.origin").startswith("<from the peer>")
    assert connection.execute("import os; os.environ['SSH_CONNECTION']").startswith("127.0.0.1 ")
    assert connection.peer["python"] == platform.python_version()


def test_work_in_both_directions(connection: Connection) -> None:
    data = os.urandom(3_000_000)
    assert connection.execute("import zlib; zlib.crc32(data)", data=data) == connection.call(
        __import__("zlib").crc32, data
    )
    assert connection.call(eval, "[print(n) or n * n for n in range(100)]")[-1] == 99 * 99
    printed = connection.output()
    assert [next(printed) for _ in range(100)] == [(1, str(number)) for number in range(100)]
    connection.execute("import sys; print('to stderr', file=sys.stderr)")
    assert next(printed) == (2, "to stderr")
    assert connection.eval("back(20) + 1", {"back": _doubled}) == 41


def _doubled(number: int) -> int:
    return 2 * number


def test_as_one_line_for_the_shell_with_a_greeting_before_it(ssh: list[str]) -> None:
    far = f"echo Welcome; cd {shlex.quote(str(ROOT))}; exec {shlex.quote(sys.executable)} -c {get_bios()}"
    with Connection.from_shell(shlex.join([*ssh, far]), options=Options(pickle_by_value=False)) as connection:
        assert next(connection.output()) == (1, "Welcome")
        assert connection.call(subject.same, 42) == 42


def test_a_host_that_lets_us_not_in(ssh: list[str]) -> None:
    refused = [part if not part.endswith("/user") else "/nosuch/key" for part in ssh]
    connection = Connection.from_command([*refused, sys.executable, "-c", get_bios()])
    with pytest.raises(DisconnectError, match=r"(?s)ended before it served \(exit status 255\).*Permission denied"):
        connection.call(abs, 1)


def test_a_far_side_without_that_python(ssh: list[str]) -> None:
    with (
        pytest.raises(DisconnectError, match=r"(?s)exit status 127.*nosuchpython"),
        Connection.from_command([*ssh, "nosuchpython", "-c", get_bios()]),
    ):
        pass


def test_the_far_side_ends_with_ssh(ssh: list[str]) -> None:
    with Connection.from_command([*ssh, sys.executable, "-I", "-c", get_bios()]) as connection:
        far = os.pidfd_open(int(connection.peer["pid"]))
        future = connection.submit(eval, "__import__('time').sleep(60)")
        connection.process.kill()
        with pytest.raises(DisconnectError):
            future.result(30)
    os.set_blocking(far, False)
    assert select.select([far], [], [], 30)[0], "the Python at the far side still runs"
    os.close(far)
