"""Paths both ways, judged by the file system and, at the end, by Wine itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from winbridge.core import prefix as wine_prefix
from winbridge.core import wine
from winbridge.core.config import Config
from winbridge.core.paths import is_windows_path, unix_to_windows, windows_to_unix


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """The links that Wine makes, one more drive, and a link of another kind."""
    folder = tmp_path / "p"
    (folder / "dosdevices").mkdir(parents=True)
    (folder / "drive_c" / "Program Files" / "App").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    for name, target in {
        "c:": "../drive_c",
        "z:": "/",
        "d:": str(tmp_path / "data"),
        "com1": "/dev/ttyS0",
        "e::": "/dev/sr0",
    }.items():
        (folder / "dosdevices" / name).symlink_to(target)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C:\\x", True),
        ("c:/x", True),
        ("C:", True),
        ("C:x.dll", True),
        ("\\\\?\\unix\\x", True),
        ("\\x", True),
        ("lib\\x.dll", True),
        ("kernel32", False),
        ("kernel32.dll", False),
        ("/x", False),
        ("/x\\y", False),
        ("./x\\y", False),
        ("lib/x.dll", False),
        ("~/x", False),
        ("", False),
    ],
)
def test_is_windows_path(text: str, expected: bool) -> None:
    assert is_windows_path(text) is expected


def test_nearest_drive_wins(prefix: Path, tmp_path: Path) -> None:
    assert unix_to_windows(prefix / "drive_c" / "a" / "b.dll", prefix) == "C:\\a\\b.dll"
    assert unix_to_windows(tmp_path / "data" / "x", prefix) == "D:\\x"
    assert unix_to_windows("/nowhere/u/x", prefix) == "Z:\\nowhere\\u\\x"
    assert unix_to_windows("/", prefix) == "Z:\\"
    assert unix_to_windows(prefix / "drive_c", prefix) == "C:\\"
    assert unix_to_windows(str(prefix / "drive_cx"), prefix).startswith("Z:\\")


def test_links_are_followed_to_a_drive(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(prefix / "drive_c")
    assert unix_to_windows(tmp_path / "short" / "x", prefix) == "C:\\x"
    assert unix_to_windows(tmp_path / "short" / ".." / "x", prefix) == unix_to_windows(prefix / "x", prefix)


def test_relative_paths_start_here(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prefix / "drive_c")
    assert unix_to_windows("x/./y", prefix) == "C:\\x\\y"
    assert unix_to_windows(".", prefix) == "C:\\"
    assert windows_to_unix("program files\\app\\new.txt", prefix) == f"{prefix}/drive_c/Program Files/App/new.txt"
    assert windows_to_unix("..\\dosdevices\\.", prefix) == f"{prefix}/dosdevices"
    assert windows_to_unix("\\Program Files", prefix) == f"{prefix}/drive_c/Program Files"


@pytest.mark.parametrize("name", ["a:b", "what?", "st*r", "dot.", "space ", "<x", "dot./x"])
def test_names_that_windows_would_alter(prefix: Path, name: str) -> None:
    path = f"/srv/{name}"
    windows = unix_to_windows(path, prefix)
    assert windows == "\\\\?\\unix\\srv\\" + name.replace("/", "\\")
    assert windows_to_unix(windows, prefix) == path


def test_without_a_drive(prefix: Path) -> None:
    (prefix / "dosdevices" / "z:").unlink()
    assert unix_to_windows("/srv/x", prefix) == "\\\\?\\unix\\srv\\x"
    assert unix_to_windows("/srv/x", prefix / "missing") == "\\\\?\\unix\\srv\\x"


def test_a_backslash_in_a_name_cannot_be(prefix: Path) -> None:
    with pytest.raises(ValueError, match="holds a backslash"):
        unix_to_windows("/srv/a\\b", prefix)


@pytest.mark.parametrize(
    ("windows", "unix"),
    [
        ("C:\\a\\b", "{prefix}/drive_c/a/b"),
        ("c:/a/b", "{prefix}/drive_c/a/b"),
        ("C:\\", "{prefix}/drive_c"),
        ("C:\\PROGRAM FILES\\app", "{prefix}/drive_c/Program Files/App"),
        ("C:\\program files\\None\\Such", "{prefix}/drive_c/Program Files/None/Such"),
        ("C:\\x\\..\\..\\..\\y", "{prefix}/drive_c/y"),
        ("\\\\?\\C:\\a", "{prefix}/drive_c/a"),
        ("\\\\.\\C:\\a", "{prefix}/drive_c/a"),
        ("\\??\\C:\\a", "{prefix}/drive_c/a"),
        ("Z:\\dev\\null", "/dev/null"),
        ("Z:\\DEV\\Null", "/dev/null"),
        ("Z:\\", "/"),
        ("\\\\?\\unix\\dev\\null", "/dev/null"),
        ("\\\\?\\UNIX/dev/shm", "/dev/shm"),
        ("\\\\?\\unix\\DEV\\null", "/DEV/null"),
    ],
)
def test_windows_to_unix(prefix: Path, windows: str, unix: str) -> None:
    assert windows_to_unix(windows, prefix) == unix.format(prefix=prefix)


def test_the_exact_name_goes_first(prefix: Path) -> None:
    for name in ("File", "FILE", "file2"):
        (prefix / "drive_c" / name).touch()
    assert windows_to_unix("C:\\FILE", prefix).endswith("/FILE")
    assert windows_to_unix("C:\\File", prefix).endswith("/File")
    assert windows_to_unix("C:\\file", prefix).endswith("/FILE")
    assert windows_to_unix("C:\\FILE2", prefix).endswith("/file2")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("Q:\\x", "has no such drive, it has C:, D:, Z:; a link adds one: ln -s FOLDER .*/dosdevices/q:"),
        ("C:x", "relative to the working directory of drive C:"),
        ("\\\\server\\share\\x", "a network or a device"),
        ("\\\\?\\UNC\\server\\share", "a network or a device"),
        ("\\\\.\\COM1", "a network or a device"),
    ],
)
def test_what_has_no_unix_path(prefix: Path, path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        windows_to_unix(path, prefix)


OPEN = r"""
#include <windows.h>
int wmain(int count, wchar_t **arguments) {
    for (int i = 1; i < count; i++)
        if (GetFileAttributesW(arguments[i]) == INVALID_FILE_ATTRIBUTES) return i;
    return 0;
}
"""


@pytest.mark.wine
@pytest.mark.win64
def test_wine_opens_what_we_convert(tmp_path: Path) -> None:
    config = Config()
    place = wine_prefix.ensure(config)
    (tmp_path / "open.c").write_text(OPEN)
    program = tmp_path / "open.exe"
    subprocess.run(["x86_64-w64-mingw32-gcc", "-municode", tmp_path / "open.c", "-o", program], check=True)
    files = [tmp_path / name for name in ("plain", "a:b", "what?", "dot.", "space ", "naïve", "nul", "<x")]
    for file in files:
        file.touch()
    files.append(place / "drive_c" / "windows" / "system32" / "kernel32.dll")
    converted = [unix_to_windows(file, place) for file in files]
    assert converted[-1] == "C:\\windows\\system32\\kernel32.dll"
    run = subprocess.run(
        [wine.find_loader(config, "win64").path, program, *converted],
        env=wine.environment(config) | {"LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert run.returncode == 0, f"Wine does not find {converted[run.returncode - 1]}"
    assert [windows_to_unix(text, place) for text in converted] == [os.fspath(file) for file in files]
