"""sync: make an object equal to its Windows side now."""

from __future__ import annotations

from typing import Any

from winbridge.dll.living import everywhere


def sync(thing: Any, back: bool = True) -> None:
    """Bring over what Python changed in an object, and back what DLLs did, without a call.

    Objects within the budget (``winbridge.dll.living``) do not need this. Those that the object points to
    are made equal too.

    Args:
        thing: a ctypes object, bytearray, numpy array or other buffer that a DLL was given.
        back: counts above 1 MiB (``winbridge.dll.mirror.COMPARED``), where nothing tells which side has
            changed: whether to take over what DLLs wrote, or else what Python wrote.

    Raises:
        TypeError: it is none of those.
        OverflowError, ValueError, PrototypeError: it cannot be on the Windows side.
    """
    family = getattr(thing, "_family_", None)
    if family is not None:
        family.twins.sync(thing, back)
        return
    for lives in everywhere():
        lives.sync(thing, back)
