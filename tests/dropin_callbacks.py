# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""Cases: Python functions that the DLL calls."""

from __future__ import annotations

import gc
import itertools
import threading

from tests.dropin_registry import CASES, CONVENTIONS, SIMPLE, alone, case, errors_of, outcome, point_type, prototyped


def simple_types(name, convention):
    def run(c, dll):
        kind, maker = getattr(c, SIMPLE[name][0]), getattr(c, CONVENTIONS[convention][1])
        one, several = maker(kind, kind), maker(kind, c.c_byte, c.c_double, c.c_longlong, c.c_short, c.c_float, kind)
        through = prototyped(dll[f"through_{name}_{convention}"], kind, one, kind)
        among = prototyped(dll[f"among_{name}_{convention}"], kind, several, kind)
        seen = []
        kept = [
            one(lambda value: seen.append(repr(value)) or value),
            several(lambda *given: seen.append(repr(given)) or given[-1]),
        ]
        found = [[outcome(through, kept[0], value), outcome(among, kept[1], value)] for value in SIMPLE[name][1]]
        return [found, seen]

    return run


for _name, _convention in itertools.product(SIMPLE, CONVENTIONS):
    if _name not in ("char_p", "wchar_p"):  # their results leak, of which ctypes warns: see texts_as_results
        CASES[f"callback_{_name}_{_convention}"] = simple_types(_name, _convention)


def structures_of_size(size, convention):
    def run(c, dll):
        class Sized(c.Structure):
            _fields_ = [("bytes", c.c_ubyte * size)]

        kind = getattr(c, CONVENTIONS[convention][1])(c.c_int, c.c_int, Sized, c.c_int)
        seen = []
        into = dll[f"into_{size}_{convention}"]
        return [into(kind(lambda before, given, after: seen.append([before, list(given.bytes), after]) or 5)), seen]

    return run


for _size, _convention in itertools.product((*range(1, 18), 24, 31, 32, 33, 48, 63, 64), CONVENTIONS):
    CASES[f"callback_sized_{_size}_{_convention}"] = structures_of_size(_size, _convention)


@case
def texts_as_arguments_of_callbacks(c, dll):
    found = []
    for name in ("char_p", "wchar_p"):
        kind = getattr(c, SIMPLE[name][0])
        call = prototyped(dll[f"through_{name}_c"], None, c.CFUNCTYPE(c.c_void_p, kind), kind)
        call(c.CFUNCTYPE(c.c_void_p, kind)(lambda value: found.append(repr(value))), SIMPLE[name][1][2])
    return found


@case
def texts_as_results(c, dll):
    import warnings

    kind = c.CFUNCTYPE(c.c_char_p, c.c_char_p)
    call = prototyped(dll.through_char_p_c, c.c_char_p, kind, c.c_char_p)
    constant = b"a constant"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = call(kind(lambda value: constant), b"given")
    return [result.decode(), [[each.category.__name__, str(each.message)] for each in seen]]


@case
def pointers_in_callbacks(c, dll):
    Point = point_type(c)
    kind = c.CFUNCTYPE(c.c_int, c.POINTER(Point), c.POINTER(c.c_int), c.POINTER(c.c_char))
    seen = []
    mine = Point(10, 20)

    def work(point, number, room):
        seen.append(
            [
                point.contents.x,
                number[0],
                c.string_at(room).decode(),
                c.addressof(point[0]) == c.addressof(mine),
                mine.y,
            ]
        )
        mine.x = 11
        point.contents.x += 1
        number[0] = 6
        room[0:1]
        c.memmove(room, b"changed", 8)
        return 1

    return [dll.call_pointed(kind(work), c.byref(mine)), mine.x, seen]


@case
def arrays_in_callbacks(c, dll):
    seen = []

    def work(items, count):
        array = c.cast(items, c.POINTER(c.c_int * count)).contents
        seen.append(list(array))
        seen.append(dll.sum_ints(items, count))
        array[0] = 100
        dll.fill_ints(c.byref(array, 4), 2, 50)
        return len(array)

    return [dll.call_array(c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.c_int)(work), 5), seen]


@case
def structures_in_callbacks(c, dll):
    Point = point_type(c)

    class Large(c.Structure):
        _fields_ = [("d", c.c_double), ("q", c.c_longlong), ("f", c.c_float), ("text", c.c_char * 5)]

    kept = []
    first = dll.call_struct(c.CFUNCTYPE(c.c_int, Point)(lambda point: kept.append(point) or point.x * 10 + point.y))
    large = prototyped(dll.call_large, c.c_double, c.CFUNCTYPE(c.c_double, Large))
    second = large(c.CFUNCTYPE(c.c_double, Large)(lambda it: kept.append(it) or it.d + it.f))
    return [first, second, kept[0].y, kept[1].q, kept[1].text.decode(), kept[1].f]


