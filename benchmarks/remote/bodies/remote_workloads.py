"""The workloads: each takes a ``Remote``, checks once that it does what it should, and returns ``run(count)``.

See ``bodies/calls.py`` of the DLL calls: so many times, with nothing else in the loop.
"""

from itertools import repeat

SIZE = 16 << 20
"""Bytes that are echoed."""

MANY, SOME = 20000, 2000
"""Calls of a batch: as many as it takes to get going."""


def call(remote):
    add = remote.adder()
    assert add(2, 3) == 5

    def run(count):
        for _ in repeat(None, count):
            add(2, 3)

    return run


def mapped(remote):
    return _summed(remote.mapped, MANY)


def submitted(remote):
    return _summed(remote.submitted, SOME)


def _summed(sums, calls):
    assert list(sums(1000)) == [2 * number for number in range(1000)]

    def run(count):
        assert sums(count)[-1] == 2 * (count - 1)

    run.calls = calls
    return run


def append(remote):
    one_more = remote.appender()
    assert one_more(1) is None

    def run(count):
        for _ in repeat(None, count):
            one_more(1)

    return run


def echo_bytes(remote):
    data = bytes(range(256)) * (SIZE // 256)
    back = remote.echo(data)
    assert type(back) is bytes and back is not data and back == data

    def run(count):
        for _ in repeat(None, count):
            remote.echo(data)

    return run


def echo_array(remote):
    import numpy

    array = numpy.arange(SIZE // 8, dtype=numpy.float64)
    echo = remote.echo_array or remote.echo
    back = echo(array)
    assert type(back) is numpy.ndarray and back is not array and (back == array).all()

    def run(count):
        for _ in repeat(None, count):
            echo(array)

    return run


WORKLOADS = {work.__name__: work for work in (call, mapped, submitted, append, echo_bytes, echo_array)}
RATES = {"mapped": 1, "submitted": 1, "echo_bytes": SIZE, "echo_array": SIZE}
"""What is told as so many a second, not as seconds."""
