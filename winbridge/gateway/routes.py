"""The gateway's paths: one table, from which the application and its description are made."""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from winbridge.core.transport.gatewayjson import ArenaNeeded, ChannelOpened, Health, NewSession, SessionOpened
from winbridge.core.transport.problem import Kind

Body = type[Struct] | Literal["frame", "frames", "text", "html", "json"] | None
"""What a body holds: JSON of a shape, one frame or several, a text, a page, JSON of any shape, or nothing."""

SESSION = "/v1/sessions/{id}"
CHANNEL = SESSION + "/channels/{number}"

ANY_TIME = (Kind.AGENT_DIED, Kind.AGENT_FAILED)
"""What may become of a session whenever it is asked for something."""


class Operation(NamedTuple):
    """What a client can ask for.

    Attributes:
        method: of HTTP.
        path: with the names of its parameters.
        name: of the method of ``Handlers``, and of the operation in the description.
        summary: one sentence for people.
        answers: the status of a success, and the body that comes with it.
        takes: the body of the request.
        problems: what it may answer instead, beside what every path may.
        access: who is let in: ``token``; ``reader``, where a browser's own question for a password will do as well;
            or ``all``.
        timed: whether the client can say how long it may take.
    """

    method: str
    path: str
    name: str
    summary: str
    answers: tuple[int, Body]
    takes: Body = None
    problems: tuple[Kind, ...] = ()
    access: Literal["token", "reader", "all"] = "token"
    timed: bool = False


OPERATIONS = (
    Operation(
        "GET", "/healthz", "health", "Whether the gateway takes calls.", (200, Health), None, (Kind.CLOSING,), "all"
    ),
    Operation("GET", "/", "status", "The status page, for people.", (200, "html"), access="reader"),
    Operation("GET", "/metrics", "metrics", "Figures for Prometheus.", (200, "text"), access="reader"),
    Operation("GET", "/openapi.json", "description", "This description.", (200, "json"), access="all"),
    Operation(
        "POST", "/v1/sessions", "open_session", "Open a session: a Windows process of its own.",
        (201, SessionOpened), NewSession,
        (Kind.BAD_REQUEST, Kind.WIRE_VERSION, Kind.MEDIA_TYPE, Kind.TOO_LARGE, Kind.TOO_MANY, Kind.CLOSING,
         Kind.AGENT_START, *ANY_TIME),
    ),
    Operation(
        "DELETE", SESSION, "close_session", "End a session, with the calls under way in it.",
        (204, None), None, (Kind.NO_SESSION,),
    ),
    Operation(
        "POST", SESSION + "/channels", "open_channel", "Open a channel: a Windows thread, and memory for its calls.",
        (201, ChannelOpened), None, (Kind.NO_SESSION, Kind.TOO_MANY, *ANY_TIME),
    ),
    Operation(
        "DELETE", CHANNEL, "close_channel", "Give a channel up, also in the middle of a call.",
        (204, None), None, (Kind.NO_SESSION, Kind.NO_CHANNEL),
    ),
    Operation(
        "POST", CHANNEL + "/arena", "move_arena", "See to a channel's memory: at least so many bytes.",
        (200, ChannelOpened), ArenaNeeded,
        (Kind.BAD_REQUEST, Kind.NO_SESSION, Kind.NO_CHANNEL, Kind.CHANNEL_BUSY, Kind.MEDIA_TYPE, Kind.TOO_LARGE,
         Kind.TOO_MANY, Kind.NO_ROOM, *ANY_TIME),
    ),
    Operation(
        "POST", CHANNEL + "/exchange", "exchange", "Make a call, or answer the callback that the last call waits for.",
        (200, "frame"), "frame",
        (Kind.BAD_REQUEST, Kind.FORBIDDEN_OP, Kind.NO_SESSION, Kind.NO_CHANNEL, Kind.CHANNEL_BUSY, Kind.MEDIA_TYPE,
         Kind.TOO_LARGE, Kind.TOO_MANY, Kind.CLOSING, Kind.CALL_TIMEOUT, *ANY_TIME),
        timed=True,
    ),
    Operation(
        "POST", CHANNEL + "/batch", "batch", "Make calls in order, up to the first that does not end well.",
        (200, "frames"), "frames",
        (Kind.BAD_REQUEST, Kind.FORBIDDEN_OP, Kind.NO_SESSION, Kind.NO_CHANNEL, Kind.CHANNEL_BUSY, Kind.MEDIA_TYPE,
         Kind.TOO_LARGE, Kind.TOO_MANY, Kind.CLOSING, Kind.CALL_TIMEOUT, *ANY_TIME),
        timed=True,
    ),
)  # fmt: skip

ACCESS = {operation.path: operation.access for operation in OPERATIONS}
