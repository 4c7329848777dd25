# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""What ctypes does, case by case: run under a Windows Python's own ctypes and through winbridge, and compared.

A plain script: Windows Python 3.11 with its standard library is all it needs. Each case is given ``c``,
where the names of ctypes are found, and ``dll``, the specimen loaded afresh with ``c.CDLL``.
"""

from __future__ import annotations

import json
import sys

CASES = {}

DELIBERATE = {
    "winerror_of_an_access_violation": ("", "ctypes leaves winerror None; winbridge tells the code of every fault"),
    "execute_violation": ("", "ctypes calls every access that is no read a write; winbridge says executing"),
    "missing_function": ("standard winbridge", "winbridge names the DLL and the nearest names"),
    "missing_ordinal": ("standard winbridge", "winbridge names the DLL"),
    "missing_dll": ("", "winbridge says where it was searched for; ctypes only guesses"),
    "long_beyond_32_bits": ("standard", "on Linux c_int64 is c_long: cutting what is too long would corrupt c_int64"),
    "union_with_a_long": ("standard", "members that lie differently on Linux: which is meant cannot be known"),
    "addresses_as_numbers": ("standard", "a number is an address on the Windows side, not one of this process"),
    "errno_private_copy": ("", "a Windows Python swaps errno of its own C library, ucrt; winbridge that of msvcrt"),
    "errcheck_none": ("", "None takes an errcheck away again; ctypes has no way to do that but del"),
    "stdcall_called_as_cdecl": ("win32", "ctypes gave up checking the stack in 3.8; winbridge tells"),
    "cdecl_called_as_stdcall": ("win32", "ctypes gave up checking the stack in 3.8; winbridge tells"),
    "stdcall_with_too_few": ("win32", "ctypes gave up checking the stack in 3.8; winbridge tells"),
    "result_pointer_type": ("standard", "a pointer into another process is a RemotePointer"),
    "wrong_types_without_prototype": ("standard winbridge", "load_dll passes buffers (bytearray ...) as they are"),
    "prototype_attributes": ("winbridge", "a DllFunction's restype is the standard c_int until it is set"),
    "result_pointer_contents_write": ("standard", "contents is a copy here: write by p[0] = ..."),
}
"""Cases that differ on purpose: where (an architecture, or which types; empty for everywhere), and why.

Not among the cases: int3, which ends a Windows Python; winbridge makes an exception of it.
"""


def case(function):
    CASES[function.__name__] = function
    return function


def outcome(action, *arguments):
    """What came of it, as something that JSON holds."""
    try:
        return {"value": repr(action(*arguments))}
    except Exception as error:
        return {"error": builtin_name(error), "text": str(error)}


def builtin_name(error):
    """winbridge's exceptions are subclasses of those that ctypes raises."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ in ("builtins", "ctypes", "_ctypes"))


def prototyped(function, restype, *argtypes):
    function.restype = restype
    function.argtypes = argtypes
    return function


INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
EDGES = (0, 1, -1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, -(2**31))
BEYOND = (2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**100, -(2**31) - 1, -(2**63), -(2**63) - 1)


def integer_type(c, name):
    """The type of that width on Windows; c_int64 of Linux is c_long, of which Windows has 4 bytes."""
    names = {"int8": "c_byte", "uint8": "c_ubyte", "int16": "c_short", "uint16": "c_ushort", "int32": "c_int",
             "uint32": "c_uint", "int64": "c_longlong", "uint64": "c_ulonglong"}  # fmt: skip
    return getattr(c, names[name])


def point_type(c):
    class Point(c.Structure):
        _fields_ = [("tag", c.c_char), ("x", c.c_long), ("y", c.c_long), ("z", c.c_double), ("name", c.c_wchar * 8)]

    return Point


def point_values(point):
    return point.tag, point.x, point.y, point.z, point.name


def integers(name, values):
    def run(c, dll):
        kind = integer_type(c, name)
        echo = prototyped(dll["echo_" + name], kind, kind)
        return [outcome(echo, value) for value in values]

    return run


for _name in INTEGERS:
    CASES["limits_of_" + _name] = integers(_name, EDGES)
    CASES["beyond_" + _name] = integers(_name, BEYOND)


def without_prototype(name):
    def run(c, dll):
        echo = dll["echo_" + name]
        echo.restype = integer_type(c, name)
        return [outcome(echo, value) for value in EDGES]

    return run


for _name in INTEGERS[:6]:
    CASES["untyped_int_for_" + _name] = without_prototype(_name)


def instances(name):
    def run(c, dll):
        kind = integer_type(c, name)
        echo = dll["echo_" + name]
        echo.restype = kind
        return [outcome(echo, kind(value)) for value in EDGES]

    return run


for _name in INTEGERS:
    CASES["instance_of_" + _name] = instances(_name)


@case
def untyped_int_too_long(c, dll):
    return [outcome(dll.echo_int32, value) for value in (2**32, -(2**31) - 1, 2**64, -(2**100))]


