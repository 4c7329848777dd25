"""A call in shared memory that was given up: tells whether its Windows thread is still in it."""

from __future__ import annotations

import os
import select


class Abandoned:
    """The agent's thread holds the writing end of the channel's pipe; it ends, and lets go, when the call returns.

    Args:
        woken: our end of that pipe; a copy of it is kept until the call has returned.
    """

    def __init__(self, woken: int) -> None:
        self._descriptor = os.dup(woken)
        self._poll = select.poll()
        self._poll.register(self._descriptor, 0)  # POLLHUP comes unasked

    def __call__(self) -> bool:
        if self._descriptor >= 0 and self._poll.poll(0):
            self._close()
        return self._descriptor >= 0

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self._close()
