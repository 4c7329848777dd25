"""After the whole run no process, shared memory, thread or descriptor may be left over."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path

import pytest


def descriptors() -> set[str]:
    """What our descriptors refer to, those of winbridge: memory, pipes, processes."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if "memfd:winbridge" in target or "pidfd" in target or target.startswith("pipe:"):
            found.add(f"{entry.name} -> {target}")
    return found


def agents() -> list[str]:
    """Agents that are children of this process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")[0], *text.rpartition(")")[1:]
        if "winbridge" in name and int(rest.split()[1]) == os.getpid():
            found.append(text)
    return found


def wardens() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("winbridge")]


def heap_segments() -> list:
    """The heap belongs to the process, not to a session: it stays."""
    from winbridge.core.heap import heap

    return [segment for size in (4, 8) for segment in heap(size).segments]


def mappings() -> list[str]:
    found = [line for line in Path("/proc/self/maps").read_text().splitlines() if "memfd:winbridge" in line]
    ours = [(segment.address, segment.address + segment.size) for segment in heap_segments()]
    starts = [int(line.partition("-")[0], 16) for line in found]
    return [line for line, at in zip(found, starts, strict=True) if not any(low <= at < high for low, high in ours)]


def segments() -> set[str]:
    return {str(path) for path in Path("/dev/shm").glob("*winbridge*")}


@pytest.fixture(scope="session", autouse=True)
def nothing_left():
    before = descriptors()
    yield
    from winbridge.core.session import SessionEngine

    SessionEngine.close_all()
    gc.collect()
    assert agents() == []
    assert mappings() == []
    assert segments() == set()
    heaps = {f"{segment.descriptor} -> " for segment in heap_segments()}
    assert {found for found in descriptors() - before if found.partition("/")[0] not in heaps} == set()
    deadline = time.monotonic() + 5
    while wardens() and time.monotonic() < deadline:
        os.sched_yield()
    assert wardens() == []
