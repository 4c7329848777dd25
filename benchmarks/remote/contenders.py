"""Who is measured, and the command and environment of one of its processes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks import contenders
from benchmarks.remote import peers

BODIES = Path(__file__).resolve().parent / "bodies"


class Contender(NamedTuple):
    """One line of the results.

    Attributes:
        name: as the tables show it.
        kind: its module and class in ``bodies``.
        statement: what a program imports to use it.
        package: of PyPI; empty if none is needed.
        ours: whether it is winbridge.
    """

    name: str
    kind: str
    statement: str
    package: str = ""
    ours: bool = False


CONNECTION = "from winbridge.remote import Connection, Options"
BASELINE = "multiprocessing.connection"
SHARED, PIPE, UNIX, TCP, SESSION = "shared memory", "pipe", "unix socket", "tcp", "PythonSession"
CONTENDERS = (
    Contender(SHARED, "ours.SharedMemory", CONNECTION, ours=True),
    Contender(PIPE, "ours.Pipe", CONNECTION, ours=True),
    Contender(UNIX, "ours.UnixSocket", CONNECTION, ours=True),
    Contender(TCP, "ours.Tcp", CONNECTION, ours=True),
    Contender(SESSION, "ours.Session", "from winbridge import PythonSession", ours=True),
    Contender(BASELINE, "standard.Connection", f"import {BASELINE}"),
    Contender("multiprocessing.managers", "managers.Managers", "import multiprocessing.managers"),
    Contender("across", "others.Across", "import across", "across"),
    Contender("rpyc", "others.Rpyc", "import rpyc", "rpyc"),
    Contender("execnet", "others.Execnet", "import execnet", "execnet"),
    Contender("Pyro5", "others.Pyro5", "import Pyro5.api", "Pyro5"),
    Contender("mitogen", "others.Mitogen", "import mitogen.master", "mitogen"),
)
BY_NAME = {contender.name: contender for contender in CONTENDERS}
OURS = tuple(contender.name for contender in CONTENDERS if contender.ours)


def environment(contender: Contender) -> dict[str, str]:
    """That of its processes; what the user set for winbridge and Python stays out of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(contenders.KEPT_OUT)}
    folders = [BODIES, contenders.BODIES, *[peers.ROOT] * contender.ours]
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, folders))}


def _program(contender: Contender) -> str:
    return str(peers.python()) if contender.package else sys.executable


def command(contender: Contender, names: list[str], budget: float, cores: int = 0) -> list[str]:
    """One process that measures; see ``bodies/measure_remote.py``."""
    options = {"kind": contender.kind, "names": names, "budget": budget, "cores": cores}
    return [_program(contender), str(BODIES / "measure_remote.py"), json.dumps(options)]


def import_command(contender: Contender) -> list[str]:
    """One process that measures an import."""
    return [_program(contender), str(contenders.BODIES / "measure_import.py"), contender.statement]
