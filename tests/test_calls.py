"""Calls through a prototype and without: arguments, results, memory, threads, processes; on both architectures."""

from __future__ import annotations

import asyncio
import ctypes
import math
import multiprocessing
import pickle
import struct
import threading
from concurrent.futures import ProcessPoolExecutor
from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_long, c_short, c_void_p, c_wchar_p
from multiprocessing import resource_tracker

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import winbridge
from winbridge import AgentDiedError, PrototypeError, RemotePointer, WindowsFault
from winbridge import ctypes as windows
from winbridge.ctypes.implicit import implicit

pytestmark = pytest.mark.wine
SESSIONS = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

INTEGERS = {
    "int8": (ctypes.c_byte, 8, True),
    "uint8": (ctypes.c_ubyte, 8, False),
    "int16": (ctypes.c_short, 16, True),
    "uint16": (ctypes.c_ushort, 16, False),
    "int32": (ctypes.c_int, 32, True),
    "uint32": (ctypes.c_uint, 32, False),
    "int64": (windows.c_longlong, 64, True),
    "uint64": (windows.c_ulonglong, 64, False),
    "long": (windows.c_long, 32, True),
    "ulong": (windows.c_ulong, 32, False),
}


class Point(ctypes.Structure):
    _fields_ = (("tag", ctypes.c_char), ("x", c_long), ("y", c_long), ("z", c_double), ("name", ctypes.c_wchar * 8))

    def values(self):
        return self.tag, self.x, self.y, self.z, self.name


def wrapped(value: int, bits: int, signed: bool) -> int:
    value %= 1 << bits
    return value - (1 << bits) if signed and value >> (bits - 1) else value


EDGES = [sign * 2**bits + off for bits in (7, 8, 15, 16, 31, 32, 63, 64) for sign in (1, -1) for off in (-1, 0, 1)]


@pytest.mark.parametrize("name", INTEGERS)
@many
@given(value=st.integers(-(2**66), 2**66) | st.sampled_from(EDGES))
def test_integers_of_every_width_wrap(specimen, name, value):
    kind, bits, signed = INTEGERS[name]
    echo = specimen["echo_" + name]
    echo.argtypes, echo.restype = [kind], kind
    assert echo(value) == wrapped(value, bits, signed)


@many
@given(value=st.floats(allow_nan=False))
def test_doubles(specimen, value):
    echo = specimen["echo_double"]
    echo.argtypes, echo.restype = [c_double], c_double
    assert struct.pack("<d", echo(value)) == struct.pack("<d", value)


@many
@given(value=st.floats(allow_nan=False))
def test_floats_are_rounded_as_c_rounds(specimen, value):
    echo = specimen["echo_float"]
    echo.argtypes, echo.restype = [c_float], c_float
    assert struct.pack("<d", echo(value)) == struct.pack("<d", c_float(value).value)


def test_not_a_number(specimen):
    for name, kind in (("double", c_double), ("float", c_float)):
        echo = specimen["echo_" + name]
        echo.argtypes, echo.restype = [kind], kind
        assert math.isnan(echo(math.nan))


WHOLE = st.integers(-(2**20), 2**20)
WIDE = st.integers(-(2**50), 2**50)


@many
@given(
    values=st.tuples(
        st.integers(-128, 127),
        WIDE,
        WIDE,
        WHOLE,
        st.integers(-(2**15), 2**15 - 1),
        WIDE,
        st.integers(0, 2**32 - 1),
        WHOLE,
        WIDE,
    )
)
def test_integers_and_reals_in_all_positions(specimen, values):
    mixed = specimen["mixed"]
    small = [ctypes.c_int8, c_double, windows.c_longlong, c_float]
    mixed.argtypes = [*small, ctypes.c_int16, c_double, ctypes.c_uint32, c_float, windows.c_longlong]
    mixed.restype = windows.c_longlong
    assert mixed(*values) == sum(values)


@many
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=10, max_size=10))
def test_ten_doubles(specimen, values):
    total = specimen["sum_doubles"]
    total.argtypes, total.restype = [c_double] * 10, c_double
    assert total(*values) == pytest.approx(sum(n * value for n, value in enumerate(values, 1)))


