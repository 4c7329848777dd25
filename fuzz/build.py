"""Builds the fuzzers of the agent: its own sources, compiled for Linux against native/fuzz/windows.h."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AGENT, HARNESS = ROOT / "native" / "agent", ROOT / "native" / "fuzz"
BUILT = ROOT / ".cache" / "fuzz" / "built"

COMPILER = os.environ.get("FUZZ_CC", "clang")
PACKAGES = "clang llvm libclang-rt-14-dev"

REPLACED = {"main.c", "desktop.c", "fault.c", "stream.c", "callback.c"}
"""Sources that stand-ins of the harness take the place of, or include."""

STAND_INS = ("windows.c", "kernel.c")
STATES = ("stream_state.c", "callback_state.c")

COMMON = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", "-fshort-wchar", "-D_WIN64", f"-I{HARNESS}", f"-I{AGENT}"]
# memcpy of no bytes at address 0 is what READ of no bytes does; C2y allows it.
SANITIZED = [
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize=nonnull-attribute",
    "-fno-sanitize-recover=undefined",
]
THREADED = ["-O1", "-fsanitize=thread", "-fPIC"]
MEDDLED = {"shared.c": ["-Dmemcpy=meddling_memcpy"]}
"""What fuzz_shared changes behind the back of its source."""


def compiler() -> str | None:
    """The compiler's path, None where it or its sanitizers are missing."""
    found = shutil.which(COMPILER)
    if found is None:
        return None
    probe = [found, "-fsanitize=fuzzer,address", "-x", "c", "-", "-o", os.devnull]
    text = "int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return data && size > 9; }"
    done = subprocess.run(probe, input=text, capture_output=True, text=True)
    return found if done.returncode == 0 else None


def _compiled(
    sources: list[Path], folder: Path, flags: dict[str, list[str]], rest: list[str], compiler: str
) -> list[str]:
    objects = [folder / f"{source.stem}.o" for source in sources]
    running = [
        subprocess.Popen([compiler, *COMMON, *rest, *flags.get(source.name, []), "-c", str(source), "-o", str(target)])
        for source, target in zip(sources, objects, strict=True)
    ]
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit(f"{compiler} could not build the harness of native/fuzz; its messages are above")
    return [str(target) for target in objects]


def _agent() -> list[Path]:
    return [path for path in sorted(AGENT.glob("*.c")) if path.name not in REPLACED]


def fuzzer(target: str) -> Path:
    """Build a fuzzer; only the agent's code is measured for coverage, and led by."""
    traced = {path.name: ["-fsanitize=fuzzer-no-link"] for path in AGENT.glob("*.c")}
    traced |= {name: ["-fsanitize=fuzzer-no-link"] for name in STATES}
    if target == "fuzz_shared":
        traced["shared.c"] = traced["shared.c"] + MEDDLED["shared.c"]
    return _linked(target, target, traced, SANITIZED, "fuzzer,address,undefined")


def replayer(target: str, sanitizers: str) -> Path:
    """Build a target with gcc, to run it on inputs that are there: ``replayer(target, ...) FILE ...``.

    Args:
        target: ``fuzz_stream`` or ``fuzz_shared``.
        sanitizers: ``address,undefined``, or ``thread``, where the stream's bytes come without waiting for answers.
    """
    flags = [*THREADED, "-DALWAYS_AT_ONCE"] if sanitizers == "thread" else SANITIZED
    meddled = MEDDLED if target == "fuzz_shared" else {}
    return _linked(target, f"replay_{target}_{sanitizers.partition(',')[0]}", meddled, flags, sanitizers, "gcc")


def _linked(
    target: str, name: str, flags: dict[str, list[str]], rest: list[str], sanitizers: str, compiler: str = COMPILER
) -> Path:
    folder = BUILT / name
    folder.mkdir(parents=True, exist_ok=True)
    sources = _agent() + [HARNESS / source for source in (*STAND_INS, *STATES, f"{target}.c")]
    if compiler == "gcc":
        sources.append(HARNESS / "replay.c")
    program = folder / name
    if _is_current(program, sources):
        return program
    objects = _compiled(sources, folder, flags, rest, compiler)
    link = [f"-fsanitize={sanitizers}", "-pthread", "-o", str(program)]
    subprocess.run([compiler, *objects, *link], check=True)
    return program


def _is_current(program: Path, sources: list[Path]) -> bool:
    inputs = [*sources, *AGENT.glob("*.[ch]"), *HARNESS.glob("*.h"), Path(__file__)]
    return program.exists() and program.stat().st_mtime > max(path.stat().st_mtime for path in inputs)


def library() -> Path:
    """Build the agent's side of a shared channel as a library, under gcc's ThreadSanitizer."""
    folder = BUILT / "race"
    folder.mkdir(parents=True, exist_ok=True)
    sources = _agent() + [HARNESS / name for name in (*STAND_INS, *STATES, "race.c")]
    built = folder / "librace.so"
    subprocess.run(["gcc", *COMMON, *THREADED, *map(str, sources), "-shared", "-pthread", "-o", str(built)], check=True)
    return built


def extension() -> Path:
    """Build the C extension under ThreadSanitizer."""
    version = re.findall(r"^ABI = (\d+)$", (ROOT / "winbridge" / "core" / "impl.py").read_text(), re.MULTILINE)
    sources = map(str, sorted((ROOT / "native" / "extension").glob("*.c")))
    built = BUILT / "race" / "_native.so"
    flags = ["-std=gnu11", "-g", *THREADED, f"-DWINBRIDGE_ABI={version[0]}", f"-I{sysconfig.get_paths()['include']}"]
    subprocess.run(["gcc", *flags, *sources, "-shared", "-o", str(built)], check=True)
    return built


def sanitizer() -> Path | None:
    """ThreadSanitizer's runtime, which has to be there before the interpreter's first thread."""
    if shutil.which("gcc") is None:
        return None
    found = subprocess.run(["gcc", "-print-file-name=libtsan.so"], capture_output=True, text=True).stdout.strip()
    return Path(found).resolve() if os.path.isabs(found) else None
