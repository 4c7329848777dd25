"""The wire: what client and agent say to each other, whatever carries it.

A *request* is a fixed header, the argument words of one native call, and a range of
the channel's arena that holds the memory which the arguments point to. A *response* is
a fixed record and, where asked, the same range of the arena as the call left it::

    request  = REQUEST header | argument words            (arena[start : start + size])
    response = RESPONSE record                            (arena[start : start + back])

Shared memory has the arena in common, so only the header and the record move. A byte
stream puts a FRAME header before either and sends the arena range behind it.

A call may need the client: a DLL calls a function pointer that stands for one of the client's (a *thunk*).
Then the record's status is CALLBACK, and the callback's *area* comes with it: over a stream behind the record,
in shared memory where the request was. The client may send any request meanwhile, on this channel, and ends the
callback with CALLBACK_RETURN; the answer to that is the next record of the call itself::

    area     = 4 floating-point registers (x86-64 only, 8 bytes each) | argument words

Everything that the agent can be asked for is a call: ``CALL`` of an address that the
client names, or of one of the agent's own few functions (load, resolve, read ...), with
the same words, the same guard against faults and the same response.
``CALL_MANY`` makes many calls of one address, whose words lie in columns.

This module is the only definition. ``scripts/wire_header.py`` writes the agent's
``wire.h`` from it, and the tests check that the header is current.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, IntFlag
from struct import Struct, pack
from typing import NamedTuple

VERSION = 3
MAGIC = b"WINBRIDG"
FRAME_MAGIC = 0x46425757  # "WWBF" as the bytes lie

MAX_ARGUMENT_BYTES = 8192
"""1,024 words of 8 bytes: the number of arguments that ctypes allows."""

AREA_REALS = {8: 32, 4: 0}
"""Bytes of floating-point registers at the start of a callback's area, by pointer size. The argument words follow:
the first four of x86-64 stand in both places, as only the callee's prototype tells which of the two counts."""

MAX_AREA = AREA_REALS[8] + MAX_ARGUMENT_BYTES

CALLBACK_GONE = 0xE0574243
"""The Windows exception that a call of a freed callback ends with ("WBC", in the range for applications)."""

MAX_ARENA = 1 << 40
"""Upper bound of one arena."""

MAX_ARENA_32 = 1 << 30
"""The same for a 32-bit agent, whose whole address space has 2 GiB."""

CONTROL_ARENA = 65536
"""Bytes of arena that channel 0 of a stream has from the start."""


class Op(IntEnum):
    """What is called; all but CALL and CALL_MANY are functions of the agent."""

    CALL = 0
    LOAD = 1  # (UTF-16 name, LoadLibraryEx flags) -> module handle
    FREE = 2  # (module handle) -> bool
    RESOLVE = 3  # (module handle, ASCII name or ordinal below 65536) -> address
    MODULE_PATH = 4  # (module handle, UTF-16 buffer, length in characters) -> length
    READ = 5  # (address, arena address, bytes) -> 1
    WRITE = 6  # (address, arena address, bytes) -> 1
    STRING = 7  # (address, arena address, room in bytes, bytes a character) -> bytes found
    ALLOC = 8  # (bytes) -> address, zeroed
    RELEASE = 9  # (address) -> bool
    MAP = 10  # (UTF-16 path, address, bytes) -> address: another arena for this shared channel, mapped there
    ARENA = 11  # (channel number, bytes) -> address: another arena for this stream channel
    OPEN_SHARED = 12  # (path, address, bytes, path to read, path to write, spin, bytes of stack behind) -> 1
    OPEN_STREAM = 13  # (channel number, arena bytes) -> address of the arena
    CLOSE_STREAM = 14  # (channel number) -> 1
    EXIT = 15  # (exit code): ends the process, DLLs are told
    SHARE = 16  # (UTF-16 path, address, bytes) -> address: memory of the client's, mapped there for good
    UNSHARE = 17  # (address) -> bool
    HEAP = 18  # (address, bytes) -> address: memory there, where the client's own cannot be mapped
    THUNK_NEW = 19  # (id, bytes of argument words, bytes that the callee pops, Result) -> address to call
    THUNK_FREE = 20  # (address) -> bool
    CALLBACK_RETURN = 21  # (8 bytes of result): ends the innermost callback; target: a Windows exception to raise in it
    SERVE = 22  # (): never returns; this channel is for callbacks on threads that a DLL made
    CALL_MANY = 23  # CALL for each item of columns; the words are MANY, the results' COLUMN, each argument's COLUMN
    PATCH = 24  # (address, arena address, bytes) -> 1: of what lies there twice, old and new, the bytes that differ


