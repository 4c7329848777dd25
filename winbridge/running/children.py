"""Processes that multiprocessing starts anew see what their parent sees; forked ones do by themselves."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import spawn
from typing import Any


class Preparation:
    """Calls a function where it is unpickled: in the child, before that imports the main module.

    Args:
        function: what to call there.
        *arguments: of the call.
    """

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return self._call


def carry(function: Callable[..., None], *arguments: Any) -> None:
    """Have a function called in each process that multiprocessing spawns from now on."""
    original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return original(name) | {"winbridge": Preparation(function, *arguments)}

    spawn.get_preparation_data = get_preparation_data
