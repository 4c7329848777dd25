"""The gateway's sessions: each an agent of its own, with the channels that its client opened."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

from winbridge.core import wire
from winbridge.core.config import Config
from winbridge.core.transport.contract import Channel
from winbridge.core.transport.gatewayjson import Arch, SessionOpened
from winbridge.core.transport.local import open_transport
from winbridge.core.transport.problem import Kind
from winbridge.gateway.channels import HostedChannel
from winbridge.gateway.frames import OVERHEAD
from winbridge.gateway.logs import logger
from winbridge.gateway.metrics import Metrics, Sample, memory_of
from winbridge.gateway.problems import Problem


class Limits(NamedTuple):
    """What clients may use."""

    sessions: int = 16
    channels: int = 64
    """Of one session: as many threads of a client can be in calls at once."""
    calls: int = 64
    """Under way at once, of all sessions; each holds a thread of the gateway."""
    body: int = 64 << 20
    """Bytes of a request; arenas are kept so small that no client that follows the rules gets there."""
    idle_timeout: float = 600.0
    """Seconds without a request after which a session is closed."""
    drain: float = 5.0
    """Seconds that calls under way get to end in when the gateway ends."""

    @property
    def arena(self) -> int:
        """Bytes of one arena: what a body can carry."""
        return self.body - OVERHEAD


class HostedSession:
    """One client's session.

    Args:
        config: the gateway's parameters for its agents.
        arch: of the agent.
        limits: what it may use.
    """

    def __init__(self, config: Config, arch: Arch, limits: Limits) -> None:
        self.id = secrets.token_urlsafe(12)
        self.arch = arch
        self.users = 0
        self.died = False
        self.touched = 0.0
        self.dlls: dict[int, str] = {}
        self.calls = 0
        self._config = config
        self._limits = limits
        self._lock = threading.Lock()
        self._channels: dict[int, HostedChannel] = {}
        self._numbers = 0
        self._transport, first = open_transport(config, arch)
        self._ready: list[Channel] = [first]

    def describe(self) -> SessionOpened:
        """What a client has to know of it."""
        size: Literal[4, 8] = 8 if self._transport.pointer_size == 8 else 4
        return SessionOpened(id=self.id, arch=self.arch, pointer_size=size, wire_version=wire.VERSION)

    def sample(self, now: float) -> Sample:
        """What it is like now."""
        memory = memory_of(self._transport.link.agent.process.pid)
        names = sorted(set(self.dlls.values()))
        idle = 0.0 if self.users else now - self.touched
        return Sample(self.id[:4], self.arch, self.calls, len(self._channels), self.users, idle, names, memory)

    def open_channel(self) -> HostedChannel:
        """Open a channel.

        Raises:
            Problem: it has as many as it may.
            WinbridgeError: as of ``Transport.channel``.
        """
        with self._lock:  # also while it opens: else two could take the last place
            if len(self._channels) >= self._limits.channels:
                raise Problem(Kind.TOO_MANY, f"the session has {self._limits.channels} channels: close some first")
            self._numbers += 1
            channel = self._ready.pop() if self._ready else self._transport.channel()
            hosted = self._channels[self._numbers] = HostedChannel(self._numbers, channel, self.dlls)
            return hosted

    def channel(self, number: int) -> HostedChannel:
        """One of its channels.

        Raises:
            Problem: there is none of that number.
        """
        found = self._channels.get(number)
        if found is None:
            raise Problem(Kind.NO_CHANNEL, f"the session has no channel {number}: it was closed, or never was")
        return found

    @property
    def busy(self) -> bool:
        """Whether a call is under way in it."""
        return any(channel.in_call for channel in list(self._channels.values()))

    def close_channel(self, channel: HostedChannel) -> None:
        """Close a channel, also in the middle of a call; safe to repeat."""
        self._channels.pop(channel.number, None)
        channel.close()

    def close(self) -> None:
        """End the agent; calls under way end with it. Safe to repeat."""
        self._transport.close(self._config.timeout_stop)
        for channel in list(self._channels.values()):
            self.close_channel(channel)
        while self._ready:
            self._ready.pop().close()


class Sessions:
    """All sessions of a gateway.

    Args:
        limits: what clients may use.
        config: parameters of the agents; None takes the usual sources.
        clock: seconds, from anywhere.
    """

    def __init__(
        self, limits: Limits, config: Config | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self._config = config if config is not None else Config()
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, HostedSession] = {}
        self._opening = 0
        self._closing = False
        self.metrics = Metrics()
        self.metrics.watch(self.samples)

    def samples(self) -> list[Sample]:
        """What each session is like now."""
        now = self._clock()
        return [session.sample(now) for session in list(self._sessions.values())]

    def open(self, arch: Arch) -> HostedSession:
        """Start a session.

        Raises:
            Problem: there are as many as there may be, or the gateway is closing.
            AgentStartError: Wine or its prefix is at fault.
        """
        self.expire()
        with self._place():
            session = HostedSession(self._config, arch, self.limits)
            with self._lock:
                session.touched = self._clock()
                if not self._closing:
                    self._sessions[session.id] = session
                    self.metrics.opened(arch)
                    logger.info("session %s opened, %s", session.id, arch)
                    return session
            session.close()
            raise _closing()

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        """A place among the sessions, kept while one is started."""
        with self._lock:
            self.check_open()
            if len(self._sessions) + self._opening >= self.limits.sessions:
                raise Problem(Kind.TOO_MANY, f"all {self.limits.sessions} sessions of the gateway are in use")
            self._opening += 1
        try:
            yield
        finally:
            with self._lock:
                self._opening -= 1

    @contextlib.contextmanager
    def use(self, name: str) -> Iterator[HostedSession]:
        """A session, which does not expire meanwhile.

        Raises:
            Problem: there is none of that name.
        """
        with self._lock:
            session = self._sessions.get(name)
            if session is None or self._expired(session):
                raise self.missing(name)
            session.users += 1
        try:
            yield session
        finally:
            with self._lock:
                session.users -= 1
                session.touched = self._clock()

    def missing(self, name: str) -> Problem:
        """The answer where a session is not there (any more)."""
        idle = f"{self.limits.idle_timeout:g} s"
        return Problem(
            Kind.NO_SESSION,
            f"there is no session {name}: it was closed, or expired after {idle} without a request; open another",
        )

    def _expired(self, session: HostedSession) -> bool:
        return not session.users and self._clock() - session.touched > self.limits.idle_timeout

    def expire(self) -> None:
        """Close the sessions that nobody has used for long."""
        with self._lock:
            expired = [session for session in self._sessions.values() if self._expired(session)]
        for session in expired:
            self.close(session, "expired")

    def bury(self, session: HostedSession) -> bool:
        """Close a session whose agent ended; False if it ended because the session was being closed."""
        with self._lock:
            session.died = session.died or session.id in self._sessions
        self.close(session, "died")
        return session.died

    def close(self, session: HostedSession, reason: str = "closed") -> None:
        """Close a session; safe to repeat.

        Args:
            session: which one.
            reason: what log and figures call the reason.
        """
        with self._lock:
            known = self._sessions.pop(session.id, None)
        if known is not None:
            session.close()
            self.metrics.ended(reason)
            logger.info("session %s ended: %s", session.id, reason)

    def drain(self) -> None:
        """Begin no session and no call any more; those that there are go on."""
        with self._lock:
            self._closing = True

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return any(session.busy for session in list(self._sessions.values()))

    def check_open(self) -> None:
        """See that something may begin.

        Raises:
            Problem: the gateway is closing.
        """
        if self._closing:
            raise _closing()

    def close_all(self) -> None:
        """Close every session, all at once, and open no others."""
        self.drain()
        with self._lock:
            sessions = list(self._sessions.values())
        if sessions:
            with ThreadPoolExecutor(len(sessions), "winbridge-gateway-close") as pool:
                list(pool.map(self.close, sessions, ["shutdown"] * len(sessions)))

    def __len__(self) -> int:
        return len(self._sessions)


def _closing() -> Problem:
    return Problem(Kind.CLOSING, "the gateway is closing; try again when it is back")