@case
def long_and_ulong(c, dll):
    signed = prototyped(dll.echo_long, c.c_long, c.c_long)
    unsigned = prototyped(dll.echo_ulong, c.c_ulong, c.c_ulong)
    return [[outcome(signed, value), outcome(unsigned, value)] for value in EDGES]


@case
def long_beyond_32_bits(c, dll):
    return outcome(prototyped(dll.echo_long, c.c_long, c.c_long), 2**40 + 5)


@case
def doubles(c, dll):
    echo = prototyped(dll.echo_double, c.c_double, c.c_double)
    values = (0.0, -0.0, 1.5, 1e308, -1e-308, float("inf"), float("nan"), 3, True, 2**60)
    return [outcome(echo, value) for value in values]


@case
def floats(c, dll):
    echo = prototyped(dll.echo_float, c.c_float, c.c_float)
    return [outcome(echo, value) for value in (0.0, 1.1, -2.5, 1e38, 1e39, -1e300, float("inf"), float("nan"), 7)]


@case
def long_doubles_are_doubles(c, dll):
    return outcome(prototyped(dll.echo_double, c.c_longdouble, c.c_longdouble), 1.25)


@case
def double_too_large(c, dll):
    return outcome(prototyped(dll.echo_double, c.c_double, c.c_double), 10**400)


@case
def double_instances(c, dll):
    dll.echo_double.restype, dll.echo_float.restype = c.c_double, c.c_float
    return outcome(dll.echo_double, c.c_double(2.25)), outcome(dll.echo_float, c.c_float(1.1))


@case
def untyped_float(c, dll):
    return outcome(dll.echo_double, 1.5)


@case
def bools(c, dll):
    echo = prototyped(dll.echo_bool, c.c_bool, c.c_bool)
    return [outcome(echo, value) for value in (True, False, 0, 1, 256, "", "x", None, [])]


@case
def untyped_bools(c, dll):
    return outcome(dll.add, True, False), outcome(dll.add, True, True)


@case
def variant_bools(c, dll):
    kind = type("VARIANT_BOOL", (c._SimpleCData,), {"_type_": "v"})
    add = prototyped(dll.add, c.c_short, kind, c.c_int)
    return [add(value, 0) for value in (True, False, 1, 0, 5, -1, kind(True), kind(0))]


@case
def characters(c, dll):
    echo = prototyped(dll.echo_char, c.c_char, c.c_char)
    return [outcome(echo, value) for value in (b"a", b"\xff", b"\0", bytearray(b"z"), 65, c.c_char(b"q"))]


@case
def bad_characters(c, dll):
    echo = prototyped(dll.echo_char, c.c_char, c.c_char)
    return [outcome(echo, value) for value in (b"ab", b"", "a", 256, None)]


@case
def wide_characters(c, dll):
    echo = prototyped(dll.echo_wchar, c.c_wchar, c.c_wchar)
    return [outcome(echo, value) for value in ("a", "é", "\uffff", "\ud83d", "\0", c.c_wchar("q"))]


@case
def bad_wide_characters(c, dll):
    echo = prototyped(dll.echo_wchar, c.c_wchar, c.c_wchar)
    return [outcome(echo, value) for value in ("ab", "", b"a", 65)]


@case
def wide_character_of_two_units(c, dll):
    return outcome(prototyped(dll.echo_wchar, c.c_wchar, c.c_wchar), "\U0001f600")["error"]


@case
def mixed_sizes(c, dll):
    types = (c.c_int8, c.c_double, c.c_longlong, c.c_float, c.c_int16, c.c_double, c.c_uint32, c.c_float, c.c_longlong)
    mixed = prototyped(dll.mixed, c.c_longlong, *types)
    values = (-1, 2.0, 2**40, 4.0, -5, 6.0, 2**32 - 1, 8.0, -9)
    return outcome(mixed, *values), outcome(mixed, 127, -1e10, -(2**62), 1e6, 32767, 0.5, 0, -3.5, 2**61)


@case
def mixed_reals(c, dll):
    types = (c.c_float, c.c_int, c.c_double, c.c_float, c.c_longlong, c.c_float)
    return outcome(prototyped(dll.mix_reals, c.c_float, *types), 0.5, -3, 2.25, 1.5, -7, 0.125)


@case
def small_integers_are_extended(c, dll):
    types = (c.c_int8, c.c_uint8, c.c_int16, c.c_uint16, c.c_int8, c.c_uint8)
    return outcome(prototyped(dll.narrow, c.c_int8, *types), -128, 255, -32768, 65535, 127, 200)


@case
def ten_doubles(c, dll):
    return outcome(prototyped(dll.sum_doubles, c.c_double, *[c.c_double] * 10), *[0.5 * n for n in range(10)])


@case
def variadic_doubles(c, dll):
    dll.variadic.restype = c.c_double
    return [outcome(dll.variadic, n, *[c.c_double(k + 0.5) for k in range(n)]) for n in (0, 1, 3, 4, 9, 40)]


@case
def variadic_after_argtypes(c, dll):
    dll.variadic.restype, dll.variadic.argtypes = c.c_double, [c.c_int]
    return outcome(dll.variadic, 2, c.c_double(1.5), c.c_double(2.5))


