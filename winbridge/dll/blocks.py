"""Memory that a call's arguments point to: laid out in the channel's arena for the call, brought back after it."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

from winbridge.core.session import SessionEngine
from winbridge.core.transport.contract import Arena
from winbridge.dll.layout import Layout
from winbridge.dll.offsets import windows_offset

ALIGNMENT = 16
"""Of every block: enough for any type, also for SSE operands."""

GAP = 64
"""Unused bytes behind a block, so that a small overrun does not hit the next one."""


class Constant:
    """Bytes that a DLL may only read: they go over, and never come back."""

    back = False

    def __init__(self, source: bytes | str, data: bytes) -> None:
        self.source = source  # alive as long as its id stands for it
        self.data = data
        self.size = len(data)

    def write(self, view: memoryview) -> None:
        view[:] = self.data

    def read(self, view: memoryview) -> None:
        """Nothing: bytes and str are never modified."""


class Mirror:
    """The Windows image of a ctypes object: written before the call, read back after it."""

    back = True

    def __init__(self, target: Any, layout: Layout) -> None:
        self.target = target
        self.layout = layout
        self.size = layout.size

    def write(self, view: memoryview) -> None:
        self.layout.pack_into(self.target, view)

    def read(self, view: memoryview) -> None:
        self.layout.unpack_from(self.target, view)


Block = Constant | Mirror


class Place(NamedTuple):
    """An argument that is the address of a block, or of a byte within one."""

    block: Block
    offset: int = 0


class Blocks:
    """The blocks of one call. The same object passed twice is one block, and a part of another lies within it.

    ``lay_out`` gives each its place in the arena: first those that come back, so that they are one range.

    Args:
        session: where the call goes to.
    """

    def __init__(self, session: SessionEngine) -> None:
        self.session = session
        self._blocks: dict[tuple[int, Any], Block] = {}
        self._places: dict[int, int] = {}
        self.size = self.back = 0

    def constant(self, source: bytes | str, data: bytes) -> Place:
        """A block of constant bytes that stand for ``source``."""
        return Place(self._blocks.setdefault((id(source), type(source)), Constant(source, data)))

    def mirror(self, target: Any, layout: Layout, offset: int = 0) -> Place:
        """A block for a ctypes object; the offset is counted on the host."""
        key = (ctypes.addressof(target), type(target))
        return Place(self._blocks.setdefault(key, Mirror(target, layout)), windows_offset(layout, offset))

    def lay_out(self) -> int:
        """Give every block its offset; returns the bytes needed."""
        parts = self._take_parts() if len(self._blocks) > 1 else []
        for block in sorted(self._blocks.values(), key=lambda block: not block.back):
            self._places[id(block)] = self.size
            self.size += (block.size + GAP + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
            if block.back:
                self.back = self.size
        for part, whole, offset in parts:
            self._places[id(part)] = self._places[id(whole)] + offset
        return self.size

    def _take_parts(self) -> list[tuple[Mirror, Mirror, int]]:
        """Take out what is a field or an item of another block: their memory is the same, so it must not go twice."""
        found = []
        for key, block in list(self._blocks.items()):
            whole = self._whole(block) if isinstance(block, Mirror) else None
            if whole is not None:
                del self._blocks[key]
                host = key[0] - ctypes.addressof(whole.target)
                found.append((block, whole, windows_offset(whole.layout, host)))
        return found  # type: ignore[return-value]

    def _whole(self, part: Mirror) -> Mirror | None:
        """The outermost block that an object is a part of."""
        found, base = None, part.target._b_base_
        while base is not None:
            found = self._blocks.get((ctypes.addressof(base), type(base)), found)
            base = base._b_base_
        return found  # type: ignore[return-value]

    def write(self, arena: Arena) -> None:
        for block, view in self._views(arena):
            block.write(view)

    def read(self, arena: Arena) -> None:
        for block, view in self._views(arena):
            if block.back:
                block.read(view)

    def _views(self, arena: Arena) -> list[tuple[Block, memoryview]]:
        places = ((block, arena.top + self._places[id(block)]) for block in self._blocks.values())
        return [(block, arena.view[start : start + block.size]) for block, start in places]

    def address(self, arena: Arena, place: Place) -> int:
        return arena.base + arena.top + self._places[id(place.block)] + place.offset
