"""The functions of ctypes, for one family."""

from __future__ import annotations

import ctypes
import functools
import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.ctypes import aggregates, data
from winbridge.ctypes.conversion import CArgObject
from winbridge.ctypes.data import CData
from winbridge.ctypes.family import Family
from winbridge.ctypes.functions import (
    FUNCFLAG_CDECL,
    FUNCFLAG_HRESULT,
    FUNCFLAG_PYTHONAPI,
    FUNCFLAG_STDCALL,
    FUNCFLAG_USE_ERRNO,
    FUNCFLAG_USE_LASTERROR,
)
from winbridge.ctypes.libraries import Libraries
from winbridge.ctypes.local import LocalLibrary
from winbridge.ctypes.pointers import get_word, kept_by_cast, pointer_to, set_word
from winbridge.ctypes.standard import executed
from winbridge.ctypes.strings import narrow, wide
from winbridge.dll import lasterror
from winbridge.dll.layout import Layout, layout

VERSION = "1.1.0"
"""Of ctypes, in all Pythons that winbridge runs on."""

OWN = {"family", "names", "wintypes"}
"""Attributes of an ``Api`` that are no names of ctypes."""


class Api:
    """Every public name of ctypes on Windows, as attributes.

    Args:
        family: the types.
        load: finds and loads a library: (name, winmode) -> Dll.
    """

    def __init__(self, family: Family, load: Callable[..., Any]) -> None:
        self.family = family
        self._prototypes: dict[Any, Any] = {}
        self._libraries = Libraries(family, load)

    def names(self) -> dict[str, Any]:
        """The namespace, the same each time."""
        return self._names

    @functools.cached_property
    def _names(self) -> dict[str, Any]:
        family, libraries = self.family, self._libraries
        simple = dict(family.simple)
        simple.update(_other_names(simple, family.pointer_size))
        found = {
            **simple,
            "_SimpleCData": family._SimpleCData, "_Pointer": family._Pointer, "_CFuncPtr": family.CFuncPtr,
            "Array": family.Array, "Structure": family.Structure, "Union": family.Union,
            "BigEndianStructure": family.BigEndianStructure, "BigEndianUnion": family.BigEndianUnion,
            "LittleEndianStructure": family.Structure, "LittleEndianUnion": family.Union,
            "ArgumentError": ctypes.ArgumentError,
            "CDLL": libraries.CDLL, "WinDLL": libraries.WinDLL, "OleDLL": libraries.OleDLL, "PyDLL": libraries.PyDLL,
            "HRESULT": libraries.HRESULT, "LibraryLoader": libraries.LibraryLoader,
            "cdll": libraries.LibraryLoader(libraries.CDLL), "windll": libraries.LibraryLoader(libraries.WinDLL),
            "oledll": libraries.LibraryLoader(libraries.OleDLL), "pydll": libraries.LibraryLoader(libraries.PyDLL),
            "pythonapi": LocalLibrary(ctypes.pythonapi), "PYFUNCTYPE": ctypes.PYFUNCTYPE,
            "DEFAULT_MODE": 0, "RTLD_GLOBAL": 0, "RTLD_LOCAL": 0, "__version__": VERSION,
            "_FUNCFLAG_STDCALL": FUNCFLAG_STDCALL, "_FUNCFLAG_CDECL": FUNCFLAG_CDECL,
            "_FUNCFLAG_PYTHONAPI": FUNCFLAG_PYTHONAPI, "_FUNCFLAG_USE_ERRNO": FUNCFLAG_USE_ERRNO,
            "_FUNCFLAG_USE_LASTERROR": FUNCFLAG_USE_LASTERROR, "_FUNCFLAG_HRESULT": FUNCFLAG_HRESULT,
            "POINTER": family.POINTER, "_pointer_type_cache": family.pointer_cache,
            "_c_functype_cache": self._prototypes, "_win_functype_cache": self._prototypes,
            "get_errno": lasterror.get_errno, "set_errno": lasterror.set_errno,
            "get_last_error": lasterror.get_last_error, "set_last_error": lasterror.set_last_error,
        }  # fmt: skip
        methods = (name for name in dir(self) if not name.startswith("_") and name not in OWN)
        found.update({name: getattr(self, name) for name in methods})
        found["CFUNCTYPE"], found["WINFUNCTYPE"] = _function(self.CFUNCTYPE), _function(self.WINFUNCTYPE)
        found["c_buffer"] = self.create_string_buffer
        found["_reset_cache"] = self._reset_cache
        found["_check_HRESULT"] = libraries.HRESULT._check_retval_
        return found

    @functools.cached_property
    def wintypes(self) -> SimpleNamespace:
        """``ctypes.wintypes`` with the widths that its names have on Windows."""
        return SimpleNamespace(**executed("ctypes.wintypes", SimpleNamespace(**self._names)))

    # Sizes and addresses.

    def sizeof(self, thing: Any) -> int:
        """The size in bytes that a type or an instance has on Windows.

        Raises:
            TypeError: it is neither.
        """
        shape = getattr(thing, "_typeinfo_", None)
        if shape is None:
            return self._standard(thing, "this type has no size").size
        return shape.size if isinstance(thing, type) else data.size_of(thing)

    def alignment(self, thing: Any) -> int:
        """The alignment in bytes of a type or an instance.

        Raises:
            TypeError: it is neither.
        """
        shape = getattr(thing, "_typeinfo_", None)
        if shape is None:
            return self._standard(thing, "no alignment info").alignment
        return int(shape.alignment)

    def _standard(self, thing: Any, problem: str) -> Layout:
        """The layout on Windows of the standard library's types, which numpy and others may have made."""
        try:
            return layout(thing if isinstance(thing, type) else type(thing), self.family.arch)
        except PrototypeError:
            raise TypeError(problem) from None

    def addressof(self, obj: Any) -> int:
        """Where an instance lies for the Windows side (and, but for what Windows made itself, here too).

        Raises:
            TypeError: no ctypes instance.
        """
        if not isinstance(obj, CData):
            raise TypeError("invalid type")
        return int(obj._address_)

    def byref(self, obj: Any, offset: int = 0) -> Any:
        """A light pointer to an instance, for arguments only.

        Args:
            obj: the instance.
            offset: bytes to add to its address.
        """
        if not isinstance(obj, CData):
            raise TypeError(f"byref() argument must be a ctypes instance, not '{type(obj).__name__}'")
        return CArgObject("P", None, obj, self.family, operator.index(offset))

    def pointer(self, obj: Any) -> Any:
        """A pointer instance that points to an object."""
        if not isinstance(obj, CData):
            raise TypeError("_type_ must have storage info")
        return self.family.POINTER(type(obj))(obj)

    def resize(self, obj: Any, size: int) -> None:
        """Give an instance more memory than its type needs."""
        data.resize(obj, operator.index(size))

    def cast(self, obj: Any, kind: Any) -> Any:
        """An instance of a pointer type with the address that another object stands for.

        Args:
            obj: a pointer, an array, a function pointer, an address, bytes, str, or None.
            kind: a pointer type, ``c_void_p``, ``c_char_p``, ``c_wchar_p`` or a function type.
        """
        family = self.family
        if not getattr(kind, "_points_", False):
            _check_cast(kind, family)
        if isinstance(obj, family.Array):
            return pointer_to(kind, obj)
        address = self._where(obj) if not isinstance(obj, CData) or _is_data(obj) else _address(obj, family)
        made = data.new(kind)
        set_word(made, address)
        made._kept = kept_by_cast(obj)
        return made

    def SetPointerType(self, pointer: Any, item: Any) -> None:
        """Say what an incomplete pointer type points to."""
        cache = self.family.pointer_cache
        if cache.get(item) is not None:
            raise RuntimeError("This type already exists in the cache")
        if id(pointer) not in cache:
            raise RuntimeError("What's this???")
        pointer.set_type(item)
        cache[item] = pointer
        del cache[id(pointer)]

    def ARRAY(self, kind: Any, length: int) -> Any:
        """``kind * length``"""
        return kind * length

    # Text and memory.

    def create_string_buffer(self, init: Any, size: int | None = None) -> Any:
        """A writable array of characters, from bytes (with a zero behind them) or of a size."""
        c_char = self.family.simple["c_char"]
        if isinstance(init, bytes):
            buffer = (c_char * (len(init) + 1 if size is None else size))()
            buffer.value = init
            return buffer
        if isinstance(init, int):
            return (c_char * init)()
        raise TypeError(init)

    def create_unicode_buffer(self, init: Any, size: int | None = None) -> Any:
        """A writable array of UTF-16 units, from text (with a zero behind it) or of a size."""
        c_wchar = self.family.simple["c_wchar"]
        if isinstance(init, str):
            buffer = (c_wchar * (len(wide(init)) // 2 + 1 if size is None else size))()
            buffer.value = init
            return buffer
        if isinstance(init, int):
            return (c_wchar * init)()
        raise TypeError(init)

    def string_at(self, ptr: Any, size: int = -1) -> bytes:
        """The bytes at an address: ``size`` of them, or up to the first zero.

        Raises:
            WindowsFault: they are not there (an OSError).
        """
        address = self._where(ptr)
        return self.family.memory.string(address) if size == -1 else self.family.memory.read(address, size)

    def wstring_at(self, ptr: Any, size: int = -1) -> str:
        """The text at an address: ``size`` UTF-16 units, or up to the first zero."""
        address = self._where(ptr)
        if size == -1:
            return self.family.memory.wide_string(address)
        return narrow(self.family.memory.read(address, 2 * size))

    def memmove(self, dst: Any, src: Any, count: int) -> int:
        """Copy bytes from one place to another; each is a pointer, an address, or (as source) bytes."""
        target, source = self._where(dst), self._where(src)
        self.family.memory.write(target, self.family.memory.read(source, count))
        return target

    def memset(self, dst: Any, c: int, count: int) -> int:
        """Fill memory with a byte."""
        target = self._where(dst)
        self.family.memory.write(target, bytes([c & 0xFF]) * count)
        return target

    def _where(self, place: Any) -> int:
        family = self.family
        try:
            return _address(family.simple["c_void_p"].from_param(place), family)
        except Exception as error:
            raise ctypes.ArgumentError(f"argument 1: {type(error).__name__}: {error}") from None

    # Function types.

    def CFUNCTYPE(self, restype: Any, *argtypes: Any, **kw: Any) -> Any:
        """The type of functions with a prototype, cdecl."""
        return self._prototype("CFunctionType", "CFUNCTYPE", FUNCFLAG_CDECL, restype, argtypes, kw)

    def WINFUNCTYPE(self, restype: Any, *argtypes: Any, **kw: Any) -> Any:
        """The type of functions with a prototype, stdcall."""
        return self._prototype("WinFunctionType", "WINFUNCTYPE", FUNCFLAG_STDCALL, restype, argtypes, kw)

    def _prototype(self, name: str, maker: str, flags: int, restype: Any, argtypes: Any, kw: dict[str, Any]) -> Any:
        flags |= FUNCFLAG_USE_ERRNO if kw.pop("use_errno", False) else 0
        flags |= FUNCFLAG_USE_LASTERROR if kw.pop("use_last_error", False) else 0
        if kw:
            raise ValueError(f"unexpected keyword argument(s) {kw.keys()}")
        key = restype, argtypes, flags
        found = self._prototypes.get(key)
        if found is None:
            space = {"_argtypes_": argtypes, "_restype_": restype, "_flags_": flags, "__module__": "ctypes"}
            space["__qualname__"] = f"{maker}.<locals>.{name}"
            found = self._prototypes[key] = type(self.family.CFuncPtr)(name, (self.family.CFuncPtr,), space)
        return found

    def _reset_cache(self) -> None:
        self._prototypes.clear()
        self.family.reset_pointers()

    # Errors.

    def GetLastError(self) -> int:
        """The Windows last error of this thread, as the last call left it."""
        return lasterror.signed(self.family.call_system("kernel32", "GetLastError") & 0xFFFFFFFF)

    def FormatError(self, code: int | None = None) -> str:
        """Windows' words for an error code; for the last error without one."""
        return self.family.errors.format(self.GetLastError() if code is None else code)

    def WinError(self, code: int | None = None, descr: str | None = None) -> OSError:
        """An OSError for an error code (the last error without one), with ``winerror``."""
        if code is None:
            code = self.GetLastError()
        return self.family.errors.from_code(code, descr)

    # COM servers: what Windows' own ctypes offers to inprocess servers written in Python.

    def DllGetClassObject(self, rclsid: Any, riid: Any, ppv: Any) -> int:
        """Answer for a COM server in Python, if there is one (``comtypes.server.inprocserver``)."""
        try:
            server = __import__("comtypes.server.inprocserver", globals(), locals(), ["*"])
        except ImportError:
            return -2147221231  # CLASS_E_CLASSNOTAVAILABLE
        return int(server.DllGetClassObject(rclsid, riid, ppv))

    def DllCanUnloadNow(self) -> int:
        """The same for unloading."""
        try:
            server = __import__("comtypes.server.inprocserver", globals(), locals(), ["*"])
        except ImportError:
            return 0  # S_OK
        return int(server.DllCanUnloadNow())


def _function(method: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function, as programs expect that keep it in a class."""

    @functools.wraps(method)
    def function(restype: Any, *argtypes: Any, **kw: Any) -> Any:
        return method(restype, *argtypes, **kw)

    return function


def _check_cast(kind: Any, family: Family) -> None:
    code = kind._typeinfo_.code if isinstance(kind, data.DataType) and kind._typeinfo_ is not None else None  # type: ignore[attr-defined]
    if not isinstance(kind, family.function_meta) and code not in tuple("zZPXO"):
        name = kind.__name__ if isinstance(kind, type) else type(kind).__name__
        raise TypeError(f"cast() argument 2 must be a pointer type, not {name}")


def _is_data(obj: Any) -> bool:
    """Whether an object is one that ``c_void_p`` takes."""
    return obj._typeinfo_.item is not None or obj._typeinfo_.code in ("z", "Z", "P")


def _address(source: Any, family: Family) -> int:
    if source is None:
        return 0
    if isinstance(source, CArgObject):
        return source.address()
    if isinstance(source, family.Array):
        return int(source._address_)
    if isinstance(source, CData):
        if source._typeinfo_.code is not None and source._typeinfo_.code not in "zZP":
            raise ctypes.ArgumentError("argument 1: TypeError: wrong type")
        return get_word(source)
    return int(getattr(source, "_as_parameter_", source))


def _other_names(simple: dict[str, Any], pointer_size: int) -> dict[str, Any]:
    """On Windows int and long have the same size, so ctypes has one class for both."""
    for name in ("c_byte", "c_ubyte", "c_char"):
        for twin in ("__ctype_le__", "__ctype_be__"):
            setattr(simple[name], twin, simple[name])
    wide = "c_longlong" if pointer_size == 8 else "c_long"
    unsigned = "c_ulonglong" if pointer_size == 8 else "c_ulong"
    pairs = {
        "c_int": "c_long", "c_uint": "c_ulong", "c_longdouble": "c_double", "c_voidp": "c_void_p",
        "c_int8": "c_byte", "c_uint8": "c_ubyte", "c_int16": "c_short", "c_uint16": "c_ushort",
        "c_int32": "c_long", "c_uint32": "c_ulong", "c_int64": "c_longlong", "c_uint64": "c_ulonglong",
        "c_ssize_t": wide, "c_size_t": unsigned,
    }  # fmt: skip
    return {name: simple[other] for name, other in pairs.items()}


other_endian = aggregates.other_endian


def raw_functions(api: Api) -> dict[str, Any]:
    """What ``_ctypes`` has besides: functions on addresses and handles."""
    family = api.family

    def load_library(name: str, flags: int = 0) -> int:
        """LoadLibraryExW"""
        return api._libraries.CDLL(name, winmode=flags)._handle  # type: ignore[no-any-return]

    def free_library(handle: int) -> None:
        """FreeLibrary"""
        family.session().modules.free(handle)

    def call_function(address: int, arguments: tuple[Any, ...]) -> int:
        """Call a stdcall function at an address; returns its int."""
        return _without_prototype(api.WINFUNCTYPE, address)(*arguments)  # type: ignore[no-any-return]

    def call_cdeclfunction(address: int, arguments: tuple[Any, ...]) -> int:
        """Call a cdecl function at an address; returns its int."""
        return _without_prototype(api.CFUNCTYPE, address)(*arguments)  # type: ignore[no-any-return]

    def _without_prototype(maker: Any, address: int) -> Any:
        function = maker(family.simple["c_long"])(address)
        function.argtypes = None
        return function

    def copy_com_pointer(source: Any, target: Any) -> int:
        """Store a COM pointer where ``byref`` points, with a reference added (IUnknown::AddRef)."""
        address = 0 if source is None else get_word(source)
        if address:
            add_reference = api.WINFUNCTYPE(family.simple["c_ulong"])(1, "AddRef")
            add_reference(source)
        set_word(target._obj, address, target.offset)
        return 0

    functions = load_library, free_library, call_function, call_cdeclfunction, copy_com_pointer
    names = "LoadLibrary", "FreeLibrary", "call_function", "call_cdeclfunction", "CopyComPointer"
    found: dict[str, Any] = dict(zip(names, functions, strict=True))
    found["_check_HRESULT"] = api._libraries.HRESULT._check_retval_
    return found
