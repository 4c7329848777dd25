"""What values each parameter of a `Config` takes.

Imported when a value has to be checked, which few programs need: msgspec takes longer to import than a session to open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

# Longer waits overflow in locks and in select.
Seconds = Annotated[float, Meta(gt=0, le=threading.TIMEOUT_MAX)]
Count = Annotated[int, Meta(ge=0)]
Folder = Annotated[Path, Meta(description="a path")]
File = Annotated[Path | None, Meta(description="a path")]

_NAMES = {"Annotated": Annotated, "Literal": Literal, "Meta": Meta, "Any": Any}


def hints(owner: type) -> dict[str, Any]:
    """The annotations of a class whose module imports the names of this one for type checkers only."""
    names = _NAMES | {"Seconds": Seconds, "Count": Count, "Folder": Folder, "File": File}
    return get_type_hints(owner, globalns=names, include_extras=True)


def convert(value: object, hint: Any, strict: bool) -> object:
    """A value as its parameter has it.

    Args:
        strict: False for texts of the environment, which may stand for numbers.

    Raises:
        ValueError: it is none that the parameter takes.
    """
    return msgspec.convert(value, hint, strict=strict, dec_hook=_make)


def expected(hint: Any) -> str:
    """What a parameter takes, in words."""
    return str(hint.__metadata__[-1].description)


def allows_none(hint: Any) -> bool:
    return type(None) in get_args(hint.__origin__)


def _make(kind: Callable[[Any], object], value: Any) -> object:
    return kind(value)
