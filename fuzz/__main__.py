"""``make fuzz``: run every fuzzer for SECONDS each, print what they did and found.

Corpora stay in ``.cache/fuzz/corpus`` and are begun with again; what was found is in ``.cache/fuzz/findings``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from fuzz import build, seeds
from fuzz.build import ROOT

CACHE = ROOT / ".cache" / "fuzz"
RESULTS = CACHE / "results.json"
GRACE = 60
"""Seconds that a fuzzer may take beyond its time, to start and to end."""

GUIDED = {
    "stream_answer": "frames", "http_answer": "frames", "records": "frames", "gateway_body": "bodies",
    "json_answer": "json", "json_bodies": "json", "http_problem": "json",
}  # fmt: skip
"""The parsers of the Python side, and which seeds they begin with."""

SLOW_INPUT = 20
"""Seconds after which one input counts as a hang."""


class Outcome(NamedTuple):
    """What one fuzzer did."""

    name: str
    executions: int
    seconds: int
    coverage: int
    """Edges of the code under test that were taken."""
    findings: list[str]

    def row(self) -> str:
        found = ", ".join(self.findings) or "nothing"
        return f"{self.name:22} {self.executions:>12,} {self.seconds:>8} {self.coverage:>9} {found}"


def _run(name: str, command: list[str], origin: str, seconds: int, environment: dict[str, str]) -> Outcome:
    corpus, found = CACHE / "corpus" / name, CACHE / "findings"
    seeds.write(origin, corpus)
    found.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-max_len=8192", f"-timeout={SLOW_INPUT}", "-print_final_stats=1"]
    log = CACHE / f"{name}.log"
    with log.open("wb") as output:
        done = subprocess.run(
            [*command, *options, f"-artifact_prefix={found}/{name}-", str(corpus)],
            stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=os.environ | environment, timeout=seconds + GRACE,
        )  # fmt: skip
    return _outcome(name, log, done.returncode, seconds)


def _outcome(name: str, log: Path, code: int, seconds: int) -> Outcome:
    text = log.read_text(errors="replace")
    coverage = [int(number) for number in re.findall(r" cov: (\d+)", text)]
    executions = re.search(r"number_of_executed_units: (\d+)", text) or re.search(r"Done (\d+) runs", text)
    artifacts = re.findall(r"Test unit written to (\S+)", text)
    findings = [str(Path(path).relative_to(ROOT)) for path in artifacts]
    if code and not findings:
        findings = [f"exit status {code}, see {log.relative_to(ROOT)}"]
    return Outcome(name, int(executions[1]) if executions else 0, seconds, max(coverage, default=0), findings)


def _agent_side(seconds: int) -> list[Outcome]:
    if build.compiler() is None:
        print(f"NOT RUN: fuzzers of the agent: {build.COMPILER} with libFuzzer is missing; on Debian run:")
        print(f"    apt-get install --no-install-recommends {build.PACKAGES}")
        return []
    options = {"ASAN_OPTIONS": "quarantine_size_mb=8", "UBSAN_OPTIONS": "print_stacktrace=1"}
    return [_run(name, [str(build.fuzzer(name))], name, seconds, options) for name in ("fuzz_stream", "fuzz_shared")]


def _replayed() -> list[Outcome]:
    """All inputs of the stream's corpus once more, the bytes at once and with an eye on data races."""
    inputs = sorted((CACHE / "corpus" / "fuzz_stream").glob("*"))
    log, start = CACHE / "threads.log", time.monotonic()
    with log.open("wb") as output:
        command = ["setarch", "-R", build.replayer("fuzz_stream", "thread"), *inputs]
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=20 * GRACE).returncode
    findings = [f"exit status {code}, see {log.relative_to(ROOT)}"] if code else []
    return [Outcome("fuzz_stream, threads", len(inputs), round(time.monotonic() - start), 0, findings)]


def _has_atheris() -> bool:
    """Whether there is the package that fuzzes Python; it is installed where it is missing and can be."""
    if importlib.util.find_spec("atheris") is None:
        wanted = re.findall(r'"(atheris[^"]*)"', (ROOT / "pyproject.toml").read_text())
        return subprocess.run([sys.executable, "-m", "pip", "-q", "install", *wanted]).returncode == 0
    return True


def _python_side(seconds: int) -> list[Outcome]:
    if not _has_atheris():
        print("NOT RUN: fuzzers of the Python side: the extra `fuzz` cannot be installed; pip's messages are above")
        return []
    return [
        _run(name, [sys.executable, "-m", "fuzz.guided", name], origin, seconds, {}) for name, origin in GUIDED.items()
    ]


def main() -> int:
    seconds = int(os.environ.get("SECONDS_EACH", "60"))
    outcomes = _agent_side(seconds) + _python_side(seconds)
    if build.sanitizer() is not None:
        outcomes += _replayed()
    print(f"{'fuzzer':22} {'executions':>12} {'seconds':>8} {'edges':>9} found")
    for outcome in outcomes:
        print(outcome.row())
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps([outcome._asdict() for outcome in outcomes], indent=1) + "\n")
    return 1 if any(outcome.findings for outcome in outcomes) or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
