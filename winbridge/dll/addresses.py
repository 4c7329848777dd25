"""Arguments that are addresses: of texts, of ctypes objects, of memory on the Windows side."""

from __future__ import annotations

import ctypes
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.dll.blocks import Blocks, Place
from winbridge.dll.layout import FunctionPointer, SimpleData, layout
from winbridge.dll.pointer import RemotePointer
from winbridge.dll.scalars import CArgument, pointer_code, wrap

HAVE_ADDRESS = (ctypes.Array, ctypes._Pointer, CArgument, FunctionPointer)

_CDATA = ctypes.Array | ctypes.Structure | ctypes.Union | SimpleData | ctypes._Pointer

Address = int | Place


def text(argument: bytes | str | None, blocks: Blocks) -> Address:
    """Of zero-terminated bytes, of UTF-16, or NULL."""
    if argument is None:
        return 0
    data = argument + b"\0" if isinstance(argument, bytes) else (argument + "\0").encode("utf-16-le", "surrogatepass")
    return blocks.constant(argument, data)


def address(argument: Any, blocks: Blocks, arch: str) -> Address:
    """Of what an instance of ``HAVE_ADDRESS`` refers to."""
    if isinstance(argument, ctypes.Array):
        return blocks.mirror(argument, layout(type(argument), arch))
    if isinstance(argument, ctypes._Pointer):
        return _pointed(argument, blocks, arch)
    if isinstance(argument, FunctionPointer):
        raise PrototypeError("a Python callback cannot be passed to a DLL yet")
    return _referenced(argument, blocks, arch)


def _referenced(argument: Any, blocks: Blocks, arch: str) -> Address:
    """What ``byref(x, offset)`` made: it tells its object, the address only by its repr, "<cparam 'P' (0x7f..)>"."""
    target = argument._obj
    if target is None:
        raise TypeError(f"cannot pass {argument!r}: pass a ctypes object")
    if isinstance(target, FunctionPointer):
        raise PrototypeError("a Python callback cannot be passed to a DLL yet")
    start = int(repr(argument).rpartition("(")[2].rstrip(")>"), 16)
    if isinstance(target, SimpleData) and target._type_ in ("z", "Z") and start != ctypes.addressof(target):
        return text(target.value, blocks)  # c_void_p.from_param(c_char_p(...)) means the text
    return blocks.mirror(target, layout(type(target), arch), start - ctypes.addressof(target))


def _pointed(argument: Any, blocks: Blocks, arch: str) -> Address:
    if not argument:
        return 0
    start = ctypes.c_void_p.from_buffer(argument).value or 0  # cast() would leave a reference in it
    return _kept(start, argument, blocks, arch)


def void_pointer(argument: Any, blocks: Blocks, arch: str) -> Address:
    """A c_void_p made by ``cast`` of an object means that object; any other is a Windows address or a handle."""
    start = argument.value or 0
    return _kept(start, argument, blocks, arch) if argument._objects else wrap(pointer_code(arch), start)


def _kept(start: int, pointer: Any, blocks: Blocks, arch: str) -> Address:
    """A host address is worth something only with the object that it points into: ctypes keeps that alive."""
    kept = _keepalives(pointer._objects)
    covering = [target for target in kept if not isinstance(target, bytes) and _covers(target, start)]
    if covering:
        owner = max(covering, key=ctypes.sizeof)
        return blocks.mirror(owner, layout(type(owner), arch), start - ctypes.addressof(owner))
    for target in kept:
        if isinstance(target, bytes) and 0 <= start - _address_of_bytes(target) <= len(target):
            return blocks.constant(target, target + b"\0")._replace(offset=start - _address_of_bytes(target))
    raise PrototypeError(
        f"{type(pointer).__name__} points to memory of this process that no ctypes object owns: pass the object itself"
    )


def _keepalives(objects: Any) -> list[Any]:
    """All that ctypes keeps alive for an object. After ``cast`` such a dictionary can hold its own owner."""
    found: dict[int, Any] = {}
    waiting = [objects]
    while waiting:
        item = waiting.pop()
        if id(item) in found:
            continue
        found[id(item)] = item
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, _CDATA):
            waiting.append(item._objects)
    return [item for item in found.values() if isinstance(item, bytes | _CDATA)]


def _covers(target: Any, start: int) -> bool:
    first = ctypes.addressof(target)
    return first <= start < first + max(ctypes.sizeof(target), 1)


def _address_of_bytes(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def remote(argument: RemotePointer, kind: Any, blocks: Blocks) -> Address:
    """The address that a pointer from the Windows side holds.

    Raises:
        TypeError: ``kind`` is declared, and that is something else; the text is that of ctypes.
        PrototypeError: it points into the memory of another session.
    """
    if argument and argument.session is not blocks.session:
        raise PrototypeError(f"{argument!r} is of another session, {argument.session.name}: it means nothing here")
    if kind in (None, ctypes.c_void_p) or issubclass(argument.kind, kind) or _is_text(argument.kind, kind):
        return argument.address
    raise TypeError(f"expected {kind.__name__} instance instead of {argument.kind.__name__}")


def _is_text(pointer: Any, kind: Any) -> bool:
    return (pointer._type_, kind) in ((ctypes.c_char, ctypes.c_char_p), (ctypes.c_wchar, ctypes.c_wchar_p))
