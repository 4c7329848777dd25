"""The prefix: made once, whole or not at all, whatever interrupts. Every test here boots a real Wine."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from winbridge.core import prefix, wine
from winbridge.core.config import Config
from winbridge.core.errors import AgentStartError

pytestmark = [pytest.mark.wine, pytest.mark.slow]

ROOT = Path(__file__).parent.parent
ENSURE = """
import sys
from winbridge.core import prefix
from winbridge.core.config import Config
prefix.ensure(Config(prefix=sys.argv[1]), progress=lambda text: print(text, flush=True))
"""
COMPILERS = {"win64": "x86_64-w64-mingw32-gcc", "win32": "i686-w64-mingw32-gcc"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, emptied again: a prefix is over a gigabyte. Home is another empty one."""
    for name in [name for name in os.environ if name.startswith(("WINBRIDGE_", "WINE"))]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "place").mkdir()
    yield tmp_path / "place"
    for left in (*tmp_path.glob("place/*"), *tmp_path.glob("place/.*.new-*")):
        stop_server(left)
    shutil.rmtree(tmp_path / "place")


def stop_server(folder: Path) -> None:
    server = wine.find_wineserver(wine.find_loader(Config(), "win64"))
    for order in ("-k", "-w"):
        subprocess.run([server, order], env=os.environ | {"WINEPREFIX": str(folder)}, stderr=subprocess.DEVNULL)


