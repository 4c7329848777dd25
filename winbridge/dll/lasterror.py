"""This thread's private copies of the last error and of errno, for ``use_last_error`` and ``use_errno``."""

from __future__ import annotations

import threading


class _Private(threading.local):
    last_error = 0
    errno = 0


_here = _Private()


def private() -> tuple[int, int]:
    """Both copies: last error (as Windows has it, unsigned) and errno."""
    return _here.last_error & 0xFFFFFFFF, _here.errno


def get_last_error() -> int:
    """The private copy of the Windows last error, as the last ``use_last_error`` call of this thread left it."""
    return _here.last_error


def set_last_error(value: int) -> int:
    """Set the private copy of the last error; returns what it was."""
    before, _here.last_error = _here.last_error, value
    return before


def get_errno() -> int:
    """The private copy of the Windows C library's errno, as the last ``use_errno`` call of this thread left it."""
    return _here.errno


def set_errno(value: int) -> int:
    """Set the private copy of errno; returns what it was."""
    before, _here.errno = _here.errno, value
    return before
