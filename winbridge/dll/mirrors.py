"""All mirrors for one width of pointers, found by host address and by Windows address.

They belong to this process, as the heap does: an object has the same Windows address in every session.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from typing import TYPE_CHECKING, Any

from winbridge.core.errors import PrototypeError
from winbridge.core.heap import heap
from winbridge.dll import owners
from winbridge.dll.layout import layout
from winbridge.dll.mirror import Constant, Mirror, Strong, Tie
from winbridge.dll.spans import Spans

if TYPE_CHECKING:
    from winbridge.dll.living import Living

ARCHS = {8: "win64", 4: "win32"}
LOWEST = 0x10000
"""Smaller numbers are handles, ordinals and the like, on both sides."""

SWEEP_COUNT, SWEEP_BYTES = 1024, 1 << 22
"""So many constants, or bytes of them, are kept before the first look at which of them are still in use."""


class ReadOnly(Mirror):
    """A mirror of memory that must not change here."""

    __slots__ = ()

    def push(self, living: Living) -> None:
        owner = self.tie()
        if owner is not None:
            self.far[:] = owners.host_view(owner, True)

    def pull(self, living: Living) -> None:
        """Nothing: what the DLL writes is not seen here."""


class Mirrors:
    """The table.

    Args:
        pointer_size: 8 or 4.
    """

    def __init__(self, pointer_size: int) -> None:
        self.pointer_size = pointer_size
        self.arch = ARCHS[pointer_size]
        self.heap = heap(pointer_size)
        self.here: Spans[Any] = Spans()
        self.there: Spans[Any] = Spans()
        self.constants: dict[tuple[int, type], Constant] = {}
        self.strong: dict[int, Mirror] = {}
        self._sweep_count = SWEEP_COUNT
        self._bytes, self._sweep_bytes = 0, SWEEP_BYTES
        self._forget_count = SWEEP_COUNT

    # Of one owner.

    def known(self, thing: Any) -> Mirror | None:
        """The mirror that a ctypes object has already."""
        if not isinstance(thing, owners.CDATA):
            return None
        found = self.here.at.get(ctypes.addressof(thing))
        return found[1] if found is not None and found[1].tie() is thing else None

    def held(self, value: int, holder: Any) -> Mirror | None:
        """The mirror of the object that a pointer was made of, and keeps alive by itself.

        By far the most usual target: all others are for ``translated``.

        Args:
            value: the address that the pointer holds.
            holder: the pointer.

        Returns:
            None when it points elsewhere.
        """
        kept = holder._objects
        for thing in tuple(kept.values()) if type(kept) is dict else ():
            if isinstance(thing, owners.CDATA) and thing._b_base_ is None and thing._b_needsfree_:
                start, size = ctypes.addressof(thing), ctypes.sizeof(thing)
                if start <= value < start + size:
                    found = self.here.at.get(start)
                    if found is None:
                        return self._add(thing, start, size)
                    return found[1] if found[0] == size and found[1].tie() is thing else None
        return None

    def of(self, thing: Any) -> Mirror:
        """The mirror of the memory that a ctypes object or a buffer is a view of.

        Raises:
            PrototypeError: its type has no layout on Windows.
        """
        if isinstance(thing, owners.CDATA):
            known = self.known(thing)
            if known is not None:
                return known
            owner = thing if thing._b_needsfree_ and thing._b_base_ is None else owners.outermost(thing)
        else:
            owner = owners.outermost(thing)
        view = isinstance(thing, owners.CDATA) and not isinstance(owner, owners.CDATA)
        if view and not layout(type(thing), self.arch).same:
            owner = thing  # plain bytes there are laid out as the view says
        return self._of_owner(owner)

    def _of_owner(self, owner: Any) -> Mirror:
        start, size = owners.span(owner)
        found = self.here.at.get(start)
        if found is not None and found[1].tie() is owner and size == found[0]:
            return found[1]  # type: ignore[no-any-return]
        if found is not None and found[0] >= size and not isinstance(found[1].tie(), bytes) and _borrowed(owner):
            return found[1]  # type: ignore[no-any-return]
        return self._add(owner, start, size)

    def _add(self, owner: Any, start: int, size: int) -> Mirror:
        cdata = isinstance(owner, owners.CDATA)
        shape = layout(type(owner) if cdata else ctypes.c_ubyte * size, self.arch)
        if shape.host_size != size and shape.same:  # ctypes.resize was there
            shape = layout(ctypes.c_ubyte * size, self.arch)
        tie: Any
        try:
            tie = Tie(owner, self._gone)
        except TypeError:
            tie = Strong(owner)
        tie.start = start
        kind = ReadOnly if not cdata and owners.is_read_only(owner) else Mirror
        view = owners.memory_at(start, size) if cdata else owners.host_view(owner)
        mirror = kind(tie, start, shape, self.heap.allocate(shape.size), self, view)
        if isinstance(tie, Strong):
            self._sweep()
            self.strong[start] = mirror
        self.here.add(start, size, mirror)
        self._add_there(mirror, shape.size)
        return mirror

    def _add_there(self, item: Mirror | Constant, size: int) -> None:
        """Now and then those are dropped that are gone."""
        self.there.add(item.address, size, weakref.ref(item))
        if len(self.there.at) > self._forget_count:
            for start, (_, reference) in list(self.there.at.items()):
                if reference() is None:
                    self.there.discard(start, reference)
            self._forget_count = 2 * len(self.there.at) + SWEEP_COUNT

    def _gone(self, tie: Tie) -> None:
        """An owner is gone. Runs anywhere, also within the other methods: it only takes out one entry."""
        found = self.here.at.get(tie.start)
        if found is not None and found[1].tie is tie:
            self.here.discard(tie.start, found[1])

    # Constants.

    def constant(self, source: bytes | str) -> Constant:
        """The image of bytes or a text, a zero behind it."""
        found = self.constants.get((id(source), type(source)))
        if found is not None:
            return found
        if isinstance(source, str):
            return self._add_constant(source, (source + "\0").encode("utf-16-le", "surrogatepass"), 0, 0)
        return self._add_constant(source, source + b"\0", *owners.span(source))

    def capsule(self, capsule: Any) -> Constant:
        """The same for the text that ctypes keeps for a c_wchar_p."""
        found = self.constants.get((id(capsule), type(capsule)))
        if found is not None:
            return found
        start, size = owners.span(capsule)
        text = ctypes.wstring_at(start)
        return self._add_constant(capsule, (text + "\0").encode("utf-16-le", "surrogatepass"), start, size)

    def _add_constant(self, source: Any, data: bytes, start: int, size: int) -> Constant:
        self._sweep()
        constant = Constant(source, data, start, size, self.heap.allocate(len(data)))
        constant.block.view[:] = data
        self.constants[id(source), type(source)] = constant
        self._bytes += len(data)
        if start:
            self.here.add(start, size, constant)
        self._add_there(constant, len(data))
        return constant

    def _sweep(self) -> None:
        """Now and then drop the constants and buffers that only this table refers to."""
        if len(self.constants) + len(self.strong) < self._sweep_count and self._bytes < self._sweep_bytes:
            return
        for key, constant in list(self.constants.items()):
            if sys.getrefcount(constant.source) <= 2:  # the constant's, and that of the question
                del self.constants[key]
                self.here.discard(constant.start, constant)
        for start, mirror in list(self.strong.items()):
            if sys.getrefcount(mirror.tie.owner) <= 2:
                del self.strong[start]
                self.here.discard(start, mirror)
        self._bytes = sum(len(constant.data) for constant in list(self.constants.values()))
        self._sweep_bytes = max(SWEEP_BYTES, 2 * self._bytes)
        self._sweep_count = max(SWEEP_COUNT, 2 * (len(self.constants) + len(self.strong)))

    # By address.

    def at_host(self, address: int) -> Any:
        """The mirror or constant whose memory an address of this process is in, else None."""
        found = self.here.find(address)
        return None if found is None else found[1]

    def at_windows(self, address: int) -> Any:
        """The same for an address there."""
        found = self.there.find(address)
        if found is None:
            return None
        start, reference = found
        item = reference()
        if item is None:
            self.there.at.pop(start, None)
        return item

    def translated(self, value: int, kept: owners.Kept, living: Living) -> tuple[int, Any]:
        """What a pointer of this process is there.

        Args:
            value: the address that it holds.
            kept: what its holder keeps alive.
            living: of the session.

        Returns:
            the address there, and the mirror or constant that it lies in. A number that is no address of
            anything here is an address there already.

        Raises:
            PrototypeError: it is a function of this process.
        """
        if value < LOWEST or self.heap.view(value, 0) is not None:
            return value, None
        target = self.at_host(value) or living.at_host(value)
        if target is None or value == target.start + target.size:
            owner = kept.owner(value)
            if owner is not None:
                target = self._target(owner)
            elif target is None:
                target = self._unkept(value)
        return (value, None) if target is None else (target.windows(value), target)

    def _unkept(self, value: int) -> Any:
        """For an address that was set without a reference to what is there."""
        rights = owners.rights(value)
        if "x" in rights:
            raise PrototypeError(CALLBACK)
        owner = owners.anywhere(value) if rights else None
        if owner is None and (value >> 32 if rights else value >> 32 not in (0, 0xFFFFFFFF) and self.pointer_size == 4):
            raise PrototypeError(
                f"a pointer to {value:#x}: memory of this process that no ctypes object owns; pass the object itself"
            )
        return None if owner is None else self._target(owner)

    def _target(self, owner: Any) -> Any:
        if isinstance(owner, bytes):
            return self.constant(owner)
        return self.capsule(owner) if owners.is_capsule(owner) else self.of(owner)


CALLBACK = (
    "a Python callback cannot be passed to a DLL by the standard ctypes: it is code for Linux;"
    " make it with CFUNCTYPE or WINFUNCTYPE of winbridge.ctypes"
)

_tables: dict[int, Mirrors] = {}


def mirrors(pointer_size: int) -> Mirrors:
    """This process's table for a width of pointers."""
    table = _tables.get(pointer_size)
    return table if table is not None else _tables.setdefault(pointer_size, Mirrors(pointer_size))


def _borrowed(owner: Any) -> bool:
    """Whether it is a view of memory that it does not own, by ``from_address`` and the like."""
    return isinstance(owner, owners.CDATA) and not owner._b_needsfree_
