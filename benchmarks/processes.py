"""Running the measuring processes: each with its own time limit, and nothing left when it is over."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from benchmarks import contenders
from winbridge.core import wine

Line = dict[str, Any]

ROOM = 1 << 20
"""Bytes that a process may print before it has to wait for ever, as its output is read at its end."""


def lines_of(command: list[str], environment: dict[str, str], timeout: float) -> tuple[list[Line], str]:
    """Run a measuring process.

    The output is read when the process has ended and not to its end: what Wine started meanwhile, and leaves
    running, has it too. Pipes, because a Windows Python does not start with other handles.

    Returns:
        the figures that it printed, and why it ended badly ("" if it did not).
    """
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout and process.stderr
    for stream in (process.stdout, process.stderr):
        fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, ROOM)
    with process.stdout, process.stderr:
        problem = _wait(process, timeout)
        lines = [json.loads(line) for line in _drained(process.stdout).splitlines() if line.startswith("{")]
        errors = [line for line in _drained(process.stderr).splitlines() if line.strip()]
    if problem:
        problem = f"{problem}: {errors[-1]}" if errors else problem
    return lines, problem


def _wait(process: subprocess.Popen[bytes], timeout: float) -> str:
    try:
        status = process.wait(timeout)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # what ended by itself may have started services that others use
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        return f"not done within {timeout:.0f} s"
    return f"exit status {status}" if status else ""


def _drained(stream: IO[bytes]) -> str:
    """What is in the pipe by now."""
    os.set_blocking(stream.fileno(), False)
    return (stream.read() or b"").decode(errors="replace")


@contextmanager
def wine_server() -> Iterator[None]:
    """Wine's server of the benchmarks' prefix stays up meanwhile; afterwards none of its processes is left."""
    start_server()
    try:
        yield
    finally:
        stop_server()


def start_server() -> None:
    """Start one that stays: where a session started one, which goes with it, another would not start beside it."""
    stop_server()
    _server("-p")


def stop_server() -> None:
    """End it, with all processes of the prefix."""
    for option in ("-k", "-w"):
        _server(option)


def _server(option: str) -> None:
    config = contenders.config()
    program = wine.find_wineserver(wine.find_loader(config, "win64"))
    null = subprocess.DEVNULL
    command = [str(program), option]
    subprocess.run(command, env=wine.environment(config), stdin=null, stdout=null, stderr=null, check=False)
