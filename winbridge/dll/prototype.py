"""A function's prototype: the types of its arguments and of its result, checked as ctypes checks them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

CONVENTIONS = ("stdcall", "cdecl")
MAX_ARGUMENTS = 1024
"""What ctypes allows."""

Type = Any
"""A ctypes type, or any object with a ``from_param`` method."""


def check_argtypes(value: Any) -> tuple[Type, ...] | None:
    """The value for ``argtypes``, as a tuple.

    Raises:
        TypeError: as ctypes does, for what is no sequence of types.
    """
    if value is None:
        return None
    try:
        value = tuple(value)
    except TypeError:
        raise TypeError("_argtypes_ must be a sequence of types") from None
    for position, item in enumerate(value, 1):
        if not hasattr(item, "from_param"):
            raise TypeError(f"item {position} in _argtypes_ has no from_param method")
    if len(value) > MAX_ARGUMENTS:
        raise ctypes.ArgumentError(f"_argtypes_ has too many arguments ({len(value)}), maximum is {MAX_ARGUMENTS}")
    return value  # type: ignore[no-any-return]


def check_restype(value: Any) -> Any:
    """The value for ``restype``.

    Raises:
        TypeError: as ctypes does, for what is no type, callable or None.
    """
    if value is not None and not callable(value):
        raise TypeError("restype must be a type, a callable, or None")
    return value


def check_errcheck(value: Any) -> Callable[..., Any] | None:
    """The value for ``errcheck``.

    Raises:
        TypeError: as ctypes does, for what is neither callable nor None.
    """
    if value is not None and not callable(value):
        raise TypeError("the errcheck attribute must be callable")
    return value  # type: ignore[no-any-return]


def is_pointer(kind: Any) -> bool:
    """Whether a type is one that ``POINTER()`` makes."""
    return isinstance(kind, type) and issubclass(kind, ctypes._Pointer)


def portable(kind: Any) -> Any:
    """A type in a form that pickles: pointer and array types are made on the fly and have no name to import."""
    if is_pointer(kind) and ctypes.POINTER(kind._type_) is kind:
        return _Pointer(portable(kind._type_))
    if isinstance(kind, type) and issubclass(kind, ctypes.Array):
        length: Any = kind._length_
        return _Array(portable(kind._type_), length) if kind._type_ * length is kind else kind
    return kind


def restored(kind: Any) -> Any:
    """The type behind what ``portable`` gave."""
    return kind.make() if isinstance(kind, _Pointer | _Array) else kind


class _Pointer:
    def __init__(self, target: Any) -> None:
        self.target = target

    def make(self) -> Any:
        return ctypes.POINTER(restored(self.target))


class _Array:
    def __init__(self, item: Any, length: int) -> None:
        self.item = item
        self.length = length

    def make(self) -> Any:
        return restored(self.item) * self.length
