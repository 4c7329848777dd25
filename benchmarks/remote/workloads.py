"""What is measured: letters of the command line that follow those of the DLL calls, and the figures behind each."""

from __future__ import annotations

from benchmarks.workloads import BYTES, RATE, SPEED, Workload

CALL = Workload("j", "call", "(j) a call")
ONE_CORE = Workload("j", "call_one_core", "(j) a call, one core")
TWO_CORES = Workload("j", "call_two_cores", "(j) a call, a core each")
MAPPED = Workload("k", "mapped", "(k) calls a second, gathered", RATE)
SUBMITTED = Workload("k", "submitted", "(k) calls a second, a message each", RATE)
ECHO_BYTES = Workload("l", "echo_bytes", "(l) 16 MiB of bytes there and back", SPEED)
ECHO_ARRAY = Workload("l", "echo_array", "(l) a numpy array of 16 MiB", SPEED)
APPEND = Workload("m", "append", "(m) append to a list that is there")
CONNECT = Workload("n", "connect", "(n) start and first answer")
CONNECT_AGAIN = Workload("n", "connect_again", "(n) a second one")
IMPORT = Workload("o", "import", "(o) import")
MEMORY = Workload("p", "memory", "(p) private memory of the process", BYTES)

WITHIN = (CALL, MAPPED, SUBMITTED, ECHO_BYTES, ECHO_ARRAY, APPEND, CONNECT, CONNECT_AGAIN, MEMORY)
"""What the process measures that has started another one."""

PLACED = {1: ONE_CORE, 2: TWO_CORES}
"""A call again, by how many cores both processes are kept to."""

ALL = (*WITHIN, *PLACED.values(), IMPORT)
LETTERS = tuple(sorted({workload.letter for workload in ALL}))
BY_NAME = {workload.name: workload for workload in ALL}
