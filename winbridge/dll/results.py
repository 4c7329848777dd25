"""Results: what a function's 64-bit (or floating) result means, by its ``restype``."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from winbridge.core.errors import PrototypeError
from winbridge.core.session import SessionEngine
from winbridge.core.wire import Record
from winbridge.core.wire import Result as Kind
from winbridge.dll.byvalue import fits_register, from_register, in_memory
from winbridge.dll.layout import Aggregate, SimpleData, layout, simple_format
from winbridge.dll.pointer import RemotePointer
from winbridge.dll.prototype import is_pointer
from winbridge.dll.reach import Reach

INTEGER: Literal[2] = 2
REAL: Literal[3] = 3
"""Where a record holds them."""

_KINDS = {
    "b": Kind.INT8, "B": Kind.UINT8, "h": Kind.INT16, "H": Kind.UINT16, "i": Kind.INT32, "I": Kind.UINT32,
    "q": Kind.INT64, "Q": Kind.INT64, "?": Kind.UINT8, "c": Kind.UINT8, "f": Kind.FLOAT, "d": Kind.DOUBLE,
}  # fmt: skip


class Result(NamedTuple):
    """How a result is taken: what the agent is asked for, and what becomes of the record.

    ``hidden`` makes an object for the function to write its result to, and puts its address before the arguments.
    ``plain`` says that the record's field is the value already (then ``decode`` is not needed).
    """

    kind: Kind
    field: int
    plain: bool
    decode: Callable[[Record, SessionEngine], Any]
    hidden: Callable[[Reach, list[Any]], Any] | None = None


def _plain(kind: Kind, field: int = INTEGER) -> Result:
    return Result(kind, field, True, lambda record, _: record[field])


def _decoded(kind: Kind, decode: Callable[[int], Any]) -> Result:
    return Result(kind, INTEGER, False, lambda record, _: decode(record[INTEGER]))


def result(restype: Any, arch: str) -> Result:
    """How a function of this ``restype`` returns.

    Raises:
        PrototypeError: such a type cannot be returned.
    """
    if restype is None:
        return _decoded(Kind.NONE, lambda _: None)
    if isinstance(restype, type) and issubclass(restype, SimpleData):
        return _instance(restype, arch) if restype.__base__ is not SimpleData else _simple(restype, arch)
    if is_pointer(restype):
        return Result(
            Kind.POINTER,
            INTEGER,
            False,
            lambda record, session: RemotePointer(restype, record[INTEGER] & ((1 << 64) - 1), session),
        )
    if isinstance(restype, type) and issubclass(restype, Aggregate):
        in_register = fits_register(layout(restype, arch).size)
        return Result(
            Kind.INT64, INTEGER, False, lambda record, session: from_register(restype, record[INTEGER], session),
            None if in_register else lambda reach, values: in_memory(restype, reach, values),
        )  # fmt: skip
    if isinstance(restype, type) and issubclass(restype, ctypes.Array):
        raise PrototypeError(f"{restype.__name__}: C functions return no arrays; declare a pointer or a structure")
    return _decoded(Kind.INT32, restype)


def _simple(kind: Any, arch: str) -> Result:
    code = kind._type_
    if code in "zZP":
        return _address(code)
    if code == "u":
        return _decoded(Kind.UINT16, chr)
    if code == "v":
        return _decoded(Kind.INT16, bool)
    width = simple_format(kind, arch)
    if width not in _KINDS:
        raise PrototypeError(f"{kind.__name__} cannot be returned by a DLL")
    if width == "?":
        return _decoded(Kind.UINT8, bool)
    if width == "c":
        return _decoded(Kind.UINT8, lambda value: bytes([value]))
    if width == "Q":
        return _decoded(Kind.INT64, lambda value: value & ((1 << 64) - 1))
    return _plain(_KINDS[width], REAL if width in "fd" else INTEGER)


def _address(code: str) -> Result:
    def decode(record: Record, session: SessionEngine) -> Any:
        address = record[INTEGER] & ((1 << 64) - 1)
        if not address:
            return None
        if code == "P":
            return address
        return session.memory.string_at(address) if code == "z" else session.memory.wstring_at(address)

    return Result(Kind.POINTER, INTEGER, False, decode)


def _instance(kind: Any, arch: str) -> Result:
    """A subclass of a simple type comes back as an instance, as in ctypes."""
    base = next(base for base in kind.__mro__ if base.__base__ is SimpleData)
    inner = _simple(base, arch)
    return Result(inner.kind, inner.field, False, lambda record, session: kind(inner.decode(record, session)))
