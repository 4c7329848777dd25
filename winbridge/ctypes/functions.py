"""Function pointers: functions of DLLs, methods of COM objects, callbacks."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ctypes import ArgumentError
from typing import Any

from winbridge.core import wire
from winbridge.core.impl import native, step
from winbridge.core.wire import Flag, Op, Record
from winbridge.ctypes import codes, host, parameters
from winbridge.ctypes.callback import Callback
from winbridge.ctypes.conversion import FORMS, Word, packed, word
from winbridge.ctypes.data import CData, DataType, new
from winbridge.ctypes.pointers import get_word, set_word
from winbridge.ctypes.results import result
from winbridge.ctypes.shape import Shape
from winbridge.dll import lasterror, memsync
from winbridge.dll.stack import LOADED_AS_CDECL, imbalance

FUNCFLAG_STDCALL = 0
FUNCFLAG_CDECL = 1
FUNCFLAG_HRESULT = 2
FUNCFLAG_PYTHONAPI = 4
FUNCFLAG_USE_ERRNO = 8
FUNCFLAG_USE_LASTERROR = 16

MAX_ARGUMENTS = 1024
REMEDY = f"use cdll, CDLL, or {LOADED_AS_CDECL}"
NOTHING = 1
"""What the extension takes for the field of a result that is None; see native/extension/calls.c."""

SIZE_AT = 8
"""Where a request tells how many bytes of words it has."""

_NUMBERS = "bBhHiIlLqQfd"
_UNSET = object()


class FunctionType(DataType, host.StructureType):  # type: ignore[misc]
    """Makes types of function pointers from ``_flags_``, ``_argtypes_`` and ``_restype_``."""

    def __new__(mcls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        return host.make(host.StructureType, mcls, name, bases, space)

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, memsync.checked(value) if name == "memsync" else value)

    def __init__(cls: Any, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> None:
        type.__init__(cls, name, bases, space)
        if FunctionData in bases:
            return
        if not isinstance(getattr(cls, "_flags_", None), int):
            raise TypeError("class must define _flags_ which must be an integer")
        cls._declared_ = check_argtypes(getattr(cls, "_argtypes_", None), "_argtypes_")
        check_restype(getattr(cls, "_restype_", None), "_restype_")
        size = cls._family_.pointer_size
        if cls.__base__._typeinfo_ is None:
            host.give_size(cls, size)
        cls._typeinfo_ = Shape(size, size, host.structure_at, length=1, pointers=True)


def check_argtypes(value: Any, name: str = "argtypes") -> tuple[Any, ...] | None:
    """The types as a tuple.

    Raises:
        TypeError: not a sequence of types that have ``from_param``.
    """
    if value is None:
        return None
    if not isinstance(value, Sequence):
        raise TypeError("_argtypes_ must be a sequence of types")
    if len(value) > MAX_ARGUMENTS:
        raise ArgumentError(f"_argtypes_ has too many arguments ({len(value)}), maximum is {MAX_ARGUMENTS}")
    for position, kind in enumerate(value, 1):
        if not hasattr(kind, "from_param"):
            raise TypeError(f"item {position} in _argtypes_ has no from_param method")
    return tuple(value)


def check_restype(value: Any, name: str = "restype") -> None:
    """Refuse what cannot be a result type."""
    if value is not None and getattr(value, "_typeinfo_", None) is None and not callable(value):
        raise TypeError(f"{name} must be a type, a callable, or None")


class FunctionData(CData):
    """The base of function pointers."""

    __slots__ = ()

    _flags_: int
    _argtypes_: Any = None
    _restype_: Any = None
    _declared_: tuple[Any, ...] | None = None
    _own_argtypes: Any = _UNSET
    _own_restype: Any = _UNSET
    _errcheck: Any = None
    _paramflags: Any = None
    _called: str | int | None = None  # what messages call it; __name__ is only what a library sets, as in ctypes
    _origin: Any = None  # (library, name) of a function of a DLL
    _callback: Callback | None = None
    _method: int | None = None  # index into a COM object's table
    _iid: Any = None
    _plan: Any = None
    _directives: Any = ()

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        obj = new(cls)
        if not arguments:
            return obj
        first = arguments[0]
        if isinstance(first, tuple):
            obj._set_export(first, *arguments[1:])
        elif isinstance(first, int) and len(arguments) > 1:
            obj._set_method(*arguments)
        elif isinstance(first, int):
            set_word(obj, first)
        elif callable(first):
            obj._set_callable(first)
        else:
            raise TypeError("argument must be callable or integer function address")
        return obj

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Everything is done in ``__new__``, as in ctypes."""

    def _set_export(self, place: tuple[Any, Any], flags: Any = None) -> None:
        if len(place) != 2:
            raise TypeError("the first argument must be a (name or ordinal, DLL) pair")
        name, library = place
        if isinstance(name, bytes):
            name = name.decode()
        if not isinstance(name, str | int):
            raise TypeError("function name must be string, bytes object or integer")
        handle = library._handle
        if not isinstance(handle, int):
            raise TypeError("the _handle attribute of the second argument must be an integer")
        self._paramflags = parameters.checked(type(self), flags, self._declared_)
        exported, address = self._family_.export(library, name, not self._flags_ & FUNCFLAG_CDECL)
        self.__dict__["_origin"] = (library, exported)
        self._called = name
        set_word(self, address)
        self._kept = {"0": library}

    def _set_method(self, index: int, name: str, flags: Any = None, iid: Any = None) -> None:
        self._paramflags = parameters.checked(type(self), flags, self._declared_)
        self._method = index
        self._called = name
        self._iid = iid

    def _set_callable(self, function: Any) -> None:
        if self._declared_ is None:
            raise TypeError("cannot construct instance of this class: no argtypes")
        self._callback = Callback(self._family_, function, self._declared_, self._restype_, self._flags_)
        set_word(self, self._callback.address(self._family_.session()))
        self._kept = {"0": self._callback}

    # Prototype.

    @property
    def argtypes(self) -> Any:
        """specify the argument types"""
        return self._declared_ if self._own_argtypes is _UNSET else self._own_argtypes

    @argtypes.setter
    def argtypes(self, value: Any) -> None:
        check_argtypes(value)
        self._own_argtypes, self._plan = value, None

    @argtypes.deleter
    def argtypes(self) -> None:
        self._own_argtypes, self._plan = _UNSET, None

    @property
    def restype(self) -> Any:
        """specify the result type"""
        return self._restype_ if self._own_restype is _UNSET else self._own_restype

    @restype.setter
    def restype(self, value: Any) -> None:
        check_restype(value)
        self._own_restype, self._plan = value, None

    @restype.deleter
    def restype(self) -> None:
        self._own_restype, self._plan = _UNSET, None

    @property
    def memsync(self) -> Any:
        """directives as the older ctypes bridge needed them; checked, and not needed (see ``dll.memsync``)"""
        return self._directives

    @memsync.setter
    def memsync(self, value: Any) -> None:
        self._directives = memsync.checked(value)

    @property
    def errcheck(self) -> Any:
        """a function to check for errors"""
        return self._errcheck

    @errcheck.setter
    def errcheck(self, value: Any) -> None:
        if value is not None and not callable(value):
            raise TypeError("the errcheck attribute must be callable")
        self._errcheck, self._plan = value, None

    @errcheck.deleter
    def errcheck(self) -> None:
        self._errcheck, self._plan = None, None

    # Calling.

    def _live_address(self) -> int:
        """Where the function is in the session of this thread: that of a DLL or a callback may have changed."""
        if self._origin is not None:
            library, name = self._origin
            return self._family_.resolve(library, name, self._family_.session())
        if self._callback is not None:
            return self._callback.address(self._family_.session())
        return get_word(self)

    @step("ctypes_call")
    def __call__(self, *arguments: Any, **named: Any) -> Any:
        plan = self._plan or self._compile()
        if plan.direct and not named and not self._family_.twins:
            session = self._family_.session()
            try:
                message = plan.head(session, self) + plan.pack(*arguments)
            except (struct.error, OverflowError, TypeError):
                pass  # another number of arguments, or one that must be converted
            else:
                record = session.exchange(message, plan.name)
                if record[5] == plan.popped:
                    return record[plan.result.field]
                raise plan.imbalance(record)
        this, inside = self._this(arguments)
        if self._paramflags is None and self._errcheck is None:
            plan.check_count(inside)
            return plan.call(self, this, inside)
        bound = parameters.bind(self._paramflags, plan.argtypes, inside, named, len(arguments) - len(inside))
        plan.check_count(bound.arguments)
        return self._checked(plan.call(self, this, bound.arguments), bound)

    def _compile(self) -> Plan:
        self._plan = plan = Plan(self)
        return plan

    def _checked(self, value: Any, bound: parameters.Bound) -> Any:
        """The result after ``errcheck`` and out parameters."""
        given = bound.arguments
        if self._errcheck is not None:
            checked = self._errcheck(value, self, given)
            if checked is not given:
                return checked
        return bound.results(value)

    def _this(self, arguments: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """A COM method's object, and the other arguments."""
        if self._method is None:
            return None, arguments
        if not arguments:
            raise ValueError("native com method call without 'this' parameter")
        this = arguments[0]
        if not (isinstance(this, self._family_._Pointer) or getattr(type(this), "_typeinfo_", None) is not None):
            raise TypeError("Expected a COM this pointer as first argument")
        if not get_word(this):
            raise ValueError("NULL COM pointer access")
        return this, arguments[1:]

    def map(self, arguments: Iterable[Any], *more: Iterable[Any], chunk: int | None = None) -> list[Any]:
        """Call it for each item; see ``DllFunction.map``."""
        from winbridge.ctypes.whole import Whole
        from winbridge.dll.many.mapped import items_of, mapped

        return mapped(Whole(self), items_of(arguments, more), chunk)

    def vectorize(self, *arrays: Any, out: Any = None, dtype: Any = None) -> Any:
        """Call it for each item of numpy arrays; see ``DllFunction.vectorize``."""
        from winbridge.ctypes.whole import Whole
        from winbridge.dll.many import vectorized

        return vectorized(Whole(self), arrays, out, dtype)

    def __bool__(self) -> bool:
        return self._method is not None or get_word(self) != 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {hex(id(self))}>"


class Plan:
    """A function's prototype, compiled: what all its calls have in common."""

    def __init__(self, function: FunctionData) -> None:
        family = function._family_
        self.family = family
        self.argtypes = check_argtypes(function.argtypes)
        self.restype = function.restype
        self.result = result(self.restype, family)
        self.check = getattr(self.restype, "_check_retval_", None)
        called = function._called
        self.name = type(function).__name__ if called is None else called if isinstance(called, str) else f"#{called}"
        flags = function._flags_
        self.function_flags = flags
        self.cdecl = bool(flags & FUNCFLAG_CDECL)
        self.swaps_last_error = bool(flags & FUNCFLAG_USE_LASTERROR)
        self.swaps_errno = bool(flags & FUNCFLAG_USE_ERRNO)
        self.flags = int(self.result.kind | _swap(flags))
        self.method = function._method
        self.iid = function._iid
        self.pack, self.size = self._packer()
        self.popped = 0 if self.cdecl or family.pointer_size == 8 else self.size
        self.direct = bool(
            self.pack is not None
            and self.result.field
            and self.check is None
            and not flags & (FUNCFLAG_USE_ERRNO | FUNCFLAG_USE_LASTERROR | FUNCFLAG_HRESULT)
            and function._errcheck is None
            and function._paramflags is None
            and function._method is None
        )
        self._head: Any = (None, b"")
        self.sessions = family.sessions_here
        self.native = self._native(function) if native is not None else None

    def _native(self, function: FunctionData) -> Any:
        """The extension's part, where it can make the calls; ``head`` tells it the session."""
        swaps = self.swaps_last_error or self.swaps_errno
        more = function._errcheck, function._paramflags, self.method, self.result.memory
        if swaps or any(each is not None for each in more):
            return None
        family = self.family
        cleans = not self.cdecl and family.pointer_size == 4
        plain = self.check is None and not self.function_flags & FUNCFLAG_HRESULT
        kinds = self.argtypes or ()
        letters = "".join([_letter(kind, family) for kind in kinds])
        field = NOTHING if self.restype is None else self.result.field
        return native.Call(
            kinds,
            letters,
            self.cdecl or self.argtypes is None,
            family.pointer_size,
            cleans,
            field if plain else 0,
            family.twins.contents,
        )

    def _packer(self) -> tuple[Any, int]:
        """Packs a call's arguments at once, where all are plain numbers."""
        simple = self.family._SimpleCData
        if self.argtypes is None or not all(_is_plain_number(kind, simple) for kind in self.argtypes):
            return None, 0
        width = self.family.pointer_size
        letters = [codes.host_code(kind._typeinfo_.code, width) for kind in self.argtypes]
        if width == 4 and not {"b", "h"}.isdisjoint(letters):  # extended: nobody would see that they are too large
            return None, 0
        form = struct.Struct("<" + "".join(FORMS[width].get(letter, letter) for letter in letters))
        return form.pack, form.size

    def head(self, session: Any, function: FunctionData) -> bytes:
        """The request before the words, for this session."""
        known, head = self._head
        if known is not session or function._origin is None:
            fields = Op.CALL, self.flags, self.size, 0, 0, 0, function._live_address(), 0, 0, 0
            head = wire.REQUEST.pack(*fields)
            self._head = session, head
            if self.native is not None and function._origin is not None:
                self.native.bind(head, native.Binding(session, fields[6]))
        return head  # type: ignore[no-any-return]

    def check_count(self, arguments: tuple[Any, ...]) -> None:
        """Refuse a wrong number of arguments, as ctypes does: cdecl functions may be given more."""
        given = len(arguments)
        if given > MAX_ARGUMENTS:
            raise self.family.ArgumentError(f"too many arguments ({given}), maximum is {MAX_ARGUMENTS}")
        if self.argtypes is None:
            return
        needed = len(self.argtypes)
        if given < needed if self.cdecl else given != needed:
            least = "at least " if self.cdecl else ""
            raise TypeError(f"this function takes {least}{needed} argument{'s' * (needed != 1)} ({given} given)")

    def call(self, function: FunctionData, this: Any, arguments: tuple[Any, ...], session: Any = None) -> Any:
        """Convert, call (in the family's session unless another is given), and take the result."""
        family = self.family
        words = [self._word(position, argument) for position, argument in enumerate(arguments, 1)]
        if this is not None:
            words.insert(0, Word(family.word_code, get_word(this), this))
        memory = new(self.result.memory) if self.result.memory is not None else None
        if memory is not None:
            words.insert(1 if this is not None else 0, Word(family.word_code, memory._address_, memory))
        session = session or family.session()
        address = self._method_address(this) if this is not None else function._live_address()
        message, size = self._message(address, packed(words, family.pointer_size))
        if family.twins:
            with family.twins.around([each.keep for each in words]):
                record = session.exchange(message, self.name)
        else:
            record = session.exchange(message, self.name)  # from here: recursion through callbacks counts every frame
            family.twins.pull()  # those that a callback made
        self._settle(record, size)
        return self._value(record, memory, this)

    def sent(self, function: FunctionData, words: bytes, given: list[Any]) -> Record:
        """For the extension: make a call whose words are packed, and which it cannot make itself."""
        session = self.family.session()
        message = self.head(session, function)
        message = message[:SIZE_AT] + len(words).to_bytes(4, "little") + message[SIZE_AT + 4 :] + words
        with self.family.twins.around(given):
            return session.exchange(message, self.name)

    def pulled(self) -> None:
        """For the extension: see what a DLL changed in twins that a callback made."""
        self.family.twins.pull()

    def unbalanced(self, record: Record, size: int) -> ValueError:
        """For the extension: what to raise when the callee took another number of bytes off the stack."""
        return imbalance(self.name, record[5], size if self.family.pointer_size == 4 and not self.cdecl else 0, REMEDY)

    def taken(self, record: Record) -> Any:
        """For the extension: the value of a record."""
        return self._value(record, None, None)

    def _word(self, position: int, argument: Any) -> Word:
        kinds = self.argtypes or ()
        try:
            if position <= len(kinds):
                argument = kinds[position - 1].from_param(argument)
            return word(argument, position, self.family)
        except Exception as error:
            ours = isinstance(error, self.family.ArgumentError)
            cause = str(error) if ours else f"{type(error).__name__}: {error}"
            raise self.family.ArgumentError(f"argument {position}: {cause}") from None

    def _method_address(self, this: Any) -> int:
        assert self.method is not None
        memory, size = self.family.memory, self.family.pointer_size
        table = memory.word(get_word(this))
        if not table:
            raise ValueError("COM method call without VTable")
        return memory.word(table + self.method * size)

    def _message(self, address: int, words: bytes) -> tuple[bytes, int]:
        """The request, and how many bytes of words it has."""
        errors = lasterror.private() if self.swaps_last_error or self.swaps_errno else (0, 0)
        head = wire.REQUEST.pack(Op.CALL, self.flags, len(words), *errors, 0, address, 0, 0, 0)
        return head + words, len(words)

    def _settle(self, record: Any, size: int) -> None:
        """Keep the errors that a call left, and see that it took its words off the stack."""
        if self.swaps_last_error:
            lasterror.keep_last_error(record[1])
        if self.swaps_errno:
            lasterror.set_errno(record[4])
        popped = 0 if self.cdecl or self.family.pointer_size == 8 else size
        if record[5] != popped:
            raise imbalance(self.name, record[5], popped, REMEDY)

    def imbalance(self, record: Any) -> ValueError:
        """What to raise when the callee took another number of bytes off the stack than it was given."""
        return imbalance(self.name, record[5], self.popped, REMEDY)

    def _value(self, record: Any, memory: Any, this: Any) -> Any:
        code = record[2] & 0xFFFFFFFF
        if this is not None and self.iid is not None:
            if code & 0x80000000:
                raise self.family.errors.com_error(code, this, self.iid)
            return code  # whatever the prototype says
        if self.function_flags & FUNCFLAG_HRESULT:
            if code & 0x80000000:
                raise self.family.errors.from_hresult(code)
            return record[2]
        value = self.result.decode(record, memory)
        return value if self.check is None else self.check(value)


def _is_plain_number(kind: Any, simple: Any) -> bool:
    """Whether a number can be packed for a parameter without asking its type."""
    if not isinstance(kind, DataType) or simple not in kind.__bases__:  # type: ignore[attr-defined]
        return False
    own = vars(kind)
    return kind._typeinfo_.code in _NUMBERS and "from_param" not in own and "_swapped_" not in own  # type: ignore[attr-defined]


def _letter(kind: Any, family: Any) -> str:
    """How the extension passes arguments for a parameter; see native/extension/calls.c."""
    if _is_plain_number(kind, family._SimpleCData):
        return codes.host_code(kind._typeinfo_.code, family.pointer_size)
    if not isinstance(kind, DataType) or any("from_param" in vars(each) for each in kind.__mro__):  # type: ignore[attr-defined]
        return "o"
    if kind._points_:
        return "p"
    return "v" if kind is family.simple["c_void_p"] else "o"


def _swap(flags: int) -> Flag:
    last_error = Flag.SWAP_LAST_ERROR if flags & FUNCFLAG_USE_LASTERROR else Flag(0)
    return last_error | (Flag.SWAP_ERRNO if flags & FUNCFLAG_USE_ERRNO else Flag(0))