@case
def variadic_integers(c, dll):
    dll.variadic_ints.restype = c.c_longlong
    return outcome(dll.variadic_ints, 100, *range(-50, 50))


@case
def printf_style(c, dll):
    room = c.create_string_buffer(100)
    text = "wide é"
    count = dll.format(room, 100, b"%d %s %.3f %c %u|%ls", -5, b"text", c.c_double(2.5), 65, c.c_uint(2**32 - 1), text)
    return count, repr(room.value)


@case
def the_most_arguments(c, dll):
    dll.variadic_ints.restype = c.c_longlong
    return outcome(dll.variadic_ints, 1023, *[2] * 1023), outcome(dll.variadic_ints, 1024, *[2] * 1024)


@case
def too_many_argtypes(c, dll):
    return outcome(prototyped, dll.add, c.c_int, *[c.c_int] * 1025)


@case
def no_arguments(c, dll):
    return outcome(dll.none), outcome(dll.none, 1, 2, 3)


@case
def wrong_counts_cdecl(c, dll):
    one = prototyped(dll.echo_int32, c.c_int, c.c_int)
    two = prototyped(dll.add, c.c_int, c.c_int, c.c_int)
    return outcome(one), outcome(two), outcome(two, 1), outcome(two, 1, 2, 3)


@case
def wrong_counts_stdcall(c, dll):
    dll = c.WinDLL(dll.path)
    two = prototyped(dll.add_stdcall, c.c_int, c.c_int, c.c_int)
    none = prototyped(dll.none, c.c_int)
    return outcome(two), outcome(two, 1), outcome(two, 1, 2), outcome(two, 1, 2, 3), outcome(none, 1)


@case
def stdcall(c, dll):
    dll = c.WinDLL(dll.path)
    mixed = prototyped(dll.stdcall_mixed, c.c_longlong, c.c_int, c.c_double, c.c_longlong)
    return outcome(dll.add_stdcall, 2, 3), outcome(mixed, -1, 2.0, 2**40)


@case
def stdcall_called_as_cdecl(c, dll):
    return outcome(dll.add_stdcall, 2, 3)


@case
def cdecl_called_as_stdcall(c, dll):
    return outcome(c.WinDLL(dll.path).add, 2, 3)


@case
def stdcall_with_too_few(c, dll):
    return builtin_or_value(lambda: c.WinDLL(dll.path).add_stdcall(2))


def builtin_or_value(action):
    """A result that nobody can foresee counts as "value"."""
    try:
        action()
    except Exception as error:
        return builtin_name(error)
    return "value"


@case
def wrong_types_without_prototype(c, dll):
    return [outcome(dll.add, value, 1) for value in (1.5, [], {}, object, (1,), 1j, bytearray(b"x"))]


@case
def wrong_type_in_second_place(c, dll):
    return outcome(dll.add, 1, 1.5), outcome(prototyped(dll.add, c.c_int, c.c_int, c.c_int), 1, "x")


@case
def wrong_types_for_numbers(c, dll):
    echo = prototyped(dll.echo_int16, c.c_short, c.c_short)
    return [outcome(echo, value) for value in (1.5, "x", b"x", None, [], c.c_int(1), c.c_char(b"x"))]


@case
def wrong_types_for_double(c, dll):
    echo = prototyped(dll.echo_double, c.c_double, c.c_double)
    return [outcome(echo, value) for value in ("1.5", b"x", None, [], c.c_float(1))]


@case
def wrong_types_for_strings(c, dll):
    narrow = prototyped(dll.length, c.c_int, c.c_char_p)
    wide = prototyped(dll.wide_length, c.c_int, c.c_wchar_p)
    return [outcome(narrow, value) for value in ("x", 5, 1.5, [])] + [outcome(wide, value) for value in (b"x", 5, 1.5)]


@case
def wrong_types_for_pointers(c, dll):
    reverse = prototyped(dll.reverse_doubles, None, c.POINTER(c.c_double), c.c_int)
    values = (
        1,
        1.5,
        "x",
        b"x",
        c.c_double(1),
        c.c_short(1),
        c.byref(c.c_short(1)),
        (c.c_short * 2)(),
        c.pointer(c.c_short(1)),
    )
    return [outcome(reverse, value, 0) for value in values]


@case
def wrong_structure(c, dll):
    class Other(c.Structure):
        _fields_ = [("x", c.c_short)]

    move = prototyped(dll.move_point, None, c.POINTER(point_type(c)), c.c_long, c.c_long)
    return outcome(move, Other(), 1, 1), outcome(move, c.byref(Other()), 1, 1), outcome(move, None)


@case
def bytes_arguments(c, dll):
    return [outcome(dll.length, value) for value in (b"", b"hello", b"with\0zero", b"x" * 5000, None)]


@case
def str_arguments(c, dll):
    return [outcome(dll.wide_length, value) for value in ("", "höllo", "a\U0001f600b", "\ud800", "x" * 5000, None)]


