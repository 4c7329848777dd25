"""Calls in other threads: one pool of threads for each session."""

from __future__ import annotations

import os
import threading
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from winbridge.core.session import SessionEngine

if TYPE_CHECKING:
    from winbridge.dll.function import DllFunction

THREADS = 8
"""Calls of one session that run in the background at a time; each has a Windows thread behind it."""

_pools: weakref.WeakKeyDictionary[SessionEngine, ThreadPoolExecutor] = weakref.WeakKeyDictionary()
_lock = threading.RLock()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    _pools.clear()


os.register_at_fork(after_in_child=_after_fork)


def submit(
    session: SessionEngine, function: DllFunction, arguments: tuple[Any, ...], named: dict[str, Any]
) -> Future[Any]:
    """Run ``function.call_in(session, ...)`` in a thread of the session's pool."""
    with _lock:
        pool = _pools.get(session)
        if pool is None:
            pool = _pools[session] = ThreadPoolExecutor(THREADS, thread_name_prefix=f"winbridge-{session.id}")
            session.on_close.append(partial(pool.shutdown, wait=False, cancel_futures=True))
    return pool.submit(function.call_in, session, arguments, named)
