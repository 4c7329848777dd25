"""Finds Wine's programs and says what they can run.

A *loader* is the program that runs a Windows one. Builds differ: older ones have a
loader for each architecture (``wine64``, and ``wine`` for 32 bit), newer ones a single
``wine``; Debian and Ubuntu keep theirs off PATH, behind a shell script.

Either loader starts programs of both architectures, but the wrong one loads itself, finds
out, and executes the right one. With the server running and on Wine 8.0 and 10.0 alike
that costs 30 to 60 ms: 33 ms against 68 (64-bit program), 35 against 87 (32-bit program).
So the loader whose own bitness is the program's is taken where there is one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from winbridge.core.config import Config
from winbridge.core.errors import AgentStartError

LOADERS = ("wine64", "wine", "wine32")
SERVERS = ("wineserver64", "wineserver", "wineserver32")

WELL_KNOWN = tuple(
    Path(folder)
    for folder in (
        "/usr/lib/wine",
        "/usr/lib/x86_64-linux-gnu/wine",
        "/opt/wine-stable/bin",
        "/opt/wine-devel/bin",
        "/opt/wine-staging/bin",
        "/usr/bin",
        "/usr/local/bin",
    )
)

INSTALL = "sudo apt-get install --no-install-recommends wine wine64"
INSTALL_32 = (
    "sudo dpkg --add-architecture i386 && sudo apt-get update"
    " && sudo apt-get install --no-install-recommends wine32:i386"
)
SWITCHED_OFF = "mscoree,mshtml,winemenubuilder.exe="

_LOCK = struct.Struct("hhqqi4x")
"""``struct flock``: kind, whence, start, length, process (fcntl(2))."""


class Loader(NamedTuple):
    """A program that runs Windows programs."""

    path: Path
    found: str
    """What led to it: "PATH", a well-known folder, or where the configuration has it from."""


def find_loader(config: Config, arch: str) -> Loader:
    """Find the loader that starts a program of an architecture fastest.

    Args:
        config: its ``wine`` is taken as it is.
        arch: ``win64`` or ``win32``.

    Returns:
        the loader and how it was found.

    Raises:
        AgentStartError: there is no Wine, or none for this architecture; the message has
            the command that installs it.
    """
    installation, found = _installation(config)
    if not _runs(installation, arch):
        mend = INSTALL_32 if arch == "win32" else INSTALL
        raise AgentStartError(f"the Wine at {installation[0]} cannot run {arch} programs; install that part: {mend}")
    if config.wine is not None:
        return Loader(config.wine, found)
    bits = 64 if arch == "win64" else 32
    return Loader(next((path for path in installation if _elf_bits(path) == bits), installation[0]), found)


def supports(arch: str, config: Config | None = None) -> bool:
    """Tell whether the Wine here can run programs of an architecture.

    The files of the installation decide, nothing is run; an installation of unknown
    layout (a wrapper script, for example) is believed to run both.

    Args:
        arch: ``win64`` or ``win32``.
        config: its ``wine`` names the loader; None takes the usual sources.
    """
    try:
        find_loader(config or Config(), arch)
    except AgentStartError:
        return False
    return True


def version(loader: Loader) -> str:
    """Ask a loader for Wine's version, for example ``8.0 (Debian 8.0~repack-4)``.

    Raises:
        AgentStartError: the loader cannot be run, or is not Wine's.
    """
    try:
        run = subprocess.run(
            [loader.path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise AgentStartError(f"Wine's loader {loader.path} ({loader.found}) cannot be run: {error}") from error
    if run.returncode or not run.stdout.startswith("wine-"):
        said = (run.stderr or run.stdout).strip() or f"exit status {run.returncode} and nothing else"
        raise AgentStartError(f"{loader.path} ({loader.found}) does not answer --version as Wine does: {said}")
    return run.stdout.strip().removeprefix("wine-")


def find_wineserver(loader: Loader) -> Path:
    """Find the server program that belongs to a loader.

    The program itself is preferred to Debian's script of that name, which adds ``-p0``.

    Raises:
        AgentStartError: it is missing.
    """
    named = os.environ.get("WINESERVER")
    if named:
        return Path(named)
    folders = [path.parent for path in _loaders_behind(loader.path)]
    for path in _programs([*folders, *_path_folders(), *WELL_KNOWN], SERVERS):
        return path
    raise AgentStartError(f"wineserver was not found beside {loader.path} nor on PATH; install Wine anew: {INSTALL}")


def server_process(prefix: Path) -> int | None:
    """Find the Wine server that serves a prefix now.

    It holds a lock on a file in its folder below /tmp, as the manual of ``wineserver`` describes. Debian's names
    the folder above in a file of the prefix.

    Args:
        prefix: the prefix's folder.

    Returns:
        its process id, or None where none is found.
    """
    with contextlib.suppress(OSError):
        there = prefix.stat()
        name = f"server-{there.st_dev:x}-{there.st_ino:x}"
        holders = map(_holder, (folder / name / "lock" for folder in _server_folders(prefix)))
        return next((holder for holder in holders if holder is not None), None)
    return None


def _holder(lock: Path) -> int | None:
    """The process that holds the lock of a file."""
    asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    with contextlib.suppress(OSError), lock.open() as file:
        kind, *_, holder = _LOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
        if kind != fcntl.F_UNLCK and holder > 0:  # not one outside of our container
            return int(holder)
    return None


def _server_folders(prefix: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield Path("/tmp", (prefix / "wineserver").read_text().strip())
    yield Path(f"/tmp/.wine-{os.getuid()}")


def end_orphans(prefix: Path) -> None:
    """Kill the programs of a prefix whose Wine server has just ended: they would wait for it for ever.

    Which are old enough to be its own is told by their age, so those of a next server are left alone.
    """
    variable = f"WINEPREFIX={prefix}".encode()
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            if _is_of_wine(process, variable) and _started(process) <= now:
                os.kill(int(process.name), signal.SIGKILL)


def _is_of_wine(process: Path, variable: bytes) -> bool:
    """Not just a program that has the variable too, as a user's shell may."""
    name = (process / "exe").readlink().name
    return (
        name.startswith("wine") and name not in SERVERS and variable in (process / "environ").read_bytes().split(b"\0")
    )


