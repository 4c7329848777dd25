"""Measure a call with two ints against ctypes in a Windows Python on Wine, and the start of sessions.

Rounds are interleaved, each in processes of their own; medians are printed, with the ratio. Run by
`make bench`; results also go to .cache/bench.json.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from winbridge.core import wine
from winbridge.core.config import Config

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
ROUNDS = 7
COMPILERS = {"win64": "x86_64-w64-mingw32-gcc", "win32": "i686-w64-mingw32-gcc"}
SOURCE = "__declspec(dllexport) int add(int a, int b) { return a + b; }\n"

LOOP = """
import time
def measure(add, count=20000, repeats=9):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(count):
            add(2, 3)
        times.append((time.perf_counter() - start) / count * 1e6)
    return sorted(times)[repeats // 2]
"""
NATIVE = LOOP + "import ctypes, sys\nadd = ctypes.CDLL(sys.argv[1]).add\n{types}print(measure(add))\n"
OURS = NATIVE.replace("import ctypes", "import ctypes, winbridge").replace(
    "ctypes.CDLL(sys.argv[1])", "winbridge.load_dll(sys.argv[1], convention='cdecl')"
)
TYPES = "add.argtypes = [ctypes.c_int, ctypes.c_int]\n"
START = """
import sys, time
start = time.perf_counter()
import winbridge
getattr(winbridge, sys.argv[1])()
print((time.perf_counter() - start) * 1e3)
"""
OPEN = """
import sys, time, winbridge
kind = getattr(winbridge, sys.argv[1])
kind()
times = []
for _ in range(9):
    start = time.perf_counter()
    kind.new_session()
    times.append((time.perf_counter() - start) * 1e3)
print(sorted(times)[4])
"""
IMPORT = """
import subprocess, sys, time
def run(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - start) * 1e3
pairs = [(run("pass"), run("import winbridge")) for _ in range(15)]
print(sorted(b - a for a, b in pairs)[7])
"""


def printed(command: list[str], environment: dict[str, str] | None = None) -> float:
    """Run a program that prints one number. Output by pipe: a Windows Python needs that."""
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def python(code: str, *arguments: str) -> float:
    return printed([sys.executable, "-c", code, *arguments])


def windows_python(arch: str, code: str, dll: Path) -> float:
    config = Config()
    interpreter = CACHE / "windows-python" / arch / "python.exe"
    command = [
        str(wine.find_loader(config, arch).path),
        str(interpreter),
        "-c",
        code,
        "Z:" + str(dll).replace("/", "\\"),
    ]
    return printed(command, wine.environment(config))


def stop_wineserver() -> None:
    config = Config()
    server = str(wine.find_wineserver(wine.find_loader(config, "win64")))
    for option in ("-k", "-w"):
        subprocess.run([server, option], env=wine.environment(config), stdin=subprocess.DEVNULL, check=False)


def cold_start(session: str) -> float:
    stop_wineserver()
    return python(START, session)


def measurements(folder: Path) -> dict[str, object]:
    """What is measured, by name."""
    found: dict[str, object] = {"import winbridge (ms over a bare interpreter)": lambda: python(IMPORT)}
    for arch in [arch for arch in COMPILERS if wine.supports(arch)]:
        dll = folder / f"{arch}.dll"
        source = folder / "add.c"
        source.write_text(SOURCE)
        subprocess.run([COMPILERS[arch], "-shared", "-O2", "-o", dll, source], check=True)
        kind = arch.replace("win", "Win") + "Session"
        for label, types in (("", ""), (", argtypes", TYPES)):
            found[f"{arch} add(2, 3){label}: winbridge (us)"] = lambda d=dll, t=types: python(
                OURS.format(types=t), str(d)
            )
            if (CACHE / "windows-python" / arch / "python.exe").exists():
                found[f"{arch} add(2, 3){label}: ctypes in Windows Python (us)"] = lambda a=arch, d=dll, t=types: (
                    windows_python(a, NATIVE.format(types=t), d)
                )
        found[f"{arch} new session, wineserver up (ms)"] = lambda k=kind: python(OPEN, k)
        found[f"{arch} import and first session, wineserver up (ms)"] = lambda k=kind: python(START, k)
        found[f"{arch} import and first session, no wineserver (ms)"] = lambda k=kind: cold_start(k)
    return found


def ratio(name: str, medians: dict[str, float]) -> str:
    peer = name.replace("winbridge (us)", "ctypes in Windows Python (us)")
    return f"{medians[name] / medians[peer]:.1f} x" if peer != name and peer in medians else ""


def main() -> None:
    console = Console()
    samples: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = measurements(Path(folder))
        for _ in track(range(ROUNDS), "rounds", console=console, disable=not console.is_terminal):
            for name, measure in work.items():
                samples.setdefault(name, []).append(measure())
    medians = {name: statistics.median(values) for name, values in samples.items()}
    table = Table(
        "measured",
        "median",
        "least",
        "to ctypes on Windows",
        title=f"{len(os.sched_getaffinity(0))} cores, {ROUNDS} rounds",
    )
    for name, values in samples.items():
        table.add_row(name, f"{medians[name]:.2f}", f"{min(values):.2f}", ratio(name, medians))
    console.print(table)
    CACHE.mkdir(exist_ok=True)
    (CACHE / "bench.json").write_text(json.dumps({"samples": samples, "medians": medians}, indent=2))


if __name__ == "__main__":
    main()
