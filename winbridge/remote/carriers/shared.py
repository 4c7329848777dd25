"""Shared memory between two processes of one machine, beside a stream that wakes who sleeps.

The memory holds two rings of bytes, one each way::

    page 0    token, then for each ring four words: WRITTEN, READ, ASLEEP
    then      the rings

Only the writer of a ring changes WRITTEN, only its reader READ and ASLEEP; the first two count bytes since the start. A
reader that finds nothing looks again for some microseconds, then it sets ASLEEP and sleeps in a read of the stream. A
writer that sees ASLEEP after it has changed WRITTEN sends a byte there. The end of the stream is the end of the
connection, as without the memory.

Each side must see the other's words in the order in which they were written, and none must read a word earlier than
it has written another. x86-64 guarantees the first, a lock's atomic instruction the second; on other processors there
is no shared memory.
"""

from __future__ import annotations

import _thread
import mmap
import os
import time
from itertools import repeat
from typing import TYPE_CHECKING

from winbridge.remote.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winbridge.remote.carriers.contract import Carrier, Part

    Ring = tuple[int, int]

PAGE = 4096
RING = 1 << 22
"""Bytes of a ring. With less, one side more often waits for the other; memory that is not used yet costs nothing."""

SIZE = PAGE + 2 * RING
TOKEN = 16
WRITTEN, READ, ASLEEP = 0, 1, 2
FIRST: Ring = (8, PAGE)
"""The ring that the side writes which made the memory: its first word, and where its bytes begin."""
SECOND: Ring = (16, PAGE + RING)

PATIENCE = 0.00006
"""Seconds that a reader looks before it sleeps: what being woken costs both sides, and a bit."""

LOOKS = 10
"""How often it looks before it lets others have the processor. The peer may be among them: a writer to a stream is
expected to sleep soon, so who is woken by it is put on its processor (WF_SYNC in Linux's scheduler)."""

LONGEST_PAUSE = 8
"""After so many times in vain it looks only at every 256th message: the peer is slow, or the processors are busy."""

YIELDS = 20
"""How often a writer that waits for room only lets others have the processor; then it naps."""

NAP = 0.00001
LONGEST_NAP = 0.002
"""Seconds; naps are longer each time."""


def possible() -> bool:
    """Whether there is shared memory here, and a second processor, without which it only costs."""
    return hasattr(os, "memfd_create") and os.uname().machine == "x86_64" and len(os.sched_getaffinity(0)) > 1


class Memory:
    """Memory that both sides see. Made by one side, found by the other."""

    def __init__(self, descriptor: int, maker: bool) -> None:
        self.mapped = mmap.mmap(descriptor, SIZE)
        self.writes, self.reads = (FIRST, SECOND) if maker else (SECOND, FIRST)

    def token(self) -> str:
        return self.mapped[:TOKEN].hex()

    def close(self) -> None:
        self.mapped.close()


