"""Builds the two agents with mingw-w64, and the C extension; all else about the package stands in pyproject.toml."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import ClassVar, NamedTuple

from setuptools import Command, Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, ExecError

SOURCES = Path("native", "agent")
AGENTS = Path("winbridge", "agents")
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-municode", "-static", "-s")


class Target(NamedTuple):
    """One architecture the agent is built for."""

    program: str
    compiler: str
    package: str
    kernels: str

    def sources(self) -> list[Path]:
        return sorted([*SOURCES.glob("*.c"), *SOURCES.glob(self.kernels)])


TARGETS = (
    Target("winbridge-agent64.exe", "x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64", "*_x64.S"),
    Target("winbridge-agent32.exe", "i686-w64-mingw32-gcc", "gcc-mingw-w64-i686", "*_x86.S"),
)


def require_compilers(targets: list[Target]) -> None:
    missing = [target for target in targets if shutil.which(target.compiler) is None]
    if missing:
        raise ExecError(
            f"winbridge's agents need the mingw-w64 compilers, and these are not on PATH: "
            f"{', '.join(target.compiler for target in missing)}. On Debian or Ubuntu run: "
            f"apt-get install --no-install-recommends {' '.join(target.package for target in missing)}"
        )


def is_current(target: Target, program: Path) -> bool:
    inputs = [*target.sources(), *SOURCES.glob("*.h"), Path("setup.py")]
    return program.exists() and program.stat().st_mtime >= max(path.stat().st_mtime for path in inputs)


def compile_agent(target: Target, program: Path) -> None:
    """Compile to a name of its own and rename: an agent that runs keeps its file, a failed build leaves none."""
    if not target.sources():
        raise CompileError(f"no agent sources in {SOURCES}: the source tree is incomplete")
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_suffix(f".{os.getpid()}.tmp")
    command = [target.compiler, *FLAGS, f"-I{SOURCES}", *map(str, target.sources()), "-o", str(unfinished)]
    try:
        subprocess.run(command, check=True)
        unfinished.replace(program)
    except subprocess.CalledProcessError as failure:
        raise CompileError(f"{target.compiler} could not build {program.name}; its messages are above") from failure
    finally:
        unfinished.unlink(missing_ok=True)


class BuildAgents(Command):
    """The `build_agents` step of a build; setuptools calls it for wheels and for editable installs."""

    description = "build the Windows agents with mingw-w64"
    user_options: ClassVar = [
        ("build-lib=", "d", "directory to build into"),
        ("inplace", "i", "build into the source tree instead"),
        ("force", "f", "build even what is current"),
    ]
    boolean_options: ClassVar = ["inplace", "force"]
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib: str | None = None
        self.inplace = False
        self.force = False

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        root = Path() if self.inplace or self.editable_mode else Path(self.build_lib)
        programs = {target: root / AGENTS / target.program for target in TARGETS}
        stale = [target for target, program in programs.items() if self.force or not is_current(target, program)]
        require_compilers(stale)
        for target in stale:
            self.announce(f"building {programs[target]}", level=logging.INFO)
            compile_agent(target, programs[target])

    def get_source_files(self) -> list[str]:
        return [str(path) for pattern in ("*.c", "*.h", "*.S") for path in sorted(SOURCES.glob(pattern))]

    def get_outputs(self) -> list[str]:
        return [str(Path(self.build_lib, AGENTS, target.program)) for target in TARGETS]

    def get_output_mapping(self) -> dict[str, str]:
        if not self.editable_mode:
            return {}
        return {output: str(AGENTS / Path(output).name) for output in self.get_outputs()}


class BuildWithAgents(build):
    # After build_py, which copies agents built in place earlier: those are then found current.
    sub_commands: ClassVar = [*build.sub_commands, ("build_agents", None)]


NATIVE = Path("native", "extension")
INTERFACE = Path("winbridge", "core", "impl.py")
WARNINGS = ("-Wall", "-Wextra")


def extensions() -> list[Extension]:
    """WINBRIDGE_BUILD_EXTENSION=0 never builds it, =1 requires it; without, a failure is a warning."""
    wanted = os.environ.get("WINBRIDGE_BUILD_EXTENSION", "")
    if wanted not in ("", "0", "1"):
        raise ValueError(f"WINBRIDGE_BUILD_EXTENSION={wanted!r} is unknown: it takes 0, 1 or nothing")
    if wanted == "0":
        return []
    version = re.search(r"^ABI = (\d+)$", INTERFACE.read_text(), re.MULTILINE)
    if version is None:
        raise CompileError(f"{INTERFACE} does not say its ABI: the source tree is incomplete")
    extension = Extension(
        "winbridge._native",
        sorted(map(str, NATIVE.glob("*.c"))),
        depends=[*map(str, NATIVE.glob("*.h")), str(SOURCES / "wire.h"), str(INTERFACE), "setup.py"],
        define_macros=[("WINBRIDGE_ABI", version[1])],
        extra_compile_args=["-std=gnu11", "-O2", "-fvisibility=hidden", *WARNINGS],
        optional=wanted != "1",
    )
    return [extension]


class BuildExtension(build_ext):
    """Names what is missing. Where that is no error, the base class makes a warning of it."""

    def build_extension(self, extension: Extension) -> None:
        compiler = self.compiler.compiler[0]
        header = Path(sysconfig.get_paths()["include"], "Python.h")
        remedy = "winbridge works without its C extension, in Python alone, only slower"
        if shutil.which(compiler) is None:
            raise CompileError(f"the C compiler {compiler} is not on PATH (apt-get install gcc); {remedy}")
        if not header.exists():
            raise CompileError(f"{header} is missing (apt-get install python3-dev); {remedy}")
        super().build_extension(extension)


setup(
    cmdclass={"build": BuildWithAgents, "build_agents": BuildAgents, "build_ext": BuildExtension},
    ext_modules=extensions(),
)
