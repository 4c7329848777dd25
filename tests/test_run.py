"""``winbridge run``: programs written for Windows, unchanged, each in a process of its own."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import signal
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from winbridge.ctypes.install import MACHOLIB, MODULES, stand_ins
from winbridge.running.scope import OURS, is_for_linux

pytestmark = pytest.mark.wine

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "winbridge", "run", *arguments]
        options = {"cwd": tmp_path, "stdin": None if "input" in options else subprocess.DEVNULL} | options
        if "input" in options:
            del options["stdin"]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    return run


def printed(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


CALLS = """
    import ctypes, ctypes.wintypes, sys
    import ctypes.util as finding
    from ctypes import *
    from ctypes import wintypes
    from ctypes.wintypes import DWORD

    assert ctypes.wintypes is wintypes and wintypes.DWORD is DWORD is c_ulong
    room = create_unicode_buffer(300)
    windll.kernel32.GetSystemDirectoryW(room, 300)
    print(room.value.lower(), windll.kernel32.MulDiv(6, 7, 1), sizeof(c_long), sizeof(c_void_p))
    print(finding.find_library("kernel32").lower())
    print(WinError(5).winerror, FormatError(2))
"""


def test_a_script_calls_windows(arch: str, write, run: Run) -> None:
    write("calls.py", CALLS)
    lines = printed(run("--arch", arch, "calls.py")).splitlines()
    assert lines[0].split()[1:] == ["42", "4", "8" if arch == "win64" else "4"]
    assert lines[0].startswith("c:\\windows\\sys")
    assert lines[1].endswith("kernel32.dll")
    assert lines[2].startswith("5 ")


def test_every_way_to_import(write, run: Run) -> None:
    write(
        "ways.py",
        """
        import importlib
        from importlib import import_module, metadata
        import ctypes, _ctypes, ctypes._endian
        try:
            from ctypes.macholib import dyld
        except ModuleNotFoundError as error:
            dyld = error  # Debian's Python 3.13 has none
            dyld.__name__ = error.name + ".dyld"
        exec("import ctypes as executed")
        found = [import_module("ctypes"), importlib.import_module("ctypes"), __import__("ctypes"), executed]
        assert all(one is ctypes for one in found) and hasattr(ctypes, "windll")
        assert import_module("ctypes.wintypes") is ctypes.wintypes
        assert _ctypes.__name__ == "winbridge.ctypes._ctypes"
        assert metadata.version('winbridge')
        print(dyld.__name__, importlib.util.find_spec("json").name)
        """,
    )
    assert printed(run("ways.py")) == "ctypes.macholib.dyld json\n"


def test_a_standard_library_without_what_is_for_macos_only(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("ctypes.macholib") is not None:
        assert set(MODULES) | set(MACHOLIB) == set(stand_ins())
    for name in MACHOLIB:
        monkeypatch.setitem(sys.modules, name, None)
    assert set(stand_ins()) == set(MODULES)


def test_packages_and_their_relative_imports(write, run: Run) -> None:
    write("app/__init__.py", "from ctypes import windll\n")
    write("app/inner/__init__.py", "from .calls import product\n")
    write("app/inner/calls.py", "from .. import windll\ndef product(): return windll.kernel32.MulDiv(6, 7, 1)\n")
    write("app/__main__.py", "import sys\nfrom .inner import product\nprint(product(), __package__, sys.argv[1:])\n")
    assert printed(run("-m", "app", "--arch", "x")) == "42 app ['--arch', 'x']\n"
    assert printed(run("-m", "app.__main__")) == "42 app []\n"
    assert printed(run("-c", "from app import inner; print(inner.product())")) == "42\n"


def test_main_is_as_under_python(tmp_path: Path, write, run: Run) -> None:
    write("sub/beside.py", "name = __name__")
    write(
        "sub/main.py",
        """
        import sys, beside
        print(__name__, __file__, __package__, __spec__, type(__loader__).__name__, __doc__)
        print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals(), __builtins__.__name__)
        """,
    )
    ours = run("sub/main.py", "-m", "--platform", "é", "--help")
    theirs = subprocess.run(
        [sys.executable, "sub/main.py", "-m", "--platform", "é", "--help"], capture_output=True, text=True, cwd=tmp_path
    )
    assert printed(ours) == theirs.stdout


def test_modules_code_and_standard_input(tmp_path: Path, write, run: Run) -> None:
    shown = "import sys; print(sys.argv, sys.path[0], __name__, __spec__)"
    module = write("named.py", shown.replace("__spec__", "__spec__.name"))
    assert printed(run("-m", "named", "-x")) == f"{[str(module), '-x']} {tmp_path} __main__ named\n"
    assert printed(run("-c", shown, "-x")) == "['-c', '-x']  __main__ None\n"
    assert printed(run("-", "-x", input=shown)) == "['-', '-x']  __main__ None\n"


def test_folders_and_zip_files(tmp_path: Path, write, run: Run) -> None:
    write("folder/part.py", "from ctypes import windll")
    main = write("folder/__main__.py", "import sys, part; print(part.windll.kernel32.MulDiv(6, 7, 1), sys.path[0])")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.write(main, "__main__.py")
        archive.write(main.with_name("part.py"), "part.py")
    assert printed(run("folder")) == "42 folder\n"
    assert printed(run("app.zip")) == "42 app.zip\n"


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit(7)", 7, ""),
        ("raise SystemExit('sorry')", 1, "sorry\n"),
        ("raise BrokenPipeError", 1, 'Traceback (most recent call last):\n  File "<string>"'),
        ("import os; os._exit(5)", 5, ""),
        ("import atexit; atexit.register(print, 'end', file=__import__('sys').stderr)", 0, "end\n"),
        (
            "import sys; sys.excepthook = lambda *e: print(e[0].__name__, file=sys.stderr); 1 / 0",
            1,
            "ZeroDivisionError\n",
        ),
    ],
)
def test_the_exit_status(text: str, status: int, told: str, run: Run) -> None:
    done = run("-c", text)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(told) and bool(done.stderr) == bool(told)


def test_ctrl_c(tmp_path: Path, write) -> None:
    write("waits.py", "import ctypes\nprint('ready', flush=True)\ninput()\n")
    command = [sys.executable, "-m", "winbridge", "run", "waits.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, text=True, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told.endswith("\nKeyboardInterrupt\n") and "winbridge" not in told


FAILING = {
    "fails.py": "import broken\n",
    "broken.py": "def divide():\n    return 1 / 0\n\ntry:\n    import no_such\nexcept ImportError:\n    divide()\n",
    "wrong.py": "x = = 1\n",
    "missing.py": "def later():\n    import no_such\n\nlater()\n",
}


@pytest.mark.parametrize("script", ["fails.py", "wrong.py", "missing.py"])
def test_tracebacks_are_those_of_python(script: str, tmp_path: Path, write, run: Run) -> None:
    for name, text in FAILING.items():
        write(name, text)
    ours = run(script)
    theirs = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_what_is_not_there(run: Run) -> None:
    script, module = run("no_such.py"), run("-m", "no_such")
    assert (script.returncode, script.stderr) == (
        2,
        "Error: can't open file 'no_such.py': [Errno 2] No such file or directory\n",
    )
    assert (module.returncode, module.stderr) == (1, f"{sys.executable}: No module named no_such\n")
    assert run("-m", "-c", "x").returncode == 2


STANDARD = """
    import ctypes, sys
    import multiprocessing.sharedctypes, uuid
    import numpy.random
    assert multiprocessing.sharedctypes.ctypes is sys.modules["ctypes"] is not ctypes
    assert not hasattr(sys.modules["ctypes"], "windll")
    number = multiprocessing.sharedctypes.Value("l", 2**40)
    print(number.value, uuid.uuid1().version, numpy.random.default_rng(0).integers(1, 2))
    assert sys.modules["sys"].platform == sys.modules["os"].sys.platform == "linux"
