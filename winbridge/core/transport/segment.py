"""Memory that this process and an agent both see, at the same address in both.

A segment is a memfd: it has no name in any file system, nobody else can open it, it needs no
room in /dev/shm, and it is gone with the last process that holds it, however that one ends. The
agent opens it (and the pipes for waking) by the path ``/proc/PID/fd/N``, which the kernel
allows to processes of the same user. Its mode is 0600 all the same, and its size is fixed: a file that
was cut shorter would end with SIGBUS whoever touches the missing part.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import threading
import weakref
from collections.abc import Iterator

GRANULE = 65536
"""Windows maps files at multiples of this (SYSTEM_INFO.dwAllocationGranularity)."""

# Where the two sides agree to map. 64 bit: far from anything that Linux or Wine place by
# themselves. 32 bit: below 2 GiB, between the stack that Wine reserves under 0x40000000 and its DLLs,
# the lowest of which (zlib1) lies at 0x63080000.
RANGES = {8: (0x2000_0000_0000, 0x3000_0000_0000), 4: (0x4100_0000, 0x6200_0000)}

PROT_READ_WRITE = 3
MAP_SHARED = 1
MAP_FIXED = 0x10
MAP_FIXED_NOREPLACE = 0x100000
MADV_REMOVE = 9

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def _somewhere(low: int, high: int) -> int:
    """A place in the lower half of a range, another in each process."""
    return low + int.from_bytes(os.urandom(4), "little") % ((high - low) // 2 // GRANULE) * GRANULE


def _starts() -> dict[tuple[int, bool], int]:
    """Where the search begins, by pointer size and use: the heap below the middle of a range, the rest above it.

    A session on a gateway has the gateway's own channels beside copies of its clients' heaps, at the clients'
    addresses.
    """
    starts = {}
    for width, (low, high) in RANGES.items():
        middle = (low + high) // 2 // GRANULE * GRANULE
        starts[width, True] = _somewhere(low, middle)
        starts[width, False] = _somewhere(middle, high)
    return starts


_next = _starts()
_lock = threading.RLock()
os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.RLock()))


def windows_path(descriptor: int) -> str:
    """The path by which a Windows program of this user opens one of our descriptors."""
    return f"\\\\?\\unix\\proc\\{os.getpid()}\\fd\\{descriptor}"


def _file(size: int) -> int:
    """A descriptor of a new memfd (memfd_create(2), file sealing in fcntl(2)).

    Raises:
        MemoryError: the system gives no memory for it.
    """
    descriptor = os.memfd_create("winbridge", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.fchmod(descriptor, 0o600)
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError as error:
        os.close(descriptor)
        raise MemoryError(f"no memory for a shared segment of {size} bytes: {error.strerror}") from error
    return descriptor


def _candidates(size: int, pointer_size: int, heap: bool) -> list[int]:
    """Addresses to try, from where the last search ended; each address is tried once a round."""
    low, high = RANGES[pointer_size]
    step = -(-size // GRANULE) * GRANULE
    with _lock:
        start = _next[pointer_size, heap]
        if start + step > high:
            start = low
        _next[pointer_size, heap] = start + step
    count = min((high - low) // step, 4096)
    return [low + (start - low + index * step) % (high - low - step + GRANULE) for index in range(count)]


def _written(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The ranges of a file that are no holes."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole from here on
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


class Segment:
    """A mapped memfd.

    Args:
        size: bytes, a multiple of GRANULE.
        pointer_size: 8 or 4: which side's range the address comes from.
        heap: whether it is a part of the heap.

    Attributes:
        address: where it lies, here and in the agent.
        view: its bytes.

    Raises:
        MemoryError: no address is free, or no memory.
    """

    def __init__(self, size: int, pointer_size: int, heap: bool = False) -> None:
        self.size = size
        self.descriptor = _file(size)
        try:
            self.address = self._map(pointer_size, heap)
        except BaseException:
            os.close(self.descriptor)
            raise
        memory = (ctypes.c_ubyte * size).from_address(self.address)
        unmap = weakref.finalize(memory, _libc.munmap, self.address, size)
        unmap.atexit = False
        self.view = memoryview(memory).cast("B")

    def _map(self, pointer_size: int, heap: bool) -> int:
        for address in _candidates(self.size, pointer_size, heap):
            found = _libc.mmap(
                address, self.size, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, self.descriptor, 0
            )
            if found == address:
                return address
            if found not in (None, ctypes.c_void_p(-1).value):  # kernels before 4.17 take the address as a hint
                _libc.munmap(found, self.size)
        raise MemoryError(f"no free address for a shared segment of {self.size} bytes ({pointer_size * 8} bit)")

    @property
    def path(self) -> str:
        """The path by which the agent opens it, until ``seal()``."""
        return windows_path(self.descriptor)

    def seal(self) -> None:
        """Close the descriptor, by which the agent opened it; Wine's server keeps one of its own while it is mapped."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def fork(self) -> None:
        """In a forked child: put a copy of its own in the place of what it shares with its parent."""
        descriptor = _file(self.size)
        for start, end in _written(self.descriptor, self.size):
            os.pwrite(descriptor, self.view[start:end], start)
        _libc.mmap(self.address, self.size, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0)
        os.close(self.descriptor)
        self.descriptor = descriptor

    def clear(self) -> None:
        """Give its memory back to the system: it reads as zeros."""
        _libc.madvise(self.address, self.size, MADV_REMOVE)

    def close(self) -> None:
        """Give it up; safe to repeat. It is unmapped here when nobody has a part of the view any more."""
        self.seal()
        self.view.release()
