# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""Cases: arguments and results by value."""

from __future__ import annotations

import itertools

from tests.dropin_registry import CASES, CONVENTIONS, SIMPLE, case, library, outcome, prototyped

AMONG = (1, 2.5, -3, 4, 5.5)
MIXED = {
    "if": (("int", "float"), (3, 1.5)),
    "fi": (("float", "int"), (-1.5, 7)),
    "ff": (("float", "float"), (1.25, -8.5)),
    "cd": (("byte", "double"), (-9, 2.5)),
    "dd": (("double", "double"), (1e10, -3.5)),
    "qf": (("longlong", "float"), (-(2**40), 0.5)),
    "hb": (("short", "byte"), (-300, 12)),
    "dhfq": (("double", "short", "float", "longlong"), (1.5, -2, 3.5, 2**41)),
    "fff": (("float", "float", "float"), (1.5, 2.5, 3.5)),
}


def simple_arguments(name, convention):
    def run(c, dll):
        kind, found = getattr(c, SIMPLE[name][0]), library(c, dll, convention)
        echo = prototyped(found[f"echo_{name}_{convention}"], kind, kind)
        among = (c.c_char, c.c_double, c.c_longlong, c.c_short, c.c_float)
        last = prototyped(found[f"last_{name}_{convention}"], kind, *among, kind)
        out = prototyped(found[f"out_{name}_{convention}"], c.c_int, kind, c.POINTER(kind))
        results = []
        for value in SIMPLE[name][1]:
            room = kind()
            results += [outcome(echo, value), outcome(last, *AMONG, value), outcome(out, value, c.byref(room))]
            if name != "wchar_p":  # there ctypes passes a copy, which is gone
                results.append(repr(room.value))
        texts = () if name == "void_p" else ("x", b"x")  # their addresses differ
        results += [outcome(echo, wrong) for wrong in (None, 1.5, *texts, 2**70, object)]
        instance = kind(SIMPLE[name][1][1])
        echo.argtypes = None
        return [*results, outcome(echo, instance), outcome(lambda: instance.value)]

    return run


def simple_members(name, convention):
    def run(c, dll):
        kind, found = getattr(c, SIMPLE[name][0]), library(c, dll, convention)

        class Holder(c.Structure):
            _fields_ = [("before", c.c_char), ("value", kind)]

        held = prototyped(found[f"held_{name}_{convention}"], kind, Holder)
        return [c.sizeof(Holder), *[outcome(held, Holder(b"x", value)) for value in SIMPLE[name][1]]]

    return run


for _name, _convention in itertools.product(SIMPLE, CONVENTIONS):
    CASES[f"simple_{_name}_{_convention}"] = simple_arguments(_name, _convention)
    CASES[f"member_{_name}_{_convention}"] = simple_members(_name, _convention)


def by_value(size, convention):
    def run(c, dll):
        class Sized(c.Structure):
            _fields_ = [("bytes", c.c_ubyte * size)]

        given = Sized((c.c_ubyte * size)(*range(1, size + 1)))
        turn = prototyped(library(c, dll, convention)[f"turn_{size}_{convention}"], Sized, c.c_int, Sized, c.c_int)
        made = turn(5, given, 3)
        again = turn(0, made, 2)
        turn.argtypes = None
        return [list(one.bytes) for one in (given, made, again, turn(5, given, 3))]

    return run


for _size, _convention in itertools.product(range(1, 65), CONVENTIONS):
    CASES[f"sized_{_size}_{_convention}"] = by_value(_size, _convention)


def mixed(name, convention):
    def run(c, dll):
        types, values = MIXED[name]

        class Mixed(c.Structure):
            _fields_ = [(letter, getattr(c, "c_" + kind)) for letter, kind in zip("abcd", types, strict=False)]

        found = library(c, dll, convention)
        add = prototyped(found[f"sum_{name}_{convention}"], c.c_double, c.c_double, Mixed, c.c_int)
        double = prototyped(found[f"double_{name}_{convention}"], Mixed, Mixed)
        given = Mixed(*values)
        made = double(given)
        return [add(0.25, given, 1), *[[getattr(one, field) for field, _ in Mixed._fields_] for one in (given, made)]]

    return run


for _name, _convention in itertools.product(MIXED, CONVENTIONS):
    CASES[f"mixed_{_name}_{_convention}"] = mixed(_name, _convention)


def unions(convention):
    def run(c, dll):
        class Number(c.Union):
            _fields_ = [("whole", c.c_int), ("real", c.c_double), ("parts", c.c_longlong * 1)]

        class Wide(c.Union):
            _fields_ = [("whole", c.c_int), ("reals", c.c_double * 3)]

        found = library(c, dll, convention)
        negative = prototyped(found["negative_" + convention], Number, Number, c.c_int)
        wide = prototyped(found["wide_negative_" + convention], Wide, Wide, c.c_int)
        first, second = negative(Number(whole=5), 0).whole, negative(Number(real=2.5), 1).real
        return [first, second, wide(Wide(whole=6), 0).whole, list(wide(Wide(reals=(1, 2, 3)), 1).reals)]

    return run


