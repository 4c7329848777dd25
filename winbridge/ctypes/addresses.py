"""Simple types that hold an address: c_char_p, c_wchar_p, c_void_p, BSTR, py_object."""

from __future__ import annotations

import gc
import sys
from typing import Any

from winbridge.ctypes.codes import type_name
from winbridge.ctypes.pointers import get_word, set_word
from winbridge.ctypes.shape import Load, Store
from winbridge.ctypes.strings import FIRST_SWEEP


class Addresses:
    """How these types are read and written in a family.

    Args:
        family: whose memory, constants and session they use.
    """

    def __init__(self, family: Any) -> None:
        self._family = family
        self._mask = (1 << 8 * family.pointer_size) - 1
        self._python_objects: dict[int, Any] = {}
        self._limit = FIRST_SWEEP

    def access(self, code: str) -> tuple[Load, Store]:
        """How a type with this code is read and written."""
        store: Store = {
            "z": self._store_bytes, "Z": self._store_text, "P": self._store_address, "X": self._store_bstr,
            "O": self._store_object,
        }[code]  # fmt: skip
        return lambda obj, offset: self.value(code, get_word(obj, offset)), store

    def value(self, code: str, address: int) -> Any:
        """What an address stands for."""
        if code == "O":
            return self._object(address)
        if not address:
            return None
        memory = self._family.memory
        if code == "P":
            return address
        if code == "X":
            return memory.bstr(address)
        return memory.string(address) if code == "z" else memory.wide_string(address)

    def _store_bytes(self, obj: Any, offset: int, value: Any) -> Any:
        if value is None or isinstance(value, int):
            set_word(obj, value or 0, offset)
            return None
        if not isinstance(value, bytes):
            raise TypeError(f"bytes or integer address expected instead of {type_name(value)} instance")
        set_word(obj, self._family.constants.address(value), offset)
        return value

    def _store_text(self, obj: Any, offset: int, value: Any) -> Any:
        if value is None or isinstance(value, int):
            set_word(obj, value or 0, offset)
            return None
        if not isinstance(value, str):
            raise TypeError(f"unicode string or integer address expected instead of {type_name(value)} instance")
        set_word(obj, self._family.constants.address(value), offset)
        return value

    def _store_address(self, obj: Any, offset: int, value: Any) -> None:
        if value is not None and not isinstance(value, int):
            raise TypeError("cannot be converted to pointer")
        set_word(obj, value or 0, offset)

    def _store_bstr(self, obj: Any, offset: int, value: Any) -> None:
        """A BSTR is made by Windows and belongs to the field, which frees the one before."""
        if value is not None and not isinstance(value, str):
            raise TypeError(f"unicode string expected instead of {type_name(value)} instance")
        before = get_word(obj, offset)
        set_word(obj, 0 if value is None else self._family.memory.make_bstr(value), offset)
        if before:
            self._family.memory.free_bstr(before)

    def _store_object(self, obj: Any, offset: int, value: Any) -> Any:
        if len(self._python_objects) >= self._limit:
            self._sweep()
        key = id(value) & self._mask
        self._python_objects[key] = value
        set_word(obj, key, offset)
        return value

    def _sweep(self) -> None:
        """Drop objects that nobody else holds: in ctypes too a DLL must not use them any more."""
        for key in list(self._python_objects):
            if sys.getrefcount(self._python_objects[key]) <= 2:  # of the table and of the question
                del self._python_objects[key]
        self._limit = max(FIRST_SWEEP, 2 * len(self._python_objects))

    def _object(self, key: int) -> Any:
        if not key:
            raise ValueError("PyObject is NULL")
        if key in self._python_objects:
            return self._python_objects[key]
        found = [each for each in gc.get_objects() if id(each) & self._mask == key]  # cast(id(...), py_object)
        if len(found) != 1:
            raise ValueError(
                f"no object is known by the identity {key:#x}: by id() only containers and instances of classes are"
                " found; pass py_object(...) to the DLL instead"
            )
        return found[0]
