"""Arguments that become something else first: by ``_as_parameter_``, or by a user's own ``from_param``.

What they become may differ from call to call, so the plan is chosen by the types that come out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any

from winbridge.core.session import SessionEngine
from winbridge.dll.layout import SimpleData
from winbridge.dll.own import OwnPlan, family_of, with_standard_numbers
from winbridge.dll.plan import Plan, Prototype, argument_error
from winbridge.dll.pointer import RemotePointer
from winbridge.dll.scalars import CArgument, is_number, unwrapped

_PLAIN = (
    int, float, bytes, str, type(None), SimpleData, CArgument, RemotePointer,
    ctypes.Array, ctypes.Structure, ctypes.Union, ctypes._Pointer, ctypes._CFuncPtr,  # type: ignore[attr-defined]
)  # fmt: skip

Step = Callable[[Any], Any]


class Conversion:
    """A plan that converts arguments and leaves the rest to the plan for what they became.

    Args:
        prototype, session, address: see ``Plan``.
        steps: a conversion for each argument, None where there is none.
    """

    plain = False

    def __init__(self, prototype: Prototype, session: SessionEngine, address: int, steps: list[Step | None]) -> None:
        self.prototype = prototype.after([_is_custom(kind) for kind in prototype.argtypes or ()])
        self.session = session
        self.address = address
        self.steps = steps
        self.plans: dict[tuple[type, ...], Plan | Conversion | OwnPlan] = {}

    def call(self, arguments: tuple[Any, ...]) -> Any:
        """Make the call; see ``Plan.call``."""
        converted = tuple(
            argument if step is None else _converted(step, argument, position)
            for position, (argument, step) in enumerate(zip(arguments, self.steps, strict=True), 1)
        )
        kinds = tuple(map(type, converted))
        plan = self.plans.get(kinds)
        if plan is None:
            plan = self.plans[kinds] = compiled(self.prototype, self.session, self.address, converted)
        return plan.call(converted)


def compiled(
    prototype: Prototype, session: SessionEngine, address: int, arguments: tuple[Any, ...]
) -> Plan | Conversion | OwnPlan:
    """The plan for calls with arguments like these.

    Raises:
        TypeError, ctypes.ArgumentError: they cannot be passed; texts as in ctypes.
    """
    family = family_of(prototype, arguments, session.arch)
    if family is not None:
        return OwnPlan(prototype, family, session, address)
    prototype = with_standard_numbers(prototype)
    prototype.check_count(len(arguments))
    kinds = prototype.kinds(len(arguments))
    steps = [_step(argument, kind) for argument, kind in zip(arguments, kinds, strict=True)]
    if any(steps):
        return Conversion(prototype, session, address, steps)
    return Plan(prototype, session, address, arguments)


def _step(argument: Any, kind: Any) -> Step | None:
    if _is_custom(kind):
        return kind.from_param  # type: ignore[no-any-return]
    if not isinstance(argument, _PLAIN) and _has_as_parameter(argument):
        return _as_parameter
    return None


def _is_custom(kind: Any) -> bool:
    """Whether ``from_param`` is not the one that a ctypes type is born with."""
    return kind is not None and not isinstance(kind.from_param, BuiltinMethodType)


def _has_as_parameter(argument: Any) -> bool:
    """A property is not evaluated for this: it may count how often it is."""
    return any("_as_parameter_" in vars(kind) for kind in type(argument).__mro__) or hasattr(argument, "_as_parameter_")


def _as_parameter(argument: Any) -> Any:
    return argument._as_parameter_


def _converted(step: Step, argument: Any, position: int) -> Any:
    try:
        value = step(argument)
        return unwrapped(value) if is_number(value) else value
    except Exception as error:
        raise argument_error(position, error) from error
