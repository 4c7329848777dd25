"""What the program's modules see of Windows: by sys, os, platform and struct.

What is answered follows Python's documentation of those modules.
"""

from __future__ import annotations

import functools
import os
import platform
import struct
import sys
from typing import Any, NamedTuple

from winbridge.ctypes.search import DllDirectory
from winbridge.running.view import View

RELEASES = {(10, 0): "10", (6, 3): "8.1", (6, 2): "8", (6, 1): "7", (6, 0): "Vista", (5, 2): "2003Server", (5, 1): "XP"}
FIRST_OF_11 = 22000
"""Windows 11 counts as 10.0 with builds from there on (platform.win32_ver)."""


class WindowsVersion(NamedTuple):
    """What ``sys.getwindowsversion()`` returns."""

    major: int
    minor: int
    build: int
    platform: int
    service_pack: str

    @property
    def platform_version(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.build


def views(family: Any, arch: str) -> dict[str, View]:
    """sys, os, platform and struct as they are on Windows.

    Args:
        family: the drop-in's types, whose session is asked for Windows' version.
        arch: ``win64`` or ``win32``.
    """
    bits = 64 if arch == "win64" else 32
    version = functools.cache(functools.partial(_version, family))
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return {
        "sys": View(
            sys,
            platform="win32",
            maxsize=2 ** (bits - 1) - 1,
            winver=python if bits == 64 else python + "-32",
            getwindowsversion=version,
        ),
        "os": with_dll_directories(family, name="nt"),
        "platform": _platform(version, bits),
        "struct": _struct(bits),
    }


def with_dll_directories(family: Any, **names: Any) -> View:
    """os with ``add_dll_directory``, which it has on Windows only."""

    def add_dll_directory(path: str | os.PathLike[str]) -> DllDirectory:
        """Search DLLs in a folder, until ``close()`` of what is returned."""
        return DllDirectory(family, os.fspath(path))

    return View(os, add_dll_directory=add_dll_directory, **names)


def _version(family: Any) -> WindowsVersion:
    """Windows' version (RtlGetVersion of ntdll, Microsoft Learn; the structure is OSVERSIONINFOW)."""
    size = 276
    room = family.heap.allocate(size)
    room.view[:] = struct.pack("<I", size).ljust(size, b"\0")
    family.call_system("ntdll", "RtlGetVersion", room.address)
    _, major, minor, build, kind = struct.unpack_from("<5I", room.view)
    pack = bytes(room.view[20:]).decode("utf-16-le").partition("\0")[0]
    return WindowsVersion(major, minor, build, kind, pack)


def _platform(version: Any, bits: int) -> View:
    def release() -> str:
        seen = version()
        return "11" if seen.build >= FIRST_OF_11 else RELEASES.get(seen[:2], "")

    def number() -> str:
        return "{}.{}.{}".format(*version().platform_version)

    def win32_ver(release_: str = "", version_: str = "", csd: str = "", ptype: str = "") -> tuple[str, str, str, str]:
        pack = version().service_pack.replace("Service Pack ", "SP") or "SP0"
        return release(), number(), pack, "Multiprocessor Free"

    def uname() -> platform.uname_result:
        return platform.uname()._replace(system="Windows", release=release(), version=number(), machine="AMD64")

    def architecture(executable: str = "", bits_: str = "", linkage: str = "") -> tuple[str, str]:
        return f"{bits}bit", "WindowsPE"

    def name(aliased: bool = False, terse: bool = False) -> str:
        parts = ["Windows", release(), *([] if terse else win32_ver()[1:3])]
        return "-".join(parts)

    return View(
        platform,
        system=lambda: "Windows",
        release=release,
        version=number,
        machine=lambda: "AMD64",  # of the machine, also in a process of 32 bit
        architecture=architecture,
        uname=uname,
        win32_ver=win32_ver,
        platform=name,
    )


def _struct(bits: int) -> View:
    """struct with the native sizes of Windows: long has 4 bytes; pointers and sizes have 4 in 32 bit."""
    sizes = str.maketrans({"l": "i", "L": "I"} | ({} if bits == 64 else {"P": "I", "n": "i", "N": "I"}))

    def native(format: str | bytes) -> str:
        text = format if isinstance(format, str) else format.decode("ascii")
        return text if text[:1] in ("<", ">", "=", "!") else text.translate(sizes)

    def with_format(function: Any) -> Any:
        @functools.wraps(function)
        def translated(format: str | bytes, *arguments: Any, **keywords: Any) -> Any:
            return function(native(format), *arguments, **keywords)

        return translated

    class Struct(struct.Struct):
        def __init__(self, format: str | bytes) -> None:
            super().__init__(native(format))

    names = "calcsize", "pack", "pack_into", "unpack", "unpack_from", "iter_unpack"
    functions = {name: with_format(getattr(struct, name)) for name in names}
    return View(struct, Struct=Struct, **functions)
