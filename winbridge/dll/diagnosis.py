"""Loading, and telling what is wrong when it fails: Windows only gives a number."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from winbridge.core.errors import DllError, DllNotFoundError
from winbridge.core.modules import WindowsError
from winbridge.core.session import SessionEngine
from winbridge.dll import pe
from winbridge.dll.location import Location, windows_file

if TYPE_CHECKING:
    from winbridge.dll.library import Dll

MOD_NOT_FOUND = 126
PROC_NOT_FOUND = 127
BAD_EXE_FORMAT = 193
DLL_INIT_FAILED = 1114
"""System error codes (Microsoft Learn)."""

DEPTH = 8
"""How far a chain of missing dependencies is followed."""


def load(session: SessionEngine, location: Location) -> int:
    """Load a DLL in a session.

    Raises:
        DllNotFoundError: with the reason found.
    """
    if location.arch not in (None, session.arch):
        raise DllNotFoundError(_wrong_bitness(location, session), BAD_EXE_FORMAT)
    try:
        return session.modules.load(*location.windows(session.config.prefix))
    except WindowsError as error:
        raise DllNotFoundError(_reason(session, location, error.code), error.code) from error


def _wrong_bitness(location: Location, session: SessionEngine) -> str:
    other = "Win32Session" if location.arch == "win32" else "Win64Session"
    return (
        f"{location.given} is a {location.arch} DLL and cannot be loaded into {session.name}, which is {session.arch}:"
        f" leave arch and session out, or use a {other}"
    )


def _reason(session: SessionEngine, location: Location, code: int) -> str:
    given = location.given
    if code == MOD_NOT_FOUND:
        return _missing(session, location)
    if code == BAD_EXE_FORMAT:
        return f"{given} is not a {session.arch} DLL: of another bitness, damaged, or no PE file [WinError {code}]"
    if code == DLL_INIT_FAILED:
        return f"{given} was found, but its own initialisation (DllMain) failed [WinError {code}]"
    if code == PROC_NOT_FOUND:
        return f"{given}, or a DLL it needs, lacks a function that the other imports [WinError {code}]"
    return f"{given} could not be loaded [WinError {code}]"


def _missing(session: SessionEngine, location: Location) -> str:
    if location.file is None:
        return (
            f"the Windows side has no DLL {location.given!r} (searched by Windows' rules; {session.arch})."
            " For a file of your own give its path, for example './vendor.dll'"
        )
    chain = _missing_dependency(session, location.file, DEPTH)
    if not chain:
        return f"{location.given} or a DLL that it needs could not be found [WinError {MOD_NOT_FOUND}]"
    needed = " needs ".join([location.given, *chain])
    found = _beside(location.file, chain[-1])
    if found is not None and pe.architecture(found) != session.arch:
        return f"{needed}, and {found} is a {pe.architecture(found)} DLL: put the {session.arch} one there"
    return f"{needed}, which was not found: put {chain[-1]} beside {location.file}, or into the prefix's system folder"


def _missing_dependency(session: SessionEngine, file: Path, depth: int) -> list[str]:
    """The chain of names that ends at a DLL which is missing; empty if none is found to be."""
    for name in pe.inspect(file).imports:
        beside = _beside(file, name)
        if not _loads(session, beside, name):
            deeper = _missing_dependency(session, beside, depth - 1) if beside and depth else []
            return [name, *deeper]
    return []


def _beside(file: Path, name: str) -> Path | None:
    """A DLL in the same folder; Windows does not care about case."""
    return next((entry for entry in file.parent.iterdir() if entry.name.lower() == name.lower()), None)


def _loads(session: SessionEngine, file: Path | None, name: str) -> bool:
    location = Location(str(file) if file else name, file)
    try:
        session.modules.free(session.modules.load(*location.windows(session.config.prefix)))
    except WindowsError:
        return False
    return True


def export_names(session: SessionEngine, dll: Dll) -> list[str]:
    """The names in the export table of a loaded DLL."""
    return sorted(export.name for export in pe.inspect(_file(session, dll)).exports if export.name)


def _file(session: SessionEngine, dll: Dll) -> Path:
    """The file of a loaded module.

    Raises:
        DllError: it is not on this machine.
    """
    if dll.location.file is not None:
        return dll.location.file
    path = session.modules.path(dll.handle(session))
    file = windows_file(path, session.config.prefix, session.arch)
    if file is None:
        raise DllError(f"the file of {dll.name} is not on this machine: {path}")
    return file


def missing_function(session: SessionEngine, dll: Dll, name: str | int) -> str:
    """What to say of a function that is not there."""
    if isinstance(name, int):
        return f"{dll.name} exports no ordinal {name}"
    try:
        near = _near(name, export_names(session, dll))
    except (DllError, OSError, ValueError):  # a far machine's file cannot be read; the function is missing all the same
        near = []
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    return f"function {name!r} not found in {dll.name}{hint}"


def _near(name: str, names: list[str]) -> list[str]:
    """The A and W forms first, then what is spelt alike."""
    from difflib import get_close_matches

    forms = [form for form in (name + "W", name + "A") if form in names]
    return forms or get_close_matches(name, names, n=3)
