"""Fetch CPython 3.11's tests of ctypes under .cache/cpython and compile their helper library for Windows.

They come from Debian's source package, which apt checks by its signature; nothing is installed, and this machine's own
apt sources stay as they are. What cannot be fetched is said, and the tests that need it say so too when skipped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from apt_sources import Source, codename, read_sources, reduce

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "cpython"
SHIM = ROOT / "tests" / "cpython" / "include"
PACKAGE = "python3.11"
RELEASE = "bookworm"
"""The Debian release that has this package."""
DEBIAN = Source(
    "http://deb.debian.org/debian", RELEASE, ("main",), {"Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg"}
)
KEPT = ("Lib/ctypes/test/", "Lib/test/__init__.py", "Lib/test/support/", "Modules/_ctypes/_ctypes_test.", "LICENSE")
TOOLS = {"win64": "x86_64-w64-mingw32", "win32": "i686-w64-mingw32"}
OFFLINE = """\
!!! CPYTHON'S OWN TESTS OF ctypes ARE NOT HERE and cannot be fetched: they WILL NOT RUN.
!!! {}
!!! Once deb.debian.org or a mirror of it can be reached: python scripts/cpython_tests.py"""


class UnavailableError(Exception):
    """The tests cannot be fetched; the message says why."""


def sources() -> list[Source]:
    """This machine's own archive where it is of the right release, mirrors included, else Debian's."""
    if codename(Path("/etc/os-release")) == RELEASE:
        return reduce(list(read_sources(Path("/etc/apt"))), RELEASE) or [DEBIAN]
    return [DEBIAN]


def apt_get(folder: Path, *arguments: str) -> None:
    options = {
        "Dir::Etc::sourcelist": str(folder / "source.sources"),
        "Dir::Etc::sourceparts": "-",
        "Dir::State::Lists": str(folder / "lists"),
        "Dir::Cache": str(folder / "cache"),
        "APT::Sandbox::User": "",  # root's downloads need no user of their own in a folder of root's
    }
    given = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    command = ["apt-get", "-q", *given, *arguments]
    try:
        run = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UnavailableError("There is no apt-get on this machine.") from error
    problems = [line for line in run.stderr.splitlines() if line.startswith(("E:", "W: Failed"))]
    if run.returncode or problems:  # an update that fetched nothing ends with success
        raise UnavailableError(f"apt-get {arguments[0]}: {' '.join(problems) or run.returncode}")


def download(folder: Path) -> Path:
    """The tar archive of the unpatched source."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    stanzas = (source.stanza().replace("Types: deb\n", "Types: deb-src\n") for source in sources())
    (folder / "source.sources").write_text("\n".join(stanzas))
    print(f"    downloading Debian's source package {PACKAGE}, 27 MB", flush=True)
    apt_get(folder, "update")
    apt_get(folder, "source", "--download-only", PACKAGE)
    return next(folder.glob("*.orig.tar.*"))


def unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as packed:
        for member in filter(tarfile.TarInfo.isfile, packed):
            name = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            content = packed.extractfile(member)
            if str(name).startswith(KEPT) and ".." not in name.parts and content is not None:
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content.read())


def fetch() -> None:
    if (CACHE / "Lib").exists():
        return
    print("==> CPython 3.11's tests of ctypes", flush=True)
    CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as scratch:
        source = Path(scratch, "source")
        unpack(download(Path(scratch)), source)
        shutil.rmtree(CACHE, ignore_errors=True)
        source.replace(CACHE)


def exports_as_msvc(definition: str) -> Iterator[str]:
    """Lines of a .def file in which stdcall functions have the underscore that Microsoft's linker exports them with."""
    for line in definition.splitlines():
        yield re.sub(r"^ +(\w+@\d+) @\d+", r"    _\1 = \1", re.sub(r"^( +\w+) @\d+", r"\1", line))


def compile_helper(arch: str, place: Path) -> None:
    """Compile _ctypes_test.dll as Microsoft's compiler would lay it out: long double is double there."""
    print(f"    compiling {place.relative_to(ROOT)}", flush=True)
    source = CACHE / "Modules" / "_ctypes" / "_ctypes_test.c"
    place.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        code, listed, wanted, dll = (Path(scratch, name) for name in ("o.o", "listed.def", "wanted.def", "made.dll"))
        flags = ["-c", "-O1", "-DMS_WIN32", "-mlong-double-64", f"-I{SHIM}"]
        link = ["-shared", "-static-libgcc", str(code), "-loleaut32", "-o", str(dll)]
        run(arch, "gcc", *flags, str(source), "-o", str(code))
        run(arch, "gcc", *link, f"-Wl,--output-def,{listed}")
        wanted.write_text("\n".join(exports_as_msvc(listed.read_text())))
        run(arch, "objcopy", "--remove-section=.drectve", str(code))  # else the linker's own names are exported too
        run(arch, "gcc", *link, str(wanted))
        dll.replace(place)


def run(arch: str, tool: str, *arguments: str) -> None:
    subprocess.run([f"{TOOLS[arch]}-{tool}", *arguments], check=True, stdin=subprocess.DEVNULL)


def main() -> int:
    try:
        fetch()
        for arch in TOOLS:
            place = CACHE / arch / "_ctypes_test.dll"
            if not place.exists() or place.stat().st_mtime < (SHIM / "Python.h").stat().st_mtime:
                compile_helper(arch, place)
    except UnavailableError as reason:
        print(OFFLINE.format(reason), file=sys.stderr)
    except (subprocess.CalledProcessError, OSError) as failure:
        print(f"cpython_tests.py: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
