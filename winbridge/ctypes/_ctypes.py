"""``_ctypes``: the names that existing packages import from ctypes' own extension module."""

import _ctypes as _standard

import winbridge.ctypes as _public
from winbridge.ctypes.api import raw_functions as _raw_functions
from winbridge.ctypes.errors import COMError

_family = _public._family

CFuncPtr = _family.CFuncPtr
_SimpleCData = _family._SimpleCData
_Pointer = _family._Pointer
Array, Structure, Union = _family.Array, _family.Structure, _family.Union
ArgumentError = _public.ArgumentError
POINTER, pointer, resize = _public.POINTER, _public.pointer, _public.resize
addressof, alignment, byref, sizeof = _public.addressof, _public.alignment, _public.byref, _public.sizeof
get_errno, set_errno = _public.get_errno, _public.set_errno
get_last_error, set_last_error = _public.get_last_error, _public.set_last_error
FormatError = _public.FormatError
_pointer_type_cache = _public._pointer_type_cache
FUNCFLAG_CDECL, FUNCFLAG_STDCALL = _public._FUNCFLAG_CDECL, _public._FUNCFLAG_STDCALL
FUNCFLAG_HRESULT, FUNCFLAG_PYTHONAPI = _public._FUNCFLAG_HRESULT, _public._FUNCFLAG_PYTHONAPI
FUNCFLAG_USE_ERRNO, FUNCFLAG_USE_LASTERROR = _public._FUNCFLAG_USE_ERRNO, _public._FUNCFLAG_USE_LASTERROR
RTLD_GLOBAL = RTLD_LOCAL = 0
CTYPES_MAX_ARGCOUNT = 1024
__version__ = _public.__version__
Py_INCREF, Py_DECREF, PyObj_FromPtr = _standard.Py_INCREF, _standard.Py_DECREF, _standard.PyObj_FromPtr

globals().update(_raw_functions(_public._api))

__all__ = ["CFuncPtr", "COMError"]
