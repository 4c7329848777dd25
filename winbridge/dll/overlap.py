"""Unions: members share memory, and nothing tells which of them is meant.

They are converted where one conversion serves every member, in both directions; otherwise the
union is refused, because a guess would change data silently.
"""

from __future__ import annotations

import itertools
from typing import Any

from winbridge.dll.moves import Copy, Move, Numbers, Pointers, Refusal, Text


def overlaid(members: list[list[Move]], kind: Any, size: int, host_size: int) -> list[Move]:
    """The moves of a union, from those of its members.

    Args:
        members: the moves of each member.
        kind: the union, for the message.
        size, host_size: its bytes on Windows and here.
    """
    for first, second in itertools.combinations(members, 2):
        if not all(_agree(one, other) for one in first for other in second):
            reason = (
                f"union {kind.__name__}: its members lie differently on Windows and on Linux, so which one is meant"
                " cannot be known; pass the member itself, or declare it with types of winbridge.ctypes"
            )
            return [Refusal(0, 0, size, reason)]
    return sorted({_nameless(move): move for member in members for move in member}.values(), key=_copies_first)


def _copies_first(move: Move) -> bool:
    """Copies go first: numbers then write the bytes that widen them."""
    return not isinstance(move, Copy)


def _nameless(move: Move) -> Move:
    return move._replace(name="") if isinstance(move, (Numbers, Pointers)) else move


def _agree(one: Move, other: Move) -> bool:
    if _nameless(one) == _nameless(other) or not _meet(one, other):
        return True
    if isinstance(one, Copy) and isinstance(other, Copy):
        return one.host - one.windows == other.host - other.windows
    if isinstance(other, Copy):
        return _covers_low_bytes(one, other)
    return isinstance(one, Copy) and _covers_low_bytes(other, one)


def _covers_low_bytes(number: Move, copy: Copy) -> bool:
    """A copy and one number agree about the low bytes; the bytes that only widen the number must be its own."""
    if not isinstance(number, Numbers | Pointers | Text) or number.items != 1:
        return False
    if getattr(number, "order", "<") != "<" or copy.host - copy.windows != number.host - number.windows:
        return False
    return _host_bytes(number) == number.bytes or copy.host + copy.bytes <= number.host + number.bytes


def _meet(one: Move, other: Move) -> bool:
    here = one.host < other.host + _host_bytes(other) and other.host < one.host + _host_bytes(one)
    there = one.windows < other.windows + other.bytes and other.windows < one.windows + one.bytes
    return here or there


def _host_bytes(move: Move) -> int:
    if isinstance(move, Numbers):
        return move.items * move.host_width
    if isinstance(move, Pointers):
        return 8 * move.items
    if isinstance(move, Text):
        return 4 * move.items
    return getattr(move, "host_width", 2 * move.bytes if type(move).__name__ == "Reals" else move.bytes)
