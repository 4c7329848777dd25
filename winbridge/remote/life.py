"""How a connection opens and ends: with its threads, carrier and process; also at exit, and in forked children."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import DisconnectError, OperationError
from winbridge.remote.handshake import shake_hands
from winbridge.remote.link import Link

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection

PATIENCE = 1.0
"""Seconds that a peer gets to say goodbye when the connection is closed."""

GRACE = 5.0
"""Seconds that a process gets to end when its connection is closed; then it is terminated, and at last killed."""

LAST_WORDS = 0.2
"""Seconds to wait for the exit code of a process whose end of the connection has closed."""


class Life:
    """See the module.

    Args:
        connection: whose life it is.
        carrier: what carries the bytes, or a function that gives it within so many seconds.
        server: whether the other side has connected to this one.
    """

    def __init__(self, connection: Connection, carrier: Any, server: bool) -> None:
        self.opened = threading.Event()
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.link: Link | None = None
        self.disowned = False
        self._connection = connection
        self._carrier = carrier
        self._server = server
        self._killing = self._begun = self._met = False
        lives.add(self)

    def start(self) -> None:
        """Open in the background."""
        self._begun = True
        thread = threading.Thread(target=self.run, name="winbridge-remote-open", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._over(DisconnectError(f"{error}: open no connection while the program ends"))

    def run(self) -> None:
        """Open in this thread, and be one of the background's until the connection ends."""
        try:
            link = self._open()
        except OperationError as error:
            self._fail(error)
        except Exception as error:
            self._fail(DisconnectError(f"the connection cannot be opened: {error}"), error)
        else:
            link.background.run_here()

    def _open(self) -> Link:
        connection = self._connection
        if callable(self._carrier):
            self._carrier = self._carrier(connection.options.timeout)
        self.link = link = Link(connection, self._carrier, connection.options.max_message)
        if self.failure is not None:  # cancelled meanwhile
            raise DisconnectError(*self.failure.args)
        try:
            shake_hands(link, connection.options, self._server)
        except (OSError, ValueError) as error:
            link.broken(error)
            raise
        self._met = True
        self._watch_heart(link)
        connection.became_open(link)
        if link.failure is not None:
            raise DisconnectError(*link.failure.args)
        self.opened.set()
        return link

    def _watch_heart(self, link: Link) -> None:
        from winbridge.remote.heartbeat import heart

        heart.add(self._connection, link)

    def _fail(self, error: OperationError, cause: BaseException | None = None) -> None:
        error.__cause__ = error.__cause__ or cause
        if self.link is None:
            if self.failure is None:
                self._over(error)
            if hasattr(self._carrier, "close"):
                self._carrier.close()
        else:
            self.link.broken(error)

    def explained(self, error: BaseException) -> BaseException:
        """The same error; where the peer was a process of ours and has ended, the message says how."""
        process = self._connection.process
        if process is None or self._killing or type(error) is not DisconnectError:
            return error
        import subprocess

        try:
            code = process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            return error
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        return DisconnectError(f"{error}; process {process.pid} has ended with {how}")

    def on_end(self) -> None:
        """The link has failed: free what it has. Called once, from any thread, perhaps with locks held."""
        assert self.link is not None
        self._over(self.link.failure)

    def _over(self, error: BaseException | None) -> None:
        self.failure = error
        self._connection.became_closed()
        self.opened.set()
        if self.link is not None:
            self.link.background.stop()
        self._connection.outputs.close()
        try:
            threading.Thread(target=self._bury, name="winbridge-remote-close", daemon=True).start()
        except RuntimeError:  # the program ends
            self._bury()

    def _bury(self) -> None:
        if self.link is not None:
            self.link.bury()
        self._connection.references.clear()
        if self._connection.process is not None:
            self._reap(self._connection.process)
        self.ended.set()

    def _reap(self, process: Any) -> None:
        import subprocess

        steps = [process.terminate, process.kill]
        while steps:
            try:
                process.wait(0 if self._killing else GRACE)
                return
            except subprocess.TimeoutExpired:
                self._killing = False
                steps.pop(0)()
        process.wait()

    def serve(self) -> None:
        """Open if that was not begun, and be one of the threads that execute requests, until the end.

        Raises:
            DisconnectError: it was begun, and has failed. A connection that was open may have ended since.
        """
        if not self._begun:
            self._begun = True
            self.run()
        else:
            self.opened.wait()
            if not self._met:
                self.await_open()
            assert self.link is not None
            self.link.background.run_here()
        self.ended.wait()

    def describe(self) -> str:
        """In a few words, what it is."""
        name = getattr(self._carrier, "name", "") if self.link is None else self.link.carrier.name
        state = "open" if self._connection.is_connected() else "opening" if self.failure is None else "closed"
        return f"{name}, {state}" if name else state

    def await_open(self) -> None:
        """Wait for the opening.

        Raises:
            DisconnectError: it failed, or the connection has ended since.
        """
        self.opened.wait()
        if self.failure is not None:
            raise type(self.failure)(*self.failure.args) from self.failure.__cause__

    def cancel(self, error: DisconnectError) -> None:
        """End the connection now; processes are killed."""
        self._killing = True
        self._end(error)

    def _end(self, error: DisconnectError) -> None:
        if self.link is not None:
            self.link.fail(error)
        elif self.failure is None:
            self._over(error)

    def close(self) -> None:
        """Say goodbye, end the connection and wait until everything is freed."""
        if self.disowned:
            return
        closed = DisconnectError("the connection was closed by this side")
        deadline = time.monotonic() + PATIENCE
        link = self.link
        if link is not None and link.failure is None and self.opened.is_set():
            link.close(closed, PATIENCE)
            link.background.call_up()
            link.over.wait(PATIENCE)
        self._end(closed)
        if link is None or threading.current_thread() not in link.background.threads:
            self.ended.wait(GRACE * 3)
            if link is not None:
                link.background.join(deadline + PATIENCE, time.monotonic)

    def disown(self) -> None:
        """In a forked child, which has none of the threads: nothing here may take a lock."""
        error = DisconnectError("this connection belongs to the parent process: open another one after the fork")
        self.disowned, self.failure = True, error
        self._connection.became_closed()
        if self.link is not None:
            self.link.failure = error
            self.link.carrier.disown()
        self.opened = _set_event()
        self.ended = _set_event()


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


lives: weakref.WeakSet[Life] = weakref.WeakSet()


def _after_fork() -> None:
    for life in list(lives):
        life.disown()


def _at_exit() -> None:
    """Daemon threads are about to stop wherever they are: nothing can be said any more, only processes be ended."""
    for life in list(lives):
        if not life.ended.is_set():
            life.cancel(DisconnectError("the program ends"))
            life.ended.wait(PATIENCE)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
