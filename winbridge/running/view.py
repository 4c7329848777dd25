"""A module in which some names are answered otherwise."""

from __future__ import annotations

from types import ModuleType
from typing import Any


class View(ModuleType):
    """Stands for a module: gives some names of its own; all else, also setting and deleting, goes to the module.

    Args:
        module: the one that it stands for.
        **names: what it answers itself.
    """

    def __init__(self, module: ModuleType, **names: Any) -> None:
        super().__init__(module.__name__, module.__doc__)
        public = getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]
        own = {"__spec__": module.__spec__, "__loader__": module.__loader__, "__all__": sorted({*public, *names})}
        self.__dict__.update(own | names, _module=module, _names=frozenset(names))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__["_names"]:
            self.__dict__[name] = value
        else:
            setattr(self.__dict__["_module"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_module"], name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__["_module"]), *self.__dict__["_names"]})
