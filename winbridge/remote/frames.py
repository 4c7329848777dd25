"""Frames out of the bytes that a carrier brings, and into those that it takes."""

from __future__ import annotations

import time
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from winbridge.remote import protocol
from winbridge.remote.errors import DisconnectError, OperationError
from winbridge.remote.protocol import BUFFER_SIZE, FROZEN, HEADER, Frame, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winbridge.remote.carriers.contract import Carrier, Part

ROOM = 1 << 16
"""Bytes that are asked for at once; what is larger is read into its own place."""

USUAL = frozenset({protocol.Kind.CALL, protocol.Kind.RESULT})
"""Nearly all frames are of these kinds; without flags and the like there is nothing to check about them."""

READY = State.READY
ENDED = "the peer has closed the connection, or ended"

NOTHING: list[bytes | bytearray] = []
"""The buffers of a frame that has none; nobody changes them."""

make_frame = partial(tuple.__new__, Frame)
"""As ``Frame``, from a tuple, in a third of the time."""

PIECE = 1 << 26
"""Bytes that are allocated because a peer announced them: more only when so many have come."""


class FrameReader:
    """Reads one side's bytes; used by one thread at a time.

    Attributes:
        state: of ``protocol.State``.
        deadline: the time (monotonic) by which what is being read must have come; None waits for ever.
        received: a number that changes when something comes.
        safe: whether nothing is lost if it is interrupted now, but for ``last``.
        last: the frame that was read last.
    """

    def __init__(self, carrier: Carrier, limit: int) -> None:
        self.state = State.GREETING
        self.deadline: float | None = None
        self._carrier = carrier
        self._limit = limit
        self._room = memoryview(bytearray(ROOM))
        self._start = self._end = 0
        self.received = 0
        self.safe = True
        self.last: Frame | None = None
        self._rooms = (self._room,)
        self._counts: list[int] = []

    def change(self, carrier: Carrier) -> None:
        """Go on with another carrier."""
        self._carrier = carrier
        self._start = self._end = 0

    def buffered(self) -> bool:
        """Whether bytes have come that were not looked at."""
        return self._start < self._end

    def read(self) -> Frame:
        """The next frame.

        Raises:
            DisconnectError: the peer has ended, or the deadline is over.
            ProtocolError: what came is no frame, or not one that may come now.
        """
        start = self._start
        if start == self._end:  # all was taken: the usual case
            if self.deadline is not None:
                self._wait()
            # An interrupt (of a signal) comes between two steps of Python: what has come is noted then.
            if not self._counts:
                self._counts.extend(map(self._carrier.fill, self._rooms))
            self._start, self._end, self._counts, start = 0, self._counts[0], [], 0
            self._carrier.taken = []
            self.received += 1
            if not self._end:
                raise DisconnectError(ENDED)
        if self._end - start < HEADER.size:
            self.safe = False
            self._gather(HEADER.size)
            start = 0
        kind, flags, count, serial, within, size = HEADER.unpack_from(self._room, start)
        if size > ROOM or flags or within or not serial or self.state != READY or kind not in USUAL:
            protocol.check(self.state, kind, flags, count, serial, within, size, self._limit)
        start += HEADER.size
        if count or start + size > self._end:
            return self._large_frame(kind, flags, count, serial, within, size)
        frame = make_frame((kind, flags, serial, within, bytes(self._room[start : start + size]), NOTHING))
        self.safe, self.last, self._start = True, frame, start + size
        return frame

    def _large_frame(self, kind: int, flags: int, count: int, serial: int, within: int, size: int) -> Frame:
        self.safe = False
        self._start += HEADER.size
        if count:
            frame = self._with_buffers(kind, flags, count, serial, within, size)
        else:
            frame = Frame(kind, flags, serial, within, self._large(size), [])
        self.safe, self.last = True, frame
        return frame

    def _with_buffers(self, kind: int, flags: int, count: int, serial: int, within: int, size: int) -> Frame:
        table = self._payload(count * BUFFER_SIZE.size)
        sizes = [number for (number,) in BUFFER_SIZE.iter_unpack(table)]
        total = size + sum(number & ~FROZEN for number in sizes)
        protocol.check_size(protocol.NAMES[kind], total, self._limit)
        payload = self._payload(size)
        return Frame(kind, flags, serial, within, payload, [self._buffer(number) for number in sizes])

    def _payload(self, size: int) -> bytes | bytearray:
        start, end = self._start, self._start + size
        if end <= self._end:
            self._start = end
            return self._room[start:end].tobytes()
        return self._large(size)

    def exactly(self, size: int) -> bytes:
        """The next so many bytes, at most ``ROOM``."""
        if self._end - self._start < size:
            self._gather(size)
        self._start += size
        return self._room[self._start - size : self._start].tobytes()

    def _gather(self, size: int) -> None:
        """Have so many bytes in the room, at most all that it holds."""
        if self._start:
            left = self._end - self._start
            if left:
                self._room[:left] = self._room[self._start : self._end].tobytes()
            self._start, self._end = 0, left
        while self._end < size:
            self._end += self._fill(self._room[self._end :])

    def _fill(self, room: memoryview) -> int:
        if self.deadline is not None:
            self._wait()
        count = self._carrier.fill(room)
        self._carrier.taken = []
        self.received += 1
        if not count:
            raise DisconnectError(ENDED)
        return count

    def _wait(self) -> None:
        left = self.deadline - time.monotonic()  # type: ignore[operator]
        if left <= 0 or not self._carrier.wait(left):
            raise DisconnectError("the peer did not answer in time (option timeout)")

    def _buffer(self, number: int) -> bytes | bytearray:
        size = number & ~FROZEN
        if number == size:
            return self._large(size)
        return bytes(self._large(size)) if size < ROOM or size > PIECE else self._frozen(size)

    def _frozen(self, size: int) -> bytes:
        """As ``bytes``, and read into their own place: what fills a BytesIO is what it gives, without a copy."""
        whole = BytesIO(bytes(size))
        with whole.getbuffer() as view:
            done = min(size, self._end - self._start)
            view[:done] = self._take(done)
            while done < size:
                done += self._fill(view[done:])
        return whole.getvalue()

    def _take(self, size: int) -> bytes:
        self._start += size
        return self._room[self._start - size : self._start].tobytes()

    def _large(self, size: int) -> bytearray:
        data = bytearray(min(size, PIECE))
        done = min(size, self._end - self._start)
        data[:done] = self._take(done)
        while done < size:
            if done == len(data):
                data.extend(bytes(min(size - done, PIECE)))
            view = memoryview(data)[done:]
            done += self._fill(view)
            view.release()
        return data


