"""Which modules belong to the Windows program."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from winbridge.running.imports import Given

OURS = frozenset({
    "winbridge",
    "certifi", "charset_normalizer", "click", "idna", "markdown_it", "mdurl", "msgspec", "ordlookup", "pcpp", "pefile",
    "peutils", "platformdirs", "ply", "pycparser", "pygments", "requests", "rich", "tomli", "urllib3",
})  # fmt: skip
"""Winbridge and what it needs itself; they see Linux."""

NUMPY = "numpy"
"""Built for Linux, yet it takes and gives ctypes objects: it gets the drop-in, and no other view."""

STANDARD = os.path.dirname(os.__file__) + os.sep
INSTALLED = tuple(STANDARD + folder + os.sep for folder in ("site-packages", "dist-packages"))


class Scope:
    """Tells by its globals what a module gets.

    Args:
        program: what the program's modules and those of packages for Windows or any platform get.
        numpy: what numpy gets.
    """

    def __init__(self, program: Given, numpy: Given) -> None:
        self._program = program
        self._numpy = numpy
        self._known: dict[str, Given] = {}

    def __call__(self, space: Mapping[str, Any]) -> Given:
        file = space.get("__file__")
        if not isinstance(file, str):
            return self._decide(_name(space), None)
        known = self._known.get(file)
        if known is None:
            known = self._known[file] = self._decide(_name(space), file)
        return known

    def _decide(self, name: str, file: str | None) -> Given:
        top = name.partition(".")[0]
        if top == NUMPY:
            return self._numpy
        if top in OURS or _is_standard(top, file) or (file and is_for_linux(name, file)):
            return {}
        return self._program


def _name(space: Mapping[str, Any]) -> str:
    """The module's full name, also where it runs as ``__main__``; empty for code without a module."""
    name = getattr(space.get("__spec__"), "name", None) or space.get("__name__")
    return name if isinstance(name, str) else ""


def _is_standard(top: str, file: str | None) -> bool:
    if file is None:
        return top in sys.stdlib_module_names
    return file.startswith(STANDARD) and not file.startswith(INSTALLED)


def is_for_linux(name: str, file: str) -> bool:
    """Whether a module belongs to a package that was built for Linux: its wheel says so, or it has extension modules.

    Args:
        name: the module's full name.
        file: where it is.
    """
    top = _top(name, file)
    return top.stem in _linux_wheels(top.parent) or _has_extensions(top)


def _top(name: str, file: str) -> Path:
    """The folder of a module's outermost package; the file of a module that is in none."""
    path = Path(os.path.abspath(file))
    here = path.parent if path.stem == "__init__" else path
    return [here, *here.parents][name.count(".")]


@functools.cache
def _linux_wheels(folder: Path) -> frozenset[str]:
    """The modules in a folder that came there by wheels for Linux (its tags, its RECORD).

    Source: PyPA specifications, Binary distribution format.
    """
    names = set()
    for wheel in folder.glob("*.dist-info/WHEEL"):
        tags = [line for line in wheel.read_text("utf-8").splitlines() if line.startswith("Tag:")]
        record = wheel.with_name("RECORD")
        if record.exists() and any("linux" in tag for tag in tags):
            paths = record.read_text("utf-8").splitlines()
            names |= {path.partition(",")[0].partition("/")[0].removesuffix(".py") for path in paths}
    return frozenset(names)


@functools.cache
def _has_extensions(package: Path) -> bool:
    suffixes = tuple(suffix for suffix in EXTENSION_SUFFIXES if suffix != ".so")  # that may be any library
    return any(found.name.endswith(suffixes) for found in package.rglob("*.so"))
