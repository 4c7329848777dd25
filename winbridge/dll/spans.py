"""Ranges of memory, found by an address within them."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Generic, TypeVar

Item = TypeVar("Item")

FORGET = 1024
"""So many starts may be those of items that are gone, besides as many as there are items."""


class Spans(Generic[Item]):
    """Items by the range of addresses that each takes.

    Adding is cheap; the order is made when somebody searches.
    """

    def __init__(self) -> None:
        self.at: dict[int, tuple[int, Item]] = {}
        self._starts: list[int] = []
        self._new: set[int] = set()
        self._room = FORGET

    def add(self, start: int, size: int, item: Item) -> None:
        """Put an item at ``size`` bytes from ``start`` on."""
        fresh = start not in self.at
        self.at[start] = size, item
        if fresh:
            self._new.add(start)
            if len(self._new) > self._room:  # nobody searched for long: most of them have come and gone
                self._new.intersection_update(self.at)
                self._room = 2 * len(self._new) + FORGET

    def discard(self, start: int, item: Item) -> None:
        """Take an item out, if it is still the one that starts there."""
        found = self.at.get(start)
        if found is not None and found[1] is item:
            del self.at[start]

    def find(self, address: int) -> tuple[int, Item] | None:
        """Start and item of the range that an address is in, or just behind."""
        self._sort()
        starts = self._starts
        index = bisect_right(starts, address) - 1
        while index >= 0:
            found = self.at.get(starts[index])
            if found is not None:
                return (starts[index], found[1]) if address <= starts[index] + found[0] else None
            del starts[index]
            index -= 1
        return None

    def _sort(self) -> None:
        new, self._new = self._new, set()
        if len(new) > 64 or len(self._starts) > 2 * len(self.at) + FORGET:
            self._starts = sorted(self.at)
            return
        for start in new:
            index = bisect_right(self._starts, start)
            if index == 0 or self._starts[index - 1] != start:
                insort(self._starts, start)