@many
@given(values=st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_variadic_doubles(specimen, values):
    total = specimen["variadic"]
    total.restype = c_double
    assert total(len(values), *map(c_double, values)) == pytest.approx(sum(values))


def test_variadic_text(specimen):
    room = ctypes.create_string_buffer(200)
    count = specimen.format(
        room, 200, b"%s is %d or %.2f or %I64d, %ls", b"it", -5, c_double(1.25), windows.c_longlong(2**40), "wide"
    )
    assert room.value == b"it is -5 or 1.25 or 1099511627776, wide" and count == len(room.value)


@pytest.mark.win32
def test_stdcall_on_win32(dll_folder):
    stdcall = winbridge.load_dll(dll_folder / "win32" / "specimen.dll")
    assert stdcall.add_stdcall(2, 3) == 5
    stdcall.stdcall_mixed.argtypes = [c_int, c_double, windows.c_longlong]
    stdcall.stdcall_mixed.restype = windows.c_longlong
    assert stdcall.stdcall_mixed(-1, 2.0, 2**40) == 2**40 + 1
    with pytest.raises(ValueError, match=r"not enough arguments \(4 bytes missing\)"):
        stdcall.add_stdcall(2)
    with pytest.raises(ValueError, match=r"too many arguments \(8 bytes in excess\): add; .*convention='cdecl'"):
        stdcall.add(2, 3)
    cdecl = winbridge.load_dll(dll_folder / "win32" / "specimen.dll", convention="cdecl")
    with pytest.raises(ValueError, match=r"not enough arguments \(8 bytes missing\)"):
        cdecl.add_stdcall(2, 3)
    assert stdcall.add_stdcall(2, 3) == cdecl.add(2, 3) == 5


@many
@given(text=st.text(st.characters(exclude_characters="\0"), max_size=80))
def test_text_is_utf_16_on_the_way_there(specimen, text):
    assert specimen.wide_length(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@many
@given(data=st.binary(max_size=80))
def test_bytes_end_at_the_first_zero(specimen, data):
    before = bytes(bytearray(data))
    assert specimen.length(data) == len(data.split(b"\0")[0])
    assert data == before


def test_results_that_are_texts(specimen):
    specimen.greeting.restype = specimen.no_greeting.restype = c_char_p
    specimen.wide_greeting.restype = c_wchar_p
    assert (specimen.greeting(), specimen.no_greeting(), specimen.wide_greeting()) == (b"hello", None, "héllo 😀")
    specimen.no_greeting.restype = c_wchar_p
    assert specimen.no_greeting() is None


def test_a_long_text_result(specimen):
    """Longer than what is fetched at a time, and right up to the end of a page."""
    memory = specimen.session().memory
    echo = specimen.echo_pointer
    for length in (0, 1, 255, 256, 257, 4095, 4096, 100_000):
        address = memory.alloc(2 * length + 2)
        memory.write(address, b"x" * length + b"\0")
        echo.restype = c_char_p
        assert echo(c_void_p(address)) == b"x" * length
        memory.write(address, ("é" * length + "\0").encode("utf-16-le"))
        echo.restype = c_wchar_p
        assert echo(c_void_p(address)) == "é" * length
        memory.free(address)


def test_pointer_results_as_numbers(specimen):
    specimen.echo_pointer.restype = c_void_p
    top = 2 ** (8 * specimen.session().pointer_size) - 1
    assert [specimen.echo_pointer(c_void_p(value)) for value in (0, 1, top)] == [None, 1, top]
    specimen.get_table.restype = c_void_p
    assert specimen.session().memory.read(specimen.get_table(), 16) == struct.pack("<4i", 10, 20, 30, 40)


def test_a_character_that_takes_two_units(specimen):
    specimen.echo_wchar.argtypes, specimen.echo_wchar.restype = [ctypes.c_wchar], ctypes.c_wchar
    assert specimen.echo_wchar("é") == "é"
    with pytest.raises(ctypes.ArgumentError, match="argument 1: TypeError: one character unicode string expected"):
        specimen.echo_wchar("😀")


def test_none_bool_and_null(specimen):
    assert specimen.length(None) == specimen.wide_length(None) == -1
    assert specimen.add(True, False) == 1
    specimen.echo_bool.argtypes = [ctypes.c_bool]
    specimen.echo_bool.restype = ctypes.c_bool
    assert [specimen.echo_bool(value) for value in (True, 0, [], "x")] == [True, False, False, True]


def test_byref_with_an_offset_counts_as_the_host_does(specimen):
    """Fields lie elsewhere on Windows: the offset is translated."""
    point, other = Point(b"a", 1, 2, 3.5, "name"), Point()
    assert specimen.length(byref(point)) == 1
    assert specimen.wide_length(byref(point, Point.name.offset)) == 4
    specimen.double_in_place(byref(point, Point.y.offset))
    longs = (c_long * 4)(1, 2, 3, 4)
    specimen.double_in_place(byref(longs, 2 * ctypes.sizeof(c_long)))
    assert (point.x, point.y, list(longs)) == (1, 4, [1, 2, 6, 4])
    specimen.distance.restype = windows.c_longlong
    sizes = specimen.distance(byref(other), byref(other, ctypes.sizeof(other)))
    assert sizes == specimen.point_size() == implicit(specimen.session().arch).sizeof(Point)


def test_structures_whose_layout_differs(specimen):
    point = Point(b"a", 1, -2, 0.5, "start")
    specimen.move_point(byref(point), 10, 20)
    assert point.values() == (b"b", 11, 18, 29.0, "moved")
    points = (Point * 3)(point, Point(b"x"), point)
    specimen.move_point(byref(points[1]), -1, -1)
    assert points[1].values() == (b"y", -1, -1, -2.0, "moved")
    assert points[0].values() == points[2].values() == point.values()


def test_declared_pointers_take_instance_byref_pointer_array_and_none(specimen):
    specimen.move_point.argtypes = [POINTER(Point), c_long, c_long]
    points = (Point * 2)()
    for argument in (points, points[0], byref(points[0]), ctypes.pointer(points[0])):
        specimen.move_point(argument, 1, 2)
    assert (points[0].tag, points[0].x, points[0].y) == (b"\4", 4, 8)
    specimen.same.argtypes = [POINTER(Point), c_void_p]
    assert specimen.same(None, None) == 1
    with pytest.raises(ctypes.ArgumentError, match="expected LP_Point instance instead of c_int"):
        specimen.same(c_int(1), None)


def test_a_text_too_long_for_its_field_on_windows(specimen):
    """Eight characters that take two wchar_t each fit on the host alone."""
    point = Point(name="😀" * 8)
    with pytest.raises(ValueError, match="does not fit 8"):
        specimen.move_point(byref(point), 0, 0)


def test_long_fields_beyond_32_bits(specimen):
    point = Point(x=2**40)
    with pytest.raises(OverflowError, match="long has 4"):
        specimen.move_point(byref(point), 0, 0)


@pytest.mark.parametrize("declared", [True, False])
def test_long_arguments_beyond_32_bits(specimen, declared):
    echo = specimen["echo_long"]
    echo.argtypes = [c_long] if declared else None
    give = (lambda value: value) if declared else c_long
    assert [echo(give(value)) for value in (-(2**31), 2**31 - 1, 2**32 - 1)] == [-(2**31), 2**31 - 1, -1]
    for value in (2**40, 2**32, -(2**31) - 1):
        with pytest.raises(ctypes.ArgumentError, match=rf"argument 1: OverflowError: {value} .*c_longlong"):
            echo(give(value))
    assert echo(give(5)) == 5


def test_objects_with_as_parameter(specimen):
    class Holder:
        def __init__(self, value):
            self._as_parameter_ = value

    number = c_int(4)
    specimen.double_in_place(Holder(byref(number)))
    assert number.value == 8
    assert [specimen.length(Holder(value)) for value in (b"abc", None, ctypes.create_string_buffer(b"z"))] == [3, -1, 1]
    specimen.echo_double.argtypes = [c_double]
    specimen.echo_double.restype = c_double
    assert specimen.echo_double(Holder(Holder(1.5))) == 1.5


def test_a_foreign_function_as_an_argument_is_its_address(specimen):
    specimen.echo_pointer.restype = c_void_p
    assert specimen.echo_pointer(specimen.add) == specimen.add.address


def test_own_from_param_and_errcheck(specimen):
    class Celsius:
        @staticmethod
        def from_param(value):
            if not isinstance(value, str):
                raise TypeError("expected text such as '20 C'")
            return c_double(float(value.split()[0]))

    echo = specimen["echo_double"]
    echo.argtypes, echo.restype = [Celsius], c_double
    echo.errcheck = lambda result, function, arguments: (result, function is echo, arguments)
    assert echo("20.5 C") == (20.5, True, ("20.5 C",))
    with pytest.raises(ctypes.ArgumentError, match="argument 1: TypeError: expected text"):
        echo(20.5)
    echo.errcheck = None
    assert echo("1 C") == 1.0


def test_restype_callable_and_subclass(specimen):
    class Status(c_int):
        ok = property(lambda self: self.value >= 0)

    specimen.add.restype = lambda value: f"<{value}>"
    assert specimen.add(1, -3) == "<-2>"
    specimen.add.restype = Status
    result = specimen.add(1, -3)
    assert isinstance(result, Status) and (result.value, result.ok) == (-2, False)


def test_remote_pointers(specimen):
    specimen.get_table.restype = POINTER(c_int)
    table = specimen.get_table()
    assert isinstance(table, RemotePointer) and table and table == specimen.get_table()
    assert [table[k] for k in range(4)] == table[:4] == [10, 20, 30, 40]
    assert table.contents.value == 10 and specimen.sum_array(table, 4) == 100
    table[3] = -4
    assert specimen.sum_array(table, 4) == 56
    specimen.double_in_place(table)
    assert table[0] == 20
    specimen.sum_array.argtypes = [POINTER(c_int), c_int]
    assert specimen.sum_array(table, 2) == 40
    assert "to Windows address 0x" in repr(table)


def test_remote_structures(specimen):
    specimen.get_point.restype = POINTER(Point)
    point = specimen.get_point()
    assert point.contents.values() == (b"o", -1, 2**31 - 1, 0.5, "origin")
    point[0] = Point(b"p", 5, 6, 7.5, "here")
    assert specimen.get_point()[0].values() == (b"p", 5, 6, 7.5, "here")
    specimen.move_point.argtypes = [POINTER(Point), c_long, c_long]
    specimen.move_point(point, 1, 1)
    assert point[0].name == "moved"


def test_null_remote_pointer(specimen):
    specimen.no_greeting.restype = POINTER(c_int)
    null = specimen.no_greeting()
    assert not null and null.address == 0
    with pytest.raises(ValueError, match="NULL pointer access"):
        null[0]
    with pytest.raises(ValueError, match="NULL pointer access"):
        null.contents  # noqa: B018
    assert specimen.length(null) == -1


def test_a_remote_pointer_to_nowhere(specimen):
    specimen.echo_pointer.restype = POINTER(c_int)
    with pytest.raises(WindowsFault, match="access violation reading"):
        specimen.echo_pointer(16)[0]


@pytest.mark.win64
@pytest.mark.win32
def test_a_pointer_of_another_session_is_refused(dll_folder):
    sides = [winbridge.load_dll(dll_folder / arch / "specimen.dll", convention="cdecl") for arch in SESSIONS]
    sides[0].get_table.restype = POINTER(c_int)
    with pytest.raises(ctypes.ArgumentError, match="argument 1: .*another session"):
        sides[1].sum_array(sides[0].get_table(), 4)


def test_use_last_error_is_private_and_by_thread(specimen_path):
    dll = winbridge.load_dll(specimen_path, convention="cdecl", use_last_error=True)
    seen = []

    def work():
        seen.append(winbridge.get_last_error())
        dll.fail_with(22)
        seen.append(winbridge.get_last_error())

    winbridge.set_last_error(5)
    assert dll.last_error() == 5
    dll.fail_with(11)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [0, 22] and winbridge.get_last_error() == 11
    assert winbridge.set_last_error(0) == 11 and dll.last_error() == 0


def test_last_error_stays_between_plain_calls(specimen, arch):
    get_last_error = winbridge.load_dll("kernel32", arch=arch).GetLastError
    winbridge.set_last_error(99)
    specimen.fail_with(1234)
    assert get_last_error() == specimen.last_error() == 1234
    assert winbridge.get_last_error() == 99
    winbridge.set_last_error(0)


def test_use_errno(specimen_path):
    dll = winbridge.load_dll(specimen_path, convention="cdecl", use_errno=True)
    winbridge.set_errno(5)
    assert dll.set_errno_to(6) == 5
    assert winbridge.get_errno() == 6 and winbridge.set_errno(0) == 6


def test_the_same_object_twice_is_one_object(specimen):
    number, text, buffer = c_int(1), b"text", ctypes.create_string_buffer(8)
    assert specimen.same(byref(number), byref(number)) == specimen.same(text, text) == 1
    assert specimen.same(buffer, byref(buffer)) == specimen.same(ctypes.pointer(number), byref(number)) == 1
    assert specimen.same(byref(number), byref(c_int(1))) == 0
    points = (Point * 2)()
    specimen.swap_points(byref(points[0]), byref(points[0]))


def test_a_part_is_within_its_whole(specimen):
    points = (Point * 3)(Point(b"1", 1), Point(b"2", 2), Point(b"3", 3))
    specimen.distance.restype = windows.c_longlong
    assert specimen.distance(points, byref(points[2])) == 2 * specimen.point_size()
    assert specimen.distance(byref(points[1]), points) == -specimen.point_size()
    specimen.swap_points(points, byref(points[2]))
    assert [point.values()[:2] for point in points] == [(b"3", 3), (b"2", 2), (b"1", 1)]


@pytest.mark.parametrize("count", [100, 1023])
def test_many_arguments(specimen, count):
    specimen.variadic_ints.restype = windows.c_longlong
    values = range(-50, count - 50)
    assert specimen.variadic_ints(count, *values) == sum(n * value for n, value in enumerate(values, 1))


def test_too_many_arguments(specimen):
    with pytest.raises(ctypes.ArgumentError, match=r"too many arguments \(1025\), maximum is 1024"):
        specimen.variadic_ints(*[0] * 1025)


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_large_buffers(arch, specimen_path, transport):
    SESSIONS[arch](transport=transport)
    specimen = winbridge.load_dll(specimen_path, convention="cdecl")
    size = 16 << 20
    buffer = ctypes.create_string_buffer(size)
    specimen.fill(buffer, size - 1, 65)
    assert buffer.raw == b"A" * (size - 1) + b"\0"
    data = bytes(range(256)) * 8
    specimen.checksum.restype = ctypes.c_uint
    expected = 0
    for byte in data:
        expected = (expected * 31 + byte) & 0xFFFFFFFF
    assert specimen.checksum(data, len(data)) == expected
    assert specimen.length(b"x" * size) == size
    assert specimen.add(2, 3) == 5


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_what_was_written_before_a_fault_is_there(arch, specimen_path, transport):
    SESSIONS[arch](transport=transport)
    specimen = winbridge.load_dll(specimen_path, convention="cdecl")
    buffer = ctypes.create_string_buffer(16)
    with pytest.raises(WindowsFault, match="writing"):
        specimen.write_then_crash(buffer)
    assert buffer.value == b"written"


def test_names_and_defaults_by_function(arch):
    @winbridge.function("kernel32", arch=arch)
    def MulDiv(number: c_int, numerator: c_int = 6, denominator: c_int = 2) -> c_int:
        """number * numerator / denominator."""

    assert MulDiv(7) == MulDiv(number=7) == 21
    assert MulDiv(7, denominator=3) == MulDiv(7, 6, 3) == 14
    assert MulDiv.__doc__ == "number * numerator / denominator." and MulDiv.argtypes == (c_int,) * 3
    for wrong, text in (
        (lambda: MulDiv(), "missing argument: number"),
        (lambda: MulDiv(1, nonsense=2), "no parameter is called 'nonsense'"),
        (lambda: MulDiv(1, number=2), "given twice"),
        (lambda: MulDiv(1, 2, 3, 4), r"takes 3 arguments \(4 given\)"),
    ):
        with pytest.raises(TypeError, match=text):
            wrong()


def test_function_with_texts_none_and_another_name(specimen):
    @winbridge.function(specimen, name="wide_length")
    def length_of(text: c_wchar_p = None) -> c_int: ...  # noqa: RUF013

    @winbridge.function(specimen)
    def double_in_place(value: POINTER(c_int)) -> None: ...

    @winbridge.function(specimen)
    def add(a: c_int, b: c_int): ...

    number = c_int(5)
    assert length_of() == -1 and length_of("abc") == 3
    assert double_in_place(byref(number)) is None and number.value == 10
    assert add(1, 2) == 3


def test_function_refuses_what_c_does_not_know(specimen):
    for declared in (lambda a, *more: 0, lambda *, a: 0, lambda a: 0):
        declared.__name__ = "add"
        with pytest.raises(PrototypeError, match="add"):
            winbridge.function(specimen)(declared)


def test_plain_functions_have_no_parameter_names(specimen):
    with pytest.raises(TypeError, match="no parameter names"):
        specimen.add(a=1, b=2)


def test_call_once(arch, specimen_path):
    assert winbridge.call("kernel32", "MulDiv", 7, 6, 2, arch=arch) == 21
    options = {"convention": "cdecl", "argtypes": [c_double], "restype": c_double}
    assert winbridge.call(specimen_path, "echo_double", 1.5, **options) == 1.5


def test_submit_map_and_async(specimen):
    futures = [specimen.add.submit(k, 1) for k in range(50)]
    assert [future.result() for future in futures] == list(range(1, 51))
    assert specimen.add.map((k, 2) for k in range(5)) == [2, 3, 4, 5, 6]
    assert specimen.length.map([b"a", "", None]) == [1, 0, -1]

    async def together():
        return await asyncio.gather(*(specimen.add.call_async(k, 3) for k in range(20)))

    assert asyncio.run(together()) == list(range(3, 23))
    with pytest.raises(WindowsFault):
        specimen.read_at.submit(16).result()


def test_submitted_calls_run_beside_each_other(specimen, arch):
    kernel32 = winbridge.load_dll("kernel32", arch=arch)
    event = c_void_p(kernel32.CreateEventA(None, True, False, None))
    here, forever = specimen.thread_id(), -1
    waiting = kernel32.WaitForSingleObject.submit(event, forever)
    others = {specimen.thread_id.submit().result() for _ in range(5)}
    assert not waiting.done() and here not in others
    assert kernel32.SetEvent(event) == 1
    assert waiting.result() == 0
    kernel32.CloseHandle(event)


def test_a_submitted_call_changes_its_arguments(specimen):
    number = c_int(21)
    specimen.double_in_place.submit(byref(number)).result()
    assert number.value == 42


@pytest.fixture
def spawn():
    """Processes made anew; the standard library's helper for them is stopped again, for the check on leaks."""
    running = resource_tracker._resource_tracker._fd is not None
    yield multiprocessing.get_context("spawn")
    if not running:
        resource_tracker._resource_tracker._stop()


def use_in_another_process(dll, add, total):
    return dll.add(1, 2), add(3, 4), total((c_double * 3)(1, 2, 3), 3), total.argtypes[0]._type_.__name__


def work_elsewhere(queue, *arguments):
    queue.put(use_in_another_process(*arguments))


def prototyped_pair(dll):
    add, total = dll["add"], dll["reverse_doubles"]
    add.argtypes, add.restype = [c_short, c_int], windows.c_longlong
    total.argtypes, total.restype = [POINTER(c_double), c_int], None
    return add, total


def test_handles_pickle_to_another_process(specimen, spawn):
    queue = spawn.SimpleQueue()
    process = spawn.Process(target=work_elsewhere, args=(queue, specimen, *prototyped_pair(specimen)))
    process.start()
    assert queue.get() == (3, 7, None, "c_double")
    process.join()
    assert process.exitcode == 0
    queue.close()


def test_functions_map_over_a_process_pool(specimen, spawn):
    add, _ = prototyped_pair(specimen)
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        assert list(pool.map(add, range(20), range(20))) == [2 * k for k in range(20)]


def test_what_a_pickled_function_keeps(specimen):
    function = specimen["sum_array"]
    function.argtypes = [c_int * 4, POINTER(POINTER(Point)), (c_short * 2) * 3, Point]
    function.restype = POINTER(c_int)
    function.errcheck = use_in_another_process
    copy = pickle.loads(pickle.dumps(function))
    assert copy.argtypes == function.argtypes
    assert (copy.restype, copy.errcheck, copy.name) == (function.restype, function.errcheck, "sum_array")
    plain = pickle.loads(pickle.dumps(specimen["add"]))
    assert plain(2, 3) == 5


def test_tied_handles_do_not_pickle(arch, specimen_path):
    tied = SESSIONS[arch]().load_dll(specimen_path, convention="cdecl")
    for handle in (tied, tied.add):
        with pytest.raises(PrototypeError, match="tied to one session"):
            pickle.dumps(handle)


def test_eight_threads_at_once(specimen):
    failures = []

    def work(number):
        try:
            for k in range(150):
                array = (c_int * 50)(*range(k, k + 50))
                text = "x" * (number * 10 + k % 7)
                value = c_int(number)
                specimen.double_in_place(byref(value))
                results = (
                    specimen.add(number, k),
                    specimen.sum_array(array, 50),
                    specimen.wide_length(text),
                    value.value,
                )
                assert results == (number + k, sum(range(k, k + 50)), len(text), 2 * number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


SHARED_ARRAY = """
import ctypes, sys, threading, winbridge

class Point(ctypes.Structure):
    _fields_ = [("tag", ctypes.c_char), ("x", ctypes.c_int), ("y", ctypes.c_int),
                ("z", ctypes.c_double), ("name", ctypes.c_wchar * 8)]

getattr(winbridge, sys.argv[2])(transport=sys.argv[3])
specimen = winbridge.load_dll(sys.argv[1], convention="cdecl")
points = (Point * 8)()

def work(point):
    for _ in range(50):
        specimen.move_point(ctypes.byref(point), 1, 2)

threads = [threading.Thread(target=work, args=(point,)) for point in points]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print({(point.x, point.y) for point in points})
"""


@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_threads_share_an_array_by_its_items(run_python, arch, specimen_path, transport):
    """Each brings back its own item only, not its neighbours as they were before.

    In a process of its own: a stream carries all of the heap at each call, and that of the tests is large.
    """
    done = run_python(SHARED_ARRAY, str(specimen_path), SESSIONS[arch].__name__, transport)
    assert (done.stdout, done.stderr) == ("{(50, 100)}\n", "")


def test_handles_survive_a_new_session(specimen, arch):
    add, first = specimen.add, specimen.session()
    assert add(1, 2) == 3
    fresh = SESSIONS[arch].new_session(id="another")
    assert add(2, 3) == 5 and specimen.session() is fresh and first.closed
    assert specimen.length(b"abc") == 3


def test_old_sessions_are_not_kept(specimen, arch):
    for _ in range(3):
        SESSIONS[arch].new_session()
        assert specimen.add(1, 2) == 3
    assert len(specimen.add._bindings) == 1


def test_after_a_fork_no_function_uses_the_parents_session(specimen, run_python):
    code = """
import os, sys, winbridge
dll = winbridge.load_dll(sys.argv[1], convention="cdecl")
dll.add(1, 2), dll.length(b"x")
child = os.fork()
if child == 0:
    try:
        status = 0 if (dll.add(2, 3), dll.length(b"xyz")) == (5, 3) else 1
        winbridge.SessionEngine.close_all()
    finally:
        os._exit(status)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), dll.add(3, 4))
"""
    done = run_python(code, specimen.name)
    assert done.stdout == "0 7\n", done.stderr


def test_a_call_on_a_dead_session_and_the_next(specimen):
    with pytest.raises(AgentDiedError):
        specimen.leave(3)
    assert specimen.sum_array((c_int * 3)(1, 2, 3), 3) == 6


def test_wrong_use(specimen):
    specimen.echo_int16.argtypes = [c_short]
    for wrong, kind, text in (
        (
            lambda: specimen.add(1.5, 1),
            ctypes.ArgumentError,
            "argument 1: TypeError: Don't know how to convert parameter 1",
        ),
        (lambda: specimen.add(1, 2**32), ctypes.ArgumentError, "argument 2: OverflowError: int too long to convert"),
        (lambda: specimen.echo_int16(), TypeError, "this function takes at least 1 argument (0 given)"),
        (
            lambda: specimen.length(ctypes.py_object(1)),
            ctypes.ArgumentError,
            "argument 1: py_object means nothing to a DLL",
        ),
    ):
        with pytest.raises(kind) as caught:
            wrong()
        assert str(caught.value).startswith(text)
    with pytest.raises(ctypes.ArgumentError, match="argument 1: ") as caught:
        specimen.echo_int16("x")
    assert isinstance(caught.value, PrototypeError)
    assert specimen.echo_int16(5) == 5


def test_a_callback_is_refused_clearly(specimen):
    callback = ctypes.CFUNCTYPE(None)(lambda: None)
    with pytest.raises(ctypes.ArgumentError, match="argument 1: a Python callback cannot be passed"):
        specimen.call_at(callback)
