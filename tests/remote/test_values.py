"""Values and exceptions on their way: what comes is what went, and errors name what cannot go."""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import fractions
import os
import pickle
import struct
import sys
import threading
import traceback

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.remote import far
from tests.remote.fix_peer import oldest_python, peer
from tests.remote.test_references import Side
from winbridge.remote import OperationError, Options, Proxy, RemoteTraceback, ref
from winbridge.remote.values import LARGE, MOST_BUFFERS


@pytest.fixture(scope="module")
def connection():
    with peer() as connection:
        yield connection


@pytest.fixture(scope="module")
def oldest():
    python = oldest_python()
    if python is None:
        pytest.skip("no CPython 3.8 on this machine")
    with peer(python) as connection:
        yield connection


def passed(value, carry=lambda buffer: buffer if type(buffer) is bytes else bytearray(buffer)):
    """Through one side and another; what ``carry`` does is what carriers do with a buffer."""
    payload, buffers = Side().values.dumps(value)
    return Side().values.loads(payload, [carry(buffer) for buffer in buffers])


LONG = os.urandom(LARGE)
NESTED = [LONG, bytearray(LONG), {"k": (LONG, "é" * LARGE)}, memoryview(LONG), LONG[:-1], "x" * (LARGE - 1), b"", 7]


# -- large data


@pytest.mark.parametrize("carry", [bytes, bytearray, memoryview, lambda buffer: memoryview(bytearray(buffer))])
def test_large_data_is_the_same_whatever_kind_of_buffer_brings_it(carry):
    came = passed(NESTED, carry)
    assert came == NESTED and [type(item) for item in came] == [type(item) for item in NESTED]


def test_large_data_is_not_copied():
    number = bytearray(LONG)
    array_of_numbers = numpy.arange(LARGE)
    payload, buffers = Side().values.dumps([LONG, number, array_of_numbers, memoryview(number)])
    assert len(payload) < 1000
    assert buffers[0] is LONG and buffers[1] is number
    assert numpy.shares_memory(numpy.frombuffer(buffers[2], int), array_of_numbers)
    assert numpy.shares_memory(numpy.frombuffer(buffers[3], numpy.uint8), numpy.frombuffer(number, numpy.uint8))
    given = [bytes(buffers[0]), bytearray(buffers[1]), bytearray(buffers[2]), bytearray(buffers[3])]
    came = Side().values.loads(payload, given)
    assert came[0] is given[0] and came[1] is given[1]
    assert numpy.shares_memory(came[2], numpy.frombuffer(given[2], int))


def test_the_same_large_object_goes_once_and_stays_one():
    assert len(Side().values.dumps([LONG, LONG])[1]) == 1
    one, other = passed([LONG, LONG])
    assert one is other


def test_small_data_stays_in_the_message():
    assert Side().values.dumps([b"x" * (LARGE - 1), numpy.arange(100), bytearray(5), memoryview(b"abc")])[1] == []


def test_more_buffers_than_a_message_can_count():
    few = numpy.zeros(LARGE, numpy.uint8)
    many = [few.view() for _ in range(2 * MOST_BUFFERS + 5)]
    payload, buffers = Side().values.dumps(many)
    assert len(buffers) == 2 * MOST_BUFFERS < 1 << 16 and len(payload) > 5 * LARGE
    shared = Side().values.loads(payload, [bytearray(few)] * len(buffers))
    assert len(shared) == len(many) and not any(array.any() for array in shared[-5:])


def test_text_that_looks_like_the_announcement_of_data():
    """The end of one part of a pickle is made to look like the announcement of the next one."""
    for size in (5, 9):
        head = b"B" + struct.pack("<I", 2 * LARGE) if size == 5 else b"\x8e" + struct.pack("<Q", 2 * LARGE)
        value = ["a" * LARGE + head.decode("latin-1"), "y" * (2 * LARGE), head * 20_000, b"z" * (2 * LARGE)]
        assert passed(value) == value