@case
def typed_strings(c, dll):
    narrow = prototyped(dll.length, c.c_int, c.c_char_p)
    wide = prototyped(dll.wide_length, c.c_int, c.c_wchar_p)
    return [
        outcome(narrow, b"abc"), outcome(narrow, None), outcome(narrow, c.c_char_p(b"abcd")),
        outcome(narrow, c.c_char_p()), outcome(narrow, c.create_string_buffer(b"abcde")),
        outcome(wide, "abc"), outcome(wide, None), outcome(wide, c.c_wchar_p("a\U0001f600")),
        outcome(wide, c.create_unicode_buffer("é")),
    ]  # fmt: skip


@case
def void_pointer_arguments(c, dll):
    narrow = prototyped(dll.length, c.c_int, c.c_void_p)
    wide = prototyped(dll.wide_length, c.c_int, c.c_void_p)
    buffer = c.create_string_buffer(b"buffer")
    given = (
        b"abc",
        None,
        c.c_char_p(b"abcd"),
        buffer,
        c.byref(buffer),
        c.pointer(buffer),
        c.cast(buffer, c.c_void_p),
        0,
    )
    return [outcome(narrow, value) for value in given] + [outcome(wide, "wide"), outcome(wide, c.c_wchar_p("wider"))]


@case
def casts(c, dll):
    buffer = c.create_string_buffer(b"buffer")
    return (
        outcome(dll.length, c.cast(buffer, c.c_char_p)), outcome(dll.length, c.cast(buffer, c.POINTER(c.c_char))),
        outcome(dll.length, c.cast(c.c_char_p(b"bytes"), c.c_void_p)),
    )  # fmt: skip


@case
def cast_of_byref(c, dll):
    buffer = c.create_string_buffer(b"buffer")
    return outcome(dll.length, c.cast(c.byref(buffer, 2), c.POINTER(c.c_char)))


@case
def addresses_as_numbers(c, dll):
    buffer = c.create_string_buffer(b"buffer")
    return outcome(dll.length, c.c_void_p(c.addressof(buffer)))


@case
def pointer_echo(c, dll):
    echo = prototyped(dll.echo_pointer, c.c_void_p, c.c_void_p)
    return [outcome(echo, value) for value in (None, 0, 1, 0x7FFFFFFF, 0xFFFFFFFF, c.c_void_p(16), c.c_void_p())]


@case
def pointer_echo_beyond(c, dll):
    echo = prototyped(dll.echo_pointer, c.c_void_p, c.c_void_p)
    return [outcome(echo, value) for value in (-1, 2**64 - 1, 2**64 + 5, -(2**63))]


@case
def byref_and_pointer(c, dll):
    number = c.c_int(21)
    dll.double_in_place(c.byref(number))
    dll.double_in_place(c.pointer(number))
    return number.value


@case
def byref_with_offset(c, dll):
    numbers = (c.c_int * 4)(1, 2, 3, 4)
    dll.double_in_place(c.byref(numbers, 8))
    dll.double_in_place(c.byref(numbers, 4))
    return list(numbers)


@case
def typed_pointers(c, dll):
    double = prototyped(dll.reverse_doubles, None, c.POINTER(c.c_double), c.c_int)
    one, many = c.c_double(1.5), (c.c_double * 3)(1, 2, 3)
    results = [outcome(double, value, 0) for value in (one, c.byref(one), c.pointer(one), None)]
    double(many, 3)
    double(c.cast(many, c.POINTER(c.c_double)), 2)
    return results, list(many)


@case
def pointer_retargeted(c, dll):
    first, second = c.c_int(1), c.c_int(10)
    pointer = c.pointer(first)
    dll.double_in_place(pointer)
    pointer.contents = second
    dll.double_in_place(pointer)
    return first.value, second.value, pointer[0]


@case
def null_pointers(c, dll):
    null = c.POINTER(c.c_int)()
    return outcome(dll.same, null, None), outcome(dll.same, c.c_void_p(), None), outcome(dll.length, c.c_char_p())


@case
def arrays(c, dll):
    items = (c.c_int * 5)(1, 2, 3, 4, -20)
    reals = (c.c_double * 3)(1.5, 2.5, 3.5)
    dll.reverse_doubles(reals, 3)
    return dll.sum_array(items, 5), list(reals)


@case
def array_argtypes(c, dll):
    total = prototyped(dll.sum_array, c.c_int, c.c_short * 3, c.c_int)
    return outcome(total, (c.c_short * 2)(), 0), outcome(total, (c.c_short * 3)(), 0), outcome(total, None, 0)


@case
def array_of_longs(c, dll):
    items = (c.c_long * 6)(*[7] * 6)
    dll.set_longs(items, 5)
    return list(items)


@case
def two_dimensions(c, dll):
    items = ((c.c_int * 3) * 2)((1, 2, 3), (4, 5, 6))
    dll.double_in_place(items[1])
    return dll.sum_array(items, 6), list(items[0]), list(items[1])


