# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""Where the cases of the drop-in are entered, and how what came of an action is told.

A case is given ``c``, where the names of ctypes are found, and ``dll``, dropin.dll loaded afresh with ``c.CDLL``. It
returns what JSON holds. It runs under a Windows Python 3.11 and under winbridge, and both have to tell the same.
"""

from __future__ import annotations

import re

FAULT = re.compile("exception: ")
"""How the text of an exception begins that a DLL raised."""

CASES = {}
"""Cases by name."""

ALONE = {}
"""By name: cases that only winbridge can run, and what they have to return."""

SIMPLE = {
    "bool": ("c_bool", (True, False, 1, "text", [])),
    "char": ("c_char", (b"a", b"\0", b"\xff", 65)),
    "wchar": ("c_wchar", ("a", "\0", "\u20ac", "\uffff")),
    "byte": ("c_byte", (0, 127, -128, 200, -1)),
    "ubyte": ("c_ubyte", (0, 255, 256, -1)),
    "short": ("c_short", (0, 32767, -32768, 40000)),
    "ushort": ("c_ushort", (0, 65535, -1)),
    "long": ("c_long", (0, 2**31 - 1, -(2**31), 2**31)),
    "ulong": ("c_ulong", (0, 2**32 - 1, -1)),
    "longlong": ("c_longlong", (0, 2**63 - 1, -(2**63), -1, 2**32 + 7)),
    "ulonglong": ("c_ulonglong", (0, 2**64 - 1, -1, 2**63)),
    "float": ("c_float", (0.0, 1.5, -2.25, 3, 1e30, float("inf"), 0.1)),
    "double": ("c_double", (0.0, 1.5, -1e300, 3, float("nan"), 0.1)),
    "void_p": ("c_void_p", (None, 0, 0x1234, 0x7FFFFFFF)),
    "char_p": ("c_char_p", (None, b"", b"bytes", b"\xe4\xf6")),
    "wchar_p": ("c_wchar_p", (None, "", "text", "\u20ac\U0001f600")),
}
"""Simple types as dropin.c names them: the name in ctypes, and values to try."""

CONVENTIONS = {"c": ("CDLL", "CFUNCTYPE"), "s": ("WinDLL", "WINFUNCTYPE")}
"""Suffixes of functions in dropin.c, and what of ctypes goes with them."""


def case(function):
    """Enter a case by its function's name."""
    CASES[function.__name__] = function
    return function


def alone(expected):
    """Enter a case that has nothing to be compared with: what it has to return is given."""

    def enter(function):
        ALONE[function.__name__] = (function, expected)
        return function

    return enter


def library(c, dll, convention):
    """The DLL with that convention."""
    return getattr(c, CONVENTIONS[convention][0])(dll._name)


def prototyped(function, restype, *argtypes):
    """Give a function its prototype."""
    function.restype = restype
    function.argtypes = argtypes
    return function


def outcome(action, *arguments, **named):
    """What came of it, as something that JSON holds."""
    try:
        return {"value": repr(action(*arguments, **named))}
    except Exception as error:
        return told(error)


def told(error):
    """An exception by the name of ctypes' own, with its text, and the code of an error of Windows."""
    name = builtin_name(type(error))
    found = {"error": name, "text": str(error)}
    if isinstance(error, OSError) and not FAULT.match(str(error)):  # of these winbridge tells the code, ctypes None
        found["winerror"] = getattr(error, "winerror", None)
    return found


def builtin_name(kind):
    """Of an exception type: winbridge's own are told as those of ctypes that they derive from."""
    return next(each.__name__ for each in kind.__mro__ if each.__module__ in ("builtins", "ctypes", "_ctypes"))


def point_type(c):
    class Point(c.Structure):
        _fields_ = [("x", c.c_int), ("y", c.c_int)]

    return Point


def errors_of(action):
    """What ``sys.unraisablehook`` is told while something runs; what a failed callback returns is not defined."""
    import sys

    seen = []
    before = sys.unraisablehook
    sys.unraisablehook = lambda it: seen.append([builtin_name(it.exc_type), str(it.exc_value), it.err_msg])
    try:
        action()
    finally:
        sys.unraisablehook = before
    return seen
