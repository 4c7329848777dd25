"""The Wine prefix: the folder that is Windows' drive C, registry and settings.

A prefix appears whole or not at all. It is made in a hidden folder beside its place,
under a lock that keeps other processes waiting, and renamed when Wine has written
everything and its server has stopped. Nothing in a prefix holds its own path, so the
renamed one works as it is. What an interrupted creation left is removed by the next one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from winbridge.core import wine
from winbridge.core.config import DEFAULT, Config
from winbridge.core.errors import AgentStartError

LOG_NAME = "winbridge-creation.log"
TAIL_LINES = 8
FULL_BELOW = 1 << 20  # bytes free
ROOM = "about 1.5 GB"
PRIVATE = 0o700
"""The mode of folders that are made: other users neither read what DLLs leave there nor hold the lock."""

Report = Callable[[str], None]

logger = logging.getLogger("winbridge.prefix")


def ensure(config: Config, progress: Report | None = None) -> Path:
    """Return the prefix, made if it is not there yet.

    Args:
        config: its ``prefix`` says where; ``wine`` and ``wine_debug`` are used to make it.
        progress: told in a line what is being done; None shows that on stderr when it is a
            terminal, and otherwise in the log ``winbridge.prefix``.

    Returns:
        the prefix's folder, ``config.prefix``.

    Raises:
        AgentStartError: Wine is missing, the folder is something else, cannot be written
            or the disk is full, or Wine failed; the message has the end of its log.
    """
    place = config.prefix.resolve()  # a link to a folder stays a link
    if _is_prefix(place):
        _refuse_unusable(place)
        return config.prefix
    _refuse_foreign(place)
    with _shown(progress) as report, _os_errors(place), _locked(place, report):
        if not _is_prefix(place):
            _create(config, place, report)
    return config.prefix


def ensure_32_bit(config: Config, progress: Report | None = None) -> None:
    """Bring a prefix up to date that a Wine without 32 bit made: it stays without when that part is installed later.

    Args:
        config: as for ``ensure``; the prefix is there.
        progress: as for ``ensure``.

    Raises:
        AgentStartError: Wine did not do it; the message has the end of its log.
    """
    place = config.prefix.resolve()
    if _has_32_bit(place):
        return
    with _shown(progress) as report, _os_errors(place), _locked(place, report):
        if not _has_32_bit(place):
            _add_32_bit(config, place, report)


def _has_32_bit(place: Path) -> bool:
    folder = place / "drive_c" / "windows" / "syswow64"
    return (folder / "kernel32.dll").is_file() or not folder.is_dir()


def _add_32_bit(config: Config, place: Path, report: Report) -> None:
    report(f"adding the 32-bit part to the Wine prefix {place}: this takes 10 to 30 seconds")
    loader = wine.find_loader(config, "win64")
    (place / ".update-timestamp").unlink(missing_ok=True)  # else Wine believes that there is nothing to do
    status = _wineboot(loader, "-u", _environment(config, place))
    if not _has_32_bit(place):
        raise AgentStartError(
            f"the Wine prefix {place} was made by a Wine without 32 bit, and wineboot -u did not add that (status"
            f" {status}); WINBRIDGE_PREFIX=/path makes another prefix; the end of Wine's log:\n{_tail(place)}"
        )
    report(f"added the 32-bit part to the Wine prefix {place}")


def _refuse_unusable(place: Path) -> None:
    """Wine keeps its registry in the prefix, and insists on being its owner."""
    what = "is read-only" if not os.access(place, os.W_OK) else ""
    if place.stat().st_uid != os.geteuid():
        what = "belongs to another user"
    if what:
        raise AgentStartError(
            f"the Wine prefix {place} {what}, and Wine has to own it and write in it; WINBRIDGE_PREFIX=/path takes or"
            " makes another one"
        )


def _is_prefix(folder: Path) -> bool:
    return (folder / "system.reg").is_file()


def _refuse_foreign(place: Path) -> None:
    what = "no folder" if place.exists() and not place.is_dir() else ""
    # In this order: a prefix that another process is making appears all at once.
    if place.is_dir() and any(place.iterdir()) and not _is_prefix(place):
        what = "a folder with other contents"
    if what:
        raise AgentStartError(
            f"{place} is {what} and no Wine prefix (it has no system.reg); nothing in it was touched."
            " Name an empty or a new folder: WINBRIDGE_PREFIX=/path, or prefix= in winbridge.toml"
        )


@contextlib.contextmanager
def _os_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise AgentStartError(_complaint(place, str(error), full)) from error


def _complaint(place: Path, cause: str, full: bool, log: str = "") -> str:
    said = f"; the end of Wine's log:\n{log}" if log else ""
    if full:
        cause = f"the disk is full, a prefix takes {ROOM} ({cause})"
    return f"the Wine prefix {place} could not be made: {cause}; WINBRIDGE_PREFIX=/path puts it elsewhere{said}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextlib.contextmanager
def _locked(place: Path, report: Report) -> Iterator[None]:
    """Hold the lock of a place. Its file stays: to remove it would let two hold it."""
    place.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    with open(place.with_name(f".{place.name}.lock"), "a", opener=_private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"waiting for the process that makes the Wine prefix {place}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _create(config: Config, place: Path, report: Report) -> None:
    loader = wine.find_loader(config, "win64" if wine.supports("win64", config) else "win32")
    server = wine.find_wineserver(loader)
    for stale in place.parent.glob(f".{glob.escape(place.name)}.new-*"):
        report(f"removing what an interrupted creation of the Wine prefix {place} left")
        _remove(stale, server, config)
    report(f"creating the Wine prefix {place}: this takes 10 to 30 seconds")
    started = time.monotonic()
    folder = place.with_name(f".{place.name}.new-{os.getpid()}")
    folder.mkdir(mode=PRIVATE)
    try:
        status = _boot(loader, server, _environment(config, folder))
        _verify(config, folder, place, status)
        folder.rename(place)
    except BaseException:
        _remove(folder, server, config)
        raise
    report(f"created the Wine prefix {place} in {time.monotonic() - started:.0f} s")


def _boot(loader: wine.Loader, server: Path, environment: dict[str, str]) -> int:
    status = _wineboot(loader, "-i", environment)
    # The server writes the registry when it ends.
    _stop(server, environment)
    return status


def _wineboot(loader: wine.Loader, order: str, environment: dict[str, str]) -> int:
    with Path(environment["WINEPREFIX"], LOG_NAME).open("wb") as log:
        return subprocess.run(
            [loader.path, "wineboot", order],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone, and we stop the server
        ).returncode


def _verify(config: Config, folder: Path, place: Path, status: int) -> None:
    missing = [name for name in _essentials(config) if not (folder / name).is_file()]
    # Wine goes on when it cannot copy a file, so a full disk is a failure in itself.
    full = shutil.disk_usage(folder).free < FULL_BELOW
    if status or missing or full:
        lacks = f"; it lacks {', '.join(missing)}" if missing else ""
        raise AgentStartError(_complaint(place, f"wineboot ended with status {status}{lacks}", full, _tail(folder)))


def _essentials(config: Config) -> Iterator[str]:
    yield from ("system.reg", "user.reg", "drive_c/windows/system32/kernel32.dll")
    if os.environ.get("WINEARCH") != "win32" and wine.supports("win32", config):
        yield "drive_c/windows/syswow64/kernel32.dll"


def _environment(config: Config, folder: Path) -> dict[str, str]:
    environment = wine.environment(config) | {"WINEPREFIX": str(folder)}
    if config.source("wine_debug") == DEFAULT:
        environment["WINEDEBUG"] = "fixme-all"  # errors belong in the log of the creation
    return environment


def _stop(server: Path, environment: dict[str, str]) -> None:
    for order in ("-k", "-w"):
        subprocess.run(
            [server, order],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    _end_stragglers(f"WINEPREFIX={environment['WINEPREFIX']}".encode())


def _end_stragglers(variable: bytes) -> None:
    """Kill processes of a prefix whose server is gone.

    One that was just starting waits for the server's answer on a pipe that it holds both
    ends of, and so for ever.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            if variable in (process / "environ").read_bytes().split(b"\0"):
                _kill(int(process.name))


def _kill(process: int) -> None:
    handle = os.pidfd_open(process)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        ended.poll()
    finally:
        os.close(handle)


def _remove(folder: Path, server: Path, config: Config) -> None:
    _stop(server, _environment(config, folder))
    shutil.rmtree(folder)


def _tail(folder: Path) -> str:
    lines = (folder / LOG_NAME).read_text(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])


@contextlib.contextmanager
def _shown(progress: Report | None) -> Iterator[Report]:
    if progress is not None:
        yield progress
    elif sys.stderr is None or not sys.stderr.isatty():
        yield logger.info
    else:
        with _spinner() as report:
            yield report


@contextlib.contextmanager
def _spinner() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(20), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda text: bar.update(task, description=text)


def main() -> int:
    """Make the default prefix, with a line before and one after."""
    config = Config()
    if _is_prefix(config.prefix):
        print(f"the Wine prefix {config.prefix} is present")
        return 0
    print(f"creating the Wine prefix {config.prefix}: this takes 10 to 30 seconds", flush=True)
    started = time.monotonic()
    try:
        ensure(config)
    except AgentStartError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"created the Wine prefix {config.prefix} in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