class Flag(IntFlag):
    """How a call is made, or a callback returns; the low byte holds the Result."""

    SWAP_LAST_ERROR = 0x100  # call with the request's last error, bring back what it became
    SWAP_ERRNO = 0x200  # the same for the C library's errno


class Result(IntEnum):
    """The type that a function returns; the agent widens it to 64 bits."""

    NONE = 0
    INT8 = 1
    UINT8 = 2
    INT16 = 3
    UINT16 = 4
    INT32 = 5
    UINT32 = 6
    INT64 = 7
    POINTER = 8
    FLOAT = 9
    DOUBLE = 10


class Status(IntEnum):
    """What became of a request."""

    OK = 0
    FAULT = 1  # the function raised a Windows exception; result is its code
    MALFORMED = 2  # the request breaks a rule; result says which (see Malformed)
    CALLBACK = 3  # the call is not over: it waits for the client's function; result is the thunk's id


class Malformed(IntEnum):
    """Which rule a request broke."""

    OPCODE = 1
    SIZE = 2
    RESULT = 3
    ARENA = 4
    CHANNEL = 5
    COLUMN = 6  # of no known type, or not in memory that there is


GREETING_FIELDS = (
    ("magic", "8s"),
    ("version", "I"),
    ("pointer_size", "I"),
    ("process_id", "I"),
    ("reserved", "I"),
    ("arena", "Q"),
)
REQUEST_FIELDS = (
    ("op", "I"),
    ("flags", "I"),
    ("size", "I"),
    ("last_error", "I"),
    ("errno_value", "i"),
    ("reserved", "I"),
    ("target", "Q"),
    ("arena_start", "Q"),
    ("arena_size", "Q"),
    ("arena_back", "Q"),
)
RESPONSE_FIELDS = (
    ("status", "I"),
    ("last_error", "I"),
    ("result", "q"),
    ("real", "d"),
    ("errno_value", "i"),
    ("popped", "I"),  # bytes of arguments that an x86 callee took off the stack
    ("access", "Q"),  # FAULT: 0 reading, 1 writing, 8 executing; CALLBACK: bytes of its area
    ("address", "Q"),  # FAULT: what was accessed
    ("instruction", "Q"),  # FAULT: where
)
FRAME_FIELDS = (
    ("magic", "I"),
    ("channel", "I"),
    ("size", "I"),
    ("reserved", "I"),
    ("arena_size", "Q"),
)
MANY_FIELDS = (
    ("progress", "Q"),  # address of 8 bytes: how many items are through
    ("count", "Q"),
    ("budget", "I"),  # milliseconds after which no other item begins
    ("popped", "I"),  # bytes that each call takes off the stack; another number ends the loop
)
COLUMN_FIELDS = (
    ("address", "Q"),  # of the first item
    ("stride", "q"),  # bytes from one item to the next
    ("kind", "I"),  # the Result that lies there; INT8 to DOUBLE
    ("reserved", "I"),
)

# The slot at the start of a shared channel: bytes from its beginning. The two counters lie
# in cache lines of their own, as each is written by one side and read by the other.
SLOT = {
    "REQUEST_SERIAL": 0,
    "CLIENT_ASLEEP": 4,
    "RESPONSE_SERIAL": 64,
    "AGENT_ASLEEP": 68,
    "RESPONSE": 128,
    "REQUEST": 256,
    "ARENA": 16384,
}


def _struct(fields: tuple[tuple[str, str], ...]) -> Struct:
    return Struct("<" + "".join(code for _, code in fields))


GREETING = _struct(GREETING_FIELDS)
REQUEST = _struct(REQUEST_FIELDS)
RESPONSE = _struct(RESPONSE_FIELDS)
FRAME = _struct(FRAME_FIELDS)
MANY = _struct(MANY_FIELDS)
COLUMN = _struct(COLUMN_FIELDS)

