"""An agent behind a gateway, over HTTP: the byte stream's frames, one in the body of each request.

The arena is a copy: its range goes out behind the request, and comes back behind the record::

    POST /v1/sessions                                   a session: an agent of its own
    POST /v1/sessions/ID/channels                       a channel in it
    POST /v1/sessions/ID/channels/N/exchange            frame | request | arena range
                                         200            frame | record  | arena range
    POST /v1/sessions/ID/channels/N/batch               frames of calls that need no arena
                                         200            frames of their records, up to the first that is not OK

A request that may have run is never sent again, whatever became of its answer.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from struct import Struct

from winbridge.core import wire
from winbridge.core.errors import AgentDiedError, ConnectError, SessionClosedError, WinbridgeError, WireError
from winbridge.core.transport.connection import Connection, Endpoint
from winbridge.core.transport.contract import Arena, Copies
from winbridge.core.transport.gatewayjson import Arch, ArenaNeeded, ChannelOpened, NewSession, SessionOpened
from winbridge.core.transport.segment import Segment
from winbridge.core.wire import Record, Status

_HEADERS = wire.FRAME.size + wire.RESPONSE.size
_ANSWER = Struct(wire.FRAME.format + wire.RESPONSE.format[1:])
"""Both, of a frame without an area."""

TOGETHER = 1024
"""Calls that go in one request, at most: their answer is not much later than the first of them could be."""

LARGEST_FIRST_ARENA = 1 << 28
"""Bytes of memory that a gateway can make its client take without being asked for so much."""


class HttpTransport:
    """A session on a gateway.

    Args:
        endpoint: the gateway.
        arch: ``win64`` or ``win32``.
        timeout_start: seconds that the gateway may take to start an agent.

    Raises:
        ConnectError: it cannot be reached, or refuses the token.
        AgentStartError: it cannot start an agent; the message says why.
        WireError: it speaks another version, or is no gateway at all.
        TransportError: it refuses for another reason, such as its limits.
    """

    name = "http"
    shares_memory = False

    def __init__(self, endpoint: Endpoint, arch: Arch, timeout_start: float) -> None:
        self.endpoint = endpoint
        self._spent: deque[int] = deque()
        self._up = True
        with Connection(endpoint) as connection:
            body = NewSession(arch=arch, wire_version=wire.VERSION)
            opened = connection.ask("/v1/sessions", body, SessionOpened, timeout_start)
        self.path = f"/v1/sessions/{opened.id}"
        self.pointer_size: int = opened.pointer_size
        if opened.wire_version != wire.VERSION:
            self.close(endpoint.timeout)
            raise WireError(
                f"the gateway {endpoint.url} speaks version {opened.wire_version} of the wire, this client"
                f" {wire.VERSION}: install the same version of winbridge on both sides"
            )
        if (opened.arch, opened.pointer_size) != (arch, wire.POINTER_SIZES[arch]):
            self.close(endpoint.timeout)
            told = f"an {opened.arch} session with pointers of {opened.pointer_size} bytes"
            raise WireError(f"the gateway {endpoint.url} opened {told} where {arch} was asked for")

    def channel(self, timeout: float | None = None) -> HttpChannel:
        connection = Connection(self.endpoint)
        try:
            self._close_spent(connection)
            opened = connection.ask(f"{self.path}/channels", None, ChannelOpened, self.endpoint.timeout)
        except BaseException as error:
            connection.close()
            self.notice(error)
            raise
        try:
            return HttpChannel(self, connection, opened)
        except WireError:
            connection.close()
            raise

    def _close_spent(self, connection: Connection) -> None:
        while self._spent:
            number = self._spent.popleft()
            with contextlib.suppress(WinbridgeError):  # the gateway dropped it by itself
                connection.delete(f"{self.path}/channels/{number}", self.endpoint.timeout)

    def detach(self, number: int) -> None:
        """Forget a channel; the gateway is told when another is opened (this may run in a finaliser)."""
        self._spent.append(number)

    def notice(self, error: BaseException) -> None:
        """Learn from an error that the session is gone."""
        if isinstance(error, AgentDiedError | SessionClosedError):
            self._up = False

    def share(self, segment: Segment) -> None:
        raise ConnectError(f"a {self.name} carries bytes, it shares no memory")

    def up(self) -> bool:
        return self._up

    def describe(self) -> str:
        return self.endpoint.url

    def close(self, timeout: float) -> None:
        if not self._up:
            return
        self._up = False
        # A gateway that cannot be reached any more lets the session expire.
        with contextlib.suppress(WinbridgeError), Connection(self.endpoint) as connection:
            connection.delete(self.path, timeout)

    def disown(self) -> None:
        self._up = False


class HttpChannel:
    """A channel of a gateway's session, with a connection of its own."""

    _closed = True  # until __init__ is through: __del__ runs also when it is not

    def __init__(self, transport: HttpTransport, connection: Connection, opened: ChannelOpened) -> None:
        self.number = opened.channel
        self._transport = transport
        self._connection = connection
        self.arena = self._arena(opened, 0)
        self._path = f"{transport.path}/channels/{self.number}"
        self._closed = False
        self._copies = Copies()

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        if self._closed:
            raise SessionClosedError("the channel was given up, in a callback of this call")
        message, copy, memory = self._copies.begin(message, self.arena)
        body = b"".join((wire.frame(self.number, message, len(memory)), message, memory))
        try:
            most = _HEADERS + wire.MAX_AREA + len(copy.view)
            answer = self._connection.exchange(f"{self._path}/exchange", body, timeout, most)
        except WinbridgeError as error:
            self._transport.notice(error)
            raise
        record, memory = self._parsed(answer, len(copy.view))
        copy.view[: len(memory)] = memory
        self._copies.end(copy, record)
        return record

    def exchange_many(self, messages: list[bytes], timeout: float | None = None) -> list[Record]:
        """Make calls that need no arena, in one request.

        Args:
            messages: the requests, of calls only.
            timeout: seconds for all of them.

        Returns:
            their records, up to the first that is not OK.

        Raises:
            Exception: as of ``exchange``; calls may have been made.
        """
        if self._closed:
            raise SessionClosedError("the channel was given up, in a callback of this call")
        messages = messages[:TOGETHER]
        heads = {len(message): wire.frame(self.number, message, 0) for message in messages}
        body = b"".join([part for message in messages for part in (heads[len(message)], message)])
        try:
            most = len(messages) * _HEADERS + wire.MAX_AREA
            answer = memoryview(self._connection.exchange(f"{self._path}/batch", body, timeout, most))
        except WinbridgeError as error:
            self._transport.notice(error)
            raise
        records = self._records(answer)
        if not 0 < len(records) <= len(messages) or any(record[0] for record in records[:-1]):
            raise self._bad(f"{len(records)} records for {len(messages)} calls")
        if not records[-1][0] and len(records) < len(messages):
            raise self._bad(f"{len(records)} records for {len(messages)} calls, none of which failed,")
        if records[-1][0] == Status.CALLBACK:
            self._copies.waits(self.arena)
        return records

    def _records(self, answer: memoryview) -> list[Record]:
        """The records of a batch: all of one size, but for the last, which may have a callback's area."""
        alike = len(answer) // _HEADERS * _HEADERS
        head = (wire.FRAME_MAGIC, self.number, wire.RESPONSE.size, 0, 0)
        records: list[Record] = []
        for fields in _ANSWER.iter_unpack(answer[:alike]):
            if fields[:5] != head or fields[5] == Status.CALLBACK:  # an area may be empty
                break
            records.append(fields[5:])
        rest = answer[len(records) * _HEADERS :]
        if rest or not records:
            records.append(self._parsed(rest, 0)[0])
        return records

    def _parsed(self, answer: bytes | memoryview, back: int) -> tuple[Record, memoryview]:
        if len(answer) < _HEADERS:
            raise self._bad(f"{len(answer)} bytes, which is no frame")
        magic, number, size, _, arena_size = wire.FRAME.unpack_from(answer)
        if magic != wire.FRAME_MAGIC or not 0 <= size - wire.RESPONSE.size <= wire.MAX_AREA:
            raise self._bad(f"what is not a frame: {bytes(answer[: wire.FRAME.size])!r}")
        if number != self.number:
            raise self._bad(f"the answer of channel {number}")
        end = wire.FRAME.size + size
        try:
            record = wire.record_of(memoryview(answer)[wire.FRAME.size : end])
        except ValueError as error:
            raise self._bad(f"what is not a record: {error},") from error
        if arena_size != (0 if record[0] == Status.MALFORMED else back) or len(answer) != end + arena_size:
            raise self._bad(f"{len(answer) - end} bytes of arena, announced {arena_size}, asked for {back}")
        return record, memoryview(answer)[end:]

    def _bad(self, what: str) -> WireError:
        url = self._transport.endpoint.url
        return WireError(f"the gateway {url} sent {what} for channel {self.number}; the call may have run")

    def reserve(self, size: int, timeout: float | None = None) -> None:
        needed = self.arena.top + size
        if needed <= len(self.arena.view):
            return
        timeout = self._transport.endpoint.timeout
        try:
            opened = self._connection.ask(f"{self._path}/arena", ArenaNeeded(size=needed), ChannelOpened, timeout)
        except WinbridgeError as error:
            self._transport.notice(error)
            raise
        self.arena = self._arena(opened, needed)

    def _arena(self, opened: ChannelOpened, needed: int) -> Arena:
        size, end = opened.arena_size, opened.arena + opened.arena_size
        if opened.channel != self.number:
            raise self._bad(f"the arena of channel {opened.channel}")
        if not needed <= size <= max(LARGEST_FIRST_ARENA, 4 * needed):
            raise self._bad(f"an arena of {size} bytes, {needed} were asked for,")
        if end > 1 << (8 * self._transport.pointer_size):
            raise self._bad(f"an arena up to {end:#x}, where no pointer reaches,")
        return Arena(memoryview(bytearray(size)), opened.arena)

    def idle(self) -> bool:
        return False  # nobody can tell

    def abandon(self) -> Callable[[], bool]:
        self.close()
        return lambda: True  # only the gateway knows

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._connection.close()
            self._transport.detach(self.number)

    def __del__(self) -> None:
        self.close()