@pytest.mark.parametrize(
    "value",
    [
        numpy.arange(LARGE, dtype=">i4"),
        numpy.asfortranarray(numpy.random.default_rng(1).random((300, 301))),
        numpy.zeros((0, 7)),
        numpy.arange(4 * LARGE)[::2],
        numpy.array([None, "x", 3], dtype=object),
        numpy.zeros(LARGE, dtype=[("a", "i2"), ("b", "f8")]),
        numpy.array(5.0),
    ],
    ids=["swapped", "fortran", "empty", "strided", "objects", "records", "scalar"],
)
def test_arrays(connection, value):
    for came in (passed(value), connection.call(far.echo, value)):
        assert numpy.array_equal(came, value) and came.dtype == value.dtype and came.shape == value.shape
        assert came.flags.writeable and came.flags.f_contiguous >= value.flags.f_contiguous


@pytest.mark.parametrize("size", [3, LARGE])
def test_what_is_read_only_stays_so(connection, size):
    fixed = numpy.arange(size)
    fixed.flags.writeable = False
    assert not connection.call(far.echo, fixed).flags.writeable
    for view in (memoryview(bytes(size)), memoryview(bytes(4 * size))[::2]):
        came = connection.call(far.echo, view)
        assert came.readonly and came == view
    assert not connection.call(far.echo, memoryview(bytearray(size))).readonly


def test_memoryviews_of_numbers(connection):
    numbers = array.array("l", range(LARGE))
    for view in (memoryview(numbers), memoryview(numbers)[::3], memoryview(bytes(24)).cast("B", (2, 3, 4))):
        came = connection.call(far.echo, view)
        assert came == view and (came.format, came.shape) == (view.format, view.shape)
    assert len(connection.call(far.echo, memoryview(numpy.zeros((0, 3))))) == 0
    with pytest.raises(OperationError, match="format 'T"):
        connection.call(far.echo, memoryview(numpy.zeros(3, dtype=[("a", "i2"), ("b", "f8")])))


def test_large_data_through_both_ends_and_back(connection, oldest):
    for one in (connection, oldest):
        came = one.call(far.echo, NESTED)
        assert came == NESTED and [type(item) for item in came] == [type(item) for item in NESTED]


# -- any value


class Colour(enum.Enum):
    RED = 1


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.integers(LARGE - 2, LARGE + 2).map(lambda size: bytes(size))
    | st.integers(LARGE - 2, LARGE + 2).map(lambda size: bytearray(size))
    | st.integers(LARGE - 2, LARGE + 2).map(lambda size: "t" * size)
    | st.datetimes()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner)
        | st.sets(st.integers() | st.text())
        | inner.map(lambda value: collections.deque([value, value]))
    ),
    max_leaves=25,
)


@given(PLAIN)
@settings(max_examples=150, deadline=None)
def test_whatever_goes_comes_as_it_was(value):
    came = passed(value)
    assert came == value and type(came) is type(value)
    assert passed(value, bytearray) == value


@given(st.lists(st.sampled_from(["bytes", "array", "text", "bytearray", "view", "small"]), max_size=12), st.booleans())
@settings(max_examples=80, deadline=None)
def test_data_in_any_order_stays_in_order(kinds, twice):
    made = {
        "bytes": lambda mark: bytes([mark]) * LARGE,
        "bytearray": lambda mark: bytearray([mark]) * (LARGE + mark),
        "text": lambda mark: chr(65 + mark) * (LARGE + mark),
        "array": lambda mark: numpy.full(LARGE, mark),
        "view": lambda mark: memoryview(bytes([mark]) * LARGE),
        "small": lambda mark: mark,
    }
    value = [made[kind](mark) for mark, kind in enumerate(kinds)] * (1 + twice)
    for came, went in zip(passed(value), value, strict=True):
        assert numpy.array_equal(came, went) and type(came) is type(went)


def test_values_of_the_standard_library(connection):
    value = (
        datetime.timedelta(1),
        decimal.Decimal("1.5"),
        fractions.Fraction(1, 3),
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        range(5),
        slice(1, 2),
        ...,
        int,
        len,
        os.path.join,
    )
    assert connection.call(far.echo, value) == value


# -- what cannot go


