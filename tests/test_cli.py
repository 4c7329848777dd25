"""The command line."""

from __future__ import annotations

import json
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import winbridge
from winbridge.cli import COMMANDS, main
from winbridge.core import agent

ROOT = Path(__file__).resolve().parent.parent
wine = pytest.mark.wine


def run(*arguments: str, **options) -> Result:
    """In this process; an error that no command should let through is raised here."""
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False, **options)


def process(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "winbridge", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert shown.output.startswith(f"Usage: main {command}")
    assert COMMANDS[command] in run("--help").output


def test_version() -> None:
    assert process("--version").stdout == f"winbridge, version {winbridge.__version__}\n"


@wine
@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["kernel32", "MulDiv", "6", "0x7", "1"], "42"),
        (["kernel32", "MulDiv", "-6", "7", "1"], "-42"),
        (["kernel32", "lstrlenW", "'größe'"], "5"),
        (["kernel32", "lstrlenA", 'b"abc"'], "3"),
        (["kernel32", "lstrlenA", "NULL"], "0"),
        (["msvcrt", "pow", "2", "0.5", "--argtypes", "double,c_double", "--restype", "double"], str(2**0.5)),
        (["msvcrt", "_abs64", "-4294967296", "--argtypes", "longlong", "--restype", "longlong"], str(2**32)),
        (["kernel32", "Sleep", "0", "--argtypes", "DWORD", "--restype", "void"], ""),
        (["msvcrt", "getenv", "b'NO SUCH'", "--restype", "char_p"], "None"),
        (["user32", "CharUpperW", "'größe'", "--restype", "wchar_p"], "GRÖßE"),
    ],
)
def test_call_prints_the_result(arguments: list[str], printed: str, arch: str) -> None:
    convention = "cdecl" if arguments[0] == "msvcrt" else "stdcall"
    done = run("call", *arguments, "--arch", arch, "--convention", convention)
    assert (done.exit_code, done.output) == (0, f"{printed}\n" if printed else "")


@wine
@pytest.mark.win64
def test_call_by_ordinal(specimen_ordinal: tuple[Path, int]) -> None:
    path, ordinal = specimen_ordinal
    assert (
        run("call", str(path), f"#{ordinal}", "2", "3").output
        == run("call", str(path), "add", "2", "3").output
        == "5\n"
    )


@pytest.fixture
def specimen_ordinal(dll_folder: Path) -> tuple[Path, int]:
    path = dll_folder / "win64" / "specimen.dll"
    listed = json.loads(run("exports", "--json", str(path)).output)["exports"]
    return path, next(item["ordinal"] for item in listed if item["name"] == "add")


@wine
@pytest.mark.win64
def test_an_error_is_one_line_unless_the_traceback_is_asked_for() -> None:
    done = process("call", "kernel32", "CreateFile")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: function 'CreateFile' not found in kernel32; did you mean CreateFileW, CreateFileA?\n"
    asked = process("--debug", "call", "kernel32", "CreateFile")
    assert asked.returncode == 1
    assert "Traceback" in asked.stderr
    assert "winbridge.core.errors.FunctionNotFoundError" in asked.stderr


