"""pycparser, and what is wrong where it stops."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from itertools import pairwise
from typing import Any

from pycparser import CParser

try:
    from pycparser.c_parser import ParseError
except ImportError:  # before 3.0
    from pycparser.plyparser import ParseError

from winbridge.dll.cdef.dialect import plain
from winbridge.dll.cdef.model import Refused
from winbridge.dll.cdef.source import Token, tokens

CPLUSPLUS = {
    "class": "classes are C++", "template": "templates are C++", "namespace": "namespaces are C++",
    "using": "using is C++", "virtual": "virtual functions are C++", "public": "classes are C++",
    "private": "classes are C++", "protected": "classes are C++", "operator": "operators are C++",
    "::": "'::' is C++", "friend": "friends are C++", "constexpr": "constexpr is C++", "nullptr": "nullptr is C++",
}  # fmt: skip
CPLUSPLUS_ADVICE = "only the C part of a header can be read, put the rest in #ifdef __cplusplus"

RESERVED = {
    *("void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool", "const", "volatile"),
    *("restrict", "struct", "union", "enum", "typedef", "extern", "static", "inline", "sizeof", "auto", "_Pragma"),
    *("_Static_assert", "return", "if", "else", "for", "while", "do", "switch", "case", "goto", "_Alignas", "_Alignof"),
}


def parse(words: list[Token], types: Sequence[str]) -> list[Any]:
    """pycparser's nodes of declarations.

    Args:
        words: the declarations.
        types: names of types that they may use without declaring them.

    Raises:
        Refused: they are no C.
    """
    try:
        return _nodes(words, types)
    except (ParseError, AssertionError) as error:
        raise _explained(words, types, str(error)) from None


def expression(text: str, types: Container[str]) -> Any:
    """pycparser's node of an expression, or None if the text is none.

    Args:
        text: the expression; strings are joined.
        types: names of types that it may use.

    Raises:
        Refused: Microsoft's words in it have no equivalent.
    """
    words = plain(tokens(text))
    if not words or words[0].text == "{":
        return None
    begin, end = Token("word", "int _ = (", 1), Token("mark", ");", 1)
    named = sorted({word.text for word in words if word.kind == "word" and word.text in types})
    try:
        nodes = _nodes([begin, *words, end], named)
    except (ParseError, AssertionError):
        return None
    return nodes[0].init if len(nodes) == 1 else None


def _nodes(words: list[Token], types: Sequence[str]) -> list[Any]:
    preamble = "".join(f"typedef int {name};" for name in types)
    found: list[Any] = CParser().parse(preamble + _text(words)).ext[len(types) :]
    return found


def _text(words: list[Token]) -> str:
    parts, line = [], 1
    for word in words:
        parts.append("\n" * (word.line - line) or " ")
        parts.append(word.text)
        line = max(line, word.line)
    return "".join(parts)


def _explained(words: list[Token], types: Sequence[str], said: str) -> Refused:
    """The cause, from the first declaration that cannot be read and where the parser stopped in it."""
    statements = _statements(words)
    low, high = 0, len(statements) - 1  # the first statement that cannot be read is between the two
    while low < high:
        middle = (low + high) // 2
        try:
            _nodes([word for statement in statements[: middle + 1] for word in statement], types)
        except (ParseError, AssertionError) as error:
            said, high = str(error), middle
        else:
            low = middle + 1
    before = [word for statement in statements[:low] for word in statement]
    statement = statements[low] if statements else words
    found = re.match(r"[^:]*:(\d+):\d*:? ?(.*)", said)
    line = int(found[1]) if found else statement[0].line if statement else None
    cause = found[2] if found else said.lstrip(": ")
    return _cplusplus(statement) or _unknown(before, statement, types) or _general(statement, cause, line)


def _statements(words: list[Token]) -> list[list[Token]]:
    found: list[list[Token]] = [[]]
    depth = 0
    for position, word in enumerate(words):
        found[-1].append(word)
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(word.text, 0)
        body = word.text == "}" and position + 1 < len(words) and words[position + 1].kind == "word"
        if depth <= 0 and (word.text == ";" or (body and ")" in [other.text for other in found[-1]])):
            found.append([])
    return [statement for statement in found if statement]


def _cplusplus(statement: list[Token]) -> Refused | None:
    depth = 0
    for position, word in enumerate(statement):
        text = word.text
        following = statement[position + 1].text if position + 1 < len(statement) else ""
        depth += {"(": 1, ")": -1}.get(text, 0)
        cause = CPLUSPLUS.get(text)
        if depth > 0 and text == "=":
            cause = "default arguments are C++"
        elif depth > 0 and text in ("&", "&&") and re.match(r"[A-Za-z_,)]", following):
            cause = "references are C++"
        if cause:
            return Refused(f"{cause}: {CPLUSPLUS_ADVICE}", word.line)
    return None


def _unknown(before: list[Token], statement: list[Token], types: Sequence[str]) -> Refused | None:
    """A name where a type has to be."""
    declared = {*types, *RESERVED, *(node.name for node in _nodes(before, types) if type(node).__name__ == "Typedef")}
    start = True
    for position, word in enumerate(statement[:-1]):
        following = statement[position + 1]
        if (
            start
            and word.kind == "word"
            and word.text not in declared
            and (following.kind == "word" or following.text in "*,)")
        ):
            tag = _tag(before, word.text)
            advice = f"write '{tag} {word.text}'" if tag else "declare it with typedef before"
            return Refused(f"unknown type {word.text!r}: {advice}", word.line)
        start = word.text in (
            "(",
            ",",
            ";",
            "{",
            "const",
            "typedef",
            "extern",
            "static",
            "volatile",
            "restrict",
            "inline",
        )
    return None


def _tag(before: list[Token], name: str) -> str | None:
    return next((a.text for a, b in pairwise(before) if a.text in ("struct", "union", "enum") and b.text == name), None)


def _general(statement: list[Token], cause: str, line: int | None) -> Refused:
    if "At end of input" in cause:
        return Refused("the declaration does not end: a ';' or '}' is missing", statement[0].line)
    if cause.startswith("before:"):
        return Refused(f"this is no C declaration, it goes wrong before {cause[8:]!r}", line)
    return Refused(f"this is no C declaration: {cause}", line)
