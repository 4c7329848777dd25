"""Modules that tell what machine this is, as a test sees them that believes to run on Windows.

The tests choose by ``sys.platform`` and ``os.name`` which of them are for Windows, and take the sizes they expect from
``struct``. Only the test modules are shown these views: the standard library, test.support and winbridge itself go on
with the real ones, since they do run on Linux.
"""

from __future__ import annotations

import os
import struct
import sys
from types import ModuleType
from typing import Any

LONG = str.maketrans("lL", "iI")
POINTER_32 = str.maketrans("PnN", "IiI")


class View(ModuleType):
    """A module in which some names have other values."""

    def __init__(self, real: ModuleType, **other: Any) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(other, real=real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class StructView(View):
    """struct, whose native formats have the sizes of a Windows process: long has 4 bytes, in win32 a pointer too."""

    def __init__(self, arch: str) -> None:
        super().__init__(struct, arch=arch)

    def native(self, form: str) -> str:
        if form[:1] in ("<", ">", "=", "!"):
            return form
        return form.translate(LONG if self.arch == "win64" else LONG | POINTER_32)

    def calcsize(self, form: str) -> int:
        return struct.calcsize(self.native(form))

    def pack(self, form: str, *values: Any) -> bytes:
        return struct.pack(self.native(form), *values)

    def unpack(self, form: str, content: bytes) -> tuple[Any, ...]:
        return struct.unpack(self.native(form), content)


def as_on_windows(arch: str) -> dict[str, ModuleType]:
    """The views by the names of their modules.

    sys.version names the compiler of Windows' Python, because only ctypes compiled with it turns a crash inside a
    function into an exception, as winbridge does.
    """
    bits = 64 if arch == "win64" else 32
    version = f"{sys.version.split('[')[0]}[MSC v.1900 {bits} bit]"
    return {
        "sys": View(sys, platform="win32", version=version, maxsize=2 ** (bits - 1) - 1),
        "os": View(os, name="nt"),
        "struct": StructView(arch),
    }
