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

MOST_FRAMES = 1 << 14
"""Calls of one batch."""

# The others open, move and close what the gateway itself keeps count of.
ALLOWED = frozenset(
    {
        Op.CALL, Op.LOAD, Op.FREE, Op.RESOLVE, Op.MODULE_PATH, Op.READ, Op.WRITE, Op.STRING, Op.ALLOC, Op.RELEASE,
        Op.HEAP, Op.THUNK_NEW, Op.THUNK_FREE, Op.CALLBACK_RETURN, Op.SERVE, Op.CALL_MANY, Op.PATCH,
    }
)  # fmt: skip


class Range(NamedTuple):
    """The range of an arena that goes back with a call."""

    arena: Arena
    start: int
    size: int

    def answer(self, channel: int, record: Record) -> bytes:
        """The body of the answer: a record, a callback's area, the range."""
        size = 0 if record[0] == Status.MALFORMED else self.size
        message = wire.RESPONSE.pack(*record[:9]) + b"".join(record[9:])
        memory = self.arena.view[self.start : self.start + size] if size else b""
        return b"".join((wire.frame(channel, message, size), message, memory))


class Exchange(NamedTuple):
    """A request with the arena range that goes with it."""

    message: bytes
    op: int
    start: int
    memory: memoryview
    back: int

    @property
    def end(self) -> int:
        """Where the memory of the call ends in the arena."""
        return self.start + max(len(self.memory), self.back)

    @property
    def uses_arena(self) -> bool:
        """Whether memory goes with it, or comes back."""
        return bool(self.back or self.memory)

    @property
    def first_word(self) -> int:
        """The first argument, as a module handle is one; 0 where there is none."""
        return int.from_bytes(self.message[wire.REQUEST.size : wire.REQUEST.size + 8], "little")

    def place(self, arena: Arena) -> Range:
        """Check the range against the arena and copy it there.

        Raises:
            Problem: it does not lie inside.
        """
        if not self.memory and not self.back:  # nothing kept the arena, which may have been replaced
            return Range(arena, 0, 0)
        if self.end > len(arena.view):
            raise _bad(
                f"the arena range of {len(self.memory)} bytes out and {self.back} back at {self.start}"
                f" does not lie inside the channel's arena of {len(arena.view)} bytes"
            )
        arena.view[self.start : self.start + len(self.memory)] = self.memory
        return Range(arena, self.start, self.back)


def operation(body: bytes) -> int | None:
    """The Op of a body's request, None where there is none."""
    request = body[wire.FRAME.size : wire.FRAME.size + wire.REQUEST.size]
    return wire.op_of(request) if len(request) == wire.REQUEST.size else None


def status_of(answer: bytes) -> int:
    """The Status in the body of an answer."""
    return wire.op_of(answer[wire.FRAME.size : wire.FRAME.size + 4])


def split(body: bytes) -> list[bytes]:
    """The frames of a batch, each for ``parse``.

    Raises:
        Problem: they do not fill the body, or are too many.
    """
    frames, start = [], 0
    while start < len(body):
        if len(body) - start < wire.FRAME.size:
            raise _bad(f"{len(body) - start} bytes behind the last frame")
        _, _, size, _, arena_size = wire.FRAME.unpack_from(body, start)
        end = start + wire.FRAME.size + size + arena_size
        frames.append(body[start:end])
        start = end
    if not 0 < len(frames) <= MOST_FRAMES:
        raise _bad(f"{len(frames)} frames; a batch has 1 to {MOST_FRAMES}")
    return frames


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
        raise Problem(Kind.FORBIDDEN_OP, f"op {op} is not allowed from outside: calls and memory are")
    if words > wire.MAX_ARGUMENT_BYTES or size != wire.REQUEST.size + words:
        raise _bad(f"a message of {size} bytes with {words} bytes of arguments; at most {wire.MAX_ARGUMENT_BYTES}")
    end = wire.FRAME.size + size
    if out != arena_size or len(body) != end + out:
        raise _bad(f"{len(body)} bytes of body, but {end} of frame and message and {out} or {arena_size} of arena")
    return Exchange(body[wire.FRAME.size : end], op, start, memoryview(body)[end:], back)


def _bad(detail: str) -> Problem:
    return Problem(Kind.BAD_REQUEST, detail)
