"""``docs/ctypes_names.rst`` is true: it has each name of ctypes on Windows, and what it says of each is so."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import ROOT
from tests.cpython.launch import watched
from winbridge import CtypesSession
from winbridge.core import paths, wine
from winbridge.core.config import Config
from winbridge.core.prefix import ensure

pytestmark = pytest.mark.wine
PAGE = ROOT / "docs" / "ctypes_names.rst"
PYTHONS = ROOT / ".cache" / "windows-python"
NO_PYTHON = "NO WINDOWS PYTHON in {}: THE NAMES OF ctypes ARE NOT TESTED. Make one: python scripts/windows_python.py"

HOMES = {
    "ctypes": "winbridge.ctypes",
    "ctypes.util": "winbridge.ctypes.util",
    "ctypes.wintypes": "winbridge.ctypes.wintypes",
    "_ctypes": "winbridge.ctypes._ctypes",
}
STATES = ["works", "local", "refused", "absent"]

ASK = """
import importlib, json, sys
names, sizes = {}, {}
for module in sys.argv[2:]:
    names[module] = importlib.import_module(module)
for name, thing in vars(names["ctypes.wintypes"]).items():
    if isinstance(thing, type):
        sizes[name] = names["ctypes"].sizeof(thing)
found = {module: [name for name in dir(there) if not name.startswith("__")] for module, there in names.items()}
with open(sys.argv[1], "w") as file:
    json.dump([found, sizes], file)
"""


class OnWindows(NamedTuple):
    """What the Windows Python says: the names of each module, and the size of each type of wintypes."""

    names: dict[str, list[str]]
    sizes: dict[str, int]


def ask(arch: str, folder: Path) -> OnWindows:
    python = PYTHONS / arch / "python.exe"
    if not python.exists():
        pytest.skip(NO_PYTHON.format(python.parent))
    config = Config()
    prefix = ensure(config)
    script, report = folder / "ask.py", folder / "report.json"
    script.write_text(ASK)
    arguments = [paths.unix_to_windows(file, prefix) for file in (script, report)]
    command = [str(wine.find_loader(config, arch).path), str(python), *arguments, *HOMES]
    ended, said = watched(command, wine.environment(config))
    assert ended == 0, said
    return OnWindows(*json.loads(report.read_text()))


def sections(text: str) -> dict[str, str]:
    """The page's sections on modules, by module."""
    parts = re.split(r"^``([\w.]+)``\n-+\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def states(section: str) -> dict[str, str]:
    """What a section's table says of each name."""
    rows = re.findall(r"^    \* - (``(?s:.*?))\n      - (\w+)\n", section, re.MULTILINE)
    pairs = [(name, state) for names, state in rows for name in re.findall(r"``(\w+)``", names)]
    found = dict(pairs)
    assert len(found) == len(pairs), "a name stands there twice"
    return found


def counts(text: str) -> dict[str, list[int]]:
    """The numbers that the page quotes: names, and those of each state."""
    rows = re.findall(r"^    \* - ``([\w.]+)``\n((?:      - \d+\n){5})", text, re.MULTILINE)
    return {module: [int(number) for number in re.findall(r"\d+", numbers)] for module, numbers in rows}


def told(module: str, names: list[str]) -> dict[str, str]:
    """What the page says of each name of a module; of wintypes it says it of all at once."""
    if module != "ctypes.wintypes":
        return states(sections(PAGE.read_text())[module])
    return {name: "absent" if name == "ctypes" else "works" for name in names}


def ours(module: str) -> Any:
    for name in ("_endian", "util", "wintypes"):
        importlib.import_module(f"winbridge.ctypes.{name}")
    return importlib.import_module(HOMES[module])


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> OnWindows:
    return ask("win64", tmp_path_factory.mktemp("names"))


@pytest.mark.parametrize("module", HOMES)
def test_the_page_has_each_name_and_no_other(windows: OnWindows, module: str) -> None:
    assert sorted(told(module, windows.names[module])) == sorted(windows.names[module])


@pytest.mark.parametrize("module", HOMES)
def test_what_the_page_says_is_so(windows: OnWindows, module: str) -> None:
    there = ours(module)
    for name, state in told(module, windows.names[module]).items():
        assert state in STATES, (name, state)
        assert hasattr(there, name) == (state != "absent"), (name, state)


@pytest.mark.parametrize("module", HOMES)
def test_the_counts_of_the_page(windows: OnWindows, module: str) -> None:
    found = list(told(module, windows.names[module]).values())
    assert counts(PAGE.read_text())[module] == [len(found), *[found.count(state) for state in STATES]]


def test_what_is_refused_says_why() -> None:
    ctypes = ours("ctypes")
    refused = [name for name, state in told("ctypes", []).items() if state == "refused"]
    assert refused == ["PyDLL", "pydll"]
    for load in (ctypes.PyDLL, ctypes.pydll.LoadLibrary):
        with pytest.raises(OSError, match="another process"):
            load("kernel32")


def test_wintypes_are_as_large_as_there(arch: str, tmp_path: Path) -> None:
    sizes = ask(arch, tmp_path).sizes
    assert len(sizes) > 100
    with CtypesSession(arch=arch) as ctypes:
        here = {name: ctypes.sizeof(getattr(ctypes.wintypes, name)) for name in sizes}
    assert here == sizes