@case
def part_of_an_array(c, dll):
    items = ((c.c_int * 3) * 2)((1, 2, 3), (4, 5, 6))
    return outcome(dll.same, items, items[0]), outcome(dll.same, items[1], items)


@case
def string_buffers(c, dll):
    narrow, wide = c.create_string_buffer(8), c.create_unicode_buffer("straße, é", 12)
    dll.fill(narrow, 5, 65)
    dll.wide_upper(wide)
    return repr(narrow.raw), len(wide.value), wide[:3]


@case
def buffer_over_a_bytearray(c, dll):
    data = bytearray(b"........")
    dll.fill((c.c_char * 4).from_buffer(data, 2), 3, 65)
    return repr(bytes(data))


@case
def bytes_keep_their_value(c, dll):
    data = b"constant"
    return outcome(dll.length, data), repr(data)


@case
def same_object_twice(c, dll):
    number, text = c.c_int(1), b"text"
    buffer = c.create_string_buffer(4)
    return (
        dll.same(c.byref(number), c.byref(number)), dll.same(text, text), dll.same(buffer, c.byref(buffer)),
        dll.same(c.pointer(number), c.byref(number)), dll.same(c.byref(number), c.byref(c.c_int(1))),
    )  # fmt: skip


@case
def distances_within_an_object(c, dll):
    buffer = c.create_string_buffer(100)
    dll.distance.restype = c.c_longlong
    return dll.distance(buffer, c.byref(buffer, 99)), dll.distance(c.byref(buffer, 7), buffer)


@case
def structures(c, dll):
    point = point_type(c)(b"a", 1, -2, 0.5, "start")
    dll.move_point(c.byref(point), 10, 20)
    first = point_values(point)
    dll.move_point(c.pointer(point), -1, -1)
    return first, point_values(point)


@case
def structures_of_declared_type(c, dll):
    Point = point_type(c)
    move = prototyped(dll.move_point, None, c.POINTER(Point), c.c_long, c.c_long)
    points = (Point * 2)(Point(b"a", 1, 2), Point(b"b", 3, 4))
    move(points[0], 1, 1)
    move(c.byref(points[1]), 2, 2)
    move(points, 1, 1)
    move(c.pointer(points[1]), 1, 1)
    return [point_values(point) for point in points]


@case
def two_structures(c, dll):
    Point = point_type(c)
    one, two = Point(b"1", 1, 1, 1.0, "one"), Point(b"2", 2, 2, 2.0, "two")
    dll.swap_points(c.byref(one), c.byref(two))
    dll.swap_points(c.byref(one), c.byref(one))
    return point_values(one), point_values(two)


@case
def nested_structures(c, dll):
    class Inner(c.Structure):
        _fields_ = [("x", c.c_long), ("w", c.c_wchar)]

    class Both(c.Union):
        _fields_ = [("d", c.c_double), ("i", c.c_int)]

    class Outer(c.Structure):
        _fields_ = [("a", c.c_byte), ("pair", Inner * 2), ("u", Both), ("tail", c.c_short)]

    outer = Outer(a=1)
    dll.fill_outer(c.byref(outer))
    return outer.a, [(inner.x, inner.w) for inner in outer.pair], outer.u.d, outer.tail


@case
def union_with_a_long(c, dll):
    class Both(c.Union):
        _fields_ = [("d", c.c_double), ("l", c.c_long)]

    class Outer(c.Structure):
        _fields_ = [("first", c.c_int), ("u", Both)]

    outer = Outer(first=21)
    return outcome(dll.double_in_place, c.byref(outer)) and outer.first


@case
def structure_size(c, dll):
    return dll.point_size()


@case
def structure_with_a_buffer_inside(c, dll):
    class Block(c.Structure):
        _fields_ = [("head", c.c_int), ("body", c.c_char * 8), ("tail", c.c_int)]

    block = Block(1, b"", 2)
    dll.fill(c.byref(block, Block.body.offset), 8, 66)
    return block.head, repr(block.body), block.tail


@case
def arrays_inside_a_structure(c, dll):
    class Block(c.Structure):
        _fields_ = [("head", c.c_int), ("numbers", c.c_int * 3)]

    block = Block(1, (1, 2, 3))
    dll.double_in_place(block.numbers)
    return list(block.numbers), outcome(dll.sum_array, c.byref(block), 4)


@case
def object_and_part_of_it(c, dll):
    class Block(c.Structure):
        _fields_ = [("head", c.c_int), ("counts", c.c_uint32 * 4)]

    block = Block(3, (0, 1, 0, 0))
    dll.count_bytes(c.byref(block), 4, block.counts)
    return block.head, list(block.counts)


@case
def as_parameter(c, dll):
    class Holder:
        def __init__(self, value):
            self._as_parameter_ = value

    buffer = c.create_string_buffer(b"held")
    nested = Holder(Holder(5))
    return (
        [outcome(dll.length, Holder(value)) for value in (b"abc", buffer, c.byref(buffer), None, 1.5)],
        outcome(dll.add, Holder(2), nested),
    )  # fmt: skip


