"""Whole-array calls: map and vectorize do what a loop of calls does, and tell which item failed."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import time
from ctypes import (
    c_bool,
    c_byte,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_short,
    c_ubyte,
    c_uint,
    c_ushort,
    c_void_p,
)

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import winbridge
from tests.fix_dlls import NATIVE, compile_dll
from winbridge import CallTimeoutError, Win32Session, Win64Session, WindowsFault, WireError, load_dll, shared_array
from winbridge import ctypes as windows
from winbridge.core import wire
from winbridge.core.wire import Column, Op, Result
from winbridge.dll.own import c_longlong, c_ulonglong

pytestmark = pytest.mark.wine
SESSIONS = {"win64": Win64Session, "win32": Win32Session}
some = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NUMBERS = {
    "int8": (c_byte, "b"), "uint8": (c_ubyte, "B"), "int16": (c_short, "h"), "uint16": (c_ushort, "H"),
    "int32": (c_int, "i"), "uint32": (c_uint, "I"), "int64": (c_longlong, "q"), "uint64": (c_ulonglong, "Q"),
    "float": (c_float, "f"), "double": (c_double, "d"), "bool": (c_bool, "?"),
}  # fmt: skip
BLEND = [kind for kind, _ in list(NUMBERS.values())[:10]]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {
        (name, arch): compile_dll(arch, NATIVE / f"{name}.c", folder / f"{name}-{arch}.dll")
        for name in ("whole", "specimen")
        for arch in SESSIONS
    }


@pytest.fixture(
    params=[
        pytest.param((carrier, arch), marks=getattr(pytest.mark, arch), id=f"{carrier}-{arch}")
        for carrier in ("shm", "stream", "http")
        for arch in SESSIONS
    ]
)
def session(request):
    carrier, arch = request.param
    if carrier == "http":
        gateway = request.getfixturevalue("gateway")
        return winbridge.GatewaySession(gateway.url, token=gateway.token, arch=arch)
    return SESSIONS[arch](transport=carrier)


def dll_of(session, paths, name="whole", **options):
    path = "Z:" + str(paths[name, session.arch]).replace("/", "\\")
    return load_dll(path, session=session, **{"convention": "cdecl", **options})


@pytest.fixture
def whole(session, paths):
    return dll_of(session, paths)


@pytest.fixture
def near(arch, paths):
    """The same without the carriers: over shared memory."""
    return dll_of(SESSIONS[arch](), paths)


def declared(function, restype, *argtypes):
    function.restype, function.argtypes = restype, argtypes
    return function


def looped(function, *columns):
    return [function(*item) for item in zip(*columns, strict=True)]


# The same as a loop.


@pytest.mark.parametrize("name", NUMBERS)
@given(data=st.data())
@some
def test_every_number_comes_back_as_from_a_loop(near, paths, name, data):
    kind, code = NUMBERS[name]
    echo = declared(dll_of(near.session(), paths, "specimen")[f"echo_{name}"], kind, kind)
    array = data.draw(arrays.arrays(code, arrays.array_shapes(min_dims=0, max_dims=3, max_side=4)))
    result = echo.vectorize(array)
    assert result.dtype == array.dtype and result.shape == array.shape
    numpy.testing.assert_array_equal(result, array)
    values = array.ravel().tolist()
    numpy.testing.assert_equal(echo.map(values), [echo(value) for value in values])
    assert list(map(type, echo.map(values))) == [type(echo(value)) for value in values]


@given(shapes=arrays.mutually_broadcastable_shapes(num_shapes=10, max_dims=3, max_side=4), data=st.data())
@some
def test_arguments_of_all_widths_are_broadcast(near, shapes, data):
    codes = [code for _, code in list(NUMBERS.values())[:10]]
    given_arrays = [
        data.draw(arrays.arrays(code, shape, elements=st.integers(0, 100)))
        for code, shape in zip(codes, shapes.input_shapes, strict=True)
    ]
    everywhere = numpy.broadcast_arrays(*given_arrays)
    for function in (near.blend, load_dll(near.name, session=near.session()).blend_stdcall):
        declared(function, c_double, *BLEND)
        expected = [function(*item) for item in zip(*[each.ravel().tolist() for each in everywhere], strict=True)]
        result = function.vectorize(*given_arrays)
        assert numpy.shape(result) == shapes.result_shape
        assert numpy.ravel(result).tolist() == expected
        assert function.map(*[each.ravel().tolist() for each in everywhere]) == expected


def test_over_every_carrier(whole, paths):
    add = declared(dll_of(whole.session(), paths, "specimen").add, c_int, c_int, c_int)
    left, right = numpy.arange(100_000, dtype="i"), numpy.arange(100_000, dtype="i")[::-1]
    assert (add.vectorize(left, right) == 99_999).all()
    assert add.map(range(3000), range(3000)) == list(range(0, 6000, 2))
    declared(whole.blend, c_double, *BLEND)
    assert whole.blend.map([tuple(range(1, 11))] * 3) == [385.0] * 3
    assert whole.blend.vectorize(*range(1, 9), 9.0, 10.0) == 385


def test_layouts_of_arrays(near, paths):
    add = declared(dll_of(near.session(), paths, "specimen").add, c_int, c_int, c_int)
    grid = numpy.arange(60, dtype="i").reshape(5, 12)
    for array in (grid.T, grid[::2, ::3], grid[:, ::-1], numpy.asfortranarray(grid), grid.astype(">i4"), grid.tolist()):
        numpy.testing.assert_array_equal(add.vectorize(array, 1), numpy.asarray(array) + 1)
    misaligned = numpy.frombuffer(b"x" + grid.tobytes(), "u1")[1:].view("i")
    numpy.testing.assert_array_equal(add.vectorize(misaligned, 0), grid.ravel())
    assert add.vectorize(numpy.empty((0, 3), "i"), 1).shape == (0, 3)
    assert add.vectorize([], 1).shape == (0,)
    assert add.vectorize(2**32 + 5, -1) == 4  # Python's ints wrap, as in a call


def test_tuples_iterables_and_singles(near, paths):
    specimen = dll_of(near.session(), paths, "specimen")
    assert specimen.add.map([(1, 2), (3, 4)]) == [3, 7]
    assert specimen.add.map([1, 3], (2, 4, 6)) == [3, 7]
    assert specimen.echo_int32.map([1, True, 3]) == [1, 1, 3]
    assert specimen.length.map([b"a", "", None, b"four"]) == [1, 0, -1, 4]
    assert specimen.none.map([()] * 5) == [7] * 5
    assert specimen.add.map([]) == []
    declared(specimen.echo_double, c_double, c_double)
    assert specimen.echo_double.map([1, 2.5, True, 3]) == [1.0, 2.5, 1.0, 3.0]
    declared(specimen.echo_uint8, c_ubyte, c_ubyte)
    assert specimen.echo_uint8.map([255, 256, -1, 3]) == [255, 0, 255, 3]


@pytest.mark.parametrize(
    ("restype", "values"),
    [
        (None, [5]), (c_bool, [0, 1, 256]), (c_void_p, [0, 16]), (windows.c_uint, [-1]),
        (ctypes.POINTER(c_int), [0]), (type("Own", (c_int,), {}), [7]), (lambda value: value * 2, [4]), (c_char_p, [0]),
    ],
)  # fmt: skip
def test_results_are_converted_as_in_a_loop(near, paths, restype, values):
    echo = declared(dll_of(near.session(), paths, "specimen").echo_int32, restype, c_int)
    mapped, single = echo.map(values * 2), [echo(value) for value in values * 2]
    assert list(map(type, mapped)) == list(map(type, single))
    plain = [getattr(value, "address", getattr(value, "value", value)) for value in mapped]
    assert plain == [getattr(value, "address", getattr(value, "value", value)) for value in single]


def test_items_are_taken_lazily_and_in_order(near):
    declared(near.count_calls, c_int, c_int)
    taken = []

    def items():
        for index in range(5):
            taken.append((index, near.calls_so_far()))
            yield index

    near.reset_calls()
    assert near.count_calls.map(items(), chunk=1) == [1, 2, 3, 4, 5]
    assert taken == [(index, index) for index in range(5)]
    near.reset_calls()
    assert near.count_calls.map(range(100_000)) == list(range(1, 100_001))
    with pytest.raises(ValueError, match="chunk is 0"):
        near.count_calls.map([1], chunk=0)


def test_an_iterable_that_fails_fails_after_the_calls_before(near):
    near.reset_calls()
    with pytest.raises(ZeroDivisionError):
        near.count_calls.map(1 // (5 - index) for index in range(10))
    assert near.calls_so_far() == 5


def test_defaults_of_a_declaration(near, paths):
    @winbridge.function(dll_of(near.session(), paths, "specimen"))
    def add(a: c_int, b: c_int = 10) -> c_int: ...

    assert add.map([1, 2, (3, 4)]) == [11, 12, 7]
    assert add.vectorize(numpy.arange(3, dtype="i")).tolist() == [10, 11, 12]


def test_last_error_goes_from_item_to_item(session, paths):
    swap = declared(dll_of(session, paths, use_last_error=True).swap_last_error, c_int, c_int)
    for call in (swap.map, lambda values: swap.vectorize(values).tolist()):
        winbridge.set_last_error(7)
        assert call([1, 2, 3]) == [7, 1, 2]
        assert winbridge.get_last_error() == 3
    plain = declared(dll_of(session, paths).swap_last_error, c_int, c_int)
    plain(9)
    assert plain.map([1, 2, 3]) == [9, 1, 2] and plain(4) == 3


def test_living_objects_are_equal_around_an_exchange(near):
    place = c_int(0)
    near.bump(ctypes.byref(place), 0)
    declared(near.bump, c_int, c_void_p, c_int)
    near.read_int.argtypes = [c_void_p]
    from winbridge.dll.living import living

    (mirror,) = living(near.session()).objects
    place.value = 100
    assert near.bump.map([(mirror.address, 0)] * 50) == list(range(101, 151)) and place.value == 150
    assert near.read_int.vectorize([mirror.address] * 3).tolist() == [150] * 3


# Failures.


def test_a_fault_tells_its_item(whole):
    divide = declared(whole.divide_counting, c_int, c_int, c_int)
    divisors = numpy.ones(20_000, "i")
    divisors[12_345] = 0
    out = numpy.full(20_000, -1, "i")
    for call in (lambda: divide.vectorize(7, divisors, out=out), lambda: divide.map([7] * 20_000, divisors.tolist())):
        whole.reset_calls()
        with pytest.raises(WindowsFault, match=r"integer divide by zero \(item 12,345\)") as caught:
            call()
        assert caught.value.index == 12_345 and caught.value.code == 0xC0000094
        assert pickle.loads(pickle.dumps(caught.value)).index == 12_345  # from a worker of a pool, say
        assert len(caught.value.results) == 12_345 and set(numpy.unique(caught.value.results)) == {7}
        assert whole.calls_so_far() == 12_346
    assert (out[:12_345] == 7).all() and (out[12_345:] == -1).all()
    assert divide(8, 2) == 4


def test_stack_overflow_and_bad_addresses(near, paths):
    specimen = dll_of(near.session(), paths, "specimen")
    declared(specimen.overflow_stack, c_int, c_int)
    for _ in range(2):
        with pytest.raises(WindowsFault, match="stack overflow") as caught:
            specimen.overflow_stack.map([1, 2])
        assert caught.value.index == 0
    declared(near.read_int, c_int, ctypes.POINTER(c_int))
    numbers = shared_array(3, "i", arch=near.session().arch)
    numbers[:] = 4, 5, 6
    first = numbers.ctypes.data
    assert near.read_int.vectorize([first, first + 8]).tolist() == [4, 6]
    with pytest.raises(WindowsFault, match="reading 0x0+10 .item 1.") as caught:
        near.read_int.vectorize(numpy.array([first, 16, first], "Q"))
    assert caught.value.address == 16 and caught.value.results.tolist() == [4]


def test_errcheck_sees_each_call_before_the_next(near):
    def check(value, function, arguments):
        assert near.calls_so_far() == value and function is near.count_calls
        if arguments == (13,):
            raise LookupError("thirteen")
        return -value

    declared(near.count_calls, c_int, c_int).errcheck = check
    for call in (near.count_calls.map, near.count_calls.vectorize):
        near.reset_calls()
        assert list(call([5, 6, 7])) == [-1, -2, -3]
        near.reset_calls()
        with pytest.raises(LookupError, match="thirteen") as caught:
            call([11, 12, 13, 14])
        assert caught.value.index == 2 and list(caught.value.results) == [-1, -2]
        assert near.calls_so_far() == 3
        if sys.version_info >= (3, 11):
            assert caught.value.__notes__ == ["item 2"]


def test_an_argument_that_does_not_fit_tells_its_item(near, paths):
    add = declared(dll_of(near.session(), paths, "specimen").add, c_int, c_int, c_int)
    for wrong in ("text", 1.5):
        with pytest.raises(ctypes.ArgumentError, match="argument 2") as caught:
            add.map([(1, 2), (3, 4), (5, wrong), (7, 8)])
        assert caught.value.index == 2 and caught.value.results == [3, 7]
    untyped = dll_of(near.session(), paths, "specimen").echo_int32
    with pytest.raises(ctypes.ArgumentError, match="int too long") as caught:
        untyped.map([1, 2, 1 << 40, 3])
    assert caught.value.index == 2 and caught.value.results == [1, 2]


@pytest.mark.win32
def test_a_wrong_number_of_words_tells_its_item(paths):
    session = Win32Session()
    for convention, argtypes, text in (
        ("cdecl", [c_int, c_double], "12 bytes missing"), ("stdcall", [c_int, c_int], "4 bytes missing"),
        ("stdcall", [c_int, c_double, c_int], "4 bytes in excess"),
    ):  # fmt: skip
        pair = declared(dll_of(session, paths, convention=convention).pair, c_int, *argtypes)
        others = [1] * (len(argtypes) - 1)
        in_rows = [1, 1], *[[other] * 2 for other in others]
        for call, items in ((pair.map, in_rows), (pair.vectorize, ([1, 1], *others))):
            with pytest.raises(ValueError, match=text) as caught:
                call(*items)
            assert caught.value.index == 0 and len(caught.value.results) == 0
    pair = declared(dll_of(session, paths, convention="stdcall").pair, c_int, c_int, c_double)
    assert pair.map([(1, 2.0)] * 3) == [3, 3, 3] and pair.vectorize(1, [2.0, 3.0]).tolist() == [3, 4]


# vectorize itself.


def test_out_and_dtype(near, paths):
    add = declared(dll_of(near.session(), paths, "specimen").add, c_int, c_int, c_int)
    whole = numpy.arange(6, dtype="i").reshape(2, 3)
    for out in (
        numpy.empty((2, 3), "i"),
        numpy.empty((3, 2), "d").T,
        numpy.empty((4, 3), "q")[::2],
        numpy.empty((5, 2, 3), "i"),
    ):
        assert add.vectorize(whole, 1, out=out) is out
        numpy.testing.assert_array_equal(out, numpy.broadcast_to(whole + 1, out.shape))
    assert add.vectorize(whole, 1, dtype="d").dtype == "d"
    for options, error, text in (
        ({"out": [1]}, TypeError, "numpy array"), ({"dtype": "?"}, TypeError, "same_kind"),
        ({"out": numpy.empty(5, "i")}, ValueError, "broadcast"), ({"out": numpy.empty(3, "i")}, ValueError, "shape"),
        ({"out": whole, "dtype": "i"}, TypeError, "its dtype"),
    ):  # fmt: skip
        with pytest.raises(error, match=text):
            add.vectorize(whole, 1, **options)
    frozen = whole.copy()
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        add.vectorize(whole, 1, out=frozen)


@pytest.mark.parametrize("shared", [False, True])
def test_an_array_may_be_argument_and_result(near, paths, shared):
    add = declared(dll_of(near.session(), paths, "specimen").add, c_int, c_int, c_int)
    numbers = shared_array(1000, "i", arch=near.session().arch) if shared else numpy.empty(1000, "i")
    numbers[:] = range(1000)
    add.vectorize(numbers, numbers, out=numbers)
    assert numbers.tolist() == list(range(0, 2000, 2))
    expected = numbers[:-1] + numbers[1:]
    add.vectorize(numbers[:-1], numbers[1:], out=numbers[1:])
    assert (numbers[1:] == expected).all()
    add.vectorize(numbers[5:6], 1, out=numbers)
    assert (numbers == expected[4] + 1).all()


def test_what_cannot_be_vectorized(near, paths):
    specimen = dll_of(near.session(), paths, "specimen")
    with pytest.raises(TypeError, match="needs argtypes"):
        specimen.add.vectorize([1], [2])
    declared(specimen.add, c_int, c_int, c_int)
    for wrong, text in (
        (([1.5], 1), "argument 1: an array of float64 .* c_int"), (([1],), "2 arguments"),
        (([1], [2], [3]), "2 declared"), (("text", 1), "argument 1"), (([1], numpy.array([1], "O")), "argument 2"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=text):
            specimen.add.vectorize(*wrong)
    point = type("Point", (ctypes.Structure,), {"_fields_": [("x", c_int)]})
    with pytest.raises(TypeError, match="argument 1: .* Point; use map"):
        declared(specimen.echo_int32, c_int, point).vectorize([1])
    for restype in (point, c_char_p, ctypes.c_char, lambda value: value):
        with pytest.raises(TypeError, match="use map"):
            declared(specimen.echo_int32, restype, c_int).vectorize([1])
    declared(near.nothing, None, c_int)
    near.reset_calls()
    assert near.nothing.vectorize(range(1000)) is None and near.calls_so_far() == 1000
    with pytest.raises(TypeError, match="no results"):
        near.nothing.vectorize([1], out=numpy.empty(1))


def test_without_numpy(run_python):
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from winbridge import load_dll\n"
        "import ctypes\n"
        "f = load_dll('kernel32').MulDiv\n"
        "print(f.map([(6, 7, 1), (2, 3, 1)]))\n"
        "f.vectorize([6], [7], [1])\n"
    )
    done = run_python(code)
    assert done.stdout.strip() == "[42, 6]" and "vectorize needs numpy: pip install 'winbridge[numpy]'" in done.stderr


def test_shared_arrays_are_not_copied(near, paths, arch):
    add = declared(dll_of(near.session(), paths, "specimen").add, c_int, c_int, c_int)
    left, right, out = (shared_array((10, 40), "i", arch=arch) for _ in range(3))
    left[:], right[:] = 1, 2
    sent = []
    session = near.session()
    exchange = type(session).exchange

    def seen(message, name=""):
        sent.append(message)
        return exchange(session, message, name)

    session.exchange = seen
    add.vectorize(left, right, out=out)
    add.vectorize(left[0, ::-2], right[0, ::2], out=out[0, ::2])
    assert (out[1:] == 3).all()
    for message, expected in zip(sent, [(out, left, right), (out[0, ::2], left[0, ::-2], right[0, ::2])], strict=True):
        words = message[wire.REQUEST.size :]
        found = list(wire.COLUMN.iter_unpack(words[wire.MANY.size :]))
        assert [column[0] for column in found] == [array.ctypes.data for array in expected]
        assert [column[1] for column in found] == [array.strides[-1] for array in expected]
        assert wire.arena_of(message)[1] == 8


# Callbacks, interrupts, timeouts.


def test_callbacks_inside(session, paths):
    whole, specimen = dll_of(session, paths), dll_of(session, paths, "specimen")
    declared(specimen.add, c_int, c_int, c_int)

    def inside(value):
        assert specimen.add.map([(value, 1)] * 2) == [value + 1] * 2
        return specimen.add.vectorize(value, [1, 2, 3]).sum().item()

    callback = session.callbacks.make(
        lambda area: inside(int.from_bytes(area[32:36] if session.pointer_size == 8 else area[:4], "little")),
        words=session.pointer_size, popped=0, result=Result.INT32,
    )  # fmt: skip
    apply = declared(whole.apply, c_int, c_void_p, c_int)
    assert apply.map([(callback.address, value) for value in range(20)]) == [3 * value + 7 for value in range(20)]
    assert apply.vectorize(callback.address, range(20)).tolist() == [3 * value + 7 for value in range(20)]


def test_ctrl_c_acts_at_once_and_the_session_is_usable(near, arch):
    """Aim: 100 ms. The bound has slack for a machine that does other things."""
    counter = shared_array(1, "i", arch=arch)
    bump = declared(near.bump, c_int, c_void_p, c_int)
    for call in (
        lambda: bump.vectorize(numpy.full(100_000, counter.ctypes.data, "Q"), 1),
        lambda: bump.map([(counter.ctypes.data, 1)] * 100_000),
    ):
        counter[0], sent = 0, []

        def interrupt(sent=sent):
            while counter[0] < 100:
                os.sched_yield()
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            call()
        taken = time.monotonic() - sent[0]
        thread.join()
        assert taken < 1
        assert bump(counter.ctypes.data, 0) <= 2000


def test_timeout_call_is_for_a_call_not_for_the_whole(arch, paths):
    whole = dll_of(SESSIONS[arch](timeout_call=1.0), paths)
    nap = declared(whole.sleep_and_count, c_int, c_int)
    assert nap.vectorize(numpy.full(300, 5, "i")).tolist() == list(range(1, 301))  # 1.5 s at least
    with pytest.raises(CallTimeoutError):
        nap.vectorize([0, 0, 60_000])
    assert nap(0) > 300


def test_an_exchange_ends_when_its_time_is_up(near):
    declared(near.sleep_and_count, c_int, c_int)
    session = near.session()
    session.set_parameter("history", 1000)
    near.sleep_and_count.vectorize(numpy.full(100, 5, "i"))
    assert len(list(session.history)) >= 5  # 0.5 s in all, about 50 ms each


def test_the_agent_in_memory():
    from winbridge.core.transport.memory import native

    halves = native(c_double, [c_int, c_double])(lambda count, value: count * value / 2)
    session = winbridge.MemorySession(libraries={"maths": {"halves": halves, "invert": lambda value: 1 // value}})
    maths = session.load_dll("maths")
    declared(maths.halves, c_double, c_int, c_double)
    assert (
        maths.halves.vectorize([1, -2, 3], 3.0).tolist() == [1.5, -3.0, 4.5] == maths.halves.map([1, -2, 3], [3.0] * 3)
    )
    declared(maths.invert, c_int, c_ushort)
    assert maths.invert.map(range(1, 2000)) == [1] + [0] * 1998


# Function pointers of winbridge.ctypes.


def test_functions_of_the_drop_in(arch, paths):
    own = winbridge.CtypesSession(arch=arch)
    dll = own.CDLL(str(paths["whole", arch]), use_last_error=True)
    dll.divide_counting.argtypes = [own.c_int, own.c_long]
    assert dll.divide_counting.map([(7, 2), (9, 3)]) == [3, 3]
    assert dll.divide_counting.vectorize(numpy.arange(100), 2).tolist() == [index // 2 for index in range(100)]
    for call in (dll.divide_counting.map, dll.divide_counting.vectorize):
        with pytest.raises(WindowsFault, match="item 2") as caught:
            call([7, 7, 7], [1, 7, 0])
        assert caught.value.index == 2 and list(caught.value.results) == [7, 1]
    own.set_last_error(3)
    assert dll.swap_last_error.map([1, 2]) == [3, 1] and own.get_last_error() == 2
    number = own.c_int(5)
    assert dll.read_int.map([own.byref(number), own.pointer(number)]) == [5, 5]
    callback = own.CFUNCTYPE(own.c_int, own.c_int)(lambda value: dll.divide_counting(value, 2))
    assert dll.apply.map([(callback, 4), (callback, 6)]) == [3, 4]
    dll.apply.argtypes = [own.c_void_p, own.c_int]
    assert dll.apply.vectorize(own.cast(callback, own.c_void_p).value, [4, 6]).tolist() == [3, 4]
    dll.swap_last_error.restype = own.HRESULT
    with pytest.raises(OSError, match=".") as failed:
        dll.swap_last_error.map([-1, -2, 4])
    assert failed.value.index == 1 and failed.value.results == [2]
    dll.count_calls.errcheck = lambda value, function, arguments: (value, arguments)
    dll.reset_calls()
    assert dll.count_calls.map([5, 6]) == [(1, (5,)), (2, (6,))]


# What the agent refuses.


def test_the_agent_checks_columns(session, paths):
    whole = dll_of(session, paths)
    place = session.memory.alloc(64)
    sound = Column(place + 8, 0, Result.INT32)
    top = (1 << 64) - 8

    def many(count=1, progress=place, columns=(sound, sound), cut=0, flags=Result.INT32):
        words = wire.many(progress, count, 10, 0, columns)
        words = words[: len(words) - cut]
        return session.exchange(
            wire.request(Op.CALL_MANY, words, target=whole.count_calls.address, flags=flags), "count_calls"
        )

    many()
    for changes, rule in (
        ({"count": 0}, "column"), ({"count": 1 << 63, "columns": (sound, Column(place, 1, 5))}, "column"),
        ({"progress": 8}, "column"), ({"progress": top}, "column"), ({"cut": 8}, "size"), ({"cut": 48}, "size"),
        ({"columns": ()}, "size"),
        ({"columns": (sound, Column(place, 0, 0))}, "column"), ({"columns": (sound, Column(place, 0, 99))}, "column"),
        ({"columns": (Column(16, 0, 5), sound)}, "column"), ({"columns": (sound, Column(top, 0, 5))}, "column"),
        ({"count": 2, "columns": (sound, Column(place, 1 << 62, 5))}, "column"),
        ({"count": 2, "columns": (sound, Column(place, -(1 << 63), 5))}, "column"),
        ({"count": 1 << 40, "columns": (sound, Column(place, 4, 5))}, "column"),
        ({"columns": (Column(whole.count_calls.address, 0, 5), sound)}, "column"), ({"flags": 77}, "result"),
    ):  # fmt: skip
        with pytest.raises(WireError, match=rule):
            many(**changes)
    assert session.memory.read(place, 8) == (1).to_bytes(8, "little")
    assert whole.count_calls(0) == 2


def test_a_column_that_goes_away_is_a_fault_of_the_request(session):
    """The first item frees the memory where the fourth argument of the second would lie."""
    kernel32 = load_dll("kernel32", session=session)
    alloc = declared(kernel32.VirtualAlloc, c_void_p, c_void_p, ctypes.c_size_t, c_uint, c_uint)
    region, place = alloc(None, 4096, 0x3000, 4), session.memory.alloc(64)
    session.memory.write(place + 16, region.to_bytes(8, "little") + bytes(8) + (0x8000).to_bytes(8, "little"))
    pointer = Result.POINTER
    columns = [Column(place + offset, 0, pointer) for offset in (8, 16, 24, 32)] + [Column(region, 4, Result.INT32)]
    words = wire.many(place, 2, 1000, 12 if session.pointer_size == 4 else 0, columns)
    with pytest.raises(WindowsFault) as caught:
        session.exchange(wire.request(Op.CALL_MANY, words, target=kernel32.VirtualFree.address, flags=Result.INT32))
    assert caught.value.address == region + 4
    assert session.memory.read(place, 8) == (1).to_bytes(8, "little") and session.up


def test_more_arguments_than_an_exchange_has_columns(near, paths):
    variadic = dll_of(near.session(), paths, "specimen").variadic_ints
    variadic.restype = c_longlong
    given = (wire.MAX_COLUMNS + 10, *range(wire.MAX_COLUMNS + 10))
    assert variadic.map([given, given]) == [variadic(*given)] * 2
    variadic.argtypes = [c_int] * len(given)
    assert variadic.vectorize(*given) == variadic(*given)
