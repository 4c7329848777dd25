"""Who owns host memory, and what the owner keeps alive: where a pointer's target is found.

A ctypes object is a view: of its own memory, of a part of another object (``_b_base_``), of a buffer
(``from_buffer``), or of whatever a pointer points to. ctypes keeps what its pointers need alive in
``_objects``; that is followed here.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from winbridge.core.impl import step
from winbridge.dll.layout import FunctionPointer, SimpleData, host_bytes
from winbridge.dll.spans import Spans

CDATA: Any = SimpleData.__base__
"""The base of all ctypes types."""

_METATYPES = {
    type(kind) for kind in (SimpleData, ctypes.Array, ctypes.Structure, ctypes.Union, ctypes._Pointer, FunctionPointer)
}
_BYTES_HEADER = bytes.__basicsize__ - 1
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_name_of = ctypes.pythonapi.PyCapsule_GetName
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_void_p]
_name_of.restype, _name_of.argtypes = ctypes.c_void_p, [ctypes.py_object]

Owner = Any
"""A ctypes object with memory of its own, a buffer (bytearray, numpy array ...), bytes, or the capsule of a text."""


def is_capsule(thing: Any) -> bool:
    """Whether it is what ctypes keeps for a c_wchar_p: wchar_t of the host, a zero behind them."""
    return type(thing).__name__ == "PyCapsule"


def is_array(thing: Any) -> bool:
    """Whether it is a numpy array. numpy is never imported for this."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


def is_read_only(owner: Any) -> bool:
    """Whether a buffer, or a numpy array, must not be changed."""
    return not owner.flags.writeable if is_array(owner) else memoryview(owner).readonly


def _references(thing: Any) -> tuple[int, int]:
    """How many references there are to a ctypes object, and to what it keeps alive."""
    return sys.getrefcount(thing), sys.getrefcount(thing._objects)


def is_ring(thing: Any) -> bool:
    """Whether nothing but itself refers to a ctypes object any more.

    ``ctypes.cast`` has the object that it is given keep itself alive, so it lives on until the next garbage collection.
    """
    return _keeps_itself(thing) and _references(thing) == _RING


def _keeps_itself(thing: Any) -> bool:
    kept = getattr(thing, "_objects", None)
    return type(kept) is dict and kept.get(id(thing)) is thing


def _ring() -> tuple[int, int]:
    """The counts of such an object, asked for in the same way: Pythons differ in what a call adds."""

    def count(thing: Any) -> tuple[int, int] | None:
        return None if thing is None else _references(thing)

    while True:
        array = (ctypes.c_byte * 1)()
        ctypes.cast(array, ctypes.c_void_p)
        ring = weakref.ref(array)
        del array
        if counts := count(ring()):  # else a garbage collection came first
            return counts


_RING = _ring()


def capsule_address(capsule: Any) -> int:
    """Where the text of a capsule stands."""
    return _pointer_of(capsule, _name_of(capsule)) or 0


def span(thing: Any) -> tuple[int, int]:
    """Address and size of a thing's memory; the zero behind bytes counts.

    Raises:
        TypeError, BufferError: it has no contiguous memory that can be had.
    """
    if isinstance(thing, CDATA):
        return ctypes.addressof(thing), ctypes.sizeof(thing)
    if isinstance(thing, bytes):
        return id(thing) + _BYTES_HEADER, len(thing) + 1
    if is_array(thing):
        return thing.__array_interface__["data"][0], thing.nbytes
    if is_capsule(thing):
        address = capsule_address(thing)
        return address, 4 * (len(ctypes.wstring_at(address)) + 1)
    size = memoryview(thing).nbytes
    return ctypes.addressof((ctypes.c_ubyte * size).from_buffer(thing)), size


def outermost(thing: Any) -> Owner:
    """The owner of a thing's memory, as far as the thing knows it."""
    if not isinstance(thing, CDATA):
        inner = thing.base if is_array(thing) else thing.obj if isinstance(thing, memoryview) else None
        return thing if inner is None or isinstance(inner, bytes) or not _within(thing, inner) else outermost(inner)
    while (base := thing._b_base_) is not None and _within(thing, base):
        thing = base
    if thing._b_needsfree_:
        return thing
    for kept in keepalives(thing):
        if not isinstance(kept, bytes) and _within(thing, kept):
            if not isinstance(kept, CDATA):
                return outermost(kept)
            if kept._b_needsfree_:
                return kept
    return thing


def _within(part: Any, whole: Any) -> bool:
    if not is_memory(whole):
        return False
    start, size = span(part)
    first, room = span(whole)
    return first <= start and start + size <= first + room


def is_memory(thing: Any) -> bool:
    """Whether ``span`` knows it."""
    if isinstance(thing, (CDATA, bytes)) or is_capsule(thing) or is_array(thing):
        return True
    try:
        return not memoryview(thing).readonly
    except (TypeError, BufferError, ValueError):
        return False


def keepalives(thing: Any) -> Iterator[Any]:
    """All that has memory and is kept alive by a thing, itself included."""
    seen: set[int] = set()
    waiting = deque([thing])
    while waiting:
        item = waiting.popleft()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            waiting.extend(list(item.values()))
            continue
        if isinstance(item, memoryview):
            item = item.obj
        if isinstance(item, CDATA):
            waiting += (item._objects, item._b_base_, getattr(item, "_arr", None))
        elif isinstance(item, tuple | list):
            waiting.extend(item)
        if is_memory(item):
            yield item


class Kept:
    """What a thing keeps alive, searched by address; looks no further than it has to."""

    __slots__ = ("_known", "_more", "_thing")

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        self._more: Iterator[Any] | None = None
        self._known: Spans[Any]

    def owner(self, address: int) -> Owner | None:
        """The owner of the memory at an address; the end of a block counts as its own."""
        if self._more is None:
            self._more, self._known = keepalives(self._thing), Spans()
        known = self._known.find(address)
        if known is not None and address < known[0] + self._known.at[known[0]][0]:
            return outermost(known[1])
        for kept in self._more:
            start, size = span(kept)
            if size > self._known.at.get(start, (-1,))[0]:
                self._known.add(start, size, kept)
            if start <= address < start + size:
                return outermost(kept)
        return None if known is None else outermost(known[1])


def anywhere(address: int) -> Owner | None:
    """The same among all ctypes objects there are: for a pointer that was set without leaving a reference.

    One that owns its memory comes before a mere view, which may be of memory that was freed since.
    """
    view = None
    for thing in gc.get_objects():
        if type(type(thing)) in _METATYPES:
            start = ctypes.addressof(thing)
            if start <= address < start + ctypes.sizeof(thing):
                found = outermost(thing)
                if not isinstance(found, CDATA) or found._b_needsfree_:
                    return found
                view = found if view is None else view
    return view


def rights(address: int) -> str:
    """What this process may do at an address, as in ``r-xp``; empty where it has no memory."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, flags = line.split()[:2]
            start, end = (int(bound, 16) for bound in span.split("-"))
            if start <= address < end:
                return flags
    return ""


@step("memory_at")
def memory_at(address: int, size: int) -> memoryview:
    """Memory of this process; valid as long as its owner."""
    return host_bytes(address, size)


def host_view(owner: Any, again: bool = False) -> Any:
    """The bytes of an owner.

    Args:
        owner: of the memory.
        again: also for a buffer, whose memory may move and must not be held: None is returned for one otherwise.
    """
    if isinstance(owner, CDATA):
        return memory_at(ctypes.addressof(owner), ctypes.sizeof(owner))
    if is_array(owner):
        return host_bytes(*span(owner))
    return memoryview(owner).cast("B") if again else None
