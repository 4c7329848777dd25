"""The places that parameters come from when no keyword argument gives them."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from winbridge.core.errors import ConfigError

VARIABLES = "WINBRIDGE_"
FILE_NAME = "winbridge.toml"

RESERVED_VARIABLES = frozenset(
    {"WINBRIDGE_BUILD_EXTENSION", "WINBRIDGE_IMPL", "WINBRIDGE_SECRET", "WINBRIDGE_SECRET_FILE"}
)
"""Environment variables of winbridge that are no parameters of a session."""


class Source(NamedTuple):
    """Values that one place gives, as yet unchecked."""

    name: str
    values: Mapping[str, object]
    folder: Path | None = None  # where relative paths start; None: the working directory
    text: bool = False  # every value is a string
    none: object = None  # what stands for None there

    def describe(self, parameter: str) -> str:
        """Names the place of one parameter in messages."""
        return f"{self.name} {VARIABLES}{parameter.upper()}" if self.text else self.name


def outer_sources(parameters: Collection[str]) -> Iterator[Source]:
    """Yield the environment and the configuration files, the strongest first.

    Raises:
        ConfigError: an environment variable is unknown, or a file cannot be read or is another user's.
    """
    yield Source("environment variable", _environment(parameters), text=True, none="none")
    for folder in _folders():
        path = folder / FILE_NAME
        yield Source(str(path), _read(path), folder, none="none")


def unknown_name(kind: str, name: str, like: str, known: Collection[str]) -> ConfigError:
    """The error for a name that does not exist, with the nearest that does."""
    from difflib import get_close_matches

    near = get_close_matches(like, known, 1)
    advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return ConfigError(f"unknown {kind}: {name}; {advice}")


def _environment(parameters: Collection[str]) -> dict[str, str]:
    known = {VARIABLES + name.upper(): name for name in parameters}
    found = {}
    for variable, text in os.environ.items():
        if variable in RESERVED_VARIABLES or not variable.startswith(VARIABLES):
            continue
        if variable not in known:
            raise unknown_name("environment variable", variable, variable.upper(), known)
        if text:
            found[known[variable]] = text
    return found


def _folders() -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):  # a working directory that was deleted holds no file
        yield Path.cwd()
    yield Path(_platformdirs().user_config_dir("winbridge", appauthor=False))


def data_folder() -> Path:
    """Where winbridge keeps what it makes for this user."""
    return Path(_platformdirs().user_data_dir("winbridge", appauthor=False))


def _platformdirs() -> Any:
    import platformdirs  # when a Config is made: `import winbridge` and what follows it are to be light

    return platformdirs


def _read(path: Path) -> dict[str, Any]:
    try:
        text = _text(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return _parse(text, path)


def _text(path: Path) -> str:
    # Not to wait: what lies in a working directory may be a pipe that nobody writes to.
    with open(path, encoding="utf-8", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as file:
        _refuse_foreign(path, os.fstat(file.fileno()))
        return file.read()


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    """A file in the working directory may be anybody's, /tmp's for example, and it names programs to run."""
    trusted = {0, os.geteuid(), int(os.environ.get("SUDO_UID") or 0) if os.geteuid() == 0 else 0}
    if status.st_uid not in trusted or status.st_mode & stat.S_IWOTH:
        whose = f"belongs to user {status.st_uid}" if status.st_uid not in trusted else "may be written by every user"
        raise ConfigError(
            f"{path} {whose}, so others could have their programs run as you: make it your own"
            f" (chown {os.geteuid()} {path}; chmod o-w {path}) if you trust what is in it, or start in another folder"
        )


def _parse(text: str, path: Path) -> dict[str, Any]:
    # Here, because most programs have no such file.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
