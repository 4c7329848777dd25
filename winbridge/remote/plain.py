"""The short way of plain values: what is known to pickle to itself needs no care."""

from __future__ import annotations

import pickle
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winbridge.remote.values import Values

NUMBERS = frozenset({int, float, bool, complex, type(None), str})
FUNCTIONS = frozenset({FunctionType, BuiltinFunctionType})


def pack_call(values: Values, by_value: bool, function: Any, args: Any, kwargs: Any) -> tuple[bytes, list[Any]]:
    """As ``values.dumps((function, args, kwargs))``, in half the time for a function of numbers.

    Args:
        by_value: whether functions may have to be sent by their code.
    """
    if type(function) in FUNCTIONS and not kwargs and not by_value and NUMBERS.issuperset(map(type, args)):
        try:
            return pickle.dumps((function, args, kwargs), 5), []
        except Exception:  # told below in which way it cannot travel
            pass
    return values.dumps((function, args, kwargs), "the call")


def pack_result(values: Values, result: Any) -> tuple[bytes, list[Any]]:
    """As ``values.dumps(result)``, in a fifth of the time for a number or None."""
    if type(result) in NUMBERS:
        return pickle.dumps(result, 5), []
    return values.dumps(result, "the result")
