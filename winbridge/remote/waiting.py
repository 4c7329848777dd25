"""Answers that are waited for: by a thread, or by a future."""

from __future__ import annotations

import _thread
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import ProtocolError
from winbridge.remote.protocol import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winbridge.remote.protocol import Frame
    from winbridge.remote.reading import Work

    Answer = Frame | BaseException


ANSWERS = frozenset({Kind.RESULT, Kind.ERROR})


class Pending:
    """A question whose answer a thread waits for.

    Attributes:
        answer: the frame that answers it, or the error that there will be none; None until then.
        requests: requests of the peer's that come from inside of this question; the waiting thread executes them.
        serial: of the question.
        within: the serial of the peer's request from which it is asked, 0 if none.
    """

    answer: Answer | None = None
    requests: Sequence[Work] = ()
    serial = 0
    within = 0

    complete: Any = None
    """What has to be done with the answer by whoever reads it; None where a thread waits for it."""

    background = False
    """Whether this is no question but a thread of ``background`` that reads for others."""

    free = False
    """Whether such a thread has nothing to do, or only an answer to send."""

    _bell: Any = None

    def answered_by(self, frame: Frame) -> bool:
        """Whether a frame is the answer to this."""
        return frame.serial == self.serial and frame.kind in ANSWERS

    def settle(self, answer: Any) -> None:
        """This is the answer."""
        self.answer = answer
        self.ring()

    def hand(self, work: Work) -> None:
        """Give the waiting thread something to do; only the leader calls this."""
        if self.requests:
            self.requests.append(work)  # type: ignore[attr-defined]
        else:
            self.requests = deque([work])
        self.ring()

    def take(self) -> Work | None:
        """What the waiting thread has to do next, if there is something."""
        return self.requests.popleft() if self.requests else None  # type: ignore[attr-defined]

    def ring(self) -> None:
        """Wake the waiting thread, if it sleeps; it looks then what there is to do."""
        bell = self._bell
        if bell is not None and bell.locked():
            with contextlib.suppress(RuntimeError):  # another thread was faster
                bell.release()

    def prepare(self) -> None:
        """From now on ``ring`` ends the next ``sleep``; what there is to do has to be looked at after this."""
        if self._bell is None:
            bell = _thread.allocate_lock()
            bell.acquire()
            self._bell = bell

    def sleep(self, timeout: float | None) -> bool:
        """Wait for ``ring``; whether it came within so many seconds."""
        return bool(self._bell.acquire(True, -1 if timeout is None else max(0.0, timeout)))


class Turn(Pending):
    """What a thread of ``background`` reads for; it is answered when it had better let others read."""

    background = True


class Waiting:
    """All questions that were not answered yet.

    Attributes:
        pending: them, by serial.
    """

    def __init__(self) -> None:
        self.pending: dict[int, Pending] = {}
        self._abandoned: set[int] = set()
        self.get = self.pending.get

    def taken(self, serial: int) -> bool:
        return serial in self.pending or serial in self._abandoned

    def forget(self, serial: int) -> None:
        """An answer has come that nobody waits for any more.

        Raises:
            ProtocolError: nobody asked that.
        """
        try:
            self._abandoned.remove(serial)
        except KeyError:
            raise ProtocolError(f"the peer answers a question that nobody asked: {serial}") from None

    def drop(self, serial: int) -> None:
        """Forget a question that was never sent."""
        self.pending.pop(serial, None)
        self._abandoned.discard(serial)

    def abandon(self, serial: int) -> bool:
        """Do not wait for an answer any more, which will come nevertheless; whether it had not come yet."""
        self._abandoned.add(serial)
        if self.pending.pop(serial, None) is None:
            self._abandoned.discard(serial)
            return False
        return True

    def fail(self, error: BaseException) -> list[Pending]:
        """Answer all with an error, each with one of its own; those that have to be completed are returned."""
        pending = []
        while self.pending:
            try:
                pending.append(self.pending.popitem()[1])
            except KeyError:
                break
        for each in pending:
            each.settle(again(error))
        return [each for each in pending if each.complete is not None]


def again(error: BaseException) -> BaseException:
    """The same error, to be raised by another thread."""
    another = type(error)(*error.args)
    another.__cause__ = error.__cause__
    return another
