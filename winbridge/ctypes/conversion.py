"""How a Python value becomes an argument: ``from_param``, and the words that a callee finds.

The rules and the texts of the errors are those of ctypes (CPython, Modules/_ctypes/_ctypes.c and callproc.c).
"""

from __future__ import annotations

import struct
import sys
from typing import Any, NamedTuple

from winbridge.ctypes import codes, host
from winbridge.ctypes.data import CData, read, size_of
from winbridge.ctypes.pointers import get_word

BY_WORD = (1, 2, 4, 8)
"""Sizes of structures that a register holds (Microsoft, x64 calling convention, parameter passing)."""


class CArgObject:
    """An argument that was converted already; what ``byref`` makes."""

    __slots__ = ("_family_", "_obj", "code", "offset", "value")

    def __init__(self, code: str, value: Any, obj: Any, family: Any, offset: int = 0) -> None:
        self.code = code
        self.value = value
        self._obj = obj
        self._family_ = family
        self.offset = offset

    def address(self) -> int:
        """Of a pointer: where it points."""
        found: int = self.value if self.value is not None else self._obj._address_ + self.offset
        return found

    @property
    def _as_parameter_(self) -> Any:
        """For functions of this interpreter (``pythonapi``), which the standard ctypes calls."""
        return host.pointer_to(self.address()) if self.code in "zZP" else self.value

    def __repr__(self) -> str:
        if self.code in "zZP":
            digits = 2 * self._family_.pointer_size
            return f"<cparam '{self.code}' (0x{self.address():0{digits}x})>"
        if self.code == "c":
            value = self.value[0]
            text = chr(value) if 32 <= value < 127 and value not in b"\\'" else f"\\x{value:02x}"
            return f"<cparam 'c' ('{text}')>"
        if self.code in "?uvO":
            return f"<cparam '{self.code}' at {hex(id(self))}>"
        return f"<cparam '{self.code}' ({self.value!r})>"


class Word(NamedTuple):
    """One argument as the callee finds it.

    Attributes:
        code: of ``struct``, without padding.
        value: what is packed.
        keep: what must live as long as the call.
    """

    code: str
    value: Any
    keep: Any = None


# from_param.


def from_param(cls: Any, value: Any) -> Any:
    """What is passed for a value where a type is declared.

    Raises:
        TypeError: the value does not fit; an object with ``_as_parameter_`` is tried by that.
    """
    if isinstance(value, cls):
        return value
    family = cls._family_
    shape = cls._typeinfo_
    if shape is None:
        raise TypeError("abstract class")
    if standard_memory(value) is not None and (cls._points_ or shape.code in ("z", "Z", "P")):
        return value
    if cls._points_:
        return _pointer_param(cls, value, family)
    if shape is not None and shape.code is not None:
        return _simple_param(cls, shape, value, family)
    return _general_param(cls, value)


def _simple_param(cls: Any, shape: Any, value: Any, family: Any) -> Any:
    code = shape.code
    if code in "zZP":
        found = _ADDRESSES[code](cls, value, family)
        if found is not NotImplemented:
            return found
        problem: Exception | None = None
    else:
        try:
            return _number_param(shape, value, family)
        except (TypeError, ValueError, OverflowError) as error:
            problem = error
    passed = _as_parameter(cls, value)
    if passed is not _MISSING:
        return passed
    if problem is not None and sys.version_info >= (3, 12):
        raise problem
    raise TypeError("wrong type")


_MISSING = object()


def _as_parameter(cls: Any, value: Any) -> Any:
    """What an object's ``_as_parameter_``, looked at once, is passed as; _MISSING where there is none.

    Numpy's own wrapper says which array it stands for; the address that it gives means nothing to a DLL.
    """
    if _array_behind(value) is not None:
        return value
    inner = getattr(value, "_as_parameter_", _MISSING)
    return inner if inner is _MISSING else cls.from_param(inner)


