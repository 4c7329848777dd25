"""Twins: memory that Python and the DLLs cannot share, kept equal around every call.

Two kinds of objects do not lie in the heap. ``from_buffer`` makes one over the memory of another Python object
(bytearray, numpy array, mmap): DLLs get a copy of it in the heap. And an object over memory that Windows made is read
and written there, field by field; but who asks it for its buffer (``readinto``, ``memoryview``, numpy) gets a
copy here. Both sides of a twin are compared with what they last had in common: what changed is taken over.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from winbridge.core.errors import WindowsFault
from winbridge.core.heap import Block, Heap
from winbridge.ctypes import host

BUDGET = 1 << 20
"""Bytes that all twins together may have for each to be kept equal around every call. Beyond it one is brought up
to date around the calls that it is given to, and by ``winbridge.sync``."""


class Twin:
    """Two places for the same bytes.

    Args:
        here: what Python sees.
        read: gives the bytes that DLLs see.
        write: overwrites them.
        readonly: nothing is ever written here.
        block: memory of the heap that one side lies in; it is kept.
        address: where DLLs see a copy; 0 where they have the original.
    """

    def __init__(
        self,
        here: memoryview,
        read: Callable[[], bytes],
        write: Callable[[bytes], None],
        *,
        block: Block,
        address: int = 0,
        readonly: bool = False,
    ) -> None:
        self.here = here
        self.address = address
        self._block = block
        self._read = read
        self._write = write
        self._readonly = readonly
        self._common = bytes(here)

    def push(self) -> None:
        """Show the DLLs what changed here."""
        now = bytes(self.here)  # comparing bytes is fast, comparing a memoryview is not
        if now != self._common:
            self._common = now
            self._write(now)

    def pull(self) -> None:
        """Take over what DLLs changed."""
        if self._readonly:
            return
        with contextlib.suppress(WindowsFault):  # Windows may have freed it: then nobody looks at it any more
            there = self._read()
            if there != self._common:
                self._common = there
                self.here[:] = there


def in_heap(here: memoryview, heap: Heap, readonly: bool = False) -> Twin:
    """The twin of this process's memory in the heap."""
    block = heap.allocate(len(here))
    block.view[:] = here

    def write(data: bytes) -> None:
        block.view[:] = data

    return Twin(here, lambda: bytes(block.view), write, block=block, address=block.address, readonly=readonly)


class Twins:
    """The twins of a family.

    Args:
        heap: where copies for DLLs are made.
    """

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._living: dict[int, tuple[weakref.ref[Any], Twin]] = {}
        self._gone: list[Twin] = []
        self._bytes = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._living) + len(self._gone)

    @property
    def contents(self) -> tuple[Any, ...]:
        """What is empty as long as there are none."""
        return self._living, self._gone

    def add(self, obj: Any, twin: Twin) -> Twin:
        """Keep the two sides equal as long as the object lives."""
        key = id(obj)
        with self._lock:
            self._living[key] = weakref.ref(obj, lambda _: self._drop(key, len(twin.here))), twin
            self._bytes += len(twin.here)
        return twin

    def _drop(self, key: int, size: int) -> None:
        entry = self._living.pop(key, None)
        if entry is not None:
            self._bytes -= size
            if not entry[1].address:  # over memory of Windows: what was written here before it went is still due
                self._gone.append(entry[1])

    def of(self, obj: Any) -> Twin | None:
        """An object's twin."""
        entry = self._living.get(id(obj))
        return entry[1] if entry is not None else None

    def of_buffer(self, obj: Any) -> int:
        """Where DLLs see a ctypes object made by ``from_buffer``."""
        twin = self.of(obj) or self.add(obj, in_heap(obj._view, self._heap))
        return twin.address

    def of_array(self, array: Any) -> int:
        """Where DLLs see a numpy array.

        Raises:
            TypeError: it is not contiguous.
        """
        if not array.flags.c_contiguous and not array.flags.f_contiguous:
            raise TypeError("the array is not contiguous: pass numpy.ascontiguousarray(array)")
        start = array.__array_interface__["data"][0]
        if self._heap.view(start, array.nbytes) is not None:  # as shared_array makes them: there already
            return int(start)
        twin = self.of(array)
        if twin is None or len(twin.here) != array.nbytes:
            here = memoryview((host.Bytes * array.nbytes).from_address(start)).cast("B")
            twin = self.add(array, in_heap(here, self._heap, readonly=not array.flags.writeable))
        return twin.address

    def of_standard(self, obj: Any) -> int:
        """Where DLLs see an array or a simple object of the standard ctypes, as its bytes are."""
        twin = self.of(obj)
        if twin is None:
            twin = self.add(obj, in_heap(host.bytes_of(obj), self._heap))
        return twin.address

    def of_windows(self, obj: Any, here: memoryview) -> None:
        """The copy, for its buffer, of an object over memory that Windows made."""
        address, memory, size = obj._address_, obj._family_.memory, len(here)
        twin = Twin(
            here,
            lambda: memory.read_windows(address, size),
            lambda data: memory.write_windows(address, data),
            block=obj._block,
        )
        twin.pull()
        self.add(obj, twin)

    @contextlib.contextmanager
    def around(self, given: Iterable[Any]) -> Iterator[None]:
        """Around a call with these objects among its arguments."""
        if not self:
            yield
            self.pull(given)  # a callback may have made some
            return
        given = list(given)
        self.push(given)
        try:
            yield
        finally:
            self.pull(given)

    def push(self, given: Iterable[Any] = ()) -> None:
        """Show the DLLs what changed here."""
        if self._living or self._gone:
            with self._lock:
                self._push_gone()
                for twin in self._affordable(given):
                    twin.push()

    def _push_gone(self) -> None:
        while self._gone:
            with contextlib.suppress(WindowsFault):  # the memory may have gone with the object
                self._gone.pop().push()

    def pull(self, given: Iterable[Any] = ()) -> None:
        """Take over what DLLs changed."""
        if self._living:
            with self._lock:
                for twin in self._affordable(given):
                    twin.pull()

    def sync(self, obj: Any, back: bool) -> None:
        """Make both sides of an object's twin equal; what lies in the heap always is."""
        twin = self.of(_holder(obj))
        if twin is not None:
            with self._lock:
                twin.push()
                if back:
                    twin.pull()

    def _affordable(self, given: Iterable[Any]) -> list[Twin]:
        if self._bytes <= BUDGET:
            return [twin for _, twin in list(self._living.values())]
        known = {id(_holder(obj)) for obj in given} | {id(obj) for obj in given}
        small = BUDGET // max(len(self._living), 1)
        return [twin for key, (_, twin) in list(self._living.items()) if key in known or len(twin.here) <= small]


def _holder(obj: Any) -> Any:
    """The object that the memory of a part belongs to."""
    while getattr(obj, "_b_base_", None) is not None:
        obj = obj._b_base_
    return obj
