"""Objects that are lent to the peer, and the proxies of objects that the peer lends us.

Both sides count. Whoever lends an object keeps it alive and counts how often it went out; the proxy at the other side
counts how often it arrived. When the proxy dies, its count goes back with the next message and is taken off; at
nought the object is let go. A proxy that dies while the same object is on its way once more does no harm: that
arrival is not in its count. Neither does a message that passes a proxy back to its owner and is unpacked later than
the release: proxies count those too, and the owner waits until it has seen as many::

    owner                                     holder
    lend(obj) ── number ───────────────────▶  proxy_for(number): the proxy, arrived += 1
    returned(number) ◀───── number ─────────  the proxy is passed back, sent_back += 1
    release([(number, arrived, sent_back)]) ◀─ the proxy died; released() collects
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from winbridge.remote.current import current
from winbridge.remote.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from winbridge.remote.connection import Connection
    from winbridge.remote.proxy import Proxy
    from winbridge.remote.special import Description

    Release = tuple[int, int, int]
    """Number of an object, how often it had arrived at a proxy that died, how often that proxy was passed back."""

__all__ = ["References", "arrive", "come_back"]


class _Lent:
    """An object that the peer may have proxies of."""

    __slots__ = ("count", "owed", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.count = 0  # how often it went out and was not released
        self.owed = 0  # how often released proxies were passed back and have not been seen here yet

    @property
    def done(self) -> bool:
        return self.count <= 0 and self.owed <= 0


class References:
    """What one connection lends and borrows. Safe in any thread, and from ``__del__``.

    Args:
        connection: whose references these are.

    Attributes:
        pending: releases that the peer has not been told of: not empty when ``released`` has something to tell.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.pending: deque[Release] = deque()
        self.methods: dict[int, frozenset[str]] = {}
        """Names of methods of the peer's types, by the number of the type."""
        self.importable: dict[str, bool] = {}
        """Modules that the peer said it can import, or that it cannot; names in them if it is of another platform."""
        # Re-entrant: an allocation under it may collect garbage, whose __del__ may do anything.
        self._lock = threading.RLock()
        self._held = False
        self._told: deque[Release] = deque()
        self._lent: dict[int, _Lent] = {}
        self._numbers: dict[int, int] = {}
        self._last = 0
        self._proxies: weakref.WeakValueDictionary[int, Proxy] = weakref.WeakValueDictionary()

    def __len__(self) -> int:
        """How many objects are lent."""
        return len(self._lent)

    def lend(self, value: Any) -> int:
        """Keep ``value`` alive for the peer once more; the same object has the same number as long as it is lent."""
        with self._locked():
            number = self._numbers.get(id(value))
            if number is None:
                number = self._last = self._last + 1
                self._lent[number] = _Lent(value)
                self._numbers[id(value)] = number
            self._lent[number].count += 1
            return number

    def borrowed(self, number: int) -> Any:
        """The object that we lent under this number.

        Raises:
            OperationError: there is none: it has been released, or the peer made the number up.
        """
        lent = self._lent.get(number)
        if lent is None:
            raise OperationError(
                f"the object number {number} is not lent (any more): its proxy was released, or the connection closed. "
                "Keep the proxy alive as long as its object is used"
            )
        return lent.value

    def returned(self, number: int) -> Any:
        """As ``borrowed``, for an object that the peer passed back as an argument or result."""
        with self._locked():
            value = self.borrowed(number)
            lent = self._lent[number]
            lent.owed -= 1
            self._settle(number, lent)
        return value

    def proxy_for(self, number: int, description: Description) -> Proxy:
        """The proxy of the peer's object of this number: the same one as long as it lives."""
        from winbridge.remote.proxy import arrived, make_proxy

        with self._locked():
            proxy = self._proxies.get(number)
            if proxy is None:
                proxy = self._proxies[number] = make_proxy(self, number, description)
            arrived(proxy)
            return proxy

    def owns(self, value: Any) -> bool:
        """Whether ``value`` is a proxy of an object at the other side of this connection."""
        from winbridge.remote.proxy import Proxy

        return isinstance(value, Proxy) and value._wb.references is self

    def released(self) -> list[Release]:
        """What to tell the peer of proxies that died, once: small tuples of integers for its ``release``."""
        releases = []
        while self.pending:
            releases.append(self.pending.popleft())
        return releases

    def release(self, releases: list[Release]) -> list[Any]:
        """Proxies of the peer died: let go what nobody refers to any more.

        Never waits for another thread: this is called by who reads for all of them.

        Returns:
            the objects that were let go. Who reads must not be the one to drop them: this may run a ``__del__``, which
            may call the peer and wait for an answer.
        """
        self._told.extend(releases)
        return self._catch_up()

    def _catch_up(self) -> list[Any]:
        """Do what was told; if another thread has the lock, it does that as soon as it gives the lock back."""
        doomed: list[Any] = []
        while self._told and not self._held and self._lock.acquire(False):
            self._held = True
            try:
                while self._told:
                    self._release(*self._told.popleft(), doomed)
            finally:
                self._held = False
                self._lock.release()
        return doomed

    def _release(self, number: int, count: int, sent_back: int, doomed: list[Any]) -> None:
        lent = self._lent.get(number)
        if lent is not None:
            lent.count -= count
            lent.owed += sent_back
            if self._settle(number, lent):
                doomed.append(lent.value)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            outer, self._held = self._held, True
            try:
                yield
            finally:
                self._held = outer
        self._catch_up()

    def take_back(self, number: int) -> None:
        """Undo ``lend``: the message did not go out."""
        self.release([(number, 1, 0)])

    def clear(self) -> None:
        """The connection is closed: let everything go."""
        with self._locked():
            lent, self._lent = self._lent, {}
            self._numbers.clear()
            self.pending = deque(maxlen=0)  # of proxies that die from now on nobody is told
        lent.clear()

    def _settle(self, number: int, lent: _Lent) -> bool:
        """Whether an object was let go."""
        if lent.done:
            del self._lent[number]
            self._numbers.pop(id(lent.value), None)
        return lent.done


def arrive(number: int, kind: int, name: str, bits: int) -> Proxy:
    """What a lent object is in a pickle: at the other side the call of this gives its proxy."""
    return _here().proxy_for(number, (kind, name, bits))


def come_back(number: int) -> Any:
    """What a proxy is in a pickle for its owner: there the call of this gives the object."""
    return _here().returned(number)


def _here() -> References:
    if current.values is None:
        raise OperationError("a pickle with references can only be loaded by the connection that it was sent through")
    return current.values.references
