"""Run the end-to-end tests on Wine 10: that of Debian 13, in a folder of its own (.cache/wine10/root).

debootstrap makes the folder, chroot enters it, in a mount and process namespace of its own: when the tests end nothing
is left mounted or running. This machine's own Wine and packages stay as they are. The agents are this checkout's.
Where such a folder cannot be made (no root, no mirror) that is said, and the exit status is 0.

    sudo .venv/bin/python scripts/wine10.py -k callbacks       options of pytest
    sudo .venv/bin/python scripts/wine10.py --run COMMAND      another command, in the checkout
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from test_pythons import END_TO_END

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "wine10"
SYSTEM = CACHE / "root"
LOG = CACHE / "setup.log"
RELEASE, PYTHON = "trixie", "3.13"
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = (
    "ca-certificates",
    "gcc-mingw-w64-i686-win32",
    "gcc-mingw-w64-x86-64-win32",
    "make",
    "python3",
    "python3-venv",
    "wine",
    "wine64",
    "wine32:i386",
)
ENVIRONMENT = Path("opt", "winbridge")
"""The virtual environment, within the system."""
SITE_PACKAGES = ENVIRONMENT / "lib" / f"python{PYTHON}" / "site-packages"
PREFIX = "/root/.local/share/winbridge/prefix"

ENTER = """
set -e
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
mkdir -p "$0$1"
mount --bind "$1" "$0$1"
exec chroot "$0" env -i HOME=/root LANG=C.UTF-8 PATH="/opt/winbridge/bin:/usr/sbin:/usr/bin:/sbin:/bin" \\
    PYTHONDONTWRITEBYTECODE=1 TERM="${TERM:-dumb}" sh -c 'cd "$0" && "$@"; exit $?' "$@"
"""
"""The inner shell stays: as first process of its namespace it reaps all orphans, which pytest would not."""


class UnavailableError(Exception):
    """There can be no such system here; the message says why."""


def step(title: str, command: list[str | Path], **options: str | Path | dict[str, str]) -> None:
    """Run a command with its output in the log, a dot every two seconds.

    Raises:
        UnavailableError: it failed.
    """
    print(f"==> {title} ", end="", flush=True)
    started = time.monotonic()
    with (
        LOG.open("ab") as log,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options) as run,
    ):
        while True:
            try:
                run.wait(2)
                break
            except subprocess.TimeoutExpired:
                print(".", end="", flush=True)
    print(f" {'failed' if run.returncode else 'done'}, {time.monotonic() - started:.0f} s", flush=True)
    if run.returncode:
        tail = "\n".join(f"    | {line}" for line in LOG.read_text(errors="replace").splitlines()[-15:])
        raise UnavailableError(f"{title}: exit status {run.returncode} (all of it: {LOG})\n{tail}")


def entered(command: list[str | Path]) -> list[str | Path]:
    """The command line that runs a command in the system, in the checkout's folder."""
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*namespaces, "sh", "-c", ENTER, SYSTEM, ROOT, *command]


def require_rights() -> None:
    if os.geteuid() != 0:
        raise UnavailableError("chroot needs root: sudo make test-wine10")
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True)
    if tried.returncode:
        raise UnavailableError(f"no mount namespace may be made here: {tried.stderr.strip()}")


def debootstrap() -> tuple[str, dict[str, str]]:
    """The program and its environment: this machine's, else Debian's package, unpacked and not installed."""
    installed = shutil.which("debootstrap")
    if installed:
        return installed, dict(os.environ)
    unpacked = CACHE / "debootstrap"
    if not unpacked.exists():
        fetched = CACHE / "debootstrap.new"
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir(parents=True)
        step("debootstrap", ["apt-get", "-q", "download", "debootstrap"], cwd=fetched)
        step("debootstrap, unpacked", ["dpkg-deb", "-x", *fetched.glob("*.deb"), fetched])
        fetched.rename(unpacked)
    folder = unpacked / "usr" / "share" / "debootstrap"
    return str(unpacked / "usr" / "sbin" / "debootstrap"), os.environ | {"DEBOOTSTRAP_DIR": str(folder)}


