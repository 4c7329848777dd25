"""A connection's inner half: frames out and in, what is pending, and its end."""

from __future__ import annotations

import contextlib
import itertools
import threading
from typing import TYPE_CHECKING

from winbridge.remote import protocol
from winbridge.remote.background import Background
from winbridge.remote.errors import CallCancelled, DisconnectError, ProtocolError
from winbridge.remote.frames import FrameReader, encode
from winbridge.remote.protocol import HEADER, LAST_SERIAL, Kind, State
from winbridge.remote.reading import Reading
from winbridge.remote.serving import Serving
from winbridge.remote.waiting import Waiting, again

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from winbridge.remote.carriers.contract import Carrier, Part
    from winbridge.remote.carriers.shared import Memory
    from winbridge.remote.connection import Connection
    from winbridge.remote.protocol import Frame
    from winbridge.remote.reading import Work
    from winbridge.remote.waiting import Pending

HANDED = DisconnectError("the answer of another thread was read")
"""What ends the turn of a background thread; never raised."""


SMALL = protocol.LONGEST_HELLO
"""Bytes of a payload that is sent in one piece with its header, and that every peer takes."""

CALL, BATCH, RESULT, ERROR = Kind.CALL, Kind.BATCH, Kind.RESULT, Kind.ERROR


