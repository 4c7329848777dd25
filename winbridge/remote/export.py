"""Modules that one side brings along for the other: imported there, read here.

The importing side asks for a module's source when it is imported, and for a resource of a package when it is read.
Nothing is written to its disk. What it has imported already stays as it is; exported modules come before those that are
installed there, and go with the process: a process that serves several peers has one ``sys.modules`` for all of them.

``__main__`` is imported there under a name of its own (``main_name``), so that the part of a script below
``if __name__ == "__main__"`` does not run, and pickled names in ``__main__`` are looked up in that.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import os
import sys
import weakref
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from winbridge.remote.current import get_connection
from winbridge.remote.errors import DisconnectError, OperationError

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection

__all__ = ["export", "main_name"]

SHOWN = "<exported>"
"""Put before the path of a module's file: what is at that path on the importing side is something else."""

_main_name = ""


class _Source(NamedTuple):
    """A module as it travels."""

    file: str
    text: str
    is_package: bool


# What runs at the side that exports.


def export(connection: Connection, *modules: ModuleType | str) -> None:
    """Let the other side import modules of this one.

    Args:
        connection: to whom.
        modules: top-level modules and packages (these with all that is in them), or their names; ``"__main__"`` too.

    Raises:
        OperationError: the other side does not allow it, or a module is not of Python source, or not a top-level one.
        TypeError: neither a module nor a name.
    """
    names = [_checked(module) for module in modules]
    main = None
    if "__main__" in names:
        main = main_name()
        sys.modules[main] = sys.modules["__main__"]
    connection.call(_accept, [name for name in names if name != "__main__"], main)


def main_name() -> str:
    """The name under which other sides import the ``__main__`` of this process."""
    global _main_name
    if not _main_name:
        import uuid

        _main_name = f"__main__{uuid.uuid4().hex}"
    return _main_name


def _checked(module: ModuleType | str) -> str:
    if not isinstance(module, (ModuleType, str)):
        raise TypeError(f"export() takes modules and names of modules, not {type(module).__name__}")
    name = module if isinstance(module, str) else module.__name__
    if "." in name:
        raise OperationError(f"cannot export {name}: export the top-level package {name.partition('.')[0]!r}")
    if name in sys.builtin_module_names:
        raise OperationError(f"cannot export {name}: it is built into Python, each side has its own")
    if _fetch(name) is None:
        raise OperationError(f"cannot export {name}: there is no module of this name here")
    return name


def _fetch(name: str) -> _Source | None:
    """The source of a module, for the other side; None if there is no such module.

    Raises:
        OperationError: it is not of Python source.
    """
    if name in ("__main__", _main_name):
        return _fetch_main()
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    is_package = spec.submodule_search_locations is not None
    if spec.loader is None or not spec.has_location:
        if not is_package:
            raise OperationError(f"cannot export {name}: it has no file")
        return _Source(os.path.join(_directory(spec), "__init__.py"), "", True)
    text = _source_of(spec.loader, name)
    if text is None:
        raise OperationError(
            f"cannot export {name}: {spec.origin} is no Python source (a compiled module, say). Install it on the "
            "other side"
        )
    return _Source(spec.origin or "", text, is_package)


def _fetch_main() -> _Source:
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    text = _source_of(spec.loader, spec.name) if spec is not None else None
    if text is None and file is not None and os.path.exists(file):
        import tokenize

        with tokenize.open(file) as stream:
            text = stream.read()
    if text is None or file is None:
        raise OperationError(
            "cannot export __main__: it has no file (it was typed, or is python -c). "
            "Options(pickle_by_value=True) sends its functions and classes"
        )
    return _Source(file, text, False)


def _source_of(loader: Any, name: str) -> str | None:
    try:
        return loader.get_source(name) if hasattr(loader, "get_source") else None
    except ImportError:
        return None


def _resource(package: str, parts: tuple[str, ...]) -> bytes | list[str] | None:
    """The content of a file in a package, the names in a directory; None if there is neither."""
    spec = importlib.util.find_spec(package)
    if spec is None or any(part in ("..", "") or os.path.isabs(part) for part in parts):
        return None
    path = os.path.join(_directory(spec), *parts)
    if os.path.isdir(path):
        return sorted(os.listdir(path))
    try:
        return bytes(spec.loader.get_data(path))  # type: ignore[union-attr]
    except (OSError, AttributeError):
        return None


def _directory(spec: importlib.machinery.ModuleSpec) -> str:
    return next(iter(spec.submodule_search_locations or ()), "")


# What runs at the side that imports.


def _accept(names: list[str], main: str | None) -> None:
    connection = get_connection()
    if not connection.options.accept_exported_modules:
        raise OperationError(
            f"the other side does not take modules ({', '.join([*names, *(['__main__'] if main else [])])}): it must "
            "be started with Options(accept_exported_modules=True)"
        )
    finder = next((one for one in sys.meta_path if isinstance(one, _Finder) and one.serves(connection)), None)
    if finder is None:
        finder = _Finder(connection)
        sys.meta_path.insert(0, finder)
    finder.names.update(names)
    if main is not None:
        finder.names.add(main)
        connection.values.main = lambda: importlib.import_module(main)


