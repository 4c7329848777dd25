"""A client's channel at the gateway: one request at a time, closed by whoever holds it last."""

from __future__ import annotations

import threading

from winbridge.core.errors import WinbridgeError
from winbridge.core.transport.contract import Channel
from winbridge.core.transport.problem import Kind
from winbridge.core.wire import Op, Status
from winbridge.gateway.frames import Exchange, Range, operation, parse
from winbridge.gateway.problems import Problem


class HostedChannel:
    """A channel of a session's agent.

    Its memory must not go away under a call, so one that is given up in the middle of a call
    is closed by that call's thread, when the call ends or the agent does.

    Args:
        number: its name in paths.
        channel: the local one.
    """

    def __init__(self, number: int, channel: Channel) -> None:
        self.number = number
        self._channel = channel
        self._turn = threading.Lock()
        self._spent = False
        self._serving = False
        self._waiting: list[tuple[Range, int]] = []

    def acquire(self) -> None:
        """Take the turn.

        Raises:
            Problem: another request has it.
        """
        if not self._turn.acquire(blocking=False):
            raise Problem(409, Kind.CHANNEL_BUSY, f"channel {self.number} is in a call: use one channel a thread")

    def release(self) -> None:
        """Give the turn back."""
        self._turn.release()
        if self._spent:
            self.close()

    def waits(self, body: bytes) -> bool:
        """Whether a request is answered when a thread of a DLL calls back, so perhaps never."""
        op = operation(body)
        return op == Op.SERVE or (self._serving and op == Op.CALLBACK_RETURN and len(self._waiting) == 1)

    def exchange(self, body: bytes, timeout: float | None) -> bytes:
        """Check one request and let the agent answer it; the caller has the turn.

        Raises:
            Problem: the body breaks a rule; the channel can go on.
            WinbridgeError: as of ``Channel.exchange``; the channel is spent.
        """
        request = parse(body, self.number)
        back, top = self._place(request)
        self._serving |= request.op == Op.SERVE
        try:
            record = self._channel.exchange(request.message, timeout)
        except BaseException:
            self._spent = True
            raise
        if record[0] == Status.CALLBACK:
            self._waiting.append((back, top))
        else:
            back.arena.top = top
        return back.answer(self.number, record)

    def _place(self, request: Exchange) -> tuple[Range, int]:
        """Copy the request's memory to where it belongs: a callback's answer to the call that waits for it.

        Returns:
            what goes back with that call, and how much of its arena was in use before it.
        """
        if request.op == Op.CALLBACK_RETURN and self._waiting:
            request.place(self._waiting[-1][0].arena)
            return self._waiting.pop()
        arena = self._channel.arena
        back, top = request.place(arena), arena.top
        arena.top = max(top, request.end)  # until the call is over, so that it keeps its memory when the arena grows
        return back, top

    def reserve(self, size: int) -> dict[str, int]:
        """See to an arena of so many bytes; the caller has the turn.

        Raises:
            MemoryError: the agent has no room; the channel can go on.
            WinbridgeError: the channel is spent.
        """
        try:
            self._channel.reserve(size)
        except WinbridgeError:
            self._spent = True
            raise
        return self.describe()

    def describe(self) -> dict[str, int]:
        """What a client has to know of it."""
        arena = self._channel.arena
        return {"channel": self.number, "arena": arena.base, "arena_size": len(arena.view)}

    @property
    def spent(self) -> bool:
        """Whether it was given up, or failed in the middle of a call."""
        return self._spent

    def close(self) -> None:
        """Give it up: at once, or at the end of the call that it is in."""
        self._spent = True
        if self._turn.acquire(blocking=False):  # kept: nobody gets another turn
            self._channel.close()
