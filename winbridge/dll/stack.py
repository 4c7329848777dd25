"""What a 32-bit callee took off the stack, against what it was given."""

from __future__ import annotations

LOADED_AS_CDECL = "load_dll(..., convention='cdecl')"
"""What to do about a cdecl function that was taken for a stdcall one."""


def imbalance(name: str, popped: int, given: int, remedy: str = LOADED_AS_CDECL) -> ValueError:
    """What to raise when the two differ.

    The texts are those that ctypes documents.

    Args:
        name: of the function.
        popped: bytes that the callee took.
        given: bytes that it should have taken: those of its arguments, none for cdecl.
        remedy: what to do where it took none.
    """
    difference = popped - given
    if difference > 0:
        return ValueError(f"Procedure probably called with not enough arguments ({difference} bytes missing): {name}")
    hint = "" if popped else f"; a cdecl function? then {remedy}"
    return ValueError(
        f"Procedure probably called with too many arguments ({-difference} bytes in excess): {name}{hint}"
    )
