"""Callbacks: Python functions as function pointers.

``core.callbacks`` brings the words of a call here; this turns them into Python values and the result into bits.
Errors are reported as ctypes does: on ``sys.unraisablehook``, and the DLL gets 0.
"""

from __future__ import annotations

import struct
import warnings
from typing import Any

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
        self._readers, self._size = _readers(argtypes, family)
        self._kind = Result.NONE if restype is None else result(restype, family).kind
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
        handler = _swapping(self.run) if swap else self.run
        return session.callbacks.make(
            handler,
            words=self._size,
            popped=self._size if stdcall32 else 0,
            result=self._kind,
            flags=swap,
        )

    def run(self, area: bytes) -> int:
        """Call the function with the words of a call; returns the bits of the result."""
        try:
            arguments = [read(area) for read in self._readers]
            with self._family.twins.inside():
                value = self._function(*arguments)
        except KeyboardInterrupt:
            raise  # it ends the DLL's call
        except BaseException as error:
            report(error, "on calling ctypes callback function", self._function)
            return 0
        if self._restype is None:
            return 0
        try:
            return self._bits(value)
        except Exception as error:
            report(error, "on converting result of ctypes callback function", self._function)
            return 0

    def _bits(self, value: Any) -> int:
        obj = new(self._restype)
        kept = self._restype._typeinfo_.store(obj, 0, value)
        if kept is not None and self._restype._typeinfo_.code != "O":
            self._family.constants.hold(kept)
            warnings.warn("memory leak in callback function.", RuntimeWarning, stacklevel=2)
        return int.from_bytes(bytes(obj), "little", signed=self._restype._typeinfo_.code in tuple("bhilq"))


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


def _readers(argtypes: tuple[Any, ...], family: Any) -> tuple[list[Any], int]:
    """What reads each argument out of the area, and how many bytes of words there are."""
    if family.pointer_size == 8:
        return [_reader64(kind, index, family) for index, kind in enumerate(argtypes)], 8 * len(argtypes)
    readers, at = [], 0
    for kind in argtypes:
        readers.append(_reader(kind, at))
        at += -(-kind._typeinfo_.size // 4) * 4
    return readers, at


def _reader64(kind: Any, index: int, family: Any) -> Any:
    shape = kind._typeinfo_
    if shape.code in ("f", "d") and index < REGISTERS:
        return _reader(kind, 8 * index)
    at = FIRST_WORD + 8 * index
    if shape.code is None and shape.fields and shape.size not in BY_WORD:
        return _copied(kind, at, family)
    return _reader(kind, at)


def _reader(kind: Any, at: int) -> Any:
    """Reads an argument that lies in the area itself."""
    shape = kind._typeinfo_
    if (shape.load is not None and shape.code in codes.INTEGERS) or shape.code in ("f", "d"):
        unpack_from = struct.Struct("<" + codes.host_code(shape.code, 8)).unpack_from
        if shape.load is not None:
            return lambda area: unpack_from(area, at)[0]

    def read(area: bytes) -> Any:
        obj = new(kind)
        write(obj, 0, area[at : at + shape.size])
        return obj if shape.load is None else shape.load(obj, 0)

    return read


def _copied(kind: Any, at: int, family: Any) -> Any:
    """Reads a structure of which the caller passed the address of a copy."""

    def read(area: bytes) -> Any:
        obj = new(kind)
        (address,) = struct.unpack_from("<Q", area, at)
        write(obj, 0, family.memory.read(address, kind._typeinfo_.size))
        return obj

    return read