@case
def as_parameter_with_argtypes(c, dll):
    class Holder:
        def __init__(self, value):
            self._as_parameter_ = value

    echo = prototyped(dll.echo_double, c.c_double, c.c_double)
    length = prototyped(dll.length, c.c_int, c.c_char_p)
    return [outcome(echo, Holder(value)) for value in (1.5, 2, "x", c.c_double(2.5))] + [
        outcome(length, Holder(value)) for value in (b"abc", None, "x", c.create_string_buffer(b"z"))
    ]


@case
def as_parameter_that_changes(c, dll):
    class Counter:
        count = 0

        @property
        def _as_parameter_(self):
            self.count += 1
            return (self.count, c.c_short(self.count), c.byref(c.c_int()))[self.count % 2]

    counter = Counter()
    return [outcome(dll.echo_int32, counter) for _ in range(4)], counter.count


@case
def own_from_param(c, dll):
    class Doubled:
        @classmethod
        def from_param(cls, value):
            if value is None:
                raise ValueError("None is not doubled")
            return value * 2

    echo = prototyped(dll.echo_int32, c.c_int, Doubled)
    return [outcome(echo, value) for value in (1, 2**30, 2**31, -5, None, 1.5, [])]


@case
def from_param_of_many_types(c, dll):
    class Any:
        @staticmethod
        def from_param(value):
            return value

    length = prototyped(dll.length, c.c_int, Any)
    return [outcome(length, value) for value in (b"abc", c.create_string_buffer(b"x"), c.c_char_p(b"four"), None, 1.5)]


@case
def from_param_by_ctypes(c, dll):
    class Real:
        @classmethod
        def from_param(cls, value):
            return c.c_double.from_param(value)

    class Short:
        @classmethod
        def from_param(cls, value):
            return c.c_short.from_param(value)

    echo = prototyped(dll.echo_double, c.c_double, Real)
    short = prototyped(dll.echo_int16, c.c_short, Short)
    return outcome(echo, 2), outcome(echo, 2.5), outcome(echo, "x"), outcome(short, 65535), outcome(short, 5)


@case
def from_param_is_called_once(c, dll):
    calls = []

    class Watching:
        @classmethod
        def from_param(cls, value):
            calls.append(value)
            return value

    add = prototyped(dll.add, c.c_int, Watching, Watching)
    add(1, 2)
    add(3, 4)
    return calls


@case
def subclass_with_from_param(c, dll):
    class Positive(c.c_int):
        @classmethod
        def from_param(cls, value):
            if value < 0:
                raise ValueError("negative")
            return cls(value)

    echo = prototyped(dll.echo_int32, c.c_int, Positive)
    return outcome(echo, 5), outcome(echo, -5)


@case
def index_is_accepted(c, dll):
    class Five:
        def __index__(self):
            return 5

    class Text(str):
        pass

    class Number(int):
        pass

    typed = prototyped(dll["echo_int32"], c.c_int, c.c_int)
    return (
        outcome(typed, Five()),
        outcome(dll.add, Five(), 1),
        outcome(dll.wide_length, Text("abc")),
        outcome(typed, Number(7)),
    )


@case
def errcheck_sees_and_replaces(c, dll):
    seen = []

    def check(result, function, arguments):
        seen.append((result, function is dll.add, arguments))
        return result * 100

    dll.add.errcheck = check
    return outcome(dll.add, 1, 2), seen


@case
def errcheck_returning_its_arguments(c, dll):
    dll.add.errcheck = lambda result, function, arguments: arguments
    return outcome(dll.add, 1, 2)


@case
def errcheck_that_raises(c, dll):
    def check(result, function, arguments):
        raise KeyError("refused")

    dll.add.errcheck = check
    return outcome(dll.add, 1, 2)


@case
def errcheck_none(c, dll):
    return outcome(setattr, dll.add, "errcheck", None)


@case
def bad_prototypes(c, dll):
    return (
        outcome(setattr, dll.add, "argtypes", 5), outcome(setattr, dll.add, "argtypes", [int]),
        outcome(setattr, dll.add, "argtypes", [c.c_int, 5]), outcome(setattr, dll.add, "restype", 5),
        outcome(setattr, dll.add, "errcheck", 5), outcome(setattr, dll.add, "argtypes", None),
    )  # fmt: skip


@case
def prototype_attributes(c, dll):
    before = (dll.add.argtypes, dll.add.restype is c.c_int or dll.add.restype is c.c_long, dll.add.errcheck)
    prototyped(dll.add, c.c_short, c.c_short, c.c_short)
    return before, len(dll.add.argtypes), dll.add.restype is c.c_short, dll.add.__name__


@case
def restype_none(c, dll):
    dll.add.restype = None
    return outcome(dll.add, 1, 2)


@case
def restype_callable(c, dll):
    dll.add.restype = lambda value: ("made of", value)
    return outcome(dll.add, 1, -2)


@case
def restype_callable_that_raises(c, dll):
    def positive(value):
        if value < 0:
            raise ValueError(value)
        return value

    dll.add.restype = positive
    return outcome(dll.add, 1, 2), outcome(dll.add, 1, -2)


