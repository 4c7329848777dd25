"""``make soak``: every part on both architectures, then the threads; about five minutes on two cores.

The figures go to docs/soak.json, and from there into the tables of docs/soak.rst. Exit status 1: something grew, or a
check failed.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from soak import figures
from soak.hammer import THREADS
from soak.parts import PARTS
from tests.fix_dlls import COMPILERS, NATIVE, compile_dll
from winbridge.core import wine
from winbridge.core.config import Config

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SAMPLES = 20
SECONDS = 60
ARCHS = tuple(COMPILERS)


def build(folder: Path) -> None:
    """The DLLs that are called, for each architecture."""
    for arch in ARCHS:
        (folder / arch).mkdir()
        for name in ("specimen", "caller"):
            compile_dll(arch, NATIVE / f"{name}.c", folder / arch / f"{name}.dll")


def lines(module: str, *arguments: object) -> Iterator[dict[str, Any]]:
    """What a program of this package prints, as it comes."""
    command = [sys.executable, "-m", f"soak.{module}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")


def run(part: str, arch: str, dlls: Path, count: int, tell: Callable[[int], None]) -> dict[str, Any]:
    """One part in a process of its own."""
    samples = []
    for sample in lines("measure", part, arch, dlls, count, SAMPLES):
        samples.append(sample)
        tell(sample["done"])
    return {"part": part, "arch": arch, "samples": samples}


def run_all(dlls: Path, share: float, progress: Progress) -> list[dict[str, Any]]:
    """All parts, the architectures of each at once: there are two cores nearly everywhere."""
    found = []
    for part, (full, _, _) in PARTS.items():
        count = max(SAMPLES, int(full * share))
        with ThreadPoolExecutor(len(ARCHS)) as pool:
            jobs = []
            for arch in ARCHS:
                task = progress.add_task(f"{part} {arch}", total=count)
                tell = lambda done, task=task: progress.update(task, completed=done)  # noqa: E731
                jobs.append(pool.submit(run, part, arch, dlls, count, tell))
            found += [job.result() for job in jobs]
    return found


def machine() -> str:
    """What the figures were measured on."""
    version = wine.version(wine.find_loader(Config(), "win64"))
    return f"Linux {platform.release()}, Python {platform.python_version()}, Wine {version}"


def write_tables(measured: dict[str, Any], folder: Path) -> None:
    """The tables that the documentation shows."""
    tables = {
        "soak_memory.csv": figures.memory_rows(measured["runs"]),
        "soak_counts.csv": figures.count_rows(measured["runs"]),
        "soak_threads.csv": figures.thread_rows(measured["threads"]),
    }
    for name, table in tables.items():
        with (folder / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(table)


def report(measured: dict[str, Any], console: Console) -> int:
    """Show what grew and what failed; returns the exit status."""
    failed = list(measured["threads"]["errors"])
    for each in measured["runs"]:
        for gauge, how in figures.grown(each["samples"]).items():
            failed.append(f"{each['part']} {each['arch']}: {gauge} grew: {how}")
    for failure in failed:
        console.print(failure, style="red", markup=False)
    done = sum(measured["threads"]["done"].values())
    console.print(f"{len(measured['runs'])} runs, {done} calls by {THREADS} threads: {len(failed)} failures")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the full counts; below 1 nothing is written")
    share = parser.parse_args().share
    console = Console()
    columns = TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        dlls = Path(folder)
        build(dlls)
        runs = run_all(dlls, share, progress)
        task = progress.add_task(f"{THREADS} threads", total=None)
        (threads,) = lines("hammer", dlls, SECONDS * share)
        progress.update(task, total=1, completed=1)
    measured = {"machine": machine(), "runs": runs, "threads": threads}
    if share >= 1:
        (DOCS / "soak.json").write_text(json.dumps(measured, indent=1) + "\n")
        write_tables(measured, DOCS)
    return report(measured, console)


if __name__ == "__main__":
    sys.exit(main())
