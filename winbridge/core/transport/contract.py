"""What a transport has to do: the whole contract.

A *transport* reaches one agent. It hands out *channels*: each has a Windows thread behind it
and an *arena*, memory that the agent's side sees at ``arena.base``. A caller puts what its
arguments point to into the arena, sends one message and gets one record.

Errors of any carrier come out as those of ``winbridge.core.errors``: ``AgentDiedError``,
``CallTimeoutError``, ``ConnectError``, ``SessionClosedError``, ``WireError``. A channel that
raised is spent: its owner drops it and opens another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from winbridge.core import wire
from winbridge.core.transport.segment import Segment
from winbridge.core.wire import Record, Status


class BusyChannelError(RuntimeError):
    """A signal handler, or a finaliser, made a call in the middle of an exchange of its own thread."""


class Arena:
    """Memory for the arguments of calls, as both sides see it.

    Attributes:
        view: the bytes on this side (writable, format ``B``).
        base: the address of the first byte on the agent's side.
        top: how much is in use; a call allocates from here and puts it back when it is done.
    """

    __slots__ = ("base", "top", "view")

    def __init__(self, view: memoryview, base: int) -> None:
        self.view = view
        self.base = base
        self.top = 0


class Copies:
    """For carriers that copy the arena: which ranges belong to the calls under way, innermost last."""

    def __init__(self) -> None:
        self._waiting: list[Copy] = []

    def begin(self, message: bytes, arena: Arena) -> tuple[bytes, Copy, memoryview]:
        """Prepare a request.

        The answer to a callback takes along what changed here since the callback came, and only that: in the
        rest, the agent's side may have changed something.

        Args:
            message: the request.
            arena: the channel's.

        Returns:
            the message to send, the copy that its answer belongs to, and the bytes that go behind the message.
        """
        if wire.op_of(message) == wire.Op.CALLBACK_RETURN and self._waiting:
            copy = self._waiting.pop()
            start, end = copy.changed()
            return wire.with_arena(message, start, end - start, 0), copy, copy.arena.view[start:end]
        start, size, back = wire.arena_of(message)
        return message, Copy(arena, start, back), arena.view[start : start + size]

    def waits(self, arena: Arena) -> None:
        """Take note of a call that took nothing along and waits for a callback."""
        self._waiting.append(Copy(arena, 0, 0))

    def end(self, copy: Copy, record: Record) -> None:
        """Take note of what came: the call is over, or waits for a callback."""
        if record[0] == Status.CALLBACK:
            copy.known = bytes(copy.view)
            self._waiting.append(copy)


class Copy:
    """The range of an arena that comes back with a call.

    Attributes:
        arena: where it lies.
        view: its bytes on this side.
        known: what they were when the agent's side sent them.
    """

    def __init__(self, arena: Arena, start: int, size: int) -> None:
        self.arena = arena
        self.start = start
        self.view = arena.view[start : start + size]
        self.known = b""

    def changed(self) -> tuple[int, int]:
        """From where to where in the arena the bytes differ from what is known; an empty range if they do not."""
        now, known = bytes(self.view), self.known
        first = _common(now, known)
        last = len(now) - _common(now[:first:-1], known[:first:-1]) if first < len(now) else first
        return self.start + first, self.start + last


def _common(left: bytes, right: bytes) -> int:
    """How many bytes two equally long pieces have in common at their start."""
    low, high = 0, len(left)
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class Channel(Protocol):
    """One conversation with the agent; used by one thread at a time."""

    @property
    def arena(self) -> Arena:
        """Where the memory of its calls goes."""

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        """Send a request (see ``wire.request``) and wait for its record.

        Args:
            message: the request; the arena range that it names goes and comes with it.
            timeout: seconds to wait, None for as long as it takes.

        Returns:
            the fields of ``wire.Response``, in order, as a plain tuple. If the status is CALLBACK, the call
            waits: the area (bytes) is a tenth item, and the answer to a CALLBACK_RETURN is what comes
            next of it. Any other request may be sent before that.

        Raises:
            AgentDiedError, CallTimeoutError, ConnectError, SessionClosedError, WireError.
        """

    def reserve(self, size: int, timeout: float | None = None) -> None:
        """See to it that ``size`` bytes are free from ``arena.top`` on; there may be another arena then.

        The memory of calls that wait for a callback stays where it is.

        Args:
            size: bytes.
            timeout: seconds to wait for the agent, None for as long as it takes.

        Raises:
            MemoryError: the agent's side has no room for an arena of that size.
        """

    def idle(self) -> bool:
        """Whether the agent has answered all that it was sent, as far as one can tell."""

    def abandon(self) -> Callable[[], bool]:
        """Close it in the middle of a call; returns what tells whether the Windows thread is still in that call."""

    def close(self) -> None:
        """Give the channel up, also in the middle of a call; safe to repeat."""


class Transport(Protocol):
    """The way to one agent."""

    name: str
    pointer_size: int
    shares_memory: bool
    """Whether ``share`` works; else the heap is copied to and fro (``winbridge.core.sharing``)."""

    def channel(self, timeout: float | None = None) -> Channel:
        """Open another channel.

        Args:
            timeout: seconds that it may take, None for as long as the start of an agent may.
        """

    def share(self, segment: Segment) -> None:
        """Show the agent a segment, at the address that it has here; only where ``shares_memory``.

        Raises:
            ConnectError: it cannot be mapped there.
        """

    def up(self) -> bool:
        """Whether the agent is there, without asking it."""

    def describe(self) -> str:
        """A few words for ``repr(session)``: which process, where."""

    def close(self, timeout: float) -> None:
        """End the agent, in order if it complies within ``timeout`` seconds; safe to repeat."""

    def disown(self) -> None:
        """Let go in a forked child: free what the child inherited, leave the agent to the parent."""