def ensure_elsewhere(place: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE, str(place)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def loader_script(path: Path, text: str) -> str:
    """A loader that does something to its parent, and is Wine's own otherwise."""
    loader = wine.find_loader(Config(), "win64").path
    path.write_text(f"#!/bin/sh\n{text.format(loader=loader)}\n")
    path.chmod(0o755)
    return str(path)


def processes_in(folder: Path) -> list[str]:
    """Command lines of the processes whose prefix lies in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"WINEPREFIX={folder}" in (process / "environ").read_text(errors="replace"):
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it ended
    return found


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def bits_on_wine(place: Path, arch: str, scratch: Path) -> int:
    source, program = scratch / "bits.c", scratch / f"{arch}.exe"
    source.write_text("int main(void) { return sizeof(void *); }")
    subprocess.run([COMPILERS[arch], source, "-o", program], check=True)
    config = Config(prefix=place)
    return subprocess.run(
        [wine.find_loader(config, arch).path, program],
        env=wine.environment(config),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ).returncode


def test_two_processes_make_one_prefix_that_runs_programs(folder: Path, tmp_path: Path) -> None:
    place = folder / "deep" / "p [1]"
    first = ensure_elsewhere(place)
    assert first.stdout is not None
    assert "creating the Wine prefix" in first.stdout.readline()
    second = ensure_elsewhere(place)
    told, _ = second.communicate()
    assert "waiting for the process that makes the Wine prefix" in told
    assert "creating" not in told
    assert second.returncode == 0
    assert "created the Wine prefix" in first.communicate()[0]
    assert first.returncode == 0

    assert names_in(place.parent) == {"p [1]", ".p [1].lock"}
    assert processes_in(folder) == []
    assert (place / "user.reg").stat().st_size > 10_000
    assert (place / "system.reg").stat().st_size > 1_000_000
    assert bits_on_wine(place, "win64", tmp_path) == 8
    if wine.supports("win32"):
        assert bits_on_wine(place, "win32", tmp_path) == 4
    assert names_in(tmp_path / "home") == set()


def test_a_killed_creation_is_no_prefix_and_is_cleared_away(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed at the worst time: Wine is done and its server still runs."""
    script = loader_script(tmp_path / "wine", '{loader} "$@"; kill -KILL $PPID')
    killed = ensure_elsewhere(folder / "p", WINBRIDGE_WINE=script)
    killed.communicate()
    assert killed.returncode == -9
    assert not (folder / "p").exists()
    left = names_in(folder) - {".p.lock"}
    assert len(left) == 1
    assert processes_in(folder) != []

    caplog.set_level(logging.INFO, "winbridge.prefix")
    assert prefix.ensure(Config(prefix=folder / "p")) == folder / "p"
    assert "removing what an interrupted creation of" in caplog.text
    assert names_in(folder) == {"p", ".p.lock"}
    assert processes_in(folder) == []


def test_an_interrupt_clears_away_at_once(folder: Path, tmp_path: Path) -> None:
    script = loader_script(tmp_path / "wine", '{loader} "$@" & kill -INT $PPID; wait')
    interrupted = ensure_elsewhere(folder / "p", WINBRIDGE_WINE=script)
    told, _ = interrupted.communicate()
    assert "KeyboardInterrupt" in told
    assert names_in(folder) == {".p.lock"}


def test_a_wine_that_fails_is_quoted(folder: Path, tmp_path: Path) -> None:
    script = loader_script(tmp_path / "wine", "echo no luck today >&2; exit 3")
    with pytest.raises(AgentStartError) as caught:
        prefix.ensure(Config(prefix=folder / "p", wine=script))
    message = str(caught.value)
    assert f"the Wine prefix {folder / 'p'} could not be made: wineboot ended with status 3" in message
    assert "lacks system.reg" in message
    assert message.endswith("no luck today")
    assert names_in(folder) == {".p.lock"}


def test_full_disk(folder: Path) -> None:
    mounted = folder / "small"
    mounted.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=40m", "none", mounted], stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        with pytest.raises(AgentStartError, match="the disk is full, a prefix takes about"):
            prefix.ensure(Config(prefix=mounted / "p"))
        assert names_in(mounted) == {".p.lock"}
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_an_existing_prefix_is_used_as_it_is(folder: Path) -> None:
    (folder / "p").mkdir()
    (folder / "p" / "system.reg").write_text("WINE REGISTRY Version 2\n")
    (folder / "link").symlink_to("p")
    for name in ("p", "link"):
        assert prefix.ensure(Config(prefix=folder / name, wine="/nowhere")) == folder / name
    assert names_in(folder) == {"p", "link"}
    assert names_in(folder / "p") == {"system.reg"}


def test_anything_else_in_its_place_is_left_alone(folder: Path) -> None:
    (folder / "p").mkdir()
    (folder / "p" / "letter.txt").write_text("dear")
    (folder / "file").write_text("text")
    with pytest.raises(
        AgentStartError, match="folder with other contents and no Wine prefix.*nothing in it was touched"
    ):
        prefix.ensure(Config(prefix=folder / "p"))
    with pytest.raises(AgentStartError, match="is no folder and no Wine prefix"):
        prefix.ensure(Config(prefix=folder / "file"))
    assert names_in(folder) == {"p", "file"}
    assert names_in(folder / "p") == {"letter.txt"}


@pytest.mark.parametrize("place", ["/proc/nowhere/p", "/dev/null/p"])
def test_a_place_that_cannot_be_written(folder: Path, place: str) -> None:
    with pytest.raises(AgentStartError, match=f"the Wine prefix {place} could not be made") as caught:
        prefix.ensure(Config(prefix=place))
    assert isinstance(caught.value.__cause__, OSError)
    assert "WINBRIDGE_PREFIX=/path puts it elsewhere" in str(caught.value)
    assert "full" not in str(caught.value)


def test_main_says_what_it_does(folder: Path) -> None:
    command = [sys.executable, "-m", "winbridge.core.prefix"]
    environment = os.environ | {"WINBRIDGE_PREFIX": str(folder / "p")}
    first = subprocess.run(command, env=environment, capture_output=True, text=True)
    before, after = first.stdout.splitlines()
    assert before.startswith(f"creating the Wine prefix {folder / 'p'}: ")
    assert after.startswith(f"created the Wine prefix {folder / 'p'} in ")
    assert (first.returncode, first.stderr) == (0, "")
    second = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (second.returncode, second.stdout) == (0, f"the Wine prefix {folder / 'p'} is present\n")

    environment["WINBRIDGE_PREFIX"] = "/dev/null/p"
    failed = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert failed.returncode == 1
    assert "could not be made" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_terminal_gets_a_spinner(folder: Path, tmp_path: Path) -> None:
    """Standard error is a pseudo-terminal here."""
    script = loader_script(tmp_path / "wine", "exit 3")
    master, slave = os.openpty()
    environment = os.environ | {"WINBRIDGE_PREFIX": str(folder / "p"), "WINBRIDGE_WINE": script, "TERM": "xterm"}
    run = subprocess.run(
        [sys.executable, "-m", "winbridge.core.prefix"], env=environment, stdout=subprocess.PIPE, stderr=slave
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            shown += os.read(master, 65536)
        except OSError:  # all is read
            break
    os.close(master)
    assert run.returncode == 1
    assert b"creating the Wine prefix" in shown
    assert b"\x1b[" in shown
