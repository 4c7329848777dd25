"""A family: all types for one architecture, and the session that their functions and pointers use.

On Windows a program has one architecture; here several can be in use at once, and a pointer has another size in
each. So every class knows its family. ``winbridge.ctypes`` has the family of the implicit session; each
``CtypesSession`` has its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from winbridge.core.heap import heap
from winbridge.core.session import SessionEngine
from winbridge.core.singleton import registry
from winbridge.core.wire import POINTER_SIZES
from winbridge.ctypes import aggregates, host
from winbridge.ctypes.addresses import Addresses
from winbridge.ctypes.arrays import ArrayData, ArrayType
from winbridge.ctypes.data import SLOTS
from winbridge.ctypes.errors import Errors
from winbridge.ctypes.functions import FunctionData, FunctionType
from winbridge.ctypes.memory import AddressSpace
from winbridge.ctypes.pointers import PointerData, PointerType, get_word
from winbridge.ctypes.simple import SimpleData, SimpleType
from winbridge.ctypes.strings import Constants
from winbridge.ctypes.twins import Twins

SIMPLE = {
    "c_short": "h", "c_ushort": "H", "c_long": "l", "c_ulong": "L", "c_float": "f", "c_double": "d",
    "c_longlong": "q", "c_ulonglong": "Q", "c_ubyte": "B", "c_byte": "b", "c_char": "c", "c_char_p": "z",
    "c_void_p": "P", "c_bool": "?", "c_wchar_p": "Z", "c_wchar": "u", "py_object": "O",
}  # fmt: skip
"""The classes that ctypes defines on Windows; the other names are other names for these."""


MODULE = "ctypes"
"""What the classes say that they are defined in."""

_WINDOWS = {"i": "l", "I": "L", "g": "d"}
"""On Windows int is a long, and long double a double."""


class Family:
    """Types for one architecture.

    Args:
        arch: ``win64`` or ``win32``.
        find: gives the session for a use of it in this thread.

    Attributes:
        sessions_here: by thread: the registry's epoch, and the session that it has in it.
    """

    ArgumentError = ctypes.ArgumentError
    function_meta = FunctionType

    def __init__(self, arch: str, find: Callable[[], SessionEngine]) -> None:
        self.arch = arch
        self.pointer_size = POINTER_SIZES[arch]
        self.word_code = "Q" if self.pointer_size == 8 else "I"
        self.heap = heap(self.pointer_size)
        self._find = find
        self.sessions_here: dict[int, tuple[int, SessionEngine]] = {}
        self._resolved: dict[tuple[SessionEngine, int, Any], int] = {}
        self.memory = AddressSpace(self)
        self.constants = Constants(self.heap)
        self.twins = Twins(self.heap)
        self.addresses = Addresses(self)
        self.errors = Errors(self)
        self._arrays: weakref.WeakValueDictionary[tuple[Any, int], Any] = weakref.WeakValueDictionary()
        self.pointer_cache: dict[Any, Any] = {}
        self._make_roots()
        self.simple = {name: self._simple(name, code) for name, code in SIMPLE.items()}
        self.reset_pointers()

    def _make_roots(self) -> None:
        root = {"_family_": self, "__module__": "_ctypes", "__slots__": SLOTS}
        self._SimpleCData: Any = SimpleType("_SimpleCData", (SimpleData, host.Simple), root)
        self.Array: Any = ArrayType("Array", (ArrayData, host.Array), root)
        self.Structure: Any = aggregates.StructureType("Structure", (aggregates.AggregateData, host.Structure), root)
        self.Union: Any = aggregates.UnionType("Union", (aggregates.UnionData, host.Structure), root)
        self._Pointer: Any = PointerType("_Pointer", (PointerData, host.Simple), root)
        self.CFuncPtr: Any = FunctionType("CFuncPtr", (FunctionData, host.Structure), root)
        swapped = {"__module__": "ctypes._endian", "_swappedbytes_": None, "__slots__": ()}
        self.BigEndianStructure: Any = aggregates.SwappedStructureType("BigEndianStructure", (self.Structure,), swapped)
        self.BigEndianUnion: Any = aggregates.SwappedUnionType("BigEndianUnion", (self.Union,), dict(swapped))

    def _simple(self, name: str, code: str) -> Any:
        space: dict[str, Any] = {"_type_": code, "__module__": MODULE}
        if code in "zZP":
            space["__repr__"] = _pointer_repr
        if code == "O":
            space["__repr__"] = _object_repr
        return SimpleType(name, (self._SimpleCData,), space)

    def own(self, kind: Any) -> Any:
        """This family's type for a simple type of another, or of the standard library; anything else as it is."""
        if not isinstance(kind, type) or not issubclass(kind, host.Simple):
            return kind
        theirs = getattr(kind, "_family_", None)
        if theirs is self or kind.__base__ is not (host.Simple if theirs is None else theirs._SimpleCData):
            return kind
        code = vars(kind).get("_type_", "")
        return next((each for each in self.simple.values() if each._type_ == _WINDOWS.get(code, code)), kind)

    # Sessions.

    def session(self) -> SessionEngine:
        """The session for this thread, opened where that is allowed."""
        entry = self.sessions_here.get(get_ident())
        if entry is not None and entry[0] == registry.epoch:
            return entry[1]
        session = self._find()
        session.uses_heap = True
        self.sessions_here[get_ident()] = registry.epoch, session
        return session

    def resolve(self, library: Any, name: str | int, session: SessionEngine) -> int:
        """The address of a function of a library in a session.

        Raises:
            AttributeError: there is none.
        """
        handle = library._handle
        key = session, handle, name
        address = self._resolved.get(key)
        if address is None:
            self._resolved = {known: found for known, found in self._resolved.items() if not known[0].closed}
            address = self._resolved[key] = self.errors.resolve(session, handle, name)
        return address

    def export(self, library: Any, name: str | int, stdcall: bool) -> tuple[str | int, int]:
        """The name by which a library exports a function, and its address.

        On 32 bit stdcall functions may be exported with their arguments' bytes: ``_name@8``.

        Raises:
            AttributeError: there is none.
        """
        session = self.session()
        try:
            return name, self.resolve(library, name, session)
        except AttributeError:
            if self.pointer_size == 8 or not stdcall or not isinstance(name, str):
                raise
            for size in range(0, 129, 4):
                with contextlib.suppress(AttributeError):
                    decorated = f"_{name}@{size}"
                    return decorated, self.resolve(library, decorated, session)
            raise

    def variable(self, library: Any, name: str) -> int:
        """The address of a variable that a library exports."""
        if not isinstance(name, str):
            raise TypeError(f"in_dll() argument 2 must be str, not {type(name).__name__}")
        try:
            return self.resolve(library, name, self.session())
        except AttributeError:
            raise ValueError(f"symbol '{name}' not found") from None

    def call_system(self, dll: str, name: str, *words: int) -> int:
        """Call a function of a system DLL with plain words; returns the integer result."""
        from winbridge.core import wire

        session = self.session()
        module = self.errors.load_system(session, dll)
        address = self.errors.resolve(session, module, name)
        message = wire.request(wire.Op.CALL, wire.words(self.pointer_size, *words), target=address)
        return session.exchange(message, name)[2]

    # Types that are made by use.

    def array_type(self, item: Any, length: int) -> Any:
        """``item * length``, the same class each time."""
        if length < 0:
            raise ValueError(f"Array length must be >= 0, not {length}")
        key = item, length
        found = self._arrays.get(key)
        if found is None:
            if item._typeinfo_ is None:
                raise TypeError("Expected a type object")
            name = f"{item.__name__}_Array_{length}"
            space = {"_length_": length, "_type_": item, "__module__": item.__module__}
            found = self._arrays[key] = ArrayType(name, (self.Array,), space)
        return found

    def POINTER(self, item: Any) -> Any:
        """The pointer type for a type, the same each time; of None, ``c_void_p``."""
        found = self.pointer_cache.get(item)
        if found is None:
            found = self.pointer_cache[item] = self._pointer_type(item)
        return found

    def reset_pointers(self) -> None:
        """Forget the pointer types; those to characters take what the string types take, as in ctypes."""
        self.pointer_cache.clear()
        self.pointer_cache[None] = self.simple["c_void_p"]
        for item, text in (("c_char", "c_char_p"), ("c_wchar", "c_wchar_p")):
            self.POINTER(self.simple[item]).from_param = self.simple[text].from_param

    def _pointer_type(self, item: Any) -> Any:
        if item is None:
            return self.simple["c_void_p"]
        if isinstance(item, str):  # an incomplete type: SetPointerType completes it
            made = PointerType(f"LP_{item}", (self._Pointer,), {"__module__": MODULE})
            self.pointer_cache[id(made)] = made
            return made
        if getattr(item, "_family_", None) is None:
            raise TypeError("must have a ctypes type")
        return PointerType(f"LP_{item.__name__}", (self._Pointer,), {"_type_": item, "__module__": MODULE})


def _pointer_repr(self: Any) -> str:
    return f"{type(self).__name__}({get_word(self) or None!r})"


def _object_repr(self: Any) -> str:
    try:
        return f"{type(self).__name__}({self.value!r})"
    except ValueError:
        return f"{type(self).__name__}(<NULL>)"
