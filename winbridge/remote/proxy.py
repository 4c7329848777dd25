"""Proxies: objects that stand for objects at the other side of a connection.

What one does to a proxy is done to the object: public methods, attributes, items, operators, iteration, ``with``,
``await``. Each is one call to the peer. Names that begin with an underscore are not passed on. A result comes as a
copy if it is data (numbers, text, lists of such, objects of classes that both sides can import), else as a proxy. A
method whose result is its own object gives the same proxy.

``isinstance(proxy, Proxy)`` is true, ``isinstance(proxy, list)`` is not: a proxy does not pretend to be of the
object's class, since code that trusts in that (much of it in C) would look inside. It has just those special methods
that the object has, so ``callable(proxy)`` and ``isinstance(proxy, collections.abc.Sized)`` tell the truth.
``isinstance(proxy, proxy_of_a_class)`` asks the other side.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from winbridge.remote import failures, proxied
from winbridge.remote.current import current, get_connection
from winbridge.remote.errors import DisconnectError
from winbridge.remote.reference import Reference, ref
from winbridge.remote.references import come_back
from winbridge.remote.special import names_of

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection
    from winbridge.remote.references import References
    from winbridge.remote.special import Description

__all__ = ["Proxy", "Reference", "get_connection", "get_proxy_connection", "ref"]

MOST_ITEMS = 4096
"""Items that one round trip of an iteration fetches, at most; it begins with ``proxied.FIRST_ITEMS`` and doubles."""


class _State:
    """What a proxy knows. Apart from it, so that the proxy has no attributes but the object's."""

    __slots__ = ("arrived", "description", "methods", "number", "references", "sent_back")

    def __init__(self, references: References, number: int, description: Description) -> None:
        self.references = references
        self.number = number
        self.description = description
        self.arrived = 0
        self.sent_back = 0
        self.methods: frozenset[str] | None = None


