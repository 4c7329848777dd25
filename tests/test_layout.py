"""Layouts against a real Windows compiler, and conversions there and back."""

from __future__ import annotations

import ctypes
import itertools
from ctypes import wintypes as host_wintypes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fix_dlls import compile_dll
from winbridge import PrototypeError, Win32Session, Win64Session
from winbridge.ctypes.implicit import implicit
from winbridge.dll.layout import layout
from winbridge.dll.offsets import host_offset, windows_offset
from winbridge.dll.own import c_longlong, c_ulonglong

SESSIONS = {"win64": Win64Session, "win32": Win32Session}

C_NAMES = {
    ctypes.c_char: "char", ctypes.c_byte: "signed char", ctypes.c_ubyte: "unsigned char", ctypes.c_short: "short",
    ctypes.c_ushort: "unsigned short", ctypes.c_int: "int", ctypes.c_uint: "unsigned", ctypes.c_long: "long",
    ctypes.c_ulong: "unsigned long", c_longlong: "long long", c_ulonglong: "unsigned long long",
    ctypes.c_float: "float", ctypes.c_double: "double", ctypes.c_wchar: "wchar_t", ctypes.c_void_p: "void *",
    ctypes.c_char_p: "char *", ctypes.c_bool: "_Bool",
}  # fmt: skip
BIT_TYPES = [ctypes.c_byte, ctypes.c_ubyte, ctypes.c_short, ctypes.c_ushort, ctypes.c_int, ctypes.c_uint]

numbers = itertools.count()
simple = st.sampled_from(list(C_NAMES))


class Declared:
    """A generated type with its C declaration."""

    def __init__(self, kind, declare, typedefs=()):
        self.kind = kind
        self.declare = declare  # name -> C declarator
        self.typedefs = typedefs  # those that it needs first


def simple_declared(kind):
    return Declared(kind, lambda name: f"{C_NAMES[kind]} {name}")


def array_of(inner, length):
    return Declared(inner.kind * length, lambda name: inner.declare(f"{name}[{length}]"), inner.typedefs)


def aggregate_of(members, union, pack):
    name = f"T{next(numbers)}"
    fields, lines = [], []
    for index, (inner, bits) in enumerate(members):
        field = f"f{index}"
        bits = min(bits, 8 * ctypes.sizeof(inner.kind)) if inner.kind in BIT_TYPES and not union else 0
        fields.append((field, inner.kind, bits) if bits else (field, inner.kind))
        lines.append(f"    {inner.declare(field)}{f' : {bits}' if bits else ''};")
    namespace = {"_fields_": fields, **({"_pack_": pack} if pack else {})}
    kind = type(name, (ctypes.Union if union else ctypes.Structure,), namespace)
    word = "union" if union else "struct"
    begin, end = (f"#pragma pack(push, {pack})\n", "#pragma pack(pop)\n") if pack else ("", "")
    typedef = f"{begin}typedef {word} {name} {{\n" + "\n".join(lines) + f"\n}} {name};\n{end}"
    needed = [part for inner, _ in members for part in inner.typedefs]
    return Declared(kind, lambda field: f"{name} {field}", (*needed, typedef))


def extended(inner):
    members = st.lists(st.tuples(inner, st.sampled_from([0, 0, 0, 1, 3, 7, 12])), min_size=1, max_size=5)
    return st.one_of(
        st.builds(array_of, inner, st.integers(1, 3)),
        st.builds(aggregate_of, members, st.booleans(), st.sampled_from([0, 0, 0, 1, 2, 4])),
    )


declared = st.recursive(simple.map(simple_declared), extended, max_leaves=8)


def table(folder, arch, types) -> list[int]:
    """What the compiler says: for each type its size and the offsets of its plain fields."""
    typedefs, values = [], []
    for number, item in enumerate(types):
        typedefs += item.typedefs
        typedefs.append(f"typedef {item.declare(f'X{number}')};\n")
        values.append(f"sizeof(X{number})")
        values += [f"offsetof(X{number}, {name})" for name in plain_fields(item.kind)]
    source = folder / "types.c"
    text = "#include <stddef.h>\n#include <wchar.h>\n" + "".join(dict.fromkeys(typedefs))
    source.write_text(text + f"__declspec(dllexport) unsigned table[] = {{{', '.join(values)}}};\n")
    dll = compile_dll(arch, source, folder / f"types{next(numbers)}.dll", "-mms-bitfields", "-w")
    session = SESSIONS[arch].get_session() or SESSIONS[arch]()
    module = session.modules.load("Z:" + str(dll).replace("/", "\\"))
    data = session.memory.read(session.modules.resolve(module, "table"), 4 * len(values))
    session.modules.free(module)
    return list(memoryview(data).cast("I"))


def plain_fields(kind):
    return [field[0] for field in getattr(kind, "_fields_", ()) if len(field) == 2]


def ours(arch, types) -> list[int]:
    values = []
    for item in types:
        found = layout(item.kind, arch)
        offsets = {field.name: field.offset for field in found.fields}
        values += [found.size, *(offsets[name] for name in plain_fields(item.kind))]
    return values


def check(arch, folder, types):
    assert ours(arch, types) == table(folder, arch, types)


@pytest.mark.wine
@settings(max_examples=16, deadline=None, suppress_health_check=list(HealthCheck))
@given(types=st.lists(declared, min_size=16, max_size=16))
def test_layouts_are_the_compilers(arch, tmp_path_factory, types):
    check(arch, tmp_path_factory.mktemp("layout"), types)


