"""Test DLLs, compiled with mingw-w64 from tests/native, for both architectures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parent / "native"
COMPILERS = {"win64": "x86_64-w64-mingw32-gcc", "win32": "i686-w64-mingw32-gcc"}


def compile_dll(arch: str, source: Path, target: Path, *options: str) -> Path:
    """On x86 a stdcall function is exported by its plain name, as Windows' own DLLs do, not as name@8."""
    flags = ["-shared", "-O1", "-static-libgcc", "-Wl,--kill-at"]
    command = [COMPILERS[arch], *flags, "-o", str(target), str(source), *options]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return target


@pytest.fixture(scope="session")
def dll_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with specimen, refuser, needy and lender for each architecture."""
    folder = tmp_path_factory.mktemp("dlls")
    for arch in COMPILERS:
        home = folder / arch
        home.mkdir()
        compile_dll(arch, NATIVE / "specimen.c", home / "specimen.dll")
        compile_dll(arch, NATIVE / "refuser.c", home / "refuser.dll")
        lender = compile_dll(arch, NATIVE / "lender.c", home / "lender.dll")
        compile_dll(arch, NATIVE / "needy.c", home / "needy.dll", str(lender))
    return folder


@pytest.fixture
def specimen_path(dll_folder: Path, arch: str) -> Path:
    return dll_folder / arch / "specimen.dll"


@pytest.fixture
def specimen(specimen_path: Path):
    """The specimen, loaded in an implicit session of its architecture."""
    import winbridge

    return winbridge.load_dll(specimen_path, convention="cdecl")
