"""SessionEngine: the base of every session type.

A call comes down as a message, goes out through the calling thread's channel, and its record
comes back as a value or an exception::

    exchange ── this thread's channel ── transport ──▶ agent
       ▲                                                  │
       └────────── record, or failure(record) ◀───────────┘
"""

from __future__ import annotations

import atexit
import importlib
import itertools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, ClassVar, TypeVar

from winbridge.core import wire
from winbridge.core.callbacks import Callbacks
from winbridge.core.config import Config
from winbridge.core.errors import (
    AgentDiedError,
    CallTimeoutError,
    ConfigError,
    NoSessionError,
    SessionClosedError,
    WinbridgeError,
)
from winbridge.core.failure import failure
from winbridge.core.guard import Guard
from winbridge.core.heap import heap
from winbridge.core.history import USUAL_LENGTH, History
from winbridge.core.logs import configure_logging
from winbridge.core.memory import Memory
from winbridge.core.modules import Modules
from winbridge.core.sharing import Replica, ReplicatedChannel, map_heap
from winbridge.core.singleton import Singleton, registry
from winbridge.core.transport.contract import Arena, BusyChannelError, Channel, Transport
from winbridge.core.wire import MAX_ARENA, MAX_ARENA_32, Record

logger = logging.getLogger("winbridge.session")

Self = TypeVar("Self", bound="SessionEngine")
Engine = TypeVar("Engine", bound="type[SessionEngine]")

_numbers = itertools.count(1)
SETTABLE = {"history", "log_level", "log_file", "timeout_call", "timeout_stop"}
"""Parameters that ``set_parameter`` takes; the others count when the session is made."""


