"""From pycparser's tree to types, functions, variables and constants."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pycparser import c_ast

from winbridge.dll.cdef import syntax
from winbridge.dll.cdef.constants import Evaluator
from winbridge.dll.cdef.dialect import CONVENTIONS
from winbridge.dll.cdef.model import (
    CHAR,
    INT,
    Array,
    Enum,
    Field,
    Function,
    Number,
    Parameter,
    Pointer,
    Record,
    Refused,
    Type,
    Void,
    extent,
)

SIMPLE: dict[str, Type] = {
    "void": Void(), "char": CHAR, "signed char": Number("c_byte", 1, True),
    "unsigned char": Number("c_ubyte", 1, False), "short": Number("c_short", 2, True),
    "unsigned short": Number("c_ushort", 2, False), "int": INT,
    "unsigned int": Number("c_uint", 4, False), "long": Number("c_long", 4, True),
    "unsigned long": Number("c_ulong", 4, False), "long long": Number("c_longlong", 8, True),
    "unsigned long long": Number("c_ulonglong", 8, False), "float": Number("c_float", 4, None),
    "double": Number("c_double", 8, None), "long double": Number("c_double", 8, None),
    "_Bool": Number("c_bool", 1, False),
}  # fmt: skip


@dataclass
class Scope:
    """Everything that has been declared, by name."""

    typedefs: Any = field(default_factory=dict)
    tags: Any = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, tuple[Function, int]] = field(default_factory=dict)
    variables: dict[str, Type] = field(default_factory=dict)


class Reader:
    """Reads declarations into a scope.

    Args:
        scope: where they go.
        pointer_size: 8 or 4.
        convention: of functions that do not name theirs.
        windows: whether these are the declarations of windows.h itself.
    """

    def __init__(self, scope: Scope, pointer_size: int, convention: str, windows: bool = False) -> None:
        self.scope = scope
        self.pointer_size = pointer_size
        self.convention = convention
        self.windows = windows
        self.unnamed = 0
        self.made: dict[Any, Record | Enum] = {}  # in "struct S {...} a, *b" both have one node
        self.line: int | None = None
        self.evaluator = Evaluator(scope.constants, self.type, pointer_size)

    @contextmanager
    def _in(self, node: Any) -> Iterator[None]:
        """A line for refusals that know none."""
        self.line = node.coord.line if node.coord is not None else self.line
        line = self.line
        try:
            yield
        except Refused as refused:
            raise Refused(refused.cause, refused.line or line) from refused

    def read(self, nodes: list[Any]) -> None:
        """Read declarations at the top level."""
        for node in nodes:
            with self._in(node):
                if isinstance(node, c_ast.Typedef):
                    self._typedef(node)
                elif isinstance(node, c_ast.Decl):
                    self._declaration(node)
                elif isinstance(node, c_ast.StaticAssert) and not self.evaluator.int(node.cond):
                    raise Refused("this static assertion is false")

    def macro(self, name: str, value: str) -> None:
        """Keep the value of a ``#define`` if it is a constant; many are none, which is no error."""
        try:
            node = syntax.expression(value, self.scope.typedefs)
            if node is not None:
                self.scope.constants[name] = self.evaluator.value(node)
        except Refused:
            return

    def _typedef(self, node: c_ast.Typedef) -> None:
        kind = self.type(node.type, node.name)
        if self.windows and isinstance(kind, Number):
            kind = replace(kind, windows=node.name)
        self.scope.typedefs[node.name] = kind

    def _declaration(self, node: c_ast.Decl) -> None:
        kind = self.type(node.type)
        if node.name is None:
            return
        if isinstance(kind, Function):
            self.scope.functions[node.name] = kind, self.line or 1
        elif node.init is None:
            self.scope.variables[node.name] = kind
        elif isinstance(kind, Number | Enum) and "const" in node.quals:
            self.scope.constants[node.name] = self.evaluator.value(node.init)
        else:
            raise Refused(f"{node.name!r} has a value, which declarations cannot have: write 'extern' and no value")

    def type(self, node: Any, name: str | None = None) -> Type:
        """The type that a node declares.

        Args:
            node: pycparser's.
            name: what a structure is called if it is the type itself.
        """
        if isinstance(node, c_ast.Typename):
            return self.type(node.type)
        if isinstance(node, c_ast.TypeDecl):
            return self._specifier(node.type, name)
        if isinstance(node, c_ast.PtrDecl):
            return self._pointer_itself(node)
        if isinstance(node, c_ast.ArrayDecl):
            return self._array(node)
        if isinstance(node, c_ast.FuncDecl):
            return self._function(node)
        return self._specifier(node, name)

    def _specifier(self, node: Any, name: str | None) -> Type:
        if isinstance(node, c_ast.Struct | c_ast.Union | c_ast.Enum):
            if node not in self.made:
                self.made[node] = self._enum(node, name) if isinstance(node, c_ast.Enum) else self._record(node, name)
            return self.made[node]
        if not isinstance(node, c_ast.IdentifierType):
            raise Refused(f"{type(node).__name__} is not understood here")
        return self._named(node.names)

    def _named(self, names: list[str]) -> Type:
        if len(names) == 1 and names[0] in self.scope.typedefs:
            found: Type = self.scope.typedefs[names[0]]
            return found
        words = [name for name in names if name not in ("int", "signed", "unsigned")]
        sign = "unsigned " if "unsigned" in names else "signed " if "signed" in names and words == ["char"] else ""
        kind = SIMPLE.get(sign + " ".join(sorted(words, key="double".__eq__) or ["int"]))
        if kind is None:
            raise Refused(f"unknown type {' '.join(names)!r}: declare it with typedef before")
        return kind

    def _pointer(self, node: c_ast.PtrDecl) -> Pointer:
        return Pointer(self.type(node.type), "const" in getattr(node.type, "quals", ()))

    def _pointer_itself(self, node: c_ast.PtrDecl) -> Pointer:
        """Also ``int (*__stdcall f)(int)`` names the function's convention, if the pointer is not itself a result."""
        found = self._pointer(node)
        if isinstance(found.target, Function) and (marked := self._marked(node.quals)):
            return replace(found, target=replace(found.target, convention=marked))
        return found

    def _array(self, node: c_ast.ArrayDecl) -> Array:
        length = None if node.dim is None else self.evaluator.int(node.dim)
        if length is not None and length < 0:
            raise Refused(f"an array cannot have {length} items")
        item = self.type(node.type)
        extent(item, self.pointer_size)
        return Array(item, length)

    def _marked(self, qualifiers: list[str]) -> str | None:
        marks = {"restrict", "volatile"} & set(qualifiers)
        return next((name for name, own in CONVENTIONS.items() if own == marks), None)

    def _function(self, node: c_ast.FuncDecl) -> Function:
        pointer = isinstance(node.type, c_ast.PtrDecl)
        result = self._pointer(node.type) if pointer else self.type(node.type)
        if isinstance(result, Array | Function):
            raise Refused("a function cannot return an array or a function: return a pointer")
        convention = self._marked(getattr(node.type, "quals", [])) or self.convention
        if convention == "fastcall":
            if self.pointer_size == 4:
                raise Refused(
                    "__fastcall, __thiscall and __vectorcall cannot be called: only __stdcall and __cdecl can"
                )
            convention = "cdecl"
        parameters = node.args.params if node.args is not None else None
        variadic = parameters is not None and isinstance(parameters[-1], c_ast.EllipsisParam)
        fixed = None if parameters is None else self._parameters(parameters[: len(parameters) - variadic])
        return Function(result, fixed, "cdecl" if variadic else convention, variadic)

    def _parameters(self, nodes: list[Any]) -> tuple[Parameter, ...]:
        found = []
        for node in nodes:
            if isinstance(node, c_ast.ID):
                raise Refused(f"unknown type {node.name!r}: declare it with typedef before", node.coord.line)
            with self._in(node):
                found.append(Parameter(node.name, self._decayed(node)))
        if len(found) == 1 and found[0] == Parameter(None, Void()):
            return ()
        if any(isinstance(parameter.type, Void) for parameter in found):
            raise Refused("a parameter cannot be void: write void *")
        return tuple(found)

    def _decayed(self, node: Any) -> Type:
        """Arrays and functions are passed as pointers."""
        kind = self.type(node.type)
        if isinstance(kind, Array):
            return Pointer(kind.item, "const" in node.quals)
        return Pointer(kind) if isinstance(kind, Function) else kind

    def _record(self, node: Any, name: str | None) -> Record:
        union = isinstance(node, c_ast.Union)
        record = self._tag(node, lambda title: Record(union, title, self.windows), name)
        if not isinstance(record, Record) or record.union != union:
            raise Refused(f"{node.name!r} is declared as another kind of type before")
        if node.decls is not None:
            if record.fields is not None:
                raise Refused(f"{record.kind} {node.name!r} is defined twice")
            self._define(record, node.decls)
        return record

    def _tag(self, node: Any, make: Any, name: str | None) -> Any:
        """The type with this tag: a definition is a new one if the tag is only known from windows.h."""
        if node.name is None:
            self.unnamed += 1
            return make(name or f"unnamed{self.unnamed}")
        own = self.scope.tags.maps[0] if isinstance(self.scope.tags, ChainMap) else self.scope.tags
        defines = (node.values if isinstance(node, c_ast.Enum) else node.decls) is not None
        if node.name not in (own if defines else self.scope.tags):
            own[node.name] = make(name or node.name)
        return self.scope.tags[node.name]

    def _define(self, record: Record, nodes: list[Any]) -> None:
        layout, *members = nodes
        pack, align = layout.string.value.strip('"').split()
        record.pack, record.align = int(pack) or None, self.evaluator.int(syntax.expression(align, {}))
        fields: list[Field] = []
        for node in members:
            if isinstance(node, c_ast.Decl):
                with self._in(node):
                    fields += self._field(node)
        names = [field.name for field in fields if field.name]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise Refused(f"{record.kind} {record.name!r} has two members {twice!r}")
        record.fields = tuple(fields)

    def _field(self, node: c_ast.Decl) -> list[Field]:
        if node.align:
            raise Refused("__declspec(align) and _Alignas are understood at structs and unions only")
        kind = self.type(node.type, node.name)
        if isinstance(kind, Function):
            raise Refused(f"member {node.name!r} is a function: C has pointers to functions, C++ is not read")
        bits = None if node.bitsize is None else self.evaluator.int(node.bitsize)
        if bits is None and node.name is None and not self._anonymous(node.type):
            return []  # it declares a tag, and no member
        size = extent(kind, self.pointer_size).size
        if bits is not None and not (isinstance(kind, Number | Enum) and 0 <= bits <= 8 * size):
            raise Refused(f"bit field {node.name!r} cannot have {bits} bits")
        return [Field(node.name, kind, bits)]

    def _anonymous(self, node: Any) -> bool:
        node = node.type if isinstance(node, c_ast.TypeDecl) else node
        return isinstance(node, c_ast.Struct | c_ast.Union) and node.decls is not None and node.name is None

    def _enum(self, node: c_ast.Enum, name: str | None) -> Enum:
        found = self._tag(node, Enum, name)
        if not isinstance(found, Enum):
            raise Refused(f"{node.name!r} is declared as another kind of type before")
        if node.values is not None:
            found.members = {}
            following = 0
            for item in node.values.enumerators:
                with self._in(item):
                    value = following if item.value is None else self.evaluator.int(item.value)
                    value = (value + (1 << 31)) % (1 << 32) - (1 << 31)  # enumerators are ints
                    found.members[item.name] = self.scope.constants[item.name] = value
                    following = value + 1
        return found
