"""What a function returns: from the record of a call to a Python value, by ``restype``."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from winbridge.core.wire import Record
from winbridge.core.wire import Result as Kind
from winbridge.ctypes.conversion import BY_WORD
from winbridge.ctypes.data import new, write

INTEGER, REAL = 2, 3
"""Where a record holds them."""

_KINDS = {
    "b": Kind.INT8, "B": Kind.UINT8, "h": Kind.INT16, "H": Kind.UINT16, "i": Kind.INT32, "I": Kind.UINT32,
    "l": Kind.INT32, "L": Kind.UINT32, "q": Kind.INT64, "Q": Kind.INT64, "f": Kind.FLOAT, "d": Kind.DOUBLE,
    "c": Kind.UINT8, "u": Kind.UINT16, "?": Kind.UINT8, "v": Kind.INT16,
}  # fmt: skip
_PLAIN = "bBhHiIlLqfd"
_BITS = (1 << 64) - 1


class Result(NamedTuple):
    """How a result is taken.

    Attributes:
        kind: what the agent is asked for.
        decode: makes the value of a record, given the object for a result in memory.
        field: where the record has the value, when that needs no decoding; else 0.
        memory: the type of a result that the caller provides memory for; None for the others.
    """

    kind: Kind
    decode: Callable[[Record, Any], Any]
    field: int = 0
    memory: Any = None


def result(restype: Any, family: Any) -> Result:
    """How a function of this ``restype`` returns."""
    if restype is None:
        return Result(Kind.NONE, lambda record, _: None)
    shape = getattr(restype, "_typeinfo_", None)
    if shape is None:  # any callable
        return Result(Kind.INT32, lambda record, _: restype(record[INTEGER]))
    if shape.code is not None:
        return _simple(restype, shape, family)
    if restype._points_ or isinstance(restype, family.function_meta):
        return Result(Kind.POINTER, lambda record, _: _instance(restype, _integer(record), family.pointer_size))
    return _aggregate(restype, shape.size)


def _simple(restype: Any, shape: Any, family: Any) -> Result:
    code = shape.code
    field = REAL if code in "fd" else INTEGER
    if shape.load is None:  # an instance of a subclass is not unwrapped
        kind = _KINDS.get(code, Kind.POINTER)
        return Result(kind, lambda record, _: _instance(restype, _bits(record, code), shape.size))
    if code in _PLAIN:
        return Result(_KINDS[code], lambda record, _: record[field], field)
    if code in _KINDS:
        return Result(_KINDS[code], lambda record, _: _instance(restype, _integer(record), shape.size).value)
    return Result(Kind.POINTER, lambda record, _: family.addresses.value(code, _integer(record) & _BITS))


def _integer(record: Record) -> int:
    return record[INTEGER]  # type: ignore[return-value] # field 2 of the nine


def _bits(record: Record, code: str) -> int:
    if code == "f":
        return int.from_bytes(struct.pack("<f", record[REAL]), "little")
    if code == "d":
        return int.from_bytes(struct.pack("<d", record[REAL]), "little")
    return _integer(record)


def _instance(restype: Any, bits: int, size: int) -> Any:
    obj = new(restype)
    write(obj, 0, (bits & _BITS).to_bytes(8, "little")[:size])
    return obj


def _aggregate(restype: Any, size: int) -> Result:
    """Up to a register's width in it, else in memory that the caller provides (Microsoft Learn, return values)."""
    if size in BY_WORD:
        return Result(Kind.INT64, lambda record, _: _instance(restype, _integer(record), size))
    return Result(Kind.POINTER, lambda record, obj: obj, memory=restype)
