"""Giving the program's modules the drop-in and the view of Windows, in this process and in its children."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType
from typing import Any

from winbridge.running.imports import Given

WINDOWS = "windows"
HOST = "host"

_active: list[tuple[str, str]] = []


def activate(arch: str | None, platform: str) -> None:
    """From now on the program's modules get the drop-in where they import ctypes; safe to repeat.

    Args:
        arch: ``win64`` or ``win32``; None leaves it to the configuration.
        platform: ``windows``, then they see Windows by sys, os, platform and struct as well; or ``host``.

    Raises:
        ConfigError: the configuration is bad.
    """
    if _active:
        return
    if arch:
        os.environ["WINBRIDGE_ARCH"] = arch  # the drop-in reads it when it is imported, children inherit it
    from winbridge import ctypes as drop_in  # only now
    from winbridge.running import children, imports, scope

    family: Any = drop_in._family
    _active.append((family.arch, platform))
    ctypes_modules = _stand_ins()
    program = ctypes_modules | _views(family, platform)
    program["importlib"] = _importlib(program)
    imports.replace(scope.Scope(program, ctypes_modules), sorted({name.partition(".")[0] for name in program}))
    children.carry(activate, family.arch, platform)


def _stand_ins() -> dict[str, ModuleType]:
    from winbridge.ctypes.install import stand_ins

    return stand_ins()


def _views(family: Any, platform: str) -> dict[str, ModuleType]:
    from winbridge.running import windows

    if platform == WINDOWS:
        return dict(windows.views(family, family.arch))
    return {"os": windows.with_dll_directories(family)}


def _importlib(given: Given) -> ModuleType:
    """importlib whose ``import_module`` gives what the import statement gives."""
    from winbridge.running.view import View

    def import_module(name: str, package: str | None = None) -> ModuleType:
        """Import a module, relative names from a package, and return it."""
        return given.get(name) or importlib.import_module(name, package)

    return View(importlib, import_module=import_module)
