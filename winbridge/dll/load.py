"""load_dll, call and function: the ways in."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from winbridge.core.config import Config
from winbridge.core.errors import ConfigError, DllError, DllNotFoundError
from winbridge.core.local import Win32Session, Win64Session
from winbridge.core.session import SessionEngine
from winbridge.core.singleton import registry
from winbridge.dll.function import DllFunction
from winbridge.dll.library import Dll
from winbridge.dll.location import Location, locate
from winbridge.dll.prototype import CONVENTIONS
from winbridge.dll.signature import Signature

LOCAL: dict[str, type[SessionEngine]] = {"win64": Win64Session, "win32": Win32Session}


def load_dll(
    name: str | os.PathLike[str],
    *,
    arch: str | None = None,
    convention: str = "stdcall",
    use_last_error: bool = False,
    use_errno: bool = False,
    session: SessionEngine | None = None,
) -> Dll:
    """Load a DLL on the Windows side, opening the implicit session when none is open.

    The architecture is that of the file's PE header, else ``arch``, else that of the session at
    hand, else 64 bit. Where several sessions are at hand, those that this thread made itself come
    first, and among equals a ``Win64Session`` before a ``Win32Session`` before any other.

    Args:
        name: a system DLL (``"kernel32"``), a Unix path, or a Windows path.
        arch: ``win64`` or ``win32``.
        convention: ``stdcall`` or ``cdecl``, which differ on 32 bit only.
        use_last_error: keep the Windows last error of each call for ``get_last_error()``.
        use_errno: the same for the C library's errno and ``get_errno()``.
        session: tie the DLL to this session.

    Returns:
        the ``Dll``. Unless tied, it works from every thread and survives ``new_session()``.

    Raises:
        DllNotFoundError: it cannot be loaded; the message says which file is missing or unsuitable.
        ConfigError: ``arch`` or ``convention`` is none of those, or ``arch`` is not that of ``session``.
        DllError: ``session`` hosts no DLLs.
        AgentStartError: the implicit session cannot be opened.
    """
    if convention not in CONVENTIONS:
        raise ConfigError(f"convention={convention!r}: expected one of {', '.join(CONVENTIONS)}")
    if arch not in (None, *LOCAL):
        raise ConfigError(f"arch={arch!r}: expected one of {', '.join(LOCAL)}")
    if session is not None and not session.hosts_dlls:
        raise DllError(f"{session.name} hosts no DLLs: leave session out, or give one of another type")
    if session is not None and arch not in (None, session.arch):
        raise ConfigError(f"arch={arch!r} does not fit session={session.name}, which is {session.arch}: leave arch out")
    location = _location(name, arch, session)
    kind = session if session is not None else _kind(location, arch)
    dll = Dll(location, kind, convention, use_last_error, use_errno)
    dll.handle()
    return dll


def _location(name: str | os.PathLike[str], arch: str | None, session: SessionEngine | None) -> Location:
    """A far session's files are on its own machine: only names are sent there."""
    at_hand = session if session is not None else _at_hand()
    if at_hand is not None and not at_hand.local:
        return Location(os.fspath(name))
    prefix = at_hand.config.prefix if at_hand is not None else Config().prefix
    return locate(name, prefix, arch or (at_hand.arch if at_hand is not None else None))


def _kind(location: Location, arch: str | None) -> type[SessionEngine]:
    if location.arch is not None:
        return _by_header(location, arch)
    if arch is not None:
        return LOCAL[arch]
    at_hand = _at_hand()
    return type(at_hand) if at_hand is not None else LOCAL[Config().arch or "win64"]


def _by_header(location: Location, arch: str | None) -> type[SessionEngine]:
    if location.arch not in LOCAL:
        raise DllError(f"{location.given} is a DLL for {location.arch}; Wine runs win64 and win32 here")
    if arch not in (None, location.arch):
        raise DllNotFoundError(f"{location.given} is a {location.arch} DLL, not {arch}: leave arch out", 193)
    return LOCAL[location.arch]


def _at_hand() -> Any:
    """The session that a name without an architecture goes to: this thread's own before the process-wide ones."""
    for table in (registry.slots(), registry.process):
        found = [session for session in table.values() if session.hosts_dlls and not session.closed]
        if found:
            return min(found, key=_rank)
    return None


def _rank(session: SessionEngine) -> int:
    return 0 if isinstance(session, Win64Session) else 1 if isinstance(session, Win32Session) else 2


def call(dll: str | os.PathLike[str], name: str | int, *arguments: Any, **options: Any) -> Any:
    """Call one function once.

    Args:
        dll: as for ``load_dll``.
        name: the function's name or ordinal.
        *arguments: its arguments.
        **options: ``argtypes``, ``restype``, ``errcheck`` of the function, and those of ``load_dll``.

    Returns:
        its result, an int unless ``restype`` says otherwise.
    """
    prototype = {key: options.pop(key) for key in ("argtypes", "restype", "errcheck") if key in options}
    found = load_dll(dll, **options)[name]
    for key, value in prototype.items():
        setattr(found, key, value)
    return found(*arguments)


def function(dll: str | os.PathLike[str] | Dll, **options: Any) -> Callable[[Callable[..., Any]], DllFunction]:
    """Declare a DLL function by an annotated Python signature; the body is not used.

    Parameter names work as keywords and defaults are filled in::

        @winbridge.function("user32")
        def GetSystemMetrics(index: c_int) -> c_int:
            "Width, height and other sizes of the desktop."

    Args:
        dll: as for ``load_dll``, or a ``Dll``.
        **options: those of ``load_dll``; ``name`` where the export is called otherwise, ``errcheck``.
    """
    exported = options.pop("name", None)
    errcheck = options.pop("errcheck", None)

    def declare(declared: Callable[..., Any]) -> DllFunction:
        library = dll if isinstance(dll, Dll) else load_dll(dll, **options)
        found = library[exported or declared.__name__]
        found.signature = Signature(declared)
        found.argtypes = found.signature.argtypes
        found.restype = found.signature.restype
        found.errcheck = errcheck
        found.__doc__ = declared.__doc__
        return found

    return declare
