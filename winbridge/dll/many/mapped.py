"""``func.map``: results and errors as of a Python loop, the numbers of many items in one exchange."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice
from typing import Any

from winbridge.core.wire import MAX_COLUMNS, Column, Result
from winbridge.dll.layout import SimpleData
from winbridge.dll.many.blame import blame
from winbridge.dll.many.callee import Callee
from winbridge.dll.many.elements import KINDS
from winbridge.dll.many.loop import Loop, Pace, Room, room_of
from winbridge.dll.plan import Plan, argument_error
from winbridge.dll.prototype import is_pointer

Arguments = tuple[Any, ...]

CHUNK = 8192
"""Items that are taken from an iterable ahead of their calls, at most."""


def items_of(arguments: Iterable[Any], more: tuple[Iterable[Any], ...]) -> Iterable[Arguments]:
    """Each item's arguments: one of each iterable, or those that a tuple of the only one has."""
    if more:
        return zip(arguments, *more, strict=False)
    return (item if isinstance(item, tuple) else (item,) for item in arguments)


def mapped(function: Callee, items: Iterable[Arguments], chunk: int | None) -> list[Any]:
    """The results of calls with each item's arguments; see ``DllFunction.map``."""
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}: at least one item is needed for a call")
    results: list[Any] = []
    for batch in _batches(items, Pace(chunk or CHUNK)):
        for alike in _alike(batch):
            try:
                _call(function, alike, results)
            except Exception as error:
                blame(error, len(results), results)
                raise
    return results


def _columns(items: list[Arguments]) -> list[list[Any]]:
    """The first arguments of all, the second ones, and so on; items of one length."""
    flat = list(chain.from_iterable(items))  # many times as fast as zip(*items)
    width = len(items[0])
    return [flat[place::width] for place in range(width)]


def _alike(batch: list[Arguments]) -> Iterable[list[Arguments]]:
    """Runs of items that have the same types."""
    if not batch:
        return []
    if len(set(map(len, batch))) == 1 and all(len(set(map(type, column))) == 1 for column in _columns(batch)):
        return [batch]
    return [list(run) for _, run in groupby(batch, _types)]


def _types(arguments: Arguments) -> tuple[type, ...]:
    return tuple(map(type, arguments))


def _batches(items: Iterable[Arguments], pace: Pace) -> Iterator[list[Arguments]]:
    """The items in lists. Where the iterable raises, those before go first, as in a loop."""
    iterator = iter(items)
    while True:
        batch: list[Arguments] = []
        try:
            batch.extend(islice(iterator, pace.size))  # keeps those before an exception
        except Exception:
            yield batch
            raise
        if not batch:
            return
        yield batch
        pace.note(len(batch), len(batch))


def _call(function: Callee, items: list[Arguments], results: list[Any]) -> None:
    """Make the calls of items that have the same types."""
    plan = _plan(function, items[0]) if len(items) > 1 and function.errcheck is None else None
    if plan is None:
        for arguments in items:
            results.append(function(*arguments))  # noqa: PERF401 - those before a failure are kept
    else:
        Numbers(plan).call(items, results)


def _plan(function: Callee, arguments: Arguments) -> Plan | None:
    """The plan for calls with arguments like these, None if they need more than numbers."""
    plan = function.plan_for(arguments)
    if not isinstance(plan, Plan) or len(plan.slots) > MAX_COLUMNS or plan.result.hidden is not None:
        return None
    numbers = all(slot.encode is None for slot in plan.slots)
    return plan if numbers and _is_settled(plan.prototype.restype) else None


def _is_settled(restype: Any) -> bool:
    """Whether a result is what was returned, whenever it is looked at: texts and what a callable does are not."""
    if isinstance(restype, type) and issubclass(restype, SimpleData):
        code: str = restype._type_  # type: ignore[attr-defined]
        return code not in "zZ"
    return restype is None or is_pointer(restype)


class Numbers:
    """Items whose arguments are all numbers.

    Args:
        plan: of their calls.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._loop = Loop(plan.session, plan.prototype.name, plan.address, plan.flags, plan.popped)
        self._codes = [slot.code for slot in plan.slots]
        self._sizes = [struct.calcsize("<" + code) for code in self._codes]
        self._real = plan.result.kind in (Result.FLOAT, Result.DOUBLE)
        self._most = max(1, room_of(plan.session) // (8 + sum(self._sizes)))

    def call(self, items: list[Arguments], results: list[Any]) -> None:
        """Make the calls and append their results.

        Raises:
            Exception: what a call raised, or the conversion of its arguments; the calls before it have been made.
        """
        pace = Pace(self._most)
        start, refused = 0, None
        while start < len(items) and refused is None:
            some = items[start : start + pace.size]
            columns, count, refused = self._packed(some)
            done = self._exchange(columns, count, results) if count else 0
            pace.note(len(some), done)
            start += done
            refused = refused if done == count else None
        if refused is not None:
            raise refused

    def _packed(self, items: list[Arguments]) -> tuple[list[bytes], int, Exception | None]:
        """The columns, up to the first item that cannot be passed, and why not."""
        try:
            return self._data(items), len(items), None
        except (struct.error, OverflowError):
            fitting, refused = self._fitting(items)
            return self._data(fitting), len(fitting), refused

    def _data(self, items: list[Arguments]) -> list[bytes]:
        pairs = zip(self._codes, _columns(items), strict=True) if items else ()
        return [struct.pack(f"<{len(column)}{code}", *column) for code, column in pairs]

    def _fitting(self, items: list[Arguments]) -> tuple[list[Arguments], Exception | None]:
        """Numbers as they wrap."""
        fitting: list[Arguments] = []
        for arguments in items:
            try:
                self._plan.words.pack(*arguments)
            except (struct.error, OverflowError):
                try:
                    arguments = self._fitted(arguments)
                except Exception as error:
                    return fitting, error
            fitting.append(arguments)
        return fitting, None

    def _fitted(self, arguments: Arguments) -> Arguments:
        fitted = []
        for position, (argument, slot) in enumerate(zip(arguments, self._plan.slots, strict=True), 1):
            try:
                fitted.append(slot.fit(argument))
            except Exception as error:
                raise argument_error(position, error) from error
        return tuple(fitted)

    def _exchange(self, given: list[bytes], count: int, results: list[Any]) -> int:
        back = 0 if self._plan.result.kind == Result.NONE else 8 * count
        with Room(self._plan.session, [back, *map(len, given)]) as room:
            columns = [Column(room.addresses[0], 8, Result.DOUBLE if self._real else Result.INT64)]
            for data, view, address, code, size in zip(
                given, room.views[1:], room.addresses[1:], self._codes, self._sizes, strict=True
            ):
                view[:] = data
                columns.append(Column(address, size, KINDS[code]))
            outcome = self._loop.run(count, columns, room, back)
            results.extend(self._decoded(room.views[0], outcome.done))
        if outcome.error is not None:
            raise outcome.error
        return outcome.done

    def _decoded(self, view: memoryview, done: int) -> Iterable[Any]:
        result, session = self._plan.result, self._plan.session
        if result.kind == Result.NONE:
            return [None] * done
        values = struct.unpack_from(f"<{done}{'d' if self._real else 'q'}", view)
        if result.plain:
            return values
        return [result.decode((0, 0, value, value, 0, 0, 0, 0, 0), session) for value in values]
