"""Loaded modules (DLLs) of the Windows side, by handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from winbridge.core.ask import ask
from winbridge.core.wire import Op

if TYPE_CHECKING:
    from winbridge.core.session import SessionEngine

INVALID_NAME = 123
"""ERROR_INVALID_NAME."""

LONGEST_PATH = 32768
"""Characters: the most that Windows allows."""


class WindowsError(Exception):
    """A function of the agent failed; ``code`` is what GetLastError said. Callers translate it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Windows error {code}")
        self.code = code


class Modules:
    """Loads and resolves. Sources: LoadLibraryExW, GetProcAddress, GetModuleFileNameW (Microsoft Learn)."""

    def __init__(self, session: SessionEngine) -> None:
        self._session = session

    def load(self, name: str, flags: int = 0) -> int:
        """Load a DLL.

        Args:
            name: as LoadLibraryExW takes it.
            flags: of LoadLibraryExW.

        Returns:
            the module's handle.

        Raises:
            WindowsError: it could not be loaded.
        """
        self._check_name(name)
        data = (name + "\0").encode("utf-16-le", "surrogatepass")
        answer = ask(self._session, Op.LOAD, lambda text: [text, flags], data=data)
        return self._checked(answer.value, answer.last_error)

    def resolve(self, module: int, name: str | int) -> int:
        """The address of an exported function.

        Args:
            module: a handle.
            name: the function's name, or its ordinal.

        Raises:
            WindowsError: there is none.
        """
        if isinstance(name, int):
            answer = ask(self._session, Op.RESOLVE, lambda _: [module, name & 0xFFFF])
        else:
            self._check_name(name)
            data = name.encode(errors="surrogatepass") + b"\0"
            answer = ask(self._session, Op.RESOLVE, lambda text: [module, text], data=data)
        return self._checked(answer.value, answer.last_error)

    def path(self, module: int) -> str:
        """The Windows path of a module's file."""
        room = 2 * LONGEST_PATH
        answer = ask(self._session, Op.MODULE_PATH, lambda text: [module, text, LONGEST_PATH], room=room)
        self._checked(answer.value, answer.last_error)
        return answer.room[: 2 * answer.value].decode("utf-16-le", "surrogatepass")

    def free(self, module: int) -> None:
        """Unload a module, or count one use of it less."""
        answer = ask(self._session, Op.FREE, lambda _: [module])
        self._checked(answer.value, answer.last_error)

    @staticmethod
    def _check_name(name: str) -> None:
        """Windows would take what stands before a zero for the whole name."""
        if "\0" in name:
            raise WindowsError(INVALID_NAME)

    @staticmethod
    def _checked(value: int, code: int) -> int:
        if not value:
            raise WindowsError(code)
        return value
