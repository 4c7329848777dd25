"""The sessions of a pool: each a client with its place on a worker."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time

from winbridge.remote import protocol
from winbridge.remote.errors import DisconnectError
from winbridge.remote.pool.limits import Limits
from winbridge.remote.pool.workers import Worker
from winbridge.remote.protocol import PREAMBLE
from winbridge.remote.servers.admission import Admitted
from winbridge.remote.servers.relay import ANY_SIZE, End, Head, Relay, bye

logger = logging.getLogger("winbridge.remote.pool")

PATIENCE = 1.0
"""Seconds that a client gets to take the last word and close."""


class Session:
    """One client's session.

    Args:
        admitted: the client.
        client: its address, for the log.
        worker: where the code runs.
        limits: what it may use.
        patience: seconds that the client may take for its HELLO.
    """

    def __init__(self, admitted: Admitted, client: str, worker: Worker, limits: Limits, patience: float) -> None:
        self._patience = patience
        self.id = secrets.token_hex(6)
        self.worker = worker
        self._limits = limits
        self._name = client
        ours, theirs = socket.socketpair()
        self._client, self._inner = End(admitted.sock), End(ours)
        self._draining = False
        self._ending = threading.Lock()
        self._ended: float | None = None
        self._calls = 0
        self._opened = self._touched = time.monotonic()
        self._forward = Relay(self._client, self._inner, limits.message, self._objection, self._touch)
        try:
            with theirs:
                worker.give(self.id, theirs)
            self._introduce(admitted.preamble)
        except OSError:
            self._inner.close()
            raise

    def _introduce(self, preamble: bytes) -> None:
        """Tell the worker what the client speaks; its answer is the same that we gave to the client already."""
        _, oldest, newest, *_ = PREAMBLE.unpack(preamble)
        self._inner.send(protocol.preamble(0, oldest, newest))

    def run(self) -> None:
        """Pass on what client and worker say, until one of them ends."""
        logger.info("session %s: opened for %s on %s", self.id, self._name, self.worker)
        back = threading.Thread(target=self._back, name=f"winbridge-pool {self.id}", daemon=True)
        back.start()
        try:
            if self._forth():
                back.join(2 * PATIENCE)
        finally:
            self.end("")
            back.join()
            self._client.linger()
            self._inner.close()
            logger.info("session %s: closed after %d calls", self.id, self._calls)

    def _forth(self) -> bool:
        """Until the client ends; whether the other direction knows more: the worker's goodbye, or what became of it."""
        try:
            said_bye = self._forward.run()
            if not said_bye and self._ended is None:
                logger.error("session %s: its client went away without a word", self.id)
            return said_bye
        except DisconnectError as error:
            if self._ended is None:
                logger.error("session %s: %s: the client: %s", self.id, type(error).__name__, error)
                self.end(f"the pool closed session {self.id}: {error}")
        except OSError as error:
            logger.debug("session %s: %s", self.id, error)
            return True
        return False

    def _back(self) -> None:
        relay = Relay(self._inner, self._client, ANY_SIZE, self._objection_to_answer, self._touch)
        reason = ""
        try:
            self._inner.take(PREAMBLE.size)
            if not relay.run():
                reason = self._loss()
        except (DisconnectError, OSError) as error:
            reason = self._loss() or str(error)
        self.end(reason)

    def _loss(self) -> str:
        """Why the worker said nothing more; empty if only this session of it ended."""
        if self._ended is not None or self._forward.said_bye or not self.worker.ended.wait(PATIENCE):
            return ""
        return f"session {self.id} is lost: {self.worker.outcome}; open another"

    def end(self, reason: str) -> None:
        """Tell the client why this is the end, and end; calls under way fail with that. Only the first reason counts.

        Args:
            reason: empty if the worker or the client has said it.
        """
        with self._ending:
            if self._ended is not None:
                return
            self._ended = time.monotonic()
        if reason:
            logger.info("session %s: %s", self.id, reason)
        self._client.say_last(bye(reason) if reason else b"")
        self._inner.shut()

    def cut(self) -> None:
        """End now, whatever the client does."""
        self._client.shut()
        self._inner.shut()

    def drain(self) -> None:
        """Refuse new calls; end when those under way have."""
        self._draining = True
        self.look()

    def look(self) -> None:
        """End if it is time."""
        now = time.monotonic()
        if self._ended is not None:
            if now - self._ended > PATIENCE:
                self.cut()
        elif self._stuck(now):
            self.end(f"the pool closed session {self.id}: it has taken nothing for {self._limits.idle:g} s")
        elif not self._forward.greeted and now - self._opened > self._patience:
            logger.error("session %s: its client did not introduce itself in time", self.id)
            self.end(f"no HELLO within {self._patience:g} s")
        elif self._busy():
            return
        elif self._draining:
            self.end(f"the pool is ending, and session {self.id} with it")
        elif now - self._touched > self._limits.idle:
            self.end(f"the pool closed session {self.id}: idle for more than {self._limits.idle:g} s, its limit")

    def _stuck(self, now: float) -> bool:
        since = self._client.sending_since
        return since is not None and now - since > self._limits.idle

    def _busy(self) -> bool:
        return self._client.busy or self._inner.busy

    def _touch(self) -> None:
        self._touched = time.monotonic()

    def _objection(self, head: Head) -> str:
        """Why a question of the client is not passed on."""
        if head.answers:
            return ""
        if self._draining and not head.within:
            return f"the pool is ending: session {self.id} takes no new calls"
        if len(self._client.asked) >= self._limits.calls:
            return f"session {self.id} has {self._limits.calls} calls under way, the pool's limit; wait for one to end"
        self._calls += 1
        return ""

    def _objection_to_answer(self, head: Head) -> str:
        if head.body <= self._limits.message:
            return ""
        return f"the result is a message of {head.body} bytes, the pool's limit is {self._limits.message}; fetch parts"
