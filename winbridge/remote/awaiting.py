"""Awaitables of this side that the peer waits for: they run in one event loop, in a thread of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["finished"]

INTERRUPTIBLE = 0.1
"""Seconds after which a call that waits notices at the latest that its caller gave it up."""

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def finished(awaitable: Any) -> Any:
    """Run an awaitable to its end and give its result. One that belongs to another running loop runs there."""
    import asyncio
    import concurrent.futures

    home = getattr(awaitable, "get_loop", None)
    loop = home() if asyncio.isfuture(awaitable) and home is not None else _background_loop()
    future = asyncio.run_coroutine_threadsafe(_as_coroutine(awaitable), loop)
    try:
        while not future.done():
            # An interrupt (the caller gave the call up) is only seen between two waits.
            concurrent.futures.wait([future], INTERRUPTIBLE)
        return future.result()
    except BaseException:
        future.cancel()
        raise


async def _as_coroutine(awaitable: Any) -> Any:
    return await awaitable


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop
    import asyncio

    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="winbridge-remote-asyncio", daemon=True).start()
        return _loop