def _number_param(shape: Any, value: Any, family: Any) -> CArgObject:
    scratch = _Scratch(family)
    kept = shape.store(scratch, 0, value)
    (number,) = struct.unpack_from("<" + codes.host_code(shape.code, family.pointer_size), scratch._view)
    return CArgObject(shape.code, number, kept if kept is not None else value, family)


class _Scratch:
    """Eight bytes for a value to be converted in."""

    __slots__ = ("_family_", "_view")

    def __init__(self, family: Any) -> None:
        self._family_ = family
        self._view = memoryview(bytearray(8))


def _item_code(value: Any) -> str | None:
    """The code of what an array or a pointer consists of."""
    if isinstance(value, CArgObject):
        value = value._obj
        return value._typeinfo_.code if isinstance(value, CData) else None
    item = value._typeinfo_.item if isinstance(value, CData) else None
    return item._typeinfo_.code if item is not None else None


def _text_param(cls: Any, value: Any, family: Any, plain: type, item: str) -> Any:
    if value is None:
        return None
    if isinstance(value, plain):
        return CArgObject(cls._typeinfo_.code, family.constants.address(value), value, family)
    if isinstance(value, CData | CArgObject) and _item_code(value) == item:
        return value
    return NotImplemented


def _void_param(cls: Any, value: Any, family: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, int):
        mask = (1 << 8 * family.pointer_size) - 1
        return CArgObject("P", value & mask, None, family)
    if isinstance(value, bytes | str):
        return CArgObject("z" if isinstance(value, bytes) else "Z", family.constants.address(value), value, family)
    if isinstance(value, CArgObject) and value.code == "P":
        return value
    if isinstance(value, CData):
        if value._typeinfo_.item is not None and value._typeinfo_.code is None:
            return value
        if isinstance(value, family.CFuncPtr) or value._typeinfo_.code in ("z", "Z"):
            return CArgObject("P", get_word(value), value, family)
    return NotImplemented


_ADDRESSES: dict[str, Any] = {
    "z": lambda cls, value, family: _text_param(cls, value, family, bytes, "c"),
    "Z": lambda cls, value, family: _text_param(cls, value, family, str, "u"),
    "P": _void_param,
}


def _pointer_param(cls: Any, value: Any, family: Any) -> Any:
    item = cls._typeinfo_.item
    if value is None:
        return None
    if item is not None and isinstance(value, item):
        return CArgObject("P", None, value, family)
    if (
        item is not None
        and isinstance(value, family._Pointer | family.Array)
        and issubclass(value._typeinfo_.item, item)
    ):
        return value
    return _general_param(cls, value)


def _general_param(cls: Any, value: Any) -> Any:
    if isinstance(value, CArgObject):
        item = cls._typeinfo_.item if cls._points_ else None
        if item is not None and isinstance(value._obj, item):
            return value
        raise TypeError(f"expected {cls.__name__} instance instead of pointer to {_name_of(value._obj)}")
    passed = _as_parameter(cls, value)
    if passed is not _MISSING:
        return passed
    raise TypeError(f"expected {cls.__name__} instance instead of {type(value).__name__}")


def _name_of(obj: Any) -> str:
    return type(obj).__name__ if obj is not None else "???"


# Words.


def word(value: Any, position: int, family: Any) -> Word:
    """How a converted (or undeclared) argument is passed.

    Raises:
        TypeError: it cannot be.
        OverflowError: an int has more than 32 bits.
    """
    if isinstance(value, CArgObject):
        return _argument_word(value, family)
    if isinstance(value, CData):
        return _data_word(value, family)
    if value is None:
        return Word(family.word_code, 0)
    if isinstance(value, int):
        return Word("I", _c_long(value))
    if isinstance(value, bytes | str):
        return _text_word(value, family)
    found = _foreign_word(value, position, family)
    if found is not None:
        return found
    inner = getattr(value, "_as_parameter_", _MISSING)
    if inner is not _MISSING:
        return word(inner, position, family)
    raise TypeError(f"Don't know how to convert parameter {position}")


