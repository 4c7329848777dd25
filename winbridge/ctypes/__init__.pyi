# ruff: noqa: F403 - all names of the standard module
# What type checkers see: the names of the standard ctypes, and those that it has on Windows only.
from ctypes import *
from ctypes import CDLL as CDLL
from ctypes import LibraryLoader, _FuncPointer
from ctypes import _SimpleCData as _SimpleCData
from typing import Any

from winbridge.core.errors import WindowsFault as WindowsFault
from winbridge.ctypes.errors import COMError as COMError
from winbridge.ctypes.install import install as install

class WinDLL(CDLL): ...
class OleDLL(CDLL): ...
class HRESULT(_SimpleCData[int]): ...

windll: LibraryLoader[WinDLL]
oledll: LibraryLoader[OleDLL]

def WINFUNCTYPE(
    restype: Any, *argtypes: Any, use_errno: bool = ..., use_last_error: bool = ...
) -> type[_FuncPointer]: ...
def GetLastError() -> int: ...
def get_last_error() -> int: ...
def set_last_error(value: int) -> int: ...
def FormatError(code: int | None = ...) -> str: ...
def WinError(code: int | None = ..., descr: str | None = ...) -> OSError: ...
def DllCanUnloadNow() -> int: ...
def DllGetClassObject(rclsid: Any, riid: Any, ppv: Any) -> int: ...

_family: Any
_api: Any
_names: dict[str, Any]
_FUNCFLAG_CDECL: int
_FUNCFLAG_STDCALL: int
_FUNCFLAG_HRESULT: int
_FUNCFLAG_PYTHONAPI: int
_FUNCFLAG_USE_ERRNO: int
_FUNCFLAG_USE_LASTERROR: int
_pointer_type_cache: dict[Any, Any]
__version__: str
