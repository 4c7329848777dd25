"""Runs: how the bytes of a host object become Windows bytes, and back.

Each has ``host`` and ``windows``, the offsets where it starts on either side.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Any, NamedTuple, Protocol

from winbridge.core.errors import PrototypeError

Bytes = bytes | bytearray | memoryview
Room = bytearray | memoryview
HOST_POINTER = ctypes.sizeof(ctypes.c_void_p)
_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}


class Run(Protocol):
    """A run of bytes that has a place on either side."""

    @property
    def host(self) -> int: ...
    @property
    def windows(self) -> int: ...
    @property
    def bytes(self) -> int:
        """How many bytes it has on Windows."""

    def moved(self, host: int, windows: int) -> Run:
        """The same run, further on."""

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        """The run of an array of items that consist of this alone; None if there are others between."""

    def named(self, name: str) -> Run:
        """The same run as part of a field, for messages."""


class Move(Run, Protocol):
    """A run whose bytes can be converted by themselves."""

    def pack(self, host: Bytes, view: Room) -> None:
        """Host to Windows."""

    def unpack(self, view: Bytes, host: Room) -> None:
        """Windows to host."""


class Copy(NamedTuple):
    """Bytes that are the same on both sides."""

    host: int
    windows: int
    bytes: int

    def moved(self, host: int, windows: int) -> Copy:
        return self._replace(host=self.host + host, windows=self.windows + windows)

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        return [self._replace(bytes=self.bytes * count)] if host_size == size == self.bytes else None

    def named(self, name: str) -> Copy:
        return self

    def pack(self, host: Bytes, view: Room) -> None:
        view[self.windows : self.windows + self.bytes] = host[self.host : self.host + self.bytes]

    def unpack(self, view: Bytes, host: Room) -> None:
        host[self.host : self.host + self.bytes] = view[self.windows : self.windows + self.bytes]


class Numbers(NamedTuple):
    """Integers whose width differs: long, and what is as wide as a pointer."""

    host: int
    windows: int
    items: int
    host_width: int
    width: int
    signed: bool
    order: str = "<"
    name: str = ""

    @property
    def bytes(self) -> int:
        return self.items * self.width

    def moved(self, host: int, windows: int) -> Numbers:
        return self._replace(host=self.host + host, windows=self.windows + windows)

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        whole = host_size == self.items * self.host_width and size == self.bytes
        return [self._replace(items=self.items * count)] if whole else None

    def named(self, name: str) -> Numbers:
        return self._replace(name=self.name or f"field {name!r}: ")

    def pack(self, host: Bytes, view: Room) -> None:
        values = struct.unpack_from(f"{self.order}{self.items}{_CODES[self.host_width]}", host, self.host)
        code = f"{self.order}{self.items}{_CODES[self.width]}"
        try:
            struct.pack_into(code, view, self.windows, *values)
        except struct.error:
            struct.pack_into(code, view, self.windows, *map(self._narrow, values))

    def _narrow(self, value: int) -> int:
        """A number is let through when it is one of that width, signed or not."""
        half = 1 << (8 * self.width - 1)
        if not -half <= value < 2 * half:
            raise OverflowError(
                f"{self.name}{value} does not fit the {self.width} bytes that it has on Windows: long has 4 there."
                " For 64 bits use winbridge.ctypes.c_longlong or c_ulonglong (Linux has one class for both)"
            )
        return value - 2 * half if value >= half else value

    def unpack(self, view: Bytes, host: Room) -> None:
        code = _CODES[self.width] if self.signed else _CODES[self.width].upper()
        values = struct.unpack_from(f"{self.order}{self.items}{code}", view, self.windows)
        struct.pack_into(f"{self.order}{self.items}{_CODES[self.host_width]}", host, self.host, *values)


class Text(NamedTuple):
    """wchar_t: 4 bytes on the host (UTF-32), 2 on Windows (UTF-16)."""

    host: int
    windows: int
    items: int

    @property
    def bytes(self) -> int:
        return 2 * self.items

    def moved(self, host: int, windows: int) -> Text:
        return self._replace(host=self.host + host, windows=self.windows + windows)

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        return None  # each item is a text of its own; surrogates of one must not push the next

    def named(self, name: str) -> Text:
        return self

    def pack(self, host: Bytes, view: Room) -> None:
        source = bytes(host[self.host : self.host + 4 * self.items])
        data = source.decode("utf-32-le", "surrogatepass").encode("utf-16-le", "surrogatepass")
        if any(data[self.bytes :]):
            raise ValueError(f"the text does not fit {self.items} UTF-16 units")
        view[self.windows : self.windows + self.bytes] = data[: self.bytes]

    def unpack(self, view: Bytes, host: Room) -> None:
        data = bytes(view[self.windows : self.windows + self.bytes])
        text = data.decode("utf-16-le", "surrogatepass").encode("utf-32-le", "surrogatepass")
        host[self.host : self.host + 4 * self.items] = text.ljust(4 * self.items, b"\0")


class Reals(NamedTuple):
    """long double of the host (the processor's 80 bits), a double on Windows."""

    host: int
    windows: int
    items: int = 1

    @property
    def bytes(self) -> int:
        return 8 * self.items

    def moved(self, host: int, windows: int) -> Reals:
        return self._replace(host=self.host + host, windows=self.windows + windows)

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        whole = size == self.bytes and host_size == self.items * ctypes.sizeof(ctypes.c_longdouble)
        return [self._replace(items=self.items * count)] if whole else None

    def named(self, name: str) -> Reals:
        return self

    def pack(self, host: Bytes, view: Room) -> None:
        values = (ctypes.c_longdouble * self.items).from_buffer_copy(host, self.host)
        struct.pack_into(f"<{self.items}d", view, self.windows, *values)

    def unpack(self, view: Bytes, host: Room) -> None:
        values = struct.unpack_from(f"<{self.items}d", view, self.windows)
        (ctypes.c_longdouble * self.items).from_buffer(host, self.host)[:] = list(values)


class Refusal(NamedTuple):
    """A run that cannot be converted without guessing."""

    host: int
    windows: int
    bytes: int
    reason: str

    def moved(self, host: int, windows: int) -> Refusal:
        return self._replace(host=self.host + host, windows=self.windows + windows)

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        return [self]

    def named(self, name: str) -> Refusal:
        return self

    def pack(self, host: Bytes, view: Room) -> None:
        raise PrototypeError(self.reason)

    def unpack(self, view: Bytes, host: Room) -> None:
        raise PrototypeError(self.reason)


class Pointers(NamedTuple):
    """Pointers: no move, because what stands in them on the other side depends on what they point to.

    ``dll.mirror`` translates them. ``kind`` is their ctypes type. ``shared`` ones are members of a union with others
    that take more bytes on Windows: they count as pointers only when they point to something known.
    """

    host: int
    windows: int
    items: int
    width: int
    kind: Any
    name: str = ""
    shared: bool = False

    @property
    def bytes(self) -> int:
        return self.items * self.width

    def moved(self, host: int, windows: int) -> Pointers:
        return self._replace(host=self.host + host, windows=self.windows + windows)

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        whole = host_size == HOST_POINTER * self.items and size == self.bytes
        return [self._replace(items=self.items * count)] if whole else None

    def named(self, name: str) -> Pointers:
        return self if self.name else self._replace(name=f"field {name!r} ({self.kind.__name__})")

    def slots(self) -> list[tuple[int, int]]:
        """Where each of them stands: offset on the host, offset on Windows."""
        return [(self.host + HOST_POINTER * index, self.windows + self.width * index) for index in range(self.items)]

    def narrow(self, value: int) -> int:
        """What a slot takes for a number; sign-extended handles are fine.

        Raises:
            OverflowError: it is too wide.
        """
        mask = (1 << 8 * self.width) - 1
        if value & ~mask and value >> 8 * self.width != 0xFFFFFFFF:
            what = self.name or self.kind.__name__
            raise OverflowError(f"{what}: {value:#x} does not fit a pointer of {self.width} bytes")
        return value & mask


class Bits(NamedTuple):
    """A bit field, whose unit may lie elsewhere and be filled otherwise."""

    host: int
    windows: int
    host_width: int
    width: int
    host_shift: int
    shift: int
    bits: int
    big: bool

    @property
    def bytes(self) -> int:
        return self.width

    def moved(self, host: int, windows: int) -> Bits:
        return self._replace(host=self.host + host, windows=self.windows + windows)

    def repeated(self, count: int, host_size: int, size: int) -> list[Run] | None:
        return None

    def named(self, name: str) -> Bits:
        return self

    def pack(self, host: Bytes, view: Room) -> None:
        self._put(
            view, self.windows, self.width, self.shift, self._get(host, self.host, self.host_width, self.host_shift)
        )

    def unpack(self, view: Bytes, host: Room) -> None:
        self._put(
            host, self.host, self.host_width, self.host_shift, self._get(view, self.windows, self.width, self.shift)
        )

    def _get(self, memory: Bytes, offset: int, width: int, shift: int) -> int:
        unit = int.from_bytes(memory[offset : offset + width], "big" if self.big else "little")
        return unit >> shift & ((1 << self.bits) - 1)

    def _put(self, memory: Room, offset: int, width: int, shift: int, value: int) -> None:
        order: str = "big" if self.big else "little"
        unit = int.from_bytes(memory[offset : offset + width], order)  # type: ignore[arg-type]
        unit = unit & ~(((1 << self.bits) - 1) << shift) | value << shift
        memory[offset : offset + width] = unit.to_bytes(width, order)  # type: ignore[arg-type]


def merged(moves: list[Run]) -> list[Run]:
    """Neighbouring copies as one."""
    result: list[Run] = []
    for move in moves:
        last = result[-1] if result else None
        if isinstance(move, Copy) and isinstance(last, Copy) and _adjacent(last, move):
            result[-1] = last._replace(bytes=last.bytes + move.bytes)
        else:
            result.append(move)
    return result


def _adjacent(first: Copy, second: Copy) -> bool:
    return first.host + first.bytes == second.host and first.windows + first.bytes == second.windows
