"""Which bytes of two equally long pieces differ."""

from __future__ import annotations

import re

from winbridge.core.impl import step

PIECE = 4096
"""Bytes that are compared at a time."""

_EACH = re.compile(rb"[^\0]+")
_TOGETHER = re.compile(rb"[^\0]+(?:\0{1,16}[^\0]+)*")


@step("carry")
def carry(memory: memoryview, before: bytes, after: bytes) -> None:
    """Bring a change into memory that may have changed there too: what this change did not touch stays.

    Args:
        memory: what to change.
        before, after: what it was known to hold, and what it is to hold.
    """
    if len(before) <= 8:
        memory[:] = after
        return
    runs = _TOGETHER if memory.tobytes() == before else _EACH
    for start in range(0, len(before), PIECE):
        old, new = before[start : start + PIECE], after[start : start + PIECE]
        if old != new:
            difference = int.from_bytes(old, "little") ^ int.from_bytes(new, "little")
            for run in runs.finditer(difference.to_bytes(len(old), "little")):
                low, high = run.span()
                memory[start + low : start + high] = new[low:high]
