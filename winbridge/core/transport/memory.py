"""An agent in memory: no Windows, no process; for tests of programs that use winbridge.

Its DLLs are Python functions::

    session = MemorySession(libraries={"vendor": {"add": lambda a, b: a + b}})
    session.load_dll("vendor").add(2, 3)

A function gets its argument words as unsigned integers (for a floating-point parameter, mark it
with ``native(restype, argtypes)``, ctypes types). It may raise ``OSError`` to stand for a fault. Memory is
one block of bytes: addresses outside of it are faults, as on Windows.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import Any

from winbridge.core import wire
from winbridge.core.config import Config
from winbridge.core.errors import CallTimeoutError, SessionClosedError
from winbridge.core.failure import ACCESS_VIOLATION
from winbridge.core.heap import heap
from winbridge.core.session import SessionEngine
from winbridge.core.transport.contract import Arena
from winbridge.core.transport.segment import Segment
from winbridge.core.wire import Malformed, Op, Record, Response, Result, Status

Library = Mapping[str, Callable[..., Any]]

SIZE = 1 << 24
BASE = 0x10000
"""The first valid address: NULL and what is near it are faults."""

FIRST_ARENA = 1 << 16
MOD_NOT_FOUND, PROC_NOT_FOUND, NOT_ENOUGH_MEMORY = 126, 127, 8

_WRAPS = {
    Result.INT8: "b", Result.UINT8: "B", Result.INT16: "h", Result.UINT16: "H", Result.INT32: "i",
    Result.UINT32: "I", Result.INT64: "q", Result.POINTER: "q",
}  # fmt: skip

_CODES = {int(kind): code for kind, code in (*_WRAPS.items(), (Result.FLOAT, "f"), (Result.DOUBLE, "d"))}


def native(restype: Any, argtypes: list[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the C types of a Python function that stands for a DLL's.

    Args:
        restype: ctypes type of the result, None for none.
        argtypes: ctypes types of the parameters.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__native__ = (restype, argtypes)  # type: ignore[attr-defined]
        return function

    return mark


class Fault(OSError):  # noqa: N818 - named for what it stands for
    """An access to memory that is not there.

    Args:
        access: 0 reading, 1 writing, 8 executing.
        address: of the first byte.
    """

    def __init__(self, access: int, address: int) -> None:
        super().__init__(f"access {access} at {address:#x}")
        self.access = access
        self.address = address


class Machine:
    """The state of the agent in memory: its libraries, its addresses, its bytes."""

    def __init__(self, libraries: Mapping[str, Library]) -> None:
        self.libraries = {name.lower(): library for name, library in libraries.items()}
        self.handles: dict[int, str] = {}
        self.functions: dict[int, Callable[..., Any]] = {}
        self.bytes = bytearray(SIZE)
        self.blocks: dict[int, int] = {}
        self.top = BASE

    def allocate(self, size: int) -> int:
        """A block, 0 when there is no room. Addresses are not used again."""
        start = self.top
        if start + size > BASE + SIZE:
            return 0
        self.top = start + -(-max(size, 1) // 16) * 16
        self.blocks[start] = size
        return start

    def view(self, address: int, size: int, access: int) -> memoryview:
        """The bytes at an address.

        Raises:
            Fault: some of them are not there.
        """
        own = heap(8).view(address, size)
        if own is not None:
            return own
        start = address - BASE
        if start < 0 or start + size > self.top - BASE:
            raise Fault(access, address)
        return memoryview(self.bytes)[start : start + size]

    def text(self, address: int, width: int) -> bytes:
        size = 0
        while any(self.view(address + size, width, 0)):
            size += width
        return bytes(self.view(address, size, 0))

    def load(self, name: int, flags: int) -> tuple[int, int]:
        given = self.text(name, 2).decode("utf-16-le").lower()
        found = given if given in self.libraries else given.removesuffix(".dll")
        if found not in self.libraries:
            return 0, MOD_NOT_FOUND
        handle = 0x1000 * (1 + list(self.libraries).index(found))
        self.handles[handle] = found
        return handle, 0

    def resolve(self, module: int, name: int) -> tuple[int, int]:
        library = self.libraries.get(self.handles.get(module, ""), {})
        known = list(library)
        text = known[name - 1] if name <= len(known) else self.text(name, 1).decode() if name >= BASE else ""
        if text not in library:
            return 0, PROC_NOT_FOUND
        address = module << 20 | (1 + known.index(text)) << 4
        self.functions[address] = library[text]
        return address, 0

    def module_path(self, module: int, buffer: int, length: int) -> tuple[int, int]:
        name = self.handles.get(module)
        if name is None:
            return 0, MOD_NOT_FOUND
        path = f"C:\\memory\\{name}.dll"
        self.view(buffer, 2 * len(path), 1)[:] = path.encode("utf-16-le")
        return len(path), 0

    def read(self, address: int, target: int, size: int) -> tuple[int, int]:
        self.view(target, size, 1)[:] = self.view(address, size, 0)
        return 1, 0

    def write(self, address: int, source: int, size: int) -> tuple[int, int]:
        self.view(address, size, 1)[:] = self.view(source, size, 0)
        return 1, 0

    def string(self, address: int, target: int, room: int, width: int) -> tuple[int, int]:
        size = 0
        while size + width <= room and any(character := self.view(address + size, width, 0)):
            self.view(target + size, width, 1)[:] = character
            size += width
        return size, 0

    def alloc(self, size: int) -> tuple[int, int]:
        address = self.allocate(size)
        return address, 0 if address else NOT_ENOUGH_MEMORY

    def release(self, address: int) -> tuple[int, int]:
        return int(self.blocks.pop(address, None) is not None), 0

    def free(self, module: int) -> tuple[int, int]:
        return int(self.handles.pop(module, None) is not None), 0

    def function(self, op: int) -> Callable[..., tuple[int, int]] | None:
        """The function behind an Op."""
        table = {
            Op.LOAD: self.load, Op.FREE: self.free, Op.RESOLVE: self.resolve, Op.MODULE_PATH: self.module_path,
            Op.READ: self.read, Op.WRITE: self.write, Op.STRING: self.string,
            Op.ALLOC: self.alloc, Op.RELEASE: self.release,
        }  # fmt: skip
        return table.get(op)  # type: ignore[call-overload, no-any-return]


class MemoryChannel:
    """A channel to a ``Machine``; its arena is a block of the machine's own memory."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._closed = False
        self._last_error = 0
        self.arena = self._arena(FIRST_ARENA)

    def _arena(self, size: int) -> Arena:
        base = self._machine.allocate(size)
        if not base:
            raise MemoryError(f"the agent in memory has no room for an arena of {size} bytes")
        return Arena(self._machine.view(base, size, 1), base)

    def exchange(self, message: bytes, timeout: float | None = None) -> Record:
        if self._closed:
            raise SessionClosedError("the channel is closed")
        op, flags, size, _, _, _, target, *_ = wire.REQUEST.unpack_from(message)
        words = message[wire.REQUEST.size :]
        if size != len(words) or size > wire.MAX_ARGUMENT_BYTES or size % 8:
            return self._malformed(Malformed.SIZE)
        if flags & 0xFF > Result.DOUBLE:
            return self._malformed(Malformed.RESULT)
        try:
            if op == Op.CALL:
                return self._call(target, words, Result(flags & 0xFF))
            if op == Op.CALL_MANY:
                return self._call_many(target, words, Result(flags & 0xFF))
            return self._own(op, struct.unpack(f"<{size // 8}Q", words))
        except Fault as fault:
            return Response(Status.FAULT, 0, ACCESS_VIOLATION, 0.0, 0, 0, fault.access, fault.address, target)
        except TimeoutError as error:
            raise CallTimeoutError(str(error)) from error

    def _malformed(self, rule: Malformed) -> Record:
        return Response(Status.MALFORMED, 0, rule, 0.0, 0, 0, 0, 0, 0)

    def _own(self, op: int, values: tuple[int, ...]) -> Record:
        function = self._machine.function(op)
        if function is None:
            return self._malformed(Malformed.OPCODE)
        value, last_error = function(*values)
        return Response(Status.OK, last_error, value, 0.0, 0, 0, 0, 0, 0)

    def _call(self, target: int, words: bytes, kind: Result) -> Record:
        function = self._machine.functions.get(target)
        if function is None:
            raise Fault(8, target)
        value = function(*_arguments(function, words))
        return _answer(value, kind)

    def _call_many(self, target: int, message: bytes, kind: Result) -> Record:
        """Column by column of addresses, as many.c does; a callback cannot interrupt it, so it needs no budget."""
        progress, count, _, _ = wire.MANY.unpack_from(message)
        results, *arguments = wire.COLUMN.iter_unpack(message[wire.MANY.size :])
        for item in range(count):
            words = [self._items(column, item, 0).tobytes().ljust(8, b"\0") for column in arguments]
            value, real = self._call(target, b"".join(words), kind)[2:4]
            if kind != Result.NONE:
                self._items(results, item, 1)[:] = _stored(results[2], value, real)
            self._machine.view(progress, 8, 1)[:] = (item + 1).to_bytes(8, "little")
        return _answer(0, Result.NONE)

    def _items(self, column: tuple[int, ...], item: int, access: int) -> memoryview:
        address, stride, kind, _ = column
        return self._machine.view(address + stride * item, struct.calcsize("<" + _CODES[kind]), access)

    def reserve(self, size: int, timeout: float | None = None) -> None:
        if self.arena.top + size > len(self.arena.view):
            self.arena = self._arena(1 << (self.arena.top + size - 1).bit_length())

    def idle(self) -> bool:
        return True

    def abandon(self) -> Callable[[], bool]:
        self.close()
        return lambda: False

    def close(self) -> None:
        self._closed = True