@case
def hundred_arguments_of_a_callback(c, dll):
    kind = c.CFUNCTYPE(c.c_longlong, *[c.c_longlong] * 101)
    return dll.call_hundred(kind(lambda *given: sum(index * value for index, value in enumerate(given)) % 2**31))


@case
def callbacks_that_come_back(c, dll):
    kind = c.CFUNCTYPE(c.c_int, c.c_int, c.c_int)
    same = prototyped(dll.same_function, kind, kind)
    ours = kind(lambda a, b: a - b)
    back = same(ours)
    again = kind(c.cast(back, c.c_void_p).value)
    return [back(9, 4), again(4, 9), ours(1, 1), ours(True, 5), outcome(ours, "x", 1), outcome(ours, 1)]


@case
def calls_inside_callbacks(c, dll):
    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    inner = kind(lambda value: value + dll.two_cdecl(1, value))
    outer = kind(lambda value: dll.call_twice(inner) + dll.list_sum(None) + value)
    return dll.call_twice(outer)


@case
def recursion_to_depth_100(c, dll):
    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    deepest = []

    def work(depth):
        deepest.append(depth)
        return dll.pingpong(function, depth)

    function = kind(work)
    return [dll.pingpong(function, 100), len(deepest), min(deepest)]


@case
def qsort_of_msvcrt(c, dll):
    numbers = (c.c_int * 50)(*[(index * 7919) % 101 for index in range(50)])
    kind = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
    c.cdll.msvcrt.qsort(numbers, len(numbers), c.sizeof(c.c_int), kind(lambda a, b: a[0] - b[0]))
    return [list(numbers) == sorted(numbers), list(numbers)]


@case
def qsort_of_strings_and_structures(c, dll):
    Point = point_type(c)
    texts = (c.c_char_p * 5)(b"pear", b"apple", b"fig", b"quince", b"date")
    qsort = c.cdll.msvcrt.qsort
    by_text = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_char_p), c.POINTER(c.c_char_p))
    qsort(texts, c.c_size_t(5), c.c_size_t(c.sizeof(c.c_char_p)), by_text(lambda a, b: (a[0] > b[0]) - (a[0] < b[0])))
    points = (Point * 4)((3, 1), (1, 2), (2, 3), (0, 4))
    by_x = c.CFUNCTYPE(c.c_int, c.POINTER(Point), c.POINTER(Point))
    qsort(points, c.c_size_t(4), c.c_size_t(c.sizeof(Point)), by_x(lambda a, b: a.contents.x - b.contents.x))
    return [[text.decode() for text in texts], [[point.x, point.y] for point in points]]


