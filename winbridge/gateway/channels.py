"""A client's channel at the gateway: one request at a time, closed by whoever holds it last."""

from __future__ import annotations

import threading

from winbridge.core.errors import WinbridgeError
from winbridge.core.transport.contract import Channel
from winbridge.core.transport.gatewayjson import ChannelOpened
from winbridge.core.transport.problem import Kind
from winbridge.core.wire import RESPONSE, Op, Record, Status, frame
from winbridge.gateway.frames import Exchange, Range, operation, parse, split, status_of
from winbridge.gateway.problems import Problem


class HostedChannel:
    """A channel of a session's agent.

    Its memory must not go away under a call, so one that is given up in the middle of a call
    is closed by that call's thread, when the call ends or the agent does.

    Args:
        number: its name in paths.
        channel: the local one.
        dlls: handles and names of the session's DLLs, kept up to date here.
    """

    def __init__(self, number: int, channel: Channel, dlls: dict[int, str]) -> None:
        self.number = number
        self._channel = channel
        self._dlls = dlls
        self._turn = threading.Lock()
        self._answer_head = frame(number, bytes(RESPONSE.size), 0)
        self._spent = False
        self._serving = False
        self._waiting: list[tuple[Range, int]] = []

    def acquire(self) -> None:
        """Take the turn.

        Raises:
            Problem: another request has it.
        """
        if not self._turn.acquire(blocking=False):
            raise Problem(Kind.CHANNEL_BUSY, f"channel {self.number} is in a call: use one channel a thread")

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
        return self._exchange(parse(body, self.number), timeout)

    def exchange_many(self, body: bytes, timeout: float | None) -> tuple[list[bytes], int]:
        """The same for the calls of a batch, up to the first whose record is not OK; all are checked first.

        Args:
            body: their frames.
            timeout: seconds for each.

        Returns:
            the frames of their records, and the status of the last.

        Raises:
            Problem, WinbridgeError: see ``exchange``.
        """
        requests = [parse(frame, self.number) for frame in split(body)]
        other = next((request.op for request in requests if request.op != Op.CALL), None)
        if other is not None:
            raise Problem(Kind.FORBIDDEN_OP, f"op {other} is not allowed in a batch: calls are")
        answers, status = [], 0
        for request in requests:
            answers.append(self._exchange(request, timeout) if request.uses_arena else self._call(request, timeout))
            status = status_of(answers[-1])
            if status or self._spent:  # spent: its client has gone
                break
        return answers, status

    def _call(self, request: Exchange, timeout: float | None) -> bytes:
        """As ``_exchange``, for a call without memory: most of a batch are such."""
        try:
            record = self._channel.exchange(request.message, timeout)
        except BaseException:
            self._spent = True
            raise
        if record[0] == Status.CALLBACK:
            nothing = Range(self._channel.arena, 0, 0)
            self._waiting.append((nothing, nothing.arena.top))
            return nothing.answer(self.number, record)
        return self._answer_head + RESPONSE.pack(*record)

    def _exchange(self, request: Exchange, timeout: float | None) -> bytes:
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
        if request.op in (Op.LOAD, Op.FREE):
            self._note_dll(request, record)
        return back.answer(self.number, record)

    def _note_dll(self, request: Exchange, record: Record) -> None:
        """Remember what is loaded, for people."""
        if record[0] != Status.OK or not record[2]:
            return
        if request.op == Op.LOAD:
            name = bytes(request.memory).decode("utf-16-le", "replace").partition("\0")[0]
            self._dlls[record[2]] = name.replace("/", "\\").rpartition("\\")[2]
        else:
            self._dlls.pop(request.first_word, None)

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

    def reserve(self, size: int) -> ChannelOpened:
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

    def describe(self) -> ChannelOpened:
        """What a client has to know of it."""
        arena = self._channel.arena
        return ChannelOpened(channel=self.number, arena=arena.base, arena_size=len(arena.view))

    @property
    def spent(self) -> bool:
        """Whether it was given up, or failed in the middle of a call."""
        return self._spent

    @property
    def in_call(self) -> bool:
        """Whether a call of the client's is under way, be it that it waits for a callback."""
        return not self._serving and (self._turn.locked() or bool(self._waiting)) and not self._spent

    def close(self) -> None:
        """Give it up: at once, or at the end of the call that it is in."""
        self._spent = True
        if self._turn.acquire(blocking=False):  # kept: nobody gets another turn
            self._channel.close()
