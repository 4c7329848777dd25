"""What connections do, told to the logger ``winbridge.remote``: for finding out why something does not work.

Nothing of this is in the way of a call unless it is switched on: the classes' methods are replaced then.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SILENT, LIFE, FRAMES, CONTENTS = range(4)
"""The levels: nothing; opening and ending; each frame; and the beginnings of their payloads."""

SHOWN = 60
"""Bytes of a payload that are shown."""

originals: dict[tuple[type, str], Any] = {}


def set_debug_level(level: int) -> None:
    """Log what connections do that are opened from now on; where no logging is set up, to standard error.

    Args:
        level: 0 for nothing, 1 for how connections open and end, 2 for each message too, 3 for the beginnings of
            their contents too. What is pickled there may be secret.

    Raises:
        ValueError: there is no such level.
    """
    if level not in (SILENT, LIFE, FRAMES, CONTENTS):
        raise ValueError(f"a debug level is 0, 1, 2 or 3, not {level!r}")
    for (owner, name), original in originals.items():
        setattr(owner, name, original)
    originals.clear()
    if level >= LIFE:
        _tell_life()
    if level >= FRAMES:
        _tell_frames(level >= CONTENTS)


def _tell(message: str, *values: Any) -> None:
    import logging

    logger = logging.getLogger("winbridge.remote")
    if not logger.hasHandlers():
        handler = logging.StreamHandler(sys.__stderr__)
        handler.setFormatter(logging.Formatter("%(asctime)s %(threadName)s %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.debug(message, *values)


def _replace(owner: type, name: str, wrap: Callable[[Any], Any]) -> None:
    originals[owner, name] = original = getattr(owner, name)
    setattr(owner, name, wrap(original))


def _tell_life() -> None:
    from winbridge.remote.connection import Connection
    from winbridge.remote.link import Link

    def opened(original: Any) -> Any:
        def became_open(self: Connection, link: Link) -> None:
            _tell("%s: open; the peer is %s", link.carrier.name, link.peer)
            original(self, link)

        return became_open

    def failed(original: Any) -> Any:
        def fail(self: Link, error: BaseException) -> None:
            _tell("%s: ends: %s", self.carrier.name, error)
            original(self, error)

        return fail

    _replace(Connection, "became_open", opened)
    _replace(Link, "fail", failed)


def _tell_frames(contents: bool) -> None:
    from winbridge.remote.link import Link
    from winbridge.remote.protocol import NAMES

    def show(arrow: str, link: Link, kind: int, serial: int, within: int, payload: Any, buffers: Any) -> None:
        inside = f" within {within}" if within else ""
        beside = f", {len(buffers)} buffers of {sum(memoryview(each).nbytes for each in buffers)}" if buffers else ""
        content = f": {bytes(payload[:SHOWN])!r}" if contents else ""
        size = len(payload)
        _tell(
            "%s %s %s %s%s, %s bytes%s%s", link.carrier.name, arrow, NAMES[kind], serial, inside, size, beside, content
        )

    def sending(original: Any) -> Any:
        def send(self: Link, kind: int, flags: int, serial: int, within: int, payload: Any, buffers: Any = ()) -> None:
            show("->", self, kind, serial, within, payload, buffers)
            original(self, kind, flags, serial, within, payload, buffers)

        return send

    def receiving(original: Any) -> Any:
        def dispatch(self: Link, frame: Any, own: Any) -> Any:
            show("<-", self, frame.kind, frame.serial, frame.within, frame.payload, frame.buffers)
            return original(self, frame, own)

        return dispatch

    _replace(Link, "send", sending)
    _replace(Link, "dispatch", receiving)
