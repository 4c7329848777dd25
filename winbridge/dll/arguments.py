"""Arguments: from a Python object to a number in an argument word, or to a block whose address goes there.

The rules, and the texts of the errors, are those of ctypes on Windows: an int without a
prototype is 32 bits wide, a str is UTF-16, ``from_param`` and ``_as_parameter_`` have their say.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.dll.blocks import Blocks, Place
from winbridge.dll.layout import layout, simple_format
from winbridge.dll.prototype import is_pointer

Value = int | float | bytes | Place
Encoder = Callable[[Any, Blocks], Value]

SimpleData: Any = ctypes._SimpleCData  # type: ignore[attr-defined]
CArgument: Any = type(ctypes.byref(ctypes.c_int()))
FunctionPointer: Any = ctypes._CFuncPtr  # type: ignore[attr-defined]

_SIGNED = {"b": 8, "h": 16, "i": 32, "q": 64}
_UNSIGNED = {"B": 8, "H": 16, "I": 32, "Q": 64}


class Slot:
    """How one argument is encoded.

    Attributes:
        code: the struct code of its word.
        encode: gives what is packed there; None when the argument itself can be packed.
    """

    __slots__ = ("code", "encode")

    def __init__(self, code: str, encode: Encoder | None = None) -> None:
        self.code = code
        self.encode = encode


def pointer_code(arch: str) -> str:
    return "Q" if arch == "win64" else "I"


def wrap(code: str, value: int) -> int:
    """A number as an integer of that width holds it: ctypes does not check for overflow."""
    if code in _UNSIGNED:
        return value & ((1 << _UNSIGNED[code]) - 1)
    half = 1 << (_SIGNED[code] - 1)
    return ((value + half) & (2 * half - 1)) - half


def slot(argument: Any, kind: Any, position: int, arch: str) -> Slot:
    """How arguments like this one are passed.

    Args:
        argument: a first example; later ones have the same Python type.
        kind: the item of ``argtypes``, None where the prototype does not tell.
        position: which argument it is, from 1, for messages.
        arch: the architecture of the callee.

    Raises:
        ctypes.ArgumentError: it cannot be passed.
    """
    if kind is not None:
        return _Typed(kind, arch).slot(argument)
    return untyped(argument, position, arch)


def untyped(argument: Any, position: int, arch: str) -> Slot:
    """The slot of an argument that has no declared type, by the type that it brings itself."""
    if isinstance(argument, int):
        return Slot("i")
    if argument is None or isinstance(argument, bytes | str):
        return Slot(pointer_code(arch), text_encoder)
    if isinstance(argument, ctypes.Array | ctypes._Pointer | CArgument | FunctionPointer):
        return Slot(pointer_code(arch), _address_encoder(arch))
    if isinstance(argument, ctypes.Structure | ctypes.Union):
        raise PrototypeError(
            f"argument {position}: {type(argument).__name__} by value is not possible yet: pass byref() of it"
        )
    if isinstance(argument, SimpleData):
        return _simple_instance(argument, arch)
    inner = getattr(argument, "_as_parameter_", None)
    if inner is None:
        raise TypeError(f"Don't know how to convert parameter {position}")
    return _through(untyped(inner, position, arch), lambda value: value._as_parameter_)


def _through(inner: Slot, fetch: Callable[[Any], Any]) -> Slot:
    """Encode what ``fetch`` makes of the argument."""
    if inner.encode is None:
        code = inner.code
        return Slot(code, lambda value, _: number(code, fetch(value)))
    encode = inner.encode
    return Slot(inner.code, lambda value, blocks: encode(fetch(value), blocks))


def number(code: str, value: Any) -> int | float | bytes:
    """What is packed for a plain number, wrapped to its width."""
    return wrap(code, value) if code in _SIGNED or code in _UNSIGNED else value


def text_encoder(argument: bytes | str | None, blocks: Blocks) -> Value:
    if argument is None:
        return 0
    data = argument + b"\0" if isinstance(argument, bytes) else (argument + "\0").encode("utf-16-le", "surrogatepass")
    return blocks.constant(argument, data)


def _address_encoder(arch: str) -> Encoder:
    def encode(argument: Any, blocks: Blocks) -> Value:
        if isinstance(argument, ctypes.Array):
            return blocks.mirror(argument, layout(type(argument), arch))
        if isinstance(argument, ctypes._Pointer):
            return _pointer_value(argument, blocks, arch)
        if isinstance(argument, FunctionPointer):
            raise PrototypeError("a Python callback cannot be passed to a DLL yet")
        return _byref_value(argument, blocks, arch)

    return encode


def _byref_value(argument: Any, blocks: Blocks, arch: str) -> Value:
    """``byref(x, offset)`` tells its object; its address is only in its repr: "<cparam 'P' (0x7f..)>"."""
    target = argument._obj
    if isinstance(target, bytes | str):
        return text_encoder(target, blocks)
    address = int(repr(argument).rpartition("(")[2].rstrip(")>"), 16)
    offset = address - ctypes.addressof(target)
    if isinstance(target, FunctionPointer):
        raise PrototypeError("a Python callback cannot be passed to a DLL yet")
    return blocks.mirror(target, layout(type(target), arch), offset)


def _pointer_value(argument: Any, blocks: Blocks, arch: str) -> Value:
    if not argument:
        return 0
    address = ctypes.cast(argument, ctypes.c_void_p).value or 0
    return _kept(address, argument, type(argument).__name__, blocks, arch)


def _kept(address: int, pointer: Any, name: str, blocks: Blocks, arch: str) -> Value:
    """A host address is worth something only with the object that it points into: ctypes keeps that alive."""
    found = [target for target in _keepalives(pointer._objects) if _covers(target, address)]
    if not found:
        raise PrototypeError(f"{name} points to memory of this process that no ctypes object owns: pass the object itself")
    owner = max(found, key=ctypes.sizeof)
    return blocks.mirror(owner, layout(type(owner), arch), address - ctypes.addressof(owner))


def _keepalives(objects: Any) -> list[Any]:
    if isinstance(objects, dict):
        return [found for value in objects.values() for found in _keepalives(value)]
    if isinstance(objects, ctypes.Array | ctypes.Structure | ctypes.Union | SimpleData | ctypes._Pointer):
        return [objects, *_keepalives(objects._objects)]
    return []


def _covers(target: Any, address: int) -> bool:
    start = ctypes.addressof(target)
    return start <= address < start + max(ctypes.sizeof(target), 1)


def _simple_instance(argument: Any, arch: str) -> Slot:
    """An instance of a simple type brings its own width."""
    kind = type(argument)._type_
    if kind in ("z", "Z"):
        return Slot(pointer_code(arch), lambda value, blocks: text_encoder(value.value, blocks))
    if kind == "P":
        return Slot(pointer_code(arch), _void_pointer_encoder(arch))
    if kind == "O":
        raise PrototypeError("py_object means nothing to a DLL: it is an object of this interpreter")
    code = _required_format(type(argument), arch)
    return Slot(code, lambda value, _: encoded_number(type(value), code, value.value))


def _void_pointer_encoder(arch: str) -> Encoder:
    """A c_void_p made by ``cast`` of an object means that object; any other is a Windows address or a handle."""

    def encode(argument: Any, blocks: Blocks) -> Value:
        address = argument.value or 0
        if argument._objects:
            return _kept(address, argument, "c_void_p", blocks, arch)
        return wrap(pointer_code(arch), address)

    return encode


def _required_format(kind: Any, arch: str) -> str:
    code = simple_format(kind, arch)
    if code is None:
        raise PrototypeError(f"{kind.__name__} cannot be passed to a DLL")
    return code


def encoded_number(kind: Any, code: str, value: Any) -> Value:
    """The value of a simple object, for packing with ``code``.

    Raises:
        OverflowError: a standard c_long holds more than the 4 bytes that it has on Windows.
    """
    if isinstance(value, str):  # wchar
        return int.from_bytes(value.encode("utf-16-le", "surrogatepass")[:2], "little")
    if isinstance(value, bytes):  # char
        return value if code == "c" else value[0]
    if kind._type_ in "lL" and not -(1 << 31) <= value < 1 << 32:
        raise OverflowError(
            f"{value} does not fit {kind.__name__}: long has 4 bytes on Windows."
            " For 64 bits use winbridge.ctypes.c_longlong or c_ulonglong (Linux has one class for both)"
        )
    return number(code, value)


class _Typed:
    """Arguments of a declared type. Numbers go directly; the type's own ``from_param`` judges the rest."""

    def __init__(self, kind: Any, arch: str) -> None:
        self.kind = kind
        self.arch = arch
        self.code = kind._type_ if isinstance(kind, type) and issubclass(kind, SimpleData) else None

    def slot(self, argument: Any) -> Slot:
        if self.code is None:
            return self._by_from_param(argument)
        if self.code in "zZP":
            return self._pointer_like(argument)
        if "from_param" in self.kind.__dict__:
            return self._by_from_param(argument)
        return self._number(argument)

    def _number(self, argument: Any) -> Slot:
        kind, code = self.kind, _required_format(self.kind, self.arch)
        if isinstance(argument, int) and code in "bBhHiIqQ" or isinstance(argument, int | float) and code in "fd":
            return Slot(code)
        if isinstance(argument, SimpleData) and isinstance(argument, kind):
            return Slot(code, lambda value, _: encoded_number(kind, code, value.value))
        kind.from_param(argument)  # raises for what ctypes refuses
        if hasattr(argument, "_as_parameter_"):
            return _through(self.slot(argument._as_parameter_), lambda value: value._as_parameter_)
        return Slot(code, lambda value, _: encoded_number(kind, code, kind(value).value))

    def _pointer_like(self, argument: Any) -> Slot:
        pointer = pointer_code(self.arch)
        accepted = {"z": bytes, "Z": str, "P": bytes | str}[self.code]  # type: ignore[index]
        if argument is None or isinstance(argument, accepted):  # type: ignore[arg-type]
            return Slot(pointer, text_encoder)
        if self.code == "P" and isinstance(argument, int):
            return Slot(pointer, lambda value, _: wrap(pointer, value))
        if hasattr(argument, "_as_parameter_"):
            return _through(self.slot(argument._as_parameter_), lambda value: value._as_parameter_)
        return self._by_from_param(argument)

    def _by_from_param(self, argument: Any) -> Slot:
        from_param = self.kind.from_param
        if is_pointer(self.kind) and hasattr(argument, "_as_parameter_") and not isinstance(argument, ctypes._Pointer):
            return _through(self.slot(argument._as_parameter_), lambda value: value._as_parameter_)
        converted = from_param(argument)
        inner = untyped(converted, 1, self.arch)
        if self._varies():
            return Slot(inner.code, lambda value, blocks: self._again(from_param(value), inner.code, blocks))
        return _through(inner, from_param)

    def _varies(self) -> bool:
        """A user's ``from_param`` may give another type each time."""
        return not (isinstance(self.kind, type) and self.kind.from_param.__class__.__name__ == "builtin_function_or_method")

    def _again(self, converted: Any, code: str, blocks: Blocks) -> Value:
        inner = untyped(converted, 1, self.arch)
        if inner.code not in (code, "i", "I", "q", "Q"):
            raise TypeError(f"from_param of {self.kind!r} changed the width of what it returns")
        return inner.encode(converted, blocks) if inner.encode else wrap(code, converted)