class Proxy:
    """Stands for an object at the other side; see the module. ``call_ref``, ``ref`` and other proxies make it.

    Raises:
        DisconnectError: (all it does) the connection is closed or lost. Only ``repr`` still works then.
    """

    __slots__ = ("__weakref__", "_wb")
    _wb: _State

    def __new__(cls) -> Any:
        raise TypeError("proxies are made by Connection.call_ref(), by ref() and by other proxies")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{name!r}: a proxy gives public attributes only, of {self._wb.description[1]} here")
        if name in _methods(self):
            return Method(self, name)
        return _ask(self, proxied.get_attribute, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        _ask(self, proxied.set_attribute, name, value)

    def __delattr__(self, name: str) -> None:
        _refuse_private(name)
        _ask(self, proxied.delete_attribute, name)

    def __dir__(self) -> Any:
        return sorted({*object.__dir__(self), *_ask(self, proxied.names)})

    def __str__(self) -> str:
        return str(_ask(self, proxied.operate, "__str__"))

    def __repr__(self) -> str:
        """As the object's. Works without a connection too: this is for logs and debuggers."""
        try:
            return str(_ask(self, proxied.operate, "__repr__"))
        except DisconnectError:
            return f"<Proxy of {self._wb.description[1]}, disconnected>"

    def __format__(self, form: str) -> str:
        return str(_ask(self, proxied.operate, "__format__", form))

    def __copy__(self) -> Any:
        return _ask(self, proxied.fetch)

    def __deepcopy__(self, memo: Any) -> Any:
        return _ask(self, proxied.fetch)

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = self._wb
        if current.undo is None or current.values is None or current.values.references is not state.references:
            raise pickle.PicklingError(
                f"a proxy (of {state.description[1]}) travels only through its own connection. Pass "
                "copy.copy(proxy) for the value, or winbridge.remote.ref(proxy) for a proxy of the proxy"
            )
        state.sent_back += 1
        current.undo.append(functools.partial(_not_sent_back, state))
        return come_back, (state.number,)

    def __del__(self) -> None:
        state = self._wb
        # Appending to a deque is all that is safe here: garbage may be collected anywhere, under any lock.
        state.references.pending.append((state.number, state.arrived, state.sent_back))


class Method:
    """A method of a proxied object. To get it costs nothing; to call it is one call to the peer."""

    __slots__ = ("_wb_name", "_wb_proxy")

    def __init__(self, proxy: Proxy, name: str) -> None:
        self._wb_proxy = proxy
        self._wb_name = name

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        state = self._wb_proxy._wb
        return state.references.connection.call(proxied.invoke, state.number, self._wb_name, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Of the method itself, for example a function's ``cache_clear``."""
        if name.startswith("_") and name not in ("__doc__", "__name__", "__qualname__", "__module__"):
            raise AttributeError(f"{name!r}: a proxied method gives public attributes only")
        return getattr(_ask(self._wb_proxy, proxied.get_attribute, self._wb_name), name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Method):
            return NotImplemented
        return self._wb_proxy is other._wb_proxy and self._wb_name == other._wb_name

    def __hash__(self) -> int:
        return hash((id(self._wb_proxy), self._wb_name))

    def __repr__(self) -> str:
        return f"<method {self._wb_name} of {self._wb_proxy!r}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return getattr, (self._wb_proxy, self._wb_name)


def get_proxy_connection(proxy: Proxy) -> Connection:
    """The connection whose other side has the object.

    Raises:
        TypeError: that is not a proxy.
    """
    if not isinstance(proxy, Proxy):
        raise TypeError(f"get_proxy_connection() takes a proxy, not {type(proxy).__name__}")
    return proxy._wb.references.connection


def make_proxy(references: References, number: int, description: Description) -> Proxy:
    """A new proxy; for ``References``, which makes one an object."""
    proxy: Proxy = object.__new__(_class_for(description[2]))
    object.__setattr__(proxy, "_wb", _State(references, number, description))
    return proxy


def arrived(proxy: Proxy) -> None:
    """The object has arrived once more; for ``References``, under its lock."""
    proxy._wb.arrived += 1


def _ask(proxy: Proxy, function: Any, *args: Any) -> Any:
    state = proxy._wb
    return state.references.connection.call(function, state.number, *args)


def _not_sent_back(state: _State) -> None:
    state.sent_back -= 1


def _refuse_private(name: str) -> None:
    if name.startswith("_"):
        raise AttributeError(f"{name!r}: through a proxy only public attributes can be set and deleted")


def _methods(proxy: Proxy) -> frozenset[str]:
    """Names that need not be asked for to know that they are methods; asked for once a type."""
    state = proxy._wb
    if state.methods is None:
        known = state.references.methods
        kind = state.description[0]
        if kind in known:
            state.methods = known[kind]
        else:
            state.methods, of_type = _ask(proxy, proxied.methods)
            if of_type:
                known[kind] = state.methods
    return state.methods


@functools.lru_cache(maxsize=1024)
def _class_for(bits: int) -> type:
    """The class of proxies of objects with these special methods."""
    has = names_of(bits)
    body: dict[str, Any] = {name: _SPECIAL.get(name) or _forward(name) for name in has}
    if "__len__" in has:
        body["__bool__"] = _forward("__bool__")
    if "__getitem__" in has:
        body["__iter__"] = _iterate
    if "__iter__" in body:
        body["__contains__"] = _forward("__contains__")
    if "__eq__" in has and "__hash__" not in has:
        body["__hash__"] = None
    return type("Proxy", (Proxy,), {"__slots__": (), "__module__": __name__, "__doc__": Proxy.__doc__, **body})


def _forward(name: str) -> Any:
    def method(self: Proxy, *args: Any) -> Any:
        return _ask(self, proxied.operate, name, *args)

    method.__name__ = name
    return method


def _call(self: Proxy, /, *args: Any, **kwargs: Any) -> Any:
    state = self._wb
    return state.references.connection.call(proxied.call, state.number, *args, **kwargs)


def _iterate(self: Proxy) -> Any:
    items, rest, size = _ask(self, proxied.iterate)
    return self if rest is self else _walk(items, rest, size)


def _reversed(self: Proxy) -> Any:
    return _walk(*_ask(self, proxied.iterate, True))


def _walk(items: Any, rest: Proxy | None, size: int) -> Iterator[Any]:
    """The items that came along, then those of the iterator at the other side; ``size`` at first, then more."""
    yield from items
    while rest is not None:
        items, more = _ask(rest, proxied.advance, size)
        yield from items
        if not more:
            return
        # Whatever computes its items when they are asked for is asked for one.
        size = min(2 * size, MOST_ITEMS) if size > 1 else 1


def _next(self: Proxy) -> Any:
    items, _ = _ask(self, proxied.advance, 1)
    if not items:
        raise StopIteration
    return items[0]


def _exit(self: Proxy, kind: Any, error: BaseException | None, traceback: Any) -> Any:
    return _ask(self, proxied.leave, _packed(self, error))


def _packed(proxy: Proxy, error: BaseException | None) -> Any:
    return None if error is None else failures.packed(proxy._wb.references.connection.values, error)


async def _ask_async(proxy: Proxy, function: Any, *args: Any) -> Any:
    """As ``_ask``; the coroutine keeps the proxy, and so the object, until it is done."""
    state = proxy._wb
    return await state.references.connection.call_async(function, state.number, *args)


def _await(self: Proxy) -> Any:
    return _ask_async(self, proxied.wait_for).__await__()


async def _async_walk(self: Proxy) -> AsyncIterator[Any]:
    iterator = await _ask_async(self, proxied.async_iterate)
    while True:
        items = await _ask_async(iterator, proxied.async_advance)
        if not items:
            return
        yield items[0]


async def _async_next(self: Proxy) -> Any:
    items = await _ask_async(self, proxied.async_advance)
    if not items:
        raise StopAsyncIteration
    return items[0]


async def _async_enter(self: Proxy) -> Any:
    return await _ask_async(self, proxied.async_enter)


async def _async_exit(self: Proxy, kind: Any, error: Any, traceback: Any) -> Any:
    return await _ask_async(self, proxied.async_leave, _packed(self, error))


_SPECIAL: dict[str, Any] = {
    "__call__": _call,
    "__iter__": _iterate,
    "__reversed__": _reversed,
    "__next__": _next,
    "__exit__": _exit,
    "__await__": _await,
    "__aiter__": _async_walk,
    "__anext__": _async_next,
    "__aenter__": _async_enter,
    "__aexit__": _async_exit,
}
"""Special methods that are more than an operation on the object."""
