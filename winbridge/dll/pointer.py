"""Pointers that come back from Windows: an address there, with a type."""

from __future__ import annotations

import ctypes
from typing import Any

from winbridge.core.session import SessionEngine
from winbridge.dll.layout import layout


class RemotePointer:
    """A typed address in the Windows process. Passing it on gives a DLL that very address.

    Args:
        kind: the pointer type, as ``POINTER(...)`` makes it.
        address: where it points, 0 for NULL.
        session: whose memory that is.
    """

    def __init__(self, kind: Any, address: int, session: SessionEngine) -> None:
        self.kind = kind
        self.address = address
        self._session = session

    @property
    def _as_parameter_(self) -> Any:
        return ctypes.c_void_p(self.address)

    def __getitem__(self, index: int) -> Any:
        """Read item ``index``: the value of a simple type, a copy of another.

        Raises:
            ValueError: the pointer is NULL.
            WindowsFault: there is no such memory.
        """
        item = self._fetch(index)
        return item.value if hasattr(item, "value") and not isinstance(item, ctypes.Array) else item

    def __setitem__(self, index: int, value: Any) -> None:
        """Write item ``index``."""
        item = value if isinstance(value, self.kind._type_) else self.kind._type_(value)
        shape = layout(self.kind._type_, self._session.arch)
        image = bytearray(shape.size)
        shape.pack_into(item, memoryview(image))
        self._session.memory.write(self._at(index), image)

    @property
    def contents(self) -> Any:
        """A copy of the object that it points to."""
        return self._fetch(0)

    def _fetch(self, index: int) -> Any:
        shape = layout(self.kind._type_, self._session.arch)
        image = bytearray(self._session.memory.read(self._at(index), shape.size))
        item = self.kind._type_()
        shape.unpack_from(item, memoryview(image))
        return item

    def _at(self, index: int) -> int:
        if not self.address:
            raise ValueError("NULL pointer access")
        return self.address + index * layout(self.kind._type_, self._session.arch).size

    def __bool__(self) -> bool:
        return self.address != 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePointer) and (self.kind, self.address) == (other.kind, other.address)

    def __hash__(self) -> int:
        return hash((self.kind, self.address))

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} to Windows address {self.address:#x}>"
