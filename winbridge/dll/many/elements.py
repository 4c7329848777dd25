"""How the items of arrays are passed and returned: by the types of a prototype."""

from __future__ import annotations

from types import BuiltinMethodType
from typing import Any, NamedTuple

from winbridge.core.wire import Result
from winbridge.dll.layout import simple_format
from winbridge.dll.own import with_standard_numbers
from winbridge.dll.plan import Prototype
from winbridge.dll.prototype import is_pointer
from winbridge.dll.scalars import INTEGERS, REALS, is_simple, pointer_code

KINDS = {
    "b": Result.INT8, "B": Result.UINT8, "h": Result.INT16, "H": Result.UINT16, "i": Result.INT32, "I": Result.UINT32,
    "q": Result.INT64, "Q": Result.INT64, "?": Result.UINT8, "f": Result.FLOAT, "d": Result.DOUBLE,
}  # fmt: skip


class Element(NamedTuple):
    """The items of one array.

    Attributes:
        code: of ``struct``, and of numpy's dtype.
        kind: what the agent takes them for.
        text: what messages call their type.
    """

    code: str
    kind: Result
    text: str

    @property
    def is_address(self) -> bool:
        return self.kind == Result.POINTER


def elements(prototype: Prototype, given: int, arch: str) -> tuple[list[Element], Element | None]:
    """How ``given`` arguments are passed, and the result returned (None where there is none).

    Raises:
        TypeError: another number of arguments is needed, or items of such a type are no numbers.
    """
    prototype = with_standard_numbers(prototype)
    if prototype.argtypes is None and given:
        raise TypeError(f"{prototype.name}: vectorize needs argtypes, which tell how items are passed; set them first")
    prototype.check_count(given)
    kinds = prototype.argtypes or ()
    if given > len(kinds):
        raise TypeError(f"{prototype.name}: vectorize passes the {len(kinds)} declared arguments only ({given} given)")
    parameters = [_parameter(kind, place, arch) for place, kind in enumerate(kinds, 1)]
    return parameters, _result(prototype, arch)


def _parameter(kind: Any, place: int, arch: str) -> Element:
    found = None
    if isinstance(getattr(kind, "from_param", None), BuiltinMethodType) or getattr(kind, "_family_", None):
        found = _address(kind, "zZP", arch) or _number(kind, arch)
    if found is None:
        raise TypeError(f"argument {place}: the items of an array cannot be passed as {_name(kind)}; use map")
    return found


def _result(prototype: Prototype, arch: str) -> Element | None:
    kind = prototype.restype
    if kind is None:
        return None
    found = _address(kind, "P", arch) or _number(kind, arch)
    if found is None:
        raise TypeError(
            f"{prototype.name}: results of type {_name(kind)} make no array of numbers; use map,"
            " or restype c_void_p for addresses"
        )
    return found


def _address(kind: Any, codes: str, arch: str) -> Element | None:
    family = getattr(kind, "_family_", None)
    pointer = is_pointer(kind) or (family is not None and isinstance(kind, type) and issubclass(kind, family._Pointer))
    code = getattr(kind, "_type_", None)
    if pointer or (isinstance(code, str) and code in codes):
        return Element(pointer_code(arch), Result.POINTER, _name(kind))
    return None


def _number(kind: Any, arch: str) -> Element | None:
    if not is_simple(kind) or kind._type_ in "cuvzZ":
        return None
    code = simple_format(kind, arch)
    return Element(code, KINDS[code], _name(kind)) if code is not None and code in {*INTEGERS, *REALS, "?"} else None


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", None) or repr(kind)