"""


def test_the_standard_library_keeps_its_own(write, run: Run) -> None:
    write("standard.py", STANDARD)
    assert printed(run("standard.py")) == f"{2**40} 1 1\n"


NUMPY = """
    import numpy as np
    from ctypes import *
    msvcrt = cdll.msvcrt
    Order = CFUNCTYPE(c_int, POINTER(c_double), POINTER(c_double))
    order = Order(lambda a, b: (a[0] > b[0]) - (a[0] < b[0]))

    numbers = np.array([3.0, 1.0, 2.0])
    msvcrt.qsort(numbers.ctypes.data_as(POINTER(c_double)), 3, 8, order)
    print(numbers)

    block = (c_double * 3)(9, 7, 8)
    view = np.ctypeslib.as_array(block)
    msvcrt.qsort(block, 3, 8, order)
    print(view, np.ctypeslib.as_array(cast(block, POINTER(c_double)), (3,)))
"""

NDPOINTER = """
    numbers = np.array([6.0, 5.0, 4.0])
    msvcrt.qsort.argtypes = [np.ctypeslib.ndpointer(np.float64), c_size_t, c_size_t, Order]
    msvcrt.qsort.restype = None
    msvcrt.qsort(numbers, 3, 8, order)
    print(numbers)
"""


def test_numpy_takes_and_gives_the_drop_ins_types(arch: str, write, run: Run) -> None:
    write("arrays.py", NUMPY)
    assert printed(run("--arch", arch, "arrays.py")) == "[1. 2. 3.]\n[7. 8. 9.] [7. 8. 9.]\n"


def test_ndpointer(arch: str, write, run: Run) -> None:
    write("arrays.py", NUMPY + NDPOINTER)
    assert printed(run("--arch", arch, "arrays.py")).endswith("[4. 5. 6.]\n")


PLATFORM = """
    import os, platform, struct, sys
    from sys import platform as name
    print(name == sys.platform, sys.platform, os.name, platform.system(), os.path.join("a", "b"))
    print(sys.maxsize == 2 ** (8 * struct.calcsize("P") - 1) - 1, struct.calcsize("P"), struct.calcsize("l"))
    print(struct.Struct("lL").size, len(struct.pack("l", -1)), struct.unpack("=q", struct.pack("=q", 1)))
