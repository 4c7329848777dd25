"""Executing the requests of the peer."""

from __future__ import annotations

import _thread
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from winbridge.remote import failures
from winbridge.remote.current import current
from winbridge.remote.errors import CallCancelled, DisconnectError, OperationError, ProtocolError
from winbridge.remote.plain import pack_result
from winbridge.remote.protocol import Flag, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from winbridge.remote.connection import Connection
    from winbridge.remote.link import Link
    from winbridge.remote.protocol import Frame
    from winbridge.remote.waiting import Pending


BATCH, RESULT = Kind.BATCH, Kind.RESULT


class Serving:
    """What one connection executes for its peer.

    Args:
        connection: whose peer asks.
        link: takes the answers.

    Attributes:
        before_answer: called with the serial of a request before its answer is sent, if there is something that has to
            be sent earlier.
    """

    def __init__(self, connection: Connection, link: Link) -> None:
        self.before_answer: Callable[[int], None] | None = None
        self._connection = connection
        self._link = link
        self._threads: dict[int, int] = {}
        """The thread that executes a request, by serial; 0 while its call is unpacked, which nothing interrupts."""
        self._inside: dict[int, int] = {}
        """The request that a thread executes, the innermost one."""
        self._cancelled: set[int] = set()
        self._most = connection.options.max_threads
        self._later: deque[Frame] = deque()
        """Requests that wait until others are done."""
        self._cancelling = threading.Lock()

    def within(self) -> int:
        """The serial of the request that the calling thread executes; 0 if none."""
        return self._inside.get(_thread.get_ident(), 0) if self._inside else 0

    def busy(self) -> list[int]:
        """The serials of all requests that are being executed."""
        return list(self._threads)

    def admits(self, frame: Frame) -> bool:
        """Whether a request may be executed now; else that is done when another one is done."""
        if len(self._threads) < self._most:
            return True
        self._later.append(frame)
        if len(self._threads) < self._most:  # perhaps nobody will look
            with contextlib.suppress(ValueError):
                self._later.remove(frame)
                return True
        return False

    def execute(self, frame: Frame) -> None:
        """Execute a request and send the answer; and then others that had to wait."""
        self._execute(frame)
        while self._later and len(self._threads) < self._most and self._link.failure is None:
            self._link.background.goes_on()
            with contextlib.suppress(IndexError):
                self._execute(self._later.popleft())

    def _execute(self, frame: Frame) -> None:
        serial, thread = frame.serial, _thread.get_ident()
        if serial in self._threads:
            self._link.fail(ProtocolError(f"the peer asks with the serial {serial} while that is being executed"))
            return
        outer = self._inside.get(thread, 0)
        self._inside[thread] = serial
        self._threads[serial] = 0
        before, current.connection = current.connection, self._connection
        kind = RESULT
        try:
            payload, buffers = self._result(frame, thread)
        except BaseException as error:
            kind, (payload, buffers) = Kind.ERROR, failures.packed(self._connection.values, error)
        finally:
            self._finished(thread, outer)
            current.connection = before
        if not frame.flags & Flag.NO_ANSWER:
            self._answer(kind, serial, payload, buffers)

    def _finished(self, thread: int, outer: int) -> None:
        if outer:
            self._inside[thread] = outer
        else:
            del self._inside[thread]
            home = self._link.background.home
            if thread == home.thread:  # already now: the next request comes as soon as the answer is out
                home.free = True

    def _result(self, frame: Frame, thread: int) -> tuple[bytes, list[Any]]:
        values, serial = self._connection.values, frame.serial
        try:
            call = values.loads(frame.payload, frame.buffers, "the call")
            self._threads[serial] = thread
            if self._cancelled and serial in self._cancelled:
                raise CallCancelled
            result = self._batch(*call) if frame.kind == BATCH else call[0](*call[1], **call[2])
        finally:
            self._settle(serial)
        if frame.kind == BATCH:
            return values.dumps(result, "the results")
        if frame.flags & Flag.REFERENCE:
            from winbridge.remote.proxy import ref

            result = ref(result)
        return pack_result(values, result)

    def _batch(self, function: Callable[..., Any], items: list[tuple[Any, ...]]) -> tuple[list[Any], Any]:
        """The results up to the first item that fails, and its failure."""
        results: list[Any] = []
        try:
            results.extend([function(*item) for item in items] if len(items) == 1 else map(function, *zip(*items)))
        except BaseException as error:
            return results, failures.packed(self._connection.values, error)
        return results, None

    def _answer(self, kind: int, serial: int, payload: bytes, buffers: list[Any]) -> None:
        if self.before_answer is not None:
            self.before_answer(serial)
        try:
            try:
                self._link.send(kind, 0, serial, 0, payload, buffers)
            except DisconnectError:
                raise
            except OperationError as error:  # too large
                self._link.send(Kind.ERROR, 0, serial, 0, *failures.packed(self._connection.values, error))
        except DisconnectError:
            pass  # nobody waits any more

    def cancel(self, serial: int, reading: Pending | None = None) -> None:
        """Interrupt a request: where it waits for the peer, else where Python code of it runs.

        What waits in C goes on until it returns to Python.

        Args:
            serial: of the request.
            reading: what the calling thread reads for, if it does.
        """
        with self._cancelling:
            self._cancelled.add(serial)
            thread = self._threads.get(serial)
            if thread == 0 or (thread is None and any(frame.serial == serial for frame in list(self._later))):
                return  # it is looked at before the function is called
            if thread is None or self._link.give_up(serial, reading) or self._inside.get(thread) != serial:
                self._cancelled.discard(serial)
                return
            import ctypes

            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(CallCancelled))

    def _settle(self, serial: int) -> None:
        """From here on nobody interrupts this request; an interrupt that was sent already is taken here."""
        del self._threads[serial]
        if self._cancelled:
            with self._cancelling:
                self._cancelled.discard(serial)
            for _ in range(3):  # an interrupt comes at the latest where a loop turns round
                pass
