"""What an object's type can do, in a form that travels: Python's special methods that it has, as bits of a number."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Description = tuple[int, str, int]
    """Number of the type at its owner, its full name, bits of the special methods it has."""

__all__ = ["SPECIAL", "bits_of", "describe", "names_of"]

# fmt: off
SPECIAL = (
    "__call__", "__len__", "__bool__", "__contains__", "__iter__", "__next__", "__reversed__", "__length_hint__",
    "__getitem__", "__setitem__", "__delitem__",
    "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__",
    "__add__", "__sub__", "__mul__", "__matmul__", "__truediv__", "__floordiv__", "__mod__", "__divmod__", "__pow__",
    "__lshift__", "__rshift__", "__and__", "__xor__", "__or__",
    "__radd__", "__rsub__", "__rmul__", "__rmatmul__", "__rtruediv__", "__rfloordiv__", "__rmod__", "__rdivmod__",
    "__rpow__", "__rlshift__", "__rrshift__", "__rand__", "__rxor__", "__ror__",
    "__iadd__", "__isub__", "__imul__", "__imatmul__", "__itruediv__", "__ifloordiv__", "__imod__", "__ipow__",
    "__ilshift__", "__irshift__", "__iand__", "__ixor__", "__ior__",
    "__neg__", "__pos__", "__abs__", "__invert__", "__int__", "__float__", "__complex__", "__index__", "__round__",
    "__trunc__", "__floor__", "__ceil__", "__bytes__", "__fspath__",
    "__enter__", "__exit__", "__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__", "__instancecheck__",
)
# fmt: on
"""In this order they are the bits of a description, so the order is a part of the protocol: only add at the end."""

_lock = threading.RLock()  # re-entrant: garbage may be collected under it
_numbers: weakref.WeakKeyDictionary[type, Description] = weakref.WeakKeyDictionary()
_last = 0


def describe(value: Any) -> Description:
    """The description of ``value``'s type; made once a type."""
    kind = type(value)
    description = _numbers.get(kind)
    return _number(kind) if description is None else description


def bits_of(kind: type) -> int:
    """One bit for each special method that ``kind`` has, and has not from ``object``."""
    return sum(1 << bit for bit, name in enumerate(SPECIAL) if _has(kind, name))


def names_of(bits: int) -> frozenset[str]:
    """The special methods of these bits; bits that this version does not know are passed over."""
    return frozenset(name for bit, name in enumerate(SPECIAL) if bits >> bit & 1)


def _has(kind: type, name: str) -> bool:
    # By the classes' own names: getattr(kind, "__call__") would find what type(kind) has.
    for base in kind.__mro__:
        if name in vars(base):
            return base is not object and vars(base)[name] is not None
    return False


def _number(kind: type) -> Description:
    global _last
    bits = bits_of(kind)
    with _lock:
        if kind not in _numbers:
            _last += 1
            _numbers[kind] = (_last, f"{kind.__module__}.{kind.__qualname__}", bits)
        return _numbers[kind]
