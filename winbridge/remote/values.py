"""Values on their way: pickle protocol 5, with large data beside the pickle instead of in it.

Data of ``LARGE`` bytes and more (bytes, bytearray, memoryview, and whatever gives pickle a buffer, such as numpy's
arrays) is not copied into the message; ``dumps`` returns it as buffers, to be sent as they are.

The C pickler does all that by itself, without a call back into Python for each object: to a file it writes large
bytes apart from the rest, as the very object. ``_cut_out`` puts them beside the pickle. So a plain message costs what
``pickle.dumps`` costs, and half a microsecond.
"""

from __future__ import annotations

import contextlib
import pickle
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union

from winbridge.remote.current import current
from winbridge.remote.errors import OperationError
from winbridge.remote.frames import too_large

if TYPE_CHECKING:
    from winbridge.remote.options import Options
    from winbridge.remote.references import References

    Buffer = Union[bytes, bytearray, memoryview]

__all__ = ["LARGE", "Answer", "Values", "as_bytearray", "as_memoryview"]

PROTOCOL = 5

LARGE = 1 << 16
"""Bytes from which data goes beside the pickle. It is the size from which the C pickler writes it apart, and about
where it pays: copying in and out costs 2.5 µs more at 64 KiB (and 100 µs at 256 KiB), two more parts of a message
about 1 µs; at 16 KiB both are the same."""

MOST_BUFFERS = 30_000
"""Of bytes, and of what gives buffers, each: a message counts them in 16 bits. Further ones go into the pickle."""

_FRAME, _PROTO = b"\x95", 0x80
_TAKE = {
    ord("B"): b"cbuiltins\nbytes\n\x97\x85R",
    0x8E: b"cbuiltins\nbytes\n\x97\x85R",
    0x96: b"cwinbridge.remote.values\nas_bytearray\n\x97\x85R",
    ord("X"): None,
    0x8D: None,
}
"""Opcodes that announce data, and what takes the next buffer in their place: the call of a function with it, which
costs nothing if the buffer has the right type already. Text stays where it is."""
_LENGTH_OF_5, _LENGTH_OF_9 = struct.Struct("<I"), struct.Struct("<Q")


