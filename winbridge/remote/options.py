"""What can be set for a connection."""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, Any] = {
    "timeout": 30.0,
    "heartbeat": None,
    "accept_exported_modules": False,
    "pickle_by_value": False,
    "max_message": 1 << 32,
    "max_threads": 256,
    "secret": None,
    "ssl": None,
    "shared_memory": True,
}
MINIMUM = {"timeout": 0.001, "heartbeat": 0.001, "max_message": 1 << 16, "max_threads": 1}
FLAGS = ("accept_exported_modules", "pickle_by_value", "shared_memory")


class Options:
    """Options of one side of a connection; the other side has its own.

    Args:
        timeout: seconds that a connection may take to open, and after which a peer on another machine that sends
            nothing counts as lost. A peer on the same machine is known to be lost at once, however long it is silent.
        heartbeat: seconds of silence after which a peer on another machine is asked whether it is there; None for a
            third of ``timeout``.
        accept_exported_modules: whether the peer may bring modules of its own along (``Connection.export``).
        pickle_by_value: send functions and classes that the peer cannot import (of ``__main__``, lambdas, closures)
            by their code, with cloudpickle.
        max_message: bytes that one message of the peer may have.
        max_threads: how many calls of the peer are executed at the same time; further ones wait for their turn.
        secret: bytes or text that both sides know: nothing is unpickled from a peer that does not prove it does.
        ssl: an ``ssl.SSLContext`` for connections over TCP.
        shared_memory: whether large data may go through shared memory to a peer on the same machine.

    Raises:
        TypeError: an option of that name does not exist, or its value is of another type.
        ValueError: a number is too small.
    """

    timeout: float
    heartbeat: float | None
    accept_exported_modules: bool
    pickle_by_value: bool
    max_message: int
    max_threads: int
    secret: str | bytes | None
    ssl: Any
    shared_memory: bool

    def __init__(self, **options: Any) -> None:
        unknown = sorted(set(options) - set(DEFAULTS))
        if unknown:
            raise TypeError(f"no such option: {', '.join(unknown)}; there are {', '.join(DEFAULTS)}")
        for name, value in {**DEFAULTS, **options}.items():
            _check(name, value)
            setattr(self, name, value)

    def copy(self, **changes: Any) -> Options:
        """The same options but for those that are given."""
        return Options(**{**{name: getattr(self, name) for name in DEFAULTS}, **changes})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and all(getattr(self, name) == getattr(other, name) for name in DEFAULTS)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Only what is not the default, and never the secret: this may end in a log."""
        given = {name: getattr(self, name) for name in DEFAULTS if getattr(self, name) != DEFAULTS[name]}
        if "secret" in given:
            given["secret"] = "***"
        return f"Options({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _check(name: str, value: Any) -> None:
    if name in FLAGS and not isinstance(value, bool):
        raise TypeError(f"the option {name} is True or False, not {value!r}")
    if name == "secret" and not isinstance(value, (str, bytes, type(None))):
        raise TypeError(f"the option secret is text or bytes, not {type(value).__name__}")
    if name not in MINIMUM or (value is None and DEFAULTS[name] is None):
        return
    whole = isinstance(DEFAULTS[name], int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise TypeError(f"the option {name} is a number{' of whole units' * whole}, not {value!r}")
    if not value >= MINIMUM[name]:
        raise ValueError(f"the option {name} is at least {MINIMUM[name]}, not {value!r}")
