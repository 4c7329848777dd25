"""Pointers that come back from Windows: an address there, with a type."""

from __future__ import annotations

import ctypes
from typing import Any

from winbridge.core.errors import PrototypeError
from winbridge.core.session import SessionEngine
from winbridge.dll.byvalue import from_image, to_image
from winbridge.dll.layout import SimpleData, layout
from winbridge.dll.prototype import is_pointer
from winbridge.dll.scalars import is_address


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
        self.session = session

    def __getitem__(self, index: int | slice) -> Any:
        """Read item ``index``: the value of a simple type, a copy of another. A slice gives several.

        Raises:
            ValueError: the pointer is NULL.
            WindowsFault: there is no such memory.
        """
        if isinstance(index, slice):
            return self._several(index)
        kind = self.kind._type_
        if is_pointer(kind):
            return RemotePointer(kind, self._word(index), self.session)
        if is_address(kind):
            return self._addressed(kind._type_, self._word(index))
        item = self._fetch(index)
        return item.value if kind.__base__ is SimpleData else item

    def __setitem__(self, index: int, value: Any) -> None:
        """Write item ``index``."""
        item = value if isinstance(value, self.kind._type_) else self.kind._type_(value)
        self.session.memory.write(self._at(index), to_image(item, self.session))

    @property
    def contents(self) -> Any:
        """A copy of the object that it points to; of a pointer, the pointer."""
        return self[0] if is_pointer(self.kind._type_) else self._fetch(0)

    def _several(self, index: slice) -> Any:
        if index.stop is None or (index.start is None and (index.step or 1) < 0):
            raise ValueError("slice stop is required")
        items = [self[position] for position in range(index.start or 0, index.stop, index.step or 1)]
        if self.kind._type_ is ctypes.c_char:
            return b"".join(items)
        return "".join(items) if self.kind._type_ is ctypes.c_wchar else items

    def _fetch(self, index: int) -> Any:
        kind = self.kind._type_
        if is_address(kind):
            raise PrototypeError(f"a {kind.__name__} of this process cannot hold a Windows address: use [{index}]")
        image = self.session.memory.read(self._at(index), layout(kind, self.session.arch).size)
        return from_image(kind, image, self.session)

    def _word(self, index: int) -> int:
        """The address that stands at item ``index`` of an array of pointers."""
        data = self.session.memory.read(self._at(index), self.session.pointer_size)
        return int.from_bytes(data, "little")

    def _addressed(self, code: str, address: int) -> Any:
        if not address or code == "P":
            return address or None
        return self.session.memory.string_at(address) if code == "z" else self.session.memory.wstring_at(address)

    def _at(self, index: int) -> int:
        if not self.address:
            raise ValueError("NULL pointer access")
        return self.address + index * self._item_size()

    def _item_size(self) -> int:
        kind = self.kind._type_
        if is_pointer(kind) or is_address(kind):
            return self.session.pointer_size
        return layout(kind, self.session.arch).size

    def __bool__(self) -> bool:
        return self.address != 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePointer) and (self.kind, self.address) == (other.kind, other.address)

    def __hash__(self) -> int:
        return hash((self.kind, self.address))

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} to Windows address {self.address:#x}>"