def _started(process: Path) -> float:
    """Seconds from the start of the machine to that of a process (proc(5), field 22 of ``stat``)."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def environment(config: Config) -> dict[str, str]:
    """Give the environment in which Wine's programs are started: ours, with Wine's variables set.

    Mono and Gecko are switched off, which a new prefix would offer to download, and
    winemenubuilder, which each start of a Wine server would have write to the user's
    desktop menus; unless the user's own WINEDLLOVERRIDES says what to do.
    """
    variables = {"WINEPREFIX": str(config.prefix), "WINEDEBUG": config.wine_debug}
    return {"WINEDLLOVERRIDES": SWITCHED_OFF} | dict(os.environ) | variables


def _installation(config: Config) -> tuple[list[Path], str]:
    """The loaders of the Wine to use, and how it was found."""
    if config.wine is not None:
        return _configured(config.wine, config.source("wine")), config.source("wine")
    for path in _programs(_path_folders(), LOADERS):
        return _loaders_behind(path), "PATH"
    for folder in WELL_KNOWN:
        for path in _programs([folder], LOADERS):
            return _loaders_behind(path), str(folder)
    raise AgentStartError(
        f"Wine was not found on PATH nor in {', '.join(map(str, WELL_KNOWN))}; install it: {INSTALL}"
        " (or name its loader: WINBRIDGE_WINE=/path/to/wine)"
    )


def _configured(path: Path, source: str) -> list[Path]:
    if not _is_program(path):
        what = "is not a program that may be executed" if path.exists() else "does not exist"
        raise AgentStartError(f"Wine's loader {path} ({source}: wine) {what}; correct it, or remove it to search PATH")
    return _loaders_behind(path)


def _path_folders() -> list[Path]:
    return [Path(folder) for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder]


def _programs(folders: Iterable[Path], names: Iterable[str]) -> Iterator[Path]:
    return (path for folder in folders for name in names if _is_program(path := folder / name))


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _loaders_behind(path: Path) -> list[Path]:
    """The loaders of the installation that a program called wine belongs to, at least itself."""
    real = path.resolve()
    if _elf_bits(real):
        return list(_programs([real.parent], LOADERS)) or [real]
    # Only a distribution's own script is looked through: a user's may do more than start Wine.
    if real.parent == Path("/usr/bin"):
        named = dict.fromkeys(_named_loaders(real))
        return [loader for loader in named if _is_program(loader) and _elf_bits(loader)] or [path]
    return [path]


def _named_loaders(script: Path) -> list[Path]:
    text = script.read_text(errors="replace")
    return [Path(found) for found in re.findall(r"(?<![\w./-])/[\w./-]+/wine(?:64|32)?\b(?!/)", text)]


def _elf_bits(path: Path) -> Literal[0, 32, 64]:
    """Bitness of an ELF file, 0 for any other file."""
    try:
        with path.open("rb") as file:
            head = file.read(5)
    except OSError:
        return 0
    return {b"\x7fELF\x01": 32, b"\x7fELF\x02": 64}.get(head, 0)  # type: ignore[return-value]


def _runs(loaders: list[Path], arch: str) -> bool:
    """Judge by the halves of ntdll, which every program needs: the Unix one and the Windows one."""
    unix = {bits: set(_unix_folders(loaders, bits)) for bits in (32, 64)}
    if not unix[32] and not unix[64]:
        return True  # unknown layout
    if arch == "win64":
        return bool(unix[64])
    own_loader = bool(unix[32]) and any(_elf_bits(path) == 32 for path in loaders)
    wow64 = any((folder / "i386-windows" / "ntdll.dll").is_file() for folder in unix[64])
    return own_loader or wow64


def _unix_folders(loaders: list[Path], bits: int) -> Iterator[Path]:
    """Folders of libraries whose Unix half has this bitness."""
    roots = dict.fromkeys(root for path in loaders for root in path.resolve().parents[1:3])
    for root in roots:
        for folder in (*root.glob("lib*/wine"), *root.glob("lib/*-linux-gnu/wine")):
            # Up to Wine 6 the file lies in the folder itself.
            for file in (folder / "ntdll.so", *folder.glob("*-unix/ntdll.so")):
                if _elf_bits(file) == bits:
                    yield folder