@pytest.mark.parametrize(
    ("send", "text"),
    [
        (
            lambda call: call(far.echo, [1, {"key": threading.Lock()}]),
            r"the call of echo: argument 0\[1\]\['key'\] is <unl",
        ),
        (lambda call: call(far.echo, value=far_with_lock()), r"argument 'value'\.balance is <unlocked .* of type lock"),
        (lambda call: call(far.echo, lambda: 1), "argument 0 is <function .*pickle_by_value=True"),
        (lambda call: call(lambda: 1), "the function is <function .*pickle_by_value=True.*ref"),
        (lambda call: call(far.echo, (n for n in [1])), r"argument 0 is <generator .*list\(it\)"),
        (lambda call: call(far.echo, {(threading.Lock(),): 1}), r"argument 0, key \(<unl"),
        (lambda call: call(far.Account(1).lock), r"the result: it is <unlocked .*ref\(it\)"),
        (lambda call: call(far.echo, [sys]), r"argument 0\[0\] is <module 'sys'"),
        (lambda call: call(far.echo, deep()), "nested too deeply"),
    ],
)
def test_an_error_names_the_object_and_its_place(connection, send, text):
    with pytest.raises(OperationError, match=text) as caught:
        send(connection.call)
    assert len(str(caught.value)) < 600
    assert connection.call(far.echo, 1) == 1


def test_the_object_s_repr_may_fail(connection):
    with pytest.raises(OperationError, match="is <.*Bad object at"):
        connection.call(far.echo, Bad())


def test_what_the_other_side_does_not_know(connection):
    with pytest.raises(OperationError, match=r"load the result.*no module 'only_there'.*connection\.export"):
        connection.call(far.make_unknown)
    with pytest.raises(OperationError, match=r"load the call.*no module 'only_here'"):
        connection.call(far.echo, only_here())
    unknown = connection.call_ref(far.make_unknown)
    assert isinstance(unknown, Proxy) and unknown.x == 5


def test_an_object_that_refuses_to_be_rebuilt(connection):
    with pytest.raises(OperationError, match="rebuilding an object in it raised TypeError"):
        connection.call(far.echo, far.OddError(1, reason="x"))


def test_a_damaged_message():
    payload, _ = Side().values.dumps([1, 2, 3])
    for end in range(len(payload)):
        with pytest.raises(OperationError, match="cannot load"):
            Side().values.loads(payload[:end], [])


def test_references_only_load_in_a_connection():
    payload, _ = Side().values.dumps(ref([1]))
    with pytest.raises(OperationError, match="only be loaded by the connection"):
        pickle.loads(payload)


# -- code by value


def test_code_by_value(oldest_free_peer):
    offset = 5
    call = oldest_free_peer.call
    assert call(lambda value: value + offset, 2) == 7
    assert call(map_sum, lambda value: value * offset, [1, 2]) == 15
    assert call(lambda: LocalAnswer(3).doubled()) == 6
    with pytest.raises(OperationError, match=r"argument 0 is|argument 0\S+ is <unlocked"):
        call(far.echo, threading.Lock())
    lock = threading.Lock()
    with pytest.raises(OperationError, match="<unlocked"):
        call(lambda: lock)


@pytest.fixture(scope="module")
def oldest_free_peer():
    """A peer of the same version: code does not travel between versions."""
    with peer(here=Options(pickle_by_value=True), there={"pickle_by_value": True}) as connection:
        yield connection


def test_an_exception_by_value_is_caught_as_itself(oldest_free_peer):
    class MineError(Exception):
        def __init__(self, number, text):
            super().__init__(text)
            self.number = number

    def fail():
        raise MineError(5, "mine")

    with pytest.raises(MineError, match="mine") as caught:
        oldest_free_peer.call(fail)
    assert caught.value.number == 5


def test_main_by_value(oldest_free_peer):
    source = (
        "def double(x):\n    return Wrapped(2 * x)\nclass Wrapped:\n    def __init__(self, value): self.value = value"
    )
    space = {"__name__": "__main__"}
    exec(source, space)
    main = sys.modules["__main__"]
    main.double, main.Wrapped = space["double"], space["Wrapped"]
    try:
        came = oldest_free_peer.call(main.double, 4)
        assert came.value == 8
    finally:
        del main.double, main.Wrapped


