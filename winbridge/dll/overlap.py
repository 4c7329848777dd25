"""Unions: members share memory, and nothing tells which of them is meant.

They are converted where one conversion serves every member, in both directions; otherwise the
union is refused, because a guess would change data silently.
"""

from __future__ import annotations

import itertools
from typing import Any

from winbridge.dll.moves import HOST_POINTER, Copy, Numbers, Pointers, Refusal, Run, Text


def overlaid(members: list[list[Run]], kind: Any, size: int, host_size: int) -> list[Run]:
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
    runs = sorted({_nameless(move): move for member in members for move in member}.values(), key=_copies_first)
    return [_shared(run, runs) if isinstance(run, Pointers) else run for run in runs]


def _shared(pointers: Pointers, runs: list[Run]) -> Pointers:
    end = pointers.windows + pointers.bytes
    wider = any(isinstance(run, Copy) and _meet(run, pointers) and run.windows + run.bytes > end for run in runs)
    return pointers._replace(shared=pointers.shared or (wider and pointers.width < HOST_POINTER))


def _copies_first(move: Run) -> bool:
    """Copies go first: numbers then write the bytes that widen them."""
    return not isinstance(move, Copy)


def _nameless(move: Run) -> Run:
    return move._replace(name="") if isinstance(move, Numbers) else move


def _agree(one: Run, other: Run) -> bool:
    if isinstance(one, Pointers) and isinstance(other, Pointers):
        apart = one.host - other.host, one.windows - other.windows
        return apart[0] * one.width == apart[1] * HOST_POINTER
    if _nameless(one) == _nameless(other) or not _meet(one, other):
        return True
    if isinstance(one, Copy) and isinstance(other, Copy):
        return one.host - one.windows == other.host - other.windows
    if isinstance(other, Copy):
        return _covers_low_bytes(one, other)
    return isinstance(one, Copy) and _covers_low_bytes(other, one)


def _covers_low_bytes(number: Run, copy: Copy) -> bool:
    """A copy and one number agree about the low bytes; the bytes that only widen the number must be its own."""
    if not isinstance(number, Numbers | Pointers | Text):
        return False
    if isinstance(number, Pointers) and number.items == 1:
        return copy.host - copy.windows == number.host - number.windows
    if number.items != 1 and _host_bytes(number) != number.bytes:
        return False
    if getattr(number, "order", "<") != "<" or copy.host - copy.windows != number.host - number.windows:
        return False
    return _host_bytes(number) == number.bytes or copy.host + copy.bytes <= number.host + number.bytes


def _meet(one: Run, other: Run) -> bool:
    here = one.host < other.host + _host_bytes(other) and other.host < one.host + _host_bytes(one)
    there = one.windows < other.windows + other.bytes and other.windows < one.windows + one.bytes
    return here or there


def _host_bytes(move: Run) -> int:
    if isinstance(move, Numbers):
        return move.items * move.host_width
    if isinstance(move, Pointers):
        return HOST_POINTER * move.items
    if isinstance(move, Text):
        return 4 * move.items
    return getattr(move, "host_width", 2 * move.bytes if type(move).__name__ == "Reals" else move.bytes)
