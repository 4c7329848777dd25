"""Memory without directives for the standard ctypes: what pointers reach, what is kept, what comes back."""

from __future__ import annotations

import array
import ctypes
import gc
import itertools
import mmap
import random
import sys
import threading
from ctypes import (
    POINTER,
    byref,
    c_char,
    c_char_p,
    c_double,
    c_int,
    c_long,
    c_short,
    c_void_p,
    c_wchar_p,
    cast,
    pointer,
)

import pytest

import winbridge
from tests.fix_dlls import NATIVE, compile_dll
from winbridge.core.changes import carry

numpy = pytest.importorskip("numpy")
pytestmark = pytest.mark.wine
SESSIONS = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("memory")
    for arch in SESSIONS:
        compile_dll(arch, NATIVE / "memory.c", home / f"{arch}.dll")
    return home


@pytest.fixture
def dll(folder, arch):
    return winbridge.load_dll(folder / f"{arch}.dll", convention="cdecl")


@pytest.fixture(params=["shm", "stream"])
def either(request, folder, arch):
    """The DLL over both ways to an agent."""
    SESSIONS[arch](transport=request.param)
    return winbridge.load_dll(folder / f"{arch}.dll", convention="cdecl")


class Node(ctypes.Structure):
    pass


Node._fields_ = (("value", c_int), ("next", POINTER(Node)))


class Record(ctypes.Structure):
    _fields_ = (
        ("tag", c_char),
        ("name", c_char_p),
        ("count", c_long),
        ("data", POINTER(c_int)),
        ("length", c_int),
        ("wide", c_wchar_p),
    )


def chain(*values):
    nodes = [Node(value) for value in values]
    for node, follower in itertools.pairwise(nodes):
        node.next = pointer(follower)
    return nodes


def values_of(node, most=100):
    found = []
    while node and len(found) < most:
        found.append(node.contents.value)
        node = node.contents.next
    return found


def test_linked_list(either):
    first, *others = chain(1, 2, 3, 4)
    assert either.sum_list(byref(first), 100) == 10
    either.double_list(byref(first), 100)
    assert [node.value for node in (first, *others)] == [2, 4, 6, 8]
    others[1].value = 100
    assert either.sum_list(pointer(first), 100) == 114


def test_a_long_list(dll):
    nodes = chain(*range(3000))
    dll.double_list(byref(nodes[0]), 5000)
    assert [node.value for node in nodes] == list(range(0, 6000, 2))


def test_a_list_built_by_its_own_pointers(dll):
    """What is assigned through a pointer is kept by that pointer, not by the node that holds it."""
    first = Node(1)
    tail = pointer(first)
    for value in (2, 3, 4):
        tail.contents.next = pointer(Node(value))
        tail = tail.contents.next
    assert dll.sum_list(byref(first), 100) == 10
    dll.double_list(byref(first), 100)
    assert values_of(pointer(first)) == [2, 4, 6, 8]


def test_a_cycle(either):
    first, second, third = chain(1, 2, 3)
    third.next = pointer(first)
    assert either.sum_list(byref(second), 7) == 2 + 3 + 1 + 2 + 3 + 1 + 2
    either.double_list(byref(first), 3)
    assert (first.value, second.value, third.value) == (2, 4, 6)
    alone = Node(5)
    alone.next = pointer(alone)
    assert either.sum_list(byref(alone), 4) == 20


def test_a_dll_relinks_a_list(either):
    nodes = chain(1, 2, 3)
    head = pointer(nodes[0])
    either.reverse_list(byref(head))
    assert values_of(head) == [3, 2, 1]
    assert ctypes.addressof(head.contents) == ctypes.addressof(nodes[2])
    assert not nodes[0].next
    head.contents.value = 10
    assert nodes[2].value == 10 and either.sum_list(head, 10) == 13


def test_nodes_of_the_dll_in_a_list_of_python(either):
    nodes = chain(1, 2)
    head = pointer(nodes[0])
    either.prepend(byref(head), 7)
    either.prepend(byref(head), 8)
    assert values_of(head) == [8, 7, 1, 2]
    assert either.sum_list(head, 10) == 18
    head.contents.value = 80
    assert either.sum_list(head, 10) == 90
    either.double_list(head, 10)
    assert values_of(head) == [160, 14, 2, 4] and nodes[1].value == 4
    either.cut_after(head)
    assert values_of(head) == [160]


