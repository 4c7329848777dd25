"""Cases: what a function object can be told: errors, result types, parameter flags, names."""

from __future__ import annotations

import sys
import threading

from tests.dropin_registry import alone, case, outcome, prototyped


@case
def last_error_by_thread(c, dll):
    swap = c.CDLL(dll._name, use_last_error=True).swap_last
    found = {}

    def work(name, code):
        c.set_last_error(code)
        before = swap(code + 1)
        found[name] = [before, c.get_last_error(), c.set_last_error(3), c.get_last_error()]

    c.set_last_error(77)
    for name, code in (("a", 100), ("b", 200)):
        thread = threading.Thread(target=work, args=(name, code))
        thread.start()
        thread.join()
    return [found, c.get_last_error(), swap(5), c.get_last_error()]


@case
def last_error_is_not_kept_without_the_flag(c, dll):
    c.set_last_error(11)
    dll.set_last(22)
    return [c.get_last_error(), outcome(c.set_last_error, "x"), outcome(c.set_last_error, 2**40)]


@case
def errno_by_thread(c, dll):
    found = {}

    def work(name, code):
        before = c.set_errno(code)
        found[name] = [before, c.get_errno()]

    c.set_errno(5)
    threads = [threading.Thread(target=work, args=one) for one in (("a", 6), ("b", 7))]
    for thread in threads:
        thread.start()
        thread.join()
    return [found, c.get_errno(), outcome(c.set_errno, "x")]


@case
def last_error_of_windows(c, dll):
    kernel32 = c.WinDLL("kernel32", use_last_error=True)
    found = kernel32.CreateFileW("C:\\no such folder\\file", 0, 0, None, 3, 0, None)
    error = c.WinError(c.get_last_error())
    return [found, c.get_last_error(), type(error).__name__, error.winerror, error.errno, error.filename]


@case
def win_errors(c, dll):
    found = []
    for code in (0, 2, 5, 32, 87, 183, -2147467259, -2147024891, -2147467262):
        error = c.WinError(code)
        found.append([type(error).__name__, error.winerror, error.errno, str(error), error.strerror, len(error.args)])
    error = c.WinError(5, "own words")
    return [*found, [type(error).__name__, str(error), error.args[:2]], c.FormatError(5), outcome(c.FormatError, "x")]


@case
def hresults(c, dll):
    ole = c.OleDLL(dll._name)
    codes = 0, 1, -2147467259, -2147024891, -2147024882, -2147221008
    return [outcome(ole.give_result, code) for code in codes]


@case
def hresult_as_restype(c, dll):
    give = prototyped(c.WinDLL(dll._name).give_result, c.HRESULT, c.c_long)
    by_type = c.WINFUNCTYPE(c.HRESULT, c.c_long)(("give_result", c.WinDLL(dll._name)))
    return [outcome(give, code) for code in (0, 1, -2147467259)] + [outcome(by_type, -2147024809)]


@case
def restype_callable(c, dll):
    def checked(value):
        if value < 0:
            raise ValueError(f"negative: {value}")
        return [value]

    two = dll.two_cdecl
    two.restype = checked
    return [outcome(two, 1, 2), outcome(two, -1, 2), outcome(setattr, two, "restype", 5)]


@case
def errcheck(c, dll):
    seen = []

    def check(result, function, arguments):
        seen.append([result, function.__name__, repr(arguments)])
        return ["own", result] if result != 12 else arguments

    two = prototyped(dll.two_cdecl, c.c_int, c.c_int, c.c_int)
    two.errcheck = check
    found = [outcome(two, 1, 1), outcome(two, 1, 2), outcome(two, "x", 2)]

    def failing(result, function, arguments):
        raise RuntimeError(f"refused {result}")

    two.errcheck = failing
    found += [outcome(two, 2, 2), outcome(setattr, two, "errcheck", 5)]
    del two.errcheck
    return [*found, outcome(two, 2, 3), seen]


