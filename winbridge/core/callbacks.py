"""Callbacks: functions of this process that a DLL calls through a pointer.

A callback is a *thunk* in the agent, a few bytes of code that any Windows thread may call. Its arguments come
back as the answer to the call that the thread is in::

    session.exchange ──CALL──▶ agent ─▶ DLL ─▶ thunk
    Callbacks.settle ◀──────────CALLBACK, area───┘
        handler(area)                                 any number of calls meanwhile, on the same Windows thread
                     ──CALLBACK_RETURN──▶ thunk ─▶ DLL ─▶ ... ──record──▶

A thread that a DLL made is in no call of ours. For those, threads of this process wait in ``SERVE``, always one
more than are busy.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from winbridge.core import wire
from winbridge.core.ask import ask
from winbridge.core.errors import WinbridgeError
from winbridge.core.unraisable import report
from winbridge.core.wire import CALLBACK_GONE, Op, Record, Result, Status

if TYPE_CHECKING:
    from winbridge.core.session import SessionEngine
    from winbridge.core.transport.contract import Channel

Handler = Callable[[bytes], int]
SwappingHandler = Callable[[bytes, int, int], tuple[int, int, int]]

LONGEST_END = 5.0
"""Seconds that a waiting thread gets to notice that its session closed; usually it takes far less than one."""

_MASK = (1 << 64) - 1
_CALLBACK, _CALLBACK_RETURN = int(Status.CALLBACK), int(Op.CALLBACK_RETURN)
_RETURN = struct.Struct(wire.REQUEST.format + "Q")
"""A request with one word: the bits of a result."""


def _nobody() -> None:
    """In place of a reference to a callback that is not known."""


class Callback:
    """A function pointer of the Windows side that stands for a handler; it works as long as this object lives.

    Attributes:
        address: the pointer's value.
    """

    def __init__(self, owner: Callbacks, number: int, handler: Callable[..., Any], flags: int) -> None:
        self.address = 0
        self.number = number
        self.handler = handler
        self.flags = int(flags)  # and a result of none, which is 0
        self._owner = owner

    def close(self) -> None:
        """Take the function away: from now on a call of the pointer is a fault. Safe to repeat."""
        address, self.address = self.address, 0
        if address:
            self._owner.drop(self.number, address)

    def __del__(self) -> None:
        self.close()


class Callbacks:
    """The callbacks of one session.

    Args:
        session: whose agent calls them.

    Attributes:
        known: those that there are, by number.
    """

    def __init__(self, session: SessionEngine) -> None:
        self._session = session
        self._numbers = itertools.count(1)
        self.known: dict[int, weakref.ref[Callback]] = {}
        self._dropped: deque[int] = deque()
        self._services = Services(session, self)

    def make(
        self, handler: Handler | SwappingHandler, *, words: int, popped: int, result: Result, flags: int = 0
    ) -> Callback:
        """Make a function pointer.

        Args:
            handler: called with the area of each call: on x86-64 the low 8 bytes of xmm0 to xmm3 (32 bytes),
                then the argument words; on x86 the argument words. It returns the bits of the result (a float's
                4, a double's 8 bytes as an integer). With ``flags`` it is called with the last error and errno
                besides, and returns what they become too. What it raises goes to ``sys.unraisablehook``, and the
                result is 0; KeyboardInterrupt ends the DLL's call.
            words: bytes of the argument words: 8 for each argument on x86-64; on x86 4, or 8 for what takes two.
            popped: how many of them a call takes off the stack: all for x86's stdcall, else 0.
            result: the kind of result; on x86 it tells whether that goes onto the FPU's stack.
            flags: ``wire.Flag`` bits: which of last error and errno the handler takes and gives.

        Returns:
            the callback. Who makes it keeps it as long as the DLL may call.

        Raises:
            MemoryError: the Windows side has no room.
            WinbridgeError: as of ``SessionEngine.exchange``.
        """
        self._free_dropped()
        number = next(self._numbers) & 0xFFFFFFFF
        callback = Callback(self, number, handler, flags)
        address = ask(self._session, Op.THUNK_NEW, lambda _: [number, words, popped, result]).value
        if not address:
            raise MemoryError(f"the Windows process has no room for another callback of {words} bytes of arguments")
        self.known[number] = weakref.ref(callback)
        callback.address = address
        self._services.start()
        return callback

    def drop(self, number: int, address: int) -> None:
        """Forget a callback; the agent is told when the next is made, as this may run in a finaliser."""
        self.known.pop(number, None)
        self._dropped.append(address)

    def _free_dropped(self) -> None:
        with contextlib.suppress(IndexError):  # until there are no more; other threads take from it too
            while True:
                self._free(self._dropped.popleft())

    def _free(self, address: int) -> None:
        ask(self._session, Op.THUNK_FREE, lambda _: [address])

    def settle(
        self, channel: Channel, record: Record, timeout: float | None, answer: Callable[[Any], bytes] | None = None
    ) -> Record:
        """Answer the callbacks of a call until it is over.

        Args:
            channel: where the call was made.
            record: what it returned at first.
            timeout: seconds that the Windows side may take each time.
            answer: does what ``answer`` does, None takes that.

        Returns:
            the record of the call itself.
        """
        answer = answer or self.answer
        session = self._session
        while record[0] == _CALLBACK:
            message = answer(record)
            if session._mapped != len(session.heap.segments):  # the handler made it grow
                session.share_heap()
            record = channel.exchange(message, timeout)
        return record

    def answer(self, record: Any) -> bytes:
        """Run a callback's handler.

        Returns:
            the request that takes its result to the agent.
        """
        callback = self.known.get(record[2] & 0xFFFFFFFF, _nobody)()
        if callback is None:  # dropped, but the agent was not told yet
            return wire.request(Op.CALLBACK_RETURN, target=CALLBACK_GONE)
        last_error, errno = record[1], record[4]
        try:
            if callback.flags:
                bits, last_error, errno = callback.handler(record[9], last_error, errno)
            else:
                bits = callback.handler(record[9])
            bits &= _MASK
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            report(error, "on calling a callback", callback.handler)
            bits = 0
        return _RETURN.pack(_CALLBACK_RETURN, callback.flags, 8, last_error, errno, 0, 0, 0, 0, 0, bits)

    def close(self) -> None:
        """Wait for the threads that wait; the agent has ended."""
        self._services.close()


class Services:
    """Threads that wait for the callbacks of threads that a DLL made: always one more than are busy.

    Args:
        session: whose agent calls.
        callbacks: who answers.
    """

    def __init__(self, session: SessionEngine, callbacks: Callbacks) -> None:
        self._session = session
        self._callbacks = callbacks
        self._lock = threading.RLock()
        self._idle: set[Any] = set()
        self._here = threading.local()
        self._numbers = itertools.count(1)

    def start(self) -> None:
        """See to it that one waits."""
        with self._lock:
            if self._idle or self._session.closed:
                return
            ended = threading.Lock()  # not join(): a session may be closed by the end of its thread
            ended.acquire()
            self._idle.add(ended)
        name = f"winbridge-callbacks-{self._session.id}-{next(self._numbers)}"
        try:
            threading.Thread(target=self._run, args=(ended,), name=name, daemon=True).start()
        except RuntimeError:  # the interpreter is ending
            self._idle.discard(ended)

    def _run(self, ended: Any) -> None:
        self._here.ended = ended
        try:
            with contextlib.suppress(WinbridgeError):  # the session closed, or its agent died: who makes calls is told
                self._serve(ended)
        finally:
            self._idle.discard(ended)
            ended.release()

    def _serve(self, ended: Any) -> None:
        def answer(record: Any) -> bytes:
            self._idle.discard(ended)
            self.start()
            message = self._callbacks.answer(record)
            self._idle.add(ended)
            return message

        channel = self._session.channel()
        try:
            record = channel.exchange(wire.request(Op.SERVE), None)
            self._callbacks.settle(channel, record, None, answer)
        finally:
            channel.close()

    def close(self) -> None:
        """Wait for those that are in no handler."""
        self._idle.discard(getattr(self._here, "ended", None))  # it may be one of them that found the agent dead
        for ended in list(self._idle):
            ended.acquire(timeout=LONGEST_END)