class SessionEngine(metaclass=Singleton):
    """A session: what stands between a program and Windows code somewhere.

    A subclass says in ``connect`` how its agent is reached. Making an instance opens the session. One that hosts no
    DLLs has another far side: it overrides ``begin``, ``end``, ``forsake``, ``alive``, ``state`` and ``exchange``, and
    has none of the attributes from ``memory`` on but ``on_close``.

    Args:
        config: parameters as a ``Config``; None takes the usual sources.
        **parameters: single parameters, over those of ``config``.

    Attributes:
        id: a text that names this session in logs.
        config: the parameters in force.
        history: the calls made (None unless the parameter ``history`` asks for it).
        memory: raw memory of the Windows side (``winbridge.core.memory.Memory``).
        modules: the DLLs of the Windows side (``winbridge.core.modules.Modules``).
        callbacks: functions that DLLs can call (``winbridge.core.callbacks.Callbacks``).
        arch: ``win64`` or ``win32``.
        uses_heap: whether objects in this process's heap may be given to it; where memory is not shared, the
            agent's copy is kept equal from then on.
        on_close: called, in order, when the session closes.
    """

    implicit: ClassVar[bool] = False
    """Whether ``current()`` may open a session of this type by itself."""

    hosts_dlls: ClassVar[bool] = True
    """Whether ``load_dll`` may choose a session of this type."""

    local: ClassVar[bool] = True
    """Whether the Windows side sees this machine's files."""

    separate: bool = False
    """Whether it was made by ``apart``, and is nobody's current session."""

    arch: str = "win64"

    behind: ClassVar[str] = "Windows process"
    """What it is lost with."""

    used_by: ClassVar[str] = "load_dll()"
    """What opens the implicit session of this type."""

    def __init__(self, config: Config | None = None, **parameters: Any) -> None:
        self.config = config.replace(**parameters) if config is not None else Config(**parameters)
        self.id = self.config.id or f"{type(self).__name__.lower().removesuffix('session')}-{next(_numbers)}"
        self.closed = False
        self._owner = os.getpid()
        self._lock = Guard("opening or closing")
        self._lost = False
        self.on_close: list[Callable[[], None]] = []
        configure_logging(self.config)
        self._remember_calls(self.config.history)
        started = time.perf_counter()
        self.begin()
        logger.info("%r opened in %.0f ms", self, 1000 * (time.perf_counter() - started))

    def begin(self) -> None:
        """Reach the far side; called once, when the session opens."""
        self._local = threading.local()
        self._channels: weakref.WeakSet[Any] = weakref.WeakSet()
        self._abandoned: list[Callable[[], bool]] = []
        self.memory = Memory(self)
        self.modules = Modules(self)
        self.callbacks = Callbacks(self)
        self.transport = self.connect()
        self.heap = heap(self.pointer_size)
        self._mapped = 0
        self._replica: Replica | None = None
        self.uses_heap = False

    def connect(self) -> Transport:
        """Reach the agent; called once, when the session opens. Subclasses override this."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to connect")

    def share_heap(self) -> None:
        """Let the agent see this process's heap (``winbridge.core.heap``), as far as it does not yet.

        Raises:
            ConnectError: it cannot be mapped there.
        """
        if self.transport.shares_memory:
            with self._lock:
                self._mapped = map_heap(self.transport, self.heap, self._mapped)

    # Exchange.

    def exchange(self, message: bytes, name: str = "") -> Record:
        """Send a request over this thread's channel and take its record.

        Args:
            message: see ``winbridge.core.wire.request``.
            name: what the history calls it.

        Returns:
            the record, its status OK (fields as in ``wire.Response``).

        Raises:
            WindowsFault: the function raised an exception; the session goes on.
            AgentDiedError: the Windows process ended; the session is closed.
            CallTimeoutError: it took longer than ``timeout_call``; the session goes on.
            SessionClosedError, TransportError, WireError.
        """
        if self._mapped != len(self.heap.segments):
            self.share_heap()
        try:
            channel = self._local.channel
        except AttributeError:
            channel = self.channel()
        try:
            record: Record = channel.exchange(message, self._timeout)
        except BusyChannelError:
            return self._exchange_beside(message)
        except RecursionError as error:
            if not channel.idle():
                self._give_up(channel, error)
            raise
        except BaseException as error:
            self._give_up(channel, error)
            raise
        if record[0]:
            record = self._settle(channel, record)
        return record

    def exchange_many(self, messages: list[bytes], name: str = "") -> Iterator[Record]:
        """Send requests that need no arena, in order; together, where the way to the agent is long.

        Args:
            messages: see ``exchange``.
            name: what the history calls each of them.

        Yields:
            their records.

        Raises:
            Exception: as of ``exchange``, in the place of a record; no request after it has been sent. Where the agent
                or the connection is lost, so may be records of requests before.
        """
        place = 0
        while place < len(messages):
            channel = self.channel()
            together = getattr(channel, "exchange_many", None)
            if together is None or self.history is not None:
                yield self.exchange(messages[place], name)
                place += 1
                continue
            try:
                records = together(messages[place:], self._timeout)
            except BaseException as error:
                self._give_up(channel, error)
                raise
            place += len(records)
            yield from records[:-1]
            yield self._settle(channel, records[-1]) if records[-1][0] else records[-1]

    def _exchange_beside(self, message: bytes) -> Record:
        """In a signal handler or a finaliser, in the middle of an exchange of this thread: on a channel of its own."""
        if not self.transport.shares_memory and any(wire.arena_of(message)[1:]):  # the other channel has another arena
            raise RuntimeError(f"over {self.transport.name} a signal handler cannot do this in the middle of a call")
        channel = self._open_channel()
        self._channels.add(channel)
        try:
            record = channel.exchange(message, self._timeout)
            return self._settle(channel, record) if record[0] else record
        finally:
            channel.close()

    def _settle(self, channel: Channel, record: Record) -> Record:
        """A record that is not OK: a callback first, or a failure."""
        try:
            record = self.callbacks.settle(channel, record, self._timeout)
        except BaseException as error:
            self._give_up(channel, error)
            raise
        if record[0]:
            raise failure(record, self.pointer_size)
        return record

    def channel(self) -> Channel:
        """This thread's channel, with its own Windows thread behind it; opened at first use.

        Raises:
            SessionClosedError: the session is closed.
        """
        found: Channel | None = getattr(self._local, "channel", None)
        if found is None:
            self._check_open()
            try:
                found = self._open_channel()
            except AgentDiedError:
                self._died()
                raise
            self._channels.add(found)
            self._local.channel = found
        return found

    def _open_channel(self) -> Channel:
        return self.replicated(self.transport, self.transport.channel(self._timeout))

    def replicated(self, transport: Transport, channel: Channel) -> Channel:
        """A channel that carries the heap too, where memory cannot be shared."""
        if transport.shares_memory:
            return channel
        return ReplicatedChannel(channel, self)

    def replica(self) -> Replica:
        """The agent's copy of the heap, where memory cannot be shared."""
        with self._lock:
            if self._replica is None:
                self._replica = Replica(self.heap, self.transport.channel(), self.pointer_size)
            return self._replica

    def reserve(self, size: int) -> Arena:
        """This thread's arena, with at least ``size`` bytes free from its top on.

        Raises:
            MemoryError: the Windows side has no room for it.
            AgentDiedError, SessionClosedError, TransportError: as of ``exchange``.
        """
        channel = self.channel()
        if size > (MAX_ARENA if self.pointer_size == 8 else MAX_ARENA_32):
            raise MemoryError(f"{size} bytes of arguments are more than a {self.arch} process can take in one call")
        try:
            channel.reserve(size, self._timeout)
        except MemoryError:
            raise
        except BaseException as error:
            self._give_up(channel, error)
            raise
        return channel.arena

    def _give_up(self, channel: Channel, error: BaseException) -> None:
        """A channel that raised is in the middle of a call: nothing more can be said on it."""
        if self._local.__dict__.get("channel") is channel:  # else a call in its callback has given it up already
            del self._local.channel
            if isinstance(error, CallTimeoutError | KeyboardInterrupt):
                self._abandoned.append(channel.abandon())
        channel.close()
        if isinstance(error, AgentDiedError) and (self._lost or not self.closed):
            self._died()
        elif self.closed:
            raise self._closed_error() from error

    def _recorded_exchange(self, message: Any, name: str = "") -> Any:
        history = self.history
        assert history is not None
        started = time.perf_counter()
        try:
            record = type(self).exchange(self, message, name)
        except BaseException as error:
            history.add(name, started, type(error).__name__)
            raise
        history.add(name, started, "ok")
        return record

    # Life.

    @property
    def up(self) -> bool:
        """Whether the session is open and its far side is there."""
        return not self.closed and self.alive()

    def alive(self) -> bool:
        """Whether the agent is there."""
        return self.transport.up()

    @property
    def abandoned(self) -> int:
        """Calls that were given up (``timeout_call``, Ctrl-C) and have not returned yet: so many Windows threads are
        still in them. They end with the session."""
        self._abandoned = [waits for waits in self._abandoned if waits()]
        return len(self._abandoned)

    @property
    def name(self) -> str:
        """Type and id, for people."""
        return f"{type(self).__name__} {self.id!r}"

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer on the Windows side."""
        return self.transport.pointer_size

    @property
    def scope(self) -> str:
        """``process`` or ``thread``: who may use it without having made it."""
        return self.config.scope

    def close(self) -> None:
        """End the session: its channels, then its agent. Safe to repeat.

        Calls of other threads that are under way raise ``SessionClosedError``.
        """
        with self._lock:
            if self.closed:
                return
            self.closed = True
        registry.remove(self)
        for callback in self.on_close:
            callback()
        self.end()
        logger.info("%s closed", self.name)

    def end(self) -> None:
        """Leave the far side; called once, when the session closes."""
        self.transport.close(self.config.timeout_stop)
        self._abandoned.clear()
        self._close_channels()
        self.callbacks.close()

    def _died(self) -> None:
        if self.closed:
            return
        self._lost = True
        logger.warning("%s lost its %s", self.name, self.behind)
        if not self.separate:
            registry.again[type(self).__metakey__] = self.__arguments__
        self.close()

    __arguments__: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def _close_channels(self) -> None:
        """Channels that a thread waits on end by the agent's death, so that no memory goes away under it."""
        own = self._local.__dict__.pop("channel", None)
        if own is not None:
            own.close()

    def disown(self) -> None:
        """In a forked child: close what was inherited. The session belongs to the parent."""
        self.closed = True
        self._lock = Guard("closing")  # another thread may have held it at the fork
        self.forsake()

    def forsake(self) -> None:
        """In a forked child: close what was inherited of the way to the far side, without a word to it."""
        self._abandoned.clear()
        for channel in list(self._channels):
            channel.close()
        self.transport.disown()

    def _check_open(self) -> None:
        if self.closed:
            raise self._closed_error()

    def _closed_error(self) -> WinbridgeError:
        if self._owner != os.getpid():
            return SessionClosedError(f"{self.name} belongs to the parent process; a forked child opens its own")
        return SessionClosedError(f"{self.name} is closed: open another one, or use the implicit one by {self.used_by}")

    def __enter__(self: Self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.closed:
            return f"<{self.name} closed>"
        return f"<{self.name} {'up' if self.up else 'down'}, {self.state()}>"

    def state(self) -> str:
        """How it is, for the status line."""
        channels = len(self._channels)
        stuck = f", {self.abandoned} abandoned calls" if self.abandoned else ""
        carrier = f"{self.transport.name}, {self.transport.describe()}"
        return f"{self.arch}, {carrier}, {channels} channel{'s' * (channels != 1)}{stuck}"

    def load_dll(self, name: str | os.PathLike[str], **options: Any) -> Any:
        """Load a DLL that is tied to this session; see ``winbridge.load_dll`` for name and options.

        This is the one place where the core reaches up: a session hands out its DLLs, but does not
        know what they are.
        """
        return importlib.import_module("winbridge.dll.load").load_dll(name, session=self, **options)

    def batch(self) -> Any:
        """Calls that are sent together: ``with session.batch() as batch: later = batch.call(function, ...)``.

        Over a gateway, a thousand calls are one request. Elsewhere it works too, and is no faster than the calls.

        Returns:
            a ``winbridge.dll.many.batch.Batch``; its ``call`` gives what has the ``result()`` after the block.
        """
        return importlib.import_module("winbridge.dll.many.batch").Batch(self)

    # Parameters.

    def get_parameter(self, name: str) -> Any:
        """The value of a parameter.

        Raises:
            ConfigError: there is no such parameter.
        """
        self.config.source(name)
        return getattr(self.config, name)

    def set_parameter(self, name: str, value: Any) -> None:
        """Change a parameter of the running session.

        Args:
            name: one of ``SETTABLE``; the others only count when a session is made.
            value: checked as in ``Config``.

        Raises:
            ConfigError: unknown, not changeable, or a bad value.
        """
        self.config.source(name)
        if name not in SETTABLE:
            raise ConfigError(
                f"{name} counts when a session is made; {self.name} is running."
                f" Use {type(self).__name__}.new_session({name}={value!r})"
            )
        self.config = self.config.replace(**{name: value})
        if name in ("log_level", "log_file"):
            configure_logging(self.config)
        if name == "history":
            self._remember_calls(self.config.history)

    @property
    def config(self) -> Config:
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        self._config = config
        self._timeout = config.timeout_call

    def _remember_calls(self, length: int | bool) -> None:
        """With a history, ``exchange`` is another function: without one it costs nothing."""
        length = USUAL_LENGTH if length is True else int(length)
        self.history = History(length) if length else None
        if length:
            self.exchange = self._recorded_exchange  # type: ignore[method-assign]
        else:
            self.__dict__.pop("exchange", None)

    # Sessions without passing them around.

    @classmethod
    def get_session(cls: type[Self]) -> Self | None:
        """This thread's session of this type, else the process-wide one, else None."""
        found: Self | None = registry.current(cls.__metakey__)
        return found

    @classmethod
    def current(cls: type[Self]) -> Self:
        """Like ``get_session``, but opens the implicit session where there is none.

        Raises:
            NoSessionError: this type never opens by itself.
        """
        found = cls.get_session()
        if found is None and not cls.implicit:
            raise NoSessionError(
                f"no {cls.__name__} is open in this thread: make one first, for example {cls.__name__}()"
            )
        return found if found is not None else cls._implicit(Config().scope)

    @classmethod
    def new_session(cls: type[Self], *args: Any, **kwargs: Any) -> Self:
        """Close this thread's session of this type, if any, and open another."""
        cls.close_session()
        fresh: Self = cls(*args, **kwargs)
        return fresh

    @classmethod
    def close_session(cls: type[Self]) -> Self | None:
        """Close this thread's session of this type (the main thread's includes the process-wide one).

        Returns:
            the closed session, or None if there was none.
        """
        found: Self | None = registry.here(cls.__metakey__)
        if found is not None:
            found.close()
        return found

    @classmethod
    def close_all(cls) -> None:
        """Close every session of this type and its subclasses, of all threads."""
        for session in registry.snapshot():
            if isinstance(session, cls):
                session.close()


atexit.register(SessionEngine.close_all)
