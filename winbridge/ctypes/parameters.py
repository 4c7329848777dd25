"""Parameter flags of a prototype: in, out, names and defaults.

The rules and the texts of the errors are those of ctypes (CPython, ``_build_callargs`` in Modules/_ctypes/_ctypes.c).
"""

from __future__ import annotations

from typing import Any

IN, OUT, LCID = 1, 2, 4


def checked(cls: Any, flags: Any, argtypes: tuple[Any, ...] | None) -> Any:
    """Check ``paramflags`` against the types.

    Returns:
        (flag, name, default) for each parameter, None where none are given.

    Raises:
        TypeError, ValueError: they do not fit.
    """
    if flags is None or argtypes is None:
        return None
    if not isinstance(flags, tuple):
        raise TypeError("paramflags must be a tuple or None")
    if len(flags) != len(argtypes):
        raise ValueError("paramflags must have the same length as argtypes")
    found = [_entry(item) for item in flags]
    for position, ((flag, _, default), kind) in enumerate(zip(found, argtypes, strict=True), 1):
        if flag & OUT and not default:
            _check_out(kind, position)
    return tuple(found)


def _entry(item: Any) -> tuple[int, str | None, tuple[Any, ...]]:
    fits = isinstance(item, tuple) and 1 <= len(item) <= 3 and isinstance(item[0], int)
    if not fits or (len(item) > 1 and not isinstance(item[1], str | None)):
        raise TypeError("paramflags must be a sequence of (int [,string [,value]]) tuples")
    if item[0] & (IN | OUT | LCID) not in (0, IN, OUT, IN | OUT, LCID, IN | LCID):
        raise TypeError(f"paramflag value {item[0]} not supported")
    return item[0], item[1] if len(item) > 1 else None, item[2:]


def _check_out(kind: Any, position: int) -> None:
    shape = getattr(kind, "_typeinfo_", None)
    pointer = shape is not None and (shape.item is not None or shape.code in ("z", "Z", "P"))
    if not pointer:
        raise TypeError(f"'out' parameter {position} must be a pointer type, not {kind.__name__}")


class Bound:
    """A call's arguments after the flags were applied."""

    def __init__(self, arguments: tuple[Any, ...], out: set[int], both: set[int]) -> None:
        self.arguments = arguments
        self._out = out
        self._both = both

    def results(self, value: Any) -> Any:
        """The values of the out parameters, if there are any, instead of the function's own result."""
        if not self._out and not self._both:
            return value
        found = [
            self.arguments[index] if index in self._both else self.arguments[index].__ctypes_from_outparam__()
            for index in sorted(self._out | self._both)
        ]
        return found[0] if len(found) == 1 else tuple(found)


def bind(flags: Any, argtypes: Any, given: tuple[Any, ...], named: dict[str, Any], before: int = 0) -> Bound:
    """Give each parameter its argument.

    Args:
        flags: as ``checked`` returned them.
        argtypes: of the prototype.
        given, named: the call's arguments.
        before: how many arguments there were before them: a method's object counts in messages.

    Raises:
        TypeError: one is missing, or there are too many.
    """
    if flags is None or argtypes is None:
        return Bound(given, set(), set())
    arguments, out, both, used = [], set(), set(), 0
    for index, ((flag, name, default), kind) in enumerate(zip(flags, argtypes, strict=True)):
        direction = flag & (IN | OUT | LCID)
        if direction in (LCID, IN | LCID):
            arguments.append(default[0] if default else 0)
        elif direction == OUT:
            arguments.append(default[0] if default else _room(kind))
            out.add(index)
        else:
            value, taken = _given(used, name, default, given, named)
            arguments.append(value)
            used += taken
            if direction == IN | OUT:
                both.add(index)
    count = len(given) + len(named)
    if count != used:
        raise TypeError(f"call takes exactly {used + before} arguments ({count + before} given)")
    return Bound(tuple(arguments), out, both)


def _given(
    used: int, name: str | None, default: tuple[Any, ...], given: tuple[Any, ...], named: dict[str, Any]
) -> tuple[Any, int]:
    """A parameter's argument, and how many of the call's arguments that took: none for a default."""
    if used < len(given):
        return given[used], 1
    if name is not None and name in named:
        return named[name], 1
    if default:
        return default[0], 0
    raise TypeError(f"required argument '{name}' missing" if name else "not enough arguments")


def _room(kind: Any) -> Any:
    """Memory for what an out parameter points to."""
    shape = kind._typeinfo_
    if shape.item is None:
        raise TypeError(f"{kind.__name__} 'out' parameter must be passed as default value")
    return shape.item() if kind._points_ else kind()
