"""Structures and unions by value, as arguments and as results.

Sources: "x64 calling convention" (Microsoft Learn), parameter passing and return values: 1, 2, 4 and 8 bytes go as an
integer of that size, all others as a pointer to a copy that is aligned to 16 bytes; results of other sizes are
written to memory whose address is the first argument. "Argument passing and naming conventions" (x86, Microsoft
Learn): arguments lie on the stack in words of 4 bytes; results of up to 8 bytes come in EDX:EAX, others through
a hidden first argument, where that means sizes 1, 2, 4 and 8 as above.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from winbridge.core.session import SessionEngine
from winbridge.dll.layout import layout
from winbridge.dll.living import living
from winbridge.dll.owners import span
from winbridge.dll.reach import Reach
from winbridge.dll.scalars import pointer_code


def fits_register(size: int) -> bool:
    """Whether an aggregate of so many bytes travels as an integer."""
    return size in (1, 2, 4, 8)


def by_value(kind: Any, arch: str) -> tuple[str, Callable[[Any, Reach], int | bytes]]:
    """How aggregates of a type are passed.

    Returns:
        the struct code of the argument, and what encodes it.
    """
    size = layout(kind, arch).size
    if arch == "win32":
        room = -(-size // 4) * 4
        return f"{room}s", lambda value, reach: _image(value, reach).ljust(room, b"\0")
    if fits_register(size):
        return f"{size}s", _image
    return pointer_code(arch), lambda value, reach: reach.copy(_image(value, reach))


def _image(value: Any, reach: Reach) -> bytes:
    """A copy of the object's Windows image; what its pointers reach is reached by the call."""
    mirror = reach.mirrors.of(value)
    mirror.push(reach.living)
    start = mirror.windows(span(value)[0]) - mirror.address
    reach.given.extend(mirror.targets.values())
    return mirror.take()[start : start + layout(type(value), reach.mirrors.arch).size]


def in_memory(kind: Any, reach: Reach, values: list[Any]) -> Any:
    """The object that a function writes its result to."""
    made = kind()
    values.insert(0, reach.memory(made))
    return made


def from_register(kind: Any, word: int, session: SessionEngine) -> Any:
    """The object whose bytes a function returned as an integer."""
    size = layout(kind, session.arch).size
    return from_image(kind, (word & ((1 << 64) - 1)).to_bytes(8, "little")[:size], session)


def from_image(kind: Any, image: bytes, session: SessionEngine) -> Any:
    """A new object from its Windows image."""
    shape = layout(kind, session.arch)
    if not shape.pointers:
        host = bytearray(shape.host_size)
        shape.unpack(image, host)
        return kind.from_buffer_copy(host)
    made = kind()
    lives = living(session)
    mirror = lives.mirrors.of(made)
    lives.push([mirror])
    mirror.far[:] = image
    lives.pull([mirror])
    return made


def to_image(value: Any, session: SessionEngine) -> bytes:
    """The Windows image of an object; what its pointers reach is there already."""
    reach = Reach(living(session))
    data = _image(value, reach)
    reach.living.push(reach.given)
    return data
