"""Faults of the start: Wine or the agent's file is missing, damaged or of another kind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.faults.matrix import EACH_ARCH, ONLY_32, Bench, row
from winbridge import AgentStartError
from winbridge.core import agent, wine, wire
from winbridge.core.config import Config

GROUP = "The start"
AGAIN = "When that is mended, the next session starts."


def start_fails_then_works(bench: Bench, match: str, **parameters: object) -> None:
    """Nothing is left of the failed start, and without its cause the next one works."""
    bench.kind.close_session()
    before = set(os.listdir("/proc/self/fd"))
    bench.strike(lambda: None)
    with bench.noticed(match):
        bench.open(**parameters)
    assert set(os.listdir("/proc/self/fd")) == before
    bench.monkeypatch.undo()
    assert bench.dll().add(2, 3) == 5


def loader(bench: Bench, text: str) -> Path:
    """A loader that does what a shell script says."""
    script = bench.folder / "wine"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return script


@row(
    GROUP,
    "Wine is missing",
    seen=AgentStartError,
    within=1,
    after=f"{AGAIN} The message has the command.",
    sides=EACH_ARCH,
)
def wine_missing(bench: Bench) -> None:
    bench.monkeypatch.setenv("PATH", str(bench.folder))
    bench.monkeypatch.setattr(wine, "WELL_KNOWN", ())
    start_fails_then_works(bench, "Wine was not found .* apt-get install")


@row(GROUP, "the configured Wine does not exist", seen=AgentStartError, within=1, after=AGAIN, sides=EACH_ARCH)
def wine_elsewhere(bench: Bench) -> None:
    start_fails_then_works(bench, r"/nowhere/wine \(keyword argument: wine\) does not exist", wine="/nowhere/wine")


@row(
    GROUP,
    "the Wine server of the prefix is of another version",
    seen=AgentStartError,
    within=1,
    after=f"{AGAIN} The message quotes Wine.",
    sides=EACH_ARCH,
)
def wine_of_another_version(bench: Bench) -> None:
    """Its words are those of Wine's own client; two Wines in one prefix are not at hand everywhere."""
    said = "wine client error:0: version mismatch 754/930."
    script = loader(bench, f"echo '{said}' >&2; exit 1")
    start_fails_then_works(bench, "ended before it greeted(?s:.*)version mismatch 754/930", wine=script)


@row(
    GROUP,
    "Wine is there without its 32-bit part",
    seen=AgentStartError,
    within=1,
    after="Sessions for win64. The message has the command that installs it.",
    sides=ONLY_32,
)
def wine_of_the_wrong_architecture(bench: Bench) -> None:
    real = wine.find_loader(Config(), "win64").path
    place, unix = bench.folder / "bin" / "wine64", bench.folder / "lib" / "wine" / "x86_64-unix"
    for folder in (place.parent, unix):
        folder.mkdir(parents=True)
    shutil.copy(real, place)
    shutil.copy(real, unix / "ntdll.so")  # only that it is a 64-bit ELF file is looked at
    start_fails_then_works(bench, "cannot run win32 programs; install that part: .*wine32:i386", wine=place)


@row(
    GROUP,
    "Wine hangs",
    seen=AgentStartError,
    after=f"{AGAIN} ``timeout_start`` says how long to wait.",
    sides=EACH_ARCH,
)
def wine_hangs(bench: Bench) -> None:
    script = loader(bench, "exec sleep 600")
    start_fails_then_works(bench, "did not greet within timeout_start=0.3 s", wine=script, timeout_start=0.3)


@row(GROUP, "the agent's file is missing", seen=AgentStartError, within=1, after=AGAIN, sides=EACH_ARCH)
def agent_missing(bench: Bench) -> None:
    bench.monkeypatch.setattr(agent, "AGENTS", bench.folder)
    start_fails_then_works(bench, "is missing: build it with `make agents`")


@row(
    GROUP,
    "the agent's file is damaged: cut short, zeroed, a text, for another processor",
    seen=AgentStartError,
    within=1,
    after=AGAIN,
    sides=EACH_ARCH,
)
def agent_damaged(bench: Bench) -> None:
    whole = agent.executable(bench.arch).read_bytes()
    other = agent.executable({"win64": "win32", "win32": "win64"}[bench.arch]).read_bytes()
    damaged = bench.folder / f"winbridge-agent{bench.arch[3:]}.exe"
    for data in (whole[:-1], whole[: len(whole) // 2], whole[:100], b"", bytes(len(whole)), b"not a program", other):
        damaged.write_bytes(data)
        bench.monkeypatch.setattr(agent, "AGENTS", bench.folder)
        start_fails_then_works(bench, "is damaged.*make agents")


@row(GROUP, "the agent is of another version", seen=AgentStartError, within=1, after=AGAIN, sides=EACH_ARCH)
def agent_of_another_version(bench: Bench) -> None:
    bench.monkeypatch.setattr(wire, "VERSION", 99)
    start_fails_then_works(bench, r"speaks version \d+ of the wire, this client 99")


@row(
    GROUP,
    "Ctrl-C while it starts",
    seen=KeyboardInterrupt,
    within=0.1,
    after="The next session starts; nothing is left.",
    sides=EACH_ARCH,
)
def interrupted_start(bench: Bench) -> None:
    script = loader(bench, f"kill -INT {os.getpid()}; exec sleep 600")
    before = set(os.listdir("/proc/self/fd"))
    with bench.noticed():
        bench.strike(lambda: None)
        bench.open(wine=script)
    assert set(os.listdir("/proc/self/fd")) == before
    assert bench.dll().add(2, 3) == 5
