"""Over the stream the agent needs nothing but Windows: no Wine, no shared machine, no drive Z.

So it can serve from a Windows machine, started by ssh. Here such a machine is a Wine prefix whose only drives are C
and one with the agent and the DLLs, reached by a command, with a relay on the way that allows no shared memory and
writes down all that the client sends.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pefile
import pytest

from tests import relay
from tests.conftest import ROOT
from winbridge import AgentDiedError, CtypesSession, DllNotFoundError, SessionEngine, WindowsFault, load_dll
from winbridge.core import agent, wine
from winbridge.core.config import Config
from winbridge.core.prefix import ensure
from winbridge.core.transport.shm import SharedTransport
from winbridge.core.transport.stream import Link, StreamTransport
from winbridge.core.wire import Op

RELAY = [sys.executable, "-m", "tests.relay"]
OF_THIS_MACHINE = ("unix\\", "/proc", "\\proc", "Z:", "z:", str(ROOT), "dosdevices")
"""What a path that only Wine knows, or only this machine, would bring along."""

RUNTIME = re.compile(r"kernel32\.dll|msvcrt\.dll|ucrtbase\.dll|api-ms-win-crt-\w+-l1-1-0\.dll", re.IGNORECASE)


class CommandAgent(agent.Agent):
    """An agent that any command reaches."""

    def __init__(self, config: Config, arch: str, command: list[str], variables: dict[str, str]) -> None:
        self.command, self.variables = command, variables
        super().__init__(config, arch)

    def _start(self, config: Config) -> subprocess.Popen[bytes]:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(self.command, **pipes, bufsize=0, env=self.variables, start_new_session=True)


class FarSession(SessionEngine):
    """A session with a Windows machine; its files are not this machine's."""

    local = False
    carrier: type[StreamTransport] = StreamTransport

    def __init__(self, arch: str, command: list[str], variables: dict[str, str]) -> None:
        self.arch = arch
        self.reached_by = command, variables
        super().__init__()

    def connect(self) -> StreamTransport:
        transport = self.carrier.__new__(self.carrier)
        transport.config = self.config
        transport.link = Link(CommandAgent(self.config, self.arch, *self.reached_by))
        transport.pointer_size = transport.link.pointer_size
        transport.spin = 0
        return transport


class Machine:
    """A prefix without drive Z. Its drive D is a folder of ours.

    Attributes:
        drive: the folder.
        record: where relays write what they carried.
    """

    def __init__(self, folder: Path) -> None:
        prefix = ensure(Config())
        self.drive = folder / "d"
        self.home = folder / "prefix"
        self.record = folder / "carried"
        self.drive.mkdir()
        devices = self.home / "dosdevices"
        devices.mkdir(parents=True)
        (devices / "c:").symlink_to(prefix / "drive_c")
        (devices / "d:").symlink_to(self.drive)
        (self.home / "drive_c").symlink_to(prefix / "drive_c")
        for file in (*prefix.glob("*.reg"), prefix / ".update-timestamp"):
            shutil.copy2(file, self.home)
        self.variables = {**wine.environment(Config()), "WINEPREFIX": str(self.home), "PYTHONPATH": str(ROOT)}

    def session(self, arch: str) -> FarSession:
        program = f"D:\\winbridge\\winbridge-agent{arch[3:]}.exe"
        loader = wine.find_loader(Config(), arch)
        return FarSession(arch, [*RELAY, str(self.record), str(loader.path), program], self.variables)

    def switch_off(self) -> None:
        server = wine.find_wineserver(wine.find_loader(Config(), "win64" if wine.supports("win64") else "win32"))
        subprocess.run([server, "-k"], env=self.variables, stdin=subprocess.DEVNULL)
        subprocess.run([server, "-w"], env=self.variables, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, dll_folder: Path) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("machine"))
    shutil.copytree(agent.AGENTS, made.drive / "winbridge", ignore=shutil.ignore_patterns("*.tmp"))
    shutil.copytree(dll_folder, made.drive / "Vendor's DLLs")
    yield made
    made.switch_off()


@pytest.fixture
def far(machine: Machine, arch: str) -> Iterator[FarSession]:
    with machine.session(arch) as session:
        yield session


@pytest.fixture
def specimen(far: FarSession):
    return load_dll(f"D:\\Vendor's DLLs\\{far.arch}\\specimen.dll", session=far, convention="cdecl")


