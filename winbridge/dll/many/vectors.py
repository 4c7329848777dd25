"""``func.vectorize``: arguments and results as numpy arrays, read and written where they lie if the agent sees them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy

from winbridge.core.wire import MAX_COLUMNS, Column, Result
from winbridge.dll.many.blame import blame
from winbridge.dll.many.callee import Callee
from winbridge.dll.many.columns import Items
from winbridge.dll.many.elements import Element, elements
from winbridge.dll.many.loop import LAST, Loop, Outcome, Pace, Room, room_of
from winbridge.dll.plan import Prototype
from winbridge.dll.pointer import RemotePointer

if TYPE_CHECKING:
    from winbridge.core.session import SessionEngine

_NOWHERE = Column(0, 0, Result.NONE)


def vectorized(function: Callee, given: tuple[Any, ...], out: Any, dtype: Any) -> Any:
    """The results of calls with the arrays' items; see ``DllFunction.vectorize``."""
    session, address, prototype = function.place()
    parameters, result = elements(prototype, len(given), session.arch)
    arrays = list(map(_argument, given, parameters, range(1, len(given) + 1)))
    shape = numpy.broadcast_shapes(*[array.shape for array in arrays])
    target = None if out is None and result is None else _target(shape, prototype.name, result, out, dtype)
    if target is not None:
        shape = target.shape
        arrays = [_apart(array, target) for array in arrays]
    arrays = [numpy.broadcast_to(array, shape) for array in arrays]
    if function.errcheck is not None or len(arrays) > MAX_COLUMNS:
        _one_by_one(function, arrays, target, math.prod(shape))
    else:
        Vector(session, address, prototype, zip(arrays, parameters, strict=True), target, result).run(math.prod(shape))
    return target[()] if out is None and target is not None else out


def _argument(given: Any, element: Element, place: int) -> Any:
    """The array of an argument; as numpy's functions do, it is cast where no kind of number is lost.

    Raises:
        TypeError: it would be.
    """
    array = numpy.asarray(given)
    target = numpy.dtype(element.code)
    if not array.size:
        return array.astype(target)
    integers = array.dtype.kind in "iu" and target.kind in "iu"
    if integers and (element.is_address or not hasattr(given, "dtype")):  # Python's ints have no width of their own
        return array
    if not numpy.can_cast(array.dtype, target, "same_kind"):
        raise TypeError(
            f"argument {place}: an array of {array.dtype} cannot be passed as {element.text}"
            f" by the rule 'same_kind'; convert it with astype({target.name!r})"
        )
    return array


def _target(shape: tuple[int, ...], name: str, result: Element | None, out: Any, dtype: Any) -> Any:
    """Where the results go.

    Raises:
        TypeError, ValueError: they cannot go there.
    """
    if result is None:
        raise TypeError(f"{name}: restype is None, so there are no results for out")
    if out is None:
        out = numpy.empty(shape, dtype or result.code)
    elif not isinstance(out, numpy.ndarray) or dtype is not None:
        raise TypeError("out must be a numpy array, which brings its dtype")
    if not numpy.can_cast(result.code, out.dtype, "same_kind"):
        raise TypeError(f"{name}: results of type {result.text} cannot become {out.dtype} by the rule 'same_kind'")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    if numpy.broadcast_shapes(shape, out.shape) != out.shape:
        raise ValueError(f"out has the shape {out.shape}, the results have {shape}")
    return out


def _apart(array: Any, target: Any) -> Any:
    """An array that does not change while results are written: the same items may be in both, others not."""
    same = array.ctypes.data == target.ctypes.data and array.strides == target.strides
    same = same and array.shape == target.shape and array.dtype == target.dtype
    return array.copy() if not same and numpy.may_share_memory(array, target) else array


def _one_by_one(function: Callee, arrays: list[Any], target: Any, count: int) -> None:
    """An ``errcheck`` sees each call before the next is made."""
    results = target.flat if target is not None else None
    for index in range(count):
        try:
            value = function(*[array.item(index) for array in arrays])
            if results is not None:
                results[index] = value.address if isinstance(value, RemotePointer) else 0 if value is None else value
        except Exception as error:
            blame(error, index, None if results is None else results[:index])
            raise


class Vector:
    """Calls with the items of arrays.

    Args:
        session, address, prototype: of the function.
        arrays: of one shape, each with how its items are passed.
        target, result: the same for the results, None where there are none.
    """

    def __init__(
        self, session: SessionEngine, address: int, prototype: Prototype, arrays: Any, target: Any, result: Any
    ) -> None:
        self._session = session
        self._arguments = [Items(array, element, session) for array, element in arrays]
        self._results = None if result is None else Items(target, result, session)
        self._target = target
        kind = Result.NONE if result is None else result.kind
        self._loop = Loop(session, prototype.name, address, kind | prototype.flags, self._popped(prototype))

    def _popped(self, prototype: Prototype) -> int:
        if self._session.pointer_size == 8 or prototype.convention != "stdcall":
            return 0
        return sum(max(items.width, 4) for items in self._arguments)

    def run(self, count: int) -> None:
        """Make ``count`` calls.

        Raises:
            Exception: what ended a call, with its index.
        """
        copied = sum(items.step for items in [*self._arguments, *([self._results] if self._results else [])])
        pace = Pace(room_of(self._session) // copied if copied else LAST)
        done = 0
        while done < count:
            asked = min(pace.size, count - done)
            outcome = self._exchange(done, asked)
            pace.note(asked, outcome.done)
            done += outcome.done
            if outcome.error is not None:
                blame(outcome.error, done, None if self._target is None else self._target.flat[:done])
                raise outcome.error

    def _exchange(self, start: int, count: int) -> Outcome:
        back = self._results.size(count) if self._results else 0
        with Room(self._session, [back, *[items.size(count) for items in self._arguments]]) as room:
            columns = [self._results.column(start, room.addresses[0]) if self._results else _NOWHERE]
            for items, view, address in zip(self._arguments, room.views[1:], room.addresses[1:], strict=True):
                items.to(view, start, count)
                columns.append(items.column(start, address))
            outcome = self._loop.run(count, columns, room, back)
            if self._results:
                self._results.back(room.views[0], start, outcome.done)
        return outcome