@case
def restype_subclass(c, dll):
    class Mine(c.c_short):
        pass

    dll.echo_int32.restype = Mine
    result = dll.echo_int32(70000)
    return type(result).__name__, result.value


@case
def restype_narrower(c, dll):
    results = []
    for kind in (c.c_byte, c.c_ubyte, c.c_short, c.c_ushort, c.c_bool, c.c_char, c.c_wchar):
        dll.echo_int32.restype = kind
        results.append(outcome(dll.echo_int32, 0x7FFF00E9))
    return results


@case
def restype_changed_between_calls(c, dll):
    first = dll.echo_int32(-1)
    dll.echo_int32.restype = c.c_uint
    second = dll.echo_int32(-1)
    dll.echo_int32.argtypes = [c.c_short]
    return first, second, dll.echo_int32(65536 + 5)


@case
def strings_as_results(c, dll):
    dll.greeting.restype = dll.no_greeting.restype = c.c_char_p
    dll.wide_greeting.restype = c.c_wchar_p
    return repr(dll.greeting()), repr(dll.no_greeting()), ascii(dll.wide_greeting())


@case
def wide_null_result(c, dll):
    dll.no_greeting.restype = c.c_wchar_p
    return outcome(dll.no_greeting)


@case
def void_pointer_null_result(c, dll):
    dll.no_greeting.restype = c.c_void_p
    return outcome(dll.no_greeting)


@case
def structure_by_pointer_result(c, dll):
    dll.get_point.restype = c.POINTER(point_type(c))
    return point_values(dll.get_point().contents), point_values(dll.get_point()[0])


@case
def numbers_by_pointer_result(c, dll):
    dll.get_table.restype = c.POINTER(c.c_int)
    dll.get_doubles.restype = c.POINTER(c.c_double)
    return (
        [dll.get_table()[k] for k in range(4)],
        dll.get_table()[1:3],
        dll.get_doubles()[:3],
        dll.get_doubles()[2:0:-1],
    )


@case
def write_through_a_pointer_result(c, dll):
    dll.get_table.restype = c.POINTER(c.c_int)
    table = dll.get_table()
    table[2] = 99
    changed = dll.get_table()[2]
    table[2] = 30
    return changed, outcome(table.__setitem__, 0, "x")


@case
def result_pointer_contents_write(c, dll):
    dll.get_table.restype = c.POINTER(c.c_int)
    dll.get_table().contents.value = 77
    seen = dll.get_table()[0]
    dll.get_table()[0] = 10
    return seen


@case
def pointer_result_passed_back(c, dll):
    dll.get_table.restype = c.POINTER(c.c_int)
    table = dll.get_table()
    typed = prototyped(dll["sum_array"], c.c_int, c.POINTER(c.c_int), c.c_int)
    untyped = dll["sum_array"]
    return dll.same(table, table), typed(table, 4), untyped(table, 4)


@case
def pointer_result_of_another_type(c, dll):
    dll.get_doubles.restype = c.POINTER(c.c_double)
    total = prototyped(dll.sum_array, c.c_int, c.POINTER(c.c_short), c.c_int)
    return outcome(total, dll.get_doubles(), 0)


@case
def pointers_by_pointer_result(c, dll):
    dll.get_tables.restype = c.POINTER(c.POINTER(c.c_int))
    dll.get_names.restype = c.POINTER(c.c_char_p)
    dll.get_wide_names.restype = c.POINTER(c.c_wchar_p)
    tables, names = dll.get_tables(), dll.get_names()
    wide = dll.get_wide_names()
    return tables[0][1], tables[1][0], tables.contents[2], [repr(names[k]) for k in range(3)], [wide[0], wide[1]]


@case
def field_called_value(c, dll):
    class Value(c.Structure):
        _fields_ = [("value", c.c_short), ("other", c.c_double)]

    dll.get_values.restype = c.POINTER(Value)
    item = dll.get_values()[1]
    return item.value, item.other


@case
def characters_by_pointer_result(c, dll):
    dll.greeting.restype, dll.wide_greeting.restype = c.POINTER(c.c_char), c.POINTER(c.c_wchar)
    return repr(dll.greeting()[0]), repr(dll.greeting()[:5]), ascii(dll.wide_greeting()[:4])


@case
def null_pointer_result(c, dll):
    dll.no_greeting.restype = c.POINTER(c.c_int)
    pointer = dll.no_greeting()
    return bool(pointer), outcome(lambda: pointer[0]), outcome(lambda: pointer.contents)


@case
def result_pointer_type(c, dll):
    dll.get_table.restype = c.POINTER(c.c_int)
    return type(dll.get_table()).__name__.startswith("LP_")


@case
def last_error_private_copy(c, dll):
    dll = c.CDLL(dll.path, use_last_error=True)
    before = c.set_last_error(5), c.get_last_error()
    seen = dll.last_error()
    dll.fail_with(7)
    return before[1], seen, c.get_last_error(), dll.last_error(), c.set_last_error(0)


