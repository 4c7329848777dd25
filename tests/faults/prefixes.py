"""Faults of the Wine prefix."""

from __future__ import annotations

import os
import shutil

import pytest

from tests import test_prefix
from tests.faults.machine import said_by
from tests.faults.matrix import EACH_ARCH, ONCE, ONLY_32, Bench, agent_of, gone, row
from winbridge import AgentStartError

GROUP = "The Wine prefix"
NOT_HERE = ()
"""Sides of rows whose scenario is a test of its own."""


@row(
    GROUP,
    "removed while a session runs",
    seen=None,
    after="The session, with what is loaded and with DLLs by path; Windows' own DLLs are not found any more. The next"
    " session makes a new prefix.",
    sides=ONCE,
    slow=True,
)
def removed_under_a_session(bench: Bench) -> None:
    prefix = bench.spare_prefix()
    session = bench.open(prefix=prefix)
    server = session.transport.link.agent.server
    kernel32 = session.load_dll("kernel32")
    assert kernel32.MulDiv(6, 7, 1) == 42
    shutil.rmtree(prefix)
    assert kernel32.MulDiv(6, 7, 1) == 42 and bench.dll(session).add(2, 3) == 5
    with pytest.raises(FileNotFoundError, match="no DLL 'winmm'"):
        session.load_dll("winmm")
    process = agent_of(session)
    session.close()
    assert gone(process, 0) and gone(server)
    assert bench.dll(prefix=prefix).add(2, 3) == 5


@row(GROUP, "read-only", seen=AgentStartError, within=1, after="Sessions with another prefix.", sides=EACH_ARCH)
def read_only(bench: Bench) -> None:
    bench.need_mounts()
    code = """
import ctypes, subprocess
assert ctypes.CDLL(None).unshare(0x20000) == 0
prefix = sys.argv[4]
for command in (["--make-rprivate", "/"], ["--bind", prefix, prefix], ["-o", "remount,bind,ro", prefix]):
    subprocess.run(["mount", *command], check=True)
try: open_session(prefix=prefix)
except winbridge.AgentStartError as error: print(error)
print(culprit(open_session()).add(2, 3))
"""
    prefix = bench.spare_prefix()
    first, last = said_by(bench, code, prefix).splitlines()
    assert f"the Wine prefix {prefix} is read-only" in first and last == "5"


@row(
    GROUP, "belongs to another user", seen=AgentStartError, within=1, after="Sessions with another prefix.", sides=ONCE
)
def of_another_user(bench: Bench) -> None:
    if os.geteuid():
        pytest.skip("NOT RUN: only root can give a folder away")
    prefix = bench.spare_prefix()
    os.chown(prefix, 65534, -1)
    bench.strike(lambda: None)
    with bench.noticed("belongs to another user"):
        bench.open(prefix=prefix)
    assert bench.dll().add(2, 3) == 5


@row(
    GROUP,
    "made by a Wine without 32 bit",
    seen=None,
    after="The 32-bit part is added at the first session that needs it, with progress.",
    sides=ONLY_32,
    slow=True,
)
def without_32_bit(bench: Bench) -> None:
    prefix = bench.spare_prefix()
    for file in (prefix / "drive_c" / "windows" / "syswow64").iterdir():
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    assert bench.dll(prefix=prefix).add(2, 3) == 5


row(
    GROUP,
    "the disk is full when it is made",
    seen=AgentStartError,
    after="Nothing is left; with room, the next start makes it.",
    sides=NOT_HERE,
    slow=True,
)(test_prefix.test_full_disk)
row(
    GROUP,
    "its creation is killed",
    seen=None,
    after="The next start removes what is left, processes too, and makes it.",
    sides=NOT_HERE,
    slow=True,
)(test_prefix.test_a_killed_creation_is_no_prefix_and_is_cleared_away)
row(
    GROUP,
    "Ctrl-C while it is made",
    seen=KeyboardInterrupt,
    after="Nothing is left; the next start makes it.",
    sides=NOT_HERE,
    slow=True,
)(test_prefix.test_an_interrupt_clears_away_at_once)
row(
    GROUP,
    "two processes make it at once",
    seen=None,
    after="One makes it, the other waits; both work.",
    sides=NOT_HERE,
    slow=True,
)(test_prefix.test_two_processes_make_one_prefix_that_runs_programs)
row(
    GROUP,
    "something else is in its place, or it cannot be made there",
    seen=AgentStartError,
    after="What is there is not touched.",
    sides=NOT_HERE,
)(test_prefix.test_anything_else_in_its_place_is_left_alone)
