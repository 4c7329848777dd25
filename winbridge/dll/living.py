"""What a session was given, or gave, and what of it still lives: a DLL may have kept pointers to it.

After each call of the session these objects are looked at again, and before it too, most recent
ones first out of a budget. What is beyond the budget is equal after a call that reaches it, or by ``sync``.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Collection, Container, Iterable
from typing import Any

from winbridge.core.impl import step
from winbridge.core.session import SessionEngine
from winbridge.dll.mirror import Mirror
from winbridge.dll.mirrors import Mirrors, mirrors
from winbridge.dll.owners import is_ring
from winbridge.dll.snapshot import Snapshot, snapshot
from winbridge.dll.spans import Spans

BUDGET_OBJECTS = 64
BUDGET_BYTES = 1 << 20
"""Of living objects that are compared with their mirrors around each call: measured, an object costs
1 us a call, a MiB 250 us."""


class Living:
    """The living objects of one session.

    Args:
        session: which one.
    """

    def __init__(self, session: SessionEngine) -> None:
        self._session = weakref.ref(session)
        self.mirrors: Mirrors = mirrors(session.pointer_size)
        self.objects: dict[Mirror, None] = {}
        self.bytes = 0
        self._here: Spans[Any] = Spans()
        self._known: weakref.WeakValueDictionary[tuple[int, Any], Snapshot] = weakref.WeakValueDictionary()
        self._fresh: list[Snapshot] = []

    @property
    def idle(self) -> bool:
        """Whether a call that is given no memory needs no look at any."""
        return not self.objects

    @property
    def session(self) -> SessionEngine:
        session = self._session()
        assert session is not None  # whoever calls holds it
        return session

    def push(self, given: Iterable[Any]) -> Collection[Any]:
        """Bring over what changed here: of what a call is given, of all that it reaches, and of what lives.

        Returns:
            what the call reaches.
        """
        with lock:
            self.session.uses_heap = True
            reached = self._push_graph(given)
            for mirror in self._others(reached):
                if not mirror.alive or is_ring(mirror.tie()):
                    self._forget(mirror)
                else:
                    with contextlib.suppress(Exception):  # it is not an argument: no reason to refuse the call
                        self._push_fresh(mirror)
            return reached

    @step("stirred_here")
    def _others(self, reached: Container[Any]) -> list[Mirror]:
        """What lives besides that; the extension leaves out what is here as it was."""
        return [mirror for mirror in list(self.objects) if mirror not in reached]

    @step("stirred_there")
    def _others_there(self, reached: Container[Any]) -> list[Mirror]:
        """The same, and the extension leaves out what is there as it was."""
        return [mirror for mirror in list(self.objects) if mirror not in reached]

    @step("push_reached")
    def _push_graph(self, given: Iterable[Any]) -> dict[Any, None]:
        reached: dict[Any, None] = {}
        waiting = list(given)
        while waiting:
            item = waiting.pop()
            if item not in reached:
                reached[item] = None
                item.push(self)
                if item.targets:
                    waiting.extend(item.targets.values())
        return reached

    def _push_fresh(self, mirror: Mirror) -> None:
        """Push a mirror, and what its pointers were given since."""
        mirror.push(self)
        waiting = [target for target in mirror.targets.values() if target.known is None] if mirror.targets else []
        while waiting:
            target = waiting.pop()
            target.push(self)
            self._remember(target)
            waiting.extend(further for further in target.targets.values() if further.known is None)

    def pull(self, reached: Collection[Any]) -> None:
        """Bring back what changed there, and remember what the session was given."""
        with lock:
            self._pull_graph(reached)
            if self.objects:
                for mirror in self._others_there(reached):
                    mirror.pull(self)
            if self._fresh:
                self._settle()

    @step("pull_reached")
    def _pull_graph(self, reached: Collection[Any]) -> None:
        for item in reached:
            item.pull(self)
            if isinstance(item, Mirror):
                self._remember(item)

    def sync(self, thing: Any, back: bool) -> None:
        """Make an object and what it points to equal here and there, outside of a call."""
        session = self._session()
        if session is None or session.closed:
            return
        with lock:
            replica = None if session.transport.shares_memory else session.replica()
            if replica is not None:
                replica.pull()
            mirror = self.mirrors.of(thing)
            if mirror.compared or not back:
                for item in self._push_graph([mirror]):
                    item.pull(self)
            else:
                mirror.pull(self)
            self._settle()
            if replica is not None:
                replica.push()

    def _settle(self) -> None:
        """Snapshots that were made meanwhile may point to others."""
        while self._fresh:
            fresh = self._fresh.pop()
            fresh.fill(self)
            self._remember(fresh)

    def _remember(self, mirror: Mirror) -> None:
        if mirror in self.objects:
            del self.objects[mirror]  # to its end, as the most recent
            self.objects[mirror] = None
            return
        if mirror.size > BUDGET_BYTES:
            return
        self.objects[mirror] = None
        self.bytes += mirror.size
        while len(self.objects) > BUDGET_OBJECTS or self.bytes > BUDGET_BYTES:
            self._forget(next(iter(self.objects)))

    def _forget(self, mirror: Mirror) -> None:
        if mirror in self.objects:
            del self.objects[mirror]
            self.bytes -= mirror.size

    # Pointers that the DLL wrote.

    def followed(self, value: int, kind: Any, holder: Mirror) -> tuple[int, Any]:
        """What a pointer of the Windows side is here.

        Args:
            value: the address that it holds, not 0.
            kind: its type.
            holder: where it stands.

        Returns:
            the address here, and the mirror, constant or snapshot that it lies in. What cannot be followed
            keeps its number.
        """
        target = self.mirrors.at_windows(value)
        if target is not None and target.host(value):
            return target.host(value), target
        if self.mirrors.heap.view(value, 0) is not None and target is None:
            return value, None
        known = self._known.get((value, kind))
        if known is None:
            known = snapshot(value, kind, self)
            if known is None:
                return value, None
            self._known[value, kind] = known
            self._here.add(known.start, max(known.size, 1), weakref.ref(known))
            self._fresh.append(known)
        holder.keep(known)
        return known.start, known

    def at_host(self, address: int) -> Snapshot | None:
        """The snapshot that an address of this process is in."""
        found = self._here.find(address)
        if found is None:
            return None
        item: Snapshot | None = found[1]()
        if item is None:
            self._here.at.pop(found[0], None)
        return item


lock = threading.RLock()
"""Guards every comparison of a mirror; short, and never held during a DLL's function."""

_all: weakref.WeakKeyDictionary[SessionEngine, Living] = weakref.WeakKeyDictionary()


def living(session: SessionEngine) -> Living:
    """What lives of what a session was given."""
    found = _all.get(session)
    if found is None:
        with lock:
            found = _all.setdefault(session, Living(session))
    return found


def everywhere() -> list[Living]:
    """That of all sessions that had any."""
    return list(_all.values())


def _after_fork() -> None:
    global lock
    lock = threading.RLock()
    _all.clear()


os.register_at_fork(after_in_child=_after_fork)
