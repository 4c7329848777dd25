"""DllFunction: the first step of a call's way down."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import TYPE_CHECKING, Any

from winbridge.core.errors import PrototypeError
from winbridge.core.impl import chosen, step
from winbridge.core.session import SessionEngine
from winbridge.core.singleton import registry
from winbridge.core.wire import Flag
from winbridge.dll import memsync
from winbridge.dll.binding import Binding
from winbridge.dll.conversion import Conversion, compiled
from winbridge.dll.own import OwnPlan
from winbridge.dll.plan import Plan, Prototype
from winbridge.dll.prototype import check_argtypes, check_errcheck, check_restype, portable, restored
from winbridge.dll.signature import Signature

if TYPE_CHECKING:
    from concurrent.futures import Future

    from winbridge.dll.cdef import FunctionDeclaration
    from winbridge.dll.library import Dll

_DEFAULT = object()


_Binding: type[Binding] = chosen(Binding)


class DllFunction:
    """A function of a DLL: call it like a Python function.

    It is not tied to a session: each call goes to the calling thread's current one. It pickles
    to its name and prototype. Got by ``dll.Name``, ``dll["Name"]`` or ``dll[ordinal]``.

    Args:
        dll: where it is.
        name: its name, or its ordinal.

    Attributes:
        argtypes: a sequence of ctypes types, or None: then each argument is passed by its own type.
        restype: a ctypes type, a callable that is given the int, or None; ``c_int`` at first.
        errcheck: called with (result, function, arguments) after each call; its value is the result.
    """

    def __init__(self, dll: Dll, name: str | int) -> None:
        self.dll = dll
        self.export = name
        self.__name__ = self.name = name if isinstance(name, str) else f"#{name}"
        self.signature: Signature | None = None
        self.convention = dll.convention
        self._declared = False
        self._memsync: list[dict[str, Any]] = []
        self._argtypes: tuple[Any, ...] | None = None
        self._restype: Any = _DEFAULT
        self._errcheck: Callable[..., Any] | None = None
        self._bindings: dict[SessionEngine, Binding] = {}
        self._here: dict[int, tuple[int, Binding]] = {}

    @step("dll_call")
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it.

        Raises:
            ctypes.ArgumentError, TypeError: the arguments do not fit.
            WindowsFault: the function crashed; the session goes on.
            AgentDiedError: the Windows process ended; the next use opens a fresh implicit session.
        """
        if named or self.signature is not None:
            arguments = self._bound(arguments, named)
        entry = self._here.get(get_ident())
        binding = entry[1] if entry is not None and entry[0] == registry.epoch else self._bind()
        plan: Any = binding.plans.get(tuple(map(type, arguments)))
        if plan is None:
            plan = self._compile(binding, arguments)
        if not plan.plain or plan.watched:
            value = plan.call(arguments)
        else:
            try:
                message = plan.head + plan.pack(*arguments)
            except (struct.error, OverflowError):  # a number that wraps, or does not fit
                value = plan.call(arguments)
            else:
                record = binding.session.exchange(message, self.name)
                if record[5] != plan.popped:
                    raise plan.imbalance(record)
                value = record[plan.field]
        return value if self._errcheck is None else self._checked(value, arguments)

    def _checked(self, value: Any, arguments: tuple[Any, ...]) -> Any:
        """As in ctypes, an ``errcheck`` that returns its arguments leaves the result as it is."""
        assert self._errcheck is not None
        checked = self._errcheck(value, self, arguments)
        return value if checked is arguments else checked

    def declare(self, declaration: FunctionDeclaration) -> None:
        """Take the prototype of a C declaration, and the names of its parameters."""
        self.argtypes = declaration.argtypes
        self.restype = declaration.restype
        self.convention = declaration.convention
        self._declared = True
        if declaration.names and None not in declaration.names and not declaration.variadic:
            self.signature = Signature.of_names([name for name in declaration.names if name])

    def _bound(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        if self.signature is None:
            raise TypeError(
                f"{self.name} has no parameter names: give arguments by position, or declare it with @function"
            )
        return self.signature.bind(arguments, named)

    def _bind(self) -> Binding:
        """Find the calling thread's session, and the function in it; valid until a session opens or closes."""
        session = self.dll.session()
        epoch = registry.epoch  # read now: the session may have been opened just before
        binding = self._binding(session)
        self._here[get_ident()] = epoch, binding
        return binding

    def _binding(self, session: SessionEngine) -> Binding:
        """This function in a session; what is known of closed ones is dropped."""
        binding = self._bindings.get(session)
        if binding is None:
            for closed in [known for known in list(self._bindings) if known.closed]:
                self._bindings.pop(closed, None)
            binding = self._bindings[session] = _Binding(session, self.dll.resolve(session, self.export))
        return binding

    def _compile(self, binding: Binding, arguments: tuple[Any, ...]) -> Plan | Conversion | OwnPlan:
        prototype = Prototype(self.name, self.convention, self._flags(), self._argtypes, self.restype)
        plan = compiled(prototype, binding.session, binding.address, arguments)
        binding.plans[tuple(map(type, arguments))] = plan
        return plan

    def _flags(self) -> Flag:
        swap_last_error = Flag.SWAP_LAST_ERROR if self.dll.use_last_error else Flag(0)
        return swap_last_error | (Flag.SWAP_ERRNO if self.dll.use_errno else Flag(0))

    def _forget_plans(self) -> None:
        for binding in list(self._bindings.values()):
            binding.forget()

    @property
    def argtypes(self) -> tuple[Any, ...] | None:
        return self._argtypes

    @argtypes.setter
    def argtypes(self, value: Any) -> None:
        self._argtypes = check_argtypes(value)
        self._forget_plans()

    @property
    def restype(self) -> Any:
        return ctypes.c_int if self._restype is _DEFAULT else self._restype

    @restype.setter
    def restype(self, value: Any) -> None:
        self._restype = check_restype(value)
        self._forget_plans()

    @property
    def errcheck(self) -> Callable[..., Any] | None:
        return self._errcheck

    @errcheck.setter
    def errcheck(self, value: Any) -> None:
        self._errcheck = check_errcheck(value)

    @property
    def memsync(self) -> list[dict[str, Any]]:
        """Directives as the older ctypes bridge needed them: checked, kept, and not needed (``dll.memsync``)."""
        return self._memsync

    @memsync.setter
    def memsync(self, value: Any) -> None:
        self._memsync = memsync.checked(value)

    @property
    def address(self) -> int:
        """Where it is in the Windows process of the current session."""
        return self._bind().address

    @property
    def _as_parameter_(self) -> Any:
        return ctypes.c_void_p(self.address)

    def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
        """Call it in another thread, in the session that is current here.

        Returns:
            a future of the result.
        """
        from winbridge.dll import background  # here, because concurrent.futures takes long to import

        return background.submit(self._bind().session, self, arguments, named)

    async def call_async(self, *arguments: Any, **named: Any) -> Any:
        """Call it without blocking the event loop."""
        import asyncio  # here, because it takes longer to import than a session to start

        return await asyncio.wrap_future(self.submit(*arguments, **named))

    def map(self, arguments: Iterable[Any], *more: Iterable[Any], chunk: int | None = None) -> list[Any]:
        """Call it for each item: a tuple is several arguments, anything else is one.

        Items whose arguments are all numbers go to the Windows side many at a time, which makes it several times as
        fast as a loop. Items with memory, an ``errcheck``, and results that are texts, structures or made by a callable
        need the calls one by one, and get them. The results are those of a loop.

        Args:
            arguments: the items; they are taken ahead of their calls.
            more: with these, each call gets one item of each, as in the built-in ``map``.
            chunk: how many items are taken ahead at most; None adapts it. With 1 it is a loop.

        Returns:
            the results, in order.

        Raises:
            Exception: what a call raised, with the attributes ``index`` (of the item) and ``results`` (those before).
                No call follows it.
        """
        from winbridge.dll.many.mapped import items_of, mapped  # here, because few programs need it

        items = items_of(arguments, more)
        if self.signature is not None:
            items = (self._bound(item, {}) for item in items)
        return mapped(self, items, chunk)

    def vectorize(self, *arrays: Any, out: Any = None, dtype: Any = None) -> Any:
        """Call it for each item of numpy arrays, which are broadcast to one shape; the Windows side loops.

        Arrays of ``winbridge.shared_array`` are read and written where they lie.

        Args:
            arrays: for each of ``argtypes``, whose types must be numbers or pointers (passed as addresses). Numbers and
                sequences are taken as arrays; what has another dtype is cast by numpy's rule ``same_kind``.
            out: an array for the results; its dtype may be another by the same rule.
            dtype: of the results, if it shall not be that of ``restype``.

        Returns:
            ``out``, or an array of results in its place (a number if there are no dimensions); None if ``restype`` is.

        Raises:
            TypeError: types that are no numbers, no ``argtypes``, or a cast that loses the kind of number.
            ValueError: the shapes do not fit.
            ImportError: numpy is missing.
            Exception: what a call raised, as of ``map``; ``out`` has the results before it too.
        """
        from winbridge.dll.many import vectorized

        if self.signature is not None:
            arrays = self._bound(arrays, {})
        return vectorized(self, arrays, out, dtype)

    def plan_for(self, arguments: tuple[Any, ...]) -> Plan | Conversion | OwnPlan:
        """How calls with arguments like these are made, in this thread's session."""
        binding = self._bind()
        return binding.plans.get(tuple(map(type, arguments))) or self._compile(binding, arguments)

    def place(self) -> tuple[SessionEngine, int, Prototype]:
        """This thread's session, the address in it, and the prototype."""
        binding = self._bind()
        prototype = Prototype(self.name, self.convention, self._flags(), self._argtypes, self.restype)
        return binding.session, binding.address, prototype

    def call_in(self, session: SessionEngine, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call it in a given session, whatever this thread's current one is."""
        if named or self.signature is not None:
            arguments = self._bound(arguments, named)
        binding = self._binding(session)
        plan = binding.plans.get(tuple(map(type, arguments))) or self._compile(binding, arguments)
        value = plan.call(arguments)
        return value if self._errcheck is None else self._checked(value, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.dll.tied:
            raise PrototypeError(f"{self!r} is tied to one session and cannot be pickled: get it from load_dll()")
        if self._declared:  # the DLL brings the declarations along, and types that have no name to import
            return _item, (self.dll, self.export)
        argtypes = None if self._argtypes is None else [portable(kind) for kind in self._argtypes]
        restype = None if self._restype is _DEFAULT else (portable(self._restype),)
        return _restore, (self.dll, self.export, argtypes, restype, self._errcheck, self.signature)

    def __repr__(self) -> str:
        return f"<DllFunction {self.name} of {self.dll.name}>"


def _item(dll: Dll, export: str | int) -> DllFunction:
    return dll[export]


def _restore(
    dll: Dll,
    name: str | int,
    argtypes: list[Any] | None,
    restype: tuple[Any] | None,
    errcheck: Callable[..., Any] | None,
    signature: Signature | None,
) -> DllFunction:
    function = DllFunction(dll, name)
    function._argtypes = None if argtypes is None else tuple(restored(kind) for kind in argtypes)
    if restype is not None:
        function._restype = restored(restype[0])
    function._errcheck = errcheck
    function.signature = signature
    return function