class Offer:
    """Memory of ours, and how the peer finds it: a descriptor of ours, and a token that tells it from others."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("winbridge-remote")
        os.ftruncate(self._descriptor, SIZE)
        os.pwrite(self._descriptor, os.urandom(TOKEN), 0)
        self.memory: Memory | None = Memory(self._descriptor, True)
        self.text = f"{self.memory.token()} {os.getpid()} {self._descriptor}"

    def take(self) -> Memory:
        """The peer has it too: from now on it belongs to the caller."""
        memory, self.memory = self.memory, None
        assert memory is not None
        return memory

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self.memory is not None:
            self.memory.close()


def find(offer: str) -> Memory | None:
    """The memory that a peer offers; None if it cannot be had, in a container for one."""
    try:
        token, process, number = offer.split()
        descriptor = os.open(f"/proc/{int(process)}/fd/{int(number)}", os.O_RDWR | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if os.fstat(descriptor).st_size != SIZE:
            return None
        memory = Memory(descriptor, False)
    finally:
        os.close(descriptor)
    if memory.token() == token:
        return memory
    memory.close()
    return None


class SharedCarrier:
    """The rings, and the stream beside them; both belong to the carrier from now on."""

    waits = True

    def __init__(self, stream: Carrier, memory: Memory) -> None:
        self.name = f"shared memory, {stream.name}"
        self._stream = stream
        self._memory = memory
        whole = memoryview(memory.mapped)
        words = whole[:PAGE].cast("Q")
        (out_word, out_at), (in_word, in_at) = memory.writes, memory.reads
        self._out_words, self._in_words = words[out_word : out_word + 4], words[in_word : in_word + 4]
        self._out, self._in = whole[out_at : out_at + RING], whole[in_at : in_at + RING]
        self._views = [self._out_words, self._in_words, self._out, self._in, words, whole]
        self._written = self._read = 0
        self._bell = memoryview(bytearray(64))
        self._fence = _thread.allocate_lock()
        self._in_vain = self._pause = 0
        self._in_pieces = False
        self.taken: list[int] = []
        self._shut = False

    # -- reading

    def fill(self, room: memoryview) -> int:
        if self.taken:
            return self.taken[0]
        there = self._in_words[WRITTEN] - self._read or self._look() or self._sleep()
        if not 0 <= there <= RING:
            raise ProtocolError("the peer spoils the shared memory")
        count = there if there < len(room) else len(room)
        start = self._read % RING
        if start + count <= RING:
            room[:count] = self._in[start : start + count]
        else:
            first = RING - start
            room[:first] = self._in[start:]
            room[first:count] = self._in[: count - first]
        taken = [count]
        # No call is in these lines, so no interrupt comes between them.
        self._read += count
        self._in_words[READ] = self._read
        self.taken = taken
        return count

    def _look(self) -> int:
        """Look for a while whether something comes, if that was worth while lately; how much has."""
        if self._pause:
            self._pause -= 1
            return 0
        words, read = self._in_words, self._read
        until = time.perf_counter() + PATIENCE
        while time.perf_counter() < until:
            for _ in repeat(None, LOOKS):
                if words[WRITTEN] != read:
                    self._in_vain = 0
                    return words[WRITTEN] - read
            os.sched_yield()
        self._in_vain = min(self._in_vain + 1, LONGEST_PAUSE)
        self._pause = (1 << self._in_vain) - 1
        return 0

    def _sleep(self) -> int:
        """Sleep until something has come; 0 when nothing more will."""
        words = self._in_words
        while not self._shut:
            words[ASLEEP] = 1
            with self._fence:
                pass
            there = words[WRITTEN] - self._read
            if there or not self._ring():
                words[ASLEEP] = 0
                return there or words[WRITTEN] - self._read
        return 0

    def wait(self, timeout: float | None) -> bool:
        if self._in_words[WRITTEN] != self._read or self._shut:
            return True
        if timeout is not None and timeout <= 0:
            return False
        try:
            return self._wait(None if timeout is None else time.monotonic() + timeout)
        finally:
            self._in_words[ASLEEP] = 0

    def _wait(self, deadline: float | None) -> bool:
        words = self._in_words
        while True:
            words[ASLEEP] = 1
            with self._fence:
                pass
            if words[WRITTEN] != self._read:
                return True
            if not self._stream.wait(None if deadline is None else deadline - time.monotonic()):
                return False
            if words[WRITTEN] != self._read or not self._ring():
                return True

    def _ring(self) -> int:
        """Take what was sent to wake us; 0 at the end."""
        count = self._stream.fill(self._bell)
        self._stream.taken = []
        return count

    # -- writing

    def whole(self) -> bool:
        if not self._in_pieces:
            self._wake()
        return not self._in_pieces

    def write(self, parts: Sequence[Part]) -> None:
        self._written = self._out_words[WRITTEN]  # what was not published was interrupted, and never sent
        self._in_pieces = False
        for part in parts:
            size = len(part)
            start = self._written % RING
            if size <= RING - start and size <= RING - (self._written - self._out_words[READ]):
                self._out[start : start + size] = part
                self._written += size
            else:
                self._write_pieces(memoryview(part))
        self._publish()
        self._in_pieces = False

    def _publish(self) -> None:
        self._out_words[WRITTEN] = self._written
        self._wake()

    def _wake(self) -> None:
        with self._fence:
            pass
        if self._out_words[ASLEEP]:
            self._stream.write([b"\0"])

    def _write_pieces(self, part: memoryview) -> None:
        self._in_pieces = True
        done = 0
        while done < len(part):
            start = self._written % RING
            count = min(len(part) - done, self._room(), RING - start, RING // 4)
            self._out[start : start + count] = part[done : done + count]
            self._written += count
            done += count
            self._publish()

    def _room(self) -> int:
        """Wait for room; how much there is."""
        words, turns = self._out_words, 0
        room = RING - (self._written - words[READ])
        if room <= 0:
            self._publish()
        while room <= 0:
            if self._shut:
                raise BrokenPipeError("the connection was closed")
            turns += 1
            time.sleep(0 if turns < YIELDS else min(NAP * turns, LONGEST_NAP))
            room = RING - (self._written - words[READ])
        if room > RING:
            raise ProtocolError("the peer spoils the shared memory")
        return room

    def writable(self) -> bool:
        return RING - (self._written - self._out_words[READ]) > PAGE and self._stream.writable()

    # -- the end

    def shut_down(self) -> None:
        self._shut = True
        self._stream.shut_down()

    def close(self) -> None:
        self._shut = True
        self._stream.close()
        views, self._views = self._views, []
        for view in views:
            view.release()
        if views:
            self._memory.close()

    def disown(self) -> None:
        self._stream.disown()