"""


def test_the_platform_is_windows(arch: str, write, run: Run) -> None:
    write("seen.py", PLATFORM)
    pointer = 8 if arch == "win64" else 4
    windows = f"True win32 nt Windows a/b\nTrue {pointer} 4\n8 4 (1,)\n"
    assert printed(run("--arch", arch, "seen.py")) == windows
    assert printed(run("--arch", arch, "--platform", "windows", "seen.py")) == windows
    assert printed(run("--arch", arch, "--platform", "host", "seen.py")) == (
        "True linux posix Linux a/b\nTrue 8 8\n16 8 (1,)\n"
    )


def test_the_version_of_windows_is_the_prefixs(arch: str, write, run: Run) -> None:
    write(
        "version.py",
        """
        import ctypes, platform, sys
        seen = sys.getwindowsversion()
        class Version(ctypes.Structure):
            _fields_ = [(name, ctypes.c_ulong) for name in "size major minor build platform".split()]
            _fields_ += [("pack", ctypes.c_wchar * 128)]
        told = Version(ctypes.sizeof(Version))
        ctypes.windll.ntdll.RtlGetVersion(ctypes.byref(told))
        assert tuple(seen) == (told.major, told.minor, told.build, told.platform, told.pack)
        assert platform.version() == platform.uname().version == platform.win32_ver()[1]
        assert platform.platform().startswith("Windows-" + platform.release())
        print(platform.uname().system, platform.machine(), platform.architecture()[0])
        """,
    )
    assert printed(run("--arch", arch, "version.py")) == f"Windows AMD64 {arch.replace('win', '')}bit\n"


@pytest.mark.parametrize("platform", ["windows", "host"])
def test_views_pass_on_what_is_set(platform: str, write, run: Run) -> None:
    write(
        "sets.py",
        """
        import io, os, sys
        real = sys.modules["sys"]
        sys.stdout, kept = io.StringIO(), sys.stdout
        print("caught")
        text, sys.stdout = sys.stdout.getvalue(), kept
        os.environ["SEEN"] = "yes"
        del sys.argv[1:]
        print(repr(text), real.argv == sys.argv, real.modules["os"].environ["SEEN"], hasattr(sys, "no_such"))
        """,
    )
    assert printed(run("--platform", platform, "sets.py", "x")) == "'caught\\n' True yes False\n"


@pytest.mark.parametrize("platform", ["windows", "host"])
def test_folders_of_dlls(platform: str, arch: str, dll_folder: Path, write, run: Run) -> None:
    write(
        "folders.py",
        """
        import ctypes, os, sys
        with os.add_dll_directory(sys.argv[1]):
            print(ctypes.CDLL("specimen.dll").add(2, 3))
        """,
    )
    assert printed(run("--arch", arch, "--platform", platform, "folders.py", str(dll_folder / arch))) == "5\n"


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_processes_of_multiprocessing(method: str, arch: str, write, run: Run) -> None:
    write(
        "processes.py",
        """
        import ctypes, multiprocessing, os, sys
        def seen(number):
            return ctypes.windll.kernel32.MulDiv(number, 7, 1), ctypes.sizeof(ctypes.c_void_p), sys.platform
        if __name__ == "__main__":
            print(seen(1))
            with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
                print(pool.map(seen, [6]))
        """,
    )
    size = 8 if arch == "win64" else 4
    assert printed(run("--arch", arch, "processes.py", method)) == f"(7, {size}, 'win32')\n[(42, {size}, 'win32')]\n"


def test_wheels_for_linux_keep_linux_and_others_do_not(tmp_path: Path, write, run: Run) -> None:
    seen = "import ctypes, sys; print(__name__, sys.platform, hasattr(ctypes, 'windll'))"
    for name, tag in {"forlinux": "py3-none-manylinux_2_17_x86_64", "forwindows": "py3-none-win_amd64"}.items():
        write(f"site/{name}/__init__.py", seen)
        write(f"site/{name}/lib{name}.so", "")
        write(f"site/{name}-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        write(f"site/{name}-1.dist-info/RECORD", f"{name}/__init__.py,,\n")
    done = run(
        "-c",
        "import forlinux, forwindows",
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *sys.path])},
    )
    assert printed(done) == "forlinux linux False\nforwindows win32 True\n"


def test_what_is_built_for_linux() -> None:
    import msgspec
    import numpy
    import pytest

    assert is_for_linux("numpy.linalg", numpy.linalg.__file__)
    assert is_for_linux("msgspec", msgspec.__file__)
    assert not is_for_linux("pytest", pytest.__file__)


def test_our_requirements_are_known() -> None:
    """All that winbridge installs, and what those install, keeps Linux."""
    needed, left = set(), ["winbridge"]
    while left:
        name = re.sub("[-_.]+", "-", left.pop()).lower()
        if name in needed:
            continue
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        needed.add(name)
        left += [re.match(r"[\w.-]+", one)[0] for one in requirements if "extra ==" not in one]
    modules = importlib.metadata.packages_distributions()
    tops = {top for top, owners in modules.items() if needed & {re.sub("[-_.]+", "-", one).lower() for one in owners}}
    assert {"msgspec", "winbridge"} <= tops  # Python 3.10 knows only packages with a top_level.txt
    assert {top for top in tops if top.isidentifier() and not top.startswith("_")} <= OURS


def test_tests_of_a_windows_program_run_under_pytest(write, run: Run) -> None:
    write("test_it.py", "import ctypes\ndef test_it():\n    assert ctypes.windll.kernel32.MulDiv(6, 7, 1) == 42\n")
    done = run("--platform", "host", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
