"""Callbacks: Python functions as function pointers.

``core.callbacks`` brings the words of a call here; this turns them into Python values and the result into bits.
Errors are reported as ctypes does: on ``sys.unraisablehook``, and the DLL gets 0.
"""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from winbridge.core.impl import native
from winbridge.core.session import SessionEngine
from winbridge.core.unraisable import report
from winbridge.core.wire import Flag, Result
from winbridge.ctypes import codes
from winbridge.ctypes.conversion import BY_WORD
from winbridge.ctypes.data import new, write
from winbridge.ctypes.results import result
from winbridge.dll import lasterror

REGISTERS = 4
FIRST_WORD = 32
"""On win64 the area begins with xmm0 to xmm3; then come the argument words."""

INSTANCE, ADDRESS, OTHER = "pvo"
"""How native/extension/callbacks.c takes an argument that is no number: as an instance of its type, as c_void_p does,
by a function of Python. A result of OTHER is converted here."""


class Callback:
    """A Python function behind a function pointer; each session that needs it gets a thunk of its own.

    Args:
        family: of the types.
        function: what is called.
        argtypes: types of its parameters.
        restype: type of its result, None for none.
        flags: those of the function type.

    Raises:
        TypeError: such a result cannot be returned by a callback.
    """

    def __init__(self, family: Any, function: Any, argtypes: tuple[Any, ...], restype: Any, flags: int) -> None:
        shape = getattr(restype, "_typeinfo_", None)
        if restype is not None and (shape is None or shape.store is None):
            raise TypeError("invalid result type for callback function")
        self._family = family
        self._function = function
        self._argtypes = argtypes
        self._restype = restype
        self._flags = flags
        self._places, self._size = _places(argtypes, family)
        self._readers = [place.reader(family) for place in self._places]
        self._kind = Result.NONE if restype is None else result(restype, family).kind
        self._code = _number(restype)
        self._range, self._pack = _plain(self._code)
        self._thunks: dict[SessionEngine, Any] = {}

    def address(self, session: SessionEngine) -> int:
        """Where the function pointer points in a session."""
        thunk = self._thunks.get(session)
        if thunk is None:
            for closed in [known for known in self._thunks if known.closed]:
                del self._thunks[closed]
            thunk = self._thunks[session] = self._thunk(session)
        address: int = thunk.address
        return address

    def _thunk(self, session: SessionEngine) -> Any:
        from winbridge.ctypes.functions import FUNCFLAG_CDECL, FUNCFLAG_USE_ERRNO, FUNCFLAG_USE_LASTERROR

        swap = Flag.SWAP_LAST_ERROR if self._flags & FUNCFLAG_USE_LASTERROR else Flag(0)
        swap |= Flag.SWAP_ERRNO if self._flags & FUNCFLAG_USE_ERRNO else Flag(0)
        stdcall32 = self._family.pointer_size == 4 and not self._flags & FUNCFLAG_CDECL
        handler = _swapping(self.run) if swap else self.run if native is None else self._native()
        return session.callbacks.make(
            handler,
            words=self._size,
            popped=self._size if stdcall32 else 0,
            result=self._kind,
            flags=swap,
        )

    def _native(self) -> Any:
        """The extension's ``run``."""
        size = self._size + (FIRST_WORD if self._family.pointer_size == 8 else 0)
        both = zip(self._places, self._readers, strict=True)
        parameters = tuple(place.native(reader, size) for place, reader in both)
        code = "" if self._restype is None else self._code or OTHER
        return native.Handler(self, self._function, parameters, size, code, self._family.twins.contents)

    def run(self, area: bytes) -> int:
        """Call the function with the words of a call; returns the bits of the result."""
        try:
            arguments = [read(area) for read in self._readers]
            twins = self._family.twins
            twins.pull()  # it sees what the DLL wrote so far, and the other way round
            try:
                value = self._function(*arguments)
            finally:
                twins.push()
        except KeyboardInterrupt:
            raise  # it ends the DLL's call
        except BaseException as error:
            self.failed(error)
            return 0
        if self._restype is None:
            return 0
        return self.bits(value)

    def failed(self, error: BaseException) -> None:
        """Report what the function raised."""
        report(error, "on calling ctypes callback function", self._function)

    def push(self) -> None:
        """Show the DLL what the function wrote to twins."""
        self._family.twins.push()

    def bits(self, value: Any) -> int:
        """The bits of a result; 0 for what is none, which is reported."""
        try:
            return self._bits(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            report(error, "on converting result of ctypes callback function", self._function)
            return 0

    def _bits(self, value: Any) -> int:
        if type(value) is int and value in self._range:
            return value
        if type(value) is float and self._pack is not None:
            with contextlib.suppress(OverflowError):  # too large for a float: infinite
                return int.from_bytes(self._pack(value), "little")
        obj = new(self._restype)
        kept = self._restype._typeinfo_.store(obj, 0, value)
        if kept is not None and self._restype._typeinfo_.code != "O":
            self._family.constants.hold(kept)
            warnings.warn("memory leak in callback function.", RuntimeWarning, stacklevel=2)
        return int.from_bytes(bytes(obj), "little", signed=self._restype._typeinfo_.code in tuple("bhilq"))


def _number(kind: Any) -> str:
    """The struct code of a type of plain numbers, as they lie on Windows; of other types none."""
    shape = getattr(kind, "_typeinfo_", None)
    if shape is None or hasattr(kind, "_swapped_") or not (shape.code in codes.INTEGERS or shape.code in ("f", "d")):
        return ""
    return codes.host_code(shape.code, 8)


def _plain(code: str) -> tuple[range, Callable[[float], bytes] | None]:
    """The ints that a result of a struct code can be as they are, and what packs its floats."""
    if code in ("", "f", "d"):
        return range(0), struct.Struct("<" + code).pack if code else None
    values = 1 << 8 * struct.calcsize("<" + code)
    return range(-values // 2, values // 2) if code.islower() else range(values), None


def _swapping(run: Any) -> Any:
    """With ``use_last_error`` or ``use_errno`` the function sees the caller's, and may change them."""

    def handler(area: bytes, last_error: int, errno: int) -> tuple[int, int, int]:
        before = lasterror.private()
        lasterror.keep_last_error(last_error)
        lasterror.set_errno(errno)
        bits = run(area)
        after = lasterror.private()
        lasterror.keep_last_error(before[0])
        lasterror.set_errno(before[1])
        return bits, *after

    return handler


class Place(NamedTuple):
    """Where an argument lies.

    Attributes:
        kind: its type.
        at: bytes from the beginning of the area.
        copied: whether that is the address of a copy.
    """

    kind: Any
    at: int
    copied: bool = False

    @property
    def number(self) -> str:
        """The struct code of what becomes a Python number; else none."""
        return _number(self.kind) if self.kind._typeinfo_.load is not None else ""

    def reader(self, family: Any) -> Callable[[bytes], Any]:
        """What reads it out of an area."""
        if self.copied:
            return _copied(self.kind, self.at, family)
        return _plain_reader(self.number, self.at) if self.number else _reader(self.kind, self.at)

    def native(self, reader: Callable[[bytes], Any], area: int) -> tuple[str, int, int, Any]:
        """How the extension reads it from an area of so many bytes: code, place, bytes, type or function."""
        shape = self.kind._typeinfo_
        if self.number:
            return self.number, self.at, shape.size, None
        if shape.load is None and not self.copied and self.at + shape.size <= area:
            return INSTANCE, self.at, shape.size, self.kind
        if shape.code == "P":
            return ADDRESS, self.at, shape.size, None
        return OTHER, 0, 0, reader


def _places(argtypes: tuple[Any, ...], family: Any) -> tuple[list[Place], int]:
    """Where each argument lies in the area, and how many bytes of words there are."""
    if family.pointer_size == 8:
        return [_place64(kind, index) for index, kind in enumerate(argtypes)], 8 * len(argtypes)
    places, at = [], 0
    for kind in argtypes:
        places.append(Place(kind, at))
        at += -(-kind._typeinfo_.size // 4) * 4
    return places, at


def _place64(kind: Any, index: int) -> Place:
    shape = kind._typeinfo_
    if shape.code in ("f", "d") and index < REGISTERS:
        return Place(kind, 8 * index)
    copied = shape.code is None and bool(shape.fields) and shape.size not in BY_WORD
    return Place(kind, FIRST_WORD + 8 * index, copied)


def _plain_reader(code: str, at: int) -> Callable[[bytes], Any]:
    unpack_from = struct.Struct("<" + code).unpack_from
    return lambda area: unpack_from(area, at)[0]


def _reader(kind: Any, at: int) -> Callable[[bytes], Any]:
    """Reads an argument that lies in the area itself."""
    shape = kind._typeinfo_

    def read(area: bytes) -> Any:
        obj = new(kind)
        write(obj, 0, area[at : at + shape.size])
        return obj if shape.load is None else shape.load(obj, 0)

    return read


def _copied(kind: Any, at: int, family: Any) -> Callable[[bytes], Any]:
    """Reads a structure of which the caller passed the address of a copy."""

    def read(area: bytes) -> Any:
        obj = new(kind)
        (address,) = struct.unpack_from("<Q", area, at)
        write(obj, 0, family.memory.read(address, kind._typeinfo_.size))
        return obj

    return read
