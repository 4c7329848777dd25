"""Windows errors: their texts, and the exceptions that carry them."""

from __future__ import annotations

import operator
import weakref
from typing import Any

from winbridge.core.modules import WindowsError
from winbridge.core.session import SessionEngine
from winbridge.ctypes.com import error_details
from winbridge.ctypes.pointers import get_word
from winbridge.ctypes.strings import narrow
from winbridge.dll.lasterror import signed

FORMAT_FLAGS = 0x1000 | 0x200
"""FORMAT_MESSAGE_FROM_SYSTEM and _IGNORE_INSERTS (Microsoft Learn, FormatMessageW)."""

LONGEST_MESSAGE = 2048

NO_DESCRIPTION = "<no description>"
"""What ctypes says of a code that Windows has no words for."""

WIN32_FACILITY = 0x8007
"""The upper half of an HRESULT whose lower half is a Win32 error code (Microsoft Learn, HRESULT_FROM_WIN32)."""

ERRNO = {
    2: 2, 3: 2, 4: 24, 5: 13, 6: 9, 7: 12, 8: 12, 9: 12, 10: 7, 11: 8, 15: 2, 16: 13, 17: 18, 18: 2, 32: 13, 33: 13,
    53: 2, 65: 13, 67: 2, 80: 17, 82: 13, 83: 13, 89: 11, 106: 13, 108: 13, 109: 32, 112: 28, 114: 9, 128: 10,
    129: 10, 130: 9, 132: 13, 145: 41, 158: 13, 161: 2, 164: 11, 167: 13, 183: 17, 206: 2, 215: 11, 232: 32, 267: 20,
    1816: 12,
}  # fmt: skip
"""errno for Windows' error codes; what is not here is EINVAL (CPython, PC/errmap.h)."""
EINVAL = 22


class COMError(Exception):
    """Raised when a COM method call failed."""

    # Attributes: hresult, its code; text, Windows' words for it; details, a tuple (description, source, help file,
    # help context, ProgID) as far as the object tells. The docstring is ctypes'.

    def __init__(self, hresult: int, text: str | None, details: Any) -> None:
        super().__init__(hresult, text, details)
        self.hresult = hresult
        self.text = text
        self.details = details


COMError.__module__ = "_ctypes"


class Errors:
    """What of errors needs the Windows side.

    Args:
        family: whose session is asked.
    """

    def __init__(self, family: Any) -> None:
        self._family = family
        self._system: weakref.WeakKeyDictionary[SessionEngine, dict[str, int]] = weakref.WeakKeyDictionary()

    def resolve(self, session: SessionEngine, module: int, name: str | int) -> int:
        """The address of an exported function.

        Raises:
            AttributeError: there is none.
        """
        try:
            return session.modules.resolve(module, name)
        except WindowsError:
            what = f"ordinal {name} not found" if isinstance(name, int) else f"'{name}' not found"
            raise AttributeError(f"function {what}") from None

    def load_system(self, session: SessionEngine, name: str) -> int:
        """The handle of a DLL that Windows has, loaded once a session."""
        known = self._system.setdefault(session, {})
        if name not in known:
            known[name] = session.modules.load(name)
        return known[name]

    def format(self, code: int) -> str:
        """Windows' words for an error code."""
        family = self._family
        number = operator.index(code) & 0xFFFFFFFF
        room = family.heap.allocate(2 * LONGEST_MESSAGE)
        words = FORMAT_FLAGS, 0, number, 0, room.address, LONGEST_MESSAGE, 0
        length = family.call_system("kernel32", "FormatMessageW", *words) & 0xFFFFFFFF
        text = narrow(bytes(room.view[: 2 * length])).rstrip()
        return text if length else NO_DESCRIPTION

    def from_code(self, code: int, text: str | None = None) -> OSError:
        """The exception for an error code, as ``ctypes.WinError`` makes it."""
        code = code & 0xFFFFFFFF
        text = self.format(code) if text is None else text
        return windows_error(signed(code), text)

    def from_hresult(self, code: int) -> OSError:
        """The exception for an HRESULT, as Python makes it from an error code (CPython, Python/errors.c)."""
        code = code & 0xFFFFFFFF
        text = self.format(code)
        return self.from_code(code, f"Windows Error {code:#x}" if text == NO_DESCRIPTION else text.rstrip(" ."))

    def com_error(self, code: int, this: Any, iid: Any) -> COMError:
        """The exception for a method of an interface that failed, with what the object tells of it."""
        details = error_details(self._family, get_word(this), iid)
        text = self.format(code)
        return COMError(signed(code), None if text == NO_DESCRIPTION else text, details)


def windows_error(code: int, text: str) -> OSError:
    """An OSError with ``winerror``, of the class that the code's errno asks for.

    ``OSError`` takes ``winerror`` on Windows only: here the attribute is added, and the text is Windows'.
    """
    plain = code & 0xFFFF if code >> 16 & 0xFFFF == WIN32_FACILITY else code
    number = ERRNO.get(plain, EINVAL)
    kind = type(OSError(number, text))
    error: OSError = _class_with_code(kind)(code, number, text)
    return error


_classes: dict[type, Any] = {}


def _class_with_code(kind: type) -> Any:
    if kind not in _classes:
        _classes[kind] = type(kind.__name__, (_WithCode, kind), {"__module__": "builtins"})
    return _classes[kind]


class _WithCode(OSError):  # noqa: N818 - never seen under this name
    """An OSError as on Windows."""

    winerror: int

    def __init__(self, code: int, number: int, text: str) -> None:
        OSError.__init__(self, number, text)
        self.winerror = code
        self.args = number, text, None, code

    def __new__(cls, code: int, number: int, text: str) -> Any:
        return OSError.__new__(cls, number, text)

    def __str__(self) -> str:
        return f"[WinError {self.winerror}] {self.strerror}"

    def __reduce__(self) -> Any:
        return windows_error, (self.winerror, self.strerror)
