"""Fetch packages whose ctypes bindings tests/test_bindings.py runs, for Linux and Windows, into .cache/bindings.

Each comes from PyPI three times: the Linux wheel, and the Windows wheels with their DLLs. The two bar code packages
bring no library for Linux; Debian's and Ubuntu's packages have it, and are unpacked here, not installed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "bindings"
LIBRARIES = CACHE / "libraries"  # for LD_LIBRARY_PATH
PLATFORMS = {"win64": "win_amd64", "win32": "win32"}
NO_LIBRARY = "!!! NO {} from apt: {} will not be compared with its library for Linux"


class Package(NamedTuple):
    """A package of PyPI, its Linux wheel's platform tag, and where else its library for Linux comes from."""

    name: str
    version: str
    linux: str
    library: str = ""  # as the linker's -l names it
    debian: tuple[str, ...] = ()


PACKAGES = (
    Package("pypdfium2", "5.15.2", "manylinux_2_17_x86_64"),
    Package("pymediainfo", "7.0.1", "manylinux_2_27_x86_64"),
    Package("pyzbar", "0.1.9", "any", "zbar", ("libzbar0", "libv4l-0", "libv4lconvert0")),
    Package("pylibdmtx", "0.1.10", "any", "dmtx", ("libdmtx0b",)),
)


def install(package: Package, place: str, platform: str) -> None:
    """Through a scratch folder: what stands under its final name is complete."""
    target = CACHE / f"{package.name}-{place}"
    if list(target.glob(f"{package.name}-{package.version}.dist-info")):
        return
    print(f"    {package.name} {package.version} for {place}", flush=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        finished = Path(scratch, "packages")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "install", "--no-deps"]
        options = ["--no-compile", "--only-binary=:all:", "--platform", platform, "--target", str(finished)]
        subprocess.run([*pip, *options, f"{package.name}=={package.version}"], check=True)
        if target.exists():
            target.rename(Path(scratch, "outdated"))
        finished.rename(target)


def unpack_library(package: Package) -> None:
    """The linker's name for a library is a link, which the development packages bring; ``find_library`` needs it."""
    link = LIBRARIES / f"lib{package.library}.so"
    if not package.library or link.exists():
        return
    print(f"    {' '.join(package.debian)}", flush=True)
    LIBRARIES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        try:
            subprocess.run(["apt-get", "-qq", "download", *package.debian], cwd=scratch, check=True)
            for archive in Path(scratch).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(archive), scratch], check=True)
        except (subprocess.CalledProcessError, OSError):
            print(NO_LIBRARY.format(" ".join(package.debian), package.name), file=sys.stderr)
            return
        for library in Path(scratch).glob("usr/lib/*/lib*.so.*"):
            library.replace(LIBRARIES / library.name)
    versioned = min(LIBRARIES.glob(f"{link.name}.*"), key=lambda path: len(path.name))
    link.symlink_to(versioned.name)


def main() -> int:
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        for package in PACKAGES:
            install(package, "linux", package.linux)
            for place, platform in PLATFORMS.items():
                install(package, place, platform)
            unpack_library(package)
    except (subprocess.CalledProcessError, OSError) as failure:
        print(f"binding_packages.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
