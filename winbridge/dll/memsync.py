"""memsync directives: what the older ctypes bridge had to be told about memory, taken here too.

There each pointer needed a directive that said where it is and how long the memory is that it points to. Here
objects are shared with the DLL, or mirrored whole, so that nothing has to be said: directives are checked, so that a
wrong one is found, and kept as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHORT = {
    "p": "pointer",
    "l": "length",
    "f": "func",
    "t": "type",
    "n": "null",
    "u": "unic",
    "c": "custom",
}
"""The keys, by their short forms."""


def checked(directives: Any) -> list[dict[str, Any]]:
    """Check a list of directives.

    Args:
        directives: mappings with the keys ``pointer`` (where the pointer is: an argument's index, -1 for the
            result, then names of fields and indices of items), ``length`` (where its number of items is, likewise, or
            several such places when there is a ``func``), ``func`` (computes the length from what stands there),
            ``type`` (of an item: a type or its name), ``null`` (whether a string ends with a zero), ``unic``
            (whether it consists of wide characters), ``custom`` (a type with a conversion of its own).

    Returns:
        the directives with long keys.

    Raises:
        TypeError: of another kind than that.
        ValueError: a key is unknown, given twice or missing, or a place is empty.
    """
    if isinstance(directives, str | bytes | Mapping) or not isinstance(directives, Sequence):
        raise TypeError(f"memsync is a list of directives (dict), not {type(directives).__name__}")
    return [_directive(directive, number) for number, directive in enumerate(directives)]


def _directive(directive: Any, number: int) -> dict[str, Any]:
    where = f"memsync[{number}]"
    if not isinstance(directive, Mapping):
        raise TypeError(f"{where} is a dict, not {type(directive).__name__}")
    found: dict[str, Any] = {}
    for key, value in dict[str, Any](directive).items():
        name: str = SHORT.get(key, key)
        if name not in SHORT.values():
            raise ValueError(f"{where}: unknown key {key!r}; known are {', '.join(SHORT.values())}")
        if name in found:
            raise ValueError(f"{where}: {name} is given twice, as {name!r} and as {name[0]!r}")
        found[name] = value
    if "pointer" not in found:
        raise ValueError(f"{where}: pointer is missing: where is the pointer, for example [0] for the first argument?")
    _check(found, where)
    return found


def _check(found: dict[str, Any], where: str) -> None:
    _place(found["pointer"], f"{where}: pointer")
    if "length" in found:
        several = isinstance(found["length"], tuple)
        if several and "func" not in found:
            raise ValueError(f"{where}: a length in several places needs a func that makes one number of them")
        for place in found["length"] if several else [found["length"]]:
            _place(place, f"{where}: length")
    elif not found.get("null") and "custom" not in found:
        raise ValueError(f"{where}: length is missing, and the memory is no string (null) that ends by itself")
    if "func" in found and not (callable(found["func"]) or isinstance(found["func"], str)):
        raise TypeError(f"{where}: func is a function or its source, not {type(found['func']).__name__}")
    for flag in ("null", "unic"):
        if not isinstance(found.get(flag, False), bool):
            raise TypeError(f"{where}: {flag} is True or False, not {found[flag]!r}")
    kind = found.get("type")
    if kind is not None and not isinstance(kind, str | type):
        raise TypeError(f"{where}: type is a ctypes type or its name, not {kind!r}")


def _place(place: Any, where: str) -> None:
    if isinstance(place, str | bytes) or not isinstance(place, Sequence):
        raise TypeError(f"{where} is a list such as [0, 'field'], not {place!r}")
    if not place:
        raise ValueError(f"{where} is empty: the first item is an argument's index, or -1 for the result")
    first = place[0]
    if not isinstance(first, int) and first != "r":
        raise TypeError(f"{where} begins with an argument's index, -1 for the result, not {first!r}")
    for step in place[1:]:
        if not isinstance(step, int | str):
            raise TypeError(f"{where}: {step!r} is neither the name of a field nor the index of an item")
