"""Who is measured, and the command and environment of one of its processes."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import peers
from winbridge.core import wine
from winbridge.core.config import Config

KEPT_OUT, WINE = ("WINBRIDGE_", "WINE", "PYTHON"), "WINBRIDGE_WINE"
BODIES = Path(__file__).resolve().parent / "bodies"


class Contender(NamedTuple):
    """One column of the results.

    Attributes:
        name: as the tables show it.
        kind: which class of ``bodies/contender.py``.
        arch: of its Windows side.
        native: whose figures it is compared with.
        implementation: value of WINBRIDGE_IMPL, for winbridge.
        needs: what of ``peers.provide`` it does not run without.
        slow: whether a few rounds must do.
        cores: how many it may use, 0 for all.
    """

    name: str
    kind: str
    arch: str = "win64"
    native: str = "ctypes"
    implementation: str = ""
    needs: tuple[str, ...] = ()
    slow: bool = False
    cores: int = 0

    @property
    def everything(self) -> tuple[str, ...]:
        """What it needs, its architecture included."""
        return (self.arch, *self.needs)

    @property
    def ours(self) -> bool:
        return bool(self.implementation)


def _winbridge(name: str, kind: str, **other: Any) -> list[Contender]:
    """The same with the native extension, and in pure Python."""
    native = Contender(name, kind, implementation="native", **other)
    return [native, native._replace(name=f"{name}, pure Python", implementation="python")]


WINDOWS = ("windows python",)
NATIVE, NATIVE_32 = "ctypes", "ctypes, 32 bit"
CONTENDERS = (
    Contender(NATIVE, "ctypes", needs=WINDOWS),
    Contender(NATIVE_32, "ctypes", "win32", NATIVE_32, needs=WINDOWS),
    *_winbridge("load_dll", "load_dll"),
    *_winbridge("drop-in", "drop-in"),
    *_winbridge("load_dll, 32 bit", "load_dll", arch="win32", native=NATIVE_32),
    Contender("zugbruecke", "zugbruecke", needs=("peers", *WINDOWS), slow=True),
    Contender("msl-loadlib, 32 bit", "msl-loadlib", "win32", NATIVE_32, needs=("peers", *WINDOWS), slow=True),
    Contender("rpyc", "rpyc", needs=("peers", *WINDOWS), slow=True),
)
ONE_CORE = tuple(
    contender._replace(name=f"{contender.name}, one core", cores=1)
    for contender in CONTENDERS
    if contender.kind == "load_dll" and contender.arch == "win64"
)
BY_NAME = {contender.name: contender for contender in (*CONTENDERS, *ONE_CORE)}


def config() -> Config:
    """The benchmarks' own prefix, and otherwise the user's configuration."""
    return Config(prefix=peers.PREFIX)


def environment(contender: Contender, wenv: Path) -> dict[str, str]:
    """That of its process; what the user set for winbridge and Wine stays out of it, but for where Wine is."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(KEPT_OUT) or name == WINE}
    ours.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed, where modules are compiled once
    if contender.ours:
        return {**ours, "WINBRIDGE_PREFIX": str(peers.PREFIX), "WINBRIDGE_IMPL": contender.implementation,
                "WINBRIDGE_ARCH": contender.arch, "PYTHONPATH": str(peers.ROOT)}  # fmt: skip
    special = {"zugbruecke": _for_zugbruecke, "rpyc": _for_rpyc, "msl-loadlib": _for_msl_loadlib}
    variables = {**ours, **{name: value for name, value in wine.environment(config()).items() if name[:4] == "WINE"}}
    return special[contender.kind](variables, wenv) if contender.kind in special else variables


def _for_zugbruecke(variables: dict[str, str], wenv: Path) -> dict[str, str]:
    del variables["WINEPREFIX"]  # ``wenv`` says it
    return {
        **variables,
        "WENV_PREFIX": str(wenv),
        "WENV_PYTHONVERSION": peers.WENV_VERSION,
        "ZUGBRUECKE_PYTHONVERSION": peers.WENV_VERSION,
        "WENV_WINE_BIN_WIN64": _loader("win64"),
        "PATH": f"{peers.python().parent}:{variables.get('PATH', os.defpath)}",
    }


def _for_rpyc(variables: dict[str, str], wenv: Path) -> dict[str, str]:
    return {
        **variables,
        "PYTHONPATH": f"Z:{peers.site_packages()}".replace("/", "\\"),  # of the server
        "BENCHMARK_WINDOWS_PYTHON": f"{_loader('win64')};{peers.windows_python('win64')}",
    }


def _for_msl_loadlib(variables: dict[str, str], wenv: Path) -> dict[str, str]:
    return {**variables, "BENCHMARK_MSL_SERVER": str(peers.msl_server(_loader("win32")))}


def _loader(arch: str) -> str:
    return str(wine.find_loader(config(), arch).path)


def command(contender: Contender, calls: list[str], budget: float) -> list[str]:
    """One process that measures calls; see ``bodies/measure_calls.py``."""
    script, dll = str(BODIES / "measure_calls.py"), str(peers.dll(contender.arch))
    program = [sys.executable if contender.ours else str(peers.python())]
    if contender.kind == "ctypes":
        program = [_loader(contender.arch), str(peers.windows_python(contender.arch))]
        script, dll = (f"Z:{path}".replace("/", "\\") for path in (script, dll))
    options = {"kind": contender.kind, "path": dll, "arch": contender.arch, "calls": calls, "budget": budget,
               "cores": contender.cores, "launched": time.time()}  # fmt: skip
    return [*program, script, json.dumps(options)]


def sessions_command(**options: Any) -> list[str]:
    """One process that measures sessions; see ``bodies/measure_sessions.py``."""
    whole = {"path": str(peers.dll("win64")), "cores": 0, **options}
    return [sys.executable, str(BODIES / "measure_sessions.py"), json.dumps(whole)]


def import_command(statement: str) -> list[str]:
    """One process that measures an import; see ``bodies/measure_import.py``."""
    return [sys.executable, str(BODIES / "measure_import.py"), statement]
