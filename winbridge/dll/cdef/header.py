"""A whole header, read with windows.h known beneath it."""

from __future__ import annotations

from collections import ChainMap
from functools import lru_cache

from winbridge.dll.cdef import syntax, windows
from winbridge.dll.cdef.dialect import plain
from winbridge.dll.cdef.model import Number
from winbridge.dll.cdef.reader import Reader, Scope
from winbridge.dll.cdef.source import Source, tokens


@lru_cache(maxsize=4)
def known(pointer_size: int, unicode: bool) -> Scope:
    """The types of windows.h."""
    scope = Scope()
    scope.typedefs.update(
        size_t=Number("c_size_t", pointer_size, False),
        ssize_t=Number("c_ssize_t", pointer_size, True),
        wchar_t=Number("c_wchar", 2, False),
    )
    words = plain(tokens(windows.text(unicode)))
    Reader(scope, pointer_size, "cdecl", windows=True).read(syntax.parse(words, list(scope.typedefs)))
    return scope


def read(text: str, pointer_size: int, convention: str) -> tuple[Scope, set[str]]:
    """What a header declares, and the names of windows.h that it mentions.

    Raises:
        Refused: something in it is wrong or unknown.
    """
    source = Source(text, pointer_size)
    outer = known(pointer_size, source.unicode)
    scope = Scope(ChainMap({}, outer.typedefs), ChainMap({}, outer.tags))
    words = plain(source.tokens)
    mentioned = {word.text for word in words} & set(outer.typedefs)
    reader = Reader(scope, pointer_size, convention)
    reader.read(syntax.parse(words, sorted(mentioned)))
    for macro in source.macros():
        if macro.name not in scope.constants:
            reader.macro(macro.name, macro.value)
    return scope, mentioned - set(scope.typedefs.maps[0])
