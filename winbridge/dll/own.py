"""Functions with types of ``winbridge.ctypes``: their objects lie in memory that DLLs see, and need no plan of ours.

Such calls are made by the drop-in itself; this finds out which those are. It does not import the drop-in,
which stands above this package: its types tell their family.
"""

from __future__ import annotations

import ctypes
import importlib
from typing import TYPE_CHECKING, Any

from winbridge.core.errors import PrototypeError
from winbridge.core.session import SessionEngine
from winbridge.core.wire import Flag, Record
from winbridge.dll.stack import imbalance

if TYPE_CHECKING:
    SimpleData = ctypes._SimpleCData[Any]
    from winbridge.dll.plan import Prototype


if not TYPE_CHECKING:
    SimpleData = ctypes._SimpleCData  # generic for type checkers only


class c_longlong(SimpleData):
    """8 bytes; the standard one is a long on Linux, which has 4 on Windows."""

    _type_ = "q"


class c_ulonglong(SimpleData):
    """The same without a sign."""

    _type_ = "Q"


class VARIANT_BOOL(SimpleData):
    """2 bytes: -1 for true."""

    _type_ = "v"


NUMBERS = {
    "b": ctypes.c_byte, "B": ctypes.c_ubyte, "h": ctypes.c_short, "H": ctypes.c_ushort, "l": ctypes.c_int,
    "L": ctypes.c_uint, "q": c_longlong, "Q": c_ulonglong, "f": ctypes.c_float, "d": ctypes.c_double,
    "?": ctypes.c_bool, "c": ctypes.c_char, "u": ctypes.c_wchar, "v": VARIANT_BOOL,
}  # fmt: skip
"""The standard types for the drop-in's, by code: numbers need no memory, so a plan can pass them."""


def standard(kind: Any) -> Any:
    """The standard type for one of the drop-in's types of numbers; anything else as it is."""
    family = getattr(kind, "_family_", None)
    if family is None or not isinstance(kind, type) or kind.__bases__[0] is not family._SimpleCData:
        return kind
    return kind if hasattr(kind, "_swapped_") else NUMBERS.get(vars(kind)["_type_"], kind)


def with_standard_numbers(prototype: Prototype) -> Prototype:
    """The same prototype without types of the drop-in, where those are numbers."""
    argtypes = None if prototype.argtypes is None else tuple(standard(kind) for kind in prototype.argtypes)
    return type(prototype)(prototype.name, prototype.convention, prototype.flags, argtypes, standard(prototype.restype))


def family_of(prototype: Prototype, arguments: tuple[Any, ...], arch: str) -> Any:
    """The family that makes a call: one that its types are of and that is for the architecture.

    Numbers mean the same for both architectures. None where there are only standard types.
    """
    things = (*(prototype.argtypes or ()), prototype.restype, *arguments)
    found = [thing._family_ for thing in things if hasattr(thing, "_family_") and standard(thing) is thing]
    if not found:
        return None
    fitting = next((family for family in found if family.arch == arch), None)
    return fitting or importlib.import_module("winbridge.ctypes.implicit").implicit(arch).family


def check(prototype: Prototype, arch: str) -> None:
    """Refuse types that hold pointers of another architecture.

    Raises:
        PrototypeError: with what to do.
    """
    for kind in (*(prototype.argtypes or ()), prototype.restype):
        family = getattr(kind, "_family_", None)
        if family is not None and family.arch != arch and (kind._typeinfo_.code is None):
            raise PrototypeError(
                f"{prototype.name} is {arch} and {kind.__name__} is a type for {family.arch}: take it from"
                f" winbridge.CtypesSession(arch={arch!r}) or, in the whole program, set WINBRIDGE_ARCH={arch}"
            )


class AsIs:
    """Stands for the type of an argument that was converted before."""

    @staticmethod
    def from_param(value: Any) -> Any:
        return value


class OwnPlan:
    """Calls of one function in one session, made by the drop-in.

    Has what ``DllFunction`` asks of a ``Plan``.

    Raises:
        PrototypeError: the types are for another architecture.
    """

    def __init__(self, prototype: Prototype, family: Any, session: SessionEngine, address: int) -> None:
        check(prototype, session.arch)
        functions = importlib.import_module("winbridge.ctypes.functions")
        flags = functions.FUNCFLAG_CDECL if prototype.convention == "cdecl" else functions.FUNCFLAG_STDCALL
        flags |= functions.FUNCFLAG_USE_LASTERROR if prototype.flags & Flag.SWAP_LAST_ERROR else 0
        flags |= functions.FUNCFLAG_USE_ERRNO if prototype.flags & Flag.SWAP_ERRNO else 0
        kind = type(family.CFuncPtr)(
            "DllFunction", (family.CFuncPtr,), {"_flags_": flags, "_restype_": family.own(prototype.restype)}
        )
        self._function = kind(address)
        self._function.__name__ = prototype.name
        if prototype.argtypes is not None:
            self._function.argtypes = [AsIs if kind is None else family.own(kind) for kind in prototype.argtypes]
        self._plan = functions.Plan(self._function)
        self.plain = self._plan.direct
        self.watched = family.twins
        self._remedy = functions.REMEDY
        self._session = session
        session.uses_heap = True  # the drop-in puts even texts there
        self.pack = self._plan.pack
        self.popped = self._plan.popped
        self.field = self._plan.result.field
        self.head = self._plan.head(session, self._function) if self._plan.direct else b""

    def call(self, arguments: tuple[Any, ...]) -> Any:
        """Make the call."""
        self._plan.check_count(arguments)
        return self._plan.call(self._function, None, arguments, self._session)

    def imbalance(self, record: Record) -> ValueError:
        """What to raise when the callee took another number of bytes off the stack than it was given."""
        return imbalance(self._plan.name, record[5], self.popped, self._remedy)
