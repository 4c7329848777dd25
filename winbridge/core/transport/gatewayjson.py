"""The JSON bodies that gateway and client exchange; everything else goes as frames."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from winbridge.core.wire import MAX_ARENA

Arch = Literal["win64", "win32"]
Size = Annotated[int, Meta(ge=0, le=MAX_ARENA)]
Address = Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]


class NewSession(Struct):
    """Asks for a session."""

    arch: Arch
    wire_version: int


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
