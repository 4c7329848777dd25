"""A mirror: the Windows image of a host object, in the heap, for as long as the object lives.

Both sides may change their memory at any time: Python here, a DLL there. ``known`` and ``image`` are
what each side had when they were last made equal. ``push`` carries over what differs from ``known``
here, ``pull`` what differs from ``image`` there, byte by byte where both have changed.
"""

from __future__ import annotations

import ctypes
import operator
import struct
import weakref
from typing import TYPE_CHECKING, Any

from winbridge.core.changes import carry
from winbridge.core.heap import Block
from winbridge.core.impl import step
from winbridge.dll.layout import Layout
from winbridge.dll.moves import HOST_POINTER, Pointers
from winbridge.dll.offsets import host_offset, windows_offset
from winbridge.dll.owners import CDATA, Kept, host_view

if TYPE_CHECKING:
    from winbridge.dll.living import Living
    from winbridge.dll.mirrors import Mirrors

COMPARED = 1 << 20
"""Bytes. A larger object without pointers is copied whole, there before a call that is given it and back after it."""

KEPT = 1024
"""Snapshots that one object keeps: what a pointer in it led to before may still be looked at."""

_is_alive = operator.attrgetter("alive")
_HOST_SLOT = struct.Struct("<Q")
_SLOTS = {8: struct.Struct("<Q"), 4: struct.Struct("<I")}