@wine
@pytest.mark.win64
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["call", "nosuch", "f"], "no DLL 'nosuch'"),
        (["call", "msvcrt", "strlen", "16"], "access violation reading"),
        (["call", "kernel32", "ExitProcess", "3"], "exited with code 3"),
        (["call", "./nosuch.dll", "f"], "there is no file"),
        (["exports", "nosuch"], "there is no DLL C:\\windows\\system32\\nosuch.dll"),
        (["exports", __file__], Path(__file__).name),
        (["serve", "--token-file", "/nosuch/token"], "/nosuch/token"),
    ],
)
def test_errors(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert said in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "No such command"),
        (["call", "kernel32"], "FUNCTION"),
        (["call", "kernel32", "Beep", "four"], "needs quotes of its own"),
        (["call", "kernel32", "Beep", "[1]"], "not a number"),
        (["call", "kernel32", "Beep", "--nosuch"], "not a number"),
        (["call", "kernel32", "Beep", "1.5"], "needs --argtypes"),
        (["call", "kernel32", "Beep", "1", "--argtypes", "banana"], "no type 'banana'"),
        (["call", "kernel32", "Beep", "1", "--argtypes", "wintypes"], "no type 'wintypes'"),
        (["call", "kernel32", "Beep", "1", "--arch", "arm"], "arm"),
        (["exports"], "FILE|DLL"),
        (["serve", "--port", "70000"], "70000"),
    ],
)
def test_a_command_line_that_is_not_understood(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.output
    assert done.output.startswith("Usage: ")


@wine
@pytest.mark.win64
def test_an_argument_that_does_not_fit_the_prototype_is_a_usage_error() -> None:
    done = run("call", "kernel32", "MulDiv", "1", "2", "--argtypes", "int,int,int")
    assert done.exit_code == 2
    assert "MulDiv: this function takes 3 arguments (2 given)" in done.output


def test_exports_of_a_file(dll_folder: Path, arch: str) -> None:
    path = dll_folder / arch / "specimen.dll"
    listed = json.loads(run("exports", "--json", str(path)).output)
    assert (listed["file"], listed["arch"]) == (str(path), arch)
    table = [line.split() for line in run("exports", str(path)).output.splitlines()]
    assert table[0] == ["ordinal", "name", "forwarder"]
    assert table[1:] == [[str(item["ordinal"]), item["name"]] for item in listed["exports"]]
    assert "add" in {item["name"] for item in listed["exports"]}


@wine
def test_exports_of_a_system_dll(arch: str) -> None:
    listed = json.loads(run("exports", "--json", "kernel32", "--arch", arch).output)
    forwarders = {item["name"]: item["forwarder"] for item in listed["exports"]}
    assert listed["arch"] == arch
    assert forwarders["HeapAlloc"].replace("NTDLL", "ntdll") == "ntdll.RtlAllocateHeap"
    assert forwarders["MulDiv"] is None


def test_a_reader_that_leaves_early_breaks_nothing(dll_folder: Path) -> None:
    command = [sys.executable, "-m", "winbridge", "exports", str(dll_folder / "win64" / "specimen.dll")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdout.close()
        assert b"Traceback" not in running.stderr.read()


@wine
def test_doctor_finds_everything(arch: str) -> None:
    done = process("doctor", "--arch", arch)
    assert (done.returncode, done.stderr) == (0, "")
    found = [line for line in done.stdout.splitlines() if line.startswith("found")]
    for what in (
        f"Wine for {arch}",
        "wineserver",
        "Wine prefix",
        f"agent for {arch}",
        f"session for {arch}",
        "shared memory",
    ):
        assert any(what in line for line in found), what
    assert done.stdout.splitlines()[-1] == "all there"


@pytest.mark.win64
def test_doctor_without_wine() -> None:
    done = run("doctor", "--arch", "win64", env={"WINBRIDGE_WINE": "/nosuch/wine"})
    assert done.exit_code == 1
    assert "MISSING Wine for win64         Wine's loader /nosuch/wine" in done.output
    assert "1 thing missing" in done.output


@wine
@pytest.mark.win64
def test_doctor_without_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "AGENTS", tmp_path)
    done = run("doctor", "--arch", "win64")
    assert done.exit_code == 1
    assert "MISSING agent for win64" in done.output
    assert f"mend: make -C {ROOT} agents" in done.output


def test_doctor_names_the_python(monkeypatch: pytest.MonkeyPatch) -> None:
    from winbridge.cli.checks import check_python

    finding = check_python()
    assert finding.found and not finding.note
    assert sys.executable in finding.detail and winbridge.__impl__ in finding.detail
    monkeypatch.setattr(platform, "python_version", lambda: "3.14.1")
    assert check_python().note == "CPython 3.14.1: not among the tested versions (3.10, 3.11, 3.12, 3.13)"
    monkeypatch.setattr(platform, "python_implementation", lambda: "PyPy")
    monkeypatch.setattr(platform, "python_version", lambda: "3.11.9")
    assert check_python().note.startswith("PyPy 3.11.9: not among")


@pytest.mark.win64
@pytest.mark.parametrize(
    ("version", "note"),
    [
        ("8.0 (Debian 8.0~repack-4)", ""),
        ("8.0.2", ""),
        ("10.0 (Debian 10.0~repack-6)", ""),
        ("9.0 (Ubuntu 9.0~repack-4build3)", "not among the tested versions (8.0, 10.0)"),
        ("10.1", "not among the tested versions (8.0, 10.0)"),
    ],
)
def test_doctor_notes_a_wine_that_was_not_tested(tmp_path: Path, version: str, note: str) -> None:
    """That is no fault: the exit status counts what is missing."""
    loader = tmp_path / "wine"
    loader.write_text(f"#!/bin/sh\necho 'wine-{version}'\n")
    loader.chmod(0o755)
    done = run("doctor", "--arch", "win64", env={"WINBRIDGE_WINE": str(loader), "WINESERVER": str(loader)})
    assert f"found   Wine for win64         {version}, {loader}" in done.output
    assert (f"note: Wine {version}: {note}" in done.output) == bool(note)
    assert ("note: Wine" in done.output) == bool(note)


def test_doctor_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from winbridge.cli.checks import check_compiler

    assert check_compiler("win32").found
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = check_compiler("win32")
    assert not finding.found
    assert finding.mend == "sudo apt-get install --no-install-recommends gcc-mingw-w64-i686"


@wine
@pytest.mark.win64
def test_doctor_where_shared_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from winbridge.core.transport import shm

    # The agent is sent to a path that it may not open, as in a sandbox.
    monkeypatch.setattr(shm, "windows_path", lambda descriptor: "\\\\?\\unix\\proc\\1\\mem")
    done = run("doctor", "--arch", "win64")
    assert done.exit_code == 1
    assert "found   session for win64" in done.output
    assert "MISSING shared memory, win64" in done.output
    assert "mend: export WINBRIDGE_TRANSPORT=stream" in done.output


def test_serve_without_its_extra() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from winbridge.cli import main; main(['serve'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "Error: the gateway needs the package uvicorn: pip install 'winbridge[gateway]'\n"


def test_serve_with_an_empty_token(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("\n")
    done = run("serve", "--token-file", str(token))
    assert done.exit_code == 1
    assert f"the token file {token} is empty" in done.output


@wine
@pytest.mark.win64
def test_serve_gives_sessions_to_who_has_the_token() -> None:
    command = [sys.executable, "-m", "winbridge", "serve", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
        try:
            token = server.stdout.readline().removeprefix("token: ").strip()
            url = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
            with pytest.raises(winbridge.ConnectError, match="token"):
                winbridge.GatewaySession(url, token="wrong")
            with winbridge.GatewaySession(url, token=token) as session:
                assert winbridge.load_dll("kernel32", session=session).MulDiv(6, 7, 1) == 42
                with winbridge.CtypesSession(session=session) as c:  # its heap meets the gateway's own segments
                    text = c.create_string_buffer(b"stressed")
                    c.cdll.msvcrt._strrev(text)
                    assert text.value == b"desserts"
        finally:
            server.terminate()
    assert server.returncode in (0, -signal.SIGTERM)


def test_serve_takes_the_token_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from winbridge.gateway import server

    given = []
    monkeypatch.setattr(server, "serve", lambda *arguments, **_: given.extend(arguments))
    (tmp_path / "token").write_text("a secret\n")
    assert run("serve", "--token-file", str(tmp_path / "token"), "--host", "::1", "--port", "1").exit_code == 0
    assert given == ["::1", 1, "a secret"]