@pytest.mark.slow
@pytest.mark.wine
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(types=st.lists(declared, min_size=16, max_size=16))
def test_many_layouts_are_the_compilers(arch, tmp_path_factory, types):
    check(arch, tmp_path_factory.mktemp("layout"), types)


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (host_wintypes.WIN32_FIND_DATAW, (592, 592)), (host_wintypes.RECT, (16, 16)), (ctypes.c_long, (4, 4)),
        (ctypes.c_wchar, (2, 2)), (ctypes.c_longdouble, (8, 8)), (ctypes.POINTER(ctypes.c_int), (8, 4)),
        (host_wintypes.VARIANT_BOOL, (2, 2)), (host_wintypes.FILETIME, (8, 8)),
    ],
)  # fmt: skip
def test_known_sizes(kind, sizes):
    assert tuple(layout(kind, arch).size for arch in SESSIONS) == sizes
    assert tuple(implicit(arch).sizeof(kind) for arch in SESSIONS) == sizes


def unpacked(kind, image, arch):
    host = bytearray(ctypes.sizeof(kind))
    layout(kind, arch).unpack(bytes(image), host)
    return kind.from_buffer(host)


class Mixed(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char),
        ("low", ctypes.c_long),
        ("count", ctypes.c_ulong),
        ("text", ctypes.c_wchar * 6),
        ("longs", ctypes.c_long * 3),
        ("handle", ctypes.c_void_p),
        ("bits", ctypes.c_uint, 5),
        ("more", ctypes.c_uint, 20),
        ("real", ctypes.c_double),
    )


@given(
    tag=st.binary(min_size=1, max_size=1),
    low=st.integers(-(2**31), 2**31 - 1),
    count=st.integers(0, 2**32 - 1),
    text=st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=3),
    longs=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3),
    bits=st.integers(0, 31),
    more=st.integers(0, 2**20 - 1),
    real=st.floats(allow_nan=False),
)
def test_conversion_there_and_back(tag, low, count, text, longs, bits, more, real):
    for arch in SESSIONS:
        source = Mixed(tag, low, count, text, tuple(longs), None, bits, more, real)
        image = bytearray(layout(Mixed, arch).size)
        layout(Mixed, arch).pack(bytes(source), image)
        back = unpacked(Mixed, image, arch)
        assert (back.tag, back.low, back.count, back.text, list(back.longs)) == (tag, low, count, text, longs)
        assert (back.bits, back.more, back.real) == (bits, more, real)


def test_big_endian_structures_keep_their_order():
    class Big(ctypes.BigEndianStructure):
        _fields_ = (("a", ctypes.c_short), ("b", ctypes.c_uint))

    image = bytearray(8)
    layout(Big, "win64").pack(bytes(Big(0x0102, 0x03040506)), image)
    assert bytes(image) == b"\x01\x02\0\0\x03\x04\x05\x06"


def test_a_long_that_does_not_fit_is_refused_and_minus_one_is_not():
    image = bytearray(4)
    with pytest.raises(OverflowError, match="c_longlong"):
        layout(ctypes.c_long, "win64").pack(bytes(ctypes.c_long(2**40)), image)
    layout(ctypes.c_ulong, "win64").pack(bytes(ctypes.c_ulong(-1)), image)
    assert bytes(image) == b"\xff" * 4


def test_pointers_are_not_converted_by_themselves():
    """What stands in them depends on what they point to."""

    class Holder(ctypes.Structure):
        _fields_ = (("number", ctypes.c_int), ("text", ctypes.c_char_p), ("more", ctypes.c_void_p * 3))

    for arch, width in (("win64", 8), ("win32", 4)):
        shape = layout(Holder, arch)
        places = [slot for run in shape.pointers for slot in run.slots()]
        assert places == [(8 + 8 * k, width + width * k) for k in range(4)]
        image = bytearray(shape.size)
        shape.pack(bytes(Holder(1, b"here", (1, 2, 3))), image)
        assert bytes(image) == b"\1".ljust(shape.size, b"\0")


def test_offsets_there_and_back():
    for arch in SESSIONS:
        shape = layout(Mixed, arch)
        for name in ("tag", "low", "count", "text", "longs", "handle", "real"):
            here = getattr(Mixed, name).offset
            there = next(field.offset for field in shape.fields if field.name == name)
            assert (windows_offset(shape, here), host_offset(shape, there)) == (there, here)
        assert host_offset(shape, shape.size) == ctypes.sizeof(Mixed)


def test_what_is_no_type_is_refused():
    for thing in (5, int, None):
        with pytest.raises(PrototypeError, match="not a ctypes type"):
            layout(thing, "win64")


def test_same_layouts_are_copied_whole():
    assert layout(ctypes.c_double * 1000, "win32").same
    assert layout(ctypes.c_int * 4, "win64").same
    assert not layout(host_wintypes.RECT, "win64").same


def test_large_arrays_of_long():
    array = (ctypes.c_long * 100_000)(*range(-50_000, 50_000))
    shape = layout(type(array), "win64")
    image = bytearray(shape.size)
    shape.pack(bytes(array), image)
    assert list(memoryview(image).cast("i")[:3]) == [-50_000, -49_999, -49_998]
    assert list(unpacked(type(array), image, "win64")) == list(array)