def too_large(total: int, limit: int) -> OperationError:
    """The error of a message of more bytes than the peer takes."""
    return OperationError(
        f"a message of {total} bytes is more than the peer takes: {limit}; send it in parts,"
        " or raise the option max_message there"
    )


def encode(
    kind: int, flags: int, serial: int, within: int, payload: Part, buffers: Sequence[Part] = (),
    limit: int | None = None,
) -> list[Part]:  # fmt: skip
    """The parts that a frame is sent in.

    Args:
        limit: the most bytes that the peer takes in one message.

    Raises:
        OperationError: it is too large.
    """
    if not buffers and len(payload) <= protocol.LONGEST_HELLO:
        return [HEADER.pack(kind, flags, 0, serial, within, len(payload)) + payload]
    views = [buffer if type(buffer) is bytes else memoryview(buffer).cast("B") for buffer in buffers]
    total = len(payload) + sum(map(len, views))
    if limit is not None and total > limit:
        raise too_large(total, limit)
    if len(views) > protocol.MOST_BUFFERS:
        raise OperationError(
            f"{len(views)} separate buffers in one message; at most {protocol.MOST_BUFFERS} can be sent"
        )
    sizes = [(len(view), type(view) is bytes) for view in views]
    return [protocol.header(kind, flags, serial, within, len(payload), sizes), payload, *views]
