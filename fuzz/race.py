"""``make race``: slots in shared memory under ThreadSanitizer, the agent's C at one side, the extension's at the other.

Both sides are threads of one process here, as a race detector needs: the agent's own sources (compiled for Linux, see
``native/fuzz``) serve, and the C extension's ``Slot`` asks, with and without spinning, with callbacks in between.
"""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import os
import re
import subprocess
import sys
import threading
import time
from typing import Any

from fuzz import build
from fuzz.build import ROOT

CALLERS = 3
SPINS = (0, 20, 100)
"""Microseconds, one for each caller: always asleep, sometimes, hardly ever."""

SUM, CALLS_THUNK = 1, 3
THUNK = 0xA7 << 56


class Caller(threading.Thread):
    """A client's thread with a slot of its own; checks every answer."""

    def __init__(self, agent: ctypes.CDLL, spin: int, until: float) -> None:
        super().__init__()
        from winbridge.core.impl import chosen
        from winbridge.core.transport import slot
        from winbridge.core.wire import SLOT

        self.memory = mmap.mmap(-1, SLOT["ARENA"] + 65536)
        self.calls = self.callbacks = 0
        self._until = until
        self._ends = [*os.pipe(), *os.pipe()]
        requests, wake, woken, wakes = self._ends
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        assert agent.race_open(ctypes.c_void_p(address), ctypes.c_size_t(len(self.memory)), requests, wakes, spin)
        kind = type("Channel", (chosen(slot.Slot),), {"_death": self._fail, "_given_up": self._fail})
        view = memoryview(self.memory)[: SLOT["ARENA"]]
        self._slot = kind(view, wake, woken, spin, (16, 256), 0.5)

    def _fail(self, *_: object) -> Exception:
        return RuntimeError("the agent's side is gone")

    def _ask(self, op: int, *values: int, target: int = 0) -> Any:
        from winbridge.core import wire

        return self._slot.exchange(wire.request(op, wire.words(8, *values), target=target, flags=wire.Result.INT64))

    def run(self) -> None:
        from winbridge.core.wire import Op, Status

        assert self._ask(Op.THUNK_NEW, 5, 32, 0, 7)[0] == Status.OK
        while time.monotonic() < self._until:
            for number in range(200):
                assert self._ask(Op.CALL, number, self.calls, target=SUM)[2] == number + self.calls
                self.calls += 1
            record = self._ask(Op.CALL, THUNK, target=CALLS_THUNK)
            assert record[0] == Status.CALLBACK and len(record[9]) == 64, record
            assert self._ask(Op.CALL, 1, 2, target=SUM)[2] == 3  # within the callback
            assert self._ask(Op.CALLBACK_RETURN, self.callbacks)[2] == self.callbacks
            self.callbacks += 1

    def leave(self) -> None:
        self.join()
        os.close(self._ends[1])


def hammer(seconds: int) -> None:
    """The process that the sanitizer watches."""
    spec = importlib.util.spec_from_file_location("winbridge._native", os.environ["RACE_EXTENSION"])
    assert spec and spec.loader
    module = sys.modules["winbridge._native"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    agent = ctypes.CDLL(os.environ["RACE_AGENT"])
    agent.race_prepare()
    callers = [Caller(agent, spin, time.monotonic() + seconds) for spin in SPINS]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.leave()
    agent.race_end()
    counts = sum(caller.calls for caller in callers), sum(caller.callbacks for caller in callers)
    print(f"{counts[0]:,} calls and {counts[1]:,} callbacks by {len(callers)} threads in {seconds} s", flush=True)
    # The interpreter's own end is not what is watched.
    os._exit(0 if all(caller.callbacks for caller in callers) else 3)


def main() -> int:
    runtime = build.sanitizer()
    if runtime is None:
        print("NOT RUN: gcc with ThreadSanitizer (libtsan) is missing; on Debian run: apt-get install gcc")
        return 0
    environment = {
        "LD_PRELOAD": str(runtime),
        "RACE_AGENT": str(build.library()),
        "RACE_EXTENSION": str(build.extension()),
        "WINBRIDGE_IMPL": "native",
        # What Python itself does between its own threads it does under its lock, unseen by the sanitizer.
        "TSAN_OPTIONS": "ignore_noninstrumented_modules=1 report_signal_unsafe=0",
    }
    seconds = os.environ.get("SECONDS_EACH", "10")
    # -R: the sanitizer needs addresses where it expects them.
    command = ["setarch", "-R", sys.executable, "-m", "fuzz.race", seconds]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    races = set(re.findall(r"^SUMMARY: ThreadSanitizer: (.*)$", done.stderr, re.MULTILINE))
    print(done.stdout, end="")
    if done.returncode or races:
        print(done.stderr, file=sys.stderr)
    print(f"races: {len(races)}", *sorted(races), sep="\n    ")
    return 1 if done.returncode or races else 0


if __name__ == "__main__":
    hammer(int(sys.argv[1])) if len(sys.argv) > 1 else sys.exit(main())
