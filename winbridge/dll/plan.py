"""A plan: one function's calls with one combination of argument types, compiled once.

The common call passes numbers only. Its plan packs them with one ``struct`` call into the
message; everything else (blocks of memory, numbers that do not fit, errors) takes the longer way.
"""

from __future__ import annotations

import struct
from typing import Any

from winbridge.core import wire
from winbridge.core.errors import PrototypeError, WindowsFault
from winbridge.core.impl import native
from winbridge.core.session import SessionEngine
from winbridge.core.wire import Flag, Op, Record
from winbridge.dll import lasterror
from winbridge.dll.arguments import Slot, slot
from winbridge.dll.living import living
from winbridge.dll.prototype import MAX_ARGUMENTS
from winbridge.dll.reach import Reach
from winbridge.dll.results import result
from winbridge.dll.scalars import pointer_code
from winbridge.dll.stack import imbalance

_ERRORS_AT = 12
_ERRORS = struct.Struct("<Ii")


class Prototype:
    """What a plan is compiled from."""

    def __init__(self, name: str, convention: str, flags: Flag, argtypes: tuple[Any, ...] | None, restype: Any) -> None:
        self.name = name
        self.convention = convention
        self.flags = flags
        self.argtypes = argtypes
        self.restype = restype

    def kinds(self, given: int) -> list[Any]:
        """The declared type of each argument, None where there is none."""
        types = self.argtypes or ()
        return [*types, *[None] * (given - len(types))]

    def after(self, converted: list[bool]) -> Prototype:
        """The prototype for arguments of which some are converted already: those bring their own types."""
        kinds = [None if done else kind for kind, done in zip(self.argtypes or (), converted, strict=True)]
        argtypes = None if self.argtypes is None else tuple(kinds)
        return Prototype(self.name, self.convention, self.flags, argtypes, self.restype)

    def check_count(self, given: int) -> None:
        """Refuse a wrong number of arguments, as ctypes does: cdecl functions may be given more."""
        if given > MAX_ARGUMENTS:
            raise PrototypeError(f"too many arguments ({given}), maximum is {MAX_ARGUMENTS}")
        if self.argtypes is None:
            return
        needed = len(self.argtypes)
        cdecl = self.convention == "cdecl"
        if given < needed if cdecl else given != needed:
            least = "at least " if cdecl else ""
            raise TypeError(f"this function takes {least}{needed} argument{'s' * (needed != 1)} ({given} given)")


class Plan:
    """Calls of one function in one session, for one combination of Python types.

    Args:
        prototype: of the function.
        session: where the function is.
        address: its address there.
        arguments: an example.

    Attributes:
        plain: whether packed numbers are all there is to a call, as long as nothing is watched.
        watched: empty, or what lives and has to be looked after.

    Raises:
        TypeError, ctypes.ArgumentError: the arguments cannot be passed; texts as in ctypes.
    """

    def __init__(self, prototype: Prototype, session: SessionEngine, address: int, arguments: tuple[Any, ...]) -> None:
        self.prototype = prototype
        self.session = session
        self.address = address
        self.slots = self._slots(arguments)
        width = session.pointer_size
        self.result = result(prototype.restype, session.arch)
        codes = [item.code for item in self.slots]
        if self.result.hidden is not None:
            codes.insert(0, pointer_code(session.arch))
        self.words = struct.Struct("<" + "".join(_word(code, width) for code in codes))
        self.pack = self.words.pack
        self.living = living(session)
        self.watched = self.living.objects
        self.flags = self.result.kind | prototype.flags
        self.popped = self.words.size if width == 4 and prototype.convention == "stdcall" else 0
        self.head = wire.REQUEST.pack(Op.CALL, self.flags, self.words.size, 0, 0, 0, address, 0, 0, 0)
        self.plain = self.result.plain and not prototype.flags and all(item.encode is None for item in self.slots)
        self.field = self.result.field
        self.numbers = self._numbers("".join(codes), width) if native and self.plain else None

    def _numbers(self, codes: str, width: int) -> Any:
        """What the extension needs for such calls."""
        return native.Numbers(self.head, codes, width, self.popped, self.field, (self.watched,))

    def _slots(self, arguments: tuple[Any, ...]) -> list[Slot]:
        kinds = self.prototype.kinds(len(arguments))
        slots = []
        for position, (argument, kind) in enumerate(zip(arguments, kinds, strict=True), 1):
            try:
                slots.append(slot(argument, kind, position, self.session.arch))
            except Exception as error:
                raise argument_error(position, error) from error
        return slots

    def call(self, arguments: tuple[Any, ...]) -> Any:
        """Make the call.

        Raises:
            ctypes.ArgumentError: a value does not fit.
            ValueError: the callee took another number of bytes off the stack (x86).
            WindowsFault, AgentDiedError, CallTimeoutError, SessionClosedError: see ``SessionEngine.exchange``.
        """
        reach = Reach(self.living)
        values = self._encode(arguments, reach)
        returned = self.result.hidden(reach, values) if self.result.hidden is not None else None
        alone = not reach.given and self.living.idle
        record = self._send(self.head, values) if alone else self._exchange(values, reach)
        if record[5] != self.popped:
            raise self.imbalance(record)
        return self.result.decode(record, self.session) if returned is None else returned

    def _encode(self, arguments: tuple[Any, ...], reach: Reach) -> list[Any]:
        values = []
        for position, (argument, item) in enumerate(zip(arguments, self.slots, strict=True), 1):
            try:
                values.append(item.encode(argument, reach) if item.encode else item.fit(argument))
            except Exception as error:
                raise argument_error(position, error) from error
        return values

    def _exchange(self, values: list[Any], reach: Reach) -> Record:
        reached = self.living.push(reach.given)
        try:
            record = self._send(self.head, values)
        except WindowsFault:  # what was written before it is written
            self.living.pull(reached)
            raise
        self.living.pull(reached)
        return record

    def _send(self, head: bytes, values: list[Any]) -> Record:
        flags = self.prototype.flags
        if not flags:
            return self.session.exchange(head + self.words.pack(*values), self.prototype.name)
        head = head[:_ERRORS_AT] + _ERRORS.pack(*lasterror.private()) + head[_ERRORS_AT + _ERRORS.size :]
        record = self.session.exchange(head + self.words.pack(*values), self.prototype.name)
        if flags & Flag.SWAP_LAST_ERROR:
            lasterror.keep_last_error(record[1])
        if flags & Flag.SWAP_ERRNO:
            lasterror.set_errno(record[4])
        return record

    def imbalance(self, record: Record) -> ValueError:
        """What to raise when the callee took another number of bytes off the stack than it was given."""
        return imbalance(self.prototype.name, record[5], self.popped)


def _word(code: str, width: int) -> str:
    size = struct.calcsize("<" + code)
    return f"{code}{-size % width}x"


def argument_error(position: int, error: Exception) -> PrototypeError:
    """What to raise for an argument that cannot be passed."""
    cause = str(error) if isinstance(error, PrototypeError) else f"{type(error).__name__}: {error}"
    return PrototypeError(f"argument {position}: {cause}")
