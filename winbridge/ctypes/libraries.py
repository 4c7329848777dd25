"""Libraries as ctypes has them: CDLL, WinDLL, OleDLL, and what loads them."""

from __future__ import annotations

import sys
from typing import Any

from winbridge.ctypes.functions import (
    FUNCFLAG_CDECL,
    FUNCFLAG_STDCALL,
    FUNCFLAG_USE_ERRNO,
    FUNCFLAG_USE_LASTERROR,
)

DEFAULT_MODE = 0
LOAD_LIBRARY_SEARCH_DEFAULT_DIRS = 0x1000
LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR = 0x100
LOAD_WITH_ALTERED_SEARCH_PATH = 8


class Libraries:
    """The classes for libraries of a family.

    Args:
        family: whose types and session they use.
        load: finds and loads a library: (name, winmode) -> Dll.
    """

    def __init__(self, family: Any, load: Any) -> None:
        hresult = _hresult(family)
        self.HRESULT = hresult
        self.CDLL = _cdll(family, load)
        c_long = family.simple["c_long"]
        space = {"__module__": "ctypes"}
        self.WinDLL = type("WinDLL", (self.CDLL,), {**space, "__doc__": WINDLL, "_func_flags_": FUNCFLAG_STDCALL})
        oledll = {"_func_flags_": FUNCFLAG_STDCALL, "_func_restype_": hresult, "__doc__": OLEDLL}
        self.OleDLL = type("OleDLL", (self.CDLL,), {**space, **oledll})
        self.PyDLL = type("PyDLL", (self.CDLL,), {**space, "__doc__": PYDLL, "__init__": _no_pydll})
        self.LibraryLoader = LibraryLoader
        assert self.CDLL._func_restype_ is c_long


WINDLL = "A library whose functions use the stdcall calling convention (on 32 bit) and return int."
OLEDLL = "A library whose functions return HRESULT: a failure raises OSError."
PYDLL = "Not to be had: a DLL's functions run in another process, where this interpreter's GIL means nothing."


def _no_pydll(self: Any, *arguments: Any, **named: Any) -> None:
    raise OSError(
        "PyDLL calls functions that use Python's C API in this very interpreter; a Windows DLL runs in another"
        " process. Use CDLL"
    )


def _hresult(family: Any) -> Any:
    def check(value: int) -> int:
        if value & 0x80000000:
            raise family.errors.from_hresult(value)
        return value

    class HRESULT(family._SimpleCData):  # type: ignore[misc]
        _type_ = "l"
        _check_retval_ = staticmethod(check)

    HRESULT.__module__ = "ctypes"
    HRESULT.__qualname__ = "HRESULT"
    return HRESULT


def _cdll(family: Any, load: Any) -> Any:
    class CDLL:
        """A library whose functions use the cdecl calling convention and return int.

        ``library.name`` and ``library["name"]`` are its functions, ``library[7]`` is the one with ordinal 7.
        A function got as an attribute is the same each time, one got as an item is new.

        Args:
            name: of a system DLL, a Windows path, or a Unix path; None for the Windows process itself.
            mode: ignored, as on Windows.
            handle: of a module that is loaded already.
            use_errno, use_last_error: keep private copies of errno and of the last error.
            winmode: flags of LoadLibraryEx.

        Raises:
            FileNotFoundError: it cannot be loaded; the text says why.
        """

        _func_flags_ = FUNCFLAG_CDECL
        _func_restype_ = family.simple["c_long"]
        _name = "<uninitialized>"
        _given: int | None = None
        _FuncPtr: Any = None

        def __init__(
            self,
            name: Any,
            mode: int = DEFAULT_MODE,
            handle: int | None = None,
            use_errno: bool = False,
            use_last_error: bool = False,
            winmode: int | None = None,
        ) -> None:
            self._name = name
            flags = self._func_flags_
            flags |= FUNCFLAG_USE_ERRNO if use_errno else 0
            flags |= FUNCFLAG_USE_LASTERROR if use_last_error else 0
            space = {"_flags_": flags, "_restype_": self._func_restype_, "__module__": "ctypes"}
            self._FuncPtr = type(family.CFuncPtr)("_FuncPtr", (family.CFuncPtr,), space)
            self._given = handle
            self._dll = None if handle is not None else load(name, winmode)

        @property
        def _handle(self) -> int:
            """The module's handle in the session of this thread."""
            if self._dll is None:
                return int(self._given or 0)
            handle: int = self._dll.handle(family.session())
            return handle

        def __repr__(self) -> str:
            return f"<{type(self).__name__} '{self._name}', handle {self._handle:x} at {id(self):#x}>"

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") and name.endswith("__"):
                raise AttributeError(name)
            function = self[name]
            setattr(self, name, function)
            return function

        def __getitem__(self, name_or_ordinal: Any) -> Any:
            function = self._FuncPtr((name_or_ordinal, self))
            if not isinstance(name_or_ordinal, int):
                function.__name__ = name_or_ordinal
            return function

        def __dir__(self) -> list[str]:
            return sorted({*super().__dir__(), *(self._dll.exports() if self._dll is not None else ())})

    CDLL.__module__, CDLL.__qualname__ = "ctypes", "CDLL"
    return CDLL


class LibraryLoader:
    """Loads libraries as attributes (``windll.kernel32``), items, or by ``LoadLibrary``."""

    def __init__(self, dlltype: Any) -> None:
        self._dlltype = dlltype

    def __getattr__(self, name: str) -> Any:
        if name[0] == "_":
            raise AttributeError(name)
        try:
            dll = self._dlltype(name)
        except OSError:
            if sys.version_info < (3, 12):
                raise
            raise AttributeError(name) from None
        setattr(self, name, dll)
        return dll

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def LoadLibrary(self, name: Any) -> Any:
        """Load a library, a new object each time."""
        return self._dlltype(name)


LibraryLoader.__module__ = "ctypes"
