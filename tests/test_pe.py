"""PE inspection, on DLLs that mingw compiles here and on Wine's own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pefile
import pytest

from winbridge.core import prefix
from winbridge.core.config import Config
from winbridge.core.errors import DllNotFoundError
from winbridge.dll import pe

TOOLS = {"win64": "x86_64-w64-mingw32", "win32": "i686-w64-mingw32"}
ARCHS = tuple(TOOLS)

DLL = """
int add(int a, int b) { return a + b; }
int hidden(void) { return 7; }
"""
DEF = """
LIBRARY probe.dll
EXPORTS
    add @5
    hidden @9 NONAME
    Beep = kernel32.Beep
    Sum = add
"""
# A delay-load table as Microsoft's linker writes it: attributes, name, handle, addresses, names.
DELAYED = """
    .section .didat,"dw"
    .long 1
    .rva name, handle, addresses, ordinals
    .long 0, 0, 0
    .long 0, 0, 0, 0, 0, 0, 0, 0
name: .asciz "late.dll"
    .balign 8
handle: .quad 0
addresses: {word} 0, 0
ordinals: {word} {first}, 0
"""
WORDS = {"win64": (".quad", "0x8000000000000001"), "win32": (".long", "0x80000001")}


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


@pytest.fixture(scope="module", params=ARCHS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """An architecture and a folder with a DLL, a program, an import library and an object file for it."""
    arch = request.param
    folder = tmp_path_factory.mktemp(arch)
    word, first = WORDS[arch]
    for name, text in (
        ("probe.c", DLL),
        ("probe.def", DEF),
        ("late.s", DELAYED.format(word=word, first=first)),
        ("main.c", "int main(void) { return 0; }"),
    ):
        (folder / name).write_text(text)
    compiler = f"{TOOLS[arch]}-gcc"
    run(compiler, "-c", folder / "probe.c", "-o", folder / "probe.o")
    libraries = f"-Wl,--out-implib,{folder / 'probe.a'}"
    sources = folder / "probe.o", folder / "late.s", folder / "probe.def"
    run(compiler, "-shared", *sources, libraries, "-o", folder / "probe.dll")
    run(compiler, folder / "main.c", "-o", folder / "main.exe")
    return arch, folder


def test_a_dll(built: tuple[str, Path]) -> None:
    arch, folder = built
    image = pe.inspect(folder / "probe.dll")
    assert (image.path, image.arch, image.is_dll) == (folder / "probe.dll", arch, True)
    exports = {export.ordinal: export for export in image.exports}
    assert exports[5] == pe.Export("add", 5, None)
    assert exports[9] == pe.Export(None, 9, None)
    assert [export.forwarder for export in image.exports if export.name == "Beep"] == ["kernel32.Beep"]
    assert {export.name for export in image.exports} == {"add", "Beep", "Sum", None}
    assert {name.lower() for name in image.imports} == {"kernel32.dll", "msvcrt.dll"}
    assert image.delayed_imports == ()
    assert pickle.loads(pickle.dumps(image)) == image


def test_delay_loaded_dlls_are_apart(built: tuple[str, Path]) -> None:
    arch, folder = built
    late = folder / "delayed.dll"
    with pefile.PE(str(folder / "probe.dll")) as file:  # binutils before 2.42 leave the entry for the table empty
        section = next(section for section in file.sections if section.Name.startswith(b".didat"))
        entry = file.OPTIONAL_HEADER.DATA_DIRECTORY[pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_DELAY_IMPORT"]]
        entry.VirtualAddress, entry.Size = section.VirtualAddress, 64
        file.write(str(late))
    image = pe.inspect(late)
    assert image.arch == arch
    assert image.delayed_imports == ("late.dll",)
    assert {name.lower() for name in image.imports} == {"kernel32.dll", "msvcrt.dll"}


def test_a_program(built: tuple[str, Path]) -> None:
    arch, folder = built
    image = pe.inspect(folder / "main.exe")
    assert (image.arch, image.is_dll, image.exports) == (arch, False, ())


def test_architecture_agrees(built: tuple[str, Path]) -> None:
    arch, folder = built
    assert pe.architecture(folder / "probe.dll") == pe.architecture(os.fspath(folder / "main.exe")) == arch


def test_more_exports_than_pefile_reads_by_itself(tmp_path: Path) -> None:
    count = 9000
    (tmp_path / "many.c").write_text("".join(f"int f{number}(void) {{ return 0; }}\n" for number in range(count)))
    run(f"{TOOLS['win64']}-gcc", "-shared", "-O0", tmp_path / "many.c", "-o", tmp_path / "many.dll")
    names = {export.name for export in pe.inspect(tmp_path / "many.dll").exports}
    assert names == {f"f{number}" for number in range(count)}


@pytest.mark.parametrize(
    ("machine", "name"), [(0xAA64, "arm64"), (0x01C4, "arm"), (0x0200, "ia64"), (0x1234, "machine 0x1234")]
)
def test_other_machines(built: tuple[str, Path], tmp_path: Path, machine: int, name: str) -> None:
    data = bytearray((built[1] / "probe.dll").read_bytes())
    offset = int.from_bytes(data[60:64], "little")
    data[offset + 4 : offset + 6] = machine.to_bytes(2, "little")
    (tmp_path / "x.dll").write_bytes(data)
    assert pe.architecture(tmp_path / "x.dll") == name


@pytest.mark.wine
@pytest.mark.parametrize(("folder", "arch"), [("system32", "win64"), ("syswow64", "win32")])
def test_wines_own_kernel32(folder: str, arch: str) -> None:
    file = prefix.ensure(Config()) / "drive_c" / "windows" / folder / "kernel32.dll"
    if arch == "win32" and not file.exists():
        pytest.skip("32-BIT WINE IS NOT INSTALLED: not run")
    image = pe.inspect(file)
    assert (image.arch, image.is_dll, pe.architecture(file)) == (arch, True, arch)
    exports = {export.name: export for export in image.exports}
    assert exports["GetTickCount"].forwarder is None
    assert exports["AcquireSRWLockExclusive"].forwarder == "NTDLL.RtlAcquireSRWLockExclusive"
    assert len(exports) > 1000
    assert {"kernelbase.dll", "ntdll.dll"} <= set(image.imports)


def dos_file(signature: bytes) -> bytes:
    return b"MZ" + bytes(58) + (64).to_bytes(4, "little") + signature + bytes(100)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "an empty file"),
        (b"MZ" + bytes(20), "a truncated PE file, of 22 bytes"),
        (b"MZ" + bytes(58) + b"\0\1\0\0", "a truncated PE file, or a DOS program"),
        (dos_file(b"NE\0\0\0\0"), "a 16-bit Windows file"),
        (dos_file(b"LE\0\0\0\0"), "a Windows 9x driver"),
        (dos_file(b"\x90\x90\x90\x90\0\0"), "a DOS program"),
        (b"#!/bin/sh\n", "a script"),
        (b"version https://git-lfs.github.com/spec/v1\n" * 3, "a text file"),
        ("naïve".encode("latin-1") + b"\x01", "a file of an unknown kind"),
    ],
    ids=["empty", "cut", "cut-later", "NE", "LE", "DOS", "script", "text", "binary"],
)
def test_other_contents(tmp_path: Path, data: bytes, what: str) -> None:
    file = tmp_path / "x.dll"
    file.write_bytes(data)
    refused(file, what)


def refused(file: Path, what: str) -> None:
    for read in (pe.architecture, pe.inspect):
        with pytest.raises(DllNotFoundError) as caught:
            read(file)
        assert str(caught.value) == f"{file} is no Windows DLL but {what}"
        assert caught.value.winerror == 193


def test_files_of_other_tools(built: tuple[str, Path], tmp_path: Path) -> None:
    folder = built[1]
    refused(Path(sys.executable).resolve(), "an ELF file, a library or program for Linux")
    refused(tmp_path, "a folder")
    refused(folder / "probe.o", "an object file (.obj, .o)")
    refused(folder / "probe.a", "a static or import library (.a, .lib), not the DLL itself")
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as wheel:
        wheel.write(folder / "probe.dll", "probe.dll")
    refused(tmp_path / "x.whl", "a zip archive (a wheel, perhaps): unpack it")


def test_a_missing_file(tmp_path: Path) -> None:
    for read in (pe.architecture, pe.inspect):
        with pytest.raises(DllNotFoundError, match="does not exist") as caught:
            read(tmp_path / "none.dll")
        assert caught.value.winerror == 126
        with pytest.raises(DllNotFoundError, match="cannot be read: Not a directory"):
            read(Path("/dev/null/x.dll"))


def test_every_truncation_is_refused(built: tuple[str, Path], tmp_path: Path) -> None:
    """Whatever is cut off, the answer is our exception, and an image only where all sections are whole."""
    arch, folder = built
    data = (folder / "probe.dll").read_bytes()
    with pefile.PE(data=data, fast_load=True) as file:
        whole = max(section.PointerToRawData + section.SizeOfRawData for section in file.sections)
    cut = tmp_path / "cut.dll"
    for size in (*range(0, 1200, 13), *range(1200, whole, 4999), whole - 1):
        cut.write_bytes(data[:size])
        with pytest.raises(DllNotFoundError) as caught:
            pe.inspect(cut)
        assert caught.value.winerror == 193
        assert "truncated" in str(caught.value) or "damaged" in str(caught.value) or size == 0
    cut.write_bytes(data[:whole])
    assert pe.inspect(cut).arch == arch


def test_architecture_leaves_pefile_alone(built: tuple[str, Path]) -> None:
    program = "import sys; from winbridge.dll import pe; print(pe.architecture(sys.argv[1]), 'pefile' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", program, str(built[1] / "probe.dll")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [built[0], "False"]