@case
def bsearch_of_msvcrt(c, dll):
    numbers = (c.c_int * 20)(*range(0, 40, 2))
    kind = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
    search = c.cdll.msvcrt.bsearch
    search.restype = c.POINTER(c.c_int)
    compare = kind(lambda a, b: a[0] - b[0])
    found = search(c.byref(c.c_int(14)), numbers, c.c_size_t(20), c.c_size_t(4), compare)
    absent = search(c.byref(c.c_int(15)), numbers, c.c_size_t(20), c.c_size_t(4), compare)
    return [found[0], (c.addressof(found.contents) - c.addressof(numbers)) // 4, bool(absent)]


@case
def enumerating_windows(c, dll):
    """Without a display there are none to be told of: it only has to end well."""
    seen = []
    kind = c.WINFUNCTYPE(c.c_int, c.c_void_p, c.c_ssize_t)
    result = c.windll.user32.EnumWindows(kind(lambda window, value: seen.append(value) or True), c.c_ssize_t(-5))
    return [result, set(seen) <= {-5}]


@case
def enumerating_properties(c, dll):
    """Those of a message-only window, which needs no display."""
    user32 = c.WinDLL("user32")
    user32.CreateWindowExW.restype = c.c_void_p
    nothing = [c.c_void_p(None)] * 3
    window = c.c_void_p(user32.CreateWindowExW(0, "STATIC", "ours", 0, 0, 0, 0, 0, c.c_void_p(-3), *nothing))
    for index in range(3):
        user32.SetPropW(window, f"property {index}", c.c_void_p(100 + index))
    kind = c.WINFUNCTYPE(c.c_int, c.c_void_p, c.c_wchar_p, c.c_void_p, c.c_ssize_t)
    seen, stopped = [], []

    def work(handle, name, data, value):
        seen.append([handle == window.value, name, data, value])
        return True

    result = user32.EnumPropsExW(window, kind(work), c.c_ssize_t(-5))
    user32.EnumPropsExW(window, kind(lambda handle, name, data, value: stopped.append(value) or 0), c.c_ssize_t(3))
    return [sorted(seen), result, stopped, user32.DestroyWindow(window)]


@case
def enumerating_locales(c, dll):
    seen = []
    kind = c.WINFUNCTYPE(c.c_int, c.c_wchar_p)
    result = c.windll.kernel32.EnumSystemLocalesW(kind(lambda name: seen.append(name) or 1), 1)
    stopped = []
    c.windll.kernel32.EnumSystemLocalesW(kind(lambda name: stopped.append(name) or len(stopped) < 3), 1)
    return [result, sorted(seen)[:5], len(seen), stopped == seen[:3]]


@case
def exceptions_in_callbacks(c, dll):
    kind = c.CFUNCTYPE(c.c_int, c.c_int)

    def failing(value):
        raise ValueError(f"failed with {value}")

    found = [
        errors_of(lambda: dll.call_twice(kind(failing))),
        errors_of(lambda: dll.call_twice(kind(lambda value: "text"))),
        errors_of(lambda: dll.call_twice(kind(lambda: 1))),
        errors_of(lambda: dll.call_twice(kind(lambda value: None))),
        errors_of(lambda: dll.call_twice(kind(lambda value: 2.5))),
        errors_of(lambda: dll.call_twice(kind(lambda value: 2**40))),
    ]
    return [*found, dll.two_cdecl(3, 4)]


@case
def exits_in_callbacks(c, dll):
    def leave():
        raise SystemExit(3)

    return errors_of(lambda: prototyped(dll.call_void, None)(c.CFUNCTYPE(None)(leave)))


@case
def results_of_no_type(c, dll):
    seen = []
    nothing = errors_of(lambda: prototyped(dll.call_void, None)(c.CFUNCTYPE(None)(lambda: seen.append(1) or "ignored")))
    Point = point_type(c)
    makers = (c.CFUNCTYPE(Point, c.c_int), c.CFUNCTYPE(c.POINTER(c.c_int), c.c_int), c.CFUNCTYPE(c.c_int * 2))
    return [nothing, seen, [outcome(maker, lambda *given: None) for maker in makers]]


@case
def last_error_in_callbacks(c, dll):
    seen = []

    def work():
        seen.append(c.get_last_error())
        c.set_last_error(33)
        return 4

    c.set_last_error(1)
    kind = c.CFUNCTYPE(c.c_int, use_last_error=True)
    return [dll.call_with_error(kind(work), 22), seen, c.get_last_error()]


@case
def callbacks_that_the_dll_keeps(c, dll):
    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    function = kind(lambda value: value * 3)
    dll.keep_function(function)
    gc.collect()
    first = dll.call_kept(5)
    other = kind(lambda value: value * 4)
    dll.keep_function(other)
    return [first, dll.call_kept(5), function(1)]


@case
def callbacks_of_several_threads(c, dll):
    seen, lock = [], threading.Lock()

    def work(index):
        with lock:
            seen.append(index)
        return dll.two_cdecl(index, 1)

    own = threading.get_ident()
    on_own = []
    function = c.CFUNCTYPE(c.c_int, c.c_int)(lambda index: on_own.append(threading.get_ident() == own) or work(index))
    return [dll.on_threads(function, 16), sorted(seen), on_own]


@case
def callbacks_of_threads_at_the_same_time(c, dll):
    """Each waits for all the others: they can only end when all run at once."""
    barrier = threading.Barrier(6)
    function = c.CFUNCTYPE(c.c_int, c.c_int)(lambda index: barrier.wait(30) * 0 + index)
    return dll.on_threads(function, 6)


@case
def callback_of_a_thread_while_python_runs(c, dll):
    ran = threading.Event()
    seen = []

    def work(value):
        seen.append(value)
        ran.set()
        return 8

    function = c.CFUNCTYPE(c.c_int, c.c_int)(work)
    dll.start_job(function, 3)
    return [ran.wait(30), seen, dll.end_job()]


@case
def exceptions_in_callbacks_of_threads(c, dll):
    def failing(index):
        raise KeyError(index)

    seen = errors_of(lambda: dll.on_threads(c.CFUNCTYPE(c.c_int, c.c_int)(failing), 3))
    return [sorted(seen), dll.two_cdecl(1, 1)]


@case
def methods_and_objects_as_callbacks(c, dll):
    class Counter:
        def __init__(self):
            self.sum = 0

        def add(self, value):
            self.sum += value
            return self.sum

        def __call__(self, value):
            return value + 1

    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    counter = Counter()
    decorated = kind(counter)
    return [dll.call_twice(kind(counter.add)), counter.sum, dll.call_twice(decorated), outcome(kind, [])]


@alone([10000, 10, 0, True])
def callbacks_made_and_dropped(c, dll):
    """None of 10,000 is left: neither here nor in the agent, where no more than two blocks of thunks are used."""
    import weakref

    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    addresses, alive = set(), weakref.WeakSet()
    called = 0

    class Function:
        def __call__(self, value):
            return value

    for index in range(10000):
        function = Function()
        alive.add(function)
        callback = kind(function)
        addresses.add(c.cast(callback, c.c_void_p).value)
        if index % 1000 == 0:
            called += dll.call_twice(callback) == 102
        del callback, function
    gc.collect()
    return [index + 1, called, len(alive), len(addresses) <= 4096]


@alone([True, True, 12])
def dropped_callback_that_is_called(c, dll):
    callback = c.CFUNCTYPE(c.c_int, c.c_int)(lambda value: value)
    dll.keep_function(callback)
    del callback
    gc.collect()
    told = outcome(dll.call_kept, 1)
    return [told.get("error") == "OSError", "callback" in told.get("text", ""), dll.two_cdecl(1, 2)]


@alone([True, True, True, 12])
def dropped_callback_that_is_called_later(c, dll):
    """The agent was told meanwhile: the next callback was made."""
    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    callback = kind(lambda value: value)
    dll.keep_function(callback)
    del callback
    gc.collect()
    other = kind(lambda value: value + 1)
    told = outcome(dll.call_kept, 1)
    return [
        told.get("error") == "OSError",
        "callback" in told.get("text", ""),
        dll.call_twice(other) == 203,
        dll.two_cdecl(1, 2),
    ]


@case
def faults_inside_callbacks(c, dll):
    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    seen = []

    def work(value):
        seen.append(outcome(dll.crash, 16))
        return value + 1

    uncaught = errors_of(lambda: dll.call_twice(kind(lambda value: dll.crash(24))))
    return [dll.call_twice(kind(work)), seen, uncaught, dll.two_cdecl(1, 2)]


@case
def loading_inside_callbacks(c, dll):
    """A callback makes callbacks, loads libraries and objects, and calls functions of several."""
    kind = c.CFUNCTYPE(c.c_int, c.c_int)
    kept = []

    def work(value):
        inner = kind(lambda number: number * 2)
        kept.append((c.c_int * 1000)(*range(1000)))
        return (
            c.CDLL(dll._name).call_twice(inner)
            + c.windll.kernel32.lstrlenW("text")
            + c.CDLL(dll._name).sum_ints(kept[-1], 1000)
        )

    return [dll.call_twice(kind(work)), len(kept)]


@case
def large_objects_made_inside_callbacks(c, dll):
    """More memory than there was when the call began."""
    kind = c.CFUNCTYPE(c.c_void_p, c.c_void_p)
    kept = []

    def work(value):
        kept.append((c.c_int * 5_000_000)())
        kept[-1][4_999_999] = 77
        return c.addressof(kept[-1])

    function = kind(work)
    address = prototyped(dll.through_void_p_c, c.c_void_p, kind, c.c_void_p)(function, None)
    return [dll.sum_ints(c.c_void_p(address), 5_000_000), dll.sum_ints(kept[0], 5_000_000)]


@case
def callback_types_with_own_classes(c, dll):
    """Instances of a subclass of a simple type are not unwrapped."""

    class Handle(c.c_void_p):
        pass

    class Number(c.c_int):
        pass

    seen = []
    kind = c.CFUNCTYPE(c.c_int, Number)
    result = dll.call_twice(kind(lambda value: seen.append([type(value).__name__, value.value]) or value.value * 2))
    through = prototyped(dll.through_void_p_c, Handle, c.CFUNCTYPE(c.c_void_p, Handle), c.c_void_p)
    back = through(
        c.CFUNCTYPE(c.c_void_p, Handle)(lambda value: seen.append([type(value).__name__, value.value]) or 77), 55
    )
    return [result, seen, type(back).__name__, back.value]


@case
def errcheck_and_out_parameters_of_callbacks(c, dll):
    """A callback is called like any other function."""
    kind = c.CFUNCTYPE(c.c_int, c.c_int, c.POINTER(c.c_int))

    def work(value, out):
        out[0] = value * 2
        return value

    function = kind(work)
    number = c.c_int()
    found = [function(5, c.byref(number)), number.value]
    function.errcheck = lambda result, called, arguments: [result, arguments[0]]
    return [*found, outcome(function, 6, number)["value"], number.value, outcome(function, 6)]
