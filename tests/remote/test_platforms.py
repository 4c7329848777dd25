"""Between Windows and Linux the standard library differs; what that means for functions, values and results."""

from __future__ import annotations

import os
import pathlib
import signal
import socket

import pytest

from tests import windows_pythons
from tests.remote.fix_peer import peer
from winbridge.remote import Connection, OperationError, Proxy, ref
from winbridge.remote.operations import import_module

pytestmark = [pytest.mark.wine, pytest.mark.win64]

BACK = "from winbridge.remote import get_connection\nimport os, pathlib, signal, socket\nget_connection().call"


@pytest.fixture(scope="module")
def windows():
    with Connection.from_wine(str(windows_pythons.python("win64"))) as connection:
        yield connection


def test_functions_of_os_are_those_of_the_other_side(windows: Connection) -> None:
    assert windows.call(os.getpid) == int(windows.peer["pid"]) != os.getpid()
    assert windows.call(os.listdir, "C:\\windows\\system32\\drivers\\etc")
    assert windows.call(os.path.join, "a", "b") == "a\\b"
    assert windows.call(os.path.abspath, "C:/x/../y") == "C:\\y"
    assert windows.call(os.path.isdir, "C:\\windows")
    assert windows.submit(os.getpid).result(30) == windows.call(os.getpid)
    assert list(windows.map(os.path.basename, ["C:\\a\\b", "C:\\c"])) == ["b", "c"]


def test_so_they_are_when_windows_calls(windows: Connection) -> None:
    assert windows.execute(f"{BACK}(os.getpid)") == os.getpid()
    assert windows.execute(f"{BACK}(os.path.join, 'a', 'b')") == "a/b"
    assert windows.execute(f"{BACK}(os.path.isdir, '/tmp')") is True
    assert windows.execute(f"{BACK}(str, pathlib.Path('C:/x'))") == "C:\\x"


def test_results_whose_types_are_of_os(windows: Connection) -> None:
    assert windows.call(os.stat, "C:\\").st_mode == windows.eval("__import__('os').stat('C:/').st_mode")
    assert isinstance(windows.call(os.times), os.times_result)


def test_what_only_one_side_has_is_said_so(windows: Connection) -> None:
    with pytest.raises(OperationError, match=r"posix\.fork does not exist on this side, which is win32"):
        windows.call(os.fork)
    with pytest.raises(OperationError, match=r"subprocess\.STARTUPINFO does not exist on this side, which is linux"):
        windows.execute("import subprocess; subprocess.STARTUPINFO()")
    with pytest.raises(OperationError, match=r"nt\.startfile does not exist on this side, which is linux"):
        windows.execute(f"{BACK}(os.startfile, 'x')")
    assert windows.call(abs, -1) == 1


def test_paths_come_as_pure_ones(windows: Connection) -> None:
    path = windows.eval("__import__('pathlib').Path('C:/windows')")
    assert type(path) is pathlib.PureWindowsPath and path == pathlib.PureWindowsPath("C:/windows")
    assert windows.call(os.path.isdir, path), "and are good for functions of the side they came from"
    assert windows.call(repr, pathlib.Path("/tmp")) == "PurePosixPath('/tmp')"
    there = windows.call_ref(pathlib.Path, "C:/windows")
    assert there.is_dir()
    assert type(there.parent) is pathlib.PureWindowsPath


def test_constants_whose_numbers_differ_travel_by_name(windows: Connection) -> None:
    number = windows.eval("int(__import__('socket').AF_INET6)")
    assert windows.call(int, socket.AF_INET6) == number != socket.AF_INET6
    assert windows.eval("__import__('socket').AF_INET6") is socket.AF_INET6
    assert windows.execute(f"{BACK}(int, socket.AF_INET6)") == socket.AF_INET6
    assert windows.call(import_module, "signal").SIGTERM is signal.SIGTERM
    assert isinstance(windows.call(import_module, "signal").SIGBREAK, Proxy)


def test_libraries_stay_where_they_are(windows: Connection) -> None:
    ctypes = windows.call(import_module, "ctypes")
    assert isinstance(ctypes.windll, Proxy) and isinstance(ctypes.windll.kernel32, Proxy)
    assert ctypes.windll.kernel32.GetCurrentProcessId() == windows.call(os.getpid)
    assert ctypes.CDLL("msvcrt").abs(-4) == 4


def test_objects_that_only_windows_has_stay_there(windows: Connection) -> None:
    winreg = windows.call(import_module, "winreg")
    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, "Software") as key:
        assert isinstance(key, Proxy)
        assert isinstance(winreg.EnumKey(key, 0), str)
    start = windows.call(import_module, "subprocess").STARTUPINFO()
    assert isinstance(start, Proxy) and start.dwFlags == 0
    files = windows.call(import_module, "os").scandir("C:\\")
    assert "windows" in [entry.name for entry in files]


def test_objects_that_only_linux_has_stay_here(windows: Connection) -> None:
    source = (
        "from winbridge.remote import get_connection\n"
        "there = get_connection().call_ref(__import__, 'signal')\n"
        "str(there.SIGUSR1), there.SIGTERM is __import__('signal').SIGTERM"
    )
    assert windows.execute(source) == (str(signal.SIGUSR1), True)


def test_objects_lent_in_a_call_that_cannot_be_loaded_are_counted_once(windows: Connection) -> None:
    class Thing:
        pass

    before = len(windows.references)
    with pytest.raises(OperationError, match="posix.fork does not exist"):
        windows.call(print, ref(Thing()), os.fork)
    windows.execute("import gc; gc.collect()")
    assert windows.call(abs, -1) == 1  # brings the release
    assert len(windows.references) == before


def test_between_equals_nothing_is_looked_up(tmp_path: pathlib.Path) -> None:
    with peer() as connection:
        assert not connection.values.other_platform
        assert connection.call(type, tmp_path) is type(tmp_path)