def test_a_list_that_only_the_dll_has(either):
    head = POINTER(Node)()
    for value in range(20):
        either.prepend(byref(head), value)
    assert values_of(head) == list(range(19, -1, -1))
    either.reverse_list(byref(head))
    assert values_of(head) == list(range(20))


def test_texts(either):
    texts = (c_char_p * 4)(b"one", None, b"three", b"")
    assert either.total_length(texts, 4) == 108
    texts[1] = b"fourfour"
    assert either.total_length(texts, 4) == 16
    wide = (c_wchar_p * 3)("né", "𝄞", None)
    assert either.total_wide(wide) == 4
    assert texts[:] == [b"one", b"fourfour", b"three", b""] and wide[:] == ["né", "𝄞", None]


def test_texts_that_change_where_they_were(dll):
    """A new text often stands where an old one was: the place does not tell that it is the same."""
    texts = (c_char_p * 1)()
    for number in range(300):
        texts[0] = b"x" * (number % 7) + bytes(str(number), "ascii")
        assert dll.total_length(texts, 1) == number % 7 + len(str(number))
        gc.collect() if number % 100 == 0 else None


def test_bytes_and_str_are_never_modified(either):
    data = bytes(bytearray(b"hello"))
    either.upper(data)
    assert data == b"hello" and either.same(data, data) == 1
    assert either.total_length((c_char_p * 1)(data), 1) == 5
    either.upper(c_char_p(data))
    assert data == b"hello" and c_char_p(data).value == b"hello"


def test_pointers_into_a_text(either):
    text, found = b"key=value", c_char_p()
    either.after(text, ord("="), byref(found))
    assert found.value == b"=value"
    assert either.distance(text, found) == 3
    wide, tail = "schlüssel=wert", c_wchar_p()
    either.wide_after(wide, ord("="), byref(tail))
    assert tail.value == "=wert" and either.distance(wide, tail) == 18
    either.after(text, ord("?"), byref(found))
    assert found.value is None


def test_arrays_of_pointers_and_pointers_to_pointers(either):
    numbers = [c_int(k) for k in range(5)]
    pointers = (POINTER(c_int) * 6)(*map(pointer, numbers), pointer(numbers[0]))
    either.bump_all(pointers, 6)
    assert [number.value for number in numbers] == [2, 2, 3, 4, 5]
    number = c_int(4)
    either.bump_through(byref(pointer(pointer(number))))
    either.bump_through(pointer(pointer(pointer(number))))
    assert number.value == 6


def test_void_pointers_in_the_middle_at_the_end_and_numbers(either):
    base = (c_int * 10)()
    start = ctypes.addressof(base)
    places = (c_void_p * 4)(start, start + 12, start + 40, cast(base, c_void_p).value)
    raw = ctypes.create_string_buffer(32)
    either.offsets(places, 4, base, raw)
    assert memoryview(raw).cast("B").cast("q").tolist() == [0, 12, 40, 0]
    assert places[0] == start and places[2] == start + 40
    handle = (c_void_p * 2)(5, 0xFFFF)
    other = (c_void_p * 2)(6, 7)
    either.swap_pointers(handle, other)
    assert (handle[0], other[0]) == (6, 5)


def test_byref_with_an_offset_and_cast_views(either):
    numbers = (c_int * 8)(*range(8))
    either.fill_bytes(byref(numbers, 8), 8, 255)
    assert list(numbers) == [0, 1, -1, -1, 4, 5, 6, 7]
    view = cast(byref(numbers, 16), POINTER(c_short))
    either.fill_bytes(view, 2, 1)
    assert numbers[4] == 0x0101 and view[0] == 0x0101
    assert either.distance(numbers, view) == 16
    assert either.distance(byref(numbers), pointer(numbers)) == 0


def test_the_same_object_by_two_ways_is_one(either):
    numbers = (c_int * 4)(1, 2, 3, 4)
    record = Record(b"r", b"name", 0, cast(numbers, POINTER(c_int)), 4, None)
    assert either.sum_records(byref(record), 1) == 14
    assert list(numbers) == [2, 3, 4, 5]
    assert either.same(record.data, numbers) == 1
    pair = (POINTER(c_int) * 2)(pointer(c_int.from_buffer(numbers)), cast(numbers, POINTER(c_int)))
    either.bump_all(pair, 2)
    assert numbers[0] == 4


