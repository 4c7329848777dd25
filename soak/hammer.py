"""Threads that call through several sessions at once: ``python -m soak.hammer DLLS SECONDS [THREADS]``.

Every thread uses every session, so each session has as many channels, and Windows threads, as there are threads
here. Whatever comes back belongs to the thread that asked: numbers, texts, buffers, callbacks, last errors, faults
and thread ids are different in each and checked. It prints one line of JSON: what was done, and the errors.
"""

from __future__ import annotations

import ctypes
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import winbridge

THREADS = 32
ARCHS = ("win64", "win64", "win32", "win32")
SESSIONS = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}

Check = Callable[[random.Random], bool]


class Caller:
    """One thread's view of one session: what it calls, and whether the answer is the one it must be."""

    def __init__(self, types: winbridge.CtypesSession, session: winbridge.SessionEngine, dlls: Path) -> None:
        folder = dlls / session.arch
        self._dll = session.load_dll(folder / "specimen.dll", convention="cdecl", use_last_error=True)
        self._back = session.load_dll(folder / "caller.dll", convention="cdecl")
        self._back.repeat.restype = types.c_longlong
        self._dll.echo_int64.argtypes, self._dll.echo_int64.restype = [types.c_longlong], types.c_longlong
        self._dll.read_at.argtypes = [ctypes.c_void_p]
        self._callback = types.CFUNCTYPE(types.c_longlong, types.c_longlong)
        self._thread = self._dll.thread_id()
        self.checks: dict[str, Check] = {
            "numbers": self._numbers,
            "texts": self._texts,
            "buffers": self._buffers,
            "callbacks": self._callbacks,
            "last errors": self._last_errors,
            "faults": self._faults,
            "thread ids": lambda _: self._dll.thread_id() == self._thread,
        }

    def _numbers(self, chance: random.Random) -> bool:
        number = chance.getrandbits(62)
        return bool(self._dll.echo_int64(number) == number)

    def _texts(self, chance: random.Random) -> bool:
        text = "".join(chance.choices("abcdefgh", k=chance.randrange(200)))
        buffer = ctypes.create_unicode_buffer(text)
        self._dll.wide_upper(buffer)
        return buffer.value == text.upper()

    def _buffers(self, chance: random.Random) -> bool:
        size, byte = chance.choice((1, 100, 5000, 400_000)), chance.randrange(1, 256)
        buffer = ctypes.create_string_buffer(size + 1)
        self._dll.fill(buffer, size, byte)
        return buffer.raw == bytes([byte]) * size + b"\0"

    def _callbacks(self, chance: random.Random) -> bool:
        factor, count = chance.randrange(1 << 30), chance.randrange(1, 6)
        inner = self._dll.add

        def called(value: int) -> int:  # calls within a callback go over the same channel
            return int(inner(value, 1)) * factor

        return bool(
            self._back.repeat(self._callback(called), count) == factor * count * (count + 1) // 2 + count * count
        )

    def _last_errors(self, chance: random.Random) -> bool:
        code = chance.getrandbits(31)
        self._dll.fail_with(code)
        return winbridge.get_last_error() == code and self._dll.last_error() == code

    def _faults(self, chance: random.Random) -> bool:
        address = chance.randrange(16, 60000)
        try:
            self._dll.read_at(address)
        except winbridge.WindowsFault as fault:
            return fault.address == address
        return False


class Hammer:
    """The threads, and what they did."""

    def __init__(self, sessions: list[winbridge.SessionEngine], dlls: Path, threads: int) -> None:
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        self._sessions = [(winbridge.CtypesSession(session=session), session) for session in sessions]
        self._dlls = dlls
        self._together = threading.Barrier(threads + 1)
        self._end = 0.0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def run(self, seconds: float) -> float:
        """Let them work; returns the seconds that it took."""
        for thread in self._threads:
            thread.start()
        self._end = time.monotonic() + 3600  # until all are ready
        self._together.wait()
        started = time.monotonic()
        self._end = started + seconds
        for thread in self._threads:
            thread.join()
        return time.monotonic() - started

    def _run(self, number: int) -> None:
        done: Counter[str] = Counter()
        try:
            callers = [Caller(types, session, self._dlls) for types, session in self._sessions]
            self._together.wait()
            chance = random.Random(number)
            while time.monotonic() < self._end:
                name, check = chance.choice([*chance.choice(callers).checks.items()])
                done[name] += 1
                if not check(chance):
                    self._fail(f"thread {number}: {name}: a wrong answer")
        except BaseException as error:
            self._fail(f"thread {number}: {error!r}")
            self._together.abort()
        finally:
            with self._lock:
                self.done += done

    def _fail(self, error: str) -> None:
        with self._lock:
            self.errors.append(error)


def main(dlls: str, seconds: str, threads: str = str(THREADS)) -> None:
    sessions = [SESSIONS[arch].apart() for arch in ARCHS]
    hammer = Hammer(sessions, Path(dlls), int(threads))
    took = hammer.run(float(seconds))
    channels = [len(session._channels) for session in sessions]
    for session in sessions:
        session.close()
    shown = {"threads": int(threads), "sessions": list(ARCHS), "seconds": took, "done": dict(hammer.done)}
    print(json.dumps({**shown, "errors": hammer.errors, "channels left": channels}))


if __name__ == "__main__":
    main(*sys.argv[1:])
