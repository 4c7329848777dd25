"""What a proxy has done to its object: functions that run at the object's side, one for each sort of operation.

Each takes the object's number and finds it by the connection that called.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import operator
import os
import sys
import types
from collections import OrderedDict, deque
from typing import Any

from winbridge.remote import failures, platforms
from winbridge.remote.current import get_connection
from winbridge.remote.reference import Reference
from winbridge.remote.values import Answer

__all__ = [
    "advance",
    "async_advance",
    "async_enter",
    "async_iterate",
    "async_leave",
    "call",
    "delete_attribute",
    "fetch",
    "get_attribute",
    "importable",
    "invoke",
    "iterate",
    "leave",
    "methods",
    "names",
    "operate",
    "set_attribute",
    "wait_for",
]

FIRST_ITEMS = 64
MOST_BYTES = 1 << 20
"""An answer with items ends when they have this size in memory, so that an iteration over large things stays small."""

_PLAIN = frozenset((type(None), bool, int, float, complex, str, bytes, bytearray))
_CALLABLE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    classmethod,
    staticmethod,
)
_CONTAINERS: tuple[Any, ...] = (
    *((), [], "", b"", bytearray(), {}, {}.values(), {}.items(), set(), range(0), range(1 << 70), deque()),
    *(OrderedDict(), OrderedDict().values(), reversed([]), reversed(range(0)), reversed({}), reversed(deque())),
)
_STORED = frozenset(type(iter(container)) for container in _CONTAINERS)
"""Iterators over what is there already: nothing happens when they move on, so they may move on ahead of the caller."""


def invoke(number: int, name: str, /, *args: Any, **kwargs: Any) -> Any:
    target = _target(number)
    return _answer(target, getattr(target, name)(*args, **kwargs))


def call(number: int, /, *args: Any, **kwargs: Any) -> Any:
    target = _target(number)
    return _answer(target, target(*args, **kwargs))


def operate(number: int, name: str, *args: Any) -> Any:
    """An operator or built-in function, by the name of its special method."""
    target = _target(number)
    return _answer(target, _OPERATIONS[name](target, *args))


def get_attribute(number: int, name: str) -> Any:
    target = _target(number)
    return _answer(target, getattr(target, name))


def set_attribute(number: int, name: str, value: Any) -> None:
    setattr(_target(number), name, value)


def delete_attribute(number: int, name: str) -> None:
    delattr(_target(number), name)


def names(number: int) -> list[str]:
    return [name for name in dir(_target(number)) if not name.startswith("_")]


def methods(number: int) -> tuple[frozenset[str], bool]:
    """Public names that are methods, and whether that is so for all objects of the type."""
    target = _target(number)
    if isinstance(target, types.ModuleType):
        functions = (types.FunctionType, types.BuiltinFunctionType)
        return frozenset(name for name, value in vars(target).items() if isinstance(value, functions)), False
    if isinstance(target, type):
        return _methods_of(target), False
    return _methods_of(type(target)), True


def fetch(number: int) -> Any:
    """The object itself, by value."""
    return _target(number)


def iterate(number: int, backwards: bool = False) -> Any:
    """Begin to iterate: the first items, the iterator if there may be more, how many items to ask it for next.

    Of what computes its items, none are taken in advance.
    """
    target = _target(number)
    iterator = reversed(target) if backwards else iter(target)
    if type(iterator) not in _STORED:
        return (), Reference(iterator), 1
    items, more = _take(iterator, FIRST_ITEMS)
    return Answer((items, Reference(iterator) if more else None, 2 * FIRST_ITEMS))


def advance(number: int, count: int) -> Any:
    """The next items of an iterator, and whether there may be more."""
    return Answer(_take(_target(number), count))


def leave(number: int, packed: Any) -> Any:
    """The end of ``with``, with the exception that ended it."""
    return _target(number).__exit__(*_raised(packed))


def wait_for(number: int) -> Any:
    target = _target(number)
    return _answer(target, _finished(target))


def async_iterate(number: int) -> Any:
    return Reference(_target(number).__aiter__())


def async_advance(number: int) -> Any:
    """The next item of an asynchronous iterator, in a list; none when it is at its end."""
    try:
        return Answer([_finished(_target(number).__anext__())])
    except StopAsyncIteration:
        return ()


def async_enter(number: int) -> Any:
    target = _target(number)
    return _answer(target, _finished(target.__aenter__()))


def async_leave(number: int, packed: Any) -> Any:
    return bool(_finished(_target(number).__aexit__(*_raised(packed))))


def importable(module: str, name: str = "") -> bool:
    """Whether this side has a module, for a class in a result that is on its way here.

    Args:
        module: the module.
        name: of the class, if the other side is of another platform; then it has to be there too.
    """
    if name:
        return platforms.exists(module, name)
    if module in sys.modules:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _target(number: int) -> Any:
    return get_connection().references.borrowed(number)


def _answer(target: Any, result: Any) -> Any:
    if type(result) in _PLAIN:
        return result
    return Reference(result) if result is target else Answer(result)


def _methods_of(kind: type) -> frozenset[str]:
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        found.update(vars(base))
    return frozenset(name for name, value in found.items() if isinstance(value, _CALLABLE) and name[0] != "_")


def _take(iterator: Any, count: int) -> tuple[list[Any], bool]:
    items: list[Any] = []
    size = 0
    try:
        for item in itertools.islice(iterator, count):
            items.append(item)
            size += sys.getsizeof(item)
            if size >= MOST_BYTES:
                return items, True
    except Exception:
        # It comes again with the next request, when the items before it were used.
        if not items or type(iterator) not in _STORED:
            raise
        return items, True
    return items, len(items) == count


def _raised(packed: Any) -> tuple[Any, Any, Any]:
    if packed is None:
        return None, None, None
    error = failures.unpacked(get_connection().values, *packed)
    return type(error), error, error.__traceback__


def _finished(awaitable: Any) -> Any:
    from winbridge.remote.awaiting import finished

    return finished(awaitable)


def _reflected(operation: Any) -> Any:
    return lambda target, other: operation(other, target)


_ARITHMETIC = [
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "xor",
    "or",
]
_OPERATIONS: dict[str, Any] = {
    **{f"__{name}__": getattr(operator, f"__{name}__") for name in _ARITHMETIC},
    **{f"__r{name}__": _reflected(getattr(operator, f"__{name}__")) for name in _ARITHMETIC},
    **{f"__i{name}__": getattr(operator, f"__i{name}__") for name in _ARITHMETIC},
    **{
        f"__{name}__": getattr(operator, f"__{name}__")
        for name in ["eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "index"]
    },
    **{f"__{name}__": getattr(operator, f"__{name}__") for name in ["contains", "getitem", "setitem", "delitem"]},
    **{f"__{kind.__name__}__": kind for kind in (len, bool, hash, int, float, complex, bytes, str, repr, format)},
    "__pow__": pow,
    "__divmod__": divmod,
    "__rdivmod__": _reflected(divmod),
    "__round__": round,
    "__trunc__": math.trunc,
    "__floor__": math.floor,
    "__ceil__": math.ceil,
    "__fspath__": os.fspath,
    "__length_hint__": operator.length_hint,
    "__enter__": lambda target: target.__enter__(),
    "__instancecheck__": lambda target, value: isinstance(value, target),
}
