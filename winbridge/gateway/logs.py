"""The gateway's log: each line names the request that it belongs to."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

current_request: ContextVar[str] = ContextVar("winbridge_gateway_request", default="-")
"""The id of the request that is worked on, as its answer has it."""


class RequestLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that puts the id of the request before each message."""

    def process(self, message: Any, options: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"[{current_request.get()}] {message}", options


logger = RequestLogger(logging.getLogger("winbridge.gateway"))
