"""The namespaces whose functions run in the implicit sessions: one for each architecture."""

from __future__ import annotations

import functools

from winbridge.core.local import Win32Session, Win64Session
from winbridge.core.session import SessionEngine
from winbridge.ctypes.api import Api
from winbridge.ctypes.family import Family
from winbridge.ctypes.loading import loader
from winbridge.ctypes.pickling import reduced as _pickles  # noqa: F401 - teaches pickle the types

KINDS: dict[str, type[SessionEngine]] = {"win64": Win64Session, "win32": Win32Session}


@functools.lru_cache
def implicit(arch: str) -> Api:
    """ctypes for the implicit session of an architecture, the same each time.

    Args:
        arch: ``win64`` or ``win32``.
    """
    kind = KINDS[arch]
    return Api(Family(arch, kind.current), loader(kind.current, kind))
