"""Calls and errors whose outcome is printed, one line each: the same with and without the C extension.

A plain script, run by test_impl.py once for each implementation: ``impl_cases.py PATH_OF_SPECIMEN ARCH``.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from typing import Any

import winbridge
from winbridge.core.errors import AgentDiedError

path, arch = sys.argv[1:]
session = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[arch]()
specimen = session.load_dll(path, convention="cdecl")
windows = winbridge.CtypesSession(session=session)
library = windows.CDLL(path)
numbers = [
    0,
    1,
    -1,
    True,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**40 + 3,
    -(2**63),
    2**64,
    1.5,
    float("inf"),
    1e300,
    10**400,
]
odd: list[Any] = [None, "x", b"x", "\0", ctypes.c_int(7), ctypes.c_double(2.5), [], object]


def outcome(run: Callable[[], Any]) -> str:
    try:
        value = run()
        return f"{type(value).__name__} {value!r}"
    except Exception as error:
        chain = f" <- {type(error.__cause__).__name__}" if error.__cause__ else ""
        return f"{type(error).__name__}: {error}{chain}"


def show(title: str, run: Callable[[], Any]) -> None:
    """Print what came out, without the addresses, which differ from run to run."""
    print(re.sub("0x[0-9A-Fa-f]{5,}", "ADDRESS", f"{title}: {outcome(run)}"))


def echoes(dll: Any, c: Any, label: str) -> None:
    kinds = {
        name.removeprefix("c_"): getattr(c, name) for name in ("c_byte", "c_ubyte", "c_short", "c_ushort", "c_int")
    }
    kinds |= {"uint": c.c_uint, "float": c.c_float, "double": c.c_double}
    names = {"byte": "int8", "ubyte": "uint8", "short": "int16", "ushort": "uint16", "int": "int32", "uint": "uint32"}
    for kind, ctype in kinds.items():
        echo = dll["echo_" + names.get(kind, kind)]
        echo.argtypes, echo.restype = [ctype], ctype
        for value in [*numbers, *odd, ctype(3)]:
            for _ in range(2):  # the second call finds what the first has compiled
                show(
                    f"{label} {kind} {value!r}" if value is not object else f"{label} {kind}",
                    lambda e=echo, v=value: e(v),
                )


def prototypes(dll: Any, c: Any, label: str) -> None:
    add = dll["add"]
    show(f"{label} undeclared", lambda: (add(2, 3), add(-1, 2**32 - 1), add(2, 3)))
    show(f"{label} undeclared float", lambda: add(1.5, 2))
    add.argtypes = [c.c_int, c.c_int]
    for count in range(4):
        show(f"{label} {count} arguments", lambda n=count: add(*range(n)))
    show(f"{label} named", lambda: add(1, b=2))
    add.restype = c.c_byte
    show(f"{label} another restype", lambda: add(100, 100))
    add.restype = None
    show(f"{label} no result", lambda: add(100, 100))
    add.restype = lambda value: ("made", value)
    show(f"{label} a callable", lambda: add(100, 100))
    add.restype = c.c_void_p
    show(f"{label} an address", lambda: (add(0, 0), add(7, 9)))
    add.restype = c.c_int
    add.errcheck = lambda value, function, arguments: (value, arguments)
    show(f"{label} errcheck", lambda: add(4, 5))
    add.errcheck = None
    show(f"{label} errcheck gone", lambda: add(4, 5))
    double = dll["sum_doubles"]
    double.argtypes, double.restype = [c.c_double] * 10, c.c_double
    show(f"{label} ten doubles", lambda: double(*range(10)))


def faults(dll: Any, c: Any, label: str) -> None:
    for name, arguments in [
        ("read_at", (16,)),
        ("write_at", (32,)),
        ("divide", (1, 0)),
        ("divide", (6, 3)),
        ("illegal", ()),
    ]:
        function = dll[name]
        function.argtypes = [c.c_void_p] if name.endswith("_at") else [c.c_int] * len(arguments)
        for _ in range(2):
            show(f"{label} {name}", lambda f=function, a=arguments: f(*a))


def memory() -> None:
    c = windows
    total = library.sum_array
    total.argtypes, total.restype = [c.POINTER(c.c_int), c.c_int], c.c_int
    items = (c.c_int * 4)(1, 2, 3, 4)
    single = c.c_int(9)
    backing = bytearray(bytes(items))
    given = {
        "array": items, "cast": c.cast(items, c.POINTER(c.c_int)), "pointer": c.pointer(single),
        "byref": c.byref(single),
        "instance": single, "none": None, "other array": (c.c_long * 4)(1, 2, 3, 4), "wrong array": (c.c_short * 4)(),
        "wrong byref": c.byref(c.c_short()), "offset": c.byref(single, 0), "number": 5, "text": "x",
        "void": c.c_void_p(1),
        "foreign": (c.c_int * 4).from_buffer(backing), "pointer to foreign": c.pointer(c.c_int.from_buffer(backing)),
        "standard": (ctypes.c_int * 4)(1, 2, 3, 4),
    }  # fmt: skip
    for name, value in given.items():
        for _ in range(2):
            show(f"sum_array {name}", lambda v=value: total(v, 1 if v is not None else 0))
    double = library.double_in_place
    double.argtypes, double.restype = [c.POINTER(c.c_int)], None
    for value in (single, c.byref(items, 4), given["foreign"]):
        show("double_in_place", lambda v=value: double(v))
    print(single.value, items[:], bytes(backing))
    same = library.same
    same.argtypes = [c.c_void_p, c.c_void_p]
    show(
        "same", lambda: [same(items, c.byref(items)), same(c.cast(items, c.c_void_p), items), same(None, 0), same(7, 8)]
    )
    show("same wide", lambda: same(2**70 + 5, 5))
    length = library.length
    length.argtypes = [c.c_char_p]
    show("length", lambda: [length(b"abc"), length(None), length(c.create_string_buffer(b"four")), length(b"")])
    show("length of text", lambda: length("abc"))


def objects() -> None:
    c = windows
    kinds = [
        c.c_byte,
        c.c_ubyte,
        c.c_short,
        c.c_ushort,
        c.c_int,
        c.c_uint,
        c.c_longlong,
        c.c_ulonglong,
        c.c_float,
        c.c_double,
    ]

    class Odd(c.c_int):
        pass

    class Slow(c.c_int * 3):
        def __setitem__(self, index: Any, value: Any) -> None:
            super().__setitem__(index, value + 1)

    for kind in [*kinds, c.c_bool, c.c_char, c.c_wchar, Odd, c.c_int.__ctype_be__]:
        struct = type(
            "Struct", (c.Structure,), {"_fields_": [("first", c.c_byte), ("field", kind), ("items", kind * 3)]}
        )
        holder = struct()
        inside = bytearray(64)
        foreign = struct.from_buffer(inside)
        for value in [*numbers, *odd, kind(), [1, 2, 3], (1, 2)]:
            label = f"{kind.__name__} {value!r}" if value is not object else kind.__name__
            for target in (holder, foreign):
                show(f"field {label}", lambda t=target, v=value: (setattr(t, "field", v), t.field))
            show(
                f"item {label}",
                lambda v=value, holder=holder: (holder.items.__setitem__(1, v), holder.items[1], holder.items[:]),
            )
            show(f"array {label}", lambda v=value, k=kind: (k * 3)(0, v)[:])
        array = (kind * 3)()
        pointer = c.pointer(array[0]) if isinstance(array[0], kind) else c.cast(array, c.POINTER(kind))
        for index in (
            0,
            2,
            -1,
            3,
            -4,
            True,
            None,
            "x",
            slice(None),
            slice(None, None, -1),
            slice(5, 1),
            slice(0, 3, 2),
            2**70,
        ):
            show(f"{kind.__name__} at {index!r}", lambda i=index, array=array: array[i])
            if not isinstance(index, slice) and index in (0, 2, True, None, "x"):
                show(f"{kind.__name__} pointed at {index!r}", lambda i=index, pointer=pointer: pointer[i])
        show(f"{kind.__name__} too many", lambda k=kind: (k * 2)(1, 2, 3))
        show(f"{kind.__name__} null", lambda k=kind: c.POINTER(k)()[0])
        print(bytes(holder)[1:], bytes(inside)[1:24])
        pair = (struct * 2)()
        pair[1].first = 7
        print(pair[1]._b_base_ is pair, c.addressof(pair[1]) - c.addressof(pair), bytes(pair)[1:])
    print(Slow(1, 2, 3)[:])


def callbacks() -> None:
    c = windows
    compare = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
    sort = windows.cdll.msvcrt.qsort
    sort.argtypes, sort.restype = [c.POINTER(c.c_int), c.c_size_t, c.c_size_t, compare], None
    items = (c.c_int * 6)(5, 1, 4, 2, 6, 3)
    sys.unraisablehook = lambda info: print("unraisable", info.exc_type.__name__, info.exc_value)

    def ordered(left: Any, right: Any) -> int:
        return left[0] - right[0] + 0 * library.add(1, 2)

    show("sort", lambda: sort(items, 6, 4, compare(ordered)))
    print(items[:])
    show("sort with errors", lambda: sort(items, 2, 4, compare(lambda left, right: 1 // 0)))
    for returned in (2**31, -1, True, 1.5, None, 2**70):
        show(f"sort by {returned!r}", lambda r=returned: sort(items, 2, 4, compare(lambda left, right: r)))


def called(callback: Any, maker: Any) -> Any:
    """A callback as a DLL has it: an address, which is called with a prototype."""
    function = maker(windows.cast(callback, windows.c_void_p).value)
    function.callback = callback  # the address alone would not keep it
    return function


def results() -> None:
    """What callbacks are given and return, also as the bits that a caller with a wider type finds."""
    c = windows
    kinds = [c.c_byte, c.c_ubyte, c.c_short, c.c_ushort, c.c_int, c.c_uint, c.c_longlong, c.c_ulonglong]
    others = [c.c_float, c.c_double, c.c_bool, c.c_char, c.c_wchar, c.c_void_p]

    class Odd(c.c_int):
        pass

    for kind in [*kinds, *others, Odd, c.c_int.__ctype_be__]:
        maker = c.CFUNCTYPE(kind, kind)
        wider = c.CFUNCTYPE(c.c_longlong if kind in kinds else kind, kind)
        for value in [*numbers, 2.5, -1.0, 1e39, float("nan"), *odd, kind()]:
            label = repr(value) if value is not object and not isinstance(value, kind) else type(value).__name__
            callback = maker(lambda given, value=value: value)
            show(f"returns {kind.__name__} {label}", lambda b=callback, m=wider, k=kind: called(b, m)(k()))
        same = maker(lambda given: print(type(given).__name__, getattr(given, "value", given)) or given)
        for value in (0, 3, -1, 2.5) if kind is c.c_void_p else (0, 3, -1, 2.5, b"x", "x"):
            show(f"returns {kind.__name__} itself", lambda b=same, m=maker, v=value: called(b, m)(v))


def arguments() -> None:
    c = windows

    class Pair(c.Structure):
        _fields_ = [("first", c.c_byte), ("second", c.c_byte)]  # noqa: RUF012 - as everybody writes it

    class Large(c.Structure):
        _fields_ = [("items", c.c_int * 5)]  # noqa: RUF012

    item = c.c_int(7)
    text = c.create_string_buffer(b"text")
    prototype = c.CFUNCTYPE(c.c_int, c.c_int)
    kinds = (
        c.c_byte,
        c.c_double,
        c.c_float,
        c.POINTER(c.c_int),
        c.c_void_p,
        c.c_char_p,
        Pair,
        Large,
        prototype,
        c.c_double,
    )
    given = (
        -3,
        1.5,
        2.5,
        c.pointer(item),
        c.addressof(item) * 0,
        text.value,
        Pair(1, 2),
        Large((1, 2, 3)),
        prototype(abs),
        9.5,
    )
    seen: list[Any] = []
    maker = c.CFUNCTYPE(None, *kinds)

    def look(
        byte: Any,
        real: Any,
        narrow: Any,
        pointer: Any,
        nothing: Any,
        text: Any,
        pair: Any,
        large: Any,
        f: Any,
        last: Any,
    ) -> None:
        pointer.contents.value += 1
        seen.extend(
            (byte, real, narrow, pointer[0], nothing, text, pair.first, pair.second, large.items[:], f(-4), last)
        )

    show("many arguments", lambda: called(maker(look), maker)(*given))
    print(seen, item.value)


def in_callbacks() -> None:
    c = windows
    maker = c.CFUNCTYPE(c.c_int, c.c_int)
    number = called(maker(abs), maker)
    show("a function of C", lambda: number(-7))

    def deep(left: int) -> int:
        return left and 1 + called(kept, maker)(left - 1)

    def twin(left: int) -> int:
        backing = bytearray(8)
        found = (c.c_int * 2).from_buffer(backing)
        c.memset(c.byref(found), left, 4)
        return int(found[0]) + backing[3] + backing[4]

    def grow(left: int) -> int:
        block = (c.c_int * 400_000)()  # a segment of its own, which the agent does not see yet
        block[399_999] = left
        library.sum_array.argtypes = None
        return int(library.sum_array(c.byref(block, 4 * 399_999), 1))

    raising = {"error": lambda left: 1 // 0, "exit": lambda left: sys.exit(left), "arguments": lambda: 1}
    fault = {"fault": lambda left: library.read_at(c.c_void_p(16))}
    for name, function in {"deep": deep, "twin": twin, "grow": grow, **raising, **fault}.items():
        kept = maker(function)
        for value in (0, 3, 17):
            show(f"{name} {value}", lambda b=kept, v=value: called(b, maker)(v))

    def interrupt(left: int) -> int:
        raise KeyboardInterrupt

    try:
        called(maker(interrupt), maker)(1)
    except KeyboardInterrupt:
        print("interrupted")
    show("usable on", lambda: library.add(1, 2))


def stack() -> None:
    wrong = session.load_dll(path, convention="stdcall").add
    right = specimen.add_stdcall if arch == "win64" else session.load_dll(path, convention="stdcall").add_stdcall
    for function in (wrong, right):
        function.argtypes = [ctypes.c_int, ctypes.c_int]
        for _ in range(2):
            show(f"{function.name}", lambda f=function: f(1, 2))
    dropped = windows.WinDLL(path).add
    dropped.argtypes = [windows.c_int, windows.c_int]
    for _ in range(2):
        show("drop-in", lambda: dropped(1, 2))


def sessions() -> None:
    add = specimen.add
    session.set_parameter("history", 3)
    add(1, 2), library.add(1, 2)
    print([entry.name for entry in session.history])
    session.set_parameter("history", False)
    session.set_parameter("timeout_call", 0.2)
    nap = specimen.nap
    nap.argtypes = [ctypes.c_uint]
    show("too long", lambda: nap(60_000))
    show("too long again", lambda: nap(60_000))
    session.set_parameter("timeout_call", None)
    show("usable on", lambda: add(2, 3))
    leave = specimen.leave
    leave.argtypes = [ctypes.c_uint]
    died = outcome(lambda: leave(3))
    print("died", died.split(":")[0], session.closed)
    show("after that", lambda: add(2, 3))
    try:
        session.exchange(b"")
    except AgentDiedError:
        print("dead")
    except Exception as error:
        print(type(error).__name__)


print(winbridge.__impl__, file=sys.stderr)
for dll, c, label in ((specimen, ctypes, "dll"), (library, windows, "drop-in")):
    echoes(dll, c, label)
    prototypes(dll, c, label)
    faults(dll, c, label)
memory()
objects()
callbacks()
results()
arguments()
in_callbacks()
stack()
sessions()
