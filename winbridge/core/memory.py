"""Raw memory of the Windows side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from winbridge.core.ask import ask
from winbridge.core.wire import Op

if TYPE_CHECKING:
    from winbridge.core.session import SessionEngine

PIECE = 1 << 24
"""Larger blocks go in pieces, so that a channel's arena does not grow without bound."""

FIRST_STRING = 256
"""Bytes asked for at first, where nobody knows how long a string is."""


class Memory:
    """Reads, writes and allocates at addresses of the Windows process.

    A bad address raises ``WindowsFault``, an ``OSError`` such as
    "exception: access violation reading 0x0000000000000010"; nothing else breaks.
    """

    def __init__(self, session: SessionEngine) -> None:
        self._session = session

    def read(self, address: int, size: int) -> bytes:
        """The ``size`` bytes at ``address``."""
        return b"".join(self._read(address + done, min(PIECE, size - done)) for done in range(0, max(size, 0), PIECE))

    def _read(self, address: int, size: int) -> bytes:
        return ask(self._session, Op.READ, lambda room: [address, room, size], room=size).room

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Put ``data`` at ``address``."""
        whole = memoryview(data).cast("B")
        for done in range(0, len(whole), PIECE):
            self._write(address + done, bytes(whole[done : done + PIECE]))

    def _write(self, address: int, data: bytes) -> None:
        ask(self._session, Op.WRITE, lambda source: [address, source, len(data)], data=data)

    def alloc(self, size: int) -> int:
        """A zeroed block of ``size`` bytes from the Windows heap; returns its address.

        Raises:
            MemoryError: Windows has none left.
        """
        address = ask(self._session, Op.ALLOC, lambda _: [size]).value
        if not address:
            raise MemoryError(f"the Windows process cannot allocate {size} bytes")
        return address

    def free(self, address: int) -> None:
        """Give back a block of ``alloc``."""
        ask(self._session, Op.RELEASE, lambda _: [address])

    def string_at(self, address: int, size: int = -1) -> bytes:
        """The bytes at ``address`` up to a zero, or ``size`` bytes."""
        return self.read(address, size) if size >= 0 else self._string(address, 1)

    def wstring_at(self, address: int, size: int = -1) -> str:
        """The UTF-16 text at ``address`` up to a zero, or ``size`` units of it."""
        data = self.read(address, 2 * size) if size >= 0 else self._string(address, 2)
        return data.decode("utf-16-le", "surrogatepass")

    def _string(self, address: int, width: int) -> bytes:
        pieces = []
        room = FIRST_STRING
        while True:
            found = self._piece(address, room, width)
            pieces.append(found)
            if len(found) < room:
                return b"".join(pieces)
            address += room
            room = min(2 * room, PIECE)

    def _piece(self, address: int, room: int, width: int) -> bytes:
        answer = ask(self._session, Op.STRING, lambda target: [address, target, room, width], room=room)
        return answer.room[: answer.value]
