"""Finding Wine: the installation here, and layouts of other builds made from its real files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from winbridge.core import wine
from winbridge.core.config import Config
from winbridge.core.errors import AgentStartError

ARCHS = [
    pytest.param("win64", 64, marks=[pytest.mark.wine, pytest.mark.win64]),
    pytest.param("win32", 32, marks=[pytest.mark.wine, pytest.mark.win32]),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("WINE", "WINBRIDGE_W"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def elf(tmp_path: Path) -> dict[int, Path]:
    """The beginnings of ELF files: all that tells a loader's bitness."""
    files = {bits: tmp_path / f"elf{bits}" for bits in (32, 64)}
    for bits, file in files.items():
        file.write_bytes(b"\x7fELF" + bytes([bits // 32]) + bytes(11))
        file.chmod(0o755)
    return files


class Build:
    """A Wine of another layout, in a folder of its own."""

    def __init__(self, root: Path, elf: dict[int, Path]) -> None:
        self.root = root
        self.elf = elf

    def add(self, name: str, bits: int) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.elf[bits], path)
        return path


@pytest.fixture
def build(tmp_path: Path, elf: dict[int, Path], monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setenv("PATH", str(tmp_path / "opt" / "bin"))
    return Build(tmp_path / "opt", elf)


def bitness(path: Path) -> int:
    return {1: 32, 2: 64}[path.read_bytes()[4]]


@pytest.mark.parametrize(("arch", "bits"), ARCHS)
def test_the_loader_here(arch: str, bits: int) -> None:
    loader = wine.find_loader(Config(), arch)
    assert loader.path.read_bytes()[:4] == b"\x7fELF", "a script costs a shell"
    if len(list(loader.path.parent.glob("wine*64"))) > 1:  # a loader for each architecture
        assert bitness(loader.path) == bits
    assert wine.supports(arch)


@pytest.mark.wine
@pytest.mark.win64
def test_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = wine.find_loader(Config(), "win64").path
    monkeypatch.setenv("PATH", "/nowhere")
    loader = wine.find_loader(Config(), "win64")
    assert loader.path == expected
    assert Path(loader.found) in wine.WELL_KNOWN


@pytest.mark.wine
@pytest.mark.win64
def test_version_needs_no_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINEPREFIX", str(tmp_path / "none"))
    loader = wine.find_loader(Config(), "win64")
    said = subprocess.run([loader.path, "--version"], capture_output=True, text=True, check=True).stdout
    assert f"wine-{wine.version(loader)}\n" == said
    assert wine.version(loader)[0].isdigit()
    assert not (tmp_path / "none").exists()


@pytest.mark.wine
@pytest.mark.win64
def test_the_server_here(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = wine.find_loader(Config(), "win64")
    server = wine.find_wineserver(loader)
    said = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    assert wine.version(loader).split()[0] in said.stdout + said.stderr
    monkeypatch.setenv("WINESERVER", "/my/wineserver")
    assert wine.find_wineserver(loader) == Path("/my/wineserver")


def test_a_loader_for_each_architecture(build: Build) -> None:
    wine64, wine32 = build.add("bin/wine64", 64), build.add("bin/wine", 32)
    build.add("lib64/wine/x86_64-unix/ntdll.so", 64)
    build.add("lib/wine/i386-unix/ntdll.so", 32)
    server = build.add("bin/wineserver", 64)
    assert wine.find_loader(Config(), "win64") == (wine64, "PATH")
    assert wine.find_loader(Config(), "win32") == (wine32, "PATH")
    assert wine.find_wineserver(wine.find_loader(Config(), "win32")) == server


def test_a_single_loader(build: Build) -> None:
    """Wine from 10.2 on: one 64-bit loader, 32-bit programs within 64-bit processes."""
    single = build.add("bin/wine", 64)
    build.add("lib/wine/x86_64-unix/ntdll.so", 64)
    assert not wine.supports("win32")
    (build.root / "lib/wine/i386-windows").mkdir()
    (build.root / "lib/wine/i386-windows/ntdll.dll").write_bytes(b"MZ")
    assert wine.supports("win32")
    assert wine.find_loader(Config(), "win64").path == wine.find_loader(Config(), "win32").path == single


def test_without_the_32_bit_part(build: Build) -> None:
    """As on Debian with wine64 alone, even where the 32-bit libraries came without their loader."""
    build.add("bin/wine64", 64)
    build.add("lib/x86_64-linux-gnu/wine/x86_64-unix/ntdll.so", 64)
    (build.root / "lib/x86_64-linux-gnu/wine/i386-windows").mkdir()
    build.add("lib/i386-linux-gnu/wine/i386-unix/ntdll.so", 32)
    assert wine.supports("win64")
    assert not wine.supports("win32")
    with pytest.raises(AgentStartError, match="cannot run win32 programs; .*apt-get install .*wine32:i386"):
        wine.find_loader(Config(), "win32")


def test_without_the_64_bit_part(build: Build) -> None:
    build.add("bin/wine", 32)
    build.add("lib/i386-linux-gnu/wine/i386-unix/ntdll.so", 32)
    assert wine.supports("win32")
    with pytest.raises(AgentStartError, match="cannot run win64 programs; .*apt-get install .*wine64"):
        wine.find_loader(Config(), "win64")


def test_wine_6_had_its_libraries_in_one_folder(build: Build) -> None:
    build.add("bin/wine64", 64)
    build.add("lib/x86_64-linux-gnu/wine/ntdll.so", 64)
    assert (wine.supports("win64"), wine.supports("win32")) == (True, False)


def test_links_lead_to_the_installation(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As WineHQ installs: /usr/bin/wine is a link to /opt/wine-stable/bin/wine."""
    wine64, _ = build.add("bin/wine64", 64), build.add("bin/wine", 32)
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "wine").symlink_to(build.root / "bin" / "wine")
    monkeypatch.setenv("PATH", str(tmp_path / "links"))
    assert wine.find_loader(Config(), "win64").path == wine64


def test_a_users_own_script_is_used_as_it_is(build: Build) -> None:
    script = build.root / "bin" / "wine"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\nexec /usr/lib/wine/wine64 $*\n")
    script.chmod(0o755)
    assert wine.find_loader(Config(), "win64").path == script
    assert wine.supports("win32"), "of a script nothing is known"


def test_the_configured_loader_goes_first(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build.add("bin/wine", 64)
    own = Build(tmp_path / "own", build.elf).add("wine64", 64)
    monkeypatch.setenv("WINBRIDGE_WINE", str(own))
    assert wine.find_loader(Config(), "win64") == (own, "environment variable WINBRIDGE_WINE")
    assert wine.find_loader(Config(), "win32").path == own


def test_a_configured_loader_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(AgentStartError, match=r"/none/wine \(keyword argument: wine\) does not exist"):
        wine.find_loader(Config(wine="/none/wine"), "win64")
    (tmp_path / "wine").write_text("")
    with pytest.raises(AgentStartError, match="is not a program that may be executed"):
        wine.find_loader(Config(wine=tmp_path / "wine"), "win64")
    assert not wine.supports("win64", Config(wine="/none/wine"))


def test_no_wine_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(wine, "WELL_KNOWN", ())
    with pytest.raises(AgentStartError, match="Wine was not found .*; install it: sudo apt-get install .*wine64"):
        wine.find_loader(Config(), "win64")
    assert not wine.supports("win32")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/bin/sh\necho broken >&2; exit 1\n", "does not answer --version as Wine does: broken"),
        ("#!/bin/sh\necho 1.0\n", "does not answer --version as Wine does: 1.0"),
        ("#!/no/shell\n", "cannot be run"),
    ],
)
def test_version_of_what_is_no_wine(tmp_path: Path, text: str, message: str) -> None:
    script = tmp_path / "wine"
    script.write_text(text)
    script.chmod(0o755)
    with pytest.raises(AgentStartError, match=message):
        wine.version(wine.find_loader(Config(wine=script), "win64"))


def test_no_server(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    build.add("bin/wine", 64)
    monkeypatch.setattr(wine, "WELL_KNOWN", ())
    with pytest.raises(AgentStartError, match="wineserver was not found beside"):
        wine.find_wineserver(wine.find_loader(Config(), "win64"))


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(prefix="/p", wine_debug="+relay")
    found = wine.environment(config)
    assert (found["WINEPREFIX"], found["WINEDEBUG"]) == ("/p", "+relay")
    assert set(found["WINEDLLOVERRIDES"].removesuffix("=").split(",")) == {"mscoree", "mshtml", "winemenubuilder.exe"}
    assert "WINEARCH" not in found
    assert {name: found[name] for name in os.environ} == dict(os.environ)
    monkeypatch.setenv("WINEARCH", "win32")
    monkeypatch.setenv("WINEDLLOVERRIDES", "d3d9=n")
    monkeypatch.setenv("WINEPREFIX", "/elsewhere")
    found = wine.environment(config)
    assert (found["WINEARCH"], found["WINEDLLOVERRIDES"], found["WINEPREFIX"]) == ("win32", "d3d9=n", "/p")