def test_cloudpickle_is_missing(monkeypatch):
    from winbridge.remote import picklers

    side = Side()
    side.values._options = Options(pickle_by_value=True)
    picklers._with_code.cache_clear()
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(OperationError, match=r"needs cloudpickle.*winbridge\[remote\]"):
        side.values.dumps(lambda: 1)
    assert side.values.dumps(1)[1] == []


# -- exceptions


@pytest.mark.parametrize(
    ("function", "kind", "fields"),
    [
        (far.raise_odd, far.OddError, {"code": 7, "reason": "odd", "args": ("odd (7)",)}),
        (far.raise_file, far.FileOddError, {"errno": 2, "filename": "nothing.txt", "short": "not"}),
        (far.raise_reducing, far.ReducingError, {"number": 5, "args": ("five",)}),
        (far.raise_slotted, far.SlottedError, {"where": "there", "args": ("slot",)}),
        (far.raise_unicode, UnicodeDecodeError, {"start": 0, "object": b"\xff", "encoding": "utf-8"}),
    ],
)
def test_exceptions_come_as_themselves(connection, oldest, function, kind, fields):
    for one in (connection, oldest):
        with pytest.raises(kind) as caught:
            one.call(function)
        assert type(caught.value) is kind
        assert {name: getattr(caught.value, name) for name in fields} == fields
        trace = caught.value.__cause__
        assert isinstance(trace, RemoteTraceback) and f"in {function.__name__}" in str(trace)
        assert "serving.py" not in str(trace)
        assert function.__name__ in "".join(traceback.format_exception(caught.value))


def test_causes_come_along(connection):
    with pytest.raises(ValueError, match="outer") as caught:
        connection.call(far.raise_chained)
    trace = caught.value.__cause__
    assert "direct cause" in str(trace) and "raise_odd" in str(trace)
    assert isinstance(trace.__cause__, far.OddError) and trace.__cause__.code == 7
    with pytest.raises(FileNotFoundError) as caught:
        connection.call(far.raise_in_context)
    assert isinstance(caught.value.__cause__.__context__, far.OddError)
    assert "During handling" in str(caught.value.__cause__)


def test_an_exception_that_goes_back_and_forth(connection):
    with pytest.raises(far.OddError) as caught:
        connection.call(far.backwards, ref(calling_back(connection)), far.raise_odd)
    text = str(caught.value.__cause__)
    assert text.count("in raise_odd") == 1 and "in backwards" in text
    assert caught.value.__cause__.__cause__ is None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups and notes are of Python 3.11")
def test_groups_and_notes(connection):
    with pytest.raises(ValueError, match="noted") as caught:
        connection.call(far.raise_noted)
    assert caught.value.__notes__ == ["a note"] and "a note" in str(caught.value.__cause__)
    with pytest.raises(ExceptionGroup) as caught:  # noqa: F821
        connection.call(far.raise_group)
    odd, inner = caught.value.exceptions
    assert odd.reason == "one" and repr(inner.exceptions) == "(KeyError('k'),)"


def test_exceptions_that_cannot_travel(connection):
    with pytest.raises(OperationError, match="ValueError: holds a lock") as caught:
        connection.call(far.raise_with_lock)
    assert "in raise_with_lock" in str(caught.value.__cause__)
    with pytest.raises(OperationError, match="LocalError: nobody knows me"):
        connection.call(far.raise_local)
    with pytest.raises(OperationError, match="MuteError"):
        connection.call(far.raise_mute)
    with pytest.raises(KeyError, match="outer") as caught:  # its cause cannot travel, but it can
        connection.call(far.raise_over_lock)
    assert "holds a lock" in str(caught.value.__cause__)


# -- what the tests above send


class Bad:
    def __repr__(self):
        raise ValueError

    def __reduce__(self):
        raise ValueError("never")


class LocalAnswer:
    def __init__(self, value):
        self.value = value

    def doubled(self):
        return 2 * self.value


def map_sum(function, values):
    return sum(map(function, values))


def calling_back(connection):
    return lambda function: connection.call(function)


def far_with_lock():
    return far.Account(threading.Lock())


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


def only_here():
    space = {"__name__": "only_here"}
    exec("class Here: pass", space)
    module = type(sys)("only_here")
    vars(module).update(space)
    sys.modules["only_here"] = module
    return module.Here()