def many(convention):
    def run(c, dll):
        found = library(c, dll, convention)
        pairs = prototyped(found["twenty_pairs_" + convention], c.c_double, c.c_int, *[c.c_int, c.c_double] * 20)
        hundred = prototyped(found["hundred_" + convention], c.c_longlong, *[c.c_longlong] * 101)
        values = [value for index in range(20) for value in (index * 7, index / 4)]
        return [pairs(1, *values), hundred(1, *[index * 2**33 for index in range(100)])]

    return run


for _convention in CONVENTIONS:
    CASES[f"unions_{_convention}"] = unions(_convention)
    CASES[f"hundred_arguments_{_convention}"] = many(_convention)


@case
def varargs_of_our_own(c, dll):
    add = dll.sum_varargs
    add.restype = c.c_double
    add.argtypes = [c.c_char_p]
    number = c.c_int(1000)
    values = 5, c.c_double(2.5), c.c_longlong(2**40), b"four", c.byref(number), c.c_double(-0.25), -7
    return [add(b"idqspdi", *values), add(b""), outcome(add, b"d", 1.5), outcome(add, b"i", 2**40)]


@case
def sprintf_with_doubles_and_int64(c, dll):
    room = c.create_string_buffer(200)
    form = b"%d %s %f %I64d %c %x %g %ls"
    values = -5, b"text", c.c_double(2.5), c.c_longlong(-(2**40)), ord("z"), 255, c.c_double(1e100), "wide"
    count = c.cdll.msvcrt.sprintf(room, form, *values)
    return [count, room.value.decode()]


@case
def swprintf_and_sscanf(c, dll):
    room = c.create_unicode_buffer(50)
    count = c.cdll.msvcrt._snwprintf(room, 50, "%s|%d|%.2f", "wide", 42, c.c_double(3.14159))
    number, real, word = c.c_int(), c.c_double(), c.create_string_buffer(20)
    read = c.cdll.msvcrt.sscanf(b"12 2.5 word", b"%d %lf %19s", c.byref(number), c.byref(real), word)
    return [count, room.value, read, number.value, real.value, word.value.decode()]


@case
def undeclared_arguments(c, dll):
    echo = dll.echo_long_c
    values = (
        5,
        -1,
        True,
        None,
        c.c_short(-7),
        c.c_ubyte(250),
        c.c_wchar("a"),
        c.c_char(b"b"),
        2**31,
        2**32,
        2.5,
        [],
        2**64,
    )
    return [outcome(echo, value) for value in values]


@case
def as_parameter(c, dll):
    class Wrapped:
        def __init__(self, value):
            self._as_parameter_ = value

    echo = prototyped(dll.echo_long_c, c.c_long, c.c_long)
    values = 7, c.c_long(8), Wrapped(9), "no", c.c_short(3), c.c_double(1.5)
    typed = [outcome(echo, Wrapped(value)) for value in values]
    echo.argtypes = None
    return [*typed, *[outcome(echo, Wrapped(value)) for value in values[:3]]]


