"""What ``winbridge doctor`` looks at. Each check gives a finding, and none of them raises."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import winbridge
from winbridge.core import agent, prefix, wine
from winbridge.core.config import Config
from winbridge.core.errors import AgentError, WinbridgeError
from winbridge.core.local import Win32Session, Win64Session

SESSIONS = {"win64": Win64Session, "win32": Win32Session}
COMPILERS = {
    "win64": ("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
    "win32": ("i686-w64-mingw32-gcc", "gcc-mingw-w64-i686"),
}
TESTED_WINE = ("8.0", "10.0")
TESTED_PYTHON = ("3.10", "3.11", "3.12", "3.13")
"""What ``make test``, ``make test-wine10`` and ``make test-pythons`` ran on."""

CHECKOUT = Path(winbridge.__file__).resolve().parent.parent


class Finding(NamedTuple):
    """What one check found.

    Attributes:
        what: the thing looked for.
        found: whether it is there and works.
        detail: which one, or what is wrong.
        mend: a command that puts it right.
        note: what is worth knowing and no fault.
    """

    what: str
    found: bool
    detail: str
    mend: str = ""
    note: str = ""


def findings(config: Config, archs: Iterable[str]) -> Iterator[Finding]:
    """Check one thing after the other; later ones are left out where they cannot work without an earlier one.

    Args:
        config: where Wine and its prefix are.
        archs: ``win64``, ``win32`` or both.
    """
    yield check_python()
    loaders = {arch: check_loader(config, arch) for arch in archs}
    yield from loaders.values()
    usable = [arch for arch, finding in loaders.items() if finding.found]
    if usable:
        yield check_wineserver(config, usable[0])
        made = check_prefix(config)
        yield made
        usable = usable if made.found else []
    for arch in loaders:
        built = check_agent(arch)
        yield built
        if built.found and arch in usable:
            yield from check_session(config, arch)
    if is_checkout():
        yield from (check_compiler(arch) for arch in loaders)


def check_python() -> Finding:
    """winbridge counts on CPython: on reference counts, and on how its ctypes lays out classes."""
    name, version = platform.python_implementation(), platform.python_version()
    note = not_tested(f"{name} {version}", TESTED_PYTHON, f"{name} {version}".removeprefix("CPython "))
    return Finding("Python", True, f"{version}, {sys.executable} ({winbridge.__impl__} implementation)", note=note)


def not_tested(product: str, tested: tuple[str, ...], version: str) -> str:
    """What to say of a version unless it is one of the tested ones, or a release of one of those."""
    if any(version == known or version.startswith((f"{known}.", f"{known} ")) for known in tested):
        return ""
    return f"{product}: not among the tested versions ({', '.join(tested)})"


def check_loader(config: Config, arch: str) -> Finding:
    what = f"Wine for {arch}"
    try:
        loader = wine.find_loader(config, arch)
        version = wine.version(loader)
        note = not_tested(f"Wine {version}", TESTED_WINE, version)
        return Finding(what, True, f"{version}, {loader.path} ({loader.found})", note=note)
    except AgentError as error:
        install = wine.INSTALL if arch == "win64" else wine.INSTALL_32
        return Finding(what, False, str(error), install if config.wine is None else "")


def check_wineserver(config: Config, arch: str) -> Finding:
    try:
        return Finding("wineserver", True, str(wine.find_wineserver(wine.find_loader(config, arch))))
    except AgentError as error:
        return Finding("wineserver", False, str(error), wine.INSTALL)


def check_prefix(config: Config) -> Finding:
    there = config.prefix.is_dir()
    try:
        prefix.ensure(config)
    except (WinbridgeError, OSError) as error:
        return Finding("Wine prefix", False, str(error), f"{sys.executable} -m winbridge.core.prefix")
    return Finding("Wine prefix", True, f"{config.prefix}{'' if there else ' (made just now)'}")


def check_agent(arch: str) -> Finding:
    what = f"agent for {arch}"
    try:
        return Finding(what, True, str(agent.executable(arch)))
    except AgentError as error:
        mend = f"make -C {CHECKOUT} agents" if is_checkout() else "pip install --force-reinstall winbridge"
        return Finding(what, False, str(error), mend)


def check_session(config: Config, arch: str) -> Iterator[Finding]:
    """Open real sessions: over the byte stream, which every other transport starts from, then in shared memory."""
    started = _open(config, arch, "stream", f"session for {arch}")
    yield started
    if started.found:
        yield _open(config, arch, "shm", f"shared memory, {arch}")


def _open(config: Config, arch: str, transport: str, what: str) -> Finding:
    started = time.perf_counter()
    try:
        with SESSIONS[arch](config.replace(transport=transport)) as session:
            opened = time.perf_counter() - started
            session.modules.load("kernel32.dll")
            return Finding(what, True, f"opened in {1000 * opened:.0f} ms, {session.transport.describe()}")
    except (WinbridgeError, OSError, MemoryError) as error:
        return Finding(what, False, str(error), _mend_session(transport))


def _mend_session(transport: str) -> str:
    """A process of the same user may open /proc/PID/fd/N, unless a hardened kernel or a sandbox forbids it."""
    if transport == "stream":
        return "WINBRIDGE_WINE_DEBUG=err+all winbridge doctor    # Wine then says more"
    if not os.access(f"/proc/{os.getpid()}/fd", os.R_OK | os.X_OK):
        return "mount -t proc proc /proc    # shared memory is opened through it"
    return "export WINBRIDGE_TRANSPORT=stream    # works without shared memory, slower"


def is_checkout() -> bool:
    """Whether the agents are built here, rather than installed."""
    return (CHECKOUT / "setup.py").is_file() and (CHECKOUT / "native" / "agent").is_dir()


def check_compiler(arch: str) -> Finding:
    program, package = COMPILERS[arch]
    found = shutil.which(program)
    mend = "" if found else f"sudo apt-get install --no-install-recommends {package}"
    return Finding(f"compiler for {arch}", found is not None, found or f"{program} is not on PATH", mend)
