"""Print how CPython's tests of ctypes fare under winbridge: counts by module, then what fails, by probable cause.

python -m tests.cpython.results [win64|win32|test module]...
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.cpython import launch
from tests.cpython.differences import reason
from tests.cpython.launch import Outcome
from winbridge.core import wine

WINDOWS, WINBRIDGE = "pass on Windows", "pass under winbridge"


def cause(outcome: Outcome) -> str:
    """The exception without what names the one case: values, names in quotes, and where it was met."""
    message = outcome.detail.partition(" [test_")[0]
    for particular, general in (("'.*?'", "'…'"), (r"\{.*\}", "{…}"), (r"\b(0x)?[0-9a-fA-F]*\d[0-9a-fA-F]*\b", "#")):
        message = re.sub(particular, general, message)
    return message[:160]


def missed(expected: Mapping[str, Outcome], found: Mapping[str, Outcome], module: str) -> dict[str, Outcome]:
    """What is not as on Windows: tests of a module that pass there and not here."""
    wanted = [test for test, (outcome, _) in expected.items() if outcome == "ok" and test.partition(".")[0] == module]
    imported = found.get(module, found.get(launch.OUTSIDE, Outcome("", "")))
    unseen = Outcome("missing", f"not run: {module}: {imported.detail or 'its tests are others here'}")
    told = {test: found.get(test, unseen) for test in wanted}
    outside = {test: outcome for test, outcome in found.items() if test == launch.OUTSIDE}
    return {test: outcome for test, outcome in (told | outside).items() if outcome.outcome != "ok"}


def survey(arch: str, modules: list[str]) -> None:
    expected = launch.on_windows(arch, modules)
    with ThreadPoolExecutor(2) as pool:
        all_found = list(pool.map(lambda module: launch.under_winbridge(arch, module), modules))
    causes: defaultdict[str, list[str]] = defaultdict(list)
    print(f"=== {arch}: module, tests that pass on Windows, of these under winbridge, and the others", flush=True)
    total: Counter[str] = Counter()
    for module, found in zip(modules, all_found, strict=True):
        failing = missed(expected, found, module)
        passing = [name for name, seen in expected.items() if seen.outcome == "ok" and name.partition(".")[0] == module]
        here = sum(name not in failing for name in passing)
        kinds = Counter(outcome.outcome for outcome in failing.values())
        total.update({WINDOWS: len(passing), WINBRIDGE: here}, **kinds)
        print(f"{module:28} {len(passing):4} {here:4}  {dict(kinds) or ''}")
        for test, outcome in failing.items():
            known = "known difference, " if reason(arch, test) else ""
            detail = "" if outcome.outcome == "missing" else f": {outcome.detail}"
            causes[cause(outcome)].append(f"    {known}{outcome.outcome} {test}{detail}")
    print(f"{'all':28} {total.pop(WINDOWS):4} {total.pop(WINBRIDGE):4}  {dict(total)}\n")
    for text, tests in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"{len(tests)} x {text or '(no message)'}", *tests, sep="\n")
    print()


def main(*chosen: str) -> None:
    modules = [module for module in launch.modules() if module in chosen]
    archs = [arch for arch in ("win64", "win32") if arch in chosen]
    for arch in archs or ["win64", "win32"]:
        if wine.supports(arch):
            survey(arch, modules or launch.modules())


if __name__ == "__main__":
    main(*sys.argv[1:])
