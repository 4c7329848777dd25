"""Exceptions on their way to who asked: as themselves where they can travel, always as text."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import CallCancelled, OperationError, RemoteTraceback
from winbridge.remote.exceptions import chain, dumps_exception

if TYPE_CHECKING:
    from types import TracebackType

    from winbridge.remote.values import Values


SERVING = "winbridge.remote.serving"


def packed(values: Values, error: BaseException) -> tuple[bytes, list[Any]]:
    """The payload and the buffers of an ERROR."""
    trace = _text(error)
    if isinstance(error, CallCancelled):
        error = OperationError("the call was cancelled")
    try:
        inner, buffers = dumps_exception(values, error)
    except Exception:
        inner, buffers = b"", []
    return pickle.dumps((inner, _name(error), _message(error), trace), 4), buffers


def unpacked(values: Values, payload: Any, buffers: list[Any]) -> BaseException:
    """The exception that an ERROR holds; its cause is the traceback at the other side."""
    inner, name, message, trace = pickle.loads(payload)
    error = _rebuilt(values, inner, buffers)
    if error is None:
        error = OperationError(f"{name}: {message} (an exception at the other side that cannot be rebuilt on this one)")
    chain(error, RemoteTraceback(trace))
    return error


def _rebuilt(values: Values, inner: bytes, buffers: list[Any]) -> BaseException | None:
    if not inner:
        return None
    try:
        error = values.loads(inner, buffers)
    except Exception:
        return None
    return error if isinstance(error, BaseException) else None


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as another:
        return f"<its text cannot be had: {type(another).__name__}>"


def _text(error: BaseException) -> str:
    import traceback

    try:
        return "".join(traceback.format_exception(type(error), error, _below(error.__traceback__)))
    except Exception:  # an exception whose __str__ fails, for one
        return f"{_name(error)}: {_message(error)}\n"


def _below(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that does not show who executes requests."""
    while trace is not None and trace.tb_frame.f_globals.get("__name__") == SERVING:
        trace = trace.tb_next
    return trace
