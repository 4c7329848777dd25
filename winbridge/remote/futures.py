"""Calls whose results are looked at later."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, Future, TimeoutError
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import CallCancelled
from winbridge.remote.waiting import Pending

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection
    from winbridge.remote.link import Link


CANCELLED = CancelledError()


class FuturePending(Pending):
    """A question whose answer a future is for."""

    def __init__(self, future: RemoteFuture) -> None:
        self.future = future
        self.watchers: list[Pending] = []
        """What threads in ``result`` wait for: they must not go on reading when the answer was read by another."""

    def settle(self, answer: Any) -> None:
        self.answer = answer
        for watcher in list(self.watchers):
            watcher.settle(answer)

    def complete(self, _: Any) -> None:
        self.future.complete()


class RemoteFuture(Future):  # type: ignore[type-arg]
    """A ``concurrent.futures.Future`` of a call at the peer.

    ``cancel()`` works until the result is there: this side does not wait any more, and the function is interrupted
    at the other side if it is Python code that runs.
    """

    def __init__(self, connection: Connection, link: Link) -> None:
        super().__init__()
        self.connection = connection
        self.link = link
        self.pending = FuturePending(self)

    def complete(self) -> None:
        """The answer has come: make the result of it."""
        with self._condition:
            if self.cancelled():
                return
            self.set_running_or_notify_cancel()
        try:
            result = self.connection.unpacked(self.pending)
        except BaseException as error:
            self._finished()
            self.set_exception(error)
        else:
            self._finished()
            self.set_result(result)
        self.connection.outputs.wake()

    def _finished(self) -> None:
        self.connection.outputs.finish(self.pending.serial)

    def cancel(self) -> bool:
        """Give the call up; False if it is done already."""
        if not super().cancel():
            return False
        self.link.abandon(self.pending)
        self.pending.settle(CANCELLED)
        with self._condition:
            if not self.running():
                self.set_running_or_notify_cancel()  # as an executor does, for those in concurrent.futures.wait
        self.connection.outputs.wake()
        return True

    def result(self, timeout: float | None = None) -> Any:
        """As ``Future.result``; the calling thread reads the connection meanwhile."""
        return super().result(self._read(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As ``Future.exception``; the calling thread reads the connection meanwhile."""
        return super().exception(self._read(timeout))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to so many seconds for the result, None for as long as it takes; whether it is there."""
        try:
            self.exception(timeout)
        except TimeoutError:
            return False
        except CancelledError:
            pass
        return True

    def _read(self, timeout: float | None) -> float | None:
        """Read until the answer is there; the time that is left."""
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.done():
            watcher = Pending()
            watcher.within = self.link.serving.within()
            self.pending.watchers.append(watcher)
            if self.pending.answer is None:
                self.link.reading.until(watcher, deadline)
            self.pending.watchers.remove(watcher)
            if isinstance(watcher.answer, CallCancelled):  # we wait within a request that the peer has cancelled
                raise watcher.answer
        return None if deadline is None else max(0.0, deadline - time.monotonic())