def test_arrays_of_structures_with_pointers(either):
    data = [(c_int * 3)(k, k, k) for k in range(4)]
    records = (Record * 4)(
        *(Record(b"a", b"x" * k, 0, cast(data[k], POINTER(c_int)), 3, "w" * k if k else None) for k in range(4))
    )
    assert either.sum_records(records, 4) == (0 + 1 + 2 + 3) + 1000 * 6 + 3 * 6
    assert [list(each) for each in data] == [[k + 1] * 3 for k in range(4)]
    assert records[3].count == 6024 and records[2].name == b"xx" and records[3].wide == "www"


def test_what_a_dll_writes_into_pointer_fields(either):
    record = Record()
    either.fill_record(byref(record), 2)
    assert (record.tag, record.name, record.data[:3], record.wide) == (b"f", b"two", [5, 6, 7], "wide é")
    assert either.is_own(byref(record), 2) == 1
    assert either.same(record.data, either_numbers(either)) == 1
    either.fill_record(byref(record), 1)
    assert record.name == b"one" and either.is_own(byref(record), 1) == 1
    other = Record(name=record.name, data=record.data)
    assert either.is_own(byref(other), 1) == 0  # a new text, but the same numbers
    assert either.same(other.data, record.data) == 1


def either_numbers(dll):
    dll.own_numbers.restype = c_void_p
    return c_void_p(dll.own_numbers())


def test_out_parameters_are_followed_and_refreshed(either):
    numbers = POINTER(c_int)()
    either.get_numbers(byref(numbers))
    assert numbers[:3] == [5, 6, 7]
    either.change_number(1, 60)
    assert numbers[1] == 60
    numbers[2] = 70
    assert either.number(2) == 70
    either.change_number(1, 6)
    names = POINTER(c_char_p)()
    either.get_names(byref(names))
    assert list(itertools.takewhile(bool, names)) == [b"zero", b"one", b"two"]


def test_opaque_pointers(either):
    class Opaque(ctypes.Structure):
        pass

    handle = POINTER(Opaque)()
    either.open_opaque(byref(handle))
    assert handle and either.secret_of(handle) == 42
    again = handle
    either.close_opaque(again)


def test_unions_with_pointers(either):
    class Value(ctypes.Union):
        _fields_ = (("pointer", c_void_p), ("bytes", c_char * 8))

    class Variant(ctypes.Structure):
        _fields_ = (("kind", c_int), ("padding", c_int), ("value", Value))

    number = c_int(77)
    variant = Variant(1)
    variant.value.pointer = ctypes.addressof(number)
    assert either.read_variant(byref(variant)) == 77
    assert variant.value.pointer == ctypes.addressof(number)
    assert either.read_variant(byref(Variant(0, 0, Value(bytes=b"\x05")))) == 5
    either.set_variant(byref(variant), pointer(number))
    assert variant.value.pointer == ctypes.addressof(number) and variant.kind == 2
    either.set_variant(byref(variant), None)
    assert variant.value.bytes == b"eight ch"
    either.set_variant(byref(variant), pointer(number))
    assert variant.value.pointer == ctypes.addressof(number)


def test_what_a_dll_keeps(either):
    buffer = ctypes.create_string_buffer(b"hello", 100)
    either.keep(buffer, 5)
    assert either.read_kept(1) == ord("e")
    either.write_kept(0, ord("j"))
    assert buffer.value == b"jello"
    buffer.value = b"mellow"
    assert either.read_kept(0) == ord("m")


def test_bytes_and_str_are_kept(dll):
    text, wide = b"kept" + bytes([48]), "wide" + chr(233)
    dll.keep(text, 5)
    strangers = [bytes([k % 256]) * 5 for k in range(3000)]
    for stranger in strangers:
        dll.upper(stranger)
    assert dll.kept_is(b"kept0") == 1
    dll.keep(wide, 10)
    for k in range(3000):
        dll.upper(b"y" * (k % 50) + b"z")
    assert dll.kept_is(wide.encode("utf-16-le")) == 1


