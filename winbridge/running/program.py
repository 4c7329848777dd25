"""Running a program's main module as ``python`` does: sys.argv, sys.path, ``__main__``, exit status, tracebacks."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from winbridge.running.imports import without_imports

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it: 128 + SIGINT."""

# Has no public name, and is what the interpreter itself runs for -m, folders and zip files.
_run_module: Callable[[str, bool], object] = runpy._run_module_as_main  # type: ignore[attr-defined]


def run_script(path: str, arguments: Sequence[str]) -> None:
    """Run a file, or a folder or zip file with a ``__main__.py``; ``-`` is the standard input.

    Raises:
        OSError: the file cannot be read.
        SystemExit: the program asked for it, or it failed.
    """
    if path == "-":
        source = sys.stdin.buffer.read()
        _start(["-", *arguments], "", lambda main: exec(compile(source, "<stdin>", "exec"), vars(main)))
    elif pkgutil.get_importer(path) is not None:
        _start([path, *arguments], path, lambda main: _run_module("__main__", False))
    else:
        with io.open_code(os.path.abspath(path)) as file:
            content = file.read()
        folder, file_name = os.path.dirname(os.path.realpath(path)), os.path.abspath(path)
        _start([path, *arguments], folder, lambda main: _run_file(main, file_name, content))


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Run a module or a package's ``__main__``, as ``python -m``.

    Raises:
        SystemExit: the program asked for it, it failed, or there is no such module.
    """
    _start(["-m", *arguments], os.getcwd(), lambda main: _run_module(name, True))


def run_code(code: str, arguments: Sequence[str]) -> None:
    """Run a program that is given as text, as ``python -c``.

    Raises:
        SystemExit: the program asked for it, or it failed.
    """
    _start(["-c", *arguments], "", lambda main: exec(compile(code, "<string>", "exec"), vars(main)))


def _run_file(main: ModuleType, path: str, content: bytes) -> None:
    vars(main).update(__file__=path, __cached__=None, __loader__=SourceFileLoader("__main__", path))
    compiled: CodeType | None = pkgutil.read_code(io.BytesIO(content))
    exec(compiled or compile(content, path, "exec"), vars(main))


def _start(argv: list[str], folder: str, execute: Callable[[ModuleType], object]) -> None:
    main = ModuleType("__main__")
    vars(main).update(__builtins__=builtins, __annotations__={})
    sys.modules["__main__"] = main
    sys.argv[:] = argv
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder
    try:
        execute(main)
    except SystemExit:
        raise
    except BaseException as error:
        _show(error)
        sys.exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)


def _show(error: BaseException) -> None:
    """Tell of an error that nobody caught, by the hook that the program may have set."""
    _trim(error)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    sys.excepthook(type(error), error, error.__traceback__)


def _trim(error: BaseException | None, seen: Any = ()) -> None:
    """Take our frames, and those of runpy, from the traceback of an error and of those that led to it."""
    if error is None or error in seen:
        return
    error.__traceback__ = without_imports(_program_part(error.__traceback__))
    for cause in (error.__cause__, error.__context__):
        _trim(cause, (*seen, error))


def _program_part(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and _is_ours(traceback.tb_frame.f_globals.get("__name__")):
        traceback = traceback.tb_next
    return traceback


def _is_ours(module: object) -> bool:
    return module in (__name__, "runpy")
