"""Inputs to begin with: well-formed conversations, from which a fuzzer comes to broken ones."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from winbridge.core import wire
from winbridge.core.wire import Flag, Op, Result, Status

# As in native/fuzz/harness.h.
ARENA, THUNK, BLOCK = 0xA5 << 56, 0xA7 << 56, 0xA8 << 56
MEMORY = 0x20000000
SUM, FAULTY, CALLS_THUNK, THREAD_CALLS_THUNK = 1, 2, 3, 4


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


def ask(op: int, *values: int, **fields: object) -> bytes:
    return wire.request(op, words(*values), **fields)  # type: ignore[arg-type]


TEXT = "kernel32\0".encode("utf-16-le")
SETUP = [
    (ask(Op.LOAD, ARENA, 0, arena=(0, len(TEXT), 0)), TEXT),
    (ask(Op.RESOLVE, 0x10000, ARENA, arena=(0, 7, 0)), b"MulDiv\0"),
    (ask(Op.RESOLVE, 0x10000, 7), b""),
    (ask(Op.MODULE_PATH, 0x10000, ARENA + 64, 100, arena=(64, 0, 200)), b""),
    (ask(Op.FREE, 0x10000), b""),
]
MEMORIES = [
    (ask(Op.READ, MEMORY, ARENA, 16, arena=(0, 0, 16)), b""),
    (ask(Op.WRITE, MEMORY, ARENA, 16, arena=(0, 16, 0)), b"0123456789abcdef"),
    (ask(Op.STRING, MEMORY, ARENA, 64, 1, arena=(0, 0, 64)), b""),
    (ask(Op.STRING, MEMORY, ARENA, 64, 2, arena=(0, 0, 64)), b""),
    (ask(Op.ALLOC, 32), b""),
    (ask(Op.RELEASE, BLOCK), b""),
    (ask(Op.HEAP, 0, 65536), b""),
    (ask(Op.SHARE, ARENA, 0, 65536, arena=(0, len(TEXT), 0)), TEXT),
    (ask(Op.UNSHARE, ARENA), b""),
    (ask(Op.OPEN_SHARED, ARENA, 0, 65536, ARENA, ARENA, 100, 1 << 19, arena=(0, len(TEXT), 0)), TEXT),
]
CALLS = [
    (ask(Op.CALL, 2, 3, 4, 5, 6, target=SUM, flags=Result.INT32), b""),
    (ask(Op.CALL, 1, target=SUM, flags=Result.DOUBLE | Flag.SWAP_ERRNO | Flag.SWAP_LAST_ERROR, last_error=5), b""),
    (ask(Op.CALL, target=FAULTY), b""),
]
MANY = [
    (
        wire.request(
            Op.CALL_MANY,
            struct.pack("<QQII", MEMORY, 4, 1 << 28, 0)
            + struct.pack("<QqII", MEMORY + 64, 8, Result.INT64, 0)
            + struct.pack("<QqII", MEMORY + 256, stride, kind, 0)
            + struct.pack("<QqII", MEMORY + 512, -stride, kind, 0),
            target=SUM,
            flags=Result.INT64,
        ),
        b"",
    )
    for stride, kind in ((8, Result.INT64), (4, Result.INT32), (1, Result.UINT8), (0, Result.DOUBLE))
]
ANSWER = (ask(Op.CALLBACK_RETURN, 7, flags=Flag.SWAP_LAST_ERROR | Flag.SWAP_ERRNO), b"")
RAISE = (ask(Op.CALLBACK_RETURN, 7, target=0xE0001234), b"")
CALLBACKS = [
    (ask(Op.THUNK_NEW, 5, 32, 0, Result.INT32), b""),
    (ask(Op.CALL, THUNK, target=CALLS_THUNK, arena=(0, 8, 8)), b"8 bytes."),
    (ask(Op.CALL, 2, 3, target=SUM), b""),
    (ask(Op.CALL, THUNK, target=CALLS_THUNK), b""),
    RAISE,
    ANSWER,
    (ask(Op.THUNK_FREE, THUNK), b""),
    (ask(Op.CALL, THUNK, target=CALLS_THUNK), b""),
]
THREADS = [
    (ask(Op.THUNK_NEW, 5, 32, 0, Result.INT32), b""),
    (ask(Op.CALL, THUNK, target=THREAD_CALLS_THUNK), b""),
    (ask(Op.SERVE), b""),
    ANSWER,
]
FOUND = [  # what fuzzers, or those who wrote them, have found
    (ask(Op.WRITE, MEMORY + 1, MEMORY, 16), b""),
    (ask(Op.READ, MEMORY, MEMORY + 3, 16), b""),
    (ask(Op.READ, 0, 0, 0), b""),
    (ask(Op.WRITE, MEMORY, ARENA, 4, arena=(0, 4, 0)), b"text"),
    (ask(Op.STRING, MEMORY, ARENA, 64, 0), b""),
    (ask(Op.OPEN_SHARED, ARENA, 0, 4096, ARENA, ARENA, 0, 0, arena=(0, len(TEXT), 0)), TEXT),
    (ask(Op.OPEN_SHARED, ARENA, 0, 65536, ARENA, ARENA, 0, 4096, arena=(0, len(TEXT), 0)), TEXT),
    (ask(Op.THUNK_NEW, 1, 7, 7, 0), b""),
    (ask(Op.ARENA, 0, 65536), b""),
    (ask(Op.MAP, ARENA, 0, 65536, arena=(0, len(TEXT), 0)), TEXT),
    (ask(Op.CLOSE_STREAM, 1), b""),
]
CONVERSATIONS = {
    "setup": SETUP,
    "memory": MEMORIES,
    "calls": CALLS,
    "many": MANY,
    "callbacks": CALLBACKS,
    "threads": THREADS,
    "found": FOUND,
}


def stream(mode: int, messages: list[tuple[bytes, bytes]], channel: int) -> bytes:
    """For fuzz_stream: channel 1 is opened, used, closed."""
    open_and_close = [(ask(Op.OPEN_STREAM, 1, 65536), b""), (ask(Op.CLOSE_STREAM, 1), b"")]
    parts = [(0, *open_and_close[0]), *((channel, *message) for message in messages), (0, *open_and_close[1])]
    return bytes([mode]) + b"".join(
        wire.frame(number, message, len(memory)) + message + memory for number, message, memory in parts
    )


def shared(messages: list[tuple[bytes, bytes]], flags: int) -> bytes:
    """For fuzz_shared, whose arena is not written."""
    turns = [bytes([flags]) + struct.pack("<H", len(message)) + message for message, _ in messages]
    return b"\x5a" + b"".join(turns)


def of_stream() -> Iterator[bytes]:
    for messages in CONVERSATIONS.values():
        for channel in (0, 1):
            yield stream(0, messages, channel)
        yield stream(1, messages, 1)
    grown = [(ask(Op.ARENA, 1, 1 << 18), b""), (ask(Op.READ, MEMORY, ARENA, 9, arena=(0, 0, 9)), b"")]
    yield stream(0, grown, 1)


def of_shared() -> Iterator[bytes]:
    moved = [(ask(Op.MAP, MEMORY, 0, 65536), b""), (ask(Op.WRITE, MEMORY + 8, ARENA, 8), b"")]
    for messages in (*CONVERSATIONS.values(), moved):
        for flags in (0, 2, 4):
            yield shared(messages, flags)


def records() -> Iterator[bytes]:
    """Answers of an agent."""
    plain = wire.RESPONSE.pack(Status.OK, 1, 2, 3.0, 4, 5, 6, 7, 8)
    waiting = wire.RESPONSE.pack(Status.CALLBACK, 1, 2, 3.0, 4, 5, 40, 7, 8) + bytes(40)
    for message, memory in ((plain, b""), (waiting, b""), (plain, b"0123456789abcdef")):
        yield wire.frame(1, message, len(memory)) + message + memory


def requests() -> Iterator[bytes]:
    """Bodies that a client sends to a gateway."""
    for messages in CONVERSATIONS.values():
        for message, memory in messages:
            yield wire.frame(1, message, len(memory)) + message + memory


def texts() -> Iterator[bytes]:
    """JSON of a gateway and its client."""
    yield b'{"id":"abc","arch":"win64","pointer_size":8,"wire_version":3}'
    yield b'{"channel":1,"arena":65536,"arena_size":4096}'
    yield b'{"size":4096}'
    yield b'x{"type":"urn:winbridge:problem:agent-died","title":"t","detail":"d","exit_code":3,"stderr_tail":"s"}'


SEEDS = {
    "fuzz_stream": of_stream,
    "fuzz_shared": of_shared,
    "frames": records,
    "bodies": requests,
    "json": texts,
}


def write(target: str, folder: Path) -> None:
    """Write a target's seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, data in enumerate(SEEDS[target]()):
        (folder / f"seed{index:02}").write_bytes(data)