def make_system() -> None:
    """Through a folder of another name: what stands under its final name is complete."""
    if SYSTEM.exists():
        return
    program, variables = debootstrap()
    unfinished = CACHE / "root.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    keyring = [f"--keyring={KEYRING}"] if Path(KEYRING).exists() else []
    step(
        f"Debian {RELEASE} into {SYSTEM}",
        [program, "--variant=minbase", *keyring, RELEASE, unfinished, MIRROR],
        env=variables,
    )
    unfinished.rename(SYSTEM)


def install_packages() -> None:
    stamp = SYSTEM / "winbridge-packages"
    if stamp.exists() and stamp.read_text() == " ".join(PACKAGES):
        return
    shutil.copyfile("/etc/resolv.conf", SYSTEM / "etc" / "resolv.conf")
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q"]
    step("32-bit packages allowed", entered(["dpkg", "--add-architecture", "i386"]))
    step("Package index", entered([*apt, "update"]))
    step("Wine 10, mingw-w64, Python", entered([*apt, "install", "--no-install-recommends", *PACKAGES]))
    step("Downloads removed", entered(["apt-get", "clean"]))
    stamp.write_text(" ".join(PACKAGES))


def requirements() -> list[str]:
    """What winbridge and its tests need, by pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    tests = [wanted for wanted in extras["test"] if not wanted.startswith("winbridge[")]
    return [*project["dependencies"], *extras["gateway"], *extras["numpy"], *extras.get("remote", ()), *tests]


def make_environment() -> None:
    """By this machine's pip, as it is configured here; the system inside knows nothing of registries."""
    wanted = requirements()
    key = hashlib.sha256("\n".join(wanted).encode()).hexdigest()
    stamp = SYSTEM / ENVIRONMENT / "winbridge-stamp"
    if stamp.exists() and stamp.read_text() == key:
        return
    step("Virtual environment", entered(["python3", "-m", "venv", "--clear", "--without-pip", Path("/", ENVIRONMENT)]))
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in (28, 17, 12, 5)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--upgrade", "--only-binary=:all:"]
    step(
        "Python packages",
        [
            *pip,
            f"--python-version={PYTHON}",
            "--implementation=cp",
            *platforms,
            f"--target={SYSTEM / SITE_PACKAGES}",
            *wanted,
        ],
    )
    stamp.write_text(key)


def show_checkout() -> None:
    """Any folder's programs in the environment import winbridge from this checkout."""
    (SYSTEM / SITE_PACKAGES / "winbridge.pth").write_text(f"{ROOT}\n")


def tests(options: list[str]) -> list[str]:
    """With a Wine server that stays: else each of the many sessions would wait a second for one of its own."""
    files = [f"tests/test_{name}.py" for name in END_TO_END]
    server = f"python -m winbridge.core.prefix && WINEPREFIX={PREFIX} /usr/lib/wine/wineserver64 -p"
    pytest = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, *options]
    return ["sh", "-c", f'{server} && exec "$@"', "sh", *pytest]


def run(command: list[str], log: Path) -> int:
    """The output goes through a file: services of Wine keep what they were started with, so a pipe would not end."""
    with log.open("wb") as output:
        running = subprocess.Popen(entered(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    with subprocess.Popen(["tail", "-n", "+1", "-f", f"--pid={running.pid}", log]):
        return running.wait()  # reaped first: tail would see what has ended as a process that goes on


def main() -> int:
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        require_rights()
        make_system()
        install_packages()
        make_environment()
        show_checkout()
    except (UnavailableError, OSError) as reason:
        print(
            f"\n!!! NO DEBIAN {RELEASE.upper()} HERE: THE TESTS WERE NOT RUN ON WINE 10\n!!! {reason}", file=sys.stderr
        )
        return 0
    given = sys.argv[1:]
    if given[:1] == ["--run"]:
        return run(given[1:], CACHE / "run.log")
    return run(tests(given), CACHE / "tests.log")


if __name__ == "__main__":
    sys.exit(main())
