"""C declarations to prototypes: whole headers, every declarator, a compiler's sizes, and what is refused."""

from __future__ import annotations

import ctypes
import enum
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import NamedTuple

import pefile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fix_dlls import compile_dll
from winbridge import PrototypeError
from winbridge.dll.cdef import Declarations, parse
from winbridge.dll.cdef.header import known
from winbridge.dll.cdef.model import Function, Record, Void, extent

POINTER_SIZES = {"win64": 8, "win32": 4}


def winfunctype(result, *arguments):
    """Another class than CFUNCTYPE makes, so that a wrong convention shows."""
    return ctypes.CFUNCTYPE(result, *arguments, use_errno=True)


class RECT(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("left", "top", "right", "bottom")]


class HRESULT(ctypes.c_int32):
    pass


WINTYPES = SimpleNamespace(
    BOOL=ctypes.c_int32, BYTE=ctypes.c_ubyte, DWORD=ctypes.c_uint32, WORD=ctypes.c_ushort, HANDLE=ctypes.c_void_p,
    RECT=RECT,
)  # fmt: skip
WINDOWS = SimpleNamespace(**{name: getattr(ctypes, name) for name in dir(ctypes) if not name.startswith("_")})
WINDOWS.__dict__.update(
    c_long=ctypes.c_int32, c_ulong=ctypes.c_uint32, WINFUNCTYPE=winfunctype, HRESULT=HRESULT, wintypes=WINTYPES
)


def read(text, pointer_size=8, **options):
    return parse(dedent(text), WINDOWS, pointer_size=pointer_size, **options)


def fields(kind):
    return [field[:2] for field in kind._fields_]


DEVICE = r"""
    #ifndef DEVICE_H_INCLUDED
    #define DEVICE_H_INCLUDED
    #pragma once
    #include <windows.h>
    #ifdef __cplusplus
    extern "C" {
    #endif
    #ifdef DEVICE_EXPORTS
    #  define DEVICE_API __declspec(dllexport)
    #else
    #  define DEVICE_API __declspec(dllimport)
    #endif

    #define DEVICE_CHANNELS   16        /* of one
                                           board */
    #define DEVICE_NAME       "De" "vice"
    #define DEVICE_TITLE      L"G\u00e4r\x61t"
    #define DEVICE_E_GONE     ((HRESULT)0x80040201L)
    #define DEVICE_ALL        (~0u)
    #define DEVICE_NONE       ((HANDLE)(LONG_PTR)-1)
    #define DEVICE_SCALE      (5.0 / 2)
    #define DEVICE_TICKS      0x1F00000000ui64
    #define DEVICE_TAG        'RIFF'
    #define DEVICE_OPEN       DeviceOpenW   // a name, no constant
    #define DEVICE_RETRY(x)   do { } while (x)

    typedef enum _DEVICE_STATE {
        DEVICE_IDLE, DEVICE_BUSY = 5, DEVICE_GONE, DEVICE_BAD = 0x80000000, DEVICE_LAST = DEVICE_CHANNELS << 2,
    } DEVICE_STATE;

    DECLARE_HANDLE(HDEVICE);
    typedef struct Reader Reader;

    #pragma pack(push, 1)
    typedef struct tagDEVICE_INFO {
        BYTE  kind;
        DWORD serial;
        char  name[DEVICE_CHANNELS * 2];
        WCHAR title[sizeof(DWORD)];
        double range[2][DEVICE_CHANNELS / 4 - 1];
        union { struct { WORD low, high; }; DWORD both; } version;
        union { int count; float level; };
        struct tagDEVICE_INFO *next;
        DEVICE_STATE state;
    } DEVICE_INFO, *PDEVICE_INFO, FAR *LPDEVICE_INFO;
    #pragma pack(pop)

    typedef void (CALLBACK *DEVICE_EVENT)(HDEVICE device, DWORD event, _In_opt_ void *context);
    typedef int (__cdecl *DEVICE_PRINT)(const char *format, ...);

    DEVICE_API HDEVICE WINAPI DeviceOpenW(_In_ LPCWSTR name, _Out_opt_ LPDEVICE_INFO info);
    DEVICE_API BOOL WINAPI DeviceRead(IN HDEVICE device, _Out_writes_bytes_to_(size, *read) void *buffer,
                                      size_t size, OUT DWORD *read OPTIONAL);
    DEVICE_API int DevicePrint(const char *format, ...);
    DEVICE_API char * __cdecl DeviceBuffer(void);
    DEVICE_API const char *DeviceText(char *out, wchar_t wide[10], const int rows[][3]);
    DEVICE_API HRESULT __stdcall DeviceListen(HDEVICE, DEVICE_EVENT event,
                                              int (__cdecl *order)(const void *, const void *));
    DEVICE_API void DeviceOld();
    DEVICE_API Reader *DeviceReader(Reader **all, RECT area, REFGUID id);
    DEVICE_API int (__stdcall *DeviceTable(void))(double);
    extern DEVICE_API int DeviceVersion;
    static __forceinline int DeviceTwice(int x) { return 2 * x; }
    #ifdef __cplusplus
    }
    #endif
    #endif
"""  # fmt: skip


