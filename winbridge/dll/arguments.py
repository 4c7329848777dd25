"""Arguments: how a Python object is passed, by its declared type or by the type that it brings itself.

The rules, and the texts of the errors, are those of ctypes on Windows: an int without a
prototype is 32 bits wide, a str is UTF-16, a type's ``from_param`` judges what it is given.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.dll import addresses, buffers
from winbridge.dll.byvalue import by_value
from winbridge.dll.layout import SimpleData
from winbridge.dll.owners import CDATA
from winbridge.dll.pointer import RemotePointer
from winbridge.dll.reach import Reach
from winbridge.dll.scalars import (
    INTEGERS,
    REALS,
    encoded,
    fit_typed,
    fit_untyped,
    is_number,
    is_simple,
    pointer_code,
    required_format,
    wrap,
)

Value = int | float | bytes
Encoder = Callable[[Any, Reach], Value]


class Slot:
    """How one argument is passed.

    Attributes:
        code: the struct code of its word.
        encode: gives what is packed there; None when the argument itself can be packed.
        fit: what is packed when ``struct`` refuses the argument itself.
    """

    __slots__ = ("code", "encode", "fit")

    def __init__(self, code: str, encode: Encoder | None = None, fit: Callable[[Any], Value] = fit_untyped) -> None:
        self.code = code
        self.encode = encode
        self.fit = fit


def slot(argument: Any, kind: Any, position: int, arch: str) -> Slot:
    """How arguments like this one are passed.

    Args:
        argument: a first example; later ones have the same Python type.
        kind: the item of ``argtypes``, None where the prototype does not tell.
        position: which argument it is, from 1, for messages.
        arch: the architecture of the callee.

    Raises:
        ctypes.ArgumentError, TypeError: it cannot be passed.
    """
    if isinstance(argument, RemotePointer):
        return Slot(pointer_code(arch), lambda value, reach: addresses.remote(value, kind, reach))
    if kind is None:
        return _untyped(argument, position, arch)
    if buffers.is_buffer(argument) and not isinstance(argument, CDATA) and buffers.fits(argument, kind):
        return Slot(pointer_code(arch), buffers.buffer)
    if not is_simple(kind):
        return _judged(argument, kind, position, arch)
    return _pointer_like(argument, kind, position, arch) if kind._type_ in "zZP" else _number(argument, kind, arch)


def _untyped(argument: Any, position: int, arch: str) -> Slot:
    if isinstance(argument, int):
        return Slot("i")
    if argument is None or isinstance(argument, bytes | str):
        return Slot(pointer_code(arch), addresses.text)
    if is_number(argument):
        raise PrototypeError(f"{argument!r} is a number in ctypes' own wrapping: pass the number itself")
    if isinstance(argument, addresses.HAVE_ADDRESS):
        return Slot(pointer_code(arch), addresses.address)
    if isinstance(argument, ctypes.Structure | ctypes.Union):
        return Slot(*by_value(type(argument), arch))
    if isinstance(argument, SimpleData):
        return _simple_instance(argument, arch)
    if buffers.is_buffer(argument):
        return Slot(pointer_code(arch), buffers.buffer)
    raise TypeError(f"Don't know how to convert parameter {position}")


def _simple_instance(argument: Any, arch: str) -> Slot:
    """An instance of a simple type brings its own width."""
    kind = argument._type_
    if kind in ("z", "Z"):
        return Slot(pointer_code(arch), addresses.pointed)
    if kind == "P":
        return Slot(pointer_code(arch), addresses.void_pointer)
    if kind == "O":
        raise PrototypeError("py_object means nothing to a DLL: it is an object of this interpreter")
    code = required_format(type(argument), arch)
    return Slot(code, lambda value, _: encoded(type(value), code, value.value))


def _number(argument: Any, kind: Any, arch: str) -> Slot:
    code = required_format(kind, arch)
    numeric = code in INTEGERS | REALS and kind._type_ not in "uv"
    if numeric and isinstance(argument, int if code in INTEGERS else int | float):
        return Slot(code, None, _fit_number(kind, code))
    kind.from_param(argument)  # raises for what ctypes refuses
    return Slot(code, lambda value, _: encoded(kind, code, _checked(kind, value)))


def _fit_number(kind: Any, code: str) -> Callable[[Any], Value]:
    """``fit_typed``, with a short way for an int that fits."""
    fit = fit_typed(kind, code)
    if code in REALS:
        return fit
    bits = 8 * struct.calcsize("<" + code)
    signed = code.islower()
    low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return lambda value: value if type(value) is int and low <= value <= high else fit(value)


def _checked(kind: Any, argument: Any) -> Any:
    """The number that ctypes takes an argument for."""
    if isinstance(argument, kind):
        return argument.value
    kind.from_param(argument)  # raises for what ctypes refuses
    return kind(argument).value


def _pointer_like(argument: Any, kind: Any, position: int, arch: str) -> Slot:
    accepted: Any = {"z": bytes, "Z": str, "P": bytes | str}[kind._type_]
    if argument is None or isinstance(argument, accepted):
        return Slot(pointer_code(arch), addresses.text)
    if kind._type_ == "P" and isinstance(argument, int):
        return Slot(pointer_code(arch), None, lambda value: wrap(pointer_code(arch), value))
    return _judged(argument, kind, position, arch)


def _judged(argument: Any, kind: Any, position: int, arch: str) -> Slot:
    """The type's own ``from_param`` decides. What it makes of one Python type is passed in one way."""
    if type(argument) is kind and _takes_itself(kind):
        return Slot(pointer_code(arch), addresses.pointed)
    inner = _untyped(kind.from_param(argument), position, arch)
    encode = inner.encode
    if encode is None:
        return Slot(inner.code, lambda value, _: inner.fit(kind.from_param(value)))
    return Slot(inner.code, lambda value, reach: encode(kind.from_param(value), reach))


def _takes_itself(kind: Any) -> bool:
    """Whether a declared type is a pointer with the ``from_param`` of ctypes, which takes instances as they are."""
    return issubclass(kind, ctypes._Pointer) and not any("from_param" in vars(base) for base in kind.__mro__)
