"""The peers from PyPI, in a virtual environment of their own under .cache."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from benchmarks.peers import CACHE, ROOT, Say

__all__ = ["PACKAGES", "ROOT", "provide", "python", "versions"]

ENVIRONMENT = CACHE / "remote-peers"
PACKAGES = {
    "across": ("across>=0.1",),
    "rpyc": ("rpyc>=6.0.2",),
    "execnet": ("execnet>=2.1.2",),
    "Pyro5": ("Pyro5>=5.17", "msgpack>=1.1"),
    "mitogen": ("mitogen>=0.3.54",),
}
"""What has to be installed for each."""

SHARED = ("numpy",)


def python() -> Path:
    """The interpreter of the peers' virtual environment."""
    return ENVIRONMENT / "bin" / "python"


def provide(say: Say) -> dict[str, str]:
    """Install what is missing.

    Args:
        say: told what is being installed, before it is.

    Returns:
        what could not be installed, and why.
    """
    reasons = {package: _failure(package, requirements, say) for package, requirements in PACKAGES.items()}
    return {package: reason for package, reason in reasons.items() if reason}


def _failure(package: str, requirements: tuple[str, ...], say: Say) -> str:
    try:
        _install(package, (*SHARED, *requirements), say)
    except (OSError, subprocess.CalledProcessError) as error:
        output = getattr(error, "stderr", None) or b""
        return " ".join([str(error), *output.decode(errors="replace").splitlines()[-1:]])
    return ""


def _install(package: str, requirements: tuple[str, ...], say: Say) -> None:
    stamp = ENVIRONMENT / f"{package}.txt"
    if stamp.exists() and stamp.read_text().split() == list(requirements):
        return
    say(f"installing {', '.join(requirements)} in {ENVIRONMENT}")
    if not python().exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
    pip = [str(python()), "-m", "pip", "--disable-pip-version-check", "-q", "install", *requirements]
    subprocess.run(pip, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    stamp.write_text("\n".join(requirements))


def versions() -> dict[str, str]:
    """Of the peers that are installed."""
    found = {}
    for folder in sorted(ENVIRONMENT.glob("lib/python*/site-packages/*.dist-info")):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        found.update({package: version for package in (*PACKAGES, *SHARED) if package.lower() == name.lower()})
    return found