class Answer:
    """The result of an operation on a proxied object.

    It travels by value if that is of any use at the other side: plain data, and objects of classes that it can
    import. Anything else comes as a proxy.
    """

    __slots__ = ("value",)
    pickler = "lending"
    """The function in ``picklers`` that gives the pickler."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Values:
    """Packs and unpacks the values of one connection.

    Args:
        references: of the same connection.
        options: ``pickle_by_value`` sends functions and classes that the peer cannot import by their code.

    Attributes:
        main: the peer's ``__main__``, if it exported it: names in ``__main__`` are looked up in there.
        most: bytes of the largest message that the peer takes.
        other_platform: whether one side is Windows and the other is not, see ``platforms``.
    """

    def __init__(self, references: References, options: Options) -> None:
        self.references = references
        self.main: Callable[[], Any] | None = None
        self.most = sys.maxsize
        self.other_platform = False
        self._options = options
        self._pickler: Any = pickle.Pickler

    def meet(self, platform: str, most: int) -> None:
        """Get to know the peer.

        Args:
            platform: its ``sys.platform``.
            most: bytes of the largest message that it takes.
        """
        self.most = most
        if (platform == "win32") != (sys.platform == "win32"):
            from winbridge.remote import picklers

            self.other_platform = True
            self._pickler = picklers.ForOtherPlatform

    def dumps(self, value: Any, what: str = "the value") -> tuple[bytes, list[Buffer]]:
        """Pack a value.

        Args:
            value: anything; proxies of this connection's peer arrive there as the original objects.
            what: how to name the value in an error: ``"the call"`` for (function, args, kwargs), else for example
                ``"the result of f"``.

        Returns:
            the pickle, and the buffers that go beside it, of one dimension. Where a buffer is a ``bytes``, the other
            side had best give ``bytes`` to ``loads``, else it is copied once more. For all others it must give a
            ``bytearray`` or another writable buffer that nobody else uses.

        Raises:
            OperationError: it cannot be pickled; the message names the object, where it sits and what to do. Or the
                peer does not take as much.
        """
        before = current.values, current.undo
        current.values, current.undo = self, []
        packed = None
        try:
            attempt = self._wrapped(value) if isinstance(value, Answer) else self._pack(value)
            size = len(attempt[0]) + (sum(map(len, attempt[1])) if attempt[1] else 0)
            if size > self.most:
                raise too_large(size, self.most)
            packed = attempt
            return packed
        except OperationError:
            raise
        except Exception as error:
            from winbridge.remote.naming import not_picklable

            value = value.value if isinstance(value, Answer) else value
            raise not_picklable(value, what, error, self._options.pickle_by_value) from error
        finally:
            if packed is None:
                self._undo()
            current.values, current.undo = before

    def loads(self, payload: Any, buffers: list[Any], what: str = "the value") -> Any:
        """Unpack a value.

        Messages may be unpacked in another order than they arrived in: proxies that are released meanwhile are kept.

        Raises:
            OperationError: it needs a module or a name that this side does not have, or an object in it refuses to
                be rebuilt; the message says which.
        """
        before = current.values, current.undo
        current.values, current.undo = self, None
        try:
            if self.other_platform or (self.main is not None and b"__main__" in bytes(payload)):
                from winbridge.remote.picklers import load_by_names

                return load_by_names(self, payload, buffers)
            return pickle.loads(payload, buffers=buffers)
        except OperationError:
            raise
        except Exception as error:
            from winbridge.remote.naming import not_loadable

            raise not_loadable(what, error) from error
        finally:
            current.values, current.undo = before

    def discard(self, payload: Any, buffers: list[Any]) -> None:
        """Unpack what nobody waits for any more, so that what was lent in it is released."""
        if b"arrive" in payload:
            with contextlib.suppress(OperationError):
                self.loads(payload, buffers)

    def _pack(self, value: Any) -> tuple[bytes, list[Buffer]]:
        """The pickler alone first; what it cannot do is rare, and only then Python is asked at each object."""
        try:
            packed = _pickled(self._pickler, value)
        except Exception:
            from winbridge.remote.picklers import thorough

            self._undo()
            return _pickled(thorough(self._options.pickle_by_value), value)
        if self._options.pickle_by_value and b"__main__" in packed[0]:
            from winbridge.remote.picklers import thorough

            self._undo()
            return _pickled(thorough(True), value)
        return packed

    def _wrapped(self, wrapped: Answer) -> tuple[bytes, list[Buffer]]:
        from winbridge.remote import picklers

        return _pickled(getattr(picklers, wrapped.pickler)(wrapped, self._options.pickle_by_value), wrapped.value)

    def _undo(self) -> None:
        """What the first attempt lent, it lent in vain."""
        undo, current.undo = current.undo or [], []
        for step in undo:
            step()


def as_bytearray(buffer: Any) -> bytearray:
    """The buffer as a bytearray, itself if it is one."""
    return buffer if type(buffer) is bytearray else bytearray(buffer)


def as_memoryview(buffer: Any, form: str, size: int, shape: tuple[int, ...]) -> memoryview:
    """A memoryview over a buffer as it was before it was taken to bytes: of its format, item size and shape."""
    if struct.calcsize(form) != size:  # a long is of 8 bytes on Linux, of 4 on Windows
        form = {"l": "i", "L": "I"}[form] if size == 4 else {"l": "q", "L": "Q"}[form]
    plain: Any = memoryview(buffer).cast("B")
    # Nothing can be cast to a shape that has a nought in it.
    view: memoryview = plain.cast(form) if 0 in shape else plain.cast(form, shape)
    return view


class _Parts:
    """A file for a pickler: keeps what is written as it is."""

    __slots__ = ("parts", "write")

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self.write = self.parts.append


def _pickled(pickler: Any, value: Any) -> tuple[bytes, list[Buffer]]:
    file = _Parts()
    placed: list[tuple[int, Buffer]] = []

    def beside(buffer: pickle.PickleBuffer) -> bool:
        """Whether the buffer is to go into the pickle instead."""
        raw = buffer.raw()
        if len(placed) >= MOST_BUFFERS or raw.nbytes < LARGE:
            return True
        placed.append((len(file.parts), raw))
        return False

    pickler(file, PROTOCOL, buffer_callback=beside).dump(value)
    if len(file.parts) == 1:
        return file.parts[0], [buffer for _, buffer in placed]
    return _cut_out(file.parts, placed)


def _cut_out(parts: list[Any], placed: list[tuple[int, Buffer]]) -> tuple[bytes, list[Buffer]]:
    """Take large data out of a pickle that was written in parts.

    Parts are of two sorts: the stream, and data. A part of the stream that ends with the announcement of data is
    followed by it. ``placed`` are buffers that the pickler gave away already, each with the number of parts that were
    written then; buffers are taken in the order in which the stream asks for them.
    """
    stream: list[Any] = []
    cut: list[tuple[int, Buffer]] = []
    position = 0
    while position < len(parts):
        part = parts[position]
        data: Any = parts[position + 1] if position + 1 < len(parts) else b""
        size = _announced(part, memoryview(data).nbytes)
        if size is None:  # not written the way that is known: it is a pickle all the same
            return b"".join(parts), [buffer for _, buffer in placed]
        take = _TAKE[part[-size]] if size else None
        if take is not None and len(cut) < MOST_BUFFERS:
            stream += part[:-size], take
            cut.append((position + 1, data if type(data) in (bytes, bytearray) else data.raw()))
        else:
            stream += (part, data) if size else (part,)
        position += 2 if size else 1
    ordered = sorted(placed + cut, key=lambda one: one[0])
    return b"".join(stream), [buffer for _, buffer in ordered]


def _announced(part: bytes, length: int) -> int | None:
    """How many bytes at the end of a part of the stream announce data of this length; None for a surprise.

    A part is a frame, or (where it would have less than four bytes) opcodes without one, and then the announcement.
    """
    start = 2 if part[0] == _PROTO else 0
    if part[start : start + 1] == _FRAME:
        size = len(part) - start - 9 - _LENGTH_OF_9.unpack_from(part, start + 1)[0]
    else:
        rest = len(part) - start
        size = 9 if rest >= 9 else 5 if rest >= 5 else 0
    if size == 0:
        return 0
    if size not in (5, 9) or part[-size] not in _TAKE:
        return None
    announced = (_LENGTH_OF_5 if size == 5 else _LENGTH_OF_9).unpack_from(part, len(part) - size + 1)[0]
    return size if announced == length else None
