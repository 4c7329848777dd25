"""The calls that are measured: one body for every contender that speaks ctypes, on Linux and on Windows.

A body takes a ``Contender`` (``contender.py``), checks once that the call does what it should, and returns
``run(count)``: so many calls, with nothing else in the loop than the call and the arguments that belong to it. A body
that must not time all of its loop returns the seconds from ``run``.
"""

import time

UNSORTED = (9.25, -3.5, 7.0, 0.5, 8.75, -1.25, 6.0, 2.5, 5.0, 4.0)
BIG = 16 << 20
SMALL = 4 << 10


def two_ints(contender):
    c = contender.ctypes
    add = contender.function("add", c.c_int, (c.c_int, c.c_int))
    assert add(2, 3) == 5

    def run(count):
        for _ in range(count):
            add(2, 3)

    return run


def ten_floats(contender):
    """A new array each time, as a program makes it from its data, sorted in place through a pointer."""
    c = contender.ctypes
    sync = [{"pointer": [0], "length": [1], "type": "c_float"}]
    pointer = c.POINTER(c.c_float)
    sort = contender.function("sort_floats", None, (pointer, c.c_int), sync)
    floats, cast = c.c_float * 10, c.cast
    values = floats(*UNSORTED)
    sort(cast(values, pointer), 10)
    assert list(values) == sorted(UNSORTED), list(values)

    def run(count):
        for _ in range(count):
            sort(cast(floats(*UNSORTED), pointer), 10)

    return run


def nine_callbacks(contender):
    """Each callback reads a structure through a pointer and changes it."""
    c, types = contender.callback_ctypes, contender.callback_types()

    @types.Visitor
    def visit(pointer):
        cell = pointer.contents
        value = cell.value
        cell.value = value * 2
        return value + cell.row

    visit_cells = contender.function("visit_cells", c.c_double, (types.Visitor, c.c_double))
    assert visit_cells(visit, 1.5) == sum(3 * (1.5 + index) + index // 3 for index in range(9))

    def run(count):
        for _ in range(count):
            visit_cells(visit, 1.5)

    return run


def nested_pointers(contender):
    """A structure with a string and pointers to structures with pointers; one member changed before each call."""
    c, types = contender.ctypes, contender.types()
    samples = [
        {"pointer": [0, side, "samples"], "length": [0, side, "count"], "type": "c_float"} for side in ("left", "right")
    ]
    sync = [*samples, {"pointer": [0, "title"], "null": True}]
    halve = contender.function("halve_recording", c.c_double, (types.RecordingPointer,), sync)
    floats, floats_pointer = c.c_float * 10, c.POINTER(c.c_float)
    left, right = floats(*UNSORTED), floats(*UNSORTED)
    channels = [types.Channel(10, c.cast(side, floats_pointer)) for side in (left, right)]
    recording = types.Recording(48000, b"A tone", c.pointer(channels[0]), c.pointer(channels[1]))
    pointer = c.pointer(recording)
    assert halve(pointer) == ord("A") + 2 * sum(UNSORTED)
    assert (recording.rate, left[0], right[0]) == (24000, UNSORTED[0] / 2, UNSORTED[0] / 2)

    def run(count):
        for _ in range(count):
            left[0] = 8.0
            halve(pointer)

    return run


def big_buffer(contender):
    """All of a buffer of 16 MiB is changed on this side, then on the other. Timed is the call alone."""
    c = contender.ctypes
    invert = contender.function("invert", None, (c.c_void_p, c.c_size_t), [{"pointer": [0], "length": [1]}])
    buffer = c.create_string_buffer(BIG)
    view = memoryview(buffer).cast("B")
    contents = bytes(range(256)) * (BIG // 256), bytes(range(255, -1, -1)) * (BIG // 256)
    address = c.cast(buffer, c.c_void_p)

    def run(count):
        seconds = 0.0
        for number in range(count):
            view[:] = contents[number % 2]
            start = time.perf_counter()
            invert(address, BIG)
            seconds += time.perf_counter() - start
        return seconds

    run(1)
    assert view == contents[1]
    return run


def many_calls(contender):
    """A call for each pair of two ranges of numbers, and the results in a list."""
    c = contender.ctypes
    add = contender.function("add", c.c_int, (c.c_int, c.c_int))

    def run(count):
        results = [add(left, right) for left, right in zip(range(count), range(count), strict=True)]
        assert results[-1] == 2 * (count - 1)

    return run


BODIES = {
    body.__name__: body for body in (two_ints, ten_floats, nine_callbacks, nested_pointers, big_buffer, many_calls)
}