class _Finder:
    """Finds the modules that one peer exports.

    Attributes:
        names: of top-level modules.
    """

    def __init__(self, connection: Connection) -> None:
        self.names: set[str] = set()
        self._connection = weakref.ref(connection)

    def serves(self, connection: Connection) -> bool:
        return self._connection() is connection

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self.names:
            return None
        connection = self._connection()
        if connection is None or not connection.is_connected():
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            return None
        try:
            source = connection.call(_fetch, name)
        except DisconnectError as error:
            raise ImportError(f"{name}: the connection was lost to the side that exports it", name=name) from error
        except OperationError as error:
            raise ImportError(f"{name}: {error}", name=name) from error
        return None if source is None else _spec(name, source, connection)


def _spec(name: str, source: _Source, connection: Connection) -> importlib.machinery.ModuleSpec:
    file = SHOWN + source.file
    loader: Any = _Loader(name, source, file, connection)
    spec = importlib.machinery.ModuleSpec(name, loader, origin=file, is_package=source.is_package)
    spec.has_location = True
    if source.is_package:
        assert spec.submodule_search_locations is not None
        spec.submodule_search_locations.append(os.path.dirname(file))
    return spec


class _Loader:
    """Loads one module from its source. Tracebacks show its lines: ``linecache`` asks ``get_source``."""

    def __init__(self, name: str, source: _Source, file: str, connection: Connection) -> None:
        self._text = source.text
        self._package = name if source.is_package else name.rpartition(".")[0]
        self._is_package = source.is_package
        self._file = file
        self._connection = connection

    def create_module(self, spec: Any) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(module.__name__), vars(module))

    def get_source(self, name: str) -> str:
        return self._text

    def get_code(self, name: str) -> Any:
        return compile(self._text, self._file, "exec", dont_inherit=True)

    def is_package(self, name: str) -> bool:
        return self._is_package

    def get_filename(self, name: str) -> str:
        return self._file

    def get_data(self, path: str) -> bytes:
        """A file beside the module, as ``pkgutil.get_data`` asks for it."""
        here = os.path.dirname(self._file)
        parts = tuple(os.path.relpath(path, here).replace("\\", "/").split("/"))
        return self._files(self._package).joinpath(*parts).read_bytes()

    def get_resource_reader(self, name: str) -> _Reader | None:
        return _Reader(self._files(name)) if self.is_package(name) else None

    def _files(self, package: str) -> _Resource:
        return _Resource(self._connection, package, ())


class _Resource:
    """A file or directory of an exported package; has what ``importlib.resources`` calls a Traversable."""

    def __init__(self, connection: Connection, package: str, parts: tuple[str, ...]) -> None:
        self._connection = connection
        self._package = package
        self._parts = parts

    @property
    def name(self) -> str:
        return self._parts[-1] if self._parts else self._package.rpartition(".")[2]

    def _content(self) -> bytes | list[str] | None:
        content: bytes | list[str] | None = self._connection.call(_resource, self._package, self._parts)
        return content

    def is_dir(self) -> bool:
        return isinstance(self._content(), list)

    def is_file(self) -> bool:
        return isinstance(self._content(), bytes)

    def iterdir(self) -> Iterator[_Resource]:
        content = self._content()
        if not isinstance(content, list):
            raise NotADirectoryError(str(self))
        return (self.joinpath(name) for name in content)

    def read_bytes(self) -> bytes:
        content = self._content()
        if not isinstance(content, bytes):
            raise FileNotFoundError(f"{self} is not a file of the exported package {self._package}")
        return content

    def read_text(self, encoding: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8")

    def joinpath(self, *parts: str) -> _Resource:
        more = [piece for part in parts for piece in str(part).split("/") if piece]
        return _Resource(self._connection, self._package, (*self._parts, *more))

    __truediv__ = joinpath

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        stream = io.BytesIO(self.read_bytes())
        return stream if "b" in mode else io.TextIOWrapper(stream, *args, **{"encoding": "utf-8", **kwargs})

    def __str__(self) -> str:
        return "/".join([SHOWN + self._package, *self._parts])


class _Reader:
    """What ``importlib.resources`` asks, old functions and new."""

    def __init__(self, root: _Resource) -> None:
        self._root = root

    def files(self) -> _Resource:
        return self._root

    def open_resource(self, name: str) -> BinaryIO:
        return io.BytesIO(self._root.joinpath(name).read_bytes())

    def resource_path(self, name: str) -> str:
        raise FileNotFoundError(f"{self._root.joinpath(name)} has no path on this side; read it, or as_file() it")

    def is_resource(self, name: str) -> bool:
        return self._root.joinpath(name).is_file()

    def contents(self) -> Iterator[str]:
        return (child.name for child in self._root.iterdir())
