"""The protocol between two Pythons: what the bytes of a connection mean. Pure; nothing here reads or writes.

Both sides first send a *preamble*, whatever their versions, and each finds out alone what both speak. Where they ask
for a secret, the messages of ``authentication`` follow, which are of fixed size and hold no pickles. From there on
there are only *frames*: a header, the sizes of the buffers, the payload, the buffers. The first frame of each side is
its HELLO.
"""

from __future__ import annotations

import struct
from binascii import crc32
from typing import NamedTuple

from winbridge.remote.errors import ProtocolError

MAGIC = b"\x93winbrg\n"
"""No text starts like this, and who changes line ends on the way is found out."""

OLDEST, NEWEST = 1, 1
"""The versions that are spoken here."""

PREAMBLE_FIELDS = """
8s  magic
H   lowest version that the sender speaks
H   highest
H   flags: Ask
H   0
I   CRC-32 of all the above
"""
PREAMBLE = struct.Struct("<8sHHHHI")

HEADER_FIELDS = """
B   kind
B   flags: of the kind
H   number of buffers
I   serial: which question, in the numbering of the side that asks; 0 if it is none
I   within: a CALL that comes from inside of a request of the peer's has the serial of that, else 0
Q   bytes of payload
"""
HEADER = struct.Struct("<BBHIIQ")

BUFFER_SIZE = struct.Struct("<Q")
FROZEN = 1 << 63
"""Added to the size of a buffer that is ``bytes``, and becomes that again; others become a ``bytearray``."""

MOST_BUFFERS = 0xFFFF
LAST_SERIAL = 0xFFFFFFFF
RELEASE = struct.Struct("<3q")
"""Of each reference that a RELEASE is about: its number, how often it had come, how often it was passed back."""

LONGEST_HELLO = 1 << 16
"""Nobody needs more to introduce himself; until then a peer may make us allocate no more than this."""


class Ask:
    """Flags of a preamble."""

    SECRET = 1  # the sender wants the exchange of authentication


class Kind:
    """What a frame is."""

    HELLO = 1  # fields that the peer must know
    CALL = 2  # pickle of (function, args, kwargs); asks for an answer unless flags say otherwise
    BATCH = 3  # pickle of (function, list of args): called for each, the answer is the list of the results
    RESULT = 4  # the answer: pickle
    ERROR = 5  # the answer: what ``failures`` makes of an exception
    CANCEL = 6  # the answer to this serial is not wanted any more (it comes nevertheless)
    RELEASE = 7  # references that the sender has no proxies for any more
    OUTPUT = 8  # bytes written to standard output (flags 1) or error (flags 2) in the request named by serial, or 0
    PING = 9  # are you there?
    PONG = 10  # yes
    BYE = 11  # the last frame of its sender
    SHARE = 12  # the answer to an offer of shared memory in a HELLO; with a payload if it is taken


class Flag:
    """Flags of a CALL."""

    REFERENCE = 1  # the result stays where it is, a reference is sent
    NO_ANSWER = 2  # nobody waits


NAMES = {number: name for name, number in vars(Kind).items() if isinstance(number, int)}


class State:
    """Where one direction of a connection is, as its receiver sees it."""

    GREETING = "GREETING"  # nothing came but the preamble
    SHARING = "SHARING"  # it has greeted, and has to answer our offer of shared memory
    READY = "READY"
    CLOSING = "CLOSING"  # we said BYE, what the peer sent before it heard that still comes
    CLOSED = "CLOSED"  # the peer said BYE


ORDINARY = frozenset(NAMES) - {Kind.HELLO, Kind.SHARE}
LEGAL = {
    State.GREETING: frozenset({Kind.HELLO, Kind.BYE}),
    State.SHARING: frozenset({Kind.SHARE, Kind.BYE}),
    State.READY: ORDINARY,
    State.CLOSING: ORDINARY,
    State.CLOSED: frozenset(),
}
"""What may come in which state; anything else is a ProtocolError."""

ALLOWED_FLAGS = {Kind.CALL: Flag.REFERENCE | Flag.NO_ANSWER, Kind.OUTPUT: 3}
ASKING = frozenset({Kind.CALL, Kind.BATCH})
ANSWERING = frozenset({Kind.RESULT, Kind.ERROR, Kind.CANCEL})
BARE = frozenset({Kind.CANCEL, Kind.PING, Kind.PONG})
"""Kinds that have no payload."""
BUFFERED = frozenset({Kind.CALL, Kind.BATCH, Kind.RESULT, Kind.ERROR})
"""Kinds that may have buffers."""


class Frame(NamedTuple):
    """One frame that has come.

    Attributes:
        payload: bytes-like, of the receiver's own.
        buffers: each a ``bytes``, or a ``bytearray`` of the receiver's own.
    """

    kind: int
    flags: int
    serial: int
    within: int
    payload: bytes | bytearray
    buffers: list[bytes | bytearray]