@pytest.mark.wine
class TestASessionWithAMachineOfItsOwn:
    def test_calls_memory_and_faults(self, far, specimen):
        assert specimen.add(2, 3) == 5
        values = (ctypes.c_double * 5)(*range(5))
        specimen.reverse_doubles(values, 5)
        assert list(values) == [4, 3, 2, 1, 0]
        with pytest.raises(WindowsFault, match="access violation reading 0x0+10"):
            specimen.read_at(0x10)
        large = ctypes.create_string_buffer(3 << 20)  # more than the first arena
        specimen.fill(large, len(large), 7)
        assert large.raw == b"\7" * len(large)
        assert specimen.thread_id() not in run_in_thread(specimen.thread_id)

    def test_callbacks(self, far):
        order = []
        with CtypesSession(session=far) as c:
            int_p = c.POINTER(c.c_int)

            @c.CFUNCTYPE(c.c_int, int_p, int_p)
            def compare(a, b):
                order.append((a[0], b[0]))
                return a[0] - b[0]

            items = (c.c_int * 5)(5, 1, 4, 2, 3)
            c.cdll.msvcrt.qsort(items, 5, 4, compare)
            assert list(items) == [1, 2, 3, 4, 5] and order

    def test_the_drop_in_and_its_heap(self, far):
        with CtypesSession(session=far) as c:
            text = c.create_string_buffer(b"stressed")
            c.cdll.msvcrt._strrev(text)
            assert text.value == b"desserts"
            directory = c.create_unicode_buffer(300)
            assert c.windll.kernel32.GetSystemDirectoryW(directory, 300)
            assert directory.value.lower().startswith("c:\\windows\\sys")

    def test_the_windows_side_names_its_own_files(self, far, specimen):
        path = far.modules.path(specimen.handle(far))
        assert path == f"D:\\Vendor's DLLs\\{far.arch}\\specimen.dll"

    @pytest.mark.parametrize("name", ["D:\\none.dll", "none.dll", "/home/user/none.dll", "Z:\\none.dll"])
    def test_a_dll_that_is_not_there(self, far, name):
        with pytest.raises(DllNotFoundError, match=re.escape(repr(name))):
            load_dll(name, session=far)

    def test_the_end_of_the_process_comes_through(self, far, specimen):
        with pytest.raises(AgentDiedError, match="exited with code 3"):
            load_dll("kernel32", session=far).ExitProcess(3)

    def test_shared_memory_is_what_the_relay_refuses(self, machine, arch, monkeypatch):
        """Else the other tests would prove nothing."""
        monkeypatch.setattr(FarSession, "carrier", SharedTransport)
        with machine.session(arch) as session, pytest.raises(AgentDiedError, match="relay: OPEN_SHARED needs memory"):
            session.modules.load("kernel32")

    def test_nothing_of_this_machine_was_sent(self, machine, far, specimen):
        assert specimen.add(1, 1) == 2
        frames = relay.carried(machine.record)
        assert {Op.CALL, Op.LOAD, Op.RESOLVE, Op.OPEN_STREAM} <= {relay.op_of(frame) for frame in frames}
        for text in OF_THIS_MACHINE:
            for encoding in ("ascii", "utf-16-le"):
                # The names that a test above asks for in vain are the user's own, and so is what lies in the heap.
                guilty = [frame for frame in frames if text.encode(encoding) in frame and not is_from_a_user(frame)]
                assert guilty == [], text

    def test_the_machine_still_has_no_drive_z(self, machine, far):
        assert {"c:", "d:"} == {name for name in os.listdir(machine.home / "dosdevices") if name.endswith(":")}
        assert load_dll("kernel32", session=far).GetLogicalDrives() == 0b1100


def is_from_a_user(frame: bytes) -> bool:
    return relay.op_of(frame) == Op.PATCH or "none.dll".encode("utf-16-le") in frame


def run_in_thread(function) -> list:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(function()))
    thread.start()
    thread.join()
    return seen


@pytest.mark.parametrize("arch", ["win64", "win32"])
class TestTheAgentsProgram:
    """Without running it."""

    def test_imports_windows_own_libraries_only(self, arch):
        with pefile.PE(agent.executable(arch)) as program:
            imported = {
                library.dll.decode(): [item.name.decode() for item in library.imports]
                for library in program.DIRECTORY_ENTRY_IMPORT
            }
        assert "kernel32.dll" in {name.lower() for name in imported}
        assert [name for name in imported if not RUNTIME.fullmatch(name)] == []
        functions = [name for names in imported.values() for name in names]
        assert "LoadLibraryExW" in functions
        assert [name for name in functions if "wine" in name.lower() or name.startswith(("Nt", "Zw"))] == []

    def test_knows_no_path_and_no_wine(self, arch):
        content = agent.executable(arch).read_bytes()
        assert "NUL".encode("utf-16-le") in content  # wide texts are found
        for word in ("wine_", "Z:\\", "z:\\", "unix", "/proc", "/dev/", "/tmp"):
            assert word.encode() not in content and word.encode("utf-16-le") not in content, word


SUITES = ("callbacks_core", "conformance")
WITHOUT = "not shm and not http and not qsort and not waiting"
"""Other carriers; and thousands of calls, as each reads back the heap that all tests before have filled."""


@pytest.mark.wine
@pytest.mark.slow
def test_the_suites_pass_without_shared_memory(tmp_path: Path) -> None:
    """The usual tests, their agents behind the relay: by the user's configuration file, as conftest drops variables.

    Left out is what asks for shared memory, or for another machine's gateway.
    """
    record, folder = tmp_path / "carried", tmp_path / "winbridge"
    folder.mkdir()
    loader = shlex.quote(str(wine.find_loader(Config(), "win64").path))
    relayed = shlex.join([*RELAY, str(record)])
    script = tmp_path / "relayed"
    script.write_text(
        f'#!/bin/sh\ncase "$1" in *winbridge-agent*) exec {relayed} {loader} "$@";; esac\nexec {loader} "$@"\n'
    )
    script.chmod(0o755)
    (folder / "winbridge.toml").write_text(f'transport = "stream"\nwine = {json.dumps(str(script))}\n')
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        WITHOUT,
    ]
    with (tmp_path / "output").open("wb") as output:  # a pipe would be kept open by Wine's services
        done = subprocess.run(
            [*command, *(f"tests/test_{name}.py" for name in SUITES)],
            cwd=ROOT,
            env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    assert done.returncode == 0, (tmp_path / "output").read_text(errors="replace")[-6000:]
    assert len(relay.carried(record)) > 1000
