"""What every measuring process does alike."""

import json
import os


def report(name, **found):
    """Print a figure, or why there is none."""
    print(json.dumps({"workload": name, **found}), flush=True)


def keep_to(cores):
    """Use only so many cores; 0 is all."""
    if cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
