"""Shape: what is known of a type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Load = Callable[[Any, int], Any]
"""(object, offset) -> value"""

Store = Callable[[Any, int, Any], Any]
"""(object, offset, value) -> what must be kept alive for it, or None"""


class Shape:
    """Size, alignment and access of a type, under Windows rules.

    Attributes:
        size, alignment: in bytes.
        at: makes an instance over an address (see ``host``).
        load: for a type whose instances are plain Python values in fields and items; else None.
        store: for a type that takes plain Python values; else None.
        value: reads the ``value`` of a simple type.
        code: the letter of a simple type, else None.
        length: how many parts an instance has, by which ctypes judges what ``_objects`` is at first.
        pointers: whether an instance holds addresses.
        item: what an array or a pointer consists of or points to.
        packed: the ``struct`` code of an array's items, where Python numbers can be packed as they are; else None.
        fields: of an aggregate, in order: (name, type, offset, bit position, bits) with 0 bits for a whole field.
        final: whether the layout can no longer be changed.
    """

    __slots__ = (
        "alignment",
        "at",
        "code",
        "fields",
        "final",
        "item",
        "length",
        "load",
        "packed",
        "pointers",
        "size",
        "store",
        "value",
    )

    def __init__(
        self,
        size: int,
        alignment: int,
        at: Callable[[type, int], Any],
        *,
        load: Load | None = None,
        store: Store | None = None,
        value: Load | None = None,
        code: str | None = None,
        length: int = 0,
        pointers: bool = False,
        item: Any = None,
        packed: str | None = None,
        fields: tuple[tuple[str, Any, int, int, int], ...] = (),
    ) -> None:
        self.size = size
        self.alignment = alignment
        self.at = at
        self.load = load
        self.store = store
        self.value = value
        self.code = code
        self.length = length
        self.pointers = pointers
        self.item = item
        self.packed = packed
        self.fields = fields
        self.final = False


def declared(name: str, space: dict[str, Any], bases: tuple[type, ...]) -> Any:
    """What a class that is being made has under a name, by itself or by its bases; None if nothing."""
    if name in space:
        return space[name]
    return next((getattr(base, name) for base in bases if hasattr(base, name)), None)
