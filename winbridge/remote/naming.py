"""Errors of values that cannot travel: which object it is, where it sits, why, and what to do."""

from __future__ import annotations

import io
import pickle
import types
from typing import Any

from winbridge.remote.errors import OperationError
from winbridge.remote.platforms import PlatformError

__all__ = ["not_loadable", "not_picklable", "short"]

LONGEST = 80
"""Characters of an object's repr that a message has room for."""


def short(value: Any) -> str:
    """The repr of any object, cut; its type where it has none."""
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def not_picklable(value: Any, what: str, error: Exception, by_value: bool) -> OperationError:
    """The error of ``Values.dumps``."""
    trail = _trail(value, by_value)
    culprit = trail[-1] if trail else value
    place = _place(trail, what)
    reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error) or type(error).__name__
    if what == "the call":
        what = f"the call of {getattr(value[0], '__qualname__', short(value[0]))}"
    return OperationError(
        f"cannot send {what}: {place} is {short(culprit)} of type {type(culprit).__qualname__}, which cannot be "
        f"pickled ({reason}). {_advice(culprit, by_value)}"
    )


def not_loadable(what: str, error: Exception) -> OperationError:
    """The error of ``Values.loads``."""
    if isinstance(error, PlatformError):
        hint = str(error)
    elif isinstance(error, ModuleNotFoundError) and error.name:
        hint = (
            f"there is no module {error.name!r} on this side. Install it here, or let the other side bring it along: "
            "connection.export() there, Options(accept_exported_modules=True) here"
        )
        if error.name.partition(".")[0] == "cloudpickle":
            hint = "the other side sends code by value, which needs cloudpickle here too: pip install cloudpickle"
    elif isinstance(error, AttributeError) and "__main__" in str(error):
        hint = (
            f"{error}: it is of the other side's __main__, which is another program. Put it into a module that both "
            "sides have, send it by Options(pickle_by_value=True), or export __main__"
        )
    elif isinstance(error, (AttributeError, ImportError)):
        hint = f"{error}. Both sides need the same version of that module"
    elif isinstance(error, pickle.UnpicklingError):
        hint = f"the message is damaged: {error}"
    else:
        hint = f"rebuilding an object in it raised {type(error).__qualname__}: {error}"
    return OperationError(f"cannot load {what} from the other side: {hint}")


class _Tracing(pickle._Pickler):
    """Python's own pickler, which can be watched: ``trail`` are the objects it is in."""

    def __init__(self, by_value: bool) -> None:
        super().__init__(io.BytesIO(), 5, buffer_callback=lambda buffer: False)
        self.trail: list[Any] = []
        if by_value:
            from winbridge.remote.picklers import thorough

            self._with_code = thorough(True)(io.BytesIO(), 5, None)
            self.dispatch_table = self._with_code.dispatch_table

    def save(self, obj: Any, save_persistent_id: bool = True) -> Any:
        self.trail.append(obj)
        super().save(obj, save_persistent_id)  # type: ignore[misc]
        self.trail.pop()

    def reducer_override(self, value: Any) -> Any:
        if hasattr(self, "_with_code"):
            return self._with_code.reducer_override(value)
        return (bytes, (b"",)) if type(value) is memoryview else NotImplemented


def _trail(value: Any, by_value: bool) -> list[Any]:
    """From the value to the object that cannot be pickled; empty if it can be this time."""
    tracing = _Tracing(by_value)
    try:
        tracing.dump(value)
    except RecursionError:
        return tracing.trail[:1]
    except Exception:
        return tracing.trail
    return []


def _place(trail: list[Any], what: str) -> str:
    if len(trail) < 2:
        return "it"
    if what == "the call":
        if trail[1] is trail[0][0]:
            return "the function" + _path(trail[1:])
        if len(trail) > 2:
            return "argument " + _path(trail[1:]).replace("[", "", 1).replace("]", "", 1)
    return what + _path(trail)


def _path(trail: list[Any]) -> str:
    path, within_object = "", False
    for outer, inner in zip(trail, trail[1:]):
        if isinstance(outer, dict):
            path += _key(outer, inner, within_object)
            within_object = False
        elif isinstance(outer, (list, tuple)) and not within_object:
            path += next((f"[{place}]" for place, item in enumerate(outer) if item is inner), "")
        elif not isinstance(outer, (list, tuple)):
            # The object's pickle has its class, the arguments that make it and its state: usually its attributes.
            within_object = True
    return path


def _key(outer: Any, inner: Any, within_object: bool) -> str:
    for key, value in outer.items():
        if value is inner:
            return f".{key}" if within_object else f"[{short(key)}]"
    return f", key {short(inner)}"


def _advice(culprit: Any, by_value: bool) -> str:
    if isinstance(culprit, (types.FunctionType, type)) and not by_value:
        return (
            "Put it into a module that both sides have, or send code by value: Options(pickle_by_value=True); "
            "or pass winbridge.remote.ref(it), which is called back"
        )
    if isinstance(culprit, (types.GeneratorType, map, filter, zip)):
        return "Pass list(it), or winbridge.remote.ref(it) to fetch item by item"
    return "Pass winbridge.remote.ref(it): the other side gets a proxy of it"
