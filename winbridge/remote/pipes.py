"""Pipes of this process's own that one can wait for and look into before reading.

On Linux that is poll(2). On Windows, where nothing waits for an anonymous pipe, they are named pipes with overlapped
reads of no bytes, which end when there is something to read, as ``multiprocessing.connection.wait`` has it.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOM = 1 << 16
"""Bytes that a pipe holds, and that are read at once."""

if sys.platform == "win32":
    import _winapi
    import msvcrt
    import uuid

    INBOUND = _winapi.PIPE_ACCESS_INBOUND | _winapi.FILE_FLAG_OVERLAPPED | _winapi.FILE_FLAG_FIRST_PIPE_INSTANCE
    BYTES = _winapi.PIPE_WAIT  # PIPE_TYPE_BYTE and PIPE_READMODE_BYTE are 0

    class Pipe:
        """A pipe; ``writer`` is the descriptor that is written to."""

        def __init__(self) -> None:
            name = rf"\\.\pipe\winbridge-{os.getpid()}-{uuid.uuid4().hex}"
            self.handle = _winapi.CreateNamedPipe(name, INBOUND, BYTES, 1, ROOM, ROOM, 0, 0)
            end = _winapi.CreateFile(name, _winapi.GENERIC_WRITE, 0, 0, _winapi.OPEN_EXISTING, 0, 0)
            _winapi.ConnectNamedPipe(self.handle, overlapped=True).GetOverlappedResult(True)
            self.writer = msvcrt.open_osfhandle(end, os.O_BINARY)
            self.waiting: Any = None

        def read(self) -> bytes:
            """What is there; empty when all writers are gone."""
            try:
                reading, _ = _winapi.ReadFile(self.handle, ROOM, overlapped=True)
                reading.GetOverlappedResult(True)
            except BrokenPipeError:
                return b""
            return bytes(reading.getbuffer())

        def pending(self) -> bool:
            """Whether there is something to read."""
            try:
                return bool(_winapi.PeekNamedPipe(self.handle)[0])
            except BrokenPipeError:
                return True

        def event(self) -> int:
            """Of a read of no bytes."""
            if self.waiting is None:
                self.waiting, _ = _winapi.ReadFile(self.handle, 0, overlapped=True)
            return int(self.waiting.event)

        def settle(self) -> None:
            if self.waiting is not None and _winapi.WaitForSingleObject(self.waiting.event, 0) == _winapi.WAIT_OBJECT_0:
                self.waiting = None

    class Pipes:
        """Several pipes to wait for."""

        def __init__(self, pipes: Sequence[Pipe]) -> None:
            self._pipes = list(pipes)

        def ready(self) -> list[Pipe]:
            """Those that have something to read now."""
            return [pipe for pipe in self._pipes if pipe.pending()]

        def wait(self) -> None:
            """Wait until one has something to read."""
            if not self.ready():
                events = [pipe.event() for pipe in self._pipes]
                _winapi.WaitForMultipleObjects(events, False, _winapi.INFINITE)
                for pipe in self._pipes:
                    pipe.settle()

        def remove(self, pipe: Pipe) -> None:
            """Leave one out from now on."""
            self._pipes.remove(pipe)

    PROTECTED = 2  # HANDLE_FLAG_PROTECT_FROM_CLOSE
    STANDARD = -10  # STD_INPUT_HANDLE; output and error are the numbers below

    def redirect(descriptor: int, stream: int) -> None:
        """Have a standard stream (0, 1, 2) lead where a descriptor does, for all code in this process.

        There are two C runtimes in it, each with its own table: Python's, and ``msvcrt.dll``, which mingw's DLLs use
        and which was loaded with the program. Both tables have the same handle, so neither may close it.
        """
        import ctypes

        kernel32, runtime = ctypes.WinDLL("kernel32"), ctypes.CDLL("msvcrt")
        before, own = msvcrt.get_osfhandle(stream), _winapi.GetCurrentProcess()
        kernel32.SetHandleInformation(ctypes.c_void_p(before), PROTECTED, PROTECTED)
        os.dup2(descriptor, stream)
        handle = msvcrt.get_osfhandle(stream)
        kernel32.SetStdHandle(STANDARD - stream, ctypes.c_void_p(handle))
        copy = _winapi.DuplicateHandle(own, handle, own, 0, True, _winapi.DUPLICATE_SAME_ACCESS)
        other = runtime._open_osfhandle(ctypes.c_void_p(copy), 0)
        runtime._dup2(other, stream)
        runtime._close(other)
        kernel32.SetHandleInformation(ctypes.c_void_p(before), PROTECTED, 0)
        _winapi.CloseHandle(before)

else:
    import select

    def redirect(descriptor: int, stream: int) -> None:
        """Have a standard stream (0, 1, 2) lead where a descriptor does, for all code in this process."""
        os.dup2(descriptor, stream)

    class Pipe:
        """A pipe; ``writer`` is the descriptor that is written to."""

        def __init__(self) -> None:
            self.reader, self.writer = os.pipe()

        def read(self) -> bytes:
            """What is there; empty when all writers are gone."""
            return os.read(self.reader, ROOM)

    class Pipes:
        """Several pipes to wait for."""

        def __init__(self, pipes: Sequence[Pipe]) -> None:
            self._pipes = {pipe.reader: pipe for pipe in pipes}
            self._poll = select.poll()
            for reader in self._pipes:
                self._poll.register(reader, select.POLLIN)

        def ready(self) -> list[Pipe]:
            """Those that have something to read now."""
            return [self._pipes[reader] for reader, _ in self._poll.poll(0)]

        def wait(self) -> None:
            """Wait until one has something to read."""
            self._poll.poll()

        def remove(self, pipe: Pipe) -> None:
            """Leave one out from now on."""
            self._poll.unregister(pipe.reader)