def test_constants_that_nobody_has_are_given_up(dll):
    table = dll.session().pointer_size
    from winbridge.dll.mirrors import SWEEP_BYTES, mirrors

    for k in range(200):
        dll.upper(b"%d" % k + bytes(1 << 17))
    assert sum(len(constant.data) for constant in mirrors(table).constants.values()) <= SWEEP_BYTES + (1 << 18)


def test_mirrors_go_with_their_objects(dll):
    from winbridge.dll.mirrors import mirrors

    table = mirrors(dll.session().pointer_size)
    gc.collect()
    before = len(table.here.at)
    for k in range(100):
        dll.fill_bytes(ctypes.create_string_buffer(32), 32, k)
        dll.sum_list(byref(chain(1, 2, 3)[0]), 1)
    gc.collect()
    assert len(table.here.at) <= before + 1


def test_what_cast_leaves_behind_is_not_compared(dll):
    """ctypes.cast has an object keep itself alive: until a garbage collection it is there, but nobody can see it."""
    from winbridge.dll.living import living

    texts = (c_char * 16), POINTER(c_char)
    gc.disable()
    try:
        kept = texts[0](*b"keep")
        view = cast(kept, texts[1])
        del kept  # the view still leads to it
        dll.keep(view, 16)
        for _ in range(100):
            dll.upper(cast(texts[0](*b"abc"), texts[1]))
        assert len(living(dll.session()).objects) < 10
        dll.write_kept(1, ord("E"))
        assert view[:4] == b"kEep"
    finally:
        gc.enable()


