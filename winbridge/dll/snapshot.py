"""Snapshots: memory of the Windows side that a pointer here leads to.

The standard ctypes follows a pointer by reading this process's memory, so there has to be something to read.
A snapshot is a copy of what the pointer points to on the Windows side. It knows where that is: passing
the pointer on gives a DLL that very address. It is read again after later calls, and what Python changes
in it is written back before them.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

from winbridge.core.errors import WindowsFault
from winbridge.dll.layout import FunctionPointer, host_bytes, layout
from winbridge.dll.mirror import Mirror
from winbridge.dll.prototype import is_pointer

if TYPE_CHECKING:
    from winbridge.dll.living import Living

PAGE = 4096
"""Up to the end of a page memory is there or not as a whole: so much is read, for who indexes the pointer."""

POINTERS = 64
"""Items at most where the pointer leads to pointers, whose targets are read too."""

SLACK = 16
"""Zeros behind a snapshot: a text whose end the DLL overwrote still ends here."""


class Snapshot(Mirror):
    """See the module; made by ``snapshot``."""

    __slots__ = ("living",)
    living: Living

    def fill(self, living: Living) -> None:
        """Bring over what was read when it was made."""
        first, self.image = self.image, bytes(len(self.image))
        self.known = bytes(self.shape.host_size)
        after = first if self.shape.same else self._unpacked(first, living)
        self.view[: len(after)] = after
        self.known, self.image = after, first

    def take(self) -> bytes:
        try:
            return self.living.session.memory.read(self.address, self.shape.size)
        except WindowsFault:  # the DLL has freed it
            return self.image

    def give(self, before: bytes, after: bytes) -> None:
        self.living.session.memory.write(self.address, after)


def snapshot(address: int, kind: Any, living: Living) -> Snapshot | None:
    """A snapshot of what a pointer leads to; not filled yet.

    Args:
        address: on the Windows side.
        kind: the pointer's type.
        living: of the session.

    Returns:
        None when such a pointer is only a number here: to void, to a function, or to no memory.
    """
    try:
        target, image = _text(address, kind, living) if _is_text(kind) else _items(address, kind, living)
    except WindowsFault:
        return None
    if target is None:
        return None
    shape = layout(target, living.mirrors.arch)
    room = ctypes.create_string_buffer(shape.host_size + SLACK)
    start = ctypes.addressof(room)
    made = Snapshot(lambda: room, start, shape, None, living.mirrors, host_bytes(start, shape.host_size))
    made.address, made.living, made.image = address, living, image
    made.compared = True
    return made


def _is_text(kind: Any) -> bool:
    return getattr(kind, "_type_", None) in ("z", "Z")


def _text(address: int, kind: Any, living: Living) -> tuple[Any, bytes]:
    memory = living.session.memory
    if kind._type_ == "z":
        data = memory.string_at(address) + b"\0"
        return ctypes.c_char * len(data), data
    data = memory.wstring_at(address).encode("utf-16-le", "surrogatepass") + b"\0\0"
    return ctypes.c_wchar * (len(data) // 2), data


def _items(address: int, kind: Any, living: Living) -> tuple[Any, bytes]:
    if not is_pointer(kind):
        return None, b""
    item = kind._type_
    if issubclass(item, ctypes.Structure | ctypes.Union) and not hasattr(item, "_fields_"):
        living.session.memory.read(address, 1)
        return ctypes.c_char * 0, b""  # opaque: an address that is not followed
    shape = layout(item, living.mirrors.arch)
    size = max(shape.size, 1)
    count = max((-address % PAGE or PAGE) // size, 1)
    if shape.pointers:
        count = min(count, POINTERS) if _is_address(item) else 1
    image = living.session.memory.read(address, count * shape.size)
    if _is_address(item):
        words = [image[at : at + size] for at in range(0, len(image), size)]
        count = max(1, next((at for at, word in enumerate(words) if not any(word)), count))
    return item * count, image[: count * shape.size]


def _is_address(kind: Any) -> bool:
    return is_pointer(kind) or issubclass(kind, FunctionPointer) or getattr(kind, "_type_", None) in ("z", "Z", "P")
