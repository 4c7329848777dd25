"""This thread's private copies of the last error and of errno, for ``use_last_error`` and ``use_errno``."""

from __future__ import annotations

import operator
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
    before, _here.last_error = _here.last_error, _checked(value)
    return before


def signed(code: int) -> int:
    """An error code, a DWORD, as the C int that Python shows."""
    return code - (1 << 32) if code >= 1 << 31 else code


def keep_last_error(code: int) -> None:
    """Take over what a call left, a DWORD; ctypes keeps it as a C int."""
    _here.last_error = signed(code)


def get_errno() -> int:
    """The private copy of the Windows C library's errno, as the last ``use_errno`` call of this thread left it."""
    return _here.errno


def set_errno(value: int) -> int:
    """Set the private copy of errno; returns what it was."""
    before, _here.errno = _here.errno, _checked(value)
    return before


def _checked(value: int) -> int:
    """What ctypes accepts there: a C int.

    Raises:
        TypeError, OverflowError: it is none.
    """
    value = operator.index(value)
    if not -(1 << 31) <= value < 1 << 31:
        raise OverflowError("Python int too large to convert to C long")
    return value