def _text_word(value: bytes | str, family: Any) -> Word:
    if isinstance(value, str) and "\0" in value:
        raise ValueError("embedded null character")
    return Word(family.word_code, family.constants.address(value), value)


def _foreign_word(value: Any, position: int, family: Any) -> Word | None:
    """How objects of numpy and of the standard ctypes are passed; None for others."""
    array = _array_behind(value)
    if array is not None:
        return Word(family.word_code, family.twins.of_array(array), array)
    memory = standard_memory(value)
    if memory is not None:
        return Word(family.word_code, family.twins.of_standard(memory), memory)
    if isinstance(value, host.Simple):
        return word(family.own(type(value))(value.value), position, family)
    return None


def standard_memory(value: Any) -> Any:
    """The object of the standard ctypes whose memory an argument stands for, if it is that: an array, ``byref``."""
    if isinstance(value, CData | CArgObject):
        return None
    if isinstance(value, host.Array):
        return value
    return value._obj if isinstance(value, host.Reference) else None


def _array_behind(value: Any) -> Any:
    """The numpy array that numpy's ``ctypes`` attribute stands for, if it is that."""
    if isinstance(value, CData | CArgObject):
        return None
    return getattr(value, "_arr", None) if (type(value).__module__ or "").startswith("numpy") else None


def _c_long(value: int) -> int:
    if not -(1 << 31) <= value < 1 << 32:
        raise OverflowError("int too long to convert")
    return value & 0xFFFFFFFF


def _argument_word(value: CArgObject, family: Any) -> Word:
    if value.code in "zZPXO":
        return Word(family.word_code, value.address(), value._obj)
    return Word(codes.host_code(value.code, family.pointer_size), value.value, value._obj)


def _data_word(value: Any, family: Any) -> Word:
    shape = value._typeinfo_
    if value._points_at_array():
        return Word(family.word_code, family.twins.of_array(value._arr), value)
    if shape.code is not None:
        code = codes.host_code(shape.code, family.pointer_size)
        return Word(code, struct.unpack("<" + code, read(value, 0, shape.size))[0], value)
    if isinstance(value, family._Pointer):
        return Word(family.word_code, get_word(value), value)
    if isinstance(value, family.CFuncPtr):
        return Word(family.word_code, value._live_address(), value)
    if isinstance(value, family.Array):
        return Word(family.word_code, value._address_, value)
    return by_value(value, family)


def by_value(value: Any, family: Any) -> Word:
    """A structure as an argument: x64 in a register or by the address of a copy, x86 on the stack.

    Source: x64 calling convention, x86 __cdecl and __stdcall (Microsoft Learn).
    """
    size = size_of(value)
    data = read(value, 0, size)
    if family.pointer_size == 4:
        return Word(f"{-(-size // 4) * 4}s", data, value)
    if size in BY_WORD:
        return Word("Q", int.from_bytes(data, "little"), value)
    copy = family.heap.allocate(size)
    copy.view[:] = data
    return Word("Q", copy.address, copy)


def packed(words: list[Word], pointer_size: int) -> bytes:
    """The words as they lie on the callee's stack."""
    forms = FORMS[pointer_size]
    form = "<" + "".join([forms.get(code, code) for code, _, _ in words])
    return struct.pack(form, *[value for _, value, _ in words])


def _padded(codes: str, width: int) -> dict[str, str]:
    return {code: f"{code}{width - struct.calcsize('<' + code)}x" for code in codes}


FORMS = {8: _padded("bBhHiIfc?", 8), 4: {"b": "i", "h": "i"} | _padded("BHc?", 4)}
"""How a narrow value fills its word; on x86 signed ones are extended, as ctypes does and some compilers expect."""
