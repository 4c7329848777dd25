"""Calls that only winbridge has: whole arrays, shared arrays, and a round trip that finds both sides asleep."""

import ctypes
import statistics
import time

from calls import BIG, SMALL

GAP = 0.002
"""Seconds without a call after which both sides sleep: far above ``spin_us``."""


def _add(contender):
    return contender.function("add", ctypes.c_int, (ctypes.c_int, ctypes.c_int))


def mapped_calls(contender):
    """``map`` over the pairs of ``many_calls``."""
    add = _add(contender)

    def run(count):
        results = add.map(zip(range(count), range(count), strict=True))
        assert results[-1] == 2 * (count - 1)

    run.calls = 100_000
    return run


def vectorized_calls(contender):
    """``vectorize`` over the pairs of ``many_calls``, in numpy arrays."""
    import numpy

    add = _add(contender)
    numbers = numpy.arange(1_000_000, dtype=numpy.int32)

    def run(count):
        results = add.vectorize(numbers[:count], numbers[:count])
        assert results[-1] == 2 * (count - 1)

    run.calls = len(numbers)
    return run


def memcpy(contender):
    """What this processor copies in this process: the measure of ``big_buffer``."""
    source, target = (ctypes.create_string_buffer(b"x" * BIG, BIG) for _ in range(2))

    def run(count):
        for _ in range(count):
            ctypes.memmove(target, source, BIG)

    return run


def shared_big_buffer(contender):
    """``big_buffer`` with ``shared_array``."""
    import winbridge

    array = winbridge.shared_array(BIG, "u1", arch=contender.arch)
    invert = contender.function("invert", None, (ctypes.c_void_p, ctypes.c_size_t))

    def run(count):
        seconds = 0.0
        for number in range(count):
            array[:] = number % 256
            start = time.perf_counter()
            invert(array, BIG)
            seconds += time.perf_counter() - start
            assert array[-1] == 255 - number % 256
        return seconds

    return run


def _reading_shared(size):
    def body(contender):
        import winbridge

        array = winbridge.shared_array(size, "u1", arch=contender.arch)
        array[-1] = 7
        last_byte = contender.function("last_byte", ctypes.c_int, (ctypes.c_void_p, ctypes.c_size_t))
        assert last_byte(array, size) == 7

        def run(count):
            for _ in range(count):
                last_byte(array, size)

        return run

    return body


def asleep(contender):
    """Each call after a gap in which both sides fell asleep. The median of the calls."""
    add = _add(contender)

    def run(count):
        each = []
        for _ in range(count):
            time.sleep(GAP)
            start = time.perf_counter()
            add(2, 3)
            each.append(time.perf_counter() - start)
        return statistics.median(each) * count

    run.calls = 100
    return run


BODIES = {
    "mapped_calls": mapped_calls,
    "vectorized_calls": vectorized_calls,
    "memcpy": memcpy,
    "shared_big_buffer": shared_big_buffer,
    "shared_read_4_KiB": _reading_shared(SMALL),
    "shared_read_16_MiB": _reading_shared(BIG),
    "asleep": asleep,
}
