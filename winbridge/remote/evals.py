"""Code that is sent without waiting, and runs in order at the other side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import wait as wait_for
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import DisconnectError, OperationError
from winbridge.remote.operations import check_code

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection
    from winbridge.remote.futures import RemoteFuture

LINGER = 2.0
"""Seconds that the thread stays which sends evals."""

MOST_WAITING = 10_000
"""Evals that may wait for those before them; who sends faster than they run has to take results first."""


class EvalFuture(Future):  # type: ignore[type-arg]
    """The result of an ``eval``. ``cancel()`` works until it is there; code that runs is interrupted."""

    def __init__(self, code: str, locs: dict[str, Any] | None, globs: dict[str, Any] | None) -> None:
        super().__init__()
        self._arguments = code, locs, globs
        self._sent = threading.Event()
        self._call: RemoteFuture | None = None
        self._deciding = threading.Lock()
        self._decided = False

    def run(self, connection: Connection, evaluate: Callable[..., Any]) -> None:
        """Send it and wait for its end."""
        try:
            if not self._decided:
                self._call = connection.submit(evaluate, *self._arguments)
        except Exception as error:
            self.fail(error)
        self._arguments = "", None, None
        self._sent.set()
        if self._call is not None:
            self._follow(self._call)

    def _follow(self, call: RemoteFuture) -> None:
        if self._decided:  # cancelled while it was being sent
            call.cancel()
            return
        try:
            result = call.result()
        except CancelledError:
            return  # by ``cancel`` below
        except BaseException as error:
            self.fail(error)
        else:
            if self._decide():
                self.set_result(result)

    def _decide(self) -> bool:
        """Whether the caller may say how it ends; only one may."""
        with self._deciding:
            before, self._decided = self._decided, True
            return not before

    def fail(self, error: BaseException) -> None:
        """There will be no result, unless there is one."""
        if self._decide():
            self.set_exception(error)
        self._sent.set()

    def cancel(self) -> bool:
        """Give it up; False if it is done already."""
        if not self._decide():
            return self.cancelled()
        super().cancel()
        self.set_running_or_notify_cancel()  # as an executor does, for those in concurrent.futures.wait
        self._interrupt()
        return True

    def end(self, error: BaseException) -> None:
        """As ``cancel``, with an error for who waits."""
        self.fail(error)
        self._interrupt()

    def _interrupt(self) -> None:
        self._sent.set()
        if self._call is not None:
            self._call.cancel()

    def running(self) -> bool:
        """Whether it was sent and is not done."""
        return self._call is not None and not self.done()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to so many seconds for it to be done; whether it is."""
        return self in wait_for([self], timeout).done

    def sent(self) -> RemoteFuture | None:
        """Wait until it was sent; the call that it has become, None if it never will."""
        self._sent.wait()
        return self._call


class Evals:
    """The evals of one session.

    Args:
        connection: leads to where they run.
        evaluate: the function there that runs them: takes the code, local names and global names.
        name: what has them, for errors and the name of the thread.
        most: how many may wait.
    """

    def __init__(
        self, connection: Connection, evaluate: Callable[..., Any], name: str, most: int = MOST_WAITING
    ) -> None:  # fmt: skip
        self._connection = connection
        self._evaluate = evaluate
        self._name = name
        self._most = most
        self._waiting: deque[EvalFuture] = deque()
        self._current: EvalFuture | None = None
        self._changed = threading.Condition()
        self._running = self._closed = False

    def submit(self, code: str, locs: dict[str, Any] | None = None, globs: dict[str, Any] | None = None) -> EvalFuture:
        """Run code, after what was sent before. Never waits.

        Raises:
            TypeError: ``code`` is no text, or ``locs`` or ``globs`` is neither None nor a dict.
            OperationError: too many wait already.
            DisconnectError: ``close`` was called.
        """
        check_code(code, locs, globs)
        future = EvalFuture(code, locs, globs)
        with self._changed:
            if self._closed:
                raise self._closed_error()
            if len(self._waiting) >= self._most:
                raise OperationError(f"{self._most} evals of {self._name} wait already; take results first")
            self._waiting.append(future)
            self._changed.notify()
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name=f"winbridge-evals {self._name}", daemon=True).start()
        return future

    def _run(self) -> None:
        """Send what waits, one after the other, until there was nothing for a while."""
        while True:
            with self._changed:
                self._current = None
                if not self._waiting and not self._closed:
                    self._changed.wait(LINGER)
                if not self._waiting:
                    self._running = False
                    return
                self._current = future = self._waiting.popleft()
            future.run(self._connection, self._evaluate)

    def output(self, future: EvalFuture) -> Iterator[tuple[int, str]]:
        """What its code prints, (1 or 2, line) each, until it is done."""
        call = future.sent()
        if call is not None:
            yield from self._connection.output(call)

    def close(self) -> None:
        """Take no more; what waits fails, and what runs is interrupted. Safe to repeat."""
        with self._changed:
            futures = [*self._waiting, *filter(None, [self._current])]
            self._waiting.clear()
            self._closed = True
            self._changed.notify()
        for future in futures:
            future.end(self._closed_error())

    def _closed_error(self) -> DisconnectError:
        return DisconnectError(f"{self._name} was closed by this side")
