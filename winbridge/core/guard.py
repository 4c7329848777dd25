"""A lock for what a signal handler or a finaliser can come in the middle of."""

from __future__ import annotations

import threading


class Guard:
    """A lock, held for a while. Who holds it cannot take it again, and is told so: waiting would be for ever.

    Python runs signal handlers and finalisers between any two steps of a thread, so also in the middle of sending a
    message, and they may want to send one of their own.

    Args:
        what: what it stands for, as in "in the middle of ...".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.RLock()
        self._held = False

    def acquire(self, timeout: float = -1) -> bool:
        """Take it; whether that was possible within so many seconds (-1: no limit).

        Raises:
            RuntimeError: this thread holds it already.
        """
        if not self._lock.acquire(timeout=timeout):
            return False
        if self._held:
            self._lock.release()
            raise RuntimeError(
                f"a signal handler or finaliser came in the middle of {self._what}, and wants to do the same:"
                " have it set a flag, and call when it has returned"
            )
        self._held = True
        return True

    def release(self) -> None:
        """Give it back."""
        self._held = False
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
