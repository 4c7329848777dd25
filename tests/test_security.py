"""What docs/security.rst says: who can reach a session, what no name can do, and what a sandbox keeps a DLL from."""

from __future__ import annotations

import ast
import ctypes
import fcntl
import importlib.util
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import winbridge
from tests.conftest import ROOT
from winbridge import Config, ConfigError, DllNotFoundError, Win32Session, Win64Session
from winbridge.core import agent, wine
from winbridge.core.heap import heap

SESSIONS = {"win64": Win64Session, "win32": Win32Session}
NOBODY = 65534
PACKAGE = ROOT / "winbridge"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT CAN BECOME ANOTHER USER: not run")


# Who can reach a session.


def pid_of(session: winbridge.SessionEngine) -> int:
    return session.transport.link.agent.process.pid


def servers(prefix: Path) -> list[int]:
    """Processes of Wine that belong to a prefix: its server and its services."""
    variable = f"WINEPREFIX={prefix}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if variable in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def is_server(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("wineserver")
    except OSError:  # it has ended
        return False


def targets(pid: int) -> dict[str, str]:
    """What the descriptors of a process are open to."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").glob("*"):  # none when the process has ended
        try:
            found[entry.name] = os.readlink(entry)
        except OSError:
            continue
    return found


def ports(*pids: int) -> set[tuple[int, str]]:
    """Sockets of the internet that processes listen on, or get datagrams at (proc(5), /proc/net)."""
    inodes = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = Path("/proc/net", table)
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == "0A" or table.startswith("udp"):
                inodes.add(f"socket:[{fields[9]}]")
    return {(pid, target) for pid in pids for target in targets(pid).values() if target in inodes}


@pytest.mark.wine
@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_no_port_is_opened(arch: str, transport: str, specimen_path: Path) -> None:
    before = ports(os.getpid())
    with SESSIONS[arch].apart(transport=transport) as session:
        assert session.load_dll(specimen_path, convention="cdecl").add(2, 3) == 5
        processes = servers(session.config.prefix)
        assert pid_of(session) in processes and len(processes) > 1  # its server besides
        assert ports(*processes) == set()
        assert ports(os.getpid()) == before
        with socket.create_server(("127.0.0.1", 0)):
            assert len(ports(os.getpid()) - before) == 1  # one would be seen


@pytest.mark.wine
def test_segments_are_private_and_keep_their_size(arch: str) -> None:
    with SESSIONS[arch].apart() as session:
        block = winbridge.shared(16, arch)
        session.load_dll("kernel32").GetTickCount()
        segments = heap(session.pointer_size).segments
        assert segments and block is not None
        for segment in segments:
            assert stat.S_IMODE(os.fstat(segment.descriptor).st_mode) == 0o600
            for size in (0, 2 * segment.size):
                with pytest.raises(PermissionError):
                    os.ftruncate(segment.descriptor, size)
            with pytest.raises(PermissionError):
                fcntl.fcntl(segment.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


@pytest.mark.wine
def test_a_channel_cannot_be_opened_again(arch: str) -> None:
    """When both sides have it, neither has a descriptor of its segment; of the pipes, each has its own end."""
    heaps = {str(segment.descriptor) for size in (4, 8) for segment in heap(size).segments}
    with SESSIONS[arch].apart() as session:
        session.load_dll("kernel32").GetTickCount()
        ours, theirs = targets(os.getpid()), targets(pid_of(session))
        heaps |= {str(segment.descriptor) for size in (4, 8) for segment in heap(size).segments}
        assert [name for name, target in ours.items() if "memfd:winbridge" in target and name not in heaps] == []
        assert [target for target in theirs.values() if "memfd:winbridge" in target] == []
        channel = session.channel()
        woken, wake = (ours[str(end)] for end in channel._pipes)
        assert [list(ours.values()).count(pipe) for pipe in (woken, wake)] == [1, 1]


PROBE = """
import ctypes, json, os, sys
client, agent, user, paths = json.loads(sys.argv[1])
if user is not None:
    os.setgroups([]); os.setgid(user); os.setuid(user)
