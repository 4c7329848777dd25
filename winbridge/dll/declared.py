"""C declarations in the types of winbridge.ctypes for a session's architecture."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from winbridge.core.session import SessionEngine

if TYPE_CHECKING:
    from winbridge.dll.cdef import Declarations


def declared(text: str, session: SessionEngine, convention: str) -> Declarations:
    """What a text declares.

    Args:
        text: C declarations.
        session: tells the architecture.
        convention: of functions that state none: ``stdcall`` or ``cdecl``.

    Raises:
        PrototypeError: a declaration is not understood.
    """
    from winbridge.dll.cdef import parse  # here, because the parser takes long to import

    return parse(text, _types(session.arch), pointer_size=session.pointer_size, convention=convention)


_namespaces: dict[str, Any] = {}


def _types(arch: str) -> Any:
    """The names of ctypes with ``wintypes``; this package does not import the drop-in, which stands above it."""
    if arch not in _namespaces:
        api = importlib.import_module("winbridge.ctypes.implicit").implicit(arch)
        _namespaces[arch] = SimpleNamespace(**api.names(), wintypes=api.wintypes)
    return _namespaces[arch]
