"""The values of constant expressions, computed as a Windows compiler computes them.

Source: ISO C 6.3.1.8 (usual arithmetic conversions), 6.4.4 (constants), with int and long of 4 bytes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

from pycparser import c_ast

from winbridge.dll.cdef.model import Enum, Number, Pointer, Refused, Type, extent


class Value(NamedTuple):
    """A number and its type: the size in bytes, and whether it has a sign (None: floating point)."""

    number: Any
    size: int = 4
    signed: bool | None = True


def _quotient(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "/": _quotient, "%": lambda left, right: left - right * _quotient(left, right),
}  # fmt: skip
SIGNS: dict[str, Callable[[Any], Any]] = {"-": operator.neg, "+": operator.pos, "~": operator.invert}
SHIFTS: dict[str, Callable[[Any, Any], Any]] = {"<<": operator.lshift, ">>": operator.rshift}
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
LARGEST_SHIFT = 63


def integer(number: int, size: int, signed: bool | None) -> Value:
    """The value with the bits that its type has."""
    number &= (1 << 8 * size) - 1
    if signed and number >> (8 * size - 1):
        number -= 1 << 8 * size
    return Value(number, size, signed)


ESCAPED = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]+)|u([0-9a-fA-F]{4})|(.))|([^\\]+)")
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def text(literal: str) -> bytes | str:
    """What a string literal holds: bytes (in UTF-8), or str where it begins with L."""
    wide, quoted = literal[0] == "L", literal[literal.index('"') + 1 : -1]
    pieces = [_codes(found, wide) for found in ESCAPED.findall(quoted)]
    return "".join(map(chr, chain.from_iterable(pieces))) if wide else bytes(chain.from_iterable(pieces))


def _codes(groups: tuple[str, ...], wide: bool) -> Iterable[int]:
    """The codes of what ``ESCAPED`` finds: of characters if wide, else of bytes."""
    octal, hexadecimal, point, letter, plain = groups
    if octal or hexadecimal:
        return [(int(octal, 8) if octal else int(hexadecimal, 16)) & (0xFFFF if wide else 0xFF)]
    found = chr(int(point, 16)) if point else LETTERS.get(letter, letter) or plain
    return map(ord, found) if wide else found.encode("utf-8", "surrogatepass")


class Evaluator:
    """Computes expressions.

    Args:
        constants: the values of the names.
        type_of: gives the type of a ``Typename``.
        pointer_size: 8 or 4.
    """

    def __init__(self, constants: Mapping[str, Any], type_of: Callable[[Any], Type], pointer_size: int) -> None:
        self.constants = constants
        self.type_of = type_of
        self.pointer_size = pointer_size

    def value(self, node: Any) -> int | float | bytes | str:
        """The value of an expression.

        Raises:
            Refused: it is not constant, or divides by zero.
        """
        if isinstance(node, c_ast.Constant) and node.type.endswith(("string", "wstring")):
            return text(node.value)
        try:
            found: int | float = self._value(node).number
        except ZeroDivisionError:
            raise Refused("a division by zero", node.coord and node.coord.line) from None
        return found

    def int(self, node: Any) -> int:
        """The value of an integer expression.

        Raises:
            Refused: it is something else.
        """
        found = self.value(node)
        if not isinstance(found, int):
            raise Refused(f"an integer is wanted, not {found!r}", node.coord and node.coord.line)
        return found

    def _value(self, node: Any) -> Value:
        compute = getattr(self, f"_{type(node).__name__}", None)
        if compute is None:
            raise Refused("this is no constant expression", node.coord and node.coord.line)
        return compute(node)  # type: ignore[no-any-return]

    def _Constant(self, node: c_ast.Constant) -> Value:
        if "'" in node.value:
            return _character(node.value)
        if "int" in node.type:
            return _literal(node.value)
        if node.type.split()[-1] in ("float", "double"):
            number = node.value.rstrip("fFlL")
            return Value(float.fromhex(number) if "0x" in number.lower() else float(number), 8, None)
        raise Refused("a string is no number", node.coord and node.coord.line)

    def _ID(self, node: c_ast.ID) -> Value:
        found = self.constants.get(node.name)
        if isinstance(found, float):
            return Value(found, 8, None)
        if not isinstance(found, int):
            raise Refused(f"unknown name {node.name!r}: define it with #define or enum before", node.coord.line)
        return Value(found) if -(1 << 31) <= found < 1 << 31 else Value(found, 8 if found >> 32 else 4, found < 0)

    def _UnaryOp(self, node: c_ast.UnaryOp) -> Value:
        if node.op in ("sizeof", "_Alignof"):
            return self._sizeof(node)
        number, size, signed = self._value(node.expr)
        if node.op == "!":
            return Value(int(not number))
        if node.op not in SIGNS or (node.op == "~" and signed is None):
            raise Refused(f"'{node.op}' is not possible here", node.coord and node.coord.line)
        number = SIGNS[node.op](number)
        return Value(number, size, None) if signed is None else _promoted(number, size, signed)

    def _sizeof(self, node: c_ast.UnaryOp) -> Value:
        if not isinstance(node.expr, c_ast.Typename):
            name = getattr(node.expr, "name", "this")
            raise Refused(f"unknown type {name!r}: sizeof takes a type here", node.coord and node.coord.line)
        size, alignment = extent(self.type_of(node.expr), self.pointer_size)
        return Value(size if node.op == "sizeof" else alignment, self.pointer_size, False)

    def _BinaryOp(self, node: c_ast.BinaryOp) -> Value:
        left, right = self._value(node.left), self._value(node.right)
        if node.op in ("&&", "||"):
            return Value(int(bool(left.number and right.number if node.op == "&&" else left.number or right.number)))
        if node.op in SHIFTS and left.signed is not None and right.signed is not None:
            return _promoted(SHIFTS[node.op](left.number, right.number & LARGEST_SHIFT), left.size, left.signed)
        left, right = _alike(left, right)
        if node.op in COMPARISONS:
            return Value(int(COMPARISONS[node.op](left.number, right.number)))
        if left.signed is None and node.op in "+-*/":
            compute = operator.truediv if node.op == "/" else ARITHMETIC[node.op]
            return Value(compute(left.number, right.number), 8, None)
        if left.signed is None or node.op not in ARITHMETIC:
            raise Refused(f"'{node.op}' is not possible here", node.coord and node.coord.line)
        return integer(ARITHMETIC[node.op](left.number, right.number), left.size, left.signed)

    def _TernaryOp(self, node: c_ast.TernaryOp) -> Value:
        true, false = _alike(self._value(node.iftrue), self._value(node.iffalse))
        return true if self._value(node.cond).number else false

    def _Cast(self, node: c_ast.Cast) -> Value:
        kind, value = self.type_of(node.to_type), self._value(node.expr)
        if isinstance(kind, Number) and kind.attribute == "c_bool":
            return Value(int(bool(value.number)), 1, False)
        if isinstance(kind, Number) and kind.signed is None:
            return Value(float(value.number), 8, None)
        if not isinstance(kind, Number | Pointer | Enum):
            raise Refused("a cast to this type is not constant", node.coord and node.coord.line)
        signed = kind.signed if isinstance(kind, Number) else isinstance(kind, Enum)
        return integer(int(value.number), extent(kind, self.pointer_size).size, signed)


def _promoted(number: int, size: int, signed: bool) -> Value:
    return integer(number, size, signed) if size >= 4 else integer(number, 4, True)


def _alike(left: Value, right: Value) -> tuple[Value, Value]:
    if left.signed is None or right.signed is None:
        return Value(float(left.number), 8, None), Value(float(right.number), 8, None)
    size = max(left.size, right.size, 4)
    signed = all(value.signed or value.size < size for value in (left, right))
    return integer(left.number, size, signed), integer(right.number, size, signed)


def _literal(word: str) -> Value:
    digits = word.rstrip("uUlL")
    suffix = word[len(digits) :].lower()
    base = 16 if digits[:2].lower() == "0x" else 2 if digits[:2].lower() == "0b" else 8 if digits[0] == "0" else 10
    number = int(digits, base)
    sizes = (8,) if suffix.count("l") == 2 else (4, 8)
    signs = (False,) if "u" in suffix else (True,) if base == 10 else (True, False)
    for size in sizes:
        for signed in signs:
            if number < 1 << (8 * size - signed):
                return Value(number, size, signed)
    return integer(number, 8, False)


def _character(word: str) -> Value:
    """Several characters make one int, the first in its highest byte, as Microsoft's compiler has it."""
    found = text(word[: word.index("'")] + '"' + word[word.index("'") + 1 : -1].replace('"', '\\"') + '"')
    if isinstance(found, str):
        return Value(ord(found[0]), 2, False)
    return integer(int.from_bytes(found, "big"), len(found) if len(found) == 1 else 4, True)
