"""Stands between a client and its agent as ssh would, and sees to it that no request needs a shared machine.

    python relay.py RECORD COMMAND...

Frames from standard input go to the command, whose output and end are this program's. What was carried is written to
RECORD.<pid>; a request for shared memory ends the agent, with a word on standard error.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from winbridge.core import wire
from winbridge.core.wire import Op

NEEDS_ONE_MACHINE = {Op.OPEN_SHARED, Op.MAP, Op.SHARE, Op.UNSHARE}


def frames(source: BinaryIO) -> Iterator[bytes]:
    """Whole frames of the client, until it closes the stream."""
    while header := source.read(wire.FRAME.size):
        _, _, size, _, arena_size = wire.FRAME.unpack(header)
        yield header + source.read(size + arena_size)


def op_of(frame: bytes) -> int:
    return wire.op_of(frame[wire.FRAME.size :])


def carry(agent: subprocess.Popen[bytes], record: str) -> None:
    with open(f"{record}.{os.getpid()}", "wb", buffering=0) as carried:
        for frame in frames(sys.stdin.buffer):
            if op_of(frame) in NEEDS_ONE_MACHINE:
                print(f"relay: {Op(op_of(frame)).name} needs memory that is shared", file=sys.stderr, flush=True)
                agent.kill()
                return
            carried.write(frame)
            agent.stdin.write(frame)
    agent.stdin.close()


def carried(record: Path) -> list[bytes]:
    """The frames that relays wrote to a record."""
    found = []
    for part in record.parent.glob(f"{record.name}.*"):
        with part.open("rb") as file:
            found += frames(file)
    return found


def main() -> None:
    record, *command = sys.argv[1:]
    agent = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
    threading.Thread(target=carry, args=(agent, record), daemon=True).start()
    status = agent.wait()
    os._exit(status if status >= 0 else 128 - status)  # the thread may wait for more: nothing to clean up


if __name__ == "__main__":
    main()
