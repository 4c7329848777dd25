"""Finding and loading libraries for ctypes' classes, in the way of ``winbridge.load_dll``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from winbridge.core.errors import DllNotFoundError
from winbridge.core.session import SessionEngine
from winbridge.dll.library import Dll
from winbridge.dll.location import Location, locate

BAD_EXE_FORMAT = 193


def loader(find: Callable[[], SessionEngine], kind: type[SessionEngine] | SessionEngine) -> Callable[..., Dll]:
    """What loads libraries in the sessions that ``find`` gives.

    Args:
        find: gives the session for a use in this thread.
        kind: the type of those sessions, or the one session.
    """

    def load(name: Any, winmode: int | None) -> Dll:
        text = os.fspath(name)
        if "\0" in text:
            raise ValueError("embedded null character")
        session = find()
        location = locate(text, session.config.prefix, session.arch) if session.local else Location(text)
        if location.arch not in (None, session.arch):
            raise DllNotFoundError(_other_bitness(location, session), BAD_EXE_FORMAT)
        dll = Dll(location if winmode is None else location._replace(winmode=winmode), kind)
        dll.handle(session)
        return dll

    return load


def _other_bitness(location: Location, session: SessionEngine) -> str:
    return (
        f"[WinError {BAD_EXE_FORMAT}] {location.given} is a {location.arch} DLL, and this is ctypes for {session.arch}:"
        f" use winbridge.CtypesSession(arch={location.arch!r}), or set WINBRIDGE_ARCH={location.arch} for the program"
    )
