"""What is measured: the letters of the command line, and the figures behind each."""

from __future__ import annotations

from typing import NamedTuple

SECONDS, BYTES, RATE, SHARE, SPEED = "seconds", "bytes", "per second", "share", "bytes per second"


class Workload(NamedTuple):
    """One figure.

    Attributes:
        letter: of ``--only``.
        name: in the results.
        title: in the tables.
        unit: of its values.
    """

    letter: str
    name: str
    title: str
    unit: str = SECONDS


CALLS = (
    Workload("a", "two_ints", "(a) two ints"),
    Workload("b", "ten_floats", "(b) ten floats sorted through a pointer"),
    Workload("c", "nine_callbacks", "(c) nine callbacks on structures"),
    Workload("d", "nested_pointers", "(d) structure with nested pointers"),
    Workload("e", "big_buffer", "(e) 16 MiB in and out"),
    Workload("f", "many_calls", "(f) one of many calls, in a loop"),
)
OWN_CALLS = (
    Workload("e", "memcpy", "memcpy of 16 MiB"),
    Workload("e", "shared_big_buffer", "16 MiB in and out, shared_array"),
    Workload("e", "shared_read_4_KiB", "a byte of a shared_array of 4 KiB"),
    Workload("e", "shared_read_16_MiB", "a byte of a shared_array of 16 MiB"),
    Workload("f", "mapped_calls", "one of 100,000 calls, map"),
    Workload("f", "vectorized_calls", "one of a million calls, vectorize"),
)
ASLEEP = Workload("a", "asleep", "two ints, both sides asleep")
STARTS = (
    Workload("g", "import", "import"),
    Workload("g", "session", "session and first call, warm"),
    Workload("g", "first_call", "whole program to its first answer, warm"),
    Workload("g", "cold_session", "session and first call, cold"),
    Workload("g", "cold_first_call", "whole program to its first answer, cold"),
)
COUNTS = (1, 4, 16, 64)
MANY = tuple(
    workload
    for count in COUNTS
    for workload in (
        Workload("h", f"open_{count}", f"open one of {count} sessions"),
        Workload("h", f"memory_{count}", f"private memory of one of {count}, both sides", BYTES),
        Workload("h", f"agent_memory_{count}", f"private memory of one of {count}, its agent", BYTES),
        Workload("h", f"throughput_{count}", f"calls a second of {count} sessions", RATE),
    )
)
THREADS = 8
CONSUMED = (
    Workload("i", "idle", "processor time of 4 idle sessions after a burst", SHARE),
    Workload("i", "long_call_1", "processor time of one long DLL call", SHARE),
    Workload("i", "long_call_1_one_core", "the same on one core", SHARE),
    Workload("i", f"long_call_{THREADS}", f"processor time of {THREADS} threads in long DLL calls", SHARE),
)
ALL = (*CALLS, *OWN_CALLS, ASLEEP, *STARTS, *MANY, *CONSUMED)
LETTERS = tuple(sorted({workload.letter for workload in ALL}))
BY_NAME = {workload.name: workload for workload in ALL}
