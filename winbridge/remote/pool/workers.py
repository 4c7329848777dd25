"""The worker processes of a pool: started, watched, replaced, ended."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading

from winbridge.core.errors import AgentStartError, WinbridgeError
from winbridge.remote.pool.limits import Limits
from winbridge.remote.servers import children

logger = logging.getLogger("winbridge.remote.pool")

START = 30.0
"""Seconds that a Python may take until it can take sessions."""

PAUSE = 1.0
"""Seconds before another is started in the place of one that never was ready."""

READY = b"r"
"""What a worker sends first."""


class WorkerLostError(WinbridgeError):
    """There is no worker for a session."""


class Worker:
    """One process.

    Args:
        number: its place in the pool, from 1.
        limits: what its sessions may use.

    Attributes:
        sessions: how many it has.
        ready: whether it could ever take sessions.
        ended: set when it has ended.
        outcome: how it ended, for messages.
    """

    def __init__(self, number: int, limits: Limits) -> None:
        self.number = number
        self.sessions = 0
        self.ready = False
        self.ended = threading.Event()
        self.outcome = ""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = children.start(
                "winbridge.remote.pool.worker", [theirs.fileno()], str(theirs.fileno()), str(limits.message)
            )
        self.watch = os.pidfd_open(self._process.pid)

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self._process.pid})"

    def wait_ready(self) -> None:
        """Until it can take sessions.

        Raises:
            AgentStartError: it ended before, or takes too long.
        """
        self._control.settimeout(START)
        try:
            self.ready = self._control.recv(1) == READY
        except OSError:
            self.ready = False
        if not self.ready:
            raise AgentStartError(f"{self} did not start within {START:g} s: its errors stand on standard error")

    def give(self, session: str, sock: socket.socket) -> None:
        """Hand it a session's end of a socket pair.

        Raises:
            OSError: it has ended.
        """
        socket.send_fds(self._control, [session.encode()], [sock.fileno()])

    def kill(self) -> None:
        """End it now, with what it has started."""
        if not self.ended.is_set():
            children.kill(self._process)

    def bury(self) -> None:
        """Take note of how it ended, when it has; nothing that it has started stays."""
        if not self.ended.is_set():
            self.kill()
            self.ready = self.ready or self._was_ready()
            self.outcome = f"{self} ended: {children.outcome(self._process.wait())}"
            os.close(self.watch)
            self._control.close()
            self.ended.set()

    def _was_ready(self) -> bool:
        self._control.setblocking(False)
        try:
            return self._control.recv(1) == READY
        except OSError:
            return False


class Workers:
    """All of them, with the thread that keeps them. They end with that thread at the latest, whatever ends it.

    Args:
        count: how many there are.
        limits: what sessions may use.

    Raises:
        AgentStartError: one does not start.
    """

    def __init__(self, count: int, limits: Limits) -> None:
        self._limits = limits
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._started = threading.Event()
        self._failure: Exception | None = None
        self._wake, self._waker = socket.socketpair()
        self._workers: list[Worker] = []
        self._keeper = threading.Thread(target=self._keep, args=(count,), name="winbridge-pool-keeper", daemon=True)
        self._keeper.start()
        self._started.wait()
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            self.close()
            raise self._failure

    def take(self) -> Worker:
        """The one with the fewest sessions, which has one more now.

        Raises:
            WorkerLostError: all have ended, and none can be started in their place.
        """
        with self._changed:
            if not self._changed.wait_for(self._living, START):
                raise WorkerLostError("no worker of the pool is there")
            worker = min(self._living(), key=lambda worker: worker.sessions)
            worker.sessions += 1
            return worker

    def _living(self) -> list[Worker]:
        return [worker for worker in self._workers if not worker.ended.is_set()]

    def give_back(self, worker: Worker) -> None:
        """It has one session less."""
        with self._changed:
            worker.sessions -= 1

    def close(self) -> None:
        """End all."""
        self._closing.set()
        self._waker.send(b".")
        self._keeper.join()

    def _keep(self, count: int) -> None:
        try:
            self._start_all(count)
            while not self._closing.is_set():
                self._watch()
        finally:
            self._started.set()
            for worker in self._workers:
                worker.kill()
                worker.bury()
            self._wake.close()
            self._waker.close()

    def _start_all(self, count: int) -> None:
        try:
            for number in range(1, count + 1):
                self._workers.append(Worker(number, self._limits))
            for worker in self._workers:
                worker.wait_ready()
                logger.info("%s is ready", worker)
        except (AgentStartError, OSError) as error:
            self._failure = error
        self._started.set()

    def _watch(self) -> None:
        """Wait until one ends, and start another in its place."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        places = {worker.watch: place for place, worker in enumerate(self._workers)}
        for descriptor in places:
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll():
            if descriptor in places and not self._closing.is_set():
                self._replace(places[descriptor])

    def _replace(self, place: int) -> None:
        worker = self._workers[place]
        worker.bury()
        logger.error("%s; another takes its place", worker.outcome)
        if not worker.ready:
            self._pause()
        while not self._closing.is_set():
            try:
                another = Worker(worker.number, self._limits)
            except OSError as error:
                logger.error("worker %d cannot be started: %s", worker.number, error)
                self._pause()
            else:
                with self._changed:
                    self._workers[place] = another
                    self._changed.notify_all()
                return

    def _pause(self) -> None:
        """What fails at once would otherwise fail again and again, as fast as it can."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.poll(1000 * PAUSE)
