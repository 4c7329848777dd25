"""Prototypes from C declarations, as a vendor's header has them.

``source`` preprocesses, ``dialect`` takes out what only Microsoft's compiler knows, ``syntax`` calls pycparser,
``reader`` makes types (``model``) of its tree, and ``build`` makes ctypes classes of those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from winbridge.core.errors import PrototypeError

if TYPE_CHECKING:
    from winbridge.dll.cdef.build import Builder
    from winbridge.dll.cdef.model import Function, Refused
    from winbridge.dll.cdef.reader import Scope

__all__ = ["Declarations", "FunctionDeclaration", "parse"]


@dataclass(frozen=True)
class FunctionDeclaration:
    """A function.

    Attributes:
        name: what it is called.
        restype: a type, or None for void.
        argtypes: the types of its parameters, of the fixed ones if it is variadic; None for ``()``.
        convention: ``stdcall`` or ``cdecl``.
        variadic: whether more arguments may follow.
        names: the parameters' names, None for those without one.
    """

    name: str
    restype: Any
    argtypes: tuple[Any, ...] | None
    convention: str
    variadic: bool
    names: tuple[str | None, ...]


@dataclass(frozen=True)
class Declarations:
    """What a text declares, by name.

    Attributes:
        functions: the functions.
        types: structures, unions and typedefs (also those of windows.h that the text mentions), and an ``IntEnum`` for
            each enumeration. The tag of a structure is a name too, unless a typedef has the same.
        constants: enumerators, and ``#define`` of numbers (int, float), strings (bytes) and wide strings (str).
        variables: the types of the data that the DLL exports.
    """

    functions: dict[str, FunctionDeclaration]
    types: dict[str, Any]
    constants: dict[str, int | float | bytes | str]
    variables: dict[str, Any]


def parse(text: str, types: Any, *, pointer_size: int, convention: str = "stdcall") -> Declarations:
    """Read C declarations.

    Args:
        text: the declarations, or a whole header. ``#include`` is ignored; the types of windows.h are known.
        types: a namespace with the API of ctypes on Windows.
        pointer_size: 8 or 4, which decides about ``_WIN64``, ``sizeof`` and the size of ``size_t``.
        convention: of functions that do not name theirs, ``stdcall`` or ``cdecl``.

    Raises:
        PrototypeError: something is wrong, unknown or no C; the message has the line and what to do.
        ValueError: the pointer size or the convention is none of these.
    """
    if pointer_size not in (4, 8) or convention not in ("stdcall", "cdecl"):
        raise ValueError(f"pointer_size is 8 or 4, convention stdcall or cdecl, not {pointer_size} and {convention!r}")
    # Here, because pycparser and pcpp are needed by nothing else.
    from winbridge.dll.cdef.build import Builder
    from winbridge.dll.cdef.header import read
    from winbridge.dll.cdef.model import Refused

    try:
        scope, mentioned = read(text, pointer_size, convention)
        return _declarations(scope, mentioned, Builder(types, pointer_size))
    except Refused as refused:
        raise PrototypeError(_message(refused, text)) from None


def _message(refused: Refused, text: str) -> str:
    lines = text.splitlines()
    if refused.line is None or not 0 < refused.line <= len(lines):
        return f"C declarations: {refused.cause}"
    return f"C declarations, line {refused.line}: {lines[refused.line - 1].strip()!r}: {refused.cause}"


def _declarations(scope: Scope, mentioned: set[str], builder: Builder) -> Declarations:
    from winbridge.dll.cdef.model import Enum

    own = [*scope.tags.maps[0].items(), *scope.typedefs.maps[0].items()]
    named = [*((name, scope.typedefs[name]) for name in sorted(mentioned)), *own]
    return Declarations(
        {name: _function(name, kind, line, builder) for name, (kind, line) in scope.functions.items()},
        {name: builder.enumeration(kind) if isinstance(kind, Enum) else builder.finished(kind) for name, kind in named},
        scope.constants,
        {name: builder.finished(kind) for name, kind in scope.variables.items()},
    )


def _function(name: str, kind: Function, line: int, builder: Builder) -> FunctionDeclaration:
    from winbridge.dll.cdef.model import Refused

    try:
        arguments = kind.parameters and tuple(builder.value(parameter.type) for parameter in kind.parameters)
        restype = builder.result(kind.result)
    except Refused as refused:
        raise Refused(refused.cause, refused.line or line) from None
    names = tuple(parameter.name for parameter in kind.parameters or ())
    return FunctionDeclaration(name, restype, arguments, kind.convention, kind.variadic, names)