def test_functions_of_a_header():
    functions = read(DEVICE).functions
    types = read(DEVICE).types
    assert list(functions) == [
        "DeviceOpenW", "DeviceRead", "DevicePrint", "DeviceBuffer", "DeviceText", "DeviceListen", "DeviceOld",
        "DeviceReader", "DeviceTable",
    ]  # fmt: skip
    opened = functions["DeviceOpenW"]
    assert (opened.restype, opened.argtypes[0], opened.names) == (ctypes.c_void_p, ctypes.c_wchar_p, ("name", "info"))
    assert opened.argtypes[1]._type_.__name__ == "DEVICE_INFO"
    done = functions["DeviceRead"]
    wanted = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_uint32))
    assert (done.restype, done.argtypes) == (ctypes.c_int32, wanted)
    assert done.names == ("device", "buffer", "size", "read")
    printing = functions["DevicePrint"]
    assert (printing.argtypes, printing.variadic, printing.convention) == ((ctypes.c_char_p,), True, "cdecl")
    assert functions["DeviceText"].restype is ctypes.c_char_p
    assert functions["DeviceText"].argtypes == (ctypes.c_char_p, ctypes.c_wchar_p, ctypes.POINTER(ctypes.c_int * 3))
    assert (functions["DeviceOld"].restype, functions["DeviceOld"].argtypes) == (None, None)
    reader, everything = functions["DeviceReader"].restype, functions["DeviceReader"].argtypes
    assert everything[:2] == (ctypes.POINTER(reader), RECT)
    assert fields(everything[2]._type_)[0] == ("Data1", ctypes.c_uint32)
    assert not hasattr(types["Reader"], "_fields_")
    assert functions["DeviceTable"].restype is winfunctype(ctypes.c_int, ctypes.c_double)
    assert functions["DeviceTable"].argtypes == ()


