"""``ref``: pass or return an object by proxy instead of by value."""

from __future__ import annotations

import functools
import pickle
from typing import Any

from winbridge.remote.current import current
from winbridge.remote.references import arrive
from winbridge.remote.special import describe

__all__ = ["Reference", "ref"]


class Reference:
    """As an argument or a result, or anywhere within: the other side gets a proxy of ``value``, not a copy.

    Attributes:
        value: the object.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value: Any = value.value if isinstance(value, Reference) else value

    def __repr__(self) -> str:
        return f"ref({self.value!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        if current.undo is None or current.values is None:
            raise pickle.PicklingError(
                "a Reference travels only as an argument or result of a call through a connection"
            )
        references = current.values.references
        if references.owns(self.value):
            return self.value.__reduce_ex__(protocol)
        number = references.lend(self.value)
        current.undo.append(functools.partial(references.take_back, number))
        return arrive, (number, *describe(self.value))


def ref(value: Any) -> Reference:
    """Pass or return ``value`` by proxy: it stays where it is, and what is done to the proxy is done to it."""
    return Reference(value)
