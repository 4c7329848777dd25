"""Picklers for what the plain one cannot do; they ask Python at each object that is not plain data."""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import sys
import types
from typing import TYPE_CHECKING, Any

from winbridge.remote import platforms
from winbridge.remote.current import current
from winbridge.remote.errors import DisconnectError, OperationError
from winbridge.remote.proxy import Proxy, Reference
from winbridge.remote.values import as_memoryview

if TYPE_CHECKING:
    from winbridge.remote.values import Values

__all__ = ["ForOtherPlatform", "lending", "load_by_names", "thorough"]

_NAMED = (type, types.FunctionType, types.BuiltinFunctionType)
"""What is pickled by its name."""

_LENT = (types.ModuleType, types.MethodType)
"""What an operation on a proxy gives as a proxy even if it could be pickled: a copy would act at the wrong side."""

_EVERYWHERE = frozenset(getattr(sys, "stdlib_module_names", ("builtins", "collections", "copyreg", "datetime")))


def thorough(by_value: bool) -> Any:
    """A class of picklers that can do memoryviews as well, and with ``by_value`` code.

    Raises:
        OperationError: ``by_value``, and cloudpickle is missing.
    """
    return _with_code() if by_value else _Thorough


def lending(answer: Any, by_value: bool) -> Any:
    """The class of picklers for ``Answer``: lends what is of no use as a copy, at any depth."""
    return _Lending


def raising(raised: Any, by_value: bool) -> Any:
    """A class of picklers for ``Raised``: exceptions as ``exceptions`` says."""
    from winbridge.remote.exceptions import reduce_exception

    base: Any = thorough(by_value)

    class _Raising(base):  # type: ignore[misc]
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, BaseException):
                return reduce_exception(value, raised.with_causes)
            return super().reducer_override(value)

    return _Raising


def load_by_names(values: Values, payload: Any, buffers: list[Any]) -> Any:
    """Unpickle; names in ``__main__`` are looked up in the peer's, those of another platform are translated."""
    unpickler = _ByNames(io.BytesIO(payload), buffers=buffers)
    unpickler.values = values
    return unpickler.load()


class ForOtherPlatform(pickle.Pickler):
    """For what goes from Windows to elsewhere, or the other way round."""

    dispatch_table = platforms.Reducers()  # type: ignore[assignment]


class _Thorough(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        return _reduce_memoryview(value) if type(value) is memoryview else NotImplemented


def _reduce_memoryview(view: memoryview) -> Any:
    if len(view.format) > 1:
        raise TypeError(f"a memoryview of the format {view.format!r} cannot be made from bytes")
    if not view.c_contiguous:
        # In order, and writable where it was.
        flat = bytearray(view.tobytes())
        data = pickle.PickleBuffer(memoryview(flat).toreadonly() if view.readonly else flat)
    else:
        data = pickle.PickleBuffer(view)
    return as_memoryview, (data, view.format, view.itemsize, view.shape)


@functools.lru_cache(maxsize=None)
def _with_code() -> Any:
    try:
        import cloudpickle  # type: ignore[import-untyped]
    except ImportError:
        raise OperationError(
            "Options(pickle_by_value=True) needs cloudpickle, on both sides: pip install 'winbridge[remote]'"
        ) from None

    class _WithCode(cloudpickle.Pickler):  # type: ignore[misc]
        def __init__(self, file: Any, protocol: int, buffer_callback: Any) -> None:
            super().__init__(file, protocol=protocol, buffer_callback=buffer_callback)

        def reducer_override(self, value: Any) -> Any:
            return _reduce_memoryview(value) if type(value) is memoryview else super().reducer_override(value)

    return _WithCode


class _ByNames(pickle.Unpickler):
    values: Values

    def find_class(self, module: str, name: str) -> Any:
        if module == "__main__" and self.values.main is not None:
            return functools.reduce(getattr, name.split("."), self.values.main())
        return platforms.find(module, name) if self.values.other_platform else super().find_class(module, name)


class _Lending(pickle.Pickler):
    """Decides object by object. What it has reduced itself, it need not reduce again."""

    _first = True

    def reducer_override(self, value: Any) -> Any:
        first, self._first = self._first, False
        if type(value) is memoryview:
            return _reduce_memoryview(value)
        if isinstance(value, _NAMED):
            return NotImplemented if not first and _peer_can_import(value) else _lend(value)
        if (first and callable(value) and not isinstance(value, Proxy)) or _is_better_lent(value):
            return _lend(value)
        if _on_other_platform() and (by_name := platforms.by_name(value)) is not None:
            kind, name = by_name[1]
            return by_name if _peer_has(kind.__module__, f"{kind.__qualname__}.{name}") else _lend(value)
        try:
            return copyreg.dispatch_table.get(type(value), _reduce)(value)  # type: ignore[no-untyped-call]
        except Exception:
            return _lend(value)


def _is_better_lent(value: Any) -> bool:
    if isinstance(value, (Proxy, Reference)):
        return False
    # A copy of an iterator does not move on the original.
    return (
        isinstance(value, (*_LENT, *_libraries()))
        or hasattr(type(value), "__next__")
        or not _peer_can_import(type(value))
    )


def _libraries() -> tuple[Any, ...]:
    """The types of loaded libraries, whose functions are here, and of ``ctypes.cdll`` and the like."""
    ctypes = sys.modules.get("ctypes")
    return () if ctypes is None else (ctypes.CDLL, ctypes.LibraryLoader)


def _reduce(value: Any) -> Any:
    return value.__reduce_ex__(5)


def _lend(value: Any) -> Any:
    return Reference(value).__reduce_ex__(5)


def _peer_can_import(named: Any) -> bool:
    """Whether a class or function is found by its name, here and at the peer."""
    module, name = getattr(named, "__module__", None), getattr(named, "__qualname__", "")
    if module is None or module == "__main__" or module not in sys.modules:
        return False
    try:
        here = functools.reduce(getattr, name.split("."), sys.modules[module])
    except AttributeError:
        return False
    return here is named and _peer_has(module, name)


def _on_other_platform() -> bool:
    return current.values is not None and current.values.other_platform


def _peer_has(module: str, name: str) -> bool:
    """Ask the peer, once a module; of another platform it has parts of them only."""
    if module == "builtins" or module.startswith("winbridge.remote."):
        return True
    if not _on_other_platform():
        return module.partition(".")[0] in _EVERYWHERE or _asked(module)
    return _asked(module, name)


def _asked(*what: str) -> bool:
    assert current.values is not None
    references = current.values.references
    key = ":".join(what)
    if key not in references.importable:
        from winbridge.remote import proxied

        try:
            references.importable[key] = references.connection.call(proxied.importable, *what)
        except DisconnectError:
            return False
    return references.importable[key]
