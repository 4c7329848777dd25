"""Exceptions as values that travel, though few were written for it.

Pickle rebuilds an exception by calling its class with ``args``, which fails for every class whose ``__init__`` takes
something else, and it leaves out causes. Here the built-in base of the class makes the object, as the class's own
``__init__`` has run already where it was raised; its attributes, notes and causes follow. A class with a
``__reduce__`` of its own is rebuilt by that.
"""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

from winbridge.remote.errors import RemoteTraceback
from winbridge.remote.values import Answer

if TYPE_CHECKING:
    from winbridge.remote.values import Values

__all__ = ["Raised", "chain", "dumps_exception", "reduce_exception"]

_HEAP_TYPE = 1 << 9
"""Of a class's ``__flags__``: it was made at run time, so it is not built in. Py_TPFLAGS_HEAPTYPE, C API manual."""


class Raised(Answer):
    """An exception to be packed; see the module."""

    __slots__ = ("with_causes",)
    pickler = "raising"

    def __init__(self, error: BaseException, with_causes: bool) -> None:
        super().__init__(error)
        self.with_causes = with_causes


def dumps_exception(values: Values, error: BaseException) -> Any:
    """As ``values.dumps``; without the exception's causes if it is them that cannot be pickled.

    Raises:
        OperationError: the exception itself cannot be pickled.
    """
    if error.__cause__ is None and error.__context__ is None:
        return values.dumps(Raised(error, False), "an exception")
    try:
        return values.dumps(Raised(error, True), "an exception")
    except Exception:
        return values.dumps(Raised(error, False), "an exception")


def chain(error: BaseException, trace: RemoteTraceback) -> None:
    """Make ``trace`` the cause of an exception that came; what was its cause becomes the cause of ``trace``.

    The text of ``trace`` tells what earlier such texts told, so those are left out.
    """
    source: BaseException = error.__cause__ if isinstance(error.__cause__, RemoteTraceback) else error
    suppress = source.__suppress_context__
    trace.__cause__, trace.__context__ = source.__cause__, source.__context__
    trace.__suppress_context__ = suppress
    error.__cause__ = trace


def reduce_exception(error: BaseException, with_causes: bool) -> Any:
    """What a pickler's ``reducer_override`` gives for an exception."""
    kind = type(error)
    causes = (error.__cause__, error.__context__, error.__suppress_context__) if with_causes else None
    if _reduces_itself(kind):
        reduced = error.__reduce_ex__(5)
        if isinstance(reduced, str):
            return NotImplemented
        make, args, state = (*reduced, None)[:3]
        return _make, (make, args), (state, causes), None, None, _complete
    make, args, state = (*_base_of(kind).__reduce__(error), None)[:3]
    state = {**(state or {}), **_slots(error)}
    return _make_bare, (kind, args), (state, causes), None, None, _complete


def _reduces_itself(kind: type) -> bool:
    for base in kind.__mro__:
        if "__reduce__" in vars(base) or "__reduce_ex__" in vars(base):
            return bool(base.__flags__ & _HEAP_TYPE)
    return False


def _base_of(kind: type) -> Any:
    """The built-in class that decides how objects of ``kind`` look in memory."""
    while kind.__flags__ & _HEAP_TYPE:
        assert kind.__base__ is not None
        kind = kind.__base__
    return kind


def _slots(error: BaseException) -> Any:
    names = copyreg._slotnames(type(error))  # type: ignore[attr-defined]
    return {name: getattr(error, name) for name in names if hasattr(error, name)}


def _make(make: Any, args: Any) -> Any:
    return make(*args)


def _make_bare(kind: Any, args: Any) -> Any:
    base = _base_of(kind)
    error = base.__new__(kind, *args)
    base.__init__(error, *args)
    return error


def _complete(error: Any, rest: Any) -> None:
    state, causes = rest
    if state:
        error.__setstate__(state)
    if causes is not None:
        error.__cause__, error.__context__, error.__suppress_context__ = causes
