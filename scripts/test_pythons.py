"""Run the end-to-end tests on every CPython from 3.10 to 3.13 of this machine, with each implementation of winbridge.

Interpreters are searched on PATH and among pyenv's. Each gets an environment of its own, .cache/pythons/X.Y, in which
the checkout is installed as it stands. The exit status is 0 when everything passed.

    python scripts/test_pythons.py 3.10 3.13                   those only
    python scripts/test_pythons.py --impl python -- -k int     one implementation; what follows -- goes to pytest
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "pythons"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
IMPLEMENTATIONS = ("python", "native")
END_TO_END = (
    "calls",
    "load",
    "life",
    "faults",
    "conformance",
    "callbacks_core",
    "memory_std",
    "memsync",
    "declared",
    "cdef",
    "singleton",
    "config",
    "wire",
    "ctypes_layout",
    "ctypes_names",
    "ctypes_session",
    "dropin",
    "parity",
    "run",
    "demo",
)
"""Test files (tests/test_*.py) whose outcome can depend on the Python or the Wine that they run on."""


class Outcome(NamedTuple):
    """One run of the tests."""

    version: str
    implementation: str
    passed: bool
    said: str


def find(version: str) -> Path | None:
    """An interpreter that answers as CPython of this version and can make environments."""
    managed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    on_path = shutil.which(f"python{version}")
    candidates = [*managed, *([Path(on_path)] if on_path else []), Path(f"/usr/bin/python{version}")]
    return next((path for path in candidates if answers_as(path, version)), None)


def answers_as(interpreter: Path, version: str) -> bool:
    """A shim of pyenv's may lie there without the version behind it."""
    code = "import ensurepip, sys, venv; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    try:
        run = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError:
        return False
    return run.stdout.split() == ["cpython", version]


def environment(version: str, interpreter: Path) -> Path:
    """The environment's interpreter, the checkout installed in it; made anew when the build files changed."""
    home = CACHE / version
    key = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "setup.py")))
    key.update(subprocess.run([interpreter, "-VV"], capture_output=True, check=True).stdout)
    stamp, python = home / "winbridge-stamp", home / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != key.hexdigest():
        print(f"==> environment for Python {version}: {home}", flush=True)
        subprocess.run([interpreter, "-m", "venv", "--clear", home], check=True)
        pip = [python, "-m", "pip", "--disable-pip-version-check", "install"]
        with (CACHE / f"{version}-pip.log").open("wb") as log:
            subprocess.run([*pip, "setuptools>=77", "--editable", f"{ROOT}[test]"], check=True, stdout=log, stderr=log)
        stamp.write_text(key.hexdigest())
    build = [python, "setup.py", "-q", "build_agents", "--inplace", "build_ext", "--inplace"]
    subprocess.run(build, check=True, cwd=ROOT, env=os.environ | {"WINBRIDGE_BUILD_EXTENSION": "1"})
    return python


def run_tests(version: str, implementation: str, python: Path, options: list[str]) -> Outcome:
    """The output goes to a file: services of Wine keep what they were started with, so a pipe would never end."""
    log = CACHE / f"{version}-{implementation}.log"
    files = [f"tests/test_{name}.py" for name in END_TO_END]
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *files, *options]
    started = time.monotonic()
    with log.open("wb") as output:
        variables = os.environ | {"WINBRIDGE_IMPL": implementation}
        status = subprocess.run(
            command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ).returncode
    text = log.read_text(errors="replace")
    print("\n".join(line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))), flush=True)
    closing = re.findall(r"^=* ?(\d+ (?:passed|failed|error|skipped).*?)(?: in .*)$", text, re.MULTILINE)
    said = closing[-1] if closing else f"pytest did not finish, exit status {status}"
    ran = f"({implementation})" in text  # tests/conftest.py says so at the top
    said += "" if ran else f", BUT NOT WITH THE {implementation} IMPLEMENTATION"
    return Outcome(version, implementation, status == 0 and ran, f"{said}, {time.monotonic() - started:.0f} s, {log}")


def outcomes(versions: list[str], implementations: list[str], options: list[str]) -> Iterator[Outcome]:
    for version in versions:
        interpreter = find(version)
        if interpreter is None:
            print(f"!!! NO CPYTHON {version} on this machine (searched PATH and ~/.pyenv): NOT TESTED", flush=True)
            continue
        try:
            python = environment(version, interpreter)
        except subprocess.CalledProcessError as failure:
            yield Outcome(version, "", False, f"no environment: {failure} (see {CACHE}/{version}-pip.log)")
            continue
        for implementation in implementations:
            print(f"==> Python {version}, {implementation} implementation", flush=True)
            outcome = run_tests(version, implementation, python, options)
            print(f"    {outcome.said}", flush=True)
            yield outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", metavar="X.Y", help=f"default: {' '.join(VERSIONS)}")
    parser.add_argument("--impl", choices=IMPLEMENTATIONS, help="default: both")
    own, options = sys.argv[1:], []
    if "--" in own:
        at = own.index("--")
        own, options = own[:at], own[at + 1 :]
    given = parser.parse_args(own)
    CACHE.mkdir(parents=True, exist_ok=True)
    found = list(
        outcomes(given.versions or list(VERSIONS), [given.impl] if given.impl else list(IMPLEMENTATIONS), options)
    )
    print()
    for outcome in found:
        mark = "passed" if outcome.passed else "FAILED"
        print(f"{mark}  {outcome.version:<5} {outcome.implementation:<7} {outcome.said}")
    return 0 if found and all(outcome.passed for outcome in found) else 1


if __name__ == "__main__":
    sys.exit(main())
