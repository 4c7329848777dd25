"""What a process holds, as the kernel and Windows tell it."""

from __future__ import annotations

import ctypes
import os
import re
from ctypes import wintypes
from pathlib import Path

import winbridge
from winbridge.core.heap import heap

MEMORY = ("client memory", "heap memory", "agent memory")
"""Gauges in KiB; the others count things."""


# SYSTEM_PROCESS_INFORMATION (winternl.h): where an entry has the next one's offset, its threads, process id and
# handles, by pointer size. GetProcessHandleCount answers 0 on Wine 8.
NEXT, THREADS = 0, 4
PROCESS_AND_HANDLES = {8: (80, 96), 4: (68, 76)}
SYSTEM_PROCESS_INFORMATION = 5
INFO_LENGTH_MISMATCH = 0xC0000004


def private_memory(pid: int) -> int:
    """KiB that no other process shares and no file backs (proc(5), smaps_rollup).

    Clean pages of a file count as private or shared by who else runs just then.
    """
    found = re.search(r"^Private_Dirty: +(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def heap_memory() -> int:
    """KiB that the heap takes, which this process shares with the agents."""
    return sum(os.fstat(segment.descriptor).st_blocks for size in (4, 8) for segment in heap(size).segments) // 2


def shared_mappings(pid: int) -> int:
    """Segments of ours that are mapped."""
    return Path(f"/proc/{pid}/maps").read_text().count("memfd:winbridge")


def children(pid: int) -> int:
    """Processes that it started and that are there, or not yet waited for."""
    return sum(len(task.read_text().split()) for task in Path(f"/proc/{pid}/task").glob("*/children"))


def entries(folder: str) -> int:
    return len(os.listdir(folder))


def linux_gauges(name: str, pid: int) -> dict[str, int]:
    """What the kernel knows of a process."""
    return {
        f"{name} memory": private_memory(pid),
        f"{name} threads": entries(f"/proc/{pid}/task"),
        f"{name} descriptors": entries(f"/proc/{pid}/fd"),
        f"{name} segments": shared_mappings(pid),
    }


def client_gauges() -> dict[str, int]:
    """What this process holds, the heap and agents included, and what lies in /dev/shm under our name."""
    return {
        **linux_gauges("client", os.getpid()),
        "heap memory": heap_memory(),
        "child processes": children(os.getpid()),
        "/dev/shm": sum("winbridge" in name for name in os.listdir("/dev/shm")),
    }


class AgentGauges:
    """What the Windows process of a session holds.

    Args:
        session: an open one, on this machine.
    """

    def __init__(self, session: winbridge.SessionEngine) -> None:
        self._pid = session.transport.link.agent.process.pid
        self._process = winbridge.load_dll("kernel32", session=session).GetCurrentProcessId()
        self._layout = PROCESS_AND_HANDLES[session.pointer_size]
        self._query = winbridge.load_dll("ntdll", session=session).NtQuerySystemInformation
        self._query.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.POINTER(wintypes.DWORD)]
        self._query.restype = wintypes.DWORD
        self._room = ctypes.create_string_buffer(1 << 18)

    def __call__(self) -> dict[str, int]:
        return {**linux_gauges("agent", self._pid), **self._windows()}

    def _windows(self) -> dict[str, int]:
        status = self._query(SYSTEM_PROCESS_INFORMATION, self._room, len(self._room), wintypes.DWORD())
        if status == INFO_LENGTH_MISMATCH:
            self._room = ctypes.create_string_buffer(2 * len(self._room))
            return self._windows()
        process, handles = self._layout
        at = 0
        while self._number(at + process) != self._process:
            assert self._number(at + NEXT), "Windows does not know its own process"
            at += self._number(at + NEXT)
        return {"agent handles": self._number(at + handles), "agent Windows threads": self._number(at + THREADS)}

    def _number(self, offset: int) -> int:
        return int.from_bytes(self._room.raw[offset : offset + 4], "little")