@case
def last_error_of_all_ones(c, dll):
    c.CDLL(dll.path, use_last_error=True).fail_with(-1)
    return c.get_last_error(), outcome(c.set_last_error, 2**40), outcome(c.set_last_error, "x") != 0


@case
def last_error_not_kept_without_asking(c, dll):
    c.set_last_error(3)
    dll.fail_with(9)
    return c.get_last_error()


@case
def errno_private_copy(c, dll):
    dll = c.CDLL(dll.path, use_errno=True)
    c.set_errno(5)
    before = dll.set_errno_to(6)
    return before, c.get_errno(), c.set_errno(0)


@case
def read_violation(c, dll):
    return outcome(dll.read_at, 16), outcome(dll.read_at, None), outcome(dll.read_at, c.c_void_p(0x7FFF0))


@case
def write_violation(c, dll):
    return outcome(dll.write_at, 32), outcome(dll.write_at, None)


@case
def execute_violation(c, dll):
    return outcome(dll.call_at, 48)


@case
def winerror_of_an_access_violation(c, dll):
    try:
        dll.read_at(16)
    except OSError as error:
        return error.winerror


@case
def winerror_of_other_codes(c, dll):
    found = []
    for code in (0x1234, 0xE06D7363, 5):
        try:
            dll.raise_code(code)
        except OSError as error:
            found.append(error.winerror)
    return found


@case
def division_by_zero(c, dll):
    return outcome(dll.divide, 1, 0)


@case
def illegal_instruction(c, dll):
    return outcome(dll.illegal)


@case
def named_exceptions(c, dll):
    codes = (0x80000002, 0x80000004, 0xC0000025, 0xC000008C, 0xC000008D, 0xC000008E, 0xC000008F, 0xC0000090,
             0xC0000091, 0xC0000092, 0xC0000093, 0xC0000095, 0xC0000096)  # fmt: skip
    return [outcome(dll.raise_code, code) for code in codes]


@case
def written_before_a_fault(c, dll):
    buffer = c.create_string_buffer(16)
    return outcome(dll.write_then_crash, buffer), repr(buffer.value)


@case
def missing_function(c, dll):
    return outcome(getattr, dll, "ad")


@case
def has_function(c, dll):
    return hasattr(dll, "add"), hasattr(dll, "nosuch"), outcome(lambda: dll[1.5]), outcome(getattr, dll, "__nosuch__")


@case
def missing_ordinal(c, dll):
    return outcome(lambda: dll[60000])


@case
def missing_dll(c, dll):
    return outcome(c.CDLL, "winbridge-nosuch")


@case
def attributes_are_cached_items_are_not(c, dll):
    return dll.add is dll.add, dll["add"] is dll["add"], dll["add"] is dll.add


@case
def system_functions(c, dll):
    kernel32 = c.WinDLL("kernel32")
    lstrlen = prototyped(kernel32.lstrlenW, c.c_int, c.c_wchar_p)
    return outcome(lstrlen, "häu"), outcome(kernel32.MulDiv, 7, 6, 2), outcome(kernel32.IsBadReadPtr, 16, 4)


@case
def c_library_functions(c, dll):
    msvcrt = c.CDLL("msvcrt")
    power = prototyped(msvcrt.pow, c.c_double, c.c_double, c.c_double)
    room = c.create_string_buffer(40)
    return (
        outcome(power, 2, 0.5),
        outcome(msvcrt.sprintf, room, b"%05d|%s", 42, b"x"),
        repr(room.value),
        msvcrt.atoi(b" 12x"),
    )


@case
def system_structures(c, dll):
    class SystemTime(c.Structure):
        _fields_ = [(name, c.c_ushort) for name in ("y", "m", "w", "d", "hour", "minute", "second", "ms")]

    class FileTime(c.Structure):
        _fields_ = [("low", c.c_ulong), ("high", c.c_ulong)]

    kernel32, time, moment = c.WinDLL("kernel32"), FileTime(), SystemTime(2024, 2, 4, 29, 12, 34, 56, 789)
    done = kernel32.SystemTimeToFileTime(c.byref(moment), c.byref(time))
    back = SystemTime()
    kernel32.FileTimeToSystemTime(c.byref(time), c.byref(back))
    return done, time.low, time.high, [getattr(back, name) for name, _ in SystemTime._fields_]


@case
def stack_overflow(c, dll):  # last: a Windows Python has no guard page after it
    return outcome(dll.overflow_stack, 1)


def run(c, path):
    """Run all cases; yields each name and what came of it."""
    for name, function in CASES.items():
        dll = c.CDLL(path)
        dll.__dict__["path"] = path
        try:
            result = function(c, dll)
        except Exception as error:
            result = {"case failed": f"{type(error).__name__}: {error}"}
        yield name, json.loads(json.dumps(result, default=repr))


def main(path, report):
    import ctypes

    with open(report, "w") as file:
        for name, result in run(ctypes, path):
            file.write(json.dumps([name, result]) + "\n")
            file.flush()  # a crash of this process leaves what came before it


if __name__ == "__main__":
    main(*sys.argv[1:])
