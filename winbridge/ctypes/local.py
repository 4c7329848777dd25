"""Functions of this very interpreter: ``pythonapi``.

They are called by the standard ctypes; the types of a prototype are translated to the standard ones.
"""

from __future__ import annotations

import ctypes
from typing import Any

from winbridge.ctypes import host
from winbridge.ctypes.data import foreign

_STANDARD = {
    kind._type_: kind for name, kind in vars(ctypes).items() if name.startswith("c_") and hasattr(kind, "_type_")
}
_STANDARD["O"] = ctypes.py_object
_STANDARD["q"], _STANDARD["Q"] = ctypes.c_longlong, ctypes.c_ulonglong


def standard(kind: Any) -> Any:
    """The standard library's type for one of ours; anything else as it is."""
    shape = getattr(kind, "_typeinfo_", None)
    if shape is None:
        return kind
    if shape.code is not None:
        return _STANDARD[shape.code]
    return ctypes.c_void_p


class LocalFunction:
    """A function of this interpreter, with prototypes in our types."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._argtypes: Any = None

    @property
    def argtypes(self) -> Any:
        return self._argtypes

    @argtypes.setter
    def argtypes(self, value: Any) -> None:
        self._argtypes = value
        self._function.argtypes = None if value is None else [standard(kind) for kind in value]

    @property
    def restype(self) -> Any:
        return self._function.restype

    @restype.setter
    def restype(self, value: Any) -> None:
        self._function.restype = standard(value)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*[_passed(argument) for argument in arguments])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)


def _passed(argument: Any) -> Any:
    shape = getattr(argument, "_typeinfo_", None)
    if shape is None:
        return argument
    if shape.code is not None and shape.code not in "zZP":
        return argument.value if shape.code != "O" else ctypes.py_object(argument.value)
    return ctypes.c_void_p(argument._address_ if shape.code is None else int.from_bytes(bytes(argument), "little"))


class LocalLibrary:
    """A library of this interpreter.

    Args:
        library: as the standard ctypes has it.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._handle = library._handle

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        function = self[name]
        setattr(self, name, function)
        return function

    def __getitem__(self, name: Any) -> LocalFunction:
        return LocalFunction(self._library[name])

    def variable(self, kind: Any, name: str) -> Any:
        """The variable of that name: memory of this process."""
        size = kind._typeinfo_.size
        memory = (host.Bytes * size).in_dll(self._library, name)
        return foreign(kind, memory)

    def __repr__(self) -> str:
        return repr(self._library)
