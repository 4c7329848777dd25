"""Memory by address: of the heap where it is that, else of the Windows process."""

from __future__ import annotations

import struct
from typing import Any

from winbridge.ctypes.strings import narrow, wide

FIRST_LOOK = 256
"""Bytes in which the end of a string is looked for first."""


class AddressSpace:
    """What a family's pointers point into.

    Args:
        family: whose heap and session it is.
    """

    def __init__(self, family: Any) -> None:
        self._family = family
        self._heap = family.heap

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an address.

        Raises:
            WindowsFault: they are not there.
        """
        self._family.twins.push()
        view = self._heap.seen(address, size, self._family.session)
        return bytes(view) if view is not None else self.read_windows(address, size)

    def write(self, address: int, data: bytes) -> None:
        """Overwrite bytes at an address."""
        twins = self._family.twins
        twins.push()
        view = self._heap.seen(address, len(data), self._family.session)
        if view is not None:
            view[:] = data
        else:
            self.write_windows(address, data)
        twins.pull()

    def read_windows(self, address: int, size: int) -> bytes:
        """Bytes of the Windows process."""
        data: bytes = self._family.session().memory.read(address, size)
        return data

    def write_windows(self, address: int, data: bytes) -> None:
        """Overwrite bytes of the Windows process."""
        self._family.session().memory.write(address, data)

    def word(self, address: int) -> int:
        """The address at an address."""
        return int.from_bytes(self.read(address, self._family.pointer_size), "little")

    def string(self, address: int) -> bytes:
        """The bytes up to the first zero."""
        rest = self._heap.rest(address)
        if rest is None:
            found: bytes = self._family.session().memory.string_at(address)
            return found
        return _until_zero(rest, 1)

    def wide_string(self, address: int) -> str:
        """The text up to the first zero."""
        rest = self._heap.rest(address)
        if rest is None:
            found: str = self._family.session().memory.wstring_at(address)
            return found
        return narrow(_until_zero(rest, 2))

    def bstr(self, address: int) -> str:
        """The text of a BSTR, whose length in bytes stands before it (Microsoft Learn, BSTR)."""
        (size,) = struct.unpack("<I", self.read(address - 4, 4))
        return narrow(self.read(address, size))

    def make_bstr(self, text: str) -> int:
        """Have Windows allocate a BSTR."""
        data = wide(text)
        block = self._heap.allocate(len(data) + 2)
        block.view[: len(data)] = data
        address: int = self._automation("SysAllocStringLen", block.address, len(data) // 2)
        if not address:
            raise MemoryError("SysAllocStringLen has no memory")
        return address

    def free_bstr(self, address: int) -> None:
        """Give a BSTR back."""
        self._automation("SysFreeString", address)

    def _automation(self, name: str, *words: int) -> int:
        return self._family.call_system("oleaut32", name, *words)  # type: ignore[no-any-return]


def _until_zero(view: memoryview, width: int) -> bytes:
    zero, look = bytes(width), FIRST_LOOK
    while True:
        data = bytes(view[:look])
        at = data.find(zero)
        while at % width > 0 and at >= 0:
            at = data.find(zero, at + 1)
        if at >= 0 or look >= len(view):
            return data if at < 0 else data[:at]
        look *= 8
