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
from winbridge import ctypes as windows
from winbridge.ctypes import wintypes
from winbridge.dll.layout import layout

SESSIONS = {"win64": Win64Session, "win32": Win32Session}

C_NAMES = {
    ctypes.c_char: "char", ctypes.c_byte: "signed char", ctypes.c_ubyte: "unsigned char", ctypes.c_short: "short",
    ctypes.c_ushort: "unsigned short", ctypes.c_int: "int", ctypes.c_uint: "unsigned", ctypes.c_long: "long",
    ctypes.c_ulong: "unsigned long", windows.c_longlong: "long long", windows.c_ulonglong: "unsigned long long",
    ctypes.c_float: "float", ctypes.c_double: "double", ctypes.c_wchar: "wchar_t", ctypes.c_void_p: "void *",
    windows.c_size_t: "size_t", ctypes.c_char_p: "char *", ctypes.c_bool: "_Bool",
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


NOT_IN_WINDOWS_H = {"RGB", "LPOLESTR", "OLESTR", "LPCOLESTR", "HSTR", "LPHKL", "_LARGE_INTEGER", "_ULARGE_INTEGER"}


@pytest.mark.wine
def test_wintypes_have_the_widths_of_windows_h(arch, tmp_path):
    names = [name for name in dir(host_wintypes) if name.isupper() and name not in NOT_IN_WINDOWS_H]
    names = [name for name in names if isinstance(getattr(host_wintypes, name), type) and not name.startswith("_")]
    sizes = ", ".join(f"sizeof({name})" for name in names)
    source = tmp_path / "widths.c"
    source.write_text(f"#include <windows.h>\n__declspec(dllexport) unsigned table[] = {{{sizes}}};\n")
    dll = compile_dll(arch, source, tmp_path / "widths.dll")
    session = SESSIONS[arch]()
    module = session.modules.load("Z:" + str(dll).replace("/", "\\"))
    data = session.memory.read(session.modules.resolve(module, "table"), 4 * len(names))
    expected = dict(zip(names, memoryview(data).cast("I"), strict=True))
    assert {name: layout(getattr(wintypes, name), arch).size for name in names} == expected


def test_every_name_of_wintypes_is_there():
    missing = {name for name in dir(host_wintypes) if not name.startswith("__")} - set(dir(wintypes)) - {"ctypes"}
    assert missing == set()


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (wintypes.DWORD, (4, 4)), (wintypes.FILETIME, (8, 8)), (wintypes.RECT, (16, 16)), (wintypes.MSG, (48, 28)),
        (wintypes.WIN32_FIND_DATAW, (592, 592)), (host_wintypes.WIN32_FIND_DATAW, (592, 592)),
        (host_wintypes.RECT, (16, 16)), (ctypes.c_long, (4, 4)), (ctypes.c_wchar, (2, 2)), (windows.c_size_t, (8, 4)),
        (windows.c_longdouble, (8, 8)), (ctypes.POINTER(ctypes.c_int), (8, 4)), (wintypes.VARIANT_BOOL, (2, 2)),
    ],
)  # fmt: skip
def test_known_sizes(kind, sizes):
    assert (windows.sizeof(kind), windows.sizeof(kind, "win32")) == sizes


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
    handle=st.integers(1, 2**31 - 1),
    bits=st.integers(0, 31),
    more=st.integers(0, 2**20 - 1),
    real=st.floats(allow_nan=False),
)
def test_conversion_there_and_back(tag, low, count, text, longs, handle, bits, more, real):
    for arch in SESSIONS:
        source = Mixed(tag, low, count, text, tuple(longs), handle, bits, more, real)
        image = memoryview(bytearray(layout(Mixed, arch).size))
        layout(Mixed, arch).pack_into(source, image)
        back = Mixed()
        layout(Mixed, arch).unpack_from(back, image)
        assert (back.tag, back.low, back.count, back.text, list(back.longs)) == (tag, low, count, text, longs)
        assert (back.handle, back.bits, back.more, back.real) == (handle, bits, more, real)


def test_big_endian_structures_keep_their_order():
    class Big(ctypes.BigEndianStructure):
        _fields_ = (("a", ctypes.c_short), ("b", ctypes.c_uint))

    image = memoryview(bytearray(8))
    layout(Big, "win64").pack_into(Big(0x0102, 0x03040506), image)
    assert bytes(image) == b"\x01\x02\0\0\x03\x04\x05\x06"


def test_a_long_that_does_not_fit_is_refused_and_minus_one_is_not():
    image = memoryview(bytearray(4))
    with pytest.raises(OverflowError, match="c_longlong"):
        layout(ctypes.c_long, "win64").pack_into(ctypes.c_long(2**40), image)
    layout(ctypes.c_ulong, "win64").pack_into(ctypes.c_ulong(-1), image)
    assert bytes(image) == b"\xff" * 4


def test_pointers_to_this_process_are_refused():
    class Holder(ctypes.Structure):
        _fields_ = (("number", ctypes.c_int), ("text", ctypes.c_char_p))

    shape = layout(Holder, "win64")
    image = memoryview(bytearray(shape.size))
    shape.pack_into(Holder(1, None), image)
    with pytest.raises(PrototypeError, match="'text'"):
        shape.pack_into(Holder(1, b"here"), image)
    image[8] = 1
    with pytest.raises(PrototypeError, match="'text'"):
        shape.unpack_from(Holder(), image)


def test_what_is_no_type_is_refused():
    for thing in (5, int, None):
        with pytest.raises(PrototypeError, match="not a ctypes type"):
            layout(thing, "win64")


def test_same_layouts_are_copied_whole():
    assert layout(ctypes.c_double * 1000, "win32").same
    assert layout(wintypes.RECT, "win64").same
    assert not layout(host_wintypes.RECT, "win64").same


def test_large_arrays_of_long():
    array = (ctypes.c_long * 100_000)(*range(-50_000, 50_000))
    shape = layout(type(array), "win64")
    image = memoryview(bytearray(shape.size))
    shape.pack_into(array, image)
    assert list(image.cast("i")[:3]) == [-50_000, -49_999, -49_998]
    back = type(array)()
    shape.unpack_from(back, image)
    assert list(back) == list(array)
