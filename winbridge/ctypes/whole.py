"""Whole-array calls of function pointers: the view of one that ``winbridge.dll.many`` works on."""

from __future__ import annotations

from typing import Any

from winbridge.core.session import SessionEngine
from winbridge.core.wire import Flag
from winbridge.ctypes.functions import FUNCFLAG_HRESULT, FunctionData
from winbridge.dll.conversion import compiled
from winbridge.dll.plan import Prototype


class Whole:
    """A function pointer with what ``map`` and ``vectorize`` ask of a ``DllFunction``.

    Attributes:
        errcheck: not None where each call needs a look before the next: also for HRESULT, out parameters, COM methods.
    """

    def __init__(self, function: FunctionData) -> None:
        self._function = function
        self._plan = plan = function._plan or function._compile()
        hresult = plan.check is not None or plan.function_flags & FUNCFLAG_HRESULT
        special = hresult or plan.method is not None or function._paramflags is not None
        self.errcheck = function._errcheck or (function if special else None)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def plan_for(self, arguments: tuple[Any, ...]) -> Any:
        """How calls with arguments like these are made."""
        session, address, prototype = self.place()
        return compiled(prototype, session, address, arguments)

    def place(self) -> tuple[SessionEngine, int, Prototype]:
        """The session, the address in it, and the prototype."""
        plan = self._plan
        swaps = Flag.SWAP_LAST_ERROR if plan.swaps_last_error else Flag(0)
        swaps |= Flag.SWAP_ERRNO if plan.swaps_errno else Flag(0)
        convention = "cdecl" if plan.cdecl else "stdcall"
        prototype = Prototype(plan.name, convention, swaps, plan.argtypes, plan.restype)
        return self._function._family_.session(), self._function._live_address(), prototype
