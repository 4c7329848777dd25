"""From a header's text to its words: comments, conditions and macros are done by pcpp.

Nothing is included: what windows.h has is known without it, and other headers are not there.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pcpp import Action, OutputDirective, Preprocessor

from winbridge.dll.cdef.model import Refused

NAME = "declarations"

DEFINED = """
_WIN32 1
WIN32 1
_MSC_VER 1930
_MSC_EXTENSIONS 1
_INTEGRAL_MAX_BITS 64
_WIN32_WINNT 0x0A00
WINVER 0x0A00
NTDDI_VERSION 0x0A000000
_WINDOWS_ 1
WINAPI __stdcall
CALLBACK __stdcall
APIENTRY __stdcall
APIPRIVATE __stdcall
PASCAL __stdcall
NTAPI __stdcall
STDMETHODCALLTYPE __stdcall
STDAPICALLTYPE __stdcall
WINAPIV __cdecl
STDMETHODVCALLTYPE __cdecl
STDAPIVCALLTYPE __cdecl
WINGDIAPI
WINBASEAPI
WINUSERAPI
DECLSPEC_IMPORT
DECLSPEC_NORETURN
EXTERN_C extern
STDAPI extern HRESULT __stdcall
STDAPI_(type) extern type __stdcall
IN
OUT
OPTIONAL
FAR
NEAR
far
near
CONST const
__int8 char
__int16 short
__int32 int
__int64 long long
bool _Bool
true 1
false 0
TRUE 1
FALSE 0
NULL 0
MAX_PATH 260
INFINITE 0xFFFFFFFF
DECLARE_HANDLE(name) typedef HANDLE name
DEFINE_GUID(name, ...) extern const GUID name
DEFINE_ENUM_FLAG_OPERATORS(name)
C_ASSERT(condition) _Static_assert(condition, "")
static_assert _Static_assert
""".strip().splitlines()
"""What is defined before the text: a Windows compiler's own macros, and those of windows.h that headers use."""

TOKEN = re.compile(
    r"""(?P<space>[^\S\n]+)|(?P<line>\n)|(?P<directive>\#[^\n]*)
    |(?P<string>(?:L|u8|u|U)?"(?:\\.|[^"\\\n])*")|(?P<character>(?:L|u|U)?'(?:\\.|[^'\\\n])*')
    |(?P<word>[A-Za-z_$][\w$]*)|(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
    |(?P<mark>\.\.\.|<<=?|>>=?|->|\+\+|--|&&|\|\||::|[<>=!+\-*/%&|^]=|.)""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A word, number, string or mark of C, or a whole directive; and its line."""

    kind: str | None
    text: str
    line: int


class Macro(NamedTuple):
    """A ``#define`` without parameters, its value with all macros in it replaced."""

    name: str
    value: str
    line: int


class _Preprocessor(Preprocessor):  # type: ignore[misc]
    """pcpp as it is wanted here: it includes nothing, and its errors are exceptions."""

    def on_directive_handle(self, directive: Any, toks: Any, *rest: Any) -> Any:
        if directive.value == "include" or (directive.value == "pragma" and not toks):
            raise OutputDirective(Action.IgnoreAndRemove)
        if directive.value in ("define", "undef", "ifdef", "ifndef", "if", "elif") and not toks:
            raise Refused(f"#{directive.value} lacks its name or condition", directive.lineno)
        return super().on_directive_handle(directive, toks, *rest)

    def on_directive_unknown(self, directive: Any, toks: Any, *rest: Any) -> Any:
        if directive.value == "error":
            raise Refused("#error " + "".join(token.value for token in toks).strip(), directive.lineno)
        return super().on_directive_unknown(directive, toks, *rest) if directive.value != "warning" else True

    def on_error(self, file: str, line: int, msg: str) -> None:
        raise Refused(f"the preprocessor says: {msg.strip()}", line)


class Source:
    """A header's text after preprocessing.

    Args:
        text: the header.
        pointer_size: 8 or 4, which decides about ``_WIN64``.

    Attributes:
        tokens: its words.
        unicode: whether UNICODE is defined in the end.

    Raises:
        Refused: a directive is wrong, or says ``#error``.
    """

    def __init__(self, text: str, pointer_size: int) -> None:
        self._preprocessor = _Preprocessor()
        machine = ["_WIN64 1", "WIN64 1", "_M_X64 100", "_M_AMD64 100"] if pointer_size == 8 else ["_M_IX86 600"]
        wide = ["TEXT(text) L ## text", "_T(text) L ## text", "_TEXT(text) L ## text"]
        for definition in [*DEFINED, *machine]:
            self._preprocessor.define(definition)
        self._preprocessor.parse(text, NAME)
        self.tokens = list(tokens(self._expanded()))
        self.unicode = not {"UNICODE", "_UNICODE"}.isdisjoint(self._preprocessor.macros)
        for definition in wide:
            self._preprocessor.define(definition if self.unicode else definition.replace("L ## ", ""))

    def _expanded(self) -> str:
        """The text after preprocessing, each word in the line where it was."""
        parts, line = [], 1
        while token := self._preprocessor.token():
            if token.value.isspace():
                parts.append(" ")
                continue
            if token.lineno > line:
                parts.append("\n" * (token.lineno - line))
                line = token.lineno
            parts.append(token.value)
        return "".join(parts)

    def macros(self) -> list[Macro]:
        """The text's own macros that have a value and no parameters, in their order."""
        found = []
        for name, macro in self._preprocessor.macros.items():
            if macro.arglist is None and getattr(macro, "source", None) == NAME and macro.value:
                words = self._preprocessor.expand_macros(self._preprocessor.tokenize(name))
                found.append(Macro(name, "".join(word.value for word in words), macro.lineno))
        return found


def tokens(text: str) -> list[Token]:
    """The words of preprocessed C, without white space."""
    found, line = [], 1
    for match in TOKEN.finditer(text):
        if match.lastgroup == "line":
            line += 1
        elif match.lastgroup != "space":
            found.append(Token(match.lastgroup, _suffix(match[0]) if match.lastgroup == "number" else match[0], line))
    return found


def _suffix(number: str) -> str:
    """Microsoft's suffixes of numbers, i64 for one, in plain C."""
    return re.sub(r"(?i)(u?)i(8|16|32|64)$", lambda found: found[1] + ("LL" if found[2] == "64" else ""), number)
