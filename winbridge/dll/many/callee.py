"""What whole-array calls ask of a function: a ``DllFunction``, or a function pointer of ``winbridge.ctypes``."""

from __future__ import annotations

from typing import Any, Protocol

from winbridge.core.session import SessionEngine
from winbridge.dll.plan import Prototype


class Callee(Protocol):
    """A function that can be called once, and tells how many calls can be made at once."""

    def __call__(self, *arguments: Any) -> Any:
        """Call it once."""

    @property
    def errcheck(self) -> Any:
        """Not None where each call needs a look before the next."""

    def plan_for(self, arguments: tuple[Any, ...]) -> Any:
        """How calls with arguments like these are made."""

    def place(self) -> tuple[SessionEngine, int, Prototype]:
        """This thread's session, the address in it, and the prototype."""
