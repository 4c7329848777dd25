"""Text as Windows has it, in the heap: constants for DLLs, and strings read from addresses."""

from __future__ import annotations

import sys

from winbridge.core.heap import Block, Heap

FIRST_SWEEP = 256
"""Constants after which those are dropped that nobody else holds; then after each doubling."""


def wide(text: str) -> bytes:
    """UTF-16 with lone surrogates let through, as Windows does."""
    return text.encode("utf-16-le", "surrogatepass")


def narrow(data: bytes | memoryview) -> str:
    """The text of UTF-16 bytes."""
    return bytes(data).decode("utf-16-le", "surrogatepass")


class Constants:
    """Copies of bytes and str in the heap, one for each object, as long as the object is in use.

    They take no weak references; what only this pool still refers to is found by its reference count.

    Args:
        heap: where the copies are.
    """

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._known: dict[int, tuple[bytes | str, bytes, Block]] = {}
        self._held: list[bytes | str] = []
        self._limit = FIRST_SWEEP

    def address(self, text: bytes | str) -> int:
        """Where the copy of an object is, its zero behind it."""
        entry = self._known.get(id(text))
        if entry is None:
            return self._add(text)
        _, data, block = entry
        block.view[: len(data)] = data  # in case that a DLL wrote to it: the object itself never changes
        return block.address

    def _add(self, text: bytes | str) -> int:
        if len(self._known) >= self._limit:
            self.sweep()
        data = text if isinstance(text, bytes) else wide(text)
        block = self._heap.allocate(len(data) + (1 if isinstance(text, bytes) else 2))
        block.view[: len(data)] = data
        self._known[id(text)] = (text, data, block)
        return block.address

    def sweep(self) -> None:
        """Drop what nobody else holds."""
        for key in list(self._known):
            text, data, _ = self._known[key]
            ours = 4 if data is text else 3  # of the entry, of these variables, of the question
            if sys.getrefcount(text) <= ours + (data is text):
                del self._known[key]
        self._limit = max(FIRST_SWEEP, 2 * len(self._known))

    def hold(self, text: bytes | str) -> None:
        """Keep a copy for good: a callback returned it, and nobody knows for how long it is used."""
        self._held.append(text)

    def __len__(self) -> int:
        return len(self._known)
