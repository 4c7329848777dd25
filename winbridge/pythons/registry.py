"""The Windows Pythons that winbridge knows.

Each is a folder below winbridge's data folder, with a record in ``python.json``. One that was installed has the
interpreter beside the record; of one that the user named the folder holds the record alone. A folder appears and
goes by being renamed, so that no other process ever sees half of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from winbridge.core import paths
from winbridge.core.config import Config
from winbridge.core.sources import data_folder
from winbridge.pythons import versions
from winbridge.pythons.errors import WindowsPythonError
from winbridge.pythons.interpreter import Interpreter, inspect

RECORD = "python.json"
NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
INSTALL = "`winbridge python install 3.12` gets one, `winbridge python add PATH` names one that is there"


class Known(NamedTuple):
    """A Windows Python under a name of its own.

    Attributes:
        name: by which it is chosen.
        executable: its ``python.exe``; the user may have taken one away that was only named.
        source: where it came from, in words.
        installed: whether its files are winbridge's to remove.
    """

    name: str
    executable: Path
    source: str
    installed: bool

    def inspect(self) -> Interpreter:
        """Read what it is.

        Raises:
            WindowsPythonError: it is gone or damaged.
        """
        try:
            return inspect(self.executable)
        except WindowsPythonError as error:
            raise WindowsPythonError(
                f"the Windows Python {self.name} is gone or damaged: {error}; `winbridge python remove {self.name}`"
                " forgets it"
            ) from error


def place() -> Path:
    """The folder of all of them."""
    return data_folder() / "pythons"


def known() -> list[Known]:
    """All that are there, by name."""
    return [_read(record.parent) for record in sorted(place().glob(f"[!.]*/{RECORD}"))]


def get(name: str) -> Known:
    """Find one by its name.

    Raises:
        WindowsPythonError: there is none; the message says which there are.
    """
    if NAME.fullmatch(name) and (place() / name / RECORD).is_file():
        return _read(place() / name)
    there = ", ".join(python.name for python in known())
    advice = f"there are {there}" if there else INSTALL
    raise WindowsPythonError(f"there is no Windows Python called {name!r}: {advice}")


def find(config: Config, python: str | None = None, arch: str | None = None) -> Interpreter:
    """Choose the interpreter to run.

    Args:
        config: its ``python`` is taken where none is named here, and its ``prefix`` gives Windows paths a meaning.
        python: a name, a path of ``python.exe`` or of its folder, or a version (``3.12``).
        arch: ``win64`` or ``win32``; None takes what there is, 64 bit first.

    Raises:
        WindowsPythonError: there is none such.
    """
    if python is None and config.python is not None:
        return _suitable(inspect(config.python), arch, f"python = {config.python} ({config.source('python')})")
    if python in {one.name for one in known()}:
        return _suitable(get(str(python)).inspect(), arch, str(python))
    if python is None or versions.VERSION.fullmatch(python):
        return _newest(python, arch)
    if NAME.fullmatch(python) and not Path(python).exists():
        get(python)  # which tells the names that there are
    return _suitable(inspect(_path(python, config)), arch, python)


def _newest(version: str | None, arch: str | None) -> Interpreter:
    found = [interpreter for interpreter in _usable() if _fits(interpreter, version, arch)]
    if not found:
        raise WindowsPythonError(f"there is no {' '.join(filter(None, ('Windows Python', version, arch)))}: {INSTALL}")
    return max(found, key=_rank)


def _usable() -> Iterator[Interpreter]:
    for python in known():
        with contextlib.suppress(WindowsPythonError):
            yield python.inspect()


def add(path: str, name: str | None, config: Config) -> Known:
    """Keep a Python that is somewhere on this machine under a name.

    Args:
        path: its ``python.exe`` or the folder with it, as a Unix or a Windows path.
        name: by default the version and the architecture, ``3.12-win64``.
        config: its ``prefix`` gives Windows paths a meaning.

    Raises:
        WindowsPythonError: there is no Python, or the name is taken or not one.
    """
    interpreter = inspect(_path(path, config).expanduser().absolute())
    with staged() as folder:
        record(folder, interpreter.executable, f"added, {interpreter.executable}")
        return publish(folder, name or default_name(interpreter))


def remove(name: str) -> Known:
    """Forget a Python; of one that was installed the files go too.

    Raises:
        WindowsPythonError: there is none of this name.
    """
    with staged() as folder:  # which takes it away at the end
        python = get(name)
        (place() / name).rename(folder)
    return python


def default_name(interpreter: Interpreter) -> str:
    return f"{interpreter.series}-{interpreter.arch}"


@contextlib.contextmanager
def staged() -> Iterator[Path]:
    """Give a new empty folder that no other process sees; unless it is published it goes when the block ends.

    One process at a time has one. What a killed process left is removed by the next.
    """
    place().mkdir(parents=True, exist_ok=True)
    with open(place() / ".lock", "a") as file:  # it stays: to remove it would let two hold it
        fcntl.flock(file, fcntl.LOCK_EX)
        folder = place() / ".staged"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, name: str) -> Known:
    """Give a folder with a record its name, by which all see it.

    Raises:
        WindowsPythonError: the name is taken, or is none.
    """
    check_free(name)
    folder.rename(place() / name)
    return get(name)


def check_free(name: str) -> None:
    """Refuse a name that is taken, or that cannot be a folder's.

    Raises:
        WindowsPythonError: it is.
    """
    if not NAME.fullmatch(name):
        raise WindowsPythonError(f"{name!r} cannot be a name: letters, digits, '.', '_', '+' and '-' make one")
    if (place() / name).exists():
        raise WindowsPythonError(
            f"there is a Windows Python called {name} already: take another --name, or `winbridge python remove {name}`"
        )


def record(folder: Path, executable: Path, source: str) -> None:
    """Write what is known of a Python into its folder; a path within it is kept relative."""
    kept = executable.relative_to(folder) if executable.is_relative_to(folder) else executable
    (folder / RECORD).write_text(json.dumps({"executable": str(kept), "source": source}) + "\n")


def _read(folder: Path) -> Known:
    try:
        kept = json.loads((folder / RECORD).read_text())
        executable, source = folder / kept["executable"], str(kept["source"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WindowsPythonError(f"{folder / RECORD} is damaged ({error}): remove the folder {folder}") from error
    return Known(folder.name, executable, source, executable.is_relative_to(folder))


def _rank(interpreter: Interpreter) -> tuple[versions.Rank, bool]:
    return versions.rank(interpreter.version), interpreter.arch == "win64"


def _fits(interpreter: Interpreter, version: str | None, arch: str | None) -> bool:
    return (version is None or versions.matches(interpreter.version, version)) and arch in (None, interpreter.arch)


def _suitable(interpreter: Interpreter, arch: str | None, named: str) -> Interpreter:
    if arch not in (None, interpreter.arch):
        raise WindowsPythonError(f"{named} is a {interpreter.arch} Python, and {arch} was asked for")
    return interpreter


def _path(text: str, config: Config) -> Path:
    return Path(paths.windows_to_unix(text, config.prefix) if paths.is_windows_path(text) else text)
