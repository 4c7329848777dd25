"""Modules whose source came from the peer. This file itself is sent as text, so it imports nothing of winbridge."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType


class Fetched(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads modules of which the source is in a dictionary.

    Args:
        sources: by the name of the module; a package by that of its ``__init__``.
    """

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if self._key(fullname) in self.sources:
            return importlib.util.spec_from_loader(fullname, self, origin=self._file(fullname))
        return None

    def is_package(self, fullname: str) -> bool:
        return fullname + ".__init__" in self.sources

    def get_source(self, fullname: str) -> str:
        return self.sources[self._key(fullname)]

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self.get_source(fullname), self._file(fullname), "exec", dont_inherit=True)
        return code

    def _key(self, fullname: str) -> str:
        return fullname + ".__init__" if self.is_package(fullname) else fullname

    def _file(self, fullname: str) -> str:
        return "<from the peer>/" + self._key(fullname).replace(".", "/") + ".py"


def start(sources: dict[str, str], options: dict[str, Any]) -> None:
    """Serve the peer that sent all this."""
    sys.meta_path.insert(0, Fetched(sources))
    from winbridge.remote.__main__ import serve

    serve(options)
