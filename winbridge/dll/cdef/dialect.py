"""From Microsoft's C to plain C, which is all that pycparser reads.

Plain C has no calling conventions. It has ``volatile`` and ``restrict``, which mean nothing to a prototype and make
no sense before a function's name: they are taken out of the text and put in as marks, by ``CONVENTIONS``. What a
structure's layout depends on is put behind its brace, as ``_Pragma("PACK ALIGN")``.
"""

from __future__ import annotations

import re

from winbridge.dll.cdef.model import Refused
from winbridge.dll.cdef.source import Token, tokens

CONVENTIONS = {"stdcall": {"restrict"}, "cdecl": {"volatile"}, "fastcall": {"restrict", "volatile"}}
"""The qualifiers that stand for a calling convention."""

SPELLINGS = {
    **dict.fromkeys(("__stdcall", "_stdcall", "__stdcall__"), "stdcall"),
    **dict.fromkeys(("__cdecl", "_cdecl", "__cdecl__"), "cdecl"),
    **dict.fromkeys(("__fastcall", "_fastcall", "__thiscall", "__vectorcall"), "fastcall"),
}

MEANINGLESS = {
    *("volatile", "restrict", "__restrict", "__restrict__", "__volatile__", "__unaligned", "__w64"),
    *("__ptr32", "__ptr64", "__extension__", "_Noreturn", "__noreturn", "register"),
}

RESPELLED = {"__const": "const", "__signed__": "signed", "__inline": "inline", "__forceinline": "inline"}

ANNOTATION = re.compile(
    r"_(In|Out|Inout|Outptr|COM_Outptr|Outref|Result|Ret|Success|Check_return|Must_inspect|Reserved|Pre|Post|Field"
    r"|Struct_size|Null|NullNull|Notnull|Maybenull|Maybe_raises|Printf|Scanf|Points_to|Readable|Writable|Frees|When|At"
    r"|Deref|Use_decl|On_failure|Always|Group|Const|Literal|Enum_is|Interlocked|IRQL|Acquires|Releases|Requires"
    r"|Function_class|Analysis|Return_type|Strict_type|Pre_satisfies|Post_satisfies|Opt|Prepost|Kernel|Drv"
    r")(_\w*)?_|__(in|out|inout|deref|reserved|callback|success|checkReturn|nullterminated)(_\w*)?|__drv_\w+"
)
"""Words of Microsoft's source code annotation languages; an argument list may follow."""

LAYOUT_ATTRIBUTES = re.compile(r"_*(packed|aligned|ms_struct|gcc_struct|mode|vector_size|\w+call|cdecl|ms_abi)_*$")


def plain(words: list[Token]) -> list[Token]:
    """The same declarations without the words of Microsoft's compiler.

    Raises:
        Refused: something has no equivalent.
    """
    return _Translation(words).run()


class _Translation:
    def __init__(self, words: list[Token]) -> None:
        self.words = words
        self.at = 0
        self.done: list[Token] = []
        self.packs: list[tuple[str, int | None]] = []
        self.pack: int | None = None
        self.align: Token | None = None
        self.braces: list[bool] = []  # whether the brace is in the result: those of extern "C" are not

    def run(self) -> list[Token]:
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            self._take(word)
        if self.align is not None:
            raise Refused("__declspec(align) is understood at structs and unions only", self.align.line)
        return self.done

    def _take(self, word: Token) -> None:
        text = word.text
        if word.kind == "directive":
            self._directive(word)
        elif text in SPELLINGS:
            self._convention(word)
        elif text in ("__declspec", "_declspec"):
            self._declspec(self._arguments())
        elif text in ("__attribute__", "__attribute"):
            self._attribute(self._arguments())
        elif text == "extern":
            self._extern(word)
        elif text in "{}":
            self._brace(word)
        elif text not in MEANINGLESS and not self._annotation(word):
            self.done.append(word._replace(text=RESPELLED.get(text, text)))

    def _peek(self) -> str:
        return self.words[self.at].text if self.at < len(self.words) else ""

    def _arguments(self) -> list[Token]:
        """The words of the parenthesis that follows, if one does; it is left behind."""
        start, depth = self.at, 0
        while self.at < len(self.words) and (depth or self._peek() == "("):
            depth += {"(": 1, ")": -1}.get(self._peek(), 0)
            self.at += 1
            if not depth:
                break
        return self.words[start + 1 : self.at - 1]

    def _annotation(self, word: Token) -> bool:
        found = word.kind == "word" and ANNOTATION.fullmatch(word.text) is not None
        if found:
            self._arguments()
        return found

    def _convention(self, word: Token) -> None:
        """In ``int (__stdcall *f)(int)`` the mark goes before the parenthesis, to the result's type."""
        marks = [word._replace(text=mark) for mark in sorted(CONVENTIONS[SPELLINGS[word.text]])]
        behind = self.done and self.done[-1].text == "("
        self.done[-1 if behind else len(self.done) : -1 if behind else len(self.done)] = marks

    def _declspec(self, arguments: list[Token]) -> None:
        if arguments and arguments[0].text in ("align", "__align"):
            self.align = arguments[2]

    def _attribute(self, arguments: list[Token]) -> None:
        for word in arguments:
            if LAYOUT_ATTRIBUTES.match(word.text):
                hint = "write #pragma pack, __declspec(align(n)) or the convention before the function's name"
                raise Refused(f"__attribute__(({word.text})) is not understood: {hint}", word.line)

    def _extern(self, word: Token) -> None:
        if self.at < len(self.words) and self.words[self.at].kind == "string":
            self.at += 1
            if self._peek() == "{":
                self.at += 1
                self.braces.append(False)
                return
        self.done.append(word)

    def _brace(self, word: Token) -> None:
        if word.text == "}":
            if not self.braces:
                raise Refused("a '}' too many", word.line)
            if self.braces.pop():
                self.done.append(word)
            return
        self.braces.append(True)
        self.done.append(word)
        before = [token.text for token in self.done[-3:-1]]
        if "struct" in before or "union" in before:
            layout = f'_Pragma("{self.pack or 0} {self.align.text if self.align else 1}")'
            self.done += [token._replace(line=word.line) for token in tokens(layout)]
            self.align = None

    def _directive(self, word: Token) -> None:
        found = re.fullmatch(r"#\s*pragma\s+pack\s*\((.*)\)\s*;?\s*", word.text)
        if not found:
            if re.match(r"#\s*pragma", word.text):
                return
            raise Refused(
                f"{word.text.split()[0]!r} is no directive at this place: it has to start its line", word.line
            )
        arguments = [argument.strip() for argument in found[1].split(",")]
        numbers = [int(argument) for argument in arguments if argument.isdigit()]
        names = [argument for argument in arguments[1:] if not argument.isdigit()]
        if arguments[0] == "push":
            self.packs.append((names[0] if names else "", self.pack))
        elif arguments[0] == "pop":
            self._pop(names, word)
        elif arguments[0] != "show" and not numbers:
            self.pack = None
        if numbers:
            self.pack = numbers[0] or None

    def _pop(self, names: list[str], word: Token) -> None:
        known = [name for name, _ in self.packs]
        if not self.packs or (names and names[0] not in known):
            raise Refused("#pragma pack(pop) without a push before", word.line)
        while True:
            name, self.pack = self.packs.pop()
            if not names or name == names[0]:
                return
