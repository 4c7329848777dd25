"""The machine that was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import winbridge
from benchmarks import peers
from winbridge.core import wine


def describe() -> dict[str, str]:
    """What figures of DLL calls depend on, by name."""
    return {**hardware(), "Wine": _wine(), **_peers()}


def hardware() -> dict[str, str]:
    """What all figures depend on, by name."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        "Python": platform.python_version(),
        "winbridge": winbridge.__version__,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _wine() -> str:
    from benchmarks.contenders import config

    loader = wine.find_loader(config(), "win64").path
    return subprocess.run([loader, "--version"], capture_output=True, text=True).stdout.strip()


def _peers() -> dict[str, str]:
    """Versions of the peers from PyPI."""
    found = {}
    for folder in sorted(peers.ENVIRONMENT.glob("lib/python*/site-packages/*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if name in {"zugbruecke", "wenv", "msl_loadlib", "rpyc"}:
            found[name.replace("_", "-")] = version
    return found
