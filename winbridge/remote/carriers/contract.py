"""What a carrier has to do: the whole contract. A carrier is two streams of bytes, one each way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    Part = bytes | bytearray | memoryview

    class Carrier(Protocol):
        """One thread at a time reads, one at a time writes; ``shut_down`` comes from any.

        Attributes:
            name: what it is and where it leads, for messages.
            taken: what ``fill`` returns, noted in one step with the coming of the bytes; the reader empties it when it
                has noted it too, so an interrupt between the two loses nothing. Where ``fill`` is one step, empty.
            waits: whether ``wait`` can wait; where not, it says that there is something.
        """

        name: str
        taken: list[int]
        waits: bool

        def fill(self, room: memoryview) -> int:
            """Wait for bytes, put them in ``room`` and return how many; 0 when no more will come."""

        def write(self, parts: Sequence[Part]) -> None:
            """Send all the bytes of all parts.

            Raises:
                OSError: they cannot be sent, nor can others.
            """

        def whole(self) -> bool:
            """Whether the last ``write`` has sent all or nothing, as far as is known; asked if it was interrupted."""

        def wait(self, timeout: float | None) -> bool:
            """Wait up to so many seconds for ``fill`` to have something to return at once; whether it has."""

        def writable(self) -> bool:
            """Whether a few hundred bytes can be written without waiting; as far as one can tell."""

        def shut_down(self) -> None:
            """Make whoever reads or writes return or fail, now and later; safe to repeat."""

        def close(self) -> None:
            """Free everything, when nobody reads or writes any more; safe to repeat."""

        def disown(self) -> None:
            """In a forked child: free its copies and leave the parent's connection as it is. Takes no lock."""