libc = ctypes.CDLL(None, use_errno=True)
reached = []
def attempt(name, action):
    try:
        action()
        reached.append(name)
    except OSError:
        pass
def traced(pid):
    if libc.ptrace(0x4206, ctypes.c_long(pid), None, None):  # PTRACE_SEIZE
        raise OSError(ctypes.get_errno())
    libc.ptrace(17, ctypes.c_long(pid), None, None)
for pid in (client, agent):
    for folder in ("fd", "map_files", "task/%d/fd" % pid):
        attempt(f"/proc/{pid}/{folder}", lambda: os.listdir(f"/proc/{pid}/{folder}"))
    for file in ("mem", "environ", "maps"):
        attempt(f"/proc/{pid}/{file}", lambda: open(f"/proc/{pid}/{file}", "rb").read(0))
    attempt(f"ptrace {pid}", lambda: traced(pid))
for path in paths:
    attempt(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").close())
print(json.dumps(sorted(set(reached))))
"""


def reached(session: winbridge.SessionEngine, paths: list[str], user: int | None) -> list[str]:
    """Which ways into a session are open to a user (None: the session's own)."""
    what = json.dumps([os.getpid(), pid_of(session), user, paths])
    done = subprocess.run([sys.executable, "-c", PROBE, what], stdout=subprocess.PIPE, timeout=60, check=True)
    return json.loads(done.stdout)


@pytest.mark.wine
@as_root
def test_another_user_reaches_nothing(arch: str) -> None:
    with SESSIONS[arch].apart() as session:
        block = winbridge.shared(16, arch)
        session.load_dll("kernel32").GetTickCount()
        descriptors = [
            f"/proc/{pid}/fd/{name}"
            for pid in (os.getpid(), *servers(session.config.prefix))
            for name, target in targets(pid).items()
            if "memfd:winbridge" in target
        ]
        channel = session.channel()
        pipes = [f"/proc/{os.getpid()}/fd/{end}" for end in channel._pipes]
        folders = {os.readlink(f"/proc/{pid}/cwd") for pid in servers(session.config.prefix) if is_server(pid)}
        paths = [*descriptors, *pipes, *folders]  # in the folder lies the server's socket
        assert {stat.S_IMODE(os.stat(folder).st_mode) for folder in folders} == {0o700}
        assert len(descriptors) >= 2 and block is not None
        assert reached(session, paths, NOBODY) == []
        own = reached(session, paths, None)
        still = {path for path in paths if os.path.lexists(path)}  # the server has other clients too
        assert (
            len(still) >= 4
            and still <= set(own)
            and {f"/proc/{pid_of(session)}/mem", f"ptrace {os.getpid()}"} <= set(own)
        )


# Files that are read and made.


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("WINBRIDGE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@as_root
def test_another_users_configuration_is_refused(elsewhere: Path) -> None:
    """In /tmp, anybody can have put it there, with a program to run for ``wine``."""
    file = elsewhere / "winbridge.toml"
    file.write_text('wine = "./evil"')
    assert Config().wine == elsewhere / "evil"
    os.chown(file, NOBODY, NOBODY)
    with pytest.raises(ConfigError, match=f"{file} belongs to user {NOBODY}.*chown 0"):
        Config()


def test_a_configuration_that_everybody_writes_is_refused(elsewhere: Path) -> None:
    file = elsewhere / "winbridge.toml"
    file.write_text("timeout_call = 3")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="every user"):
        Config()
    file.chmod(0o664)
    assert Config().timeout_call == 3


def test_a_pipe_in_the_place_of_a_configuration_holds_nobody_up(elsewhere: Path) -> None:
    os.mkfifo(elsewhere / "winbridge.toml", 0o600)
    assert Config().timeout_call is None


# What is executed.


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(), path)


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


UNSAFE = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle"}


def test_no_module_between_program_and_dll_reads_pickles() -> None:
    found = [path.name for path, tree in sources("core", "dll", "gateway", "cli") if UNSAFE & imported(tree)]
    assert found == []


NO_PICKLES = """
import ctypes, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in {"pickle", "_pickle", "_compat_pickle", "marshal", "shelve"}:
            raise ImportError(name + " was asked for")
sys.meta_path.insert(0, Refuse())
for name in ("pickle", "_pickle"):
    assert name not in sys.modules, name
import winbridge
for path in sys.argv[1:]:
    dll = winbridge.load_dll(path, convention="cdecl", use_last_error=True)
    value, text = ctypes.c_int(21), ctypes.create_unicode_buffer("text")
    dll.double_in_place(ctypes.byref(value))
    dll.wide_upper(text)
    dll.fail_with(5)
    assert (value.value, text.value, winbridge.get_last_error()) == (42, "TEXT", 5)
    assert dll.add.submit(2, 3).result() == 5
    try:
        dll.read_at(16)
    except winbridge.WindowsFault:
        print("ok")
assert "pickle" not in sys.modules
"""


@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.win32
def test_calls_need_no_pickle(run_python, dll_folder: Path) -> None:
    done = run_python(NO_PICKLES, *(str(dll_folder / arch / "specimen.dll") for arch in SESSIONS))
    assert (done.stdout, done.stderr) == ("ok\nok\n", "")


def test_no_shell_is_asked() -> None:
    """But where the user gives a line for one."""
    found = []
    for path, tree in sources("."):
        tree.body = [node for node in tree.body if getattr(node, "name", "") != "from_shell"]
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("system", "popen", "getoutput", "getstatusoutput"):
                found.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.keyword) and node.arg == "shell":
                found.append(f"{path}:{node.value.lineno}")
    assert found == []


