"""What a transport has to do: the whole contract.

A *transport* reaches one agent. It hands out *channels*: each has a Windows thread behind it
and an *arena*, memory that the agent's side sees at ``arena.base``. A caller puts what its
arguments point to into the arena, sends one message and gets one record.

Errors of any carrier come out as those of ``winbridge.core.errors``: ``AgentDiedError``,
``CallTimeoutError``, ``ConnectError``, ``SessionClosedError``, ``WireError``. A channel that
raised is spent: its owner drops it and opens another.
"""

from __future__ import annotations

from typing import Protocol

from winbridge.core.wire import Record


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


class Channel(Protocol):
    """One conversation with the agent; used by one thread at a time."""

    arena: Arena

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        """Send a request (see ``wire.request``) and wait for its record.

        Args:
            message: the request; the arena range that it names goes and comes with it.
            timeout: seconds to wait, None for as long as it takes.

        Returns:
            the fields of ``wire.Response``, in order, as a plain tuple.

        Raises:
            AgentDiedError, CallTimeoutError, ConnectError, SessionClosedError, WireError.
        """

    def reserve(self, size: int) -> None:
        """See to it that ``size`` bytes are free from ``arena.top`` on; the arena may move.

        Raises:
            MemoryError: the agent's side has no room for an arena of that size.
        """

    def close(self) -> None:
        """Give the channel up, also in the middle of a call; safe to repeat."""


class Transport(Protocol):
    """The way to one agent."""

    name: str
    pointer_size: int

    def channel(self) -> Channel:
        """Open another channel."""

    def up(self) -> bool:
        """Whether the agent is there, without asking it."""

    def describe(self) -> str:
        """A few words for ``repr(session)``: which process, where."""

    def close(self, timeout: float) -> None:
        """End the agent, in order if it complies within ``timeout`` seconds; safe to repeat."""

    def disown(self) -> None:
        """Let go in a forked child: free what the child inherited, leave the agent to the parent."""
