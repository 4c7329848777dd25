"""What clients of a pool may use."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """What clients of a pool may use; each limit has an error that names it.

    Attributes:
        sessions: at once.
        message: bytes of one message, in either direction.
        calls: that one session has under way at once, evals and others; the rest waits at the client.
        idle: seconds without a message or a call under way, after which a session is closed.
        grace: seconds that calls under way get to end, when the pool ends.
    """

    sessions: int = 64
    message: int = 256 << 20
    calls: int = 64
    idle: float = 600.0
    grace: float = 30.0
