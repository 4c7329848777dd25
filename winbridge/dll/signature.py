"""Parameter names and defaults of a function that was declared by ``@winbridge.function``."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from winbridge.core.errors import PrototypeError

if TYPE_CHECKING:
    import inspect


class Signature:
    """Names, types and defaults, read off an annotated Python function.

    Without an annotation the result is a ``c_int``, as everywhere in ctypes.

    Raises:
        PrototypeError: a parameter has no annotation, or is of a kind that C does not know.
    """

    def __init__(self, declared: Callable[..., Any]) -> None:
        import inspect  # as long to import as all of winbridge.dll.function

        self.names: list[str] = []
        self.defaults: dict[str, Any] = {}
        self.argtypes: list[Any] = []
        signature = inspect.signature(declared, eval_str=True)
        for parameter in signature.parameters.values():
            self._add(declared.__name__, parameter)
        unsaid = signature.return_annotation is signature.empty
        self.restype: Any = ctypes.c_int if unsaid else signature.return_annotation

    @classmethod
    def of_names(cls, names: list[str]) -> Signature:
        """A signature that knows the parameters' names only."""
        signature = cls.__new__(cls)
        signature.names, signature.defaults, signature.argtypes = names, {}, []
        signature.restype = None
        return signature

    def _add(self, function: str, parameter: inspect.Parameter) -> None:
        name = parameter.name
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise PrototypeError(f"{function}: a C function has no parameter like {parameter}")
        if parameter.annotation is parameter.empty:
            raise PrototypeError(f"{function}: parameter {name!r} needs a ctypes type, as in {name}: c_int")
        self.names.append(name)
        self.argtypes.append(parameter.annotation)
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
