"""A connection between two Pythons: what one can do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from winbridge.remote import failures, operations
from winbridge.remote.errors import CallCancelled, DisconnectError
from winbridge.remote.life import Life
from winbridge.remote.options import Options
from winbridge.remote.output import Outputs
from winbridge.remote.plain import pack_call
from winbridge.remote.protocol import Flag, Frame, Kind
from winbridge.remote.references import References
from winbridge.remote.values import Values
from winbridge.remote.waiting import Pending

if TYPE_CHECKING:
    import socket
    import subprocess
    from collections.abc import Callable, Iterable, Iterator

    from winbridge.remote.carriers.contract import Carrier
    from winbridge.remote.futures import RemoteFuture
    from winbridge.remote.link import Link
    from winbridge.remote.proxy import Proxy

    Opener = Callable[[float], Carrier]


class Connection:
    """A connection to another Python; either side may call the other, from any thread.

    The ``from_...`` functions make one. It is opened in the background; the first operation waits for that, and so does
    ``with``, which closes it at its end. It stays open until it is closed, also if nothing refers to it any more.

    Args:
        carrier: what carries the bytes, or a function that gives it within so many seconds.
        options: of this side.
        server: whether the other side has connected to this one.
        process: the process that is the peer, if it was started for this; it ends with the connection.
        start: whether to open it now, in the background; else ``serve`` opens it.

    Attributes:
        options: of this side.
        process: see above.
        values, references: how its values are packed, and what is lent to the peer.
        outputs: what the peer printed.
    """

    def __init__(
        self,
        carrier: Carrier | Opener,
        options: Options | None = None,
        *,
        server: bool = False,
        process: subprocess.Popen[bytes] | None = None,
        start: bool = True,
    ) -> None:
        self.options = Options() if options is None else options
        self.process = process
        self.references = References(self)
        self.values = Values(self.references, self.options)
        self.outputs = Outputs()
        self._link: Link | None = None
        self.life = Life(self, carrier, server)
        if start:
            self.life.start()

    # -- ways to get one

    @classmethod
    def from_tcp(cls, host: str, port: int, *, options: Options | None = None) -> Connection:
        """Connect to a server, see ``winbridge.remote.servers``.

        Args:
            host, port: where it listens.
            options: ``secret`` and ``ssl`` matter here.
        """
        from winbridge.remote.carriers import dial

        return cls(dial.tcp(host, port, options), options)

    @classmethod
    def from_unix(cls, path: str, *, options: Options | None = None) -> Connection:
        """Connect to a server on this machine, by the path of its socket."""
        from winbridge.remote.carriers import dial

        return cls(dial.unix(path), options)

    @classmethod
    def from_socket(
        cls, sock: socket.socket, *, options: Options | None = None, server: bool = False
    ) -> Connection:  # fmt: skip
        """Use a connected socket; it belongs to the connection from now on.

        Args:
            sock: the socket.
            options: of this side.
            server: whether this is the side that asks the other one for a secret first.
        """
        from winbridge.remote.carriers.stream import SocketCarrier

        return cls(SocketCarrier(sock), options, server=server)

    @classmethod
    def from_pipes(
        cls, incoming: Any, outgoing: Any, *, options: Options | None = None, server: bool = False
    ) -> Connection:  # fmt: skip
        """Use a pipe to read and one to write.

        Args:
            incoming, outgoing: descriptors, or binary files that have one; they belong to the connection from now on.
            options: of this side.
            server: whether this is the side that asks the other one for a secret first.
        """
        from winbridge.remote.carriers.stream import PipeCarrier

        return cls(PipeCarrier(incoming, outgoing), options, server=server)

    @classmethod
    def from_process(cls, process: subprocess.Popen[bytes], *, options: Options | None = None) -> Connection:
        """Use the standard input and output of a process, which ends with the connection.

        Args:
            process: started with pipes for both, and without a text mode.
            options: of this side.

        Raises:
            ValueError: it was started without.
        """
        from winbridge.remote import starting

        return starting.from_process(process, options)

    @classmethod
    def from_stdio(cls, *, options: Options | None = None) -> Connection:
        """Use the standard input and output of this process; what is printed goes to the peer's ``output``."""
        from winbridge.remote import starting

        return starting.from_stdio(options)

    @classmethod
    def from_command(cls, args: Iterable[str], *, options: Options | None = None) -> Connection:
        """Start a program that serves on its standard input and output: a Python, ssh, docker exec ...

        Args:
            args: the program and its arguments.
            options: of this side.
        """
        from winbridge.remote import starting

        return starting.from_command(args, options)

    @classmethod
    def from_shell(cls, script: str, *, options: Options | None = None) -> Connection:
        """As ``from_command``, with a line for the shell."""
        from winbridge.remote import starting

        return starting.from_shell(script, options)

    @classmethod
    def from_wine(cls, python: str | None = None, *, options: Options | None = None) -> Connection:
        """Start a Windows Python on Wine.

        Args:
            python: which: a path, a version, or None for the newest that is installed.
            options: of this side.
        """
        from winbridge.remote import starting

        return starting.from_wine(python, options)

    # -- operations

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a function at the other side and wait for its result.

        Args:
            function: travels by its name, or as a proxy of one that is there.
            args, kwargs: its arguments.

        Returns:
            a copy of its result; a proxy where it is a ``ref``.

        Raises:
            Exception: whatever the function raises; the ``__cause__`` shows the traceback at the other side.
            OperationError: a value could not be sent.
            DisconnectError: the connection is closed or lost.
        """
        return self._ask(0, function, args, kwargs)

    def call_ref(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Proxy:
        """As ``call``, but the result stays where it is; a proxy of it comes back."""
        return self._ask(Flag.REFERENCE, function, args, kwargs)  # type: ignore[no-any-return]

    def _ask(self, flags: int, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        link = self._link or self.await_open()
        payload, buffers = pack_call(self.values, self.options.pickle_by_value, function, args, kwargs)
        pending = Pending()
        link.ask(Kind.CALL, flags, link.serving.within(), payload, buffers, pending)
        try:
            link.reading.until(pending)
        except BaseException:  # an interrupt
            link.abandon(pending)
            raise
        return self.unpacked(pending)

    def unpacked(self, pending: Pending) -> Any:
        """The result that an answer holds, or raise its exception."""
        answer = pending.answer
        if type(answer) is Frame and answer.kind == Kind.RESULT:
            return self.values.loads(answer.payload, answer.buffers, "the result")
        if type(answer) is Frame:
            raise failures.unpacked(self.values, answer.payload, answer.buffers)
        assert isinstance(answer, BaseException)
        if isinstance(answer, CallCancelled) and self._link is not None:
            self._link.tell_cancelled(pending)
        raise answer

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> RemoteFuture:
        """Call a function at the other side and do not wait.

        Returns:
            a ``concurrent.futures.Future``; ``result(timeout)`` waits, ``cancel()`` gives the call up.
        """
        return self._submit(Kind.CALL, (function, args, kwargs))

    def _submit(self, kind: int, call: tuple[Any, ...]) -> RemoteFuture:
        from winbridge.remote.futures import RemoteFuture

        link = self._link or self.await_open()
        payload, buffers = self.values.dumps(call, "the call")
        future = RemoteFuture(self, link)
        link.ask(kind, 0, 0, payload, buffers, future.pending)
        link.background.call_up()
        return future

    def submit_batch(self, function: Callable[..., Any], items: list[tuple[Any, ...]]) -> RemoteFuture:
        """Call a function for each of the tuples of arguments; the future's result is (results, failure or None)."""
        return self._submit(Kind.BATCH, (function, items))

    async def call_async(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """As ``call``, for coroutines; cancelling the task gives the call up."""
        import asyncio

        return await asyncio.wrap_future(self.submit(function, *args, **kwargs))

    def map(self, function: Callable[..., Any], *iterables: Iterable[Any]) -> Iterator[Any]:
        """As the built-in ``map``, at the other side: many calls in one message, some messages under way.

        Returns:
            an iterator of the results, in order. It takes from ``iterables`` as it goes, no more than a few thousand
            items ahead; closing it gives the rest up.
        """
        from winbridge.remote.mapping import mapped

        return mapped(self, function, iterables)

    def execute(self, source: str, /, **variables: Any) -> Any:
        """Execute statements in ``__main__`` of the other side.

        Args:
            source: Python code.
            variables: put there before.

        Returns:
            the value of the last statement if it is an expression, else None.
        """
        return self.call(operations.execute, source, variables)

    def eval(self, code: str, locs: dict[str, Any] | None = None, globs: dict[str, Any] | None = None) -> Any:
        """Evaluate an expression at the other side, or execute statements there.

        Args:
            code: Python code.
            locs: local names; None for the global ones.
            globs: global names; None for those of ``__main__``.

        Returns:
            the value of the expression, or of the last statement if that is one, else None.

        Raises:
            TypeError: ``code`` is no text, or ``locs`` or ``globs`` is neither None nor a dict.
        """
        operations.check_code(code, locs, globs)
        return self.call(operations.evaluate, code, locs, globs)

    def replicate(self, value: Any) -> Proxy:
        """Copy an object to the other side; a proxy of the copy comes back."""
        return self.call_ref(operations.identity, value)

    def export(self, *modules: Any) -> None:
        """Let the other side import modules of this one.

        Args:
            modules: top-level modules or packages, by name or as modules; ``__main__`` is one too.

        Raises:
            OperationError: the other side does not allow it: ``Options(accept_exported_modules=True)`` there does.
        """
        from winbridge.remote.export import export

        export(self, *modules)

    def output(self, future: RemoteFuture | None = None) -> Iterator[tuple[int, str]]:
        """What the other side prints, line by line as it comes.

        Args:
            future: only what its call prints, until it is done; None for everything, until the connection ends.

        Returns:
            an iterator of (1, line) for standard output, (2, line) for standard error.
        """
        if self._link is not None:
            self._link.background.call_up()
        if future is None:
            return self.outputs.lines(None, lambda: False)
        future.add_done_callback(lambda _: self.outputs.wake())
        return self.outputs.lines(future.pending.serial, future.done)

    def send_output(self, stream: int, data: bytes, serial: int = 0) -> None:
        """Bytes that were written here, for ``output`` of the other side.

        Args:
            stream: 1 for standard output, 2 for standard error.
            serial: of the request that wrote them (``link.serving.within()``), 0 if not known.
        """
        link = self._link or self.await_open()
        link.send(Kind.OUTPUT, stream, serial, 0, data)

    # -- life

    @property
    def peer(self) -> dict[str, str]:
        """What the other side told about itself: ``python``, ``platform``, ``pid``, ``host`` ..., as text."""
        return (self._link or self.await_open()).peer

    @property
    def link(self) -> Link:
        """The inner half; waits for the opening."""
        return self._link or self.await_open()

    def await_open(self) -> Link:
        """Wait until it is open.

        Raises:
            DisconnectError: it cannot be opened, or has ended.
        """
        self.life.await_open()
        assert self.life.link is not None
        return self.life.link

    def became_open(self, link: Link) -> None:
        """Called when the peer has introduced itself."""
        self._link = link
        self.values.meet(link.peer.get("platform", ""), link.most)

    def became_closed(self) -> None:
        """Called when it has ended, for whatever reason."""
        self._link = None

    def is_connected(self) -> bool:
        """Whether it is open, as far as one knows."""
        return self._link is not None

    def serve(self) -> None:
        """Open it, if that was not done, and execute the peer's requests in this thread too, until it ends.

        Raises:
            DisconnectError: it was being opened already, and that failed.
        """
        self.life.serve()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to so many seconds for it to end; whether it has."""
        return self.life.ended.wait(timeout)

    def cancel(self) -> None:
        """End it now: whatever is pending fails with DisconnectError. A process that it started is killed."""
        self.life.cancel(DisconnectError("the connection was cancelled"))

    def close(self) -> None:
        """Say goodbye, wait until everything is freed, and for the process that it started. Safe to repeat."""
        self.life.close()

    def __enter__(self) -> Connection:
        try:
            self.await_open()
        except BaseException:
            self.cancel()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.life.describe()}>"