def test_results_that_are_checked_or_written_to():
    functions = read(DEVICE).functions
    assert functions["DeviceBuffer"].restype is ctypes.POINTER(ctypes.c_char)
    assert functions["DeviceListen"].restype is HRESULT
    order = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    event = winfunctype(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
    assert functions["DeviceListen"].argtypes == (ctypes.c_void_p, event, order)
    assert read("LPWSTR f(void); LPCWSTR g(void);").functions["f"].restype is ctypes.POINTER(ctypes.c_wchar)
    assert read("LPWSTR f(void); LPCWSTR g(void);").functions["g"].restype is ctypes.c_wchar_p


def test_types_of_a_header():
    declared = read(DEVICE)
    info = declared.types["DEVICE_INFO"]
    assert declared.types["tagDEVICE_INFO"] is info
    assert declared.types["PDEVICE_INFO"] is declared.types["LPDEVICE_INFO"] is ctypes.POINTER(info)
    assert info.__name__ == "DEVICE_INFO"
    assert (info._pack_, ctypes.sizeof(info)) == (1, 5 + 32 + 8 * (1 if sys.platform == "win32" else 2) + 48 + 8 + 12)
    assert dict(fields(info))["range"] is ctypes.c_double * 3 * 2
    one = info(kind=1, next=ctypes.pointer(info(serial=7)), level=1.5)
    one.version.high = 1
    assert (one.version.both, one.next[0].serial, one.count) == (0x10000, 7, 0x3FC00000)
    state = declared.types["DEVICE_STATE"]
    assert (issubclass(state, enum.IntEnum), state.DEVICE_GONE, state(64).name) == (True, 6, "DEVICE_LAST")
    assert dict(fields(info))["state"] is ctypes.c_int
    assert declared.types["DEVICE_PRINT"] is ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)
    assert declared.types["RECT"] is RECT
    assert declared.variables == {"DeviceVersion": ctypes.c_int}


def test_constants_of_a_header():
    assert read(DEVICE).constants == {
        "DEVICE_CHANNELS": 16, "DEVICE_NAME": b"Device", "DEVICE_TITLE": "Gärat", "DEVICE_E_GONE": 0x80040201 - 2**32,
        "DEVICE_ALL": 2**32 - 1, "DEVICE_NONE": 2**64 - 1, "DEVICE_SCALE": 2.5, "DEVICE_TICKS": 0x1F00000000,
        "DEVICE_TAG": 0x52494646, "DEVICE_IDLE": 0, "DEVICE_BUSY": 5, "DEVICE_GONE": 6, "DEVICE_BAD": -(2**31),
        "DEVICE_LAST": 64,
    }  # fmt: skip
    assert read(DEVICE, 4).constants["DEVICE_NONE"] == 2**32 - 1