class Tie(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to an owner that tells where its memory was."""

    __slots__ = ("start",)
    start: int


class Strong:
    """The same for owners that take no weak references, such as bytearray: they are dropped by a sweep."""

    __slots__ = ("owner", "start")

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __call__(self) -> Any:
        return self.owner


class Constant:
    """Bytes that a DLL may only read: what it does to them is not seen here, and gone at the next call."""

    targets: dict[int, Any] = {}  # noqa: RUF012 - never filled
    known = b""
    alive = True

    def __init__(self, source: Any, data: bytes, start: int, size: int, block: Block) -> None:
        self.source = source  # alive as long as its id stands for it
        self.data = data
        self.start = start
        self.size = size
        self.block = block
        self.address = block.address

    def tie(self) -> Any:
        """What it stands for."""
        return self.source

    def push(self, living: Living) -> None:
        self.block.view[:] = self.data

    def pull(self, living: Living) -> None:
        """Nothing: bytes and str are never modified."""

    def windows(self, host: int) -> int:
        """The address there for one here; a text has characters of another width."""
        offset = host - self.start
        return self.address + (offset if isinstance(self.source, bytes) else offset // 2)

    def host(self, windows: int) -> int:
        """The reverse of ``windows``; 0 for the text of a str, which has no such characters here."""
        if not self.start:
            return 0
        offset = windows - self.address
        return self.start + (offset if isinstance(self.source, bytes) else 2 * offset)


class Mirror:
    """See the module.

    Args:
        tie: gives the owner, None when it is gone.
        start: its address here; it has ``size`` bytes.
        shape: its layout on Windows.
        block: the memory there.
        mirrors: the others.
        view: the bytes here; None for a buffer, whose memory may move.

    Attributes:
        far: the bytes there; None where this process does not see them.
        known: what was here when both were last made equal; None before.
        image: what was there then.
        compared: whether only changes are carried over.
        plain: compared, and of the same bytes on both sides.
        targets: what its pointers point to, by offset on the host.
        kept: snapshots that its pointers were given.
    """

    __slots__ = (
        "__weakref__", "address", "block", "compared", "far", "image", "kept", "known", "mirrors", "plain", "shape",
        "size", "start", "targets", "tie", "view",
    )  # fmt: skip

    def __init__(self, tie: Any, start: int, shape: Layout, block: Block | None, mirrors: Mirrors, view: Any) -> None:
        self.tie = tie
        self.start = start
        self.size = shape.host_size
        self.shape = shape
        self.block = block
        self.address = 0 if block is None else block.address
        self.mirrors = mirrors
        self.view = view
        self.far: Any = None if block is None else block.view
        self.known: bytes | None = None
        self.image = b""
        self.targets: dict[int, Any] = {}
        self.kept: dict[Any, Any] = {}
        self.compared = shape.size <= COMPARED or bool(shape.pointers)
        self.plain = self.compared and shape.same

    @property
    def alive(self) -> bool:
        return self.tie() is not None

    @step("push_mirror")
    def push(self, living: Living) -> None:
        """Bring there what changed here.

        Raises:
            OverflowError, ValueError, PrototypeError: it cannot be there; nothing has been changed.
        """
        owner = self.tie()
        if owner is None or self._moved(owner):
            return
        host = self.here(owner)
        if not self.compared and self.shape.same:
            self.far[:] = host
            return
        now = host.tobytes()
        if now == self.known and (not self.targets or all(map(_is_alive, self.targets.values()))):
            return
        image = now if self.shape.same else self._packed(owner, now, living)
        if self.known is None:
            self.far[:] = image
        else:
            self.give(self.image, image)
        self.known, self.image = now, image

    @step("pull_mirror")
    def pull(self, living: Living) -> None:
        """Bring back what changed there."""
        owner = self.tie()
        if owner is None or self._moved(owner):
            return
        if not self.compared and self.shape.same:
            self.here(owner)[:] = self.far
            return
        now = self.take()
        if now == self.image or self.known is None:
            return
        after = now if self.shape.same else self._unpacked(now, living)
        carry(self.here(owner), self.known, after)
        self.known, self.image = after, now

    def _moved(self, owner: Any) -> bool:
        """Whether ``ctypes.resize`` gave the owner other memory: then this is the mirror of what is no more."""
        return isinstance(owner, CDATA) and ctypes.addressof(owner) != self.start

    def here(self, owner: Any) -> Any:
        """The memory here."""
        return self.view if self.view is not None else host_view(owner, True)

    def take(self) -> bytes:
        """What is there now."""
        return bytes(self.far)

    def give(self, before: bytes, after: bytes) -> None:
        """Change what is there."""
        carry(self.far, before, after)

    def windows(self, host: int) -> int:
        """The address there for one here."""
        return self.address + windows_offset(self.shape, host - self.start)

    def host(self, windows: int) -> int:
        """The address here for one there."""
        return self.start + host_offset(self.shape, windows - self.address)

    # Pointers.

    def keep(self, snapshot: Any) -> None:
        """Keep what a pointer in here was given: as long as the owner lives, and of many the latest."""
        self.kept.pop(snapshot, None)
        self.kept[snapshot] = None
        if len(self.kept) > KEPT:
            del self.kept[next(iter(self.kept))]

    def _packed(self, owner: Any, now: bytes, living: Living) -> bytes:
        image = bytearray(self.image or self.shape.size)
        self.shape.pack(now, image)
        if self.shape.pointers:
            self._translate(owner, now, image, living)
        return bytes(image)

    def _translate(self, owner: Any, now: bytes, image: bytearray, living: Living) -> None:
        kept = Kept(owner)
        known = self.known or bytes(len(now))
        for run in self.shape.pointers:
            slot = _SLOTS[run.width]
            for here, there in run.slots():
                (value,) = _HOST_SLOT.unpack_from(now, here)
                if value and not self._stands(value, here, known):
                    found, target = self.mirrors.translated(value, kept, living)
                    self._aim(here, target)
                    if run.shared and target is None:
                        continue  # another member of the union is meant
                    if run.shared:
                        image[there : there + HOST_POINTER] = bytes(len(image[there : there + HOST_POINTER]))
                    slot.pack_into(image, there, run.narrow(found))
                elif value and (here in self.targets or not run.shared):
                    width = HOST_POINTER if run.shared else run.width
                    image[there : there + width] = self.image[there : there + width]
                elif not run.shared:
                    slot.pack_into(image, there, 0)
                    self.targets.pop(here, None)

    def _stands(self, value: int, here: int, known: bytes) -> bool:
        """Whether a slot and what it points to are as they were."""
        if _HOST_SLOT.unpack_from(known, here)[0] != value:
            return False
        target = self.targets.get(here)
        return target is None or target.alive

    def _aim(self, here: int, target: Any) -> None:
        if target is not None:
            self.targets[here] = target
        else:
            self.targets.pop(here, None)

    def _unpacked(self, now: bytes, living: Living) -> bytes:
        assert self.known is not None
        host = bytearray(self.known)
        self.shape.unpack(now, host)
        for run in self.shape.pointers:
            self._follow(run, now, host, living)
        return bytes(host)

    def _follow(self, run: Pointers, now: bytes, host: bytearray, living: Living) -> None:
        """Pointers that the DLL left alone keep what they are here, the others get a place to point to here."""
        assert self.known is not None
        slot = _SLOTS[run.width]
        for here, there in run.slots():
            (value,) = slot.unpack_from(now, there)
            if value == slot.unpack_from(self.image, there)[0] and (here in self.targets or not run.shared):
                host[here : here + HOST_POINTER] = self.known[here : here + HOST_POINTER]
                continue
            if run.shared and self.mirrors.at_windows(value) is None:
                self._aim(here, None)
                continue  # another member of the union was written
            address, target = living.followed(value, run.kind, self) if value else (0, None)
            _HOST_SLOT.pack_into(host, here, address)
            self._aim(here, target)


_word = ctypes.c_void_p.from_buffer


@step("held_address")
def pointer_value(argument: Any) -> int:
    """The address that an instance of a pointer type holds."""
    return _word(argument).value or 0
