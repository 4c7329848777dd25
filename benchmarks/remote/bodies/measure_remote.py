"""One process of one contender: connects, measures, prints a line of JSON for each figure.

    python measure_remote.py OPTIONS

OPTIONS is JSON: ``kind`` (a module and a class), ``names`` (of the workloads), ``budget`` (seconds for each),
``cores`` (1: one for this process and the one that it starts; 2: one for each; 0: as the system likes).
"""

import importlib
import json
import os
import sys
import time
from pathlib import Path

from remote_workloads import RATES, WORKLOADS
from reporting import keep_to, report
from timing import measure


def connected(kind):
    """One that has answered its first call, and the seconds that took."""
    begun = time.perf_counter()
    remote = kind()
    assert remote.add(2, 3) == 5
    return remote, time.perf_counter() - begun


def measured(remote, name, budget):
    """One workload; what goes wrong is its result."""
    if name in remote.unable:
        return {"failure": remote.unable[name]}
    try:
        seconds = measure(WORKLOADS[name](remote), budget)
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {str(error)[:200]}"}
    return {"value": RATES[name] / seconds if name in RATES else seconds}


def private_bytes(process):
    """Memory that only this process has."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))


def keep_apart(process, other):
    """Keep all threads of two processes, and those that they start later, to a core each."""
    for each, core in zip((process, other), sorted(os.sched_getaffinity(0))):  # noqa: B905 - there may be more cores
        for thread in os.listdir(f"/proc/{each}/task"):
            os.sched_setaffinity(int(thread), {core})


def main():
    options = json.loads(sys.argv[1])
    if options["cores"] == 1:
        keep_to(1)
    module, _, name = options["kind"].partition(".")
    kind = getattr(importlib.import_module(module), name)
    kind.prepare()
    remote, seconds = connected(kind)
    report("connect", value=seconds)
    if options["cores"] == 2:
        keep_apart(os.getpid(), remote.process())
    if "connect_again" in options["names"]:
        another, seconds = connected(kind)
        report("connect_again", value=seconds)
        another.close()
    if "memory" in options["names"]:
        report("memory", value=private_bytes(remote.process()))
    for name in WORKLOADS:
        if name in options["names"]:
            report(name, **measured(remote, name, options["budget"]))
    remote.close()


if __name__ == "__main__":
    main()
