"""Calls of the agent's own functions, over any session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from winbridge.core import wire
from winbridge.core.wire import Op

if TYPE_CHECKING:
    from winbridge.core.session import SessionEngine


class Answer(NamedTuple):
    """What a function of the agent returned (0 when it failed, then last_error tells), and the room that it filled."""

    value: int
    last_error: int
    room: bytes


def ask(session: SessionEngine, op: Op, build: Callable[[int], list[int]], data: bytes = b"", room: int = 0) -> Answer:
    """Call a function of the agent.

    Args:
        session: whose agent.
        op: which function.
        build: gives the arguments (taken modulo the width of a word), from the address where ``data``
            and then the room lie.
        data: bytes that go with the request.
        room: bytes behind ``data`` that come back.
    """
    size = max(len(data), room)
    arena = session.reserve(size)
    start = arena.top
    arena.view[start : start + len(data)] = data
    mask = (1 << 8 * session.pointer_size) - 1
    words = wire.words(session.pointer_size, *(value & mask for value in build(arena.base + start)))
    request = wire.request(op, words, arena=(start, len(data), room))
    arena.top = start + size  # a callback in between (a DLL's own initialisation may call one) lays its memory behind
    try:
        record = session.exchange(request, op.name)
    finally:
        arena.top = start
    return Answer(record[2] & ((1 << 64) - 1), record[1], bytes(arena.view[start : start + room]))