class Link:
    """See the module.

    Args:
        connection: the outer half.
        carrier: takes and brings the bytes.
        limit: bytes of the largest message that may come.

    Attributes:
        peer: the fields of the peer's HELLO, or none of them yet.
        most: bytes of the largest message that the peer takes.
        failure: why the connection has ended; None as long as it has not.
        over: set when it has.
    """

    def __init__(self, connection: Connection, carrier: Carrier, limit: int) -> None:
        self.carrier = carrier
        self.reader = FrameReader(carrier, limit)
        self.waiting = Waiting()
        self.serving = Serving(connection, self)
        self.peer: dict[str, str] = {}
        self.most = protocol.LONGEST_HELLO
        self.failure: BaseException | None = None
        self.over = threading.Event()
        self.reading = Reading(carrier, self.reader, self.dispatch, self.broken)
        self.background = Background(self.reading)
        self._connection = connection
        self._sending = threading.Lock()
        self._ending = threading.Lock()
        self._said_bye = False
        self._closing: BaseException | None = None
        self._numbers = itertools.count()
        self._pending = self.waiting.pending
        self._releases = connection.references.pending
        self._others: dict[int, Callable[[Frame], None]] = {
            Kind.OUTPUT: self._output,
            Kind.PING: lambda _: self.try_send(Kind.PONG),
            Kind.PONG: lambda _: None,
            Kind.BYE: self._bye,
        }

    def share(self, memory: Memory) -> None:
        """Go on in shared memory: from here on, what comes on the stream only wakes."""
        from winbridge.remote.carriers.shared import SharedCarrier

        self.carrier = self.reading.carrier = SharedCarrier(self.carrier, memory)
        self.reader.change(self.carrier)

    # -- out

    def ask(self, kind: int, flags: int, within: int, payload: Part, buffers: Sequence[Part], pending: Pending) -> None:
        """Send a question; its answer comes to ``pending``."""
        serial = next(self._numbers) % LAST_SERIAL + 1
        while self.waiting.taken(serial):  # by one of four billion questions ago
            serial = next(self._numbers) % LAST_SERIAL + 1
        pending.serial = serial
        pending.within = within
        self._pending[serial] = pending
        try:
            self.send(kind, flags, serial, within, payload, buffers)
        except Exception:
            self.waiting.drop(serial)
            raise
        except BaseException:  # an interrupt: it may have been sent
            self.abandon(pending)
            raise

    def tell(self, payload: Part, buffers: Sequence[Part], flags: int) -> None:
        """Send a CALL that nobody waits for."""
        self.send(Kind.CALL, flags, next(self._numbers) % LAST_SERIAL + 1, 0, payload, buffers)

    def send(
        self, kind: int, flags: int, serial: int, within: int, payload: Part, buffers: Sequence[Part] = ()
    ) -> None:  # fmt: skip
        """Send one frame.

        Raises:
            DisconnectError: the connection has ended.
            OperationError: the peer does not take as much; nothing was sent.
        """
        if self._releases:
            self.flush()
        if buffers or len(payload) > SMALL:
            parts = encode(kind, flags, serial, within, payload, buffers, self.most)
        else:
            parts = [HEADER.pack(kind, flags, 0, serial, within, len(payload)) + payload]
        self._write(parts)

    def _write(self, parts: list[Part]) -> None:
        if self.failure is not None:
            self._raise_failure()
        try:
            with self._sending:
                if self.failure is not None:
                    self._raise_failure()
                self.carrier.write(parts)
        except OSError as error:
            if self.failure is None:
                self.broken(error)
            self._raise_failure(error)
        except Exception:
            raise
        except BaseException:
            if not self.carrier.whole():
                self.fail(DisconnectError("the connection was interrupted in the middle of a message"))
            raise

    def _raise_failure(self, cause: BaseException | None = None) -> None:
        if self.failure is not None:
            raise again(self.failure) from cause

    def try_send(self, kind: int, payload: Part = b"", patience: float = 0.0) -> None:
        """Send a frame without buffers, unless another is on its way: who reads must not wait for who writes.

        Args:
            kind: of the frame.
            payload: of the frame.
            patience: seconds to wait for another one; nought for who reads.
        """
        if self.failure is None and self._sending.acquire(True, patience):
            try:
                if self.carrier.writable():
                    self.carrier.write(encode(kind, 0, 0, 0, payload))
            except OSError:  # who reads will find out
                pass
            finally:
                self._sending.release()

    def try_flush(self) -> None:
        """As ``flush``, unless a message is on its way; the next one takes them along."""
        if self._releases and not self._sending.locked():
            self.flush()

    def flush(self) -> None:
        """Tell the peer of proxies that died here."""
        releases = self._connection.references.released()
        if releases:
            self._write(encode(Kind.RELEASE, 0, 0, 0, protocol.pack_releases(releases)))

    # -- in

    def dispatch(self, frame: Frame, own: Pending) -> Work | None:
        """Give a frame to whom it belongs; see ``reading``."""
        kind = frame.kind
        if kind == RESULT or kind == ERROR:  # noqa: SIM109 - in half the time
            pending = self._pending.pop(frame.serial, None)
            if pending is own:  # the usual case
                own.answer = frame
                return None
            return self._answered(pending, frame, own)
        if kind == CALL or kind == BATCH:  # noqa: SIM109
            return self._asked(frame, own)
        if kind == Kind.RELEASE:
            return self._release(frame, own)
        if kind == Kind.CANCEL:
            self.serving.cancel(frame.serial, own)
        else:
            self._others[kind](frame)
        return None

    def _answered(self, pending: Pending | None, frame: Frame, own: Pending) -> Work | None:
        if pending is None:
            self.waiting.forget(frame.serial)
            return self._discard, frame
        pending.settle(frame)
        if pending.complete is not None:
            return pending.complete, pending
        if own.background:  # that thread asks again soon, and had better read itself
            own.answer = HANDED
        return None

    def _discard(self, frame: Frame) -> None:
        self._connection.values.discard(frame.payload, frame.buffers)

    def _asked(self, frame: Frame, own: Pending) -> Work | None:
        work = self.serving.execute, frame
        if frame.within:
            outer = self.waiting.get(frame.within)
            if outer is own:
                return work
            if outer is not None and outer.complete is None:
                outer.hand(work)
                return None
        if not self.serving.admits(frame):
            return None
        if own is not self.background.home and self._sent_home(work, own):
            return None
        if own.background:
            return work
        self.background.hand_over(work)
        return None

    def _sent_home(self, work: Work, own: Pending) -> bool:
        """Let the thread at home do some work if it is free; it reads after that, if no user's thread does."""
        sent = self.background.sent_home(work)
        if sent and own.background:
            own.answer = HANDED
        return sent

    def _release(self, frame: Frame, own: Pending) -> Work | None:
        """Objects die when the turn to read is over: their ``__del__`` may call the peer."""
        doomed = self._connection.references.release(protocol.unpack_releases(frame.payload))
        work = list.clear, doomed
        if not doomed or (own is not self.background.home and self._sent_home(work, own)):
            return None
        return work

    def _output(self, frame: Frame) -> None:
        self._connection.outputs.feed(frame.flags, frame.serial, frame.payload)

    def abandon(self, pending: Pending) -> bool:
        """Do not wait for an answer any more, and tell the peer; False if it has come."""
        if not self.waiting.abandon(pending.serial):
            return False
        self.tell_cancelled(pending)
        return True

    def tell_cancelled(self, pending: Pending) -> None:
        """Tell the peer that nobody waits for an answer any more."""
        with contextlib.suppress(DisconnectError):
            self.send(Kind.CANCEL, 0, pending.serial, 0, b"")

    def give_up(self, within: int, reading: Pending | None) -> bool:
        """Let the thread that executes a request not wait any more for what it has asked the peer from within it.

        Args:
            within: the serial of the request.
            reading: what the calling thread reads for, if it does.

        Returns:
            whether there is such a thread, and its function was given ``CallCancelled``.
        """
        waits = [each for each in (*self._pending.copy().values(), *self.reading.followers(), reading) if each]
        found = next((each for each in waits if each.within == within and each.complete is None), None)
        if found is None or found.answer is not None:
            return False
        self.waiting.abandon(found.serial)
        found.settle(CallCancelled())
        return True

    # -- the end

    def close(self, reason: DisconnectError, patience: float) -> None:
        """Say goodbye; when the peer has heard it, or is gone, everything pending fails for this reason.

        Args:
            reason: see above.
            patience: seconds that a message may take which is on its way.
        """
        self._closing = reason
        self.say_bye(patience)

    def say_bye(self, patience: float = 0.0) -> None:
        """Nothing more will be asked or answered here."""
        if not self._said_bye:
            self._said_bye = True
            self.try_send(Kind.BYE, b"", patience)
            if self.reader.state == State.READY:
                self.reader.state = State.CLOSING

    def _bye(self, frame: Frame) -> None:
        reason = bytes(frame.payload).decode("utf-8", "replace")
        self.say_bye()
        self.reader.state = State.CLOSED
        self.fail(DisconnectError("the peer has closed the connection" + (f": {reason}" if reason else "")))

    def broken(self, error: BaseException) -> None:
        """Reading has failed."""
        if isinstance(error, ProtocolError):
            self.try_send(Kind.BYE, str(error).encode()[:1000])
        elif not isinstance(error, DisconnectError):
            error = DisconnectError(f"{self.carrier.name}: the peer is lost: {error}")
        self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the connection: everything pending fails with ``error``, and all that comes later."""
        with self._ending:
            if self.failure is not None:
                return
            self.failure = error = self._closing or self._connection.life.explained(error)
        self.carrier.shut_down()
        self._connection.life.on_end()
        self.over.set()
        for pending in self.waiting.fail(error):
            pending.complete(pending)

    def bury(self) -> None:
        """Free the carrier, as soon as nobody reads or writes any more."""
        with self.reading.turn, self._sending:
            self.carrier.close()