def _arguments(function: Callable[..., Any], words: bytes) -> list[Any]:
    declared = getattr(function, "__native__", None)
    if declared is None:
        return list(struct.unpack(f"<{len(words) // 8}Q", words))
    return [kind.from_buffer_copy(words, 8 * index).value for index, kind in enumerate(declared[1])]


def _stored(kind: int, integer: int, real: float) -> bytes:
    code = _CODES[kind]
    if code in "fd":
        return struct.pack("<" + code, real)
    return struct.pack("<q", integer)[: struct.calcsize("<" + code)]


def _answer(value: Any, kind: Result) -> Record:
    real, integer = 0.0, 0
    if kind == Result.FLOAT:
        real = ctypes.c_float(value).value
    elif kind == Result.DOUBLE:
        real = float(value)
    elif kind != Result.NONE:
        code = _WRAPS[kind]
        (integer,) = struct.unpack_from("<" + code, struct.pack("<Q", int(value or 0) & 0xFFFFFFFFFFFFFFFF))
    return Response(Status.OK, 0, integer, real, 0, 0, 0, 0, 0)


class MemoryTransport:
    """The way to a ``Machine``."""

    name = "memory"
    shares_memory = True
    pointer_size = 8

    def __init__(self, libraries: Mapping[str, Library]) -> None:
        self.machine = Machine(libraries)
        self._up = True

    def channel(self, timeout: float | None = None) -> MemoryChannel:
        return MemoryChannel(self.machine)

    def share(self, segment: Segment) -> None:
        """It is there already: this process's memory."""

    def up(self) -> bool:
        return self._up

    def describe(self) -> str:
        return f"{len(self.machine.libraries)} libraries"

    def close(self, timeout: float) -> None:
        self._up = False

    def disown(self) -> None:
        self._up = False


class MemorySession(SessionEngine):
    """A session without Windows: its DLLs are Python functions.

    Args:
        config: parameters.
        libraries: for each DLL's name its functions by name.
    """

    def __init__(
        self, config: Config | None = None, *, libraries: Mapping[str, Library] | None = None, **parameters: Any
    ):
        self._libraries = libraries or {}
        super().__init__(config, **parameters)

    def connect(self) -> MemoryTransport:
        return MemoryTransport(self._libraries)
