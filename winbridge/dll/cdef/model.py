"""C types as the declarations give them, before they become classes; their sizes under the Windows data model.

Source of the sizes: LLP64 and ILP32, and the storage of structures and bit fields by Microsoft's C compiler
(Microsoft Learn: "x64 ABI conventions", "C Bit Fields", "/Zp").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias


class Refused(Exception):  # noqa: N818 - becomes a PrototypeError once the line's text is at hand
    """What is wrong with the declarations, and the line if it is known here."""

    def __init__(self, cause: str, line: int | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.line = line


@dataclass(frozen=True)
class Void:
    """No value."""


@dataclass(frozen=True)
class Number:
    """A simple type.

    Attributes:
        attribute: its name in ctypes.
        size: in bytes.
        signed: None for floating point.
        windows: its name in windows.h, or None: then the class of that name is taken where there is one.
    """

    attribute: str
    size: int
    signed: bool | None
    windows: str | None = None


@dataclass(frozen=True)
class Pointer:
    """A pointer; ``const`` says that what it points to is."""

    target: Type
    const: bool = False


@dataclass(frozen=True)
class Array:
    """An array; the length is None where the declaration leaves it open."""

    item: Type
    length: int | None


@dataclass(frozen=True)
class Function:
    """A function; ``parameters`` is None where the declaration does not tell them."""

    result: Type
    parameters: tuple[Parameter, ...] | None
    convention: str
    variadic: bool


class Parameter(NamedTuple):
    """A parameter of a function."""

    name: str | None
    type: Type


class Field(NamedTuple):
    """A member of a structure or union; without a name it is an anonymous one or fills up bits."""

    name: str | None
    type: Type
    bits: int | None


@dataclass(eq=False)
class Record:
    """A structure or union; ``fields`` is None as long as it is only announced."""

    union: bool
    name: str
    windows: bool = False
    fields: tuple[Field, ...] | None = None
    pack: int | None = None
    align: int = 1

    @property
    def kind(self) -> str:
        return "union" if self.union else "struct"


@dataclass(eq=False)
class Enum:
    """An enumeration, which is an int to Windows compilers."""

    name: str
    members: dict[str, int] | None = None


Type: TypeAlias = Void | Number | Pointer | Array | Function | Record | Enum

CHAR = Number("c_char", 1, True)
INT = Number("c_int", 4, True)


class Extent(NamedTuple):
    """Size and alignment, in bytes."""

    size: int
    alignment: int


def extent(kind: Type, pointer_size: int) -> Extent:
    """How much memory a type takes.

    Raises:
        Refused: it has no size.
    """
    if isinstance(kind, Number):
        return Extent(kind.size, kind.size)
    if isinstance(kind, Pointer):
        return Extent(pointer_size, pointer_size)
    if isinstance(kind, Enum):
        return Extent(4, 4)
    if isinstance(kind, Array):
        item = extent(kind.item, pointer_size)
        return Extent(item.size * (kind.length or 0), item.alignment)
    if isinstance(kind, Record):
        return record_extent(kind, kind.pack, pointer_size)
    raise Refused("void and functions have no size" if isinstance(kind, Void | Function) else f"{kind} has no size")


def record_extent(record: Record, pack: int | None, pointer_size: int) -> Extent:
    """How much memory a structure or union takes with this packing."""
    if record.fields is None:
        raise Refused(f"{record.kind} {record.name!r} has no members yet: define it before, or use a pointer to it")
    size, alignment = _union(record, pack, pointer_size) if record.union else _struct(record, pack, pointer_size)
    alignment = max(alignment, record.align)
    return Extent(_rounded(size, alignment), alignment)


def _member(field: Field, pack: int | None, pointer_size: int) -> Extent:
    size, alignment = extent(field.type, pointer_size)
    return Extent(size, min(alignment, pack) if pack else alignment)


def _union(record: Record, pack: int | None, pointer_size: int) -> Extent:
    members = [_member(field, pack, pointer_size) for field in record.fields or ()]
    return Extent(max((m.size for m in members), default=0), max((m.alignment for m in members), default=1))


def _struct(record: Record, pack: int | None, pointer_size: int) -> Extent:
    end, widest, unit, left = 0, 1, 0, 0  # unit: the size of the bit fields' storage, left: its free bits
    for field in record.fields or ():
        size, alignment = _member(field, pack, pointer_size)
        if field.bits is not None and unit == size and 0 < field.bits <= left:
            left -= field.bits
            continue
        end = _rounded(end, alignment) + size
        widest = max(widest, alignment)
        unit, left = (size, 8 * size - field.bits) if field.bits is not None else (0, 0)
    return Extent(end, widest)


def _rounded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
