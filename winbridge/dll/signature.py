"""Parameter names and defaults of a function that was declared by ``@winbridge.function``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from winbridge.core.errors import PrototypeError


class Signature:
    """Names, types and defaults, read off an annotated Python function.

    Raises:
        PrototypeError: a parameter has no annotation, or is of a kind that C does not know.
    """

    def __init__(self, declared: Callable[..., Any]) -> None:
        hints = get_type_hints(declared)
        self.names: list[str] = []
        self.defaults: dict[str, Any] = {}
        self.argtypes: list[Any] = []
        for name, parameter in inspect.signature(declared).parameters.items():
            self._add(declared.__name__, name, parameter, hints)
        # get_type_hints turns an annotation None into NoneType
        self.restype = None if hints.get("return") is type(None) else hints.get("return")

    def _add(self, function: str, name: str, parameter: inspect.Parameter, hints: dict[str, Any]) -> None:
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise PrototypeError(f"{function}: a C function has no parameter like {parameter}")
        if name not in hints:
            raise PrototypeError(f"{function}: parameter {name!r} needs a ctypes type, as in {name}: c_int")
        self.names.append(name)
        self.argtypes.append(hints[name])
        if parameter.default is not parameter.empty:
            self.defaults[name] = parameter.default

    def bind(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, defaults filled in.

        Raises:
            TypeError: a name is unknown or given twice, or an argument is missing.
        """
        values = dict(zip(self.names, arguments, strict=False))
        for name, value in named.items():
            if name not in self.names:
                raise TypeError(f"no parameter is called {name!r}; there are {', '.join(self.names) or 'none'}")
            if name in values:
                raise TypeError(f"parameter {name!r} is given twice")
            values[name] = value
        values = {**self.defaults, **values}
        missing = [name for name in self.names if name not in values]
        if missing:
            raise TypeError(f"missing argument{'s' * (len(missing) > 1)}: {', '.join(missing)}")
        return (*(values[name] for name in self.names), *arguments[len(self.names) :])
