"""Run the cases of the drop-in: under a Windows Python's own ctypes, or under winbridge's.

A script for both: ``python dropin_cases.py windows|winbridge DLL FOLDER REPORT``. Each case adds a line to the report
when it begins, and one when it is over; those that the report has already are not run again, so that what a case
crashed can go on with the next. The last line is ``END``: a process that crashes may well end with 0.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from tests import (
    dropin_callbacks,
    dropin_calls,
    dropin_com,
    dropin_function_objects,
    dropin_memory,
    dropin_messages,
    dropin_threads,
)
from tests.dropin_registry import ALONE, CASES

MODULES = [
    dropin_calls, dropin_callbacks, dropin_com, dropin_function_objects, dropin_memory, dropin_messages, dropin_threads
]  # fmt: skip

END = "the end"

STACK = "ctypes gave up checking the stack in 3.8; winbridge tells"

DIFFERENCES: dict[str, tuple[str, str]] = {
    "calling_null": ("", "ctypes calls every access that is no read a write, and leaves winerror None"),
    "cdecl_by_windll": ("win32", STACK),
    "missing_libraries": ("", "winbridge says where it was searched for; ctypes only guesses"),
    "stdcall_by_cdll": ("win32", STACK),
    "stdcall_too_few_undeclared": ("win32", STACK),
    "stdcall_too_many_undeclared": ("win32", STACK),
    "win_error_of_an_unsigned_code": ("", "ctypes takes no code above 2**31; winbridge takes both ways to write it"),
}
"""Cases that differ on purpose: where (an architecture; empty for both), and why."""


def main(side, dll, folder, report):
    """Run all cases; returns nothing, the report has it."""
    if side == "windows":
        import ctypes as c
    else:
        from winbridge import ctypes as c
    os.environ["DROPIN_FOLDER"] = folder
    faulthandler.disable()  # vectored: it would tell of the faults that the cases cause on purpose
    with open(report) as file:
        done = {json.loads(line)[0] for line in file}
    cases = dict(CASES)
    if side == "winbridge":
        cases.update({name: function for name, (function, _) in ALONE.items()})
    with open(report, "a") as file:
        for name, function in cases.items():
            if name in done:
                continue
            print(json.dumps([name]), file=file, flush=True)
            print(json.dumps([name, result(function, c, dll)]), file=file, flush=True)

        print(json.dumps([END]), file=file, flush=True)


def result(function, c, dll):
    """What a case returns, or how it failed."""
    try:
        return function(c, c.CDLL(dll))
    except Exception:
        return {"case failed": traceback.format_exc()}


if __name__ == "__main__":
    main(*sys.argv[1:])
