"""Threads that read a connection when nobody waits for an answer, and that execute the peer's requests.

Each of them is in one of four roles, and changes them:

- the one that reads executes what it has read itself, without waking another thread;
- one *watches*: it is not woken for each request, but looks every few milliseconds whether nobody reads any more,
  because a request takes long or because a user's thread has got its answer, and takes over then;
- some execute requests that user's threads have read;
- few are spare, and end after some seconds.

One of them is at *home*: as long as it is free it executes all requests, whoever has read them. So what belongs to a
thread (COM's interfaces, windows, connections of sqlite3) is met by the next request.
"""

from __future__ import annotations

import _thread
import contextlib
import itertools
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from winbridge.remote.waiting import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from winbridge.remote.reading import Reading, Work

TICK = 0.005
"""Seconds between two looks of the watching thread: how long a request may block the reading of others."""

QUIET = 20
"""After so many looks at which all was as before, it sleeps until it is called."""

SPARE_TIME = 3.0
"""Seconds that a spare thread stays."""

numbers = itertools.count(1)


class Home(Turn):
    """What the thread at home reads for.

    Attributes:
        thread: its identifier.
    """

    thread = 0


class Background:
    """The threads of one connection.

    Args:
        reading: the turn to read.

    Attributes:
        home: what the thread at home reads for, see above.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._watching = _thread.allocate_lock()
        self._alarm = _thread.allocate_lock()
        self._alarm.acquire()
        self._urgent = self._over = False
        self._jobs: SimpleQueue[Work] = SimpleQueue()
        self._spares = 0
        self._counting = threading.Lock()
        self._busy: set[int] = set()
        self._home_waits = self._home_watches = False
        self.home = Home()
        self.threads: set[threading.Thread] = set()
        reading.deserted = self._ring

    def run_here(self) -> None:
        """Make the calling thread one of them, the one at home."""
        self.home = home = Home()
        home.thread = _thread.get_ident()
        self.threads.add(threading.current_thread())
        self._until_end(lambda: self.run(home))

    def _start(self, target: Callable[[], Any]) -> None:
        thread = threading.Thread(target=self._until_end, args=(target,), daemon=True)
        thread.name = f"winbridge-remote-{next(numbers)}"
        self.threads.add(thread)
        thread.start()

    def _until_end(self, target: Callable[[], Any]) -> None:
        try:
            target()
        except BaseException as error:  # nobody else would ever hear of it
            self._reading.broken(error)
            raise
        finally:
            self.threads.discard(threading.current_thread())

    def run(self, own: Turn | None = None, watch: bool = False) -> None:
        """Be one of the threads, until the connection ends or there are enough of them.

        Args:
            own: what the thread reads for.
            watch: whether to begin with watching.
        """
        own = own or Turn()
        while not self._over:
            work = None if watch else self._next(own)
            if work is not None:
                self._do(work)
            elif not self._watch(own) and not self._wait_for_job():
                return
            watch = False

    def _next(self, own: Turn) -> Work | None:
        if not own.free:  # nobody sends us anything before this
            own.free = not own.requests
        if own is not self.home and self._jobs.qsize():
            with contextlib.suppress(Empty):
                return self._jobs.get_nowait()
        own.answer = None
        return own.take() or self._reading.try_to_lead(own)[1] or own.take()

    def sent_home(self, work: Work) -> bool:
        """Let the thread at home do some work if it is free; whether it does. Only who reads calls this."""
        with self._counting:
            if not self.home.free:
                return False
            self.home.free = False
            self.home.hand(work)
        if self._home_watches:
            self._ring()
        return True

    def goes_on(self) -> None:
        """The calling thread executes another request at once; if it is at home, others do what was sent there."""
        if _thread.get_ident() == self.home.thread:
            with self._counting:
                self.home.free = False
                work = self.home.take()
            if work is not None:
                self.hand_over(work)

    def _do(self, work: Work) -> None:
        if not self._watching.locked():
            if self._spares:
                self._jobs.put((_nothing, None))  # who takes that looks then for something to do
            else:
                self._start(lambda: self.run(watch=True))
        if self._busy and self._reading.more():
            self.call_up()
        self._execute(work)

    def _execute(self, work: Work) -> None:
        me = _thread.get_ident()
        self._busy.add(me)
        try:
            work[0](work[1])
        finally:
            self._busy.discard(me)

    def _watch(self, own: Turn) -> bool:
        """Wait until there is a turn to take; False if another thread does that already, or the one at home will."""
        at_home = own is self.home
        if at_home:
            self._watch_at_home()
        elif self._home_waits or not self._watching.acquire(False):
            return False
        try:
            quiet = 0
            while not (self._over or own.requests or self._home_waits):
                seen = self._reading.turns
                self._look(quiet < QUIET)
                if self._urgent or not (self._reading.led() or self._reading.turns != seen):
                    self._urgent = False
                    break
                quiet = quiet + 1 if self._reading.turns == seen else 0
        finally:
            if at_home:
                self._home_watches = False
            self._watching.release()
        return True

    def _watch_at_home(self) -> None:
        if not self._watching.acquire(False):
            self._home_waits = True
            self._ring()  # for who watches
            self._watching.acquire()
            self._home_waits = False
        self._home_watches = True

    def _look(self, soon: bool) -> None:
        if soon:
            self._alarm.acquire(True, TICK)
            return
        self._reading.asleep = True
        if self._reading.led() and not self._over:
            self._alarm.acquire()
            if not (self._over or self._urgent or self.home.requests or self._home_waits):
                self._alarm.acquire(True, TICK)  # who called may be back at once
        self._reading.asleep = False

    def call_up(self) -> None:
        """Somebody has to read now."""
        if not self._reading.led():
            self._urgent = True
            self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # it rings already
            self._alarm.release()

    def hand_over(self, work: Work) -> None:
        """Do some work in one of the threads, or in another one."""
        with self._counting:
            self._jobs.put(work)
            if self._spares >= self._jobs.qsize():
                return
        self._start(self.run)

    def _wait_for_job(self) -> bool:
        with self._counting:
            self._spares += 1
        try:
            work = self._jobs.get(timeout=SPARE_TIME)
        except Empty:
            return self._jobs.qsize() > 0
        finally:
            with self._counting:
                self._spares -= 1
        if not self._over:
            self._execute(work)
        return True

    def stop(self) -> None:
        """Let all threads end that have nothing to execute."""
        self._over = True
        self._ring()
        for _ in list(self.threads):
            self._jobs.put((_nothing, None))

    def join(self, deadline: float | None, clock: Callable[[], float]) -> bool:
        """Wait for the threads to end, except for the calling one; whether they did by the deadline."""
        me = threading.current_thread()
        for thread in [each for each in self.threads if each is not me and each.ident is not None]:
            thread.join(None if deadline is None else max(0.0, deadline - clock()))
        return not [each for each in self.threads if each is not me and each.is_alive()]


def _nothing(_: object) -> None:
    pass
