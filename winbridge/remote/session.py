"""PythonSession: which Python this thread means, where nobody says it.

::

    remote.call ── PythonSession.current() ── exchange ── connection ──▶ a Python somewhere
                     └ connect() ── RemoteProcess.eval ── evals ────────▶ in order, without waiting
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import TYPE_CHECKING, Any

from winbridge.core.config import Config
from winbridge.core.errors import CallTimeoutError
from winbridge.core.session import SessionEngine
from winbridge.remote import operations
from winbridge.remote.errors import DisconnectError, OperationError
from winbridge.remote.evals import EvalFuture, Evals
from winbridge.remote.reaching import Place

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection
    from winbridge.remote.futures import RemoteFuture
    from winbridge.remote.options import Options
    from winbridge.remote.proxy import Proxy

__all__ = ["PythonSession", "RemoteProcess", "call", "evaluate", "execute", "import_module"]

LONGEST_NAME = 60
"""Characters of code that the history has room for."""


class PythonSession(SessionEngine):
    """Another Python: a Windows Python on Wine, another interpreter of this machine, or one elsewhere.

    Without arguments it is a Windows Python, or the interpreter that the parameter ``python`` names.

    Args:
        addr: a server or pool, ``host:port`` or the path of a Unix socket.
        connection: a connection that is there already; it is not closed with the session.
        interpreter: what to start: ``"wine"`` for a Windows Python (``"wine64"`` and ``"wine32"`` say which sort), the
            path of any ``python``, or the name or version of a Windows Python.
        options: of the connection, with the ``secret`` or ``ssl`` of a server.
        config: see ``SessionEngine``.
        **parameters: see ``Config``.

    Attributes:
        connection: everything else that can be done with this Python.
        session_id: what a pool calls the session, in its log too; elsewhere the same as ``id``.
        peer: what the Python tells about itself: ``python``, ``platform``, ``pid`` ..., as text.

    Raises:
        ConfigError: an argument is bad.
        DisconnectError: the Python cannot be reached, does not start, or does not let us in.
        WindowsPythonError: there is no such Windows Python.
        AgentStartError: Wine or its prefix is at fault.
        SessionExistsError: this thread has one with other arguments.
    """

    implicit = True
    hosts_dlls = False
    behind = "Python"
    used_by = "winbridge.remote.call()"

    def __init__(
        self, addr: str | None = None, *, connection: Connection | None = None,
        interpreter: str | os.PathLike[str] | None = None, options: Options | None = None,
        config: Config | None = None, **parameters: Any,
    ) -> None:  # fmt: skip
        self._place = Place(addr, connection, interpreter, options)
        self._place.check()
        super().__init__(config, **parameters)

    def begin(self) -> None:
        self.connection = self._place.reach(self.config)
        try:
            self.peer = dict(self.connection.peer)
            of_pool = self._id_in_pool()
        except BaseException:
            self._release()
            raise
        self.session_id = of_pool or self.id
        self._functions = _functions(bool(of_pool))
        self._process = RemoteProcess(self, Evals(self.connection, self._functions.evaluate, self.name))

    def _id_in_pool(self) -> str:
        """What the pool calls this session; empty if it is none of a pool."""
        if self._place.addr is None and self._place.connection is None:
            return ""
        from winbridge.remote.pool import evaluating

        try:
            return str(self.connection.call(evaluating.session_id))
        except DisconnectError:
            raise
        except OperationError:  # it knows nothing of pools
            return ""

    def connect(self) -> RemoteProcess:  # type: ignore[override]  # a transport is for sessions that host DLLs
        """The process of this session, for code that is sent without waiting.

        Raises:
            SessionClosedError: the session is closed.
        """
        self._check_open()
        return self._process

    # Calls.

    def exchange(self, message: Any, name: str = "") -> Any:
        """Call a function there and take its result; at most ``timeout_call``.

        Args:
            message: the function, its arguments and its keyword arguments.
            name: what the history calls it.

        Raises:
            Exception: whatever the function raises.
            CallTimeoutError: it took too long and was given up; the session goes on.
            SessionClosedError: the session is closed.
            DisconnectError: the Python is lost; the session is closed.
            OperationError: a value cannot be sent.
        """
        self._check_open()
        function, args, kwargs = message
        try:
            if self._timeout is None:
                return self.connection.call(function, *args, **kwargs)
            return self._in_time(self.connection.submit(function, *args, **kwargs), name, self._timeout)
        except DisconnectError as error:
            if self.closed:
                raise self._closed_error() from error
            if not self.connection.is_connected():
                self._died()
            raise

    def _in_time(self, future: RemoteFuture, name: str, timeout: float) -> Any:
        try:
            return future.result(timeout)
        except FutureTimeout:
            if not future.cancel():  # it is the function's own
                return future.result()
            raise CallTimeoutError(
                f"{name} took longer than timeout_call = {timeout:g} s; it was given up, {self.name} goes on"
            ) from None

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function there; see ``Connection.call``. What it raises: see ``exchange``."""
        return self.exchange((function, args, kwargs), getattr(function, "__qualname__", repr(function)))

    def execute(self, source: str, /, **variables: Any) -> Any:
        """Execute statements there; see ``Connection.execute``. Of a pool's session each has a namespace of its own."""
        operations.check_code(source, None, None)
        return self.exchange((self._functions.execute, (source, variables), {}), _first_line(source))

    def evaluate(self, code: str, locs: dict[str, Any] | None = None, globs: dict[str, Any] | None = None) -> Any:
        """Evaluate an expression there, or execute statements, and wait for the value; see ``Connection.eval``."""
        operations.check_code(code, locs, globs)
        return self.exchange((self._functions.evaluate, (code, locs, globs), {}), _first_line(code))

    def import_module(self, name: str) -> Proxy:
        """Import a module there; a proxy of it comes back."""
        return self.exchange((operations.import_module, (name,), {}), f"import {name}")  # type: ignore[no-any-return]

    # Life.

    def alive(self) -> bool:
        return self.connection.is_connected()

    def end(self) -> None:
        self._process.close()
        self._release()

    def _release(self) -> None:
        if self._place.connection is None:
            _from_a_known_thread(self.connection.close)

    def forsake(self) -> None:
        """The connection does this itself."""

    def state(self) -> str:
        pool = f", pool session {self.session_id}" if self.session_id != self.id else ""
        return "Python {python} on {platform}, pid {pid}".format(**self.peer) + pool


