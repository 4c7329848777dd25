"""The calls for msl-loadlib: a request of its own for each, as that library has it."""

import time

from calls import BIG, UNSORTED


def two_ints(client):
    assert client.request32("add", 2, 3) == 5

    def run(count):
        for _ in range(count):
            client.request32("add", 2, 3)

    return run


def ten_floats(client):
    assert client.request32("sort_floats", UNSORTED) == sorted(UNSORTED)

    def run(count):
        for _ in range(count):
            client.request32("sort_floats", UNSORTED)

    return run


def big_buffer(client):
    data = bytes(range(256)) * (BIG // 256)

    def run(count):
        start = time.perf_counter()
        for _ in range(count):
            assert client.request32("invert", data)[0] == 255
        return time.perf_counter() - start

    return run


def many_calls(client):
    def run(count):
        pairs = zip(range(count), range(count), strict=True)
        results = [client.request32("add", left, right) for left, right in pairs]
        assert results[-1] == 2 * (count - 1)

    return run


BODIES = {body.__name__: body for body in (two_ints, ten_floats, big_buffer, many_calls)}
