"""Make a Windows Python 3.11 for both architectures under .cache, to compare winbridge's ctypes with the real one.

PyPI's panda3d wheels for Windows carry Python's DLL, its extension modules and sqlite3.dll; the standard library
comes from a Python 3.11 of this machine. Without one, only the copies of sqlite3.dll are made.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
LAUNCHER = ROOT / "scripts" / "windows_python.c"
WHEEL = "panda3d>=1.10.15,<1.11"
NOT_NEEDED = ("test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip", "site-packages",
              "dist-packages", "lib-dynload", "config-*", "__pycache__")  # fmt: skip
NO_PYTHON311 = (
    "!!! NO PYTHON 3.11 on this machine (searched PATH and ~/.pyenv): the parity tests and the comparison with\n"
    "!!! ctypes on Windows WILL NOT RUN. To have them install Python 3.11, then: python scripts/windows_python.py"
)


class Target(NamedTuple):
    """One architecture: its folder in the cache, the wheel's platform tag, the compiler of its python.exe."""

    folder: str
    platform: str
    compiler: str

    @property
    def python(self) -> Path:
        return CACHE / "windows-python" / self.folder

    @property
    def sqlite(self) -> Path:
        return CACHE / "dlls" / self.folder / "sqlite3.dll"


TARGETS = (
    Target("win64", "win_amd64", "x86_64-w64-mingw32-gcc"),
    Target("win32", "win32", "i686-w64-mingw32-gcc"),
)


def find_python311() -> str | None:
    """Path of an interpreter that answers as Python 3.11, or None; a pyenv shim on PATH may answer otherwise."""
    on_path = (shutil.which(name) for name in ("python3.11", "python3"))
    managed = sorted(Path.home().glob(".pyenv/versions/3.11*/bin/python3.11"))
    return next((path for path in (sys.executable, *on_path, *map(str, managed)) if path and is_311(path)), None)


def is_311(interpreter: str) -> bool:
    answer = subprocess.run([interpreter, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True)
    return answer.stdout.strip() == b"(3, 11)"


def download(target: Target, folder: Path) -> Path:
    print(f"    downloading {WHEEL} for {target.platform}", flush=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "download", "--no-deps"]
    cp311 = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--only-binary=:all:"]
    subprocess.run([*pip, *cp311, "--platform", target.platform, "-d", str(folder), WHEEL], check=True)
    return next(folder.glob("*.whl"))


def unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("deploy_libs/") and not name.endswith("/"):
                (folder / Path(name).name).write_bytes(archive.read(name))


def zip_standard_library(interpreter: str, archive: Path) -> None:
    """Compiled modules only: from sources alone, every start on Wine would compile what it imports anew."""
    print(f"    packing the standard library of {interpreter}", flush=True)
    where = [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]
    stdlib = Path(subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip())
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "Lib")
        shutil.copytree(stdlib, copy, ignore=shutil.ignore_patterns(*NOT_NEEDED))
        subprocess.run([interpreter, "-m", "compileall", "-b", "-q", "-j0", "-s", scratch, str(copy)], check=True)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for module in sorted(copy.rglob("*.pyc")):
                packed.write(module, module.relative_to(copy))


def compile_launcher(target: Target, program: Path) -> None:
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-municode", "-static", "-s"]
    subprocess.run([target.compiler, *flags, str(LAUNCHER), "-o", str(program)], check=True)


def publish(finished: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    finished.replace(place)


def provide(target: Target, interpreter: str | None) -> None:
    """Bring one architecture up to date; what stands under its final name is complete."""
    if target.sqlite.exists() and (interpreter is None or target.python.exists()):
        return
    print(f"==> Windows Python 3.11 and sqlite3.dll, {target.folder}", flush=True)
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        folder = Path(scratch, "python")
        folder.mkdir()
        unpack(download(target, Path(scratch)), folder)
        publish(Path(shutil.copy(folder / "sqlite3.dll", scratch)), target.sqlite)
        if interpreter is not None and not target.python.exists():
            zip_standard_library(interpreter, folder / "python311.zip")
            compile_launcher(target, folder / "python.exe")
            publish(folder, target.python)


def main() -> int:
    complete = all(target.python.exists() for target in TARGETS)
    interpreter = None if complete else find_python311()
    if not complete and interpreter is None:
        print(NO_PYTHON311, file=sys.stderr)
    try:
        for target in TARGETS:
            provide(target, interpreter)
    except (subprocess.CalledProcessError, OSError) as failure:
        print(f"windows_python.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
