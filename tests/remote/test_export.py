"""Modules that a peer does not have, imported there from here."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import traceback

import pytest

from tests.remote import far
from tests.remote.fix_peer import ROOT, oldest_python, peer
from winbridge.remote import OperationError, ref

FAIL = "def fail():\n    raise KeyError('marked line')\n"
ALLOWED = {"accept_exported_modules": True}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with resources, and a module, that only this process finds. The name is new each time."""
    name = f"exported_{tmp_path.name.replace('-', '_')}"
    files = {
        f"{name}/__init__.py": "from .part import double\nfrom . import deeper\nVALUE = 5\n",
        f"{name}/part.py": "# café\ndef double(x):\n    return 2 * x\n" + FAIL,
        f"{name}/deeper/__init__.py": "class Box:\n    def __init__(self, value):\n        self.value = value\n",
        f"{name}/deeper/broken.py": "import nothing_of_this_name\n",
        f"{name}/bare/inner.py": "from .. import VALUE\n",
        f"{name}/data/note.txt": "a note: é\n",
        f"{name}/data.bin": "\x00\x01",
        f"{name}_module.py": "import sys\nNAME = __name__\nFILE = __file__\n",
    }
    for file, text in files.items():
        path = tmp_path / "here" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "here"))
    yield importlib.import_module(name)
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


@pytest.fixture(params=["same", "oldest"])
def connection(request):
    python = oldest_python() if request.param == "oldest" else sys.executable
    if python is None:
        pytest.skip("no CPython 3.8 on this machine")
    with peer(python, there=ALLOWED) as connection:
        yield connection


def test_a_package_and_a_module(connection, package):
    name = package.__name__
    with pytest.raises(ModuleNotFoundError, match=name):
        connection.call(importlib.import_module, name)
    with pytest.raises(OperationError, match=f"no module named '{name}'|no module '{name}'.*connection.export"):
        connection.call(package.double, 4)
    connection.export(package, f"{name}_module")
    assert connection.call(package.double, 4) == 8
    box = connection.call(package.deeper.Box, 3)
    assert type(box) is package.deeper.Box and box.value == 3
    module = connection.call_ref(importlib.import_module, f"{name}_module")
    assert name in module.NAME and not os.path.exists(module.FILE)
    inner = connection.call_ref(importlib.import_module, f"{name}.bare.inner")
    assert inner.VALUE == 5
    connection.export(package)  # again


def test_a_missing_part_is_missing_as_ever(connection, package):
    connection.export(package)
    with pytest.raises(ModuleNotFoundError, match=r"nothing_of_this_name"):
        connection.call(importlib.import_module, f"{package.__name__}.deeper.broken")
    with pytest.raises(ModuleNotFoundError, match=r"deeper\.missing"):
        connection.call(importlib.import_module, f"{package.__name__}.deeper.missing")


def test_a_traceback_shows_its_lines(connection, package):
    connection.export(package)
    with pytest.raises(KeyError, match="marked line") as caught:
        connection.call(package.part.fail)
    text = "".join(traceback.format_exception(caught.value))
    assert "part.py" in text and "raise KeyError('marked line')" in str(caught.value.__cause__)


def test_resources(connection, package):
    connection.export(package)
    name = package.__name__
    got = connection.call(far.resources, name)
    assert got["pkgutil"] == b"a note: \xc3\xa9\n" and got["binary"] == b"\x00\x01"
    assert got["is"] == (True, False)
    if got["version"] >= (3, 10):
        assert got["text"] == "a note: é\n"
        assert {"__init__.py", "part.py", "deeper", "data", "data.bin"} <= set(got["listing"])
        assert got["as_file"] == "a note: é\n"
        assert got["missing"] is False
    for trick in ("../" + name + "_module.py", "/etc/passwd"):
        with pytest.raises(OSError):
            connection.call(far.get_data, name, trick)


def test_it_must_be_allowed(package):
    with peer() as connection:
        with pytest.raises(OperationError, match=rf"{package.__name__}.*accept_exported_modules=True"):
            connection.export(package)
        with pytest.raises(OperationError, match="no module"):
            connection.call(package.double, 1)


def test_what_cannot_be_exported(connection, tmp_path, monkeypatch):
    (tmp_path / "compiled_only.so").write_bytes(b"")
    for module, text in [
        ("os.path", "export the top-level package 'os'"),
        ("no_such_module_here", "there is no module of this name"),
        (sys, "built into Python"),
        ("winbridge._native", "top-level package 'winbridge'"),
    ]:
        with pytest.raises(OperationError, match=text):
            connection.export(module)
    with pytest.raises(TypeError, match="not int"):
        connection.export(5)
    import _ctypes

    with pytest.raises(OperationError, match="no Python source"):
        connection.export(_ctypes)


def test_after_the_connection_what_was_imported_stays_and_nothing_more_comes(package):
    """Here, this process is the one that imports."""
    import socket
    import threading

    from winbridge.remote import Connection, Options

    before = list(sys.meta_path)
    one, other = socket.socketpair()
    there = Connection.from_socket(other, options=Options(**ALLOWED), server=True)
    with Connection.from_socket(one) as connection:
        connection.export("tests")
        assert len(sys.meta_path) == len(before) + 1
    there.close()
    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tests.no_such_part")
    assert sys.meta_path == before


def test_callbacks_while_a_module_is_imported(connection, package):
    """The import at the other side asks this side, whose thread waits for the call that imports."""
    connection.export(package)
    assert connection.call(far.backwards, ref(lambda: connection.call(package.double, 3))) == 6


def test_main(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(ROOT)!r})
            from tests.remote.fix_peer import peer

            class Point:
                def __init__(self, x):
                    self.x = x

            def double(point):
                return Point(2 * point.x)

            def fail():
                raise ValueError("from main")  # a line of the script

            print("top level", __name__ == "__main__")

            if __name__ == "__main__":
                with peer(there={{"accept_exported_modules": True}}) as connection:
                    connection.export("__main__")
                    came = connection.call(double, Point(4))
                    assert type(came) is Point and came.x == 8, came
                    there = connection.call_ref(Point, 3)
                    assert there.x == 3 and connection.call(double, there).x == 6
                    try:
                        connection.call(fail)
                    except ValueError as error:
                        assert "# a line of the script" in str(error.__cause__), error.__cause__
                    else:
                        raise AssertionError
                print("done")
            """
        )
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, cwd="/")
    assert run.returncode == 0, run.stderr
    assert "top level True" in run.stdout and run.stdout.endswith("done\n")


def test_a_main_without_source():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.remote.fix_peer import peer
with peer(there={{"accept_exported_modules": True}}) as connection:
    connection.export("__main__")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd="/")
    assert "OperationError: cannot export __main__: it has no file" in run.stderr
