"""A Python that has nothing installed becomes a peer, through any number of shells."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from winbridge.remote import Connection, DisconnectError, OperationError, Options, bios, get_bios

PYTHONS = sorted(path for minor in range(8, 15) for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
TOO_OLD = sorted(path for minor in (6, 7) for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
SH = "dash", "bash", "sh"


def bare(python: str | Path = sys.executable, options: Options | None = None) -> Connection:
    """A peer that finds no module but those of the standard library."""
    return Connection.from_command([str(python), "-I", "-S", "-c", get_bios()], options=options)


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_every_python(python: Path) -> None:
    with bare(python) as connection:
        assert connection.eval("__import__('sys').version_info[:2]") == tuple(
            int(part) for part in python.parts[-3].split(".")[:2]
        )
        assert connection.execute("print('ü'); data[::-1]", data=bytes(100_000)) == bytes(100_000)
        assert next(connection.output()) == (1, "ü")
        with pytest.raises(ZeroDivisionError):
            connection.eval("1 / 0")
        thing = connection.call_ref(eval, "[1, 2]")
        thing.append(3)
        assert list(thing) == [1, 2, 3]


@pytest.mark.parametrize("python", TOO_OLD, ids=lambda path: path.parts[-3])
def test_a_python_that_is_too_old(python: Path) -> None:
    with pytest.raises(DisconnectError, match=r"needs Python 3\.8 or newer, and this is 3\.[67]"), bare(python):
        pass


def test_there_are_several_pythons() -> None:
    if not PYTHONS:
        pytest.skip("NO OTHER PYTHON IN ~/.pyenv: THE BIOS WAS TRIED WITH THIS ONE ONLY")
    assert len(set(PYTHONS)) == len(PYTHONS)


def test_the_script_is_one_plain_word() -> None:
    assert re.fullmatch(r"[a-z_@:0\r\f]+", get_bios())
    assert len(get_bios()) < 60
    assert compile(get_bios(), "<bios>", "exec")


@pytest.mark.parametrize("shell", SH)
def test_no_shell_alters_it(shell: str) -> None:
    """Each line goes through three shells, as with ``ssh host docker exec -i x sh -c ...``; unquoted and quoted."""
    for script in (get_bios(), shlex.quote(get_bios())):
        line = f"{shlex.quote(sys.executable)} -I -c {script}"
        for _ in range(2):
            line = f"{shell} -c {shlex.quote(line)}"
        with Connection.from_shell(line) as connection:
            assert connection.call(abs, -1) == 1


def test_words_put_together_by_a_program_in_between() -> None:
    """As ssh does it, and ``su -c``: words are joined with blanks and given to a shell, unquoted."""
    relay = "import os, sys; os.execvp('sh', ['sh', '-c', ' '.join(sys.argv[1:])])"
    args = [sys.executable, "-c", relay, "exec", sys.executable, "-I", "-c", get_bios()]
    with Connection.from_command(args) as connection:
        assert connection.call(abs, -1) == 1


@pytest.mark.parametrize("prefix", [["env", "-i"], ["sudo", "-n"], ["nice"]], ids=lambda prefix: prefix[0])
def test_behind_another_program(prefix: list[str]) -> None:
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"{' '.join(prefix)} DOES NOT WORK HERE: not tried")
    with Connection.from_command([*prefix, sys.executable, "-I", "-c", get_bios()]) as connection:
        assert connection.call(abs, -1) == 1


def test_the_code_is_ours_even_where_another_winbridge_is_installed() -> None:
    with Connection.from_command([sys.executable, "-c", get_bios()]) as connection:
        origin = connection.execute(
            "import winbridge.remote, winbridge.core.errors; winbridge.core.errors.__spec__.origin"
        )
        assert origin == "<from the peer>/winbridge/core/errors.py"
        assert connection.execute("import winbridge; winbridge.__version__") == __import__("winbridge").__version__


def test_a_traceback_shows_the_code_that_was_sent() -> None:
    with bare() as connection, pytest.raises(ModuleNotFoundError) as caught:
        connection.execute("import winbridge.dll")
    assert "nothing of this is there" not in str(caught.value.__cause__)
    with bare() as connection:
        source = connection.execute("import inspect, winbridge.remote.bios as b; inspect.getsource(b.get_bios)")
    assert source.startswith("def get_bios() -> str:")


def test_it_gets_the_options_of_this_side() -> None:
    options = Options(timeout=7, max_message=1 << 20, secret="not on any command line")
    with bare(options=options) as connection:
        assert connection.peer["accept_exported_modules"] == "1"
        there = connection.execute("from winbridge.remote import get_connection; vars(get_connection().options)")
        assert (there["timeout"], there["max_message"]) == (7, 1 << 20)
        line = connection.execute("open('/proc/self/cmdline').read()")
        assert "not on any" not in line
        with pytest.raises(OperationError, match="max_message"):
            connection.call(len, bytes(2 << 20))


def test_a_peer_can_start_peers_of_its_own() -> None:
    """From a machine that has nothing to a third one that has nothing."""
    with bare() as connection:
        answer = connection.execute(
            "import sys\n"
            "from winbridge.remote import Connection, get_bios\n"
            "with Connection.from_command([sys.executable, '-I', '-S', '-c', get_bios()]) as further:\n"
            "    answer = further.eval('6 * 7'), further.peer['pid']\n"
            "answer"
        )
        assert answer[0] == 42
        assert answer[1] != connection.peer["pid"]


def test_what_is_sent_is_small_and_made_once() -> None:
    assert len(bios.answer(Options())) < 200_000
    assert bios.sources() is bios.sources()
    assert "winbridge.remote.connection" in bios.sources()
    assert not [name for name in bios.sources() if name.startswith(("winbridge.ctypes", "winbridge.dll"))]
