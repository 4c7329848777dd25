"""Which session a thread means: the one home of all implicit state.

A *slot* holds one instance of a type (of a ``__metakey__``) for a thread. Beside them there is
one process-wide instance a type, for the threads that made none of their own.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from typing import Any

from winbridge.core.errors import SessionExistsError

SECRETS = {"token"}
"""Parameters whose values no message may show."""


def _shown(kind: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Arguments as they would be written in a call."""
    import inspect

    initialiser = next(base.__dict__["__init__"] for base in kind.__mro__ if "__init__" in base.__dict__)
    names = [*inspect.signature(initialiser).parameters][1 : len(args) + 1]
    positional = ["..." if name in SECRETS else repr(value) for name, value in zip(names, args, strict=False)]
    named = (f"{name}={'...' if name in SECRETS else repr(value)}" for name, value in kwargs.items())
    return ", ".join([*positional, *named])


class _Slots:
    """The instances of one thread; they are closed when the thread ends and this goes with it."""

    def __init__(self) -> None:
        self.instances: dict[str, Any] = {}
        self.owner = os.getpid()

    def __del__(self) -> None:
        if self.owner == os.getpid():
            for instance in list(self.instances.values()):
                instance.close()


def _unless_closed(table: dict[str, Any], key: str) -> Any | None:
    """An instance closed by another thread is still in the slot of its own."""
    instance = table.get(key)
    return None if instance is None or instance.closed else instance


class _Registry:
    """Every open instance, and who it belongs to."""

    def __init__(self) -> None:
        self.epochs = itertools.count(1)
        self.epoch = 0  # never goes back: who remembers one must see that it is over
        self.forget()

    def forget(self) -> None:
        """Start anew, as a forked child does."""
        self.lock = threading.RLock()
        self.opening: dict[str, threading.RLock] = {}
        self.local = threading.local()
        self.process: dict[str, Any] = {}
        self.homes: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
        self.again: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}

    def slots(self) -> dict[str, Any]:
        """The slots of the calling thread."""
        found: _Slots | None = getattr(self.local, "slots", None)
        if found is None:
            found = self.local.slots = _Slots()
        return found.instances

    def changed(self) -> None:
        """Tell caches of "the current session" to look again."""
        self.epoch = next(self.epochs)

    def opening_lock(self, key: str) -> threading.RLock:
        with self.lock:
            return self.opening.setdefault(key, threading.RLock())

    def own(self, key: str) -> Any | None:
        """The instance that this thread made."""
        return _unless_closed(self.slots(), key)

    def shared(self, key: str) -> Any | None:
        """The process-wide instance."""
        return _unless_closed(self.process, key)

    def here(self, key: str) -> Any | None:
        """What this thread's constructor returns: the main thread's includes the process-wide instance."""
        return self.own(key) or (self.shared(key) if on_main_thread() else None)

    def current(self, key: str) -> Any | None:
        """What this thread uses: its own instance, else the process-wide one."""
        return self.own(key) or self.shared(key)

    def add(self, key: str, instance: Any, *, thread: bool, process: bool) -> None:
        with self.lock:
            home = self.homes[instance] = self.slots() if thread else self.process
            home[key] = instance
            if process:
                self.process[key] = instance
            self.changed()

    def add_apart(self, instance: Any) -> None:
        """Note an instance that is in no slot, so that it ends with the process."""
        with self.lock:
            self.homes[instance] = {}

    def remove(self, instance: Any) -> None:
        """Take a closed instance out of every slot, whichever thread closed it."""
        with self.lock:
            for table in (self.homes.pop(instance, {}), self.process):
                for key in [key for key, value in table.items() if value is instance]:
                    del table[key]
            self.changed()

    def snapshot(self) -> list[Any]:
        with self.lock:
            return list(self.homes)

    def after_fork(self) -> None:
        inherited = list(self.homes)
        inherited_slots = getattr(self.local, "slots", None)
        self.forget()
        self.changed()
        for instance in inherited:
            instance.disown()
        del inherited_slots


registry = _Registry()
os.register_at_fork(after_in_child=registry.after_fork)


def on_main_thread() -> bool:
    return threading.get_ident() == threading.main_thread().ident


class Singleton(type):
    """Metaclass: one instance per type and thread.

    ``SomeType(...)`` makes this thread's instance at the first call. A later call with no
    arguments, or with the same ones, returns it; with others it raises ``SessionExistsError``.
    Every class has a slot of its own: ``__metakey__`` is set to its full name unless the class
    body states one (classes that state the same one share a slot).

    Instances need ``close()``, ``closed``, ``disown()`` (a forked child lets go) and ``scope``
    (``"process"``: an instance made on the main thread serves threads that have none).
    """

    __metakey__: str

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Singleton:
        namespace.setdefault("__metakey__", f"{namespace.get('__module__', '')}.{namespace.get('__qualname__', name)}")
        return super().__new__(mcs, name, bases, namespace, **options)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        key = cls.__metakey__
        with registry.opening_lock(key) if on_main_thread() else threading.Lock():
            existing = registry.here(key)
            if existing is None:
                return cls._open(args, kwargs, thread=True, process=on_main_thread())
            return cls._existing(existing, args, kwargs)

    def apart(cls, *args: Any, **kwargs: Any) -> Any:
        """Make an instance that is nobody's current one: who made it passes it around, and closes it."""
        instance = super().__call__(*args, **kwargs)
        instance.separate = True
        registry.add_apart(instance)
        return instance

    def _existing(cls, existing: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if (args or kwargs) and (args, kwargs) != existing.__arguments__:
            given = _shown(cls, args, kwargs)
            raise SessionExistsError(
                f"this thread already has {existing!r}; {cls.__name__}({given}) would be another."
                f" Configure it before its first use, or call {cls.__name__}.new_session({given})"
            )
        return existing

    def _open(cls, args: tuple[Any, ...], kwargs: dict[str, Any], *, thread: bool, process: bool) -> Any:
        instance = super().__call__(*args, **kwargs)
        instance.__arguments__ = (args, kwargs)
        registry.again.pop(cls.__metakey__, None)
        process = process and instance.scope == "process"
        registry.add(cls.__metakey__, instance, thread=thread or not process, process=process)
        return instance

    def _implicit(cls, scope: str) -> Any:
        """The current instance; where there is none, one is opened as nobody did it by name.

        One that died is opened again with the arguments that it had.
        """
        key = cls.__metakey__
        if scope == "thread":
            return registry.own(key) or cls._open((), {}, thread=True, process=False)
        with registry.opening_lock(key):
            current = registry.current(key)
            if current is None:
                args, kwargs = registry.again.get(key, ((), {}))
                current = cls._open(args, kwargs, thread=False, process=True)
            return current
