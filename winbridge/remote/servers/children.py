"""Processes of a server: how they start, and that none outlives it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import winbridge

HERE = str(Path(winbridge.__file__).resolve().parent.parent)
PR_SET_PDEATHSIG = 1

DYING_WITH = "import ctypes, os\rctypes.CDLL(None).prctl(1, 9)\ros.getppid() == {parent} or os._exit(1)\r"
"""What ``die_with`` does, in a Python that has no winbridge yet."""

PATIENCE = 1.0
"""Seconds that a child gets to end when its connection has ended."""


def start(module: str, descriptors: Sequence[int], *arguments: str) -> subprocess.Popen[bytes]:
    """Start a module of ours in a Python like this one.

    The thread that calls has to live as long as the child may: the kernel ends the child with it. Standard output of
    the child goes where ours has standard error, its standard input is empty. Ctrl-C in our terminal does not reach it.

    Args:
        module: its name.
        descriptors: which it inherits.
        *arguments: for its command line.
    """
    path = os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", module, str(os.getpid()), *arguments],
        pass_fds=descriptors, stdin=subprocess.DEVNULL, stdout=2, env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )  # fmt: skip


def die_with(parent: int) -> None:
    """In a child, first of all: end with the parent, also when that is killed (PR_SET_PDEATHSIG in prctl(2))."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before that
        os._exit(1)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a child that was not waited for yet, and the processes that it has started itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def outcome(status: int) -> str:
    """What a status of subprocess means, for messages."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
