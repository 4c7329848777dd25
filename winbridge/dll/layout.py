"""How a ctypes type lies in memory on Windows, and how its bytes are converted from and to the host's.

Sizes and alignments follow the Microsoft compilers (LLP64 for win64, ILP32 for win32): long has 4
bytes, wchar_t 2, pointers 8 or 4. A type is flattened once into *moves*: runs of bytes that are
copied, and runs of numbers whose width differs. Sources: "x64 ABI: types and storage", "C++ bit
fields" and "pack pragma" (Microsoft Learn).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

from winbridge.core.errors import PrototypeError
from winbridge.core.wire import POINTER_SIZES
from winbridge.dll.moves import Bits, Copy, Move, Numbers, Pointers, Reals, Refusal, Run, Text, merged
from winbridge.dll.overlap import overlaid

SIZES = {
    "b": 1, "B": 1, "c": 1, "?": 1, "h": 2, "H": 2, "u": 2, "v": 2, "i": 4, "I": 4, "l": 4, "L": 4,
    "f": 4, "q": 8, "Q": 8, "d": 8, "g": 8,
}  # fmt: skip
POINTERS = "PzZXO"
_FORMATS = {"l": "i", "L": "I", "g": "d", "u": "H", "v": "h"}

SimpleData: Any = ctypes._SimpleCData
FunctionPointer: Any = ctypes.CFUNCTYPE(None).__base__
Aggregate = ctypes.Structure | ctypes.Union


class Field(NamedTuple):
    """A field of a structure or union; ``bits`` is 0 unless it is a bit field, which starts at ``shift``."""

    name: str
    offset: int
    size: int
    type: Any
    shift: int = 0
    bits: int = 0


class Layout:
    """A type on one architecture.

    Attributes:
        size, alignment: in bytes.
        fields: of a structure or union.
        runs: all that it consists of: moves and pointers.
        moves: the runs that are converted by themselves.
        pointers: the others.
        same: whether host and Windows have the same bytes.
    """

    def __init__(self, size: int, alignment: int, fields: tuple[Field, ...], runs: list[Run], host_size: int) -> None:
        self.size = size
        self.alignment = alignment
        self.fields = fields
        self.runs = merged(runs)
        self.moves: list[Any] = [run for run in self.runs if not isinstance(run, Pointers)]
        self.pointers = [run for run in self.runs if isinstance(run, Pointers)]
        self.host_size = host_size
        whole = all(isinstance(run, Copy) and run.host == run.windows for run in self.runs)
        self.same = whole and size == host_size

    def pack(self, host: bytes, image: bytearray) -> None:
        """Bring the bytes of a host object into its Windows image, all but the pointers.

        Args:
            host: ``host_size`` bytes.
            image: ``size`` bytes; padding keeps what it is.

        Raises:
            OverflowError: a number does not fit its width on Windows.
            PrototypeError: a union in it cannot be converted.
        """
        if self.same:
            image[:] = host
        for move in self.moves if not self.same else ():
            move.pack(host, image)

    def unpack(self, image: bytes, host: bytearray) -> None:
        """Bring a Windows image into the bytes of a host object, all but the pointers."""
        if self.same:
            host[:] = image
        for move in self.moves if not self.same else ():
            move.unpack(image, host)


def host_bytes(address: int, size: int) -> memoryview:
    """Memory of this process; valid as long as its owner."""
    return memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")


def simple_format(kind: Any, arch: str) -> str | None:
    """The ``struct`` code of a simple type as wide as on Windows, None for what has none (py_object)."""
    code: str = kind._type_
    if code in POINTERS or getattr(kind, "pointer_wide", False):
        pointer = "Q" if arch == "win64" else "I"
        return None if code == "O" else pointer.lower() if code == "q" else pointer
    return _FORMATS.get(code, code)


def layout(kind: Any, arch: str) -> Layout:
    """The layout of a ctypes type.

    Args:
        kind: a class of ctypes or of winbridge.ctypes.
        arch: ``win64`` or ``win32``.

    Raises:
        PrototypeError: it is no ctypes type, or has no fields yet.
    """
    if isinstance(kind, type) and issubclass(kind, Aggregate) and not hasattr(kind, "_fields_"):
        raise PrototypeError(f"{kind.__name__} has no fields yet: set its _fields_ first")
    return _layout(kind, arch)


@cache
def _layout(kind: Any, arch: str) -> Layout:
    if isinstance(kind, type):
        if issubclass(kind, SimpleData):
            return _simple(kind, arch)
        if issubclass(kind, ctypes._Pointer | FunctionPointer):
            return _pointer(kind, arch)
        if issubclass(kind, ctypes.Array):
            return _array(kind, arch)
        if issubclass(kind, Aggregate):
            return _aggregate(kind, arch)
    raise PrototypeError(f"{kind!r} is not a ctypes type: it has no layout in memory")


def _simple(kind: Any, arch: str) -> Layout:
    code, host = kind._type_, ctypes.sizeof(kind)
    if code in POINTERS:
        return _pointer(kind, arch)
    size = POINTER_SIZES[arch] if getattr(kind, "pointer_wide", False) else SIZES[code]
    return Layout(size, size, (), [_number(kind, size, host)], host)


def _number(kind: Any, size: int, host: int) -> Move:
    code = kind._type_
    if size == host:
        return Copy(0, 0, size)
    if code == "u":
        return Text(0, 0, 1)
    if code == "g":
        return Reals(0, 0)
    big = getattr(kind, "__ctype_be__", None) is kind
    return Numbers(0, 0, 1, host, size, code in "lq", ">" if big else "<")


def _pointer(kind: Any, arch: str) -> Layout:
    size = POINTER_SIZES[arch]
    return Layout(size, size, (), [Pointers(0, 0, 1, size, kind)], ctypes.sizeof(kind))


def _array(kind: Any, arch: str) -> Layout:
    item, length = layout(kind._type_, arch), kind._length_
    runs: list[Run] = []
    if length and getattr(kind._type_, "_type_", None) == "u":
        return Layout(item.size * length, item.alignment, (), [Text(0, 0, length)], ctypes.sizeof(kind))
    for run in item.runs if length else ():
        repeated = run.repeated(length, item.host_size, item.size)
        runs += repeated if repeated is not None else _unrolled(run, item, length)
    return Layout(item.size * length, item.alignment, (), runs, ctypes.sizeof(kind))


def _unrolled(run: Run, item: Layout, length: int) -> list[Run]:
    return [run.moved(index * item.host_size, index * item.size) for index in range(length)]


def _aggregate(kind: Any, arch: str) -> Layout:
    building = _Building(kind, arch)
    for definition in kind.__dict__.get("_fields_", ()):
        building.add(*definition)
    return building.layout()


class _Building:
    """A structure or union under construction, one field after the other."""

    def __init__(self, kind: Any, arch: str) -> None:
        self.kind = kind
        self.arch = arch
        self.union = issubclass(kind, ctypes.Union)
        self.pack = getattr(kind, "_pack_", 0)
        base = next((parent for parent in kind.__mro__[1:] if "_fields_" in parent.__dict__), None)
        inherited = layout(base, arch) if base is not None else None
        self.fields = list(inherited.fields) if inherited else []
        self.inherited = len(self.fields)
        self.runs = list(inherited.runs) if inherited else []
        self.members: list[list[Run]] = [list(self.runs)] if inherited else []
        names = [definition[0] for definition in kind.__dict__.get("_fields_", ())]
        self.renamed = len(set(names)) < len(names)
        self.host = _renamed(kind) if self.renamed else kind
        self.size = inherited.size if inherited else 0
        self.alignment = inherited.alignment if inherited else 1
        self.unit: tuple[int, int, int] | None = None  # of bit fields: offset, size, bits in use

    def add(self, name: str, kind: Any, bits: int = 0) -> None:
        inner = layout(kind, self.arch)
        alignment = min(inner.alignment, self.pack) if self.pack else inner.alignment
        self.alignment = max(self.alignment, alignment)
        if bits > 8 * inner.size:
            raise PrototypeError(
                f"bit field {name!r} has {bits} bits, but {kind.__name__} has {8 * inner.size} on Windows"
            )
        if bits:
            self._add_bits(name, kind, inner, alignment, bits)
            return
        self.unit = None
        offset = self._place(inner.size, alignment)
        self.fields.append(Field(name, offset, inner.size, kind))
        host = self._descriptor(name).offset
        self._append([run.moved(host, offset).named(name) for run in inner.runs])

    def _descriptor(self, name: str) -> Any:
        """Where the host has the field; of several fields with one name, the one that is being added."""
        return getattr(self.host, f"_{len(self.fields) - 1 - self.inherited}" if self.renamed else name)

    def _append(self, runs: list[Run]) -> None:
        self.members.append(runs)
        self.runs += runs

    def _place(self, size: int, alignment: int) -> int:
        if self.union:
            self.size = max(self.size, size)
            return 0
        offset = -(-self.size // alignment) * alignment
        self.size = offset + size
        return offset

    def _add_bits(self, name: str, kind: Any, inner: Layout, alignment: int, bits: int) -> None:
        """A bit field shares a unit with its predecessor when the declared sizes agree and it fits."""
        if self.union or self.unit is None or self.unit[1] != inner.size or self.unit[2] + bits > 8 * inner.size:
            self.unit = (self._place(inner.size, alignment), inner.size, 0)
        offset, size, used = self.unit
        self.unit = (offset, size, used + bits)
        shift = self._shift(used, size, bits)
        self.fields.append(Field(name, offset, size, kind, used, bits))
        self._append([self._bits(name, kind, offset, size, shift, bits)])

    def _bits(self, name: str, kind: Any, offset: int, size: int, shift: int, bits: int) -> Move:
        descriptor, width = self._descriptor(name), ctypes.sizeof(kind)
        host_shift = descriptor.size & 0xFFFF
        if (descriptor.offset, width, host_shift) == (offset, size, shift):
            return Copy(offset, offset, size)
        if host_shift + bits > 8 * width:
            return Refusal(
                descriptor.offset, offset, size,
                f"bit field {name!r} of {self.kind.__name__}: this Python's ctypes loses its bits, because its type"
                " differs in size from its neighbour's; give neighbouring bit fields one type",
            )  # fmt: skip
        swapped = hasattr(self.kind, "_swappedbytes_")
        return Bits(descriptor.offset, offset, width, size, host_shift, shift, bits, swapped)

    def _shift(self, shift: int, size: int, bits: int) -> int:
        """Big-endian units fill from their most significant bit."""
        return 8 * size - bits - shift if hasattr(self.kind, "_swappedbytes_") else shift

    def layout(self) -> Layout:
        size = -(-self.size // self.alignment) * self.alignment
        fields, runs = self.fields, self.runs
        host = ctypes.sizeof(self.kind)
        if self.union:
            runs = overlaid(self.members, self.kind, size, host)
        if runs and size == host and all(isinstance(run, Copy) and run.host == run.windows for run in runs):
            runs = [Copy(0, 0, size)]  # padding too: one copy instead of several
        return Layout(size, self.alignment, tuple(fields), runs, host)


def _renamed(kind: Any) -> Any:
    """The same type with a name of its own for each field, because ctypes keeps only the last of equal names."""
    definitions = [(f"_{index}", *rest) for index, (_, *rest) in enumerate(kind.__dict__["_fields_"])]
    return type(kind)(kind.__name__, (kind.__base__,), {"_pack_": getattr(kind, "_pack_", 0), "_fields_": definitions})
