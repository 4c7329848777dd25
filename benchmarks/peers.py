"""What the benchmarks compare with, provided under .cache at first use.

- a virtual environment with the peers from PyPI;
- a Wine prefix of the benchmarks' own: cold starts stop its server, which would disturb other programs;
- in it, the Windows Python of ``scripts/windows_python.py``, laid out as the older bridge's ``wenv`` wants it.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from winbridge.core import prefix, wine
from winbridge.core.config import Config
from winbridge.core.errors import AgentStartError

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
HOME = CACHE / "benchmarks"
PREFIX = HOME / "prefix"
ENVIRONMENT = CACHE / "peers"
REQUIREMENTS = ("zugbruecke>=0.2.1", "wenv>=0.5.1", "msl-loadlib>=1.1", "rpyc>=6.0.2")
NATIVE = Path(__file__).resolve().parent / "native" / "bench.c"
COMPILERS = {"win64": "x86_64-w64-mingw32-gcc", "win32": "i686-w64-mingw32-gcc"}
WENV_VERSION = "3.11.9.stable"

Say = Callable[[str], None]


def windows_python(arch: str) -> Path:
    """The program that ``scripts/windows_python.py`` provides."""
    return CACHE / "windows-python" / arch / "python.exe"


def dll(arch: str) -> Path:
    """The DLL of ``native/bench.c``."""
    return HOME / arch / "bench.dll"


def python() -> Path:
    """The interpreter of the peers' virtual environment."""
    return ENVIRONMENT / "bin" / "python"


def provide(say: Say) -> dict[str, str]:
    """Make what is missing.

    Args:
        say: told what is being made, before it is.

    Returns:
        what could not be made: its name, and why. Contenders that need it are reported as not run.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    say("the Wine prefix of the benchmarks")
    prefix.ensure(Config(prefix=PREFIX), progress=say)
    steps: dict[str, Callable[[Say], None]] = {
        **{arch: partial(_architecture, arch) for arch in COMPILERS},
        "peers": _environment,
        "windows python": _windows_python,
    }
    return {name: reason for name, make in steps.items() if (reason := _failure(make, say))}


def _failure(make: Callable[[Say], None], say: Say) -> str:
    try:
        make(say)
    except (OSError, AgentStartError, subprocess.CalledProcessError) as error:
        output = getattr(error, "stderr", None) or b""
        return " ".join([str(error), *output.decode(errors="replace").splitlines()[-1:]])
    return ""


def _architecture(arch: str, say: Say) -> None:
    """Wine runs it, and the DLL is there."""
    wine.find_loader(Config(prefix=PREFIX), arch)
    target = dll(arch)
    if target.exists() and target.stat().st_mtime > NATIVE.stat().st_mtime:
        return
    say(f"compiling {target}")
    target.parent.mkdir(exist_ok=True)
    flags = ["-shared", "-O2", "-Wall", "-Wextra", "-static-libgcc"]
    command: list[str | Path] = [COMPILERS[arch], *flags, "-o", target, NATIVE]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _environment(say: Say) -> None:
    stamp = ENVIRONMENT / "installed.txt"
    if stamp.exists() and stamp.read_text().split() == list(REQUIREMENTS):
        return
    say(f"installing {', '.join(REQUIREMENTS)} in {ENVIRONMENT}")
    venv.create(ENVIRONMENT, with_pip=True, clear=True)
    pip = [str(python()), "-m", "pip", "--disable-pip-version-check", "-q", "install", *REQUIREMENTS]
    subprocess.run(pip, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    stamp.write_text("\n".join(REQUIREMENTS))


def _windows_python(say: Say) -> None:
    """For ctypes on Wine and the servers of rpyc and msl-loadlib as it is; a copy in the prefix for ``wenv``."""
    if not windows_python("win64").exists():
        say("a Windows Python")
        subprocess.run([sys.executable, ROOT / "scripts" / "windows_python.py"], check=True, capture_output=True)
    if not windows_python("win64").exists():
        raise OSError("no Windows Python: see scripts/windows_python.py")
    place = PREFIX / "drive_c" / f"python-{WENV_VERSION}"
    if not place.exists():
        say("the Windows Python of the older bridge")
        with tempfile.TemporaryDirectory(dir=HOME) as scratch:
            _lay_out_for_wenv(Path(scratch, "python")).rename(place)


def _lay_out_for_wenv(folder: Path) -> Path:
    shutil.copytree(windows_python("win64").parent, folder)
    with zipfile.ZipFile(folder / "python311.zip") as archive:
        archive.extractall(folder / "Lib")
    (folder / "python311.zip").unlink()
    for name in ("Lib/site-packages", "Scripts"):
        (folder / name).mkdir()
    (folder / "Scripts" / "pip.exe").touch()  # that it exists is all that is asked
    (folder / "python311._pth").write_text("Lib\n.\nimport site\n")
    return folder


@contextlib.contextmanager
def wenv_home() -> Iterator[Path]:
    """A folder as ``wenv`` wants it around the prefix. With a hidden part in its path ``wenv`` leaves links in /tmp."""
    with tempfile.TemporaryDirectory(prefix="winbridge-benchmarks-") as home:
        place = Path(home, "share", "wenv")
        place.mkdir(parents=True)
        (place / "win64").symlink_to(PREFIX)
        yield Path(home)


def site_packages() -> Path:
    """Where the peers are installed."""
    return next(ENVIRONMENT.glob("lib/python*/site-packages"), ENVIRONMENT)


def msl_server(loader: str) -> Path:
    """A folder with msl-loadlib's 32-bit server: a script that runs it in the 32-bit Windows Python."""
    program = HOME / "msl" / "server32-linux"
    program.parent.mkdir(exist_ok=True)
    server = Path(__file__).resolve().parent / "bodies" / "msl_server.py"
    program.write_text(
        f"#!/bin/sh\nexport TMP='Z:{tempfile.gettempdir()}' PYTHONPATH='Z:{site_packages()}'\n"
        f'exec {loader} {windows_python("win32")} "Z:{server}" "$@" </dev/null\n'
    )
    program.chmod(0o755)
    return program.parent
