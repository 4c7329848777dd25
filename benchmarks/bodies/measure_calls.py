"""One process of one contender: starts it, measures calls, prints a line of JSON for each figure.

    python measure_calls.py OPTIONS

OPTIONS is JSON: ``kind``, ``path`` of the DLL, ``arch``, ``calls`` (names), ``budget`` (seconds for each), ``cores``
(how many to use, 0 for all), ``launched`` (``time.time()`` when the process was started).
"""

import json
import platform
import sys
import time

from contender import KINDS
from reporting import keep_to, report
from timing import measure


def started(options):
    """The contender, when it has answered its first call."""
    kind = KINDS[options["kind"]]
    kind.prepare()
    begun = time.perf_counter()
    contender = kind(options["path"], options["arch"])
    contender.first_call()
    report("session", value=time.perf_counter() - begun)
    report("first_call", value=time.time() - options["launched"])
    return contender


def measured(contender, name, budget):
    """One call; what goes wrong is its result."""
    if name in contender.unable:
        return {"failure": contender.unable[name]}
    try:
        return {"value": measure(contender.bodies[name](contender), budget)}
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"}


def main():
    options = json.loads(sys.argv[1])
    keep_to(options["cores"])
    contender = started(options)
    report("python", text=platform.python_version())
    if "winbridge" in sys.modules:
        report("implementation", text=sys.modules["winbridge"].__impl__)
    for name in options["calls"]:
        report(name, **measured(contender, name, options["budget"]))
    contender.close()


main()