class RemoteProcess:
    """The process of a ``PythonSession``: it runs code in order, and nobody waits for it.

    Attributes:
        session: whose process it is.
    """

    def __init__(self, session: PythonSession, evals: Evals) -> None:
        self.session = session
        self._evals = evals

    def eval(self, code: str, locs: dict[str, Any] | None = None, globs: dict[str, Any] | None = None) -> EvalFuture:
        """Run code after what was sent before; this never waits.

        Args:
            code: an expression, or statements; the result is the value of the last one if that is an expression.
            locs: local names; None for the global ones. Both travel by value.
            globs: global names for this code alone; None for those of the session, which stay.

        Returns:
            a ``concurrent.futures.Future``, which has ``wait(timeout)`` too; ``cancel()`` interrupts code that runs.

        Raises:
            TypeError: ``code`` is no text, or ``locs`` or ``globs`` is neither None nor a dict.
            OperationError: 10,000 wait already.
            DisconnectError: the session is closed.
        """
        future = self._evals.submit(code, locs, globs)
        history = self.session.history
        if history is not None:
            name, started = _first_line(code), time.perf_counter()
            future.add_done_callback(lambda done: history.add(name, started, _outcome(done)))
        return future

    def output(self, future: EvalFuture | RemoteFuture | None = None) -> Iterator[tuple[int, str]]:
        """What is printed there, line by line as it comes.

        Args:
            future: only what its code prints, until it is done; None for everything, until the session ends.

        Returns:
            an iterator of (1, line) for standard output, (2, line) for standard error.
        """
        if isinstance(future, EvalFuture):
            return self._evals.output(future)
        return self.session.connection.output(future)

    def close(self) -> None:
        """Take no more code; the session calls this when it closes."""
        self._evals.close()

    def __repr__(self) -> str:
        return f"<RemoteProcess of {self.session!r}>"


def _from_a_known_thread(close: Callable[[], None]) -> None:
    """Call it, but not in a thread that has ended: to wait for another thread there would leave a dummy of it."""
    if any(thread.ident == threading.get_ident() for thread in threading.enumerate()):
        close()
        return
    ended = threading.Event()

    def run() -> None:
        try:
            close()
        finally:
            ended.set()

    threading.Thread(target=run, name="winbridge-close", daemon=True).start()
    ended.wait()


def _functions(of_pool: bool) -> Any:
    """The module whose ``evaluate`` and ``execute`` run there: a session of a pool has a namespace of its own."""
    if not of_pool:
        return operations
    from winbridge.remote.pool import evaluating

    return evaluating


def _first_line(code: str) -> str:
    line = code.strip().partition("\n")[0]
    return line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 3] + "..."


def _outcome(future: Future[Any]) -> str:
    if future.cancelled():
        return "cancelled"
    error = future.exception()
    return "ok" if error is None else type(error).__name__


# The thread's session without naming it.


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function in this thread's ``PythonSession``, which is opened if there is none.

    Args:
        function: travels by its name, or as a proxy of one that is there.
        args, kwargs: its arguments.

    Returns:
        a copy of its result; a proxy where it is a ``ref``.

    Raises:
        Exception: whatever the function raises; the ``__cause__`` shows the traceback there.
        OperationError: a value cannot be sent, or the Python is lost (``DisconnectError``).
        WindowsPythonError, AgentStartError: the session cannot be opened.
    """
    return PythonSession.current().call(function, *args, **kwargs)


def execute(source: str, /, **variables: Any) -> Any:
    """Execute statements in this thread's ``PythonSession``.

    Args:
        source: Python code.
        variables: put into its namespace before.

    Returns:
        the value of the last statement if it is an expression, else None.

    Raises: as ``call``.
    """
    return PythonSession.current().execute(source, **variables)


def evaluate(code: str, locs: dict[str, Any] | None = None, globs: dict[str, Any] | None = None) -> Any:
    """Evaluate an expression in this thread's ``PythonSession``, or execute statements there.

    Args:
        code: Python code.
        locs: local names; None for the global ones.
        globs: global names; None for those of the session.

    Returns:
        the value of the expression, or of the last statement if that is one, else None.

    Raises: as ``call``; TypeError for arguments of other types.
    """
    return PythonSession.current().evaluate(code, locs, globs)


def import_module(name: str) -> Proxy:
    """Import a module in this thread's ``PythonSession``.

    Args:
        name: for example ``"win32api"``.

    Returns:
        a proxy of the module.

    Raises: as ``call``; ModuleNotFoundError where the Python there has no such module.
    """
    return PythonSession.current().import_module(name)
