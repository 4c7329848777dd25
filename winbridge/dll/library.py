"""Dll: a loaded library, found again in whatever session a thread uses."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from winbridge.core.errors import FunctionNotFoundError, PrototypeError, SessionClosedError
from winbridge.core.modules import WindowsError
from winbridge.core.session import SessionEngine
from winbridge.dll import diagnosis
from winbridge.dll.declared import declared
from winbridge.dll.function import DllFunction
from winbridge.dll.location import Location

if TYPE_CHECKING:
    from winbridge.dll.cdef import Declarations, FunctionDeclaration


class Dll:
    """A DLL: attributes and items are its functions.

    ``dll.Name`` gives the same ``DllFunction`` each time; ``dll["Name"]`` and ``dll[ordinal]`` a
    new one, so that it can have a prototype of its own. A ``Dll`` is not tied to a session: each
    use loads it, once, in the calling thread's current session. It pickles to its name.
    Made by ``load_dll``.

    Args:
        location: where the file is.
        kind: the type of session that it belongs to, or the one session it is tied to.
        convention: ``stdcall`` or ``cdecl`` (they differ on 32 bit only).
        use_last_error: keep the last error in a private copy: see ``get_last_error``.
        use_errno: the same for errno: see ``get_errno``.
    """

    def __init__(
        self,
        location: Location,
        kind: type[SessionEngine] | SessionEngine,
        convention: str = "stdcall",
        use_last_error: bool = False,
        use_errno: bool = False,
    ) -> None:
        self.location = location
        self.convention = convention
        self.use_last_error = use_last_error
        self.use_errno = use_errno
        self._kind = kind
        self._declared: dict[str, FunctionDeclaration] = {}
        self._texts: list[str] = []
        self._handles: weakref.WeakKeyDictionary[SessionEngine, int] = weakref.WeakKeyDictionary()

    @property
    def name(self) -> str:
        """The name it was loaded by."""
        return self.location.given

    @property
    def tied(self) -> bool:
        """Whether it belongs to one session for good."""
        return isinstance(self._kind, SessionEngine)

    def session(self) -> SessionEngine:
        """The session that a use in this thread goes to; opened where the type allows it.

        Raises:
            NoSessionError, SessionClosedError, AgentStartError.
        """
        if isinstance(self._kind, SessionEngine):
            if self._kind.closed:
                raise SessionClosedError(f"{self.name} is tied to {self._kind.name}, which is closed: load it again")
            return self._kind
        return self._kind.current()

    def handle(self, session: SessionEngine | None = None) -> int:
        """The module handle in a session (this thread's current one), loading it there when needed.

        Raises:
            DllNotFoundError: it cannot be loaded; the message says why.
        """
        session = session or self.session()
        handle = self._handles.get(session)
        if handle is None:
            handle = self._handles[session] = diagnosis.load(session, self.location)
        return handle

    def resolve(self, session: SessionEngine, name: str | int) -> int:
        """The address of a function in a session.

        Raises:
            FunctionNotFoundError: there is none; the message has the nearest names.
        """
        try:
            return session.modules.resolve(self.handle(session), name)
        except WindowsError as error:
            raise FunctionNotFoundError(diagnosis.missing_function(session, self, name)) from error

    def exports(self) -> list[str]:
        """The names that the DLL exports, in alphabetical order."""
        return diagnosis.export_names(self.session(), self)

    def cdef(self, text: str) -> Declarations:
        """Take the prototypes of functions from C declarations, as a vendor's header has them.

        Functions that are named in the text have their ``argtypes`` and ``restype`` from then on, in types of
        ``winbridge.ctypes``, and can be called with parameter names. See ``docs/cdef.rst`` for what is understood.

        Args:
            text: declarations of functions, types, enumerations and constants; the types of ``windows.h`` are known.

        Returns:
            what the text declares: ``functions``, ``types``, ``constants`` and ``variables`` by name.

        Raises:
            PrototypeError: a declaration is not understood; the message names the line. Nothing is changed then.
        """
        found = declared(text, self.session(), self.convention)
        self._texts.append(text)
        self._declared.update(found.functions)
        for name in found.functions:
            function = self.__dict__.get(name)
            if function is not None:
                function.declare(found.functions[name])
        return found

    def __getattr__(self, name: str) -> DllFunction:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        function = self[name]
        self.__dict__[name] = function
        return function

    def __getitem__(self, name: str | bytes | int) -> DllFunction:
        if not isinstance(name, str | bytes | int):
            raise TypeError("function name must be string, bytes object or integer")
        function = DllFunction(self, name.decode() if isinstance(name, bytes) else name)
        function._bind()  # a missing function is an error here, as in ctypes
        if function.name in self._declared:
            function.declare(self._declared[function.name])
        return function

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.exports()})

    def __reduce__(self) -> tuple[Any, ...]:
        if self.tied:
            raise PrototypeError(f"{self!r} is tied to one session and cannot be pickled: get it from load_dll()")
        options = self.location, self._kind, self.convention, self.use_last_error, self.use_errno
        return _restored, (options, self._texts)

    def __repr__(self) -> str:
        kind = self._kind.name if isinstance(self._kind, SessionEngine) else self._kind.__name__
        return f"<Dll {self.name!r} for {kind}>"


def _restored(options: tuple[Any, ...], texts: list[str]) -> Dll:
    dll = Dll(*options)
    for text in texts:
        dll.cdef(text)
    return dll
