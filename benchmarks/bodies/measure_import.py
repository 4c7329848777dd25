"""Seconds that an import statement takes in a fresh interpreter: python measure_import.py "import winbridge"."""

import sys
import time

begun = time.perf_counter()
exec(sys.argv[1])
seconds = time.perf_counter() - begun

import json  # noqa: E402 - what is imported before is not measured

print(json.dumps({"workload": "import", "value": seconds}))