def test_a_table_of_functions_that_take_the_table():
    declared = read("""
        struct codec;
        typedef struct codec_vtable {
            unsigned version;
            int  (*open)(struct codec *self, const wchar_t *path, int (*progress)(int percent, void *context));
            void (__cdecl *close)(struct codec *self);
            struct codec_vtable const *base;
        } codec_vtable;
        struct codec { const codec_vtable *vtable; void *reserved[2]; };
        __declspec(dllimport) struct codec *codec_create(codec_vtable *table, ...);
        """)
    codec, table = declared.types["codec"], declared.types["codec_vtable"]
    progress = winfunctype(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    assert fields(table) == [
        ("version", ctypes.c_uint),
        ("open", winfunctype(ctypes.c_int, ctypes.POINTER(codec), ctypes.c_wchar_p, progress)),
        ("close", ctypes.CFUNCTYPE(None, ctypes.POINTER(codec))),
        ("base", ctypes.POINTER(table)),
    ]
    assert fields(codec) == [("vtable", ctypes.POINTER(table)), ("reserved", ctypes.c_void_p * 2)]


@pytest.mark.parametrize(
    ("spelling", "stdcall", "cdecl"),
    [
        ("int f(int);", "stdcall", "cdecl"), ("int __stdcall f(int);", "stdcall", "stdcall"),
        ("int WINAPIV f(int);", "cdecl", "cdecl"), ("DWORD *APIENTRY f(int);", "stdcall", "stdcall"),
        ("__cdecl int f(int);", "cdecl", "cdecl"), ("int (__cdecl f)(int);", "cdecl", "cdecl"),
        ("int (__stdcall *__cdecl f(void))(int);", "cdecl", "cdecl"), ("int _stdcall f(int, ...);", "cdecl", "cdecl"),
        ("typedef int __cdecl callback(int); callback f;", "cdecl", "cdecl"), ("STDAPI f(void);", "stdcall", "stdcall"),
        ("extern \"C\" volatile int *__restrict f(void);", "stdcall", "cdecl"),
        ("#define API(type) __declspec(dllimport) type __cdecl\nAPI(int) f(int);", "cdecl", "cdecl"),
    ],
)  # fmt: skip
def test_conventions(spelling, stdcall, cdecl):
    for default, wanted in (("stdcall", stdcall), ("cdecl", cdecl)):
        assert read(spelling, convention=default).functions["f"].convention == wanted
    assert read("int __fastcall f(int);").functions["f"].convention == "cdecl"  # on x64 there is one only


def test_a_convention_within_the_declarator_of_a_pointer():
    stdcall = winfunctype(ctypes.c_int, ctypes.c_int)
    for text in ("int (__stdcall *p)(int)", "int (*__stdcall p)(int)", "int __stdcall (*p)(int)"):
        assert read(f"typedef {text};", convention="cdecl").types["p"] is stdcall


def test_pointer_size_decides():
    text = """
        #ifdef _WIN64
        typedef unsigned __int64 word;
        #elif defined(_M_IX86) && !defined(_WIN64)
        typedef unsigned __int32 word;
        #else
        #error which?
        #endif
        enum { SIZE_OF_WORD = sizeof(word), SIZE_OF_POINTER = sizeof(void *), SIZE_OF_LONG = sizeof(long) };
    """
    assert list(read(text, 8).constants.values()) == [8, 8, 4]
    assert list(read(text, 4).constants.values()) == [4, 4, 4]


def test_unicode_makes_tchar_wide():
    text = '#define NAME TEXT("x")\nint f(LPCTSTR name);'
    narrow, wide = read(text), read("#define UNICODE\n" + text)
    assert (narrow.functions["f"].argtypes, narrow.constants["NAME"]) == ((ctypes.c_char_p,), b"x")
    assert (wide.functions["f"].argtypes, wide.constants["NAME"]) == ((ctypes.c_wchar_p,), "x")


def test_structures_of_windows_are_the_same_in_every_text():
    first = read("void f(SYSTEMTIME *moment);")
    assert first.types["SYSTEMTIME"] is read("BOOL g(LPSYSTEMTIME);").functions["g"].argtypes[0]._type_
    own = read("typedef struct _SYSTEMTIME { int mine; } SYSTEMTIME; void f(SYSTEMTIME *moment);")
    assert fields(own.types["SYSTEMTIME"]) == [("mine", ctypes.c_int)]


def test_arrays_whose_length_is_open():
    declared = read("typedef struct { WORD count; DWORD items[]; } list; void f(char text[], double (*rows)[]);")
    assert fields(declared.types["list"])[1] == ("items", ctypes.c_uint32 * 0)
    assert declared.functions["f"].argtypes == (ctypes.c_char_p, ctypes.POINTER(ctypes.c_double))


def test_bit_fields_keep_their_widths():
    kind = read("typedef struct { unsigned a : 3, b : 4; int : 2; BOOL c : 1; } bits;").types["bits"]
    assert [(field[0], *field[2:]) for field in kind._fields_] == [("a", 3), ("b", 4), ("_filler2", 2), ("c", 1)]


def test_old_annotations_and_attributes_are_skipped():
    declared = read("""
        _Check_return_ _Success_(return != 0) __declspec(deprecated("use g(2)")) int f(__in_ecount(n) const int *a,
            __deref_out_opt char **b, _When_(n > 0, _In_reads_(n)) int *c, int n) __attribute__((nothrow));
        """)
    pointer = ctypes.POINTER(ctypes.c_int)
    assert declared.functions["f"].argtypes == (pointer, ctypes.POINTER(ctypes.c_char_p), pointer, ctypes.c_int)


class Declared(NamedTuple):
    """A type in both languages: ``text`` puts a declarator into its C."""

    text: object
    kind: object
    postfix: bool = False


SIMPLE = {
    "char": ctypes.c_char, "signed char": ctypes.c_byte, "unsigned char": ctypes.c_ubyte, "short int": ctypes.c_short,
    "unsigned short": ctypes.c_ushort, "int": ctypes.c_int, "unsigned": ctypes.c_uint, "long": ctypes.c_int32,
    "int unsigned long": ctypes.c_uint32, "__int64": ctypes.c_longlong, "unsigned long long int": ctypes.c_ulonglong,
    "float": ctypes.c_float, "double": ctypes.c_double, "bool": ctypes.c_bool, "wchar_t": ctypes.c_wchar,
    "DWORD": ctypes.c_uint32, "size_t": ctypes.c_size_t, "HWND": ctypes.c_void_p, "RECT": RECT, "void": None,
}  # fmt: skip
POINTERS = {None: ctypes.c_void_p, ctypes.c_char: ctypes.c_char_p, ctypes.c_wchar: ctypes.c_wchar_p}


def simple(name):
    return Declared(lambda inner: f"{name} {inner}", SIMPLE[name])


def pointer_to(target, qualifier):
    def text(inner):
        inner = f"*{qualifier}{inner}"
        return target.text(f"({inner})" if target.postfix else inner)

    return Declared(text, POINTERS.get(target.kind) or ctypes.POINTER(target.kind))


def array_of(item, length):
    return Declared(lambda inner: item.text(f"{inner}[{length:#x}]"), item.kind * length, True)


def pointer_to_function(result, parameters, convention):
    def text(inner):
        listed = ", ".join(parameter.text(f"p{n}") for n, parameter in enumerate(parameters)) or "void"
        return result.text(f"({convention} *{inner})({listed})")

    make = ctypes.CFUNCTYPE if convention == "__cdecl" else winfunctype
    return Declared(text, make(result.kind, *(parameter.kind for parameter in parameters)))


values = st.sampled_from(sorted(set(SIMPLE) - {"void"})).map(simple)
pointers = st.recursive(
    st.builds(pointer_to, st.sampled_from(sorted(SIMPLE)).map(simple), st.sampled_from(["", "const ", "volatile "])),
    lambda inner: st.one_of(
        st.builds(pointer_to, st.one_of(inner, st.builds(array_of, inner, st.integers(1, 9))), st.just("")),
        st.builds(
            pointer_to_function,
            st.one_of(values, inner, st.just(simple("void"))),
            st.lists(st.one_of(values, inner), max_size=3),
            st.sampled_from(["__stdcall", "__cdecl", ""]),
        ),
    ),
    max_leaves=6,
)
members = st.one_of(values, pointers, st.builds(array_of, st.builds(array_of, values, st.integers(1, 4)), st.just(3)))


@settings(deadline=None)
@given(items=st.lists(members, min_size=1, max_size=4), result=values)
def test_declarators(items, result):
    text = "".join(f"typedef {item.text(f'T{n}')};\n" for n, item in enumerate(items))
    text += "struct S {\n" + "".join(f"{item.text(f'm{n}')};\n" for n, item in enumerate(items)) + "};\n"
    text += result.text("f(" + ", ".join(f"T{n} a{n}" for n in range(len(items))) + ", struct S *s)") + ";"
    declared = read(text)
    kinds = [item.kind for item in items]
    assert [declared.types[f"T{n}"] for n in range(len(items))] == kinds
    assert fields(declared.types["S"]) == [(f"m{n}", kind) for n, kind in enumerate(kinds)]
    function = declared.functions["f"]
    decayed = [
        (POINTERS.get(kind._type_) or ctypes.POINTER(kind._type_)) if item.postfix else kind
        for item, kind in zip(items, kinds, strict=True)
    ]
    assert function.argtypes == (*decayed, ctypes.POINTER(declared.types["S"]))
    assert (function.restype, function.names) == (result.kind, (*(f"a{n}" for n in range(len(items))), "s"))


EXPRESSIONS = [
    "1 + 2 * 3", "(7 - 10) / 2", "-7 % 3", "~0", "~0u", "1 << 4 | 3", "0x80000000", "2147483648", "0xFFFFFFFFFF",
    "-1 > 0u", "(unsigned char)300", "(short)0x8000", "(DWORD)-1", "(LONG)0xFFFFFFFF", "'a'", "'\\n'", "'\\''", "'\"'",
    "L'b'", "'AB'", "017", "1 ? 2 : 3", "!5 || 4 && 0", "5 >= 5", "sizeof(long)", "sizeof(void *) * 8", "10ull - 11",
    "sizeof(struct { char a; double b; })", "-2147483647 - 1", "0x7fffffff + 0u", "-1 >> 1", "6 ^ 3", "(int)2.75",
    "(unsigned __int64)1 << 40", "sizeof(int[3][4])", "((HRESULT)0x80004005L)", "(BYTE)~1", "+5u", "7 / 2u", "'\\x80'",
    "(INT_PTR)-3", "-1 < sizeof(int)", "(char)200", "1 ? -1 : 0u", "0xFFFFFFFF + 1", "4294967295 + 1",
    "-1 == 0xFFFFFFFF",
]  # fmt: skip


def table(arch, folder, source, count):
    """What a Windows compiler puts into ``long long table[count]``."""
    path = folder / "table.c"
    path.write_text(source)
    image = pefile.PE(str(compile_dll(arch, path, folder / "table.dll", "-w", "-mms-bitfields")))
    (export,) = [symbol for symbol in image.DIRECTORY_ENTRY_EXPORT.symbols if symbol.name == b"table"]
    return list(memoryview(image.get_data(export.address, 8 * count)).cast("q"))


def table_source(declarations, values):
    headers = ["windows", "wininet", "commctrl", "stddef", "stdint", "stdbool", "stdio", "time"]
    includes = "".join(f"#include <{name}.h>\n" for name in headers)
    numbers = ",\n".join(values)
    # On 32 bit mingw's time_t has 4 bytes unless it is told to do as Microsoft's does.
    table = f"__declspec(dllexport) long long table[] = {{{numbers}}};\n"
    return f"#define __MINGW_USE_VC2005_COMPAT\n{includes}{declarations}\n{table}"


@pytest.mark.parametrize("arch", POINTER_SIZES)
def test_constant_expressions_are_the_compilers(arch, tmp_path):
    defines = "".join(f"#define V{n} ({text})\n" for n, text in enumerate(EXPRESSIONS))
    ours = read(defines, POINTER_SIZES[arch]).constants
    expected = table(
        arch, tmp_path, table_source(defines, [f"V{n}" for n in range(len(EXPRESSIONS))]), len(EXPRESSIONS)
    )
    wrapped = [(ours[f"V{n}"] + 2**63) % 2**64 - 2**63 for n in range(len(EXPRESSIONS))]
    assert dict(zip(EXPRESSIONS, wrapped, strict=True)) == dict(zip(EXPRESSIONS, expected, strict=True))


LAYOUTS = """
typedef struct { char a; double b; short c; } plain;
#pragma pack(push, 2)
typedef struct { char a; double b; short c; plain d; } packed2;
#pragma pack(1)
typedef struct { char a; void *b; short c[3]; packed2 d[2]; } packed1;
#pragma pack(pop)
#pragma pack(push, outer, 4)
#pragma pack(push, 8)
typedef union { char a[5]; long long b; } either;
#pragma pack(pop, outer)
typedef struct { BYTE a; either b; union { struct { WORD x; HANDLE y; }; char z[3]; }; wchar_t c[3]; } nested;
typedef struct { GUID a; OVERLAPPED b; SYSTEMTIME c; size_t d; BOOL e; nested *f; int (WINAPI *g)(nested); } whole;
struct __declspec(align(4)) even { int a; char b; };
typedef struct { char a; struct even b; long double c; enum { ONE } d; bool e; } mixed;
"""
BITS = """
typedef struct { unsigned a : 3; unsigned b : 30; char c; } bits1;
typedef struct { BYTE a : 3; unsigned b : 5; BYTE c : 2; BYTE d : 7; } bits2;
typedef struct { char c; long long a : 40; int b : 1; short d : 16; } bits3;
#pragma pack(push, 1)
typedef struct { char c; unsigned a : 9; unsigned b : 23; short d : 1; } bits4;
#pragma pack(pop)
typedef union { unsigned a : 9; char b; } bits5;
"""


def test_offsets_are_the_compilers(tmp_path):
    types = read(LAYOUTS).types
    names = ["plain", "packed2", "packed1", "either", "nested", "whole", "mixed"]
    places = [(name, field[0]) for name in names for field in types[name]._fields_ if field[0][0] != "_"]
    values = [f"sizeof({name})" for name in names] + [f"offsetof({name}, {field})" for name, field in places]
    source = table_source(LAYOUTS.replace("long double", "double"), values)
    # On Linux a wchar_t has 4 bytes: here its place is taken by something of 2.
    narrow = SimpleNamespace(**{**vars(WINDOWS), "c_wchar": ctypes.c_ushort})
    types = parse(LAYOUTS, narrow, pointer_size=8).types
    ours = [ctypes.sizeof(types[name]) for name in names]
    ours += [getattr(types[name], field).offset for name, field in places]
    assert ours == table("win64", tmp_path, source, len(values))


@pytest.mark.parametrize("arch", POINTER_SIZES)
def test_sizes_are_the_compilers(arch, tmp_path):
    names = ["plain", "packed2", "packed1", "either", "nested", "whole", "mixed", *(f"bits{n}" for n in range(1, 6))]
    defines = "".join(f"#define SIZE_{name} sizeof({name})\n" for name in names)
    ours = [read(LAYOUTS + BITS + defines, POINTER_SIZES[arch]).constants[f"SIZE_{name}"] for name in names]
    text = LAYOUTS.replace("long double", "double") + BITS
    assert ours == table(arch, tmp_path, table_source(text, [f"sizeof({name})" for name in names]), len(names))


NOT_IN_MINGW = {
    *("HCOLORSPACE", "HSTR", "OLESTR", "_RECTL", "_POINTL", "NTSTATUS", "PVOID64", "byte", "boolean", "QWORD"),
    *("PCVOID", "LPULONG", "POVERLAPPED"),
}


@pytest.mark.parametrize("arch", POINTER_SIZES)
def test_known_types_have_the_sizes_of_windows_h(arch, tmp_path):
    size = POINTER_SIZES[arch]
    typedefs = {
        name: kind
        for name, kind in known(size, unicode=False).typedefs.items()
        if name not in NOT_IN_MINGW and not isinstance(kind, Void | Function)
        if not (isinstance(kind, Record) and kind.fields is None)
    }
    expected = table(arch, tmp_path, table_source("", [f"sizeof({name})" for name in typedefs]), len(typedefs))
    assert {name: extent(kind, size).size for name, kind in typedefs.items()} == dict(
        zip(typedefs, expected, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("int f(void);\nint g(FOO_T x);", 2, "unknown type 'FOO_T': declare it with typedef before"),
        ("FOO_T f(int x);", 1, "unknown type 'FOO_T'"),
        ("int f(int,\n  FOO_T);", 2, "unknown type 'FOO_T'"),
        ("/* a\n b */ struct s {\n  const FOO_T *x;\n};", 3, "unknown type 'FOO_T'"),
        ("struct X { int a; };\nX *f(void);", 2, "unknown type 'X': write 'struct X'"),
        ("class X { int a; };", 1, "classes are C++"),
        ("int f(int &x);", 1, "references are C++"),
        ("int f(const FOO &x);", 1, "references are C++"),
        ("int f(int x = 3);", 1, "default arguments are C++"),
        ("template<class T> int f(T);", 1, "templates are C++"),
        ("int f(std::string x);", 1, "'::' is C++"),
        ("int f(void);\nstruct X {\n  int a;", 2, "a ';' or '}' is missing"),
        ("int f(int;", 1, "goes wrong before ';'"),
        ("}", 1, "a '}' too many"),
        ("struct X;\nstruct Y {\n  struct X x;\n};", 3, "struct 'X' has no members yet"),
        ("struct X;\nint f(struct X x);", 2, "struct 'X' has no members yet"),
        ("struct A { int x; };\nstruct A { int y; };", 2, "struct 'A' is defined twice"),
        ("struct A { int x; int x; };", 1, "two members 'x'"),
        ("struct A { int x; };\nunion A *f(void);", 2, "another kind of type"),
        ("struct A { int f(int); };", 1, "member 'f' is a function"),
        ("struct A { int x : 40; };", 1, "cannot have 40 bits"),
        ("struct A { int a : 3; int : 0; };", None, "a bit field of width 0"),
        ("int a[-1];", 1, "an array cannot have -1 items"),
        ("int a[N];", 1, "unknown name 'N': define it with #define or enum before"),
        ("int a[1.5];", 1, "an integer is wanted"),
        ("enum {\n  A = 1 / 0\n};", 2, "division by zero"),
        ("enum { A = sizeof(FOO) };", 1, "unknown type 'FOO'"),
        ("int f(int, void);", 1, "a parameter cannot be void"),
        ("int x = 3;", 1, "'x' has a value"),
        ("_Static_assert(sizeof(long) == 8, \"\");", 1, "this static assertion is false"),
        ("int f(void) __attribute__((packed));", 1, "__attribute__((packed)) is not understood: write #pragma pack"),
        pytest.param(
            "typedef struct __declspec(align(64)) { int a; } A;",
            None,
            "align(64)) of 'A' is not possible",
            marks=pytest.mark.skipif(sys.version_info >= (3, 13), reason="ctypes aligns structures since Python 3.13"),
        ),
        ("__declspec(align(4)) int x;", 1, "understood at structs and unions only"),
        ("#pragma pack(pop)\nint f(void);", 1, "without a push"),
        ("int f(void);\n#error which compiler?", 2, "#error which compiler?"),
        ("#if 1\nint f(void);", 1, "Unterminated #if 1"),
        ("float _Complex f(void);", 1, "unknown type 'float _Complex'"),
        ("int f(void); @", 1, "Illegal character"),
    ],
)  # fmt: skip
def test_refusals(text, line, cause):
    with pytest.raises(PrototypeError) as refused:
        read(text)
    message = str(refused.value)
    assert cause in message
    assert message.startswith(
        "C declarations: "
        if line is None
        else f"C declarations, line {line}: {text.splitlines()[line - 1].strip()!r}: "
    )


WORDS = re.findall(r"\w+|\s+|.", dedent(DEVICE))


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, len(WORDS) - 1), st.sampled_from(WORDS)), min_size=1, max_size=3))
def test_a_broken_header_is_refused_or_read(changes):
    words = list(WORDS)
    for position, word in changes:
        words[position] = word
    with suppress(PrototypeError):
        assert isinstance(read("".join(words)), Declarations)


def test_fastcall_cannot_be_called_on_x86():
    with pytest.raises(PrototypeError, match="__fastcall"):
        read("int __fastcall f(int);", 4)


def test_a_refused_text_leaves_the_known_structures_whole():
    types = SimpleNamespace(**vars(WINDOWS))
    with pytest.raises(PrototypeError, match="width 0"):
        parse("void f(OVERLAPPED *o); struct A { int : 0; };", types, pointer_size=8)
    assert len(parse("void f(OVERLAPPED *o);", types, pointer_size=8).types["OVERLAPPED"]._fields_) == 4


def test_arguments_that_are_none():
    for options in ({"pointer_size": 6}, {"convention": "fastcall"}):
        with pytest.raises(ValueError, match="pointer_size is 8 or 4"):
            read("int f(void);", **options)


def test_importing_winbridge_imports_no_parser():
    code = "import sys, winbridge.dll.cdef; print({'pycparser', 'pcpp'} & set(sys.modules))"
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout == "set()\n"
