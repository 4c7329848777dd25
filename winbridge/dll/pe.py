"""What a PE file, a Windows DLL or program, says about itself."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from winbridge.core.errors import DllNotFoundError

if TYPE_CHECKING:
    import pefile

__all__ = ["Export", "Image", "architecture", "inspect"]

ERROR_MOD_NOT_FOUND = 126
ERROR_BAD_EXE_FORMAT = 193

MACHINES = {
    0x8664: "win64",
    0x014C: "win32",
    0xAA64: "arm64",
    0x01C4: "arm",
    0x0200: "ia64",
}

MAX_EXPORTS = 1 << 16  # ordinals have 16 bits; pefile alone stops at 8,192
SIGNATURE = b"PE\0\0"
DOS_HEADER = 64
HEAD = 512  # enough to tell a text from other files
OFFSET_OF_HEADER = struct.Struct("<60xI")
START_OF_HEADER = struct.Struct("<4sH")

LOOKS = (
    (b"\x7fELF", "an ELF file, a library or program for Linux"),
    (b"#!", "a script"),
    (b"PK\x03\x04", "a zip archive (a wheel, perhaps): unpack it"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"!<arch>\n", "a static or import library (.a, .lib), not the DLL itself"),
    (b"\xd0\xcf\x11\xe0", "an OLE file (an .msi installer, perhaps)"),
    (b"MSCF", "a cabinet archive: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"\x1f\x8b", "a gzip file: unpack it"),
    (b"\x64\x86", "an object file (.obj, .o)"),
    (b"\x4c\x01", "an object file (.obj, .o)"),
    (b"\xfe\xed\xfa", "a Mach-O file, for macOS"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file, for macOS"),
)
OLDER = {b"NE": "a 16-bit Windows file", b"LE": "a Windows 9x driver", b"LX": "an OS/2 file"}


class Export(NamedTuple):
    """An entry of a DLL's export table."""

    name: str | None
    ordinal: int
    forwarder: str | None
    """``DLL.name`` where the function lies in another DLL."""


class Image(NamedTuple):
    """What a PE file says about itself."""

    path: Path
    arch: str
    """``win64``, ``win32``, or the name of another machine, such as ``arm64``."""
    is_dll: bool
    exports: tuple[Export, ...]
    imports: tuple[str, ...]
    """DLLs that must be there when it is loaded."""
    delayed_imports: tuple[str, ...]
    """DLLs that are looked for when one of their functions is first called."""


def architecture(path: str | os.PathLike[str]) -> str:
    """Read which machine a PE file is for, from its headers alone.

    Args:
        path: a file, by its Unix path.

    Returns:
        ``win64``, ``win32``, or the name of another machine, such as ``arm64``.

    Raises:
        DllNotFoundError: there is no such file (``winerror`` 126), or it is no PE file
            (193); the message says what it is instead.
    """
    head, start = _read(path)
    if len(head) < DOS_HEADER or head[:2] != b"MZ":
        raise _unsuitable(path, _look(head))
    if len(start) < START_OF_HEADER.size:
        raise _unsuitable(path, "a truncated PE file, or a DOS program")
    signature, machine = START_OF_HEADER.unpack(start)
    if signature != SIGNATURE:
        raise _unsuitable(path, OLDER.get(signature[:2], "a DOS program"))
    return MACHINES.get(machine, f"machine {machine:#06x}")


def inspect(path: str | os.PathLike[str]) -> Image:
    """Read a PE file's architecture, exports and imports.

    Args:
        path: a file, by its Unix path.

    Raises:
        DllNotFoundError: there is no such file (``winerror`` 126), or it is no PE file,
            or a damaged one (193); the message says what it is instead.
    """
    arch = architecture(path)
    import pefile

    try:
        file = pefile.PE(os.fspath(path), fast_load=True, max_symbol_exports=MAX_EXPORTS)
    except pefile.PEFormatError as error:
        raise _unsuitable(path, f"a damaged PE file: {error}") from error
    with file:
        _refuse_truncated(file, path)
        file.parse_data_directories(
            [pefile.DIRECTORY_ENTRY[f"IMAGE_DIRECTORY_ENTRY_{name}"] for name in ("EXPORT", "IMPORT", "DELAY_IMPORT")]
        )
        return Image(
            Path(path),
            arch,
            file.is_dll(),
            tuple(_exports(file)),
            _names(getattr(file, "DIRECTORY_ENTRY_IMPORT", ())),
            _names(getattr(file, "DIRECTORY_ENTRY_DELAY_IMPORT", ())),
        )


def _read(path: str | os.PathLike[str]) -> tuple[bytes, bytes]:
    """The beginning of a file, and the beginning of the PE header that it points to."""
    try:
        # Not to wait, should it be a pipe that nobody writes to.
        with open(path, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
            head = file.read(HEAD) or b""
            offset = OFFSET_OF_HEADER.unpack_from(head)[0] if len(head) >= DOS_HEADER else 0
            return head, os.pread(file.fileno(), START_OF_HEADER.size, offset)
    except IsADirectoryError:
        raise _unsuitable(path, "a folder") from None
    except FileNotFoundError:
        raise DllNotFoundError(f"{os.fspath(path)} does not exist", ERROR_MOD_NOT_FOUND) from None
    except OSError as error:
        raise DllNotFoundError(f"{os.fspath(path)} cannot be read: {error.strerror}", ERROR_MOD_NOT_FOUND) from error


def _look(head: bytes) -> str:
    """Say what a file is that begins like this."""
    if not head:
        return "an empty file"
    if head[:2] == b"MZ":
        return f"a truncated PE file, of {len(head)} bytes"
    for magic, name in LOOKS:
        if head.startswith(magic):
            return name
    printable = all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return "a text file" if printable and b"\x7f" not in head else "a file of an unknown kind"


def _unsuitable(path: str | os.PathLike[str], what: str) -> DllNotFoundError:
    return DllNotFoundError(f"{os.fspath(path)} is no Windows DLL but {what}", ERROR_BAD_EXE_FORMAT)


def _refuse_truncated(file: pefile.PE, path: str | os.PathLike[str]) -> None:
    """What the headers announce must be there: pefile passes over what is missing in silence."""
    ends = (section.PointerToRawData + section.SizeOfRawData for section in file.sections if section.SizeOfRawData)
    needed = max((file.OPTIONAL_HEADER.SizeOfHeaders, *ends))
    size = os.path.getsize(path)
    if size < needed or len(file.sections) < file.FILE_HEADER.NumberOfSections:
        raise _unsuitable(path, f"a truncated PE file, of {size} bytes")


def _exports(file: pefile.PE) -> Iterator[Export]:
    directory = getattr(file, "DIRECTORY_ENTRY_EXPORT", None)
    for symbol in directory.symbols if directory else ():
        yield Export(_text(symbol.name), symbol.ordinal, _text(symbol.forwarder))


def _names(entries: object) -> tuple[str, ...]:
    return tuple(entry.dll.decode("ascii", "replace") for entry in entries)  # type: ignore[attr-defined]


def _text(name: bytes | None) -> str | None:
    return None if name is None else name.decode("utf-8", "replace")
