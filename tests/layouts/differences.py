"""Where not all three agree: a Windows Python's ctypes, Microsoft's rules as gcc has them, and winbridge.

winbridge follows ctypes, as programs see it, except where that is plainly broken: ``WINDOWS``. ``COMPILER`` is where
ctypes, and winbridge with it, differs from gcc. Each entry: how a type is recognised, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.layouts.compiler import effective_pack
from tests.layouts.strategy import BIT_WIDTHS, parts

Kind = Any
Difference = tuple[Callable[[Kind], bool], str]


def is_union(kind: Kind) -> bool:
    return isinstance(kind, dict) and str(kind["is"]).endswith("Union")


def open_bits(kind: Kind) -> Iterator[tuple[int, int, int]]:
    """For each bit field that follows another: the widths of both types, and the bits needed for both together."""
    width, used = 0, 0
    for name, bits in kind["fields"]:
        now = BIT_WIDTHS[name] if bits else 0
        now = 8 if name == "c_bool" and bits else now
        if bits and width:
            yield width, now, used + bits
        used = used + bits if bits and now == width and used + bits <= width else bits
        width = now


def bits_side_by_side(kind: Kind) -> bool:
    return is_union(kind) and any(now == width and needed <= width for width, now, needed in open_bits(kind))


def derived_union(kind: Kind) -> bool:
    return is_union(kind) and kind["base"] is not None


def big_around_union(kind: Kind) -> bool:
    return (
        isinstance(kind, dict) and kind["is"].startswith("BigEndian") and any(is_union(to) for to, _ in kind["fields"])
    )


def bool_bits(kind: Kind) -> bool:
    return isinstance(kind, dict) and any(name == "c_bool" and bits for name, bits in kind["fields"])


def packed_below_base(kind: Kind) -> bool:
    return isinstance(kind, dict) and kind["base"] is not None and effective_pack(kind) > 0


def packed_bits_in_union(kind: Kind) -> bool:
    pack = is_union(kind) and effective_pack(kind)
    return bool(pack) and any(bits and BIT_WIDTHS[name] > 8 * pack for name, bits in kind["fields"])


WINDOWS: dict[str, Difference] = {
    "bit fields of a union one after the other": (
        bits_side_by_side,
        (
            "ctypes before 3.14 goes on in the open bit field although a union begins anew: offset -4 with c_int, so a "
            "write is to memory of others (CPython, Modules/_ctypes/cfield.c, CONT_BITFIELD). Here all are at bit 0."
        ),
    ),
    "unions derived from unions": (
        derived_union,
        (
            "ctypes forgets the fields of the base in the size, 0 without own fields, and reads beyond the instance "
            "(CPython, Modules/_ctypes/stgdict.c, union_size). Here the base counts."
        ),
    ),
    "unions in big-endian aggregates": (
        big_around_union,
        "refused up to Python 3.12, taken as they are from 3.13 on (Lib/ctypes/_endian.py), and here.",
    ),
}

VALUES: dict[str, Difference] = {
    "bool bit fields": (
        bool_bits,
        "ctypes writes and reads the whole byte, neighbours included (python/cpython#90914). Here only the bits.",
    ),
    "BSTR and py_object": (
        lambda kind: kind in ("BSTR", "py_object"),
        "no numbers: to write one means to own what it stands for.",
    ),
}
"""Types of one layout whose values are not compared."""

# Of one thing only LLVM tells, against gcc and ctypes: to MSVC a bit field in a union does not raise its alignment
# (MicrosoftRecordLayoutBuilder::layoutBitField). winbridge is as ctypes here.

COMPILER: dict[str, Difference] = {
    "a base with _pack_": (
        packed_below_base,
        (
            "to ctypes _pack_ is for the own fields, and the base keeps its alignment; in C a first member "
            "in place of one is packed with the rest."
        ),
    ),
    "bit fields wider than _pack_ in a union": (
        packed_bits_in_union,
        (
            "gcc gives them as many bytes as their bits need. To MSVC and ctypes a bit field has the size of its type "
            "(Microsoft Learn, 'C bit fields'; LLVM, RecordLayoutBuilder.cpp, MicrosoftRecordLayoutBuilder)."
        ),
    ),
}


def differing(kind: Kind, known: dict[str, Difference]) -> list[str]:
    """The differences that a type has, or anything that it consists of."""
    return [name for name, (has, _) in known.items() if any(has(part) for part in parts(kind))]