def divide_with(c, dll, flags):
    kind = c.WINFUNCTYPE(c.c_int, c.c_int, c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
    return kind(("divide", c.WinDLL(dll._name)), flags)


@case
def out_parameters(c, dll):
    divide = divide_with(c, dll, ((1, "a"), (1, "b", 4), (2, "quotient"), (2, "rest")))
    calls = (
        ((17, 5), {}),
        ((17,), {}),
        ((), {"b": 6, "a": 20}),
        ((9,), {"b": 2}),
        ((), {}),
        ((1, 2, 3), {}),
        ((1,), {"x": 2}),
    )
    return [outcome(divide, *given, **named) for given, named in calls] + [outcome(divide, 1, a=2)]


@case
def in_out_parameters(c, dll):
    divide = divide_with(c, dll, ((1, "a"), (1, "b"), (3, "quotient"), (2, "rest")))
    number = c.c_int(8)
    found = divide(17, 5, number)
    return [repr(found[0]), found[1], number.value, outcome(divide, 17, 5)]


@case
def out_parameters_with_errcheck(c, dll):
    divide = divide_with(c, dll, ((1,), (1,), (2,), (2,)))
    seen = []

    def check(result, function, arguments):
        seen.append([result, [getattr(one, "value", one) for one in arguments]])
        if not result:
            raise ZeroDivisionError("told by errcheck")
        return arguments

    divide.errcheck = check
    found = [outcome(divide, 17, 5), outcome(divide, 17, 0)]
    divide.errcheck = lambda result, function, arguments: result + arguments[2].value
    return [*found, outcome(divide, 40, 4), seen]


@case
def paramflags_that_do_not_fit(c, dll):
    def made(flags):
        return bool(divide_with(c, dll, flags))

    wrong = [
        ((1, "a"),),
        "text",
        ((1, "a"), (1, "b"), (2,), (2, 5)),
        ((2, "a"), (1, "b"), (2,), (2,)),
        ((1,), (1,), (9,), (2,)),
        ((1,), (1,), (2,), ()),
        [(1,), (1,), (2,), (2,)],
        ((1,), (1,), (2,), ("x",)),
    ]
    return [outcome(made, flags) for flags in wrong]


@case
def out_parameter_with_room_of_the_callers(c, dll):
    kind = c.WINFUNCTYPE(c.c_uint, c.c_wchar_p, c.c_uint)
    room = c.create_unicode_buffer(260)
    get = kind(("GetSystemDirectoryW", c.windll.kernel32), ((2, "room", room), (1, "size", 260)))
    found = outcome(get)
    given = c.POINTER(c.c_int)
    fill = c.CFUNCTYPE(None, given, c.c_int, c.c_int)(("fill_ints", dll), ((2,), (1, "count", 1), (1, "first", 7)))
    return [
        found["value"].lower().find("system32") > 0 if "value" in found else found,
        outcome(fill),
        outcome(fill, first=9),
    ]


@case
def ordinals(c, dll):
    found = [
        outcome(dll[40], 2),
        outcome(lambda: dll[4000]),
        dll[40].__name__ if hasattr(dll[40], "__name__") else None,
    ]
    by_type = c.CFUNCTYPE(c.c_int, c.c_int)((40, dll))
    return [*found, by_type(3), outcome(lambda: c.CFUNCTYPE(c.c_int)((4000, dll)))]


@case
def decorated_names(c, dll):
    decorated = c.WinDLL(dll._name.replace("dropin.dll", "decorated.dll"))
    widths = prototyped(decorated.widths, c.c_double, c.c_byte, c.c_double, c.c_longlong)
    found = [
        decorated.difference(9, 4),
        decorated.nothing(),
        widths(1, 2.5, 2**40),
        outcome(getattr, decorated, "absent"),
    ]
    small = c.sizeof(c.c_void_p) == 4
    plain = decorated["_difference@8" if small else "difference"]
    return [*found, plain(7, 5), outcome(lambda: decorated["_difference@12"])]


@case
def names_that_are_missing(c, dll):
    return [
        outcome(getattr, dll, "no_such_function"),
        outcome(lambda: dll["other"]),
        outcome(getattr, dll, "__wrapped__"),
        outcome(c.c_int.in_dll, dll, "no_such_number"),
        hasattr(dll, "echo"),
    ]


@case
def functions_are_the_same_as_attributes(c, dll):
    return [dll.two_cdecl is dll.two_cdecl, dll["two_cdecl"] is dll["two_cdecl"], dll.two_cdecl.__name__,
            type(dll.two_cdecl).__name__, bool(dll.two_cdecl), repr(dll.two_cdecl.argtypes),
            dll.two_cdecl.restype.__name__, repr(dll.two_cdecl.errcheck)]  # fmt: skip


@case
def prototypes_that_are_wrong(c, dll):
    two = dll.two_cdecl
    return [outcome(setattr, two, "argtypes", value) for value in (5, [5], "x", [c.c_int, int])] + [
        outcome(setattr, two, "restype", value) for value in ("x", 5.0, int)
    ]


@case
def function_types(c, dll):
    one, two = c.CFUNCTYPE(c.c_int, c.c_int), c.CFUNCTYPE(c.c_int, c.c_int)
    other = c.WINFUNCTYPE(c.c_int, c.c_int)
    return [
        one is two,
        one is other,
        one.__name__,
        other.__name__,
        one._flags_,
        other._flags_,
        bool(one()),
        outcome(one, "x"),
        outcome(one, 1.5),
        outcome(c.CFUNCTYPE, c.c_int, 5),
        outcome(c.CFUNCTYPE, c.c_int, nonsense=1),
    ]


@case
def variables_of_dlls(c, dll):
    number = c.c_int.in_dll(dll, "exported_number")
    before = number.value
    number.value = 5
    again = c.c_int.in_dll(dll, "exported_number").value
    number.value = before
    return [before, again, c.c_int.in_dll(dll, "exported_number").value]


@case
def loading(c, dll):
    return [outcome(lambda: c.windll["a\0b"] and None), outcome(c.CDLL, 5)["error"],
            c.windll.kernel32 is c.windll.kernel32, c.windll.LoadLibrary("kernel32") is c.windll.kernel32,
            c.CDLL("kernel32.dll")._handle == c.windll.kernel32._handle]  # fmt: skip


@case
def missing_libraries(c, dll):
    """By name and text; the next case compares the names alone."""
    return [outcome(lambda: c.CDLL("no such.dll")), outcome(lambda: c.windll.LoadLibrary("no such library"))]


@case
def missing_libraries_by_name(c, dll):
    return [outcome(way, "no such.dll")["error"] for way in (c.CDLL, c.WinDLL, c.windll.LoadLibrary)]


@alone("AttributeError" if sys.version_info >= (3, 12) else "FileNotFoundError")
def missing_libraries_as_attributes(c, dll):
    """As in the ctypes of the Python that runs."""
    return outcome(lambda: c.windll.no_such_library)["error"]


@case
def win_error_of_an_unsigned_code(c, dll):
    return outcome(lambda: c.WinError(0x80070005).winerror)


@case
def by_handle(c, dll):
    again = c.CDLL("any name", handle=dll._handle)
    return [again._handle == dll._handle, again._name, again.two_cdecl(1, 2)]


@case
def last_error_without_the_flag(c, dll):
    dll.set_last(5)
    first = c.GetLastError()
    dll.set_last(2)
    error = c.WinError()
    return [first, type(error).__name__, error.winerror, str(error)]


@case
def calls_after_faults(c, dll):
    """A fault leaves nothing behind: neither in the thread nor in the function."""
    crash = prototyped(dll.crash, c.c_int, c.c_void_p)
    number = c.c_int(9)
    found = [outcome(crash, 8) for _ in range(3)]
    return [*found, crash(c.byref(number)), dll.two_cdecl(1, 2)]


@alone([2, 2, 17, 5])
def errno_of_msvcrt(c, dll):
    """A Windows Python keeps errno of its own C library, ucrt; winbridge that of msvcrt, which most DLLs use."""
    open_ = c.CDLL("msvcrt", use_errno=True)._open
    c.set_errno(5)
    other = []

    def work():
        open_(b"C:\\no such folder\\file", 0)
        other.append(c.get_errno())
        open_(b"C:\\windows\\system32\\kernel32.dll", 0x500)  # _O_CREAT | _O_EXCL
        other.append(c.get_errno())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    before = c.get_errno()
    open_(b"C:\\no such folder\\file", 0)
    return [other[0], c.get_errno(), other[1], before]