MAX_COLUMNS = (MAX_ARGUMENT_BYTES - MANY.size) // COLUMN.size - 1
"""Arguments that the calls of a CALL_MANY have at most."""


class Response(NamedTuple):
    """The fields of a response record, in the order of RESPONSE_FIELDS.

    Transports return a plain tuple in this order (building this class costs as much as
    a whole native call); wrap one in ``Response(*record)`` to read it by name.
    """

    status: int
    last_error: int
    result: int
    real: float
    errno_value: int
    popped: int
    access: int
    address: int
    instruction: int


Record = tuple[int, int, int, float, int, int, int, int, int]
"""As transports return it; that of a callback has its area as a tenth item."""


class Greeting(NamedTuple):
    """The first words of an agent: their layout never changes between versions."""

    magic: bytes
    version: int
    pointer_size: int
    process_id: int
    reserved: int
    arena: int


POINTER_SIZES = {"win64": 8, "win32": 4}
"""Bytes of a pointer, and of an argument word, by architecture."""


def words(pointer_size: int, *values: int) -> bytes:
    """Argument words of a width, from unsigned numbers."""
    return pack(f"<{len(values)}{'Q' if pointer_size == 8 else 'I'}", *values)


def request(
    op: int,
    words: bytes = b"",
    *,
    flags: int = Result.POINTER,
    target: int = 0,
    last_error: int = 0,
    errno: int = 0,
    arena: tuple[int, int, int] = (0, 0, 0),
) -> bytes:
    """Write a request.

    Args:
        op: an Op.
        words: the argument words as the callee's ABI expects them on its stack:
            8 bytes each for x86-64, 4 bytes each (doubles and 64-bit integers two) for x86.
        flags: a Result, with Flag bits or-ed in.
        target: address of the function (CALL only).
        last_error, errno: what to call with, under the SWAP flags.
        arena: where the call's memory starts in the arena, how many bytes of it go, and
            how many come back.

    Returns:
        the message.
    """
    return REQUEST.pack(op, flags, len(words), last_error, errno, 0, target, *arena) + words


class Column(NamedTuple):
    """Where the items of one argument, or the results, of a CALL_MANY lie."""

    address: int
    stride: int
    kind: int


def many(progress: int, count: int, budget: int, popped: int, columns: Iterable[Column]) -> bytes:
    """The words of a CALL_MANY: fields as in MANY_FIELDS; the first column is that of the results."""
    head = MANY.pack(progress, count, budget, popped)
    return head + b"".join([COLUMN.pack(*column, 0) for column in columns])


_OP = Struct("<I")
_ARENA = Struct("<QQQ")
_ARENA_AT = REQUEST.size - _ARENA.size


def op_of(message: bytes) -> int:
    """The Op of a request."""
    op: int = _OP.unpack_from(message)[0]
    return op


def arena_of(message: bytes) -> tuple[int, int, int]:
    """The arena fields of a request: start, bytes that go, bytes that come back."""
    start, size, back = _ARENA.unpack_from(message, _ARENA_AT)
    return start, size, back


def record_of(data: bytes | bytearray | memoryview) -> Record:
    """The record of an answer, with the area behind it as a tenth item where there is one.

    Raises:
        ValueError: it is too short, or another number of bytes follows than the record tells.
    """
    if len(data) < RESPONSE.size:
        raise ValueError(f"{len(data)} bytes are no record")
    record: Record = RESPONSE.unpack_from(data)
    area = bytes(data[RESPONSE.size :])
    if len(area) != (record[6] if record[0] == Status.CALLBACK else 0):
        raise ValueError(f"a record of status {record[0]} with an area of {len(area)} bytes")
    return (*record, area) if record[0] == Status.CALLBACK else record  # type: ignore[return-value]


def with_arena(message: bytes, start: int, size: int, back: int) -> bytes:
    """A request with other arena fields."""
    return message[:_ARENA_AT] + _ARENA.pack(start, size, back) + message[REQUEST.size :]


def frame(channel: int, message: bytes | bytearray | memoryview, arena_size: int = 0) -> bytes:
    """Write the header that a stream puts before a message and ``arena_size`` bytes of arena."""
    return FRAME.pack(FRAME_MAGIC, channel, len(message), 0, arena_size)
