"""Is the peer still there? Asked of those on other machines, whose end nothing else tells of.

One thread for all connections of the process. It also sees to it that the peers hear of proxies that died, if there
is no other message to tell them with.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from winbridge.remote.errors import DisconnectError, OperationError
from winbridge.remote.handshake import host
from winbridge.remote.protocol import Kind

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection
    from winbridge.remote.link import Link
    from winbridge.remote.options import Options

PAUSE = 0.5
"""Seconds between two looks, at most."""


class Pulse:
    """What is known of one peer."""

    def __init__(self, link: Link, options: Options) -> None:
        self._link = link
        self._far = link.peer.get("host") != host()
        self._lost_after = options.timeout
        self._ask_after = options.timeout / 3 if options.heartbeat is None else options.heartbeat
        self._seen = -1
        self._heard = self._asked = time.monotonic()
        self.pause = min(PAUSE, self._ask_after / 2) if self._far else PAUSE

    def look(self, now: float) -> None:
        """Ask the peer if it is silent, give it up if it stays so."""
        link = self._link
        if link.reader.received != self._seen:
            self._seen, self._heard = link.reader.received, now
        elif self._far and now - self._heard > self._lost_after:
            silence = now - self._heard
            link.fail(DisconnectError(f"{link.carrier.name}: the peer is lost: nothing of it for {silence:.1f} s"))
        elif self._far and now - max(self._heard, self._asked) > self._ask_after:
            self._asked = now
            link.try_send(Kind.PING)
        link.try_flush()


class Heart:
    """The thread, and what it looks after."""

    def __init__(self) -> None:
        self._pulses: weakref.WeakKeyDictionary[Connection, Pulse] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._process = 0

    def add(self, connection: Connection, link: Link) -> None:
        """Look after another connection, until it ends."""
        with self._lock:
            self._pulses[connection] = Pulse(link, connection.options)
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(target=self._beat, name="winbridge-remote-heart", daemon=True).start()

    def _beat(self) -> None:
        pause = PAUSE
        while True:
            time.sleep(pause)
            with self._lock:
                pulses = list(self._pulses.items())
                if not pulses:
                    self._process = 0
                    return
            pause = min(pulse.pause for _, pulse in pulses)
            for connection, pulse in pulses:
                self._look(connection, pulse)
            del pulses, connection, pulse

    def _look(self, connection: Connection, pulse: Pulse) -> None:
        try:
            if not connection.is_connected():
                with self._lock:
                    self._pulses.pop(connection, None)
            else:
                pulse.look(time.monotonic())
        except OperationError:  # it ends just now
            pass

    def forget(self) -> None:
        """In a forked child, which has no such thread."""
        self._lock = threading.Lock()
        self._process = 0
        self._pulses = weakref.WeakKeyDictionary()


heart = Heart()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=heart.forget)