@pytest.mark.parametrize("step", [carry, getattr(carry, "__wrapped__", carry)], ids=["chosen", "python"])
def test_carry_writes_what_differs_and_nothing_else(step):
    chance = random.Random(4)
    for size in (*range(40), 63, 64, 65, 4095, 4096, 4097, 9000):
        before = chance.randbytes(size)
        changes = {at: chance.randrange(256) for at in chance.choices(range(size), k=size // 3)} if size else {}
        after = bytes(changes.get(at, byte) for at, byte in enumerate(before))
        for here in (before, chance.randbytes(size)):
            memory = bytearray(here)
            step(memoryview(memory), before, after)
            kept = zip(here, before, after, strict=True)
            expected = after if size <= 8 else bytes(new if new != old else other for other, old, new in kept)
            assert memory == expected, size


def test_one_of_many_living_objects_changes(either):
    """Whichever it is, and on whichever side, while calls are made that have nothing to do with it."""
    texts = [ctypes.create_string_buffer(b"text%d" % k) for k in range(20)]
    others = [Node(k) for k in range(20)]
    for text, other in zip(texts, others, strict=True):
        either.keep(text, 6)
        assert either.sum_list(byref(other), 1) == other.value
    either.write_kept(0, ord("T"))
    assert [text.value[:1] for text in texts] == [b"t"] * 19 + [b"T"]
    for text in texts:
        either.keep(text, 6)
        text[1] = b"E"
        assert either.read_kept(1) == ord("E")
    either.keep_list(byref(others[3]))
    others[3].next = pointer(Node(100))
    assert either.sum_kept_list() == 103
    others[3].next.contents.value = 200
    assert either.sum_kept_list() == 203
    others[3].next = None
    assert either.sum_kept_list() == 3


def test_a_pointer_to_what_has_another_place_or_size_now(dll):
    """The object that a pointer keeps alive is found by the pointer, as it is at this call."""
    texts = POINTER(c_char)
    text = (c_char * 8)(*b"abc")
    view = cast(text, texts)
    dll.upper(view)
    assert text.value == b"ABC"
    second = (c_char * 8)(*b"def")
    view.contents = c_char.from_buffer(second, 1)  # no longer what it was made of
    dll.upper(view)
    assert (text.value, second.value) == (b"ABC", b"dEF")
    large = c_char()
    ctypes.resize(large, 4096)
    ctypes.memset(byref(large), ord("x"), 4000)
    dll.upper(cast(pointer(large), texts))
    assert ctypes.string_at(byref(large)) == b"X" * 4000


def test_a_pointer_type_with_a_judgement_of_its_own(dll):
    asked = []

    class Checked(POINTER(c_char)):
        _type_ = c_char

        @classmethod
        def from_param(cls, value):
            asked.append(value)
            return value

    text = (c_char * 8)(*b"abc")
    view = Checked(text)
    upper = dll["upper"]
    upper.argtypes = [Checked]
    for _ in range(3):
        upper(view)
    assert text.value == b"ABC" and asked[-3:] == [view] * 3


def test_an_int_is_no_wide_character(dll):
    """Whatever the function returns, and whether the call has memory or not."""
    read = dll["read_kept"]
    read.argtypes = [ctypes.c_wchar]
    for _ in range(2):
        with pytest.raises(ctypes.ArgumentError, match="wrong type|unicode string expected"):
            read(65)


def test_a_resized_object_is_looked_at_where_it_is_now(dll):
    """ctypes.resize gives other memory, and what was there before may be gone: nothing is read or written there."""
    from winbridge.dll.living import living

    text, other = (c_char * 8)(), (c_char * 8)()
    dll.fill_bytes(text, 8, ord("a"))
    (before,) = living(dll.session()).objects
    ctypes.resize(text, 4096)
    assert ctypes.addressof(text) != before.start
    text[0] = b"b"
    before.far[:] = b"x" * 8  # as a DLL would that kept the pointer
    dll.fill_bytes(other, 8, ord("c"))
    assert text.raw[:8] == b"baaaaaaa" and bytes(before.far) == b"x" * 8
    dll.fill_bytes(text, 4, ord("d"))
    assert text.raw[:8] == b"ddddaaaa"


def test_a_kept_list_that_python_changes(either):
    first, second = chain(1, 2)
    either.keep_list(byref(first))
    assert either.sum_kept_list() == 3
    second.value = 20
    assert either.sum_kept_list() == 21
    third = Node(300)
    second.next = pointer(third)
    assert either.sum_kept_list() == 321


def test_both_sides_change_one_object(dll):
    """A thread of the DLL counts in one field while Python writes another: neither change is lost."""

    class Shared(ctypes.Structure):
        _fields_ = (("counter", c_int), ("mine", c_int), ("more", c_int * 6))

    both = Shared()
    dll.start_counting.restype = c_void_p
    thread = dll.start_counting(byref(both))
    for k in range(200):
        both.mine = k
        dll.number(0)
        assert both.mine == k
    dll.wait_for(c_void_p(thread))
    assert (both.counter, both.mine) == (100000, 199)


def test_sync_beyond_the_budget(dll):
    from winbridge.dll.living import BUDGET_OBJECTS
    from winbridge.dll.sync import sync

    buffer = ctypes.create_string_buffer(b"hello", 100)
    dll.keep(buffer, 5)
    others = [c_int() for _ in range(BUDGET_OBJECTS + 5)]
    for other in others:
        dll.fill_bytes(byref(other), 4, 1)
    dll.write_kept(0, ord("j"))
    assert buffer.value == b"hello"
    sync(buffer)
    assert buffer.value == b"jello"
    buffer.value = b"cello"
    sync(buffer)
    assert dll.read_kept(0) == ord("c")
    large = ctypes.create_string_buffer(5 << 20)
    dll.keep(large, 5)
    dll.write_kept(1 << 22, 9)
    assert large[1 << 22] == b"\0"
    sync(large)
    assert large[1 << 22] == b"\x09"
    large[1 << 22] = b"\x08"
    sync(large, back=False)
    assert dll.read_kept(1 << 22) == 8


def test_numpy_arrays(either):
    either.sum_doubles.restype = c_double
    items = numpy.arange(10.0)
    double_pointer = POINTER(c_double)
    contiguous = numpy.ctypeslib.ndpointer(dtype=numpy.float64, flags="C_CONTIGUOUS")
    for argument, declared in (
        (items, None),
        (items, c_void_p),
        (items, double_pointer),
        (items.ctypes, None),
        (items.ctypes.data_as(double_pointer), double_pointer),
        (items.ctypes.data_as(c_void_p), c_void_p),
        (items, contiguous),
    ):
        either.sum_doubles.argtypes = None if declared is None else [declared, c_int]
        assert either.sum_doubles(argument, 10) == 45.0
    either.sum_doubles.argtypes = None
    assert either.sum_doubles(items[5:], 5) == 35.0
    assert either.distance(items, items[3:]) == 24
    either.scale(items[2:], 2, c_double(10))
    assert items.tolist() == [0, 1, 20, 30, 4, 5, 6, 7, 8, 9]
    table = numpy.asfortranarray(numpy.ones((3, 4)))
    either.scale(table, 12, c_double(2))
    assert table.sum() == 24


def test_numpy_arrays_that_cannot_be_passed(dll):
    items = numpy.arange(10.0)
    with pytest.raises(ctypes.ArgumentError, match="ascontiguousarray"):
        dll.sum_doubles(items[::2], 5)
    with pytest.raises(ctypes.ArgumentError, match="Python objects"):
        dll.sum_doubles(numpy.array([object()]), 1)
    dll.sum_doubles.argtypes = [POINTER(c_double), c_int]
    with pytest.raises(ctypes.ArgumentError, match="LP_c_double"):
        dll.sum_doubles(numpy.arange(3), 3)


def test_read_only_arrays_are_never_modified(dll):
    items = numpy.ones(4)
    items.flags.writeable = False
    dll.scale(items, 4, c_double(3))
    assert items.tolist() == [1, 1, 1, 1]
    dll.sum_doubles.restype = c_double
    assert dll.sum_doubles(items, 4) == 4
    whole = numpy.ones(4)
    part = whole[1:3]
    part.flags.writeable = False
    dll.scale(part, 2, c_double(3))
    assert whole.tolist() == [1, 1, 1, 1] and dll.sum_doubles(part, 2) == 2
    moments = numpy.array(["2020-01-01"], "M8[s]")
    dll.fill_bytes(moments, 8, 0)
    assert str(moments[0]) == "1970-01-01T00:00:00"


def test_buffers(either, tmp_path):
    data = bytearray(b"hello")
    either.upper(data)
    assert data[:5] == b"HELLO"
    data.extend(b" again")  # not exported any more
    either.fill_bytes(data, 1, 33)
    assert data == b"!ELLO again"
    numbers = array.array("i", [1, 2, 3])
    either.fill_bytes(numbers, 4, 0)
    assert numbers.tolist() == [0, 2, 3]
    pages = mmap.mmap(-1, 4096)
    either.fill_bytes(pages, 10, 65)
    assert pages[:11] == b"A" * 10 + b"\0"
    pages.close()
    part = memoryview(data)[2:4]
    either.fill_bytes(part, 2, 46)
    assert data == b"!E..O again"


def test_views_by_from_buffer(either):
    data = bytearray(24)
    whole = (c_int * 6).from_buffer(data)
    part = (c_int * 2).from_buffer(data, 8)
    assert either.distance(whole, part) == 8 and either.same(byref(whole), data) == 1
    either.fill_bytes(part, 8, 1)
    assert list(whole) == [0, 0, 0x01010101, 0x01010101, 0, 0]
    items = numpy.zeros(6, numpy.int32)
    view = (c_int * 6).from_buffer(items)
    assert either.same(view, items) == 1
    either.fill_bytes(view, 4, 1)
    assert items[0] == 0x01010101
    assert either.same(numpy.frombuffer(data, numpy.uint8), data) == 1


def test_declared_types_take_buffers(dll):
    dll.upper.argtypes = [c_char_p]
    data = bytearray(b"abc\0")
    dll.upper(data)
    assert data == b"ABC\0"
    dll.upper.argtypes = [POINTER(c_int)]
    with pytest.raises(ctypes.ArgumentError, match="LP_c_int"):
        dll.upper(data)


def test_function_pointers_of_the_dll(either):
    operation = ctypes.CFUNCTYPE(c_int, c_int, c_int)

    class Operations(ctypes.Structure):
        _fields_ = (("run", operation), ("extra", c_int))

    table = Operations(extra=100)
    either.get_operation(byref(table))
    assert either.use_operation(byref(table), 2, 3) == 105
    assert either.call_operation(table.run, 2, 3) == 5


def test_python_functions_are_refused_clearly(dll):
    operation = ctypes.CFUNCTYPE(c_int, c_int, c_int)

    class Operations(ctypes.Structure):
        _fields_ = (("run", operation), ("extra", c_int))

    add = operation(lambda a, b: a + b)
    for use in (lambda: dll.use_operation(byref(Operations(add)), 1, 2), lambda: dll.call_operation(add, 1, 2)):
        with pytest.raises(winbridge.PrototypeError, match=r"Python callback .*winbridge\.ctypes"):
            use()


def test_threads_pass_their_own_lists(dll):
    failures = []

    def work(number):
        try:
            for k in range(60):
                nodes = chain(number, k, 1)
                dll.double_list(byref(nodes[0]), 10)
                assert [node.value for node in nodes] == [2 * number, 2 * k, 2]
                assert dll.total_length((c_char_p * 2)(b"x" * k, b"y" * number), 2) == k + number
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_object_in_two_sessions(folder, arch):
    first = winbridge.load_dll(folder / f"{arch}.dll", convention="cdecl")
    nodes = chain(1, 2, 3)
    first.double_list(byref(nodes[0]), 10)
    SESSIONS[arch].new_session(id="second")
    second = winbridge.load_dll(folder / f"{arch}.dll", convention="cdecl")
    second.double_list(byref(nodes[0]), 10)
    assert [node.value for node in nodes] == [4, 8, 12]


@pytest.mark.win64
@pytest.mark.win32
def test_an_object_on_both_architectures(folder):
    dlls = [winbridge.load_dll(folder / f"{arch}.dll", convention="cdecl") for arch in SESSIONS]
    nodes = chain(1, 2, 3)
    for dll in (*dlls, *dlls):
        dll.double_list(byref(nodes[0]), 10)
    assert [node.value for node in nodes] == [16, 32, 48]


def test_holders_by_value(either):
    class Holder(ctypes.Structure):
        _fields_ = (("p", POINTER(c_int)), ("n", c_int))

    number = c_int(4)
    either.make_holder.restype = Holder
    holder = either.make_holder(byref(number))
    assert (holder.n, holder.p.contents.value) == (3, 4)
    assert ctypes.addressof(holder.p.contents) == ctypes.addressof(number)
    assert either.use_holder(holder) == 5 and number.value == 5 and holder.n == 3


def test_remote_structures_with_pointers(either):
    head = POINTER(Node)()
    either.prepend(byref(head), 1)
    either.prepend(byref(head), 2)
    either.last_of.restype = POINTER(Node)
    either.last_of.argtypes = None
    last = either.last_of(head)
    node = Node(5)
    last[0] = Node(7, pointer(node))
    assert either.sum_list(head, 10) == 2 + 7 + 5
    assert last.contents.value == 7 and last.contents.next.contents.value == 5


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="counts references")
def test_owners_are_not_kept_alive(dll):
    buffer = ctypes.create_string_buffer(100)
    before = sys.getrefcount(buffer)
    dll.fill_bytes(buffer, 10, 1)
    assert sys.getrefcount(buffer) == before


# Shared memory.


def test_shared_objects_are_never_copied(either, arch):
    from winbridge.dll.shared import shared, shared_array

    buffer = shared(100, arch)
    either.keep(buffer, 5)
    either.write_kept(7, 65)
    assert buffer[7] == b"A" and either.same(buffer, c_void_p(ctypes.addressof(buffer))) == 1
    assert either.distance(buffer, byref(buffer, 9)) == 9
    items = shared_array((4, 5), "f8", arch)
    either.scale(items, 20, c_double(2))
    items[:] = 3
    either.sum_doubles.restype = c_double
    assert either.sum_doubles(items, 20) == 60
    assert either.distance(items, items[2:]) == 80
    pointers = (c_void_p * 1)(items.ctypes.data)
    raw = ctypes.create_string_buffer(8)
    either.offsets(pointers, 1, items, raw)
    assert raw.raw == bytes(8)
    part = items[1:3].reshape(-1)
    del items
    gc.collect()
    assert either.sum_doubles(part, 10) == 30


def test_shared_memory_is_given_back(arch):
    from winbridge.dll.shared import shared

    places = set()
    for _ in range(20):
        places.add(ctypes.addressof(shared(8 << 20, arch)))
    assert len(places) == 1


def test_what_cannot_be_shared(arch):
    from winbridge.dll.shared import shared

    with pytest.raises(winbridge.PrototypeError, match="winbridge.ctypes"):
        shared(Record, arch)


# By value.

SIZES = range(1, 65)
FIELDS = {"char": ctypes.c_byte, "short": c_short, "int": c_int, "float": ctypes.c_float, "double": c_double}


def mixtures():
    """Structures of every kind of field in every order that a small one can have."""
    singles = [(name,) for name in FIELDS]
    return [*singles, *itertools.product(FIELDS, repeat=2), *itertools.product(("char", "float", "double"), repeat=3)]


def sized_source(convention):
    text = "#define API __declspec(dllexport)\n"
    for size in SIZES:
        text += (
            f"struct s{size} {{ unsigned char b[{size}]; }};\n"
            f"API struct s{size} {convention} turn{size}(int before, struct s{size} s, double after) {{"
            f" for (int k = 0; k < {size}; k++) s.b[k] += before + (int)after + k; return s; }}\n"
            f"API int {convention} total{size}(struct s{size} s, struct s{size} t) {{ int n = 0;"
            f" for (int k = 0; k < {size}; k++) n += (k + 1) * s.b[k] - t.b[k]; return n; }}\n"
        )
    for number, kinds in enumerate(mixtures()):
        fields = " ".join(f"{kind} f{k};" for k, kind in enumerate(kinds))
        change = " ".join(f"m.f{k} = m.f{k} * 2 + add;" for k in range(len(kinds)))
        text += (
            f"struct m{number} {{ {fields} }};\n"
            f"API void {convention} mix{number}(struct m{number} *out, struct m{number} m, int add)"
            f" {{ {change} *out = m; }}\n"
            f"API struct m{number} {convention} give{number}(const struct m{number} *m) {{ return *m; }}\n"
        )
    return text


@pytest.fixture(scope="module", params=["cdecl", "stdcall"])
def values(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("values")
    source = home / "values.c"
    source.write_text(sized_source("__stdcall" if request.param == "stdcall" else ""))
    for arch in SESSIONS:
        compile_dll(arch, source, home / f"{arch}.dll", "-mno-fp-ret-in-387" if arch == "win32" else "-O1")
    return home, request.param


@pytest.fixture
def valued(values, arch):
    home, convention = values
    return winbridge.load_dll(home / f"{arch}.dll", convention=convention)


def test_every_size_by_value(valued):
    for size in SIZES:

        class Sized(ctypes.Structure):
            _fields_ = (("b", ctypes.c_ubyte * size),)

        first = Sized((ctypes.c_ubyte * size)(*range(size)))
        second = Sized((ctypes.c_ubyte * size)(*range(size, 0, -1)))
        turn, total = valued[f"turn{size}"], valued[f"total{size}"]
        turn.argtypes, turn.restype = [c_int, Sized, c_double], Sized
        assert list(turn(3, first, 4.0).b) == [(2 * k + 7) % 256 for k in range(size)]
        expected = sum((k + 1) * a - b for k, (a, b) in enumerate(zip(first.b, second.b, strict=True)))
        assert total(first, second) == expected
        assert list(first.b) == list(range(size))


def test_mixtures_by_value(valued):
    for number, kinds in enumerate(mixtures()):

        class Mixed(ctypes.Structure):
            _fields_ = tuple((f"f{k}", FIELDS[kind]) for k, kind in enumerate(kinds))

        given, out = Mixed(*(k + 1 for k in range(len(kinds)))), Mixed()
        mix, give = valued[f"mix{number}"], valued[f"give{number}"]
        mix.argtypes, mix.restype = [POINTER(Mixed), Mixed, c_int], None
        mix(byref(out), given, 5)
        assert [getattr(out, f"f{k}") for k in range(len(kinds))] == [2 * k + 7 for k in range(len(kinds))]
        give.restype = Mixed
        if len(kinds) > 1 or kinds[0] not in ("float", "double") or valued.session().arch == "win64":
            back = give(byref(out))
            assert bytes(back) == bytes(out), kinds


def test_unions_and_items_by_value(valued):
    class Number(ctypes.Union):
        _fields_ = (("whole", c_int), ("bytes", ctypes.c_ubyte * 4))

    numbers = (Number * 3)(Number(1), Number(0x01020304), Number(3))
    valued.turn4.restype = Number
    assert list(valued.turn4(0, numbers[1], c_double(0)).bytes) == [4, 4, 4, 4]
