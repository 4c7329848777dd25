"""Parameters of a session, and the places where their values may come from.

The first source that names a parameter wins: a keyword argument, the environment
variable ``WINBRIDGE_<PARAMETER>``, ``./winbridge.toml``, ``winbridge.toml`` in the user's
configuration folder, the default. The sources are read when a `Config` is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from winbridge.core.errors import ConfigError
from winbridge.core.sources import Source, data_folder, outer_sources, unknown_name

if TYPE_CHECKING:  # in annotations only, which `kinds` evaluates when a value has to be checked
    from typing import Annotated, Literal

    from msgspec import Meta

    from winbridge.core.kinds import Count, File, Folder, Seconds

__all__ = ["DEFAULT", "KEYWORD", "Config"]

KEYWORD = "keyword argument"
DEFAULT = "default"


class Config:
    """The parameters of a session: a frozen value, equal to another with the same values.

    ``None`` for a parameter that has no such value counts as not given. An empty
    environment variable counts as not set; the text ``none`` in an environment variable
    or a file stands for ``None``. Paths may begin with ``~``; relative ones start at the
    working directory, in a file at the file's folder.

    Args:
        **parameters: values that count before all other sources.

    Raises:
        ConfigError: a parameter is unknown or its value is bad; the message names the
            source, the value and what is expected.
    """

    arch: Annotated[Literal["win64", "win32"] | None, Meta(description="win64 or win32")] = None
    """Architecture of the Windows process; None leaves it to the session's type."""

    id: Annotated[str | None, Meta(description="a text")] = None
    """Name of the session, for logs and status lines; None has one made up."""

    prefix: Folder = Path()
    """Folder of the Wine prefix; by default ``prefix`` in the user's data folder."""

    wine: File = None
    """Wine's loader; None searches PATH and the well-known places."""

    wine_debug: Annotated[str, Meta(description="Wine's debug channels as a text")] = "-all"
    """Value of WINEDEBUG."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"] | None,
        Meta(description="debug, info, warning, error or critical"),
    ] = None
    """Level of winbridge's log; None leaves logging as the program set it up."""

    log_file: File = None
    """File that the log is written to; None: no file."""

    timeout_start: Annotated[Seconds, Meta(description="seconds, more than 0")] = 60.0
    """Seconds that the agent may take to start."""

    timeout_stop: Annotated[Seconds, Meta(description="seconds, more than 0")] = 5.0
    """Seconds that the agent may take to stop before it is killed."""

    timeout_call: Annotated[Seconds | None, Meta(description="seconds, more than 0, or none for no limit")] = None
    """Seconds that a call may take; None: no limit."""

    history: Annotated[Count | bool, Meta(description="a number of calls, 0 or more, or true or false")] = 0
    """Number of calls to keep a record of, True for a usual number; 0 or False: off."""

    scope: Annotated[Literal["process", "thread"], Meta(description="process or thread")] = "process"
    """Whether the threads share the implicit session or each opens its own."""

    spin_us: Annotated[Count | None, Meta(description="microseconds, a whole number, 0 or more")] = None
    """Microseconds to spin before sleeping; None: 0 on one usable core, else 100."""

    python: File = None
    """Windows Python interpreter for remote Python; None: the one that was installed."""

    transport: Annotated[Literal["auto", "shm", "stream"], Meta(description="auto, shm or stream")] = "auto"
    """What carries the calls: shared memory, a byte stream, or the first that works."""

    def __init__(self, **parameters: Any) -> None:
        self._fill(*_resolve(parameters))

    def _fill(self, values: Mapping[str, object], sources: Mapping[str, str]) -> Config:
        self.__dict__.update(values, _sources=dict(sources))
        return self

    def _values(self) -> dict[str, object]:
        return {name: self.__dict__[name] for name in PARAMETERS}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Config does not change: config.replace({name}=...) makes another")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Config does not change: it keeps its {name}")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, Config) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def source(self, name: str) -> str:
        """Tell where a value came from.

        Args:
            name: the parameter.

        Returns:
            "keyword argument", "environment variable ``WINBRIDGE_...``", the path of a file,
            or "default".

        Raises:
            ConfigError: there is no such parameter.
        """
        _check_name(name, KEYWORD)
        return str(self.__dict__["_sources"][name])

    def replace(self, **keywords: Any) -> Config:
        """Make a copy with some values changed; the sources are not read again.

        Args:
            **keywords: the parameters to change.

        Raises:
            ConfigError: a parameter is unknown or its value is bad.
        """
        changed = dict(_accepted(Source(KEYWORD, keywords)))
        sources = self.__dict__["_sources"] | dict.fromkeys(changed, KEYWORD)
        return _filled(self._values() | changed, sources)

    def __repr__(self) -> str:
        shown = (f"{name}={_plain(value)!r}" for name, value in self._values().items() if value != _default(name))
        return f"Config({', '.join(shown)})"

    def __reduce__(self) -> tuple[Callable[..., Config], tuple[object, ...]]:
        return _filled, (self._values(), self.__dict__["_sources"])


PARAMETERS = tuple(Config.__annotations__)


def _filled(values: Mapping[str, object], sources: Mapping[str, str]) -> Config:
    """One whose values are known to be good."""
    return Config.__new__(Config)._fill(values, sources)


def _resolve(keywords: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    values: dict[str, object] = {name: _default(name) for name in PARAMETERS}
    origins = dict.fromkeys(values, DEFAULT)
    sources = (Source(KEYWORD, keywords), *outer_sources(PARAMETERS))
    for source in reversed(sources):
        for name, value in _accepted(source):
            values[name] = value
            origins[name] = source.describe(name)
    return values, origins


def _accepted(source: Source) -> Iterator[tuple[str, object]]:
    """Yield what the source gives, each name and value checked."""
    for name, given in source.values.items():
        _check_name(name, source.describe(name))
        value = None if given == source.none and _allows_none(name) else given
        if value is not None or _allows_none(name):
            yield name, _converted(name, value, source)


def _check_name(name: str, place: str) -> None:
    if name not in PARAMETERS:
        raise unknown_name(f"parameter ({place})", name, name.lower(), PARAMETERS)


def _converted(name: str, value: object, source: Source) -> object:
    from winbridge.core import kinds

    try:
        result = kinds.convert(value, _hint(name), strict=not source.text)
        if isinstance(result, Path):
            result = Path(os.path.abspath((source.folder or Path()) / result.expanduser()))
        if isinstance(result, str | Path) and b"\0" in os.fsencode(result):
            raise ValueError("no file and no variable can be called so")
    except (OSError, RuntimeError, ValueError) as error:
        place = source.describe(name)
        raise ConfigError(f"{name} = {value!r} ({place}): expected {kinds.expected(_hint(name))}") from error
    return result


@cache
def _hints() -> dict[str, Any]:
    from winbridge.core.kinds import hints

    return hints(Config)


def _hint(name: str) -> Any:
    return _hints()[name]


def _allows_none(name: str) -> bool:
    from winbridge.core.kinds import allows_none

    return allows_none(_hint(name))


def _default(name: str) -> object:
    return data_folder() / "prefix" if name == "prefix" else getattr(Config, name)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
