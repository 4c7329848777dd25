# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""Where the types of winbridge.ctypes have their parts: as a Windows Python's ctypes and a C compiler have them.

No session is needed: a family of types for each architecture is enough. Where the three do not agree,
``layouts/differences.py`` says so, and why.
"""

from __future__ import annotations

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest

from tests.layouts import cases, compiler, strategy, windows
from tests.layouts.differences import COMPILER, VALUES, WINDOWS, differing
from winbridge.ctypes.api import Api
from winbridge.ctypes.family import Family
from winbridge.ctypes.standard import executed

SOME, MANY = 1_000, 20_000
ENOUGH = 0.6
"""What share of the generated types is left without those that differ on purpose."""

POINTER_SIZES = {"win64": 8, "win32": 4}


def never(*_: Any) -> Any:
    raise AssertionError("a layout needs no session")


def namespace(arch: str) -> Any:
    """The names of ctypes for an architecture."""
    made.append(SimpleNamespace(**Api(Family(arch, never), never).names()))
    return made[-1]


made: list[Any] = []


@pytest.fixture(autouse=True)
def families_go() -> Any:
    """A family with arrays in its cache of pointers is never collected before Python 3.13, and these are large."""
    yield
    while made:
        made.pop()._reset_cache()


@pytest.fixture
def c(arch: str) -> Any:
    return namespace(arch)


def filled(kinds: list[Any], sizes: list[int], start: int) -> list[Any]:
    """For each description the bytes of an instance at first, and assignments."""
    chance = random.Random(start)
    return [
        [kind, chance.randbytes(size).hex(), strategy.steps(kind, chance)]
        for kind, size in zip(kinds, sizes, strict=True)
    ]


def as_compiled(c: Any, kind: Any) -> tuple[int, int, list[Any]]:
    """What the compiler would tell of a type: for a bit field the bytes of an instance with all its bits set."""
    made = cases.build(c, kind)
    size, alignment, fields = cases.measure(c, kind)
    found: list[Any] = []
    for (path, bits), field in zip(cases.members(kind) if isinstance(kind, dict) else (), fields, strict=True):
        if field is None or not bits:
            found.append(field and field[0])
            continue
        assert field[1] >> 16 == bits
        instance = made()
        setattr(instance, path[-1], -1)
        found.append(bytes(instance))
    return size, alignment, found


def reached(compiled: Any, expected: Any) -> tuple[int, int, list[Any]]:
    """What the compiler tells, without the fields that ctypes does not reach through an anonymous member."""
    size, alignment, fields = compiled
    known = [None if mine is None else theirs for mine, theirs in zip(expected[2], fields, strict=True)]
    return size, alignment, known


def compare_with_compiler(arch: str, kinds: list[Any], folder: Any) -> int:
    """Returns how many types were compared."""
    kinds = [kind for kind in kinds if not differing(kind, COMPILER)]
    c = namespace(arch)
    for kind, compiled in zip(kinds, compiler.compiled(arch, kinds, folder), strict=True):
        expected = as_compiled(c, kind)
        assert expected == reached(compiled, expected), json.dumps(kind)
    return len(kinds)


def compare_with_windows(arch: str, kinds: list[Any], start: int, folder: Any) -> int:
    """Layouts and values; returns how many types were compared."""
    kinds = [kind for kind in kinds if not differing(kind, WINDOWS)]
    c = namespace(arch)
    ours = [cases.guarded(cases.measure, c, kind) for kind in kinds]
    writable = [n for n, kind in enumerate(kinds) if not differing(kind, VALUES)]
    tasks = filled([kinds[n] for n in writable], [ours[n][0] for n in writable], start)
    theirs, written = windows.answer(arch, kinds, tasks, folder)
    for kind, here, there in zip(kinds, ours, theirs, strict=True):
        assert here == there, json.dumps(kind)
    for task, there in zip(tasks, written, strict=True):
        assert cases.guarded(cases.fill, c, *task) == there, json.dumps(task)
    return len(kinds)


def need_windows_python(arch: str) -> None:
    problem = windows.why_not(arch)
    if problem:
        pytest.skip(problem)


@pytest.fixture(scope="module")
def some() -> list[Any]:
    return strategy.generated(SOME, 1)


@pytest.fixture(scope="module")
def many() -> tuple[int, list[Any]]:
    """Others each time; the seed is told when a comparison fails."""
    start = random.randrange(2**32)
    return start, strategy.generated(MANY, start)


def test_as_the_compiler_has_them(arch, some, tmp_path):
    assert compare_with_compiler(arch, some, tmp_path) >= ENOUGH * SOME


@pytest.mark.wine
def test_as_ctypes_on_windows_has_them(arch, some, tmp_path):
    need_windows_python(arch)
    assert compare_with_windows(arch, some, 1, tmp_path) >= ENOUGH * SOME


@pytest.mark.slow
def test_many_as_the_compiler_has_them(arch, many, tmp_path):
    start, kinds = many
    print("seed", start)
    assert compare_with_compiler(arch, kinds, tmp_path) >= ENOUGH * MANY


@pytest.mark.slow
@pytest.mark.wine
def test_many_as_ctypes_on_windows_has_them(arch, many, tmp_path):
    need_windows_python(arch)
    start, kinds = many
    print("seed", start)
    assert compare_with_windows(arch, kinds, start, tmp_path) >= ENOUGH * MANY


# Each known difference is one.


def aggregate(root: str, *fields: Any, base: Any = None, pack: int = 0, anonymous: Any = ()) -> Any:
    entries = [[*field] if isinstance(field, tuple) else [field, 0] for field in fields]
    return {"is": root, "base": base, "pack": pack, "later": False, "anonymous": list(anonymous), "fields": entries}


EXAMPLES = {
    "bit fields of a union one after the other": aggregate("Union", ("c_int", 3), ("c_uint", 4)),
    "unions derived from unions": aggregate("Union", "c_char", base=aggregate("Union", ["array", "c_int", 3])),
    "unions in big-endian aggregates": aggregate("BigEndianStructure", aggregate("BigEndianUnion", "c_int")),
    "a base with _pack_": aggregate("Structure", "c_char", base=aggregate("Structure", "c_int"), pack=1),
    "bit fields wider than _pack_ in a union": aggregate("Union", ("c_int", 13), pack=2),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPILER)
def test_differences_from_the_compiler(arch, name, tmp_path):
    kind = EXAMPLES[name]
    assert differing(kind, COMPILER) == [name]
    assert as_compiled(namespace(arch), kind) != compiler.compiled(arch, [kind], tmp_path)[0]


@pytest.mark.wine
def test_differences_from_ctypes_on_windows(arch, tmp_path):
    need_windows_python(arch)
    c = namespace(arch)
    kinds = [EXAMPLES[name] for name in WINDOWS]
    theirs, _ = windows.answer(arch, kinds, [], tmp_path)
    assert [differing(kind, WINDOWS) for kind in kinds] == [[name] for name in WINDOWS]
    assert all(cases.measure(c, kind) != there for kind, there in zip(kinds, theirs, strict=True)), theirs


@pytest.mark.wine
def test_bool_bit_fields_leave_their_neighbours_alone(arch, tmp_path):
    """A Windows Python writes the whole byte (VALUES); here as in C."""
    need_windows_python(arch)
    kind = aggregate("Structure", ("c_bool", 1), ("c_bool", 1), ("c_bool", 1))
    task = [kind, "00", [[["f_0"], True, True], [["f_2"], True, True], [["f_1"], False, True]]]
    assert cases.fill(namespace(arch), *task) == ["05", ["True", "True", "False"]]
    assert windows.answer(arch, [], [task], tmp_path)[1][0][0] == "00"


# Rules one by one.

SIZES = {
    "c_byte": 1, "c_ubyte": 1, "c_char": 1, "c_bool": 1, "c_short": 2, "c_ushort": 2, "c_wchar": 2, "c_int": 4,
    "c_uint": 4, "c_long": 4, "c_ulong": 4, "c_float": 4, "c_longlong": 8, "c_ulonglong": 8, "c_double": 8,
    "c_longdouble": 8, "c_int8": 1, "c_uint8": 1, "c_int16": 2, "c_uint16": 2, "c_int32": 4, "c_uint32": 4,
    "c_int64": 8, "c_uint64": 8, "HRESULT": 4,
}  # fmt: skip
WORDS = ["c_size_t", "c_ssize_t", "c_void_p", "c_voidp", "c_char_p", "c_wchar_p", "py_object"]


def test_simple_types(c, arch):
    expected = {**SIZES, **dict.fromkeys(WORDS, POINTER_SIZES[arch])}
    assert {name: c.sizeof(getattr(c, name)) for name in expected} == expected
    assert {name: c.alignment(getattr(c, name)) for name in expected} == expected
    assert c.sizeof(c.POINTER(c.c_double)) == c.sizeof(c.WINFUNCTYPE(None)) == POINTER_SIZES[arch]


def test_no_simple_type_is_forgotten(c):
    there = {name for name, kind in vars(c).items() if isinstance(kind, type) and issubclass(kind, c._SimpleCData)}
    assert there - {"_SimpleCData"} == {*SIZES, *WORDS}


def test_int_and_long_are_one(c, arch):
    assert c.c_long is c.c_int and c.c_ulong is c.c_uint and c.c_longdouble is c.c_double
    assert c.c_size_t is (c.c_ulonglong if arch == "win64" else c.c_ulong)


def wintypes(c: Any) -> dict[str, Any]:
    return executed("ctypes.wintypes", c)


@pytest.mark.wine
def test_wintypes_are_those_of_windows(c, arch, tmp_path):
    need_windows_python(arch)
    kinds = {name: kind for name, kind in wintypes(c).items() if getattr(kind, "_typeinfo_", None)}
    theirs, _ = windows.answer(arch, [f"wintypes.{name}" for name in kinds], [], tmp_path)
    assert {name: [c.sizeof(kind), c.alignment(kind), []] for name, kind in kinds.items()} == dict(
        zip(kinds, theirs, strict=True)
    )
    assert len(kinds) > 130


def test_known_wintypes(c, arch):
    names = wintypes(c)
    known = {"DWORD": 4, "LONG": 4, "FILETIME": 8, "RECT": 16, "WIN32_FIND_DATAW": 592, "WIN32_FIND_DATAA": 320,
             "VARIANT_BOOL": 2, "WCHAR": 2, "MSG": 48 if arch == "win64" else 28}  # fmt: skip
    assert {name: c.sizeof(names[name]) for name in known} == known


def test_a_type_that_points_to_itself(c, arch):
    class Node(c.Structure):
        pass

    Node._fields_ = [("tag", c.c_char), ("next", c.POINTER(Node)), ("double", c.c_double)]
    assert (c.sizeof(Node), Node.next.offset) == ((24, 8) if arch == "win64" else (16, 4))
    first, second = Node(b"a"), Node(b"b")
    first.next, second.next = c.pointer(second), c.pointer(first)
    assert first.next.contents.next.contents.tag == b"a"


def test_types_that_point_to_each_other(c):
    class Parent(c.Structure):
        pass

    class Child(c.Structure):
        _fields_ = [("parent", c.POINTER(Parent)), ("number", c.c_short)]

    Parent._fields_ = [("children", c.POINTER(Child) * 2), ("only", Child)]
    assert c.sizeof(Parent) == 2 * c.sizeof(c.c_void_p) + c.sizeof(Child)
    parent = Parent(only=Child(number=7))
    parent.only.parent = c.pointer(parent)
    parent.children[1] = c.pointer(parent.only)
    assert parent.children[1].contents.parent.contents.only.number == 7


def test_a_type_cannot_contain_itself(c):
    class Loop(c.Structure):
        pass

    with pytest.raises(AttributeError, match="cannot contain itself"):
        Loop._fields_ = [("inner", Loop)]


def test_what_is_empty(c):
    class Empty(c.Structure):
        _fields_ = []

    class Undeclared(c.Structure):
        pass

    class Trailing(c.Structure):
        _fields_ = [("empty", Empty), ("count", c.c_byte), ("items", c.c_longlong * 0)]

    assert (c.sizeof(Empty), c.alignment(Empty), c.sizeof(Empty * 5)) == (0, 1, 0)
    assert (c.sizeof(Undeclared), c.alignment(Undeclared)) == (0, 0)
    assert (c.sizeof(Trailing), c.alignment(Trailing), Trailing.items.offset) == (8, 8, 8)
    assert len(Trailing().items) == 0


def test_inheritance(c):
    class Mixin:
        def total(self):
            return self.first + self.second + self.third

    class First(c.Structure):
        _fields_ = [("first", c.c_int), ("tail", c.c_char)]

    class Second(Mixin, First):
        _fields_ = [("second", c.c_byte)]

    class Same(Second):
        pass

    class Third(Same):
        _fields_ = [("third", c.c_short)]

    assert (c.sizeof(First), c.sizeof(Second), c.sizeof(Same), c.sizeof(Third)) == (8, 12, 12, 16)
    assert (Second.second.offset, Third.third.offset) == (8, 12)
    third = Third(1, b"t", 2, 3)
    assert (third.first, third.tail, third.second, third.third, third.total()) == (1, b"t", 2, 3, 6)


def test_a_mixin_before_the_type(c):
    class Mixin:
        pass

    class Number(Mixin, c.c_int):
        pass

    class Three(Mixin, c.c_short * 3):
        pass

    assert (c.sizeof(Number), Number(5).value) == (4, 5)
    assert (c.sizeof(Three), list(Three(1, 2))) == (6, [1, 2, 0])


def test_anonymous_within_anonymous(c):
    class Halves(c.Structure):
        _fields_ = [("low", c.c_ushort), ("high", c.c_ushort)]

    class Either(c.Union):
        _anonymous_ = ["halves"]
        _fields_ = [("whole", c.c_uint), ("halves", Halves)]

    class Outer(c.Structure):
        _anonymous_ = ["either"]
        _fields_ = [("tag", c.c_char), ("either", Either)]

    class Derived(Outer):
        _fields_ = [("more", c.c_char)]

    assert [getattr(Outer, name).offset for name in ("either", "whole", "low", "high")] == [4, 4, 4, 6]
    assert not hasattr(Outer, "halves"), "as in ctypes: only what is in it"
    derived = Derived(high=0x1234, low=0x5678)
    assert derived.whole == derived.either.whole == 0x12345678
    assert Derived.more.offset == 8


def test_a_field_named_as_a_placeholder(c):
    class Packed(c.Structure):
        _pack_ = 1
        _fields_ = [("_", c.c_char), ("number", c.c_int)]

    class Either(c.Union):
        _fields_ = [("_", Packed), ("first", c.c_char)]

    either = Either(Packed(b"x", 5))
    assert (either._._, either._.number, either.first) == (b"x", 5, b"x")


def test_resized(c):
    class Header(c.Structure):
        _fields_ = [("count", c.c_int), ("items", c.c_short * 0)]

    header = Header(3)
    c.resize(header, 10)
    items = (c.c_short * 3).from_address(c.addressof(header) + Header.items.offset)
    items[:] = [1, 2, 3]
    assert (c.sizeof(header), c.sizeof(Header), header.count) == (10, 4, 3)
    assert bytes(header) == b"\3\0\0\0\1\0\2\0\3\0"
    with pytest.raises(ValueError, match="minimum size is 4"):
        c.resize(header, 2)


def test_odd_packs(c):
    class Three(c.Structure):
        _pack_ = 3
        _fields_ = [("a", c.c_char), ("b", c.c_int), ("c", c.c_longlong)]

    class Inherited(Three):
        _fields_ = [("d", c.c_double)]

    assert (c.sizeof(Three), c.alignment(Three), Three.b.offset, Three.c.offset) == (18, 3, 3, 9)
    assert Inherited.d.offset == 18
    for pack in (-1, 1.0, 2**31):
        with pytest.raises(ValueError, match="non-negative integer"):
            type(c.Structure)("Wrong", (c.Structure,), {"_pack_": pack, "_fields_": []})


def test_big_endian_bit_fields_begin_at_the_highest_bit(c):
    class Big(c.BigEndianStructure):
        _fields_ = [("a", c.c_ubyte, 3), ("b", c.c_ubyte, 5), ("c", c.c_ushort, 4), ("d", c.c_ushort, 12)]

    assert bytes(Big(0b101, 1, 0xA, 0xBCD)) == b"\xa1\0\xab\xcd"
