"""What the arguments of one call reach: collected as they are encoded, brought over and back around the call."""

from __future__ import annotations

from typing import Any

from winbridge.core.heap import Block
from winbridge.dll.living import Living
from winbridge.dll.mirrors import Mirrors
from winbridge.dll.owners import Kept, span


class Reach:
    """The memory of one call.

    Args:
        living: of the session that the call goes to.

    Attributes:
        given: mirrors and constants that arguments are in; ``Living`` follows their pointers.
        copies: memory of this call alone.
    """

    __slots__ = ("copies", "given", "living")

    def __init__(self, living: Living) -> None:
        self.living = living
        self.given: list[Any] = []
        self.copies: list[Block] = []

    @property
    def mirrors(self) -> Mirrors:
        return self.living.mirrors

    def constant(self, source: bytes | str) -> int:
        """The address of bytes or of a text, a zero behind it."""
        constant = self.living.mirrors.constant(source)
        self.given.append(constant)
        return constant.address

    def memory(self, thing: Any, host: int | None = None) -> int:
        """The address of a ctypes object's or a buffer's memory, or of a byte in it.

        Args:
            thing: the object.
            host: the byte's address here.
        """
        mirrors = self.living.mirrors
        mirror = mirrors.known(thing)
        if mirror is None:
            place = span(thing)[0] if host is None else host
            if mirrors.heap.view(place, 0) is not None:
                return place
            mirror = mirrors.of(thing)
        self.given.append(mirror)
        if host is None and mirror.tie() is thing:
            return mirror.address
        return mirror.windows(span(thing)[0] if host is None else host)

    def pointer(self, value: int, holder: Any) -> int:
        """The address there for one that a pointer here holds.

        Args:
            value: the address here.
            holder: the pointer, which keeps alive what it points to.
        """
        if not value:
            return 0
        mirrors = self.living.mirrors
        mirror = mirrors.held(value, holder)
        if mirror is not None:
            self.given.append(mirror)
            return mirror.address if value == mirror.start else mirror.windows(value)
        address, target = mirrors.translated(value, Kept(holder), self.living)
        if target is not None:
            self.given.append(target)
        return address

    def copy(self, data: bytes) -> int:
        """The address of a copy that lives as long as the call."""
        block = self.living.mirrors.heap.allocate(len(data))
        block.view[:] = data
        self.copies.append(block)
        return block.address
