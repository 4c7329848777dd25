"""Who reads a connection: the thread that waits for an answer does, so that no thread has to wake another.

One thread at a time reads, the *leader*. A thread that waits for an answer becomes it if there is none; else it is a
*follower*: it sleeps until the leader has read its answer, or until the leader is done and lets it take over. What a
leader reads beside its own answer it gives to whom it belongs; requests of the peer's that come from inside of its own
question it executes, and so callbacks run on the thread that waits for the outer call. When nobody waits, threads of
``background`` read.
"""

from __future__ import annotations

import _thread
import time
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import DisconnectError, OperationError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from winbridge.remote.carriers.contract import Carrier
    from winbridge.remote.frames import FrameReader
    from winbridge.remote.protocol import Frame
    from winbridge.remote.waiting import Pending

    Work = tuple[Callable[[Any], None], Any]
    """What has to be done, by whoever can do it while others read: a function and its argument."""


NOT_BLOCKING = (False,)


class Reading:
    """The turn to read.

    Args:
        carrier: what is read.
        reader: makes frames of it.
        dispatch: takes a frame, and for whom the leader reads; returns work that came of it, or None.
        broken: takes an exception that ended the reading.

    Attributes:
        carrier, broken: see above.
        turn: held by the leader.
        turns: how many frames were read.
        asleep: whether ``deserted`` wants to be called.
        deserted: called when a leader has stopped and no follower is there.
    """

    def __init__(
        self,
        carrier: Carrier,
        reader: FrameReader,
        dispatch: Callable[[Frame, Pending], Work | None],
        broken: Callable[[BaseException], None],
    ) -> None:
        self.turns = 0
        self.asleep = False
        self.deserted: Callable[[], None] | None = None
        self.carrier = carrier
        self._reader = reader
        self._dispatch = dispatch
        self.broken = broken
        self.turn = _thread.allocate_lock()
        self._leader = 0
        self._done: Frame | None = None
        self._followers: dict[Pending, None] = {}

    def led(self) -> bool:
        """Whether somebody reads."""
        return self.turn.locked()

    def followers(self) -> list[Pending]:
        """What threads wait for that do not read themselves."""
        return list(self._followers)

    def more(self) -> bool:
        """Whether something of the next message has come already; as far as one can tell."""
        try:
            return self._reader.buffered() or (self.carrier.waits and self.carrier.wait(0))
        except (OSError, ValueError):  # it was closed just now
            return False

    def until(self, own: Pending, deadline: float | None = None) -> bool:
        """Read, or let others read, until a question is answered; do the work that comes of it meanwhile.

        Args:
            own: the question.
            deadline: the time (monotonic) to stop; None for never.

        Returns:
            whether it is answered.
        """
        while own.answer is None or own.requests:
            work = own.take()
            if work is None:
                led, work = self.try_to_lead(own, deadline)
                if not led:
                    self._follow(own, deadline)
            if work is not None:
                work[0](work[1])
            elif deadline is not None and own.answer is None and time.monotonic() >= deadline:
                return False
        return True

    def try_to_lead(self, own: Pending, deadline: float | None = None) -> tuple[bool, Work | None]:
        """If nobody leads, read until a question is answered, the deadline is over, or there is work to do.

        Returns:
            whether we have led, and the work.
        """
        if deadline is not None and not self.carrier.waits:
            return False, None
        taken: list[bool] = []
        try:
            # An interrupt (of a signal) comes between two steps of Python: with the lock taken, that is noted.
            taken.extend(map(self.turn.acquire, NOT_BLOCKING))
            return taken[0], self._lead(own, deadline) if taken[0] else None
        finally:
            if taken and taken[0]:
                self._leader = 0
                self.turn.release()
                if self._followers or self.asleep:
                    self._pass_on()

    def _lead(self, own: Pending, deadline: float | None) -> Work | None:
        self._leader = _thread.get_ident()
        try:
            while own.answer is None and not own.requests:
                if deadline is not None and not self._comes(deadline):
                    break
                frame = self._reader.read()
                self.turns += 1
                work = self._dispatch(frame, own)
                self._done = frame
                if work is not None:
                    own.free = False  # before anybody else can read
                    return work
        except (OSError, OperationError) as error:
            self.broken(error)
        except Exception as error:
            self.broken(ProtocolError(f"a message of the peer cannot be handled: {type(error).__name__}: {error}"))
        except BaseException:
            if not self._harmless(own):
                self.broken(DisconnectError("the connection was interrupted in the middle of a message"))
            raise
        return None

    def _harmless(self, own: Pending) -> bool:
        """Whether nothing is lost at an interrupt, or only what we waited for."""
        last = self._reader.last
        return self._reader.safe and (last is self._done or (last is not None and own.answered_by(last)))

    def _comes(self, deadline: float) -> bool:
        return self._reader.buffered() or self.carrier.wait(deadline - time.monotonic())

    def _pass_on(self) -> None:
        """Let a follower lead, else tell that nobody does."""
        if self._followers:
            try:
                self._followers.popitem()[0].ring()
                return
            except KeyError:  # the last one has just left
                pass
        if self.asleep and self.deserted is not None:
            self.deserted()

    def _follow(self, own: Pending, deadline: float | None) -> None:
        if self._leader == _thread.get_ident() and self.turn.locked():
            raise OperationError(
                "a signal handler or a finaliser waits for the peer in the middle of a read of its own thread;"
                " let it use submit(), or another thread"
            )
        own.prepare()
        self._followers[own] = None
        try:
            if own.answer is None and not own.requests and (self.turn.locked() or self._call_up(deadline)):
                own.sleep(None if deadline is None else deadline - time.monotonic())
        finally:
            self._followers.pop(own, None)
            if (
                self._followers or self.asleep
            ) and not self.turn.locked():  # perhaps we were asked to lead, and will not
                self._pass_on()

    def _call_up(self, deadline: float | None) -> bool:
        """Where we cannot lead ourselves; whether others will."""
        if deadline is None or self.carrier.waits or self.deserted is None:
            return False
        self.deserted()
        return True