def preamble(asks: int = 0, oldest: int = OLDEST, newest: int = NEWEST) -> bytes:
    """The first bytes of a side.

    Args:
        asks: flags of ``Ask``.
        oldest, newest: the versions that it speaks.
    """
    fields = PREAMBLE.pack(MAGIC, oldest, newest, asks, 0, 0)[:-4]
    return fields + struct.pack("<I", crc32(fields))


def agree(data: bytes, oldest: int = OLDEST, newest: int = NEWEST) -> tuple[int, int]:
    """What comes out of the peer's preamble.

    Returns:
        the version to speak, the highest that both know; and the flags of the peer.

    Raises:
        ProtocolError: this is no preamble, or there is no common version.
    """
    magic, low, high, asks, _, check = PREAMBLE.unpack(data)
    if magic != MAGIC:
        raise ProtocolError(
            f"the peer does not speak winbridge's protocol: it starts with {data!r};"
            " is another program there, or does a login script print something?"
        )
    if check != crc32(data[:-4]) or low > high:
        raise ProtocolError(f"the peer's first bytes were damaged on the way: {data!r}")
    version = min(newest, high)
    if version < max(oldest, low):
        raise ProtocolError(
            f"no common version of the protocol: the peer speaks {low} to {high}, this side {oldest} to {newest};"
            " use the same release of winbridge on both sides"
        )
    return version, asks


def header(kind: int, flags: int, serial: int, within: int, size: int, buffers: list[tuple[int, bool]]) -> bytes:
    """What precedes a payload.

    Args:
        size: bytes of the payload.
        buffers: the size of each buffer, and whether it is ``bytes``.
    """
    start = HEADER.pack(kind, flags, len(buffers), serial, within, size)
    return start + b"".join([BUFFER_SIZE.pack(size | FROZEN if frozen else size) for size, frozen in buffers])


def check(state: str, kind: int, flags: int, count: int, serial: int, within: int, size: int, limit: int) -> None:
    """Whether a header may come now.

    Args:
        state: of ``State``.
        count: the number of buffers.
        size: bytes of the payload.
        limit: the most bytes that a message may have.

    Raises:
        ProtocolError: it may not.
    """
    name = NAMES.get(kind)
    if name is None:
        raise ProtocolError(f"the peer sent a message of the unknown kind {kind}")
    if kind not in LEGAL[state]:
        raise ProtocolError(f"the peer sent {name} where {_expected(state)} belongs (state {state})")
    if flags & ~ALLOWED_FLAGS.get(kind, 0):
        raise ProtocolError(f"the peer sent {name} with the unknown flags {flags:#x}")
    if (count and kind not in BUFFERED) or (size and kind in BARE) or (within and kind not in ASKING):
        raise ProtocolError(f"the peer sent {name} with {count} buffers, {size} bytes, within {within}")
    if kind == Kind.OUTPUT and flags not in (1, 2):
        raise ProtocolError(f"the peer sent OUTPUT of stream {flags}")
    if not serial and (kind in ASKING or kind in ANSWERING):
        raise ProtocolError(f"the peer sent {name} without a serial")
    check_size(name, size, min(limit, LONGEST_HELLO) if state == State.GREETING else limit)


def check_size(name: str, size: int, limit: int) -> None:
    """Raise ProtocolError for a message that is longer than ``limit``."""
    if size > limit:
        raise ProtocolError(f"the peer sent {name} of {size} bytes, more than the {limit} allowed (option max_message)")


def _expected(state: str) -> str:
    return " or ".join(sorted(NAMES[kind] for kind in LEGAL[state])) if state == State.GREETING else "nothing like it"


def pack_releases(releases: list[tuple[int, int, int]]) -> bytes:
    """The payload of a RELEASE."""
    return b"".join([RELEASE.pack(*release) for release in releases])


def unpack_releases(payload: bytes | bytearray) -> list[tuple[int, int, int]]:
    """Read the payload of a RELEASE.

    Raises:
        ProtocolError: its size is wrong.
    """
    if len(payload) % RELEASE.size:
        raise ProtocolError(f"the peer sent RELEASE of {len(payload)} bytes, no multiple of {RELEASE.size}")
    return list(RELEASE.iter_unpack(payload))


def pack_fields(fields: dict[str, str]) -> bytes:
    """The payload of a HELLO: a line ``name=value`` for each field."""
    return "\n".join(f"{name}={value}" for name, value in fields.items()).encode()


def unpack_fields(payload: bytes | bytearray) -> dict[str, str]:
    """Read the payload of a HELLO; unknown names belong to later versions.

    Raises:
        ProtocolError: it is not made like that.
    """
    try:
        lines = bytes(payload).decode().split("\n") if payload else []
    except UnicodeDecodeError as error:
        raise ProtocolError(f"the peer's HELLO is no text: {error}") from None
    if not all("=" in line for line in lines):
        raise ProtocolError(f"the peer's HELLO is malformed: {bytes(payload[:100])!r}")
    return dict(line.split("=", 1) for line in lines)