@case
def own_from_param(c, dll):
    class Doubling:
        @classmethod
        def from_param(cls, value):
            if value == 13:
                raise ValueError("unlucky")
            return c.c_long(2 * value) if value != 14 else "text"

    class Halving(c.c_long):
        @classmethod
        def from_param(cls, value):
            return c.c_long(value // 2)

    echo = prototyped(dll.echo_long_c, c.c_long, Doubling)
    found = [outcome(echo, value) for value in (5, 13)]
    echo.argtypes = [Halving]
    return [*found, outcome(echo, 20)]


@case
def too_many_and_too_few(c, dll):
    two = prototyped(dll.two_cdecl, c.c_int, c.c_int, c.c_int)
    return [outcome(two, *arguments) for arguments in ((), (1,), (1, 2), (1, 2, 3), (1, 2, "x"), (1, 2, 2.5))]


@case
def too_many_and_too_few_stdcall(c, dll):
    two = prototyped(c.WinDLL(dll._name).two_stdcall, c.c_int, c.c_int, c.c_int)
    return [outcome(two, *arguments) for arguments in ((), (1,), (1, 2), (1, 2, 3))]


@case
def stdcall_too_few_undeclared(c, dll):
    return c.sizeof(c.c_void_p) == 8 or outcome(c.WinDLL(dll._name).two_stdcall, 1)


@case
def stdcall_too_many_undeclared(c, dll):
    return c.sizeof(c.c_void_p) == 8 or outcome(c.WinDLL(dll._name).two_stdcall, 1, 2, 3)


@case
def cdecl_by_windll(c, dll):
    return outcome(c.WinDLL(dll._name).two_cdecl, 1, 2)


@case
def stdcall_by_cdll(c, dll):
    return outcome(dll.two_stdcall, 1, 2)


@case
def arguments_of_wrong_types(c, dll):
    two = prototyped(dll.two_cdecl, c.c_int, c.c_int, c.POINTER(c.c_int))
    values = 1, "x", b"x", c.c_int(3), c.c_short(3), c.byref(c.c_short(3)), (c.c_short * 2)(), c.pointer(c.c_double())
    return [outcome(two, 1, value) for value in values if not isinstance(value, c.c_int)]


@case
def structures_of_wrong_types(c, dll):
    class A(c.Structure):
        _fields_ = [("x", c.c_int), ("y", c.c_int)]

    class B(c.Structure):
        _fields_ = [("x", c.c_int), ("y", c.c_int)]

    class C(A):
        pass

    add = prototyped(dll.sum_ints, c.c_int, c.POINTER(A), c.c_int)
    values = A(1, 2), C(3, 4), B(5, 6), c.byref(A(7, 8)), c.pointer(C(9, 1)), c.byref(B()), (A * 1)((2, 3)), None
    return [outcome(add, value, 2) for value in values[:-1]]


@case
def pointer_arguments_take_arrays(c, dll):
    add = prototyped(dll.sum_ints, c.c_int, c.POINTER(c.c_int), c.c_int)
    items = (c.c_int * 4)(1, 2, 3, 4)
    array = prototyped(c.CDLL(dll._name).sum_ints, c.c_int, c.c_int * 4, c.c_int)
    pointer = c.cast(items, c.POINTER(c.c_int))
    return [
        add(items, 4),
        add(pointer, 3),
        outcome(array, items, 4),
        outcome(array, (c.c_int * 3)(), 3),
        outcome(add, [1, 2], 2),
    ]


@case
def results_of_subclasses(c, dll):
    class Handle(c.c_void_p):
        pass

    class Flag(c.c_bool):
        pass

    class Word(c.c_ushort):
        pass

    first = prototyped(dll.echo_void_p_c, Handle, Handle)(0x1234)
    second = prototyped(dll.echo_bool_c, Flag, Flag)(True)
    third = prototyped(dll.echo_ushort_c, Word, Word)(65535)
    return [type(first).__name__, first.value, type(second).__name__, second.value, type(third).__name__, third.value]


@case
def result_narrower_and_wider(c, dll):
    echo = dll.echo_ulong_c
    found = []
    for kind in (c.c_byte, c.c_ubyte, c.c_short, c.c_ushort, c.c_long, c.c_char, c.c_wchar, c.c_bool, None):
        echo.restype = kind
        found.append(outcome(echo, 0xFFEEDD80 - 2**32))
    return found


@case
def system_calls(c, dll):
    kernel32 = c.windll.kernel32
    room = c.create_unicode_buffer(260)
    length = kernel32.GetSystemDirectoryW(room, 260)
    multiply = prototyped(c.WinDLL("kernel32").MulDiv, c.c_int, c.c_int, c.c_int, c.c_int)
    c.memset(room, 0, 4)
    return [length, room[2:8], multiply(1000, 1000, 3), kernel32.lstrlenW("four"), kernel32.lstrlenA(b"five5")]


@case
def wintypes(c, dll):
    import importlib

    types = importlib.import_module(c.__name__ + ".wintypes")
    kernel32 = c.WinDLL("kernel32", use_last_error=True)
    get = prototyped(kernel32.GetDiskFreeSpaceExW, types.BOOL, types.LPCWSTR, *[types.PULARGE_INTEGER] * 3)
    sizes = [types.ULARGE_INTEGER() for _ in range(3)]
    found = [get("C:\\", *[c.byref(size) for size in sizes]), sizes[1].value > 0, get("no:such\\", None, None, None)]
    close = prototyped(kernel32.CloseHandle, types.BOOL, types.HANDLE)
    rectangle = types.RECT(1, 2, 30, 40)
    inside = prototyped(c.WinDLL("user32").PtInRect, types.BOOL, types.LPRECT, types.POINT)
    flag = types.VARIANT_BOOL(True)
    names = [name for name in dir(types) if name.isupper()]
    return [
        *found,
        close(types.HANDLE(-1 % 2**32)) in (0, 1),
        inside(rectangle, types.POINT(5, 6)),
        inside(c.byref(rectangle), types.POINT(0, 0)),
        bytes(flag).hex(),
        [[name, c.sizeof(getattr(types, name))] for name in names if isinstance(getattr(types, name), type)],
    ]


@case
def long_texts_and_large_buffers(c, dll):
    text = b"x" * 3_000_000
    wide = "\u20ac" * 1_000_000
    room = c.create_string_buffer(3_000_001)
    kernel32 = c.WinDLL("kernel32")
    kernel32.lstrcpyA(room, text)
    numbers = (c.c_int * 1_000_000)(*[1] * 1_000_000)
    return [kernel32.lstrlenA(text), kernel32.lstrlenW(wide), room.value == text, dll.sum_ints(numbers, 1_000_000)]
