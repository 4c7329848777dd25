"""What a 32-bit callee took off the stack, against what it was given."""

from __future__ import annotations


def imbalance(name: str, popped: int, given: int) -> ValueError:
    """What to raise when the two differ.

    The texts are those that ctypes documents.

    Args:
        name: of the function.
        popped: bytes that the callee took.
        given: bytes that it should have taken: those of its arguments, none for cdecl.
    """
    difference = popped - given
    if difference > 0:
        return ValueError(f"Procedure probably called with not enough arguments ({difference} bytes missing): {name}")
    hint = "" if popped else "; a cdecl function? then use cdll, CDLL, or load_dll(..., convention='cdecl')"
    return ValueError(
        f"Procedure probably called with too many arguments ({-difference} bytes in excess): {name}{hint}"
    )
