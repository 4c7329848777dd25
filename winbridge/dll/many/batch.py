"""``session.batch()``: calls of different functions, sent together."""

from __future__ import annotations

import struct
from types import TracebackType
from typing import Any

from winbridge.core.session import SessionEngine
from winbridge.dll.many.blame import blame
from winbridge.dll.plan import Plan

MOST = 4096
"""Calls that wait, at most; then they are sent."""

_WAITING, _DONE, _FAILED, _DROPPED = range(4)


class Pending:
    """The result of a call of a batch, once it has been made."""

    __slots__ = ("_state", "_value")

    def __init__(self) -> None:
        self._state = _WAITING
        self._value: Any = None

    @property
    def done(self) -> bool:
        """Whether the call was made, be it that it failed."""
        return self._state in (_DONE, _FAILED)

    def result(self) -> Any:
        """What the call returned.

        Raises:
            RuntimeError: it has not been made yet, or never will be, since an error came before it.
            Exception: what the call raised.
        """
        if self._state == _DONE:
            return self._value
        if self._state == _FAILED:
            raise self._value
        if self._state == _DROPPED:
            raise RuntimeError("the call was not made: an error ended the batch before it")
        raise RuntimeError("the call has not been made yet: it goes with the end of the batch, or with batch.send()")

    def _settle(self, state: int, value: Any = None) -> None:
        self._state, self._value = state, value


class Batch:
    """Calls that are sent together; got by ``session.batch()``.

    Args:
        session: where the functions are.
    """

    def __init__(self, session: SessionEngine) -> None:
        self._session = session
        self._waiting: list[tuple[Pending, Plan]] = []
        self._messages: list[bytes] = []
        self._made = 0

    def call(self, function: Any, *arguments: Any) -> Pending:
        """Add a call.

        Calls whose arguments and results are numbers wait. One that needs more (memory, texts, an ``errcheck``) is made
        at once, behind those that wait.

        Args:
            function: one of a DLL of this session.
            *arguments: what to call it with.

        Returns:
            what will have the result.

        Raises:
            ValueError: the function is called in another session.
            Exception: of a call that is made at once, or of one before it.
        """
        plan = function.plan_for(arguments)
        if plan.session is not self._session:
            raise ValueError(f"{function!r} is called in {plan.session!r}, and the batch is of {self._session!r}")
        pending = Pending()
        if function.errcheck is None and isinstance(plan, Plan) and plan.plain and not plan.watched:
            try:
                self._messages.append(plan.head + plan.pack(*arguments))
            except (struct.error, OverflowError):  # a number that wraps, or does not fit
                return self._at_once(pending, function, arguments)
            self._waiting.append((pending, plan))
            if len(self._waiting) >= MOST:
                self.send()
            return pending
        return self._at_once(pending, function, arguments)

    def _at_once(self, pending: Pending, function: Any, arguments: tuple[Any, ...]) -> Pending:
        self.send()
        self._made += 1
        pending._settle(_DONE, function(*arguments))
        return pending

    def send(self) -> None:
        """Make the calls that wait.

        Raises:
            Exception: what a call raised, with the attributes ``index`` (its place in the batch) and ``results`` (of
                the calls before it that were sent with it). No call follows it.
        """
        waiting, messages = self._waiting, self._messages
        self._waiting, self._messages = [], []
        done = 0
        try:
            for record in self._session.exchange_many(messages, "batch"):
                pending, plan = waiting[done]
                if record[5] != plan.popped:
                    raise plan.imbalance(record)
                pending._settle(_DONE, record[plan.field])
                done += 1
        except Exception as error:
            blame(error, self._made + done, [pending.result() for pending, _ in waiting[:done]])
            waiting[done][0]._settle(_FAILED, error)
            self._drop(waiting[done + 1 :])
            raise
        self._made += done

    @staticmethod
    def _drop(waiting: list[tuple[Pending, Plan]]) -> None:
        for pending, _ in waiting:
            pending._settle(_DROPPED)

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.send()
        else:
            self._drop(self._waiting)
            self._waiting, self._messages = [], []