NASTY = [
    "a b", "it's", 'say "hi"', "; touch pwned;", "$(touch pwned)", "`touch pwned`", "new\nline", "-rf", "--version",
    "%PATH%", "a&b|c>d", "*?[x]", "ä😀", "~", "${HOME}", "'; touch pwned; '", "trailing ", "dot.", "\x1b[31m",
]  # fmt: skip

NO_PROGRAM = {'say "hi"', "new\nline", "a&b|c>d", "*?[x]", "dot.", "\x1b[31m"}
"""Wine starts no program in a folder that cannot be called so on Windows; DLLs there are loaded all the same."""


@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.parametrize("name", NASTY)
def test_names_are_only_names(name: str, dll_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prefix, the loader, the agent, the DLL and the log, all in a folder that is called so."""
    home = tmp_path / name
    home.mkdir()
    usual = Config()
    (home / "prefix").symlink_to(usual.prefix)
    (home / "wine").symlink_to(wine.find_loader(usual, "win64").path)
    agents = (tmp_path if name in NO_PROGRAM else home) / "agents"
    shutil.copytree(agent.AGENTS, agents)
    shutil.copy(dll_folder / "win64" / "specimen.dll", home)
    monkeypatch.setattr(agent, "AGENTS", agents)
    monkeypatch.chdir(tmp_path)
    parameters = {"prefix": home / "prefix", "wine": home / "wine", "id": name, "wine_debug": "-all," + name}
    with Win64Session.apart(**parameters) as session:
        dll = session.load_dll(home / "specimen.dll", convention="cdecl")
        assert dll.add(2, 3) == 5
        assert Path(f"/proc/{pid_of(session)}/environ").read_bytes().count(os.fsencode(home / "prefix")) == 1
    left = {path.name for folder in (tmp_path, home) for path in folder.iterdir()}
    assert left == {name, "agents", "prefix", "specimen.dll", "wine"}


anything = st.text(min_size=1, max_size=60)


@given(anything)
@example("a\0b")
@example("\ud800")
def test_a_parameter_is_taken_as_it_is_or_refused(text: str) -> None:
    for name in ("prefix", "wine_debug"):
        try:
            config = Config(**{name: text})
        except ConfigError as error:
            assert repr(text) in str(error)  # noqa: PT017
            continue
        plain = os.path.abspath(Path(text).expanduser()) if name == "prefix" else text
        assert str(getattr(config, name)) == plain
        environment = wine.environment(config)
        seen = subprocess.run(["/usr/bin/env", "-0"], env=environment, stdout=subprocess.PIPE, check=True).stdout
        variable = {"prefix": "WINEPREFIX", "wine_debug": "WINEDEBUG"}[name]
        assert os.fsencode(f"{variable}={plain}") in seen.split(b"\0")


@pytest.mark.wine
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.one_of(anything, st.sampled_from(NASTY), st.sampled_from(NASTY).map(lambda name: f"/tmp/no/{name}.dll")))
@example("a\0b")
@example("\ud800")
@example("kernel32.dll; touch pwned")
@example("C:\\" + "x" * 70_000)
def test_a_dll_name_loads_or_is_not_found(arch: str, text: str) -> None:
    session = SESSIONS[arch].current()
    try:
        winbridge.load_dll(text, session=session)
    except DllNotFoundError as error:
        assert text[:20] in str(error) or repr(text)[1:20] in str(error)  # noqa: PT017
    assert session.load_dll("kernel32").MulDiv(6, 7, 1) == 42
    assert not Path("pwned").exists()


@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.parametrize(
    "name", ["/", ".", "//", "/dev/zero", "/proc/self/mem", "\\\\.\\pipe\\x", "C:", "NUL.dll", "pipe/x.dll"]
)
def test_what_is_no_file_is_no_dll(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "x.dll")
    with pytest.raises(DllNotFoundError):
        Win64Session.current().load_dll(name)


@pytest.mark.wine
def test_half_a_name_is_no_name(specimen) -> None:
    """Windows would stop reading at the zero."""
    with pytest.raises(DllNotFoundError):
        winbridge.load_dll("kernel32.dll\0.txt", session=specimen.session())
    with pytest.raises(AttributeError):
        specimen["add\0twice"]


# Confined.


def bubblewrap() -> str:
    """Why a sandbox cannot be made here; empty when it can."""
    if shutil.which("bwrap") is None:
        return "BUBBLEWRAP IS NOT INSTALLED: not run"
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return f"BUBBLEWRAP MAY MAKE NO SANDBOX HERE ({done.stderr.strip()}): not run" if done.returncode else ""


@pytest.fixture(scope="module")
def confined():
    place = ROOT / "examples" / "confined" / "confined.py"
    spec = importlib.util.spec_from_file_location("confined", place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.wine
@pytest.mark.win64
@pytest.mark.slow
@pytest.mark.skipif(bool(bubblewrap()), reason=bubblewrap() or "-")
def test_a_confined_dll(confined, dll_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFINED_READ", str(dll_folder))
    monkeypatch.setenv("PRIVATE_TOKEN", "secret")
    open_folder, folder, prefix = tmp_path / "open", tmp_path / "mine", tmp_path / "prefix"
    for each in (open_folder, folder):
        each.mkdir()
    with Win64Session.apart() as session:
        assert confined.report(session, open_folder) == dict.fromkeys(("calls", "network", "reads", "writes"), True)
    assert (open_folder / "written.txt").exists()
    try:
        with Win64Session.apart(wine=confined.LOADER, prefix=prefix, transport="stream") as session:
            expected = {"calls": True, "network": False, "reads": False, "writes": False}
            assert confined.report(session, folder) == expected
            check_inside(session, dll_folder)
        assert [path.name for path in folder.iterdir()] == ["private.txt"]
        assert stat.S_IMODE(prefix.stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / ".prefix.lock").stat().st_mode) == 0o600
        assert servers(prefix) == []
    finally:
        shutil.rmtree(prefix, ignore_errors=True)


def check_inside(session: winbridge.SessionEngine, dlls: Path) -> None:
    dll = session.load_dll(dlls / "win64" / "specimen.dll", convention="cdecl")
    assert dll.add(2, 3) == 5
    with pytest.raises(winbridge.WindowsFault):
        dll.read_at(16)
    variable = session.load_dll("kernel32").GetEnvironmentVariableW
    variable.argtypes = [ctypes.c_wchar_p, ctypes.c_wchar_p, ctypes.c_uint32]
    room = ctypes.create_unicode_buffer(64)
    assert variable("PRIVATE_TOKEN", room, 64) == 0
    assert variable("WINEDEBUG", room, 64) == 4 and room.value == "-all"
