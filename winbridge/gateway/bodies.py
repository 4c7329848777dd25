"""Bodies and headers of requests, within their limits."""

from __future__ import annotations

import math
from typing import TypeVar

from starlette.requests import Request

from winbridge.core.transport.connection import JSON, TIMEOUT_HEADER
from winbridge.core.transport.gatewayjson import decode
from winbridge.core.transport.problem import Kind
from winbridge.gateway.problems import Problem

LONGEST_JSON = 4096

LONGEST_LENGTH = 18
"""Digits of a Content-Length; Python refuses to read numbers of some thousand."""

T = TypeVar("T")


async def read(request: Request, media_type: str, limit: int) -> bytes:
    """The body.

    The type is insisted on: a browser asks before it sends such a one to another site, and
    is refused, so a web page cannot speak to a gateway on its reader's machine.

    Raises:
        Problem: it has another type, or is longer than ``limit`` bytes.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise Problem(Kind.MEDIA_TYPE, f"the body is {given or 'of no type'}: send it as {media_type}")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > LONGEST_LENGTH or int(announced) > limit):
        raise _too_large(limit)
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


async def read_json(request: Request, kind: type[T]) -> T:
    """The body as JSON of a given shape."""
    body = await read(request, JSON, LONGEST_JSON)
    try:
        return decode(body, kind)
    except ValueError as error:
        raise Problem(Kind.BAD_REQUEST, f"the body: {error}") from error


def timeout(request: Request) -> float | None:
    """Seconds that the client gives a call; None for as long as it takes."""
    text = request.headers.get(TIMEOUT_HEADER)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise Problem(Kind.BAD_REQUEST, f"{TIMEOUT_HEADER}: {text!r} is no number of seconds above 0")
    return seconds


def _too_large(limit: int) -> Problem:
    return Problem(Kind.TOO_LARGE, f"the gateway takes bodies of {limit} bytes at most")
