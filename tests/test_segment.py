"""Where shared memory lies: places that are free in every agent."""

from __future__ import annotations

from pathlib import Path

import pytest

import winbridge
from winbridge.core.transport.segment import RANGES

EVERYDAY = ("user32", "advapi32", "ole32", "oleaut32", "shell32", "ws2_32", "winmm", "comctl32", "ucrtbase")
pytestmark = pytest.mark.wine


def taken(pid: int) -> list[tuple[int, int, str]]:
    """The address ranges of a process: start, end, the whole line."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        low, _, high = line.split()[0].partition("-")
        found.append((int(low, 16), int(high, 16), line))
    return found


def test_nothing_of_wine_lies_where_segments_go(arch):
    """A segment of the heap cannot be moved: an agent that has something there already could not use it."""
    kind = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[arch]
    with kind() as session:
        for name in EVERYDAY:
            session.load_dll(name)
        low, high = RANGES[session.pointer_size]
        inside = [
            line for start, end, line in taken(session.transport.link.agent.process.pid) if start < high and end > low
        ]
        assert inside  # its channel
        assert [line for line in inside if "memfd:winbridge" not in line] == []
