"""Exchange bodies: what a client may send, checked before anything is touched."""

from __future__ import annotations

from typing import NamedTuple

from winbridge.core import wire
from winbridge.core.transport.contract import Arena
from winbridge.core.transport.problem import Kind
from winbridge.core.wire import Op, Record, Status
from winbridge.gateway.problems import Problem

OVERHEAD = wire.FRAME.size + wire.REQUEST.size + wire.MAX_ARGUMENT_BYTES
"""Bytes of a body beside its arena range, at most."""

# The others open, move and close what the gateway itself keeps count of.
ALLOWED = frozenset(
    {Op.CALL, Op.LOAD, Op.FREE, Op.RESOLVE, Op.MODULE_PATH, Op.READ, Op.WRITE, Op.STRING, Op.ALLOC, Op.RELEASE}
)


class Exchange(NamedTuple):
    """A request with the arena range that goes with it."""

    message: bytes
    start: int
    memory: memoryview
    back: int

    def place(self, arena: Arena) -> None:
        """Check the range against the arena and copy it there.

        Raises:
            Problem: it does not lie inside.
        """
        if self.start + max(len(self.memory), self.back) > len(arena.view):
            raise _bad(
                f"the arena range of {len(self.memory)} bytes out and {self.back} back at {self.start}"
                f" does not lie inside the channel's arena of {len(arena.view)} bytes"
            )
        arena.view[self.start : self.start + len(self.memory)] = self.memory

    def answer(self, channel: int, arena: Arena, record: Record) -> bytes:
        """The body of the answer."""
        back = 0 if record[0] == Status.MALFORMED else self.back
        memory = arena.view[self.start : self.start + back]
        return b"".join((wire.frame(channel, b"\0" * wire.RESPONSE.size, back), wire.RESPONSE.pack(*record), memory))


def parse(body: bytes, channel: int) -> Exchange:
    """Take a body apart.

    Raises:
        Problem: it breaks a rule; nothing has been touched.
    """
    if len(body) < wire.FRAME.size + wire.REQUEST.size:
        raise _bad(f"{len(body)} bytes are no frame with a request")
    magic, number, size, _, arena_size = wire.FRAME.unpack_from(body)
    if magic != wire.FRAME_MAGIC:
        raise _bad(f"the body begins with {bytes(body[:4])!r}, which is not a frame")
    if number != channel:
        raise _bad(f"the frame is for channel {number}, the path for channel {channel}")
    op, _, words, *_, start, out, back = wire.REQUEST.unpack_from(body, wire.FRAME.size)
    if op not in ALLOWED:
        raise Problem(400, Kind.FORBIDDEN_OP, f"op {op} is not allowed from outside: calls and memory are")
    if words > wire.MAX_ARGUMENT_BYTES or size != wire.REQUEST.size + words:
        raise _bad(f"a message of {size} bytes with {words} bytes of arguments; at most {wire.MAX_ARGUMENT_BYTES}")
    end = wire.FRAME.size + size
    if out != arena_size or len(body) != end + out:
        raise _bad(f"{len(body)} bytes of body, but {end} of frame and message and {out} or {arena_size} of arena")
    return Exchange(body[wire.FRAME.size : end], start, memoryview(body)[end:], back)


def _bad(detail: str) -> Problem:
    return Problem(400, Kind.BAD_REQUEST, detail)
