"""From types to classes of a ctypes."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from winbridge.dll.cdef.model import (
    Array,
    Enum,
    Field,
    Function,
    Number,
    Pointer,
    Record,
    Refused,
    Type,
    Void,
    extent,
    record_extent,
)

_shared: dict[int, tuple[Any, dict[Record, Any]]] = {}
"""The structures of windows.h for each namespace: the same classes for every text that mentions them."""


class Builder:
    """Makes classes, each type's once.

    Args:
        types: the namespace with the API of ctypes.
        pointer_size: 8 or 4.
    """

    def __init__(self, types: Any, pointer_size: int) -> None:
        self.types = types
        self.pointer_size = pointer_size
        self.own: dict[Record, Any] = {}
        self.shared = _shared.setdefault(id(types), (types, {}))[1]
        self.waiting: list[Record] = []
        self.begun: set[Record] = set()
        self.enumerations: dict[Enum, Any] = {}

    def finished(self, kind: Type) -> Any:
        """The class of a type, and everything that it points to, complete."""
        made = self.of(kind)
        while self.waiting:
            self._complete(self.waiting.pop())
        return made

    def of(self, kind: Type) -> Any:
        """The class of a type; structures may be without fields until ``finished``."""
        if isinstance(kind, Void):
            return None
        if isinstance(kind, Number):
            return self._number(kind)
        if isinstance(kind, Pointer):
            return self._pointer(kind.target)
        if isinstance(kind, Array):
            return self._whole(kind.item) * (kind.length or 0)
        if isinstance(kind, Function):
            return self._function(kind)
        return self.types.c_int if isinstance(kind, Enum) else self._record(kind)

    def result(self, kind: Type) -> Any:
        """The class for a function's result: writable characters stay where they are, an HRESULT is checked."""
        if isinstance(kind, Pointer) and not kind.const and _characters(kind.target):
            return self.types.POINTER(self.of(kind.target))
        if isinstance(kind, Number) and kind.windows == "HRESULT":
            return getattr(self.types, "HRESULT", self.types.c_long)
        return self.value(kind)

    def value(self, kind: Type) -> Any:
        """The class for what is passed or returned itself; what has no members yet cannot be."""
        if isinstance(kind, Record):
            extent(kind, self.pointer_size)
        return self.finished(kind)

    def enumeration(self, kind: Enum) -> Any:
        """An IntEnum; members that Python does not allow there are constants only."""
        if kind not in self.enumerations:
            members = (kind.members or {}).items()
            allowed = {name: value for name, value in members if name != "mro" and not name.startswith("_")}
            self.enumerations[kind] = IntEnum(kind.name, allowed)
        return self.enumerations[kind]

    def _number(self, kind: Number) -> Any:
        own = getattr(self.types.wintypes, kind.windows, None) if kind.windows else None
        return own or getattr(self.types, kind.attribute)

    def _pointer(self, target: Type) -> Any:
        if isinstance(target, Void):
            return self.types.c_void_p
        if _characters(target):
            return self.types.c_char_p if target.size == 1 else self.types.c_wchar_p  # type: ignore[union-attr]
        if isinstance(target, Function):
            return self._function(target)
        if isinstance(target, Array) and target.length is None:
            return self._pointer(target.item)
        return self.types.POINTER(self.of(target))

    def _function(self, kind: Function) -> Any:
        if kind.parameters is None:
            return self.types.c_void_p  # its arguments are not known
        make = self.types.WINFUNCTYPE if kind.convention == "stdcall" else self.types.CFUNCTYPE
        result = self._hresult(kind.result) or self.of(kind.result)
        return make(result, *(self.of(parameter.type) for parameter in kind.parameters))

    def _hresult(self, kind: Type) -> Any:
        return self.result(kind) if isinstance(kind, Number) and kind.windows == "HRESULT" else None

    def _whole(self, kind: Type) -> Any:
        made = self.of(kind)
        inner = kind
        while isinstance(inner, Array):
            inner = inner.item
        if isinstance(inner, Record):
            self._complete(inner)
        return made

    def _record(self, record: Record) -> Any:
        home = self.shared if record.windows else self.own
        if record not in home:
            ready = getattr(self.types.wintypes, record.name, None) if record.windows else None
            base = self.types.Union if record.union else self.types.Structure
            home[record] = ready or type(base)(record.name, (base,), self._body(record))
            if not record.windows:
                self.waiting.append(record)
            elif ready is None:  # at once: those of windows.h outlive a text that is refused later
                self._fill(record, home[record])
        return home[record]

    def _complete(self, record: Record) -> None:
        made = self._record(record)
        if not record.windows and record not in self.begun:
            self.begun.add(record)
            self._fill(record, made)

    def _body(self, record: Record) -> dict[str, Any]:
        """What a class has to have before it gets its fields."""
        body: dict[str, Any] = {"__module__": __name__}
        if record.fields is None:
            return body
        if record.pack and record_extent(record, None, self.pointer_size).alignment > record.pack:
            body["_pack_"] = record.pack
        if record.align > 1:
            body["_align_"] = record.align
        names = [name for name, field in _named(record) if _nameless_record(field)]
        return {**body, "_anonymous_": names} if names else body

    def _fill(self, record: Record, made: Any) -> None:
        if record.fields is None:
            return
        fields: list[tuple[Any, ...]] = []
        for name, field in _named(record):
            if field.bits == 0:
                raise Refused(f"{record.kind} {record.name!r} has a bit field of width 0, which ctypes cannot express")
            width = () if field.bits is None else (field.bits,)
            fields.append((name, self._whole(field.type), *width))
        made._fields_ = fields
        if self.types.alignment(made) < record.align:
            raise Refused(f"__declspec(align({record.align})) of {record.name!r} is not possible with these types")


def _characters(kind: Type) -> bool:
    return isinstance(kind, Number) and kind.attribute in ("c_char", "c_wchar")


def _nameless_record(field: Field) -> bool:
    return field.name is None and isinstance(field.type, Record)


def _named(record: Record) -> list[tuple[str, Field]]:
    """The members and their names; ctypes wants one for those that have none."""
    return [
        (field.name or f"{'_anonymous' if _nameless_record(field) else '_filler'}{position}", field)
        for position, field in enumerate(record.fields or ())
    ]
