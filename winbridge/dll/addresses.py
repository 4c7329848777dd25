"""Arguments that are addresses: of texts, of ctypes objects, of buffers, of memory on the Windows side."""

from __future__ import annotations

import ctypes
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.dll.layout import FunctionPointer, SimpleData
from winbridge.dll.mirror import pointer_value
from winbridge.dll.mirrors import CALLBACK
from winbridge.dll.pointer import RemotePointer
from winbridge.dll.reach import Reach
from winbridge.dll.scalars import CArgument, pointer_code, wrap

HAVE_ADDRESS = (ctypes.Array, ctypes._Pointer, CArgument, FunctionPointer)


def text(argument: bytes | str | None, reach: Reach) -> int:
    """Of zero-terminated bytes, of UTF-16, or NULL."""
    return 0 if argument is None else reach.constant(argument)


def address(argument: Any, reach: Reach) -> int:
    """Of what an instance of ``HAVE_ADDRESS`` refers to."""
    if isinstance(argument, ctypes.Array):
        return reach.memory(argument)
    if isinstance(argument, ctypes._Pointer):
        return pointed(argument, reach)
    if isinstance(argument, FunctionPointer):
        return _function(argument)
    return _referenced(argument, reach)


def _function(argument: Any) -> int:
    """A function pointer that a DLL gave is an address there; all others keep something of this process alive."""
    if argument._objects is not None:
        raise PrototypeError(CALLBACK)
    return pointer_value(argument)


def _referenced(argument: Any, reach: Reach) -> int:
    """What ``byref(x, offset)`` made: it tells its object, the address only by its repr, "<cparam 'P' (0x7f..)>"."""
    target = argument._obj
    if target is None:
        raise TypeError(f"cannot pass {argument!r}: pass a ctypes object")
    if isinstance(target, FunctionPointer):
        return _function(target)
    start = int(repr(argument).rpartition("(")[2].rstrip(")>"), 16)
    if isinstance(target, SimpleData) and target._type_ in ("z", "Z") and start != ctypes.addressof(target):
        return reach.pointer(start, target)  # c_void_p.from_param(c_char_p(...)) means the text
    return reach.memory(target, start)


def pointed(argument: Any, reach: Reach) -> int:
    """Of what a pointer, a c_char_p or a c_wchar_p points to."""
    return reach.pointer(pointer_value(argument), argument)


def void_pointer(argument: Any, reach: Reach) -> int:
    """A c_void_p made by ``cast`` of an object means that object; any other is a Windows address or a handle."""
    value = argument.value or 0
    if argument._objects or hasattr(argument, "_arr") or reach.mirrors.at_host(value) is not None:
        value = reach.pointer(value, argument)
    return wrap(pointer_code(reach.mirrors.arch), value)


def remote(argument: RemotePointer, kind: Any, reach: Reach) -> int:
    """The address that a pointer from the Windows side holds.

    Raises:
        TypeError: ``kind`` is declared, and that is something else; the text is that of ctypes.
        PrototypeError: it points into the memory of another session.
    """
    if argument and argument.session is not reach.living.session:
        raise PrototypeError(f"{argument!r} is of another session, {argument.session.name}: it means nothing here")
    if kind in (None, ctypes.c_void_p) or issubclass(argument.kind, kind) or _is_text(argument.kind, kind):
        return argument.address
    raise TypeError(f"expected {kind.__name__} instance instead of {argument.kind.__name__}")


def _is_text(pointer: Any, kind: Any) -> bool:
    return (pointer._type_, kind) in ((ctypes.c_char, ctypes.c_char_p), (ctypes.c_wchar, ctypes.c_wchar_p))
