"""The JSON bodies that gateway and client exchange; everything else goes as frames."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from msgspec import DecodeError, Meta, Struct, json

from winbridge.core.wire import MAX_ARENA, VERSION

Arch = Literal["win64", "win32"]
Size = Annotated[int, Meta(ge=0, le=MAX_ARENA)]
Address = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]

T = TypeVar("T")


def decode(body: bytes, kind: type[T]) -> T:
    """A body of a given shape.

    Raises:
        ValueError: it is no JSON, no UTF-8, or has another shape.
    """
    try:
        return json.decode(body, type=kind)
    except (DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


class Health(Struct):
    """Says that a gateway runs."""

    status: Literal["ok"]


class NewSession(Struct):
    """Asks for a session; with another version of the wire than the gateway's there is none."""

    arch: Arch
    wire_version: Annotated[int, Meta(extra_json_schema={"const": VERSION})]


class SessionOpened(Struct):
    """A session; the identifier becomes part of paths."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    arch: Arch
    pointer_size: Literal[4, 8]
    wire_version: int


class ChannelOpened(Struct):
    """A channel, or one whose arena moved: the arena's address on the Windows side, and its bytes."""

    channel: Annotated[int, Meta(ge=1, lt=1 << 32)]
    arena: Address
    arena_size: Size


class ArenaNeeded(Struct):
    """Asks for an arena of so many bytes at least."""

    size: Size
