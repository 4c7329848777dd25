# ruff: noqa: RUF012 - _fields_ as everybody writes it
"""Cases: COM objects by their tables of methods: ``WINFUNCTYPE(...)(index, name, paramflags, iid)``."""

from __future__ import annotations

import gc
import os
import tempfile
import threading

from tests.dropin_registry import case, outcome, prototyped

CLSID_SHELL_LINK = "{00021401-0000-0000-C000-000000000046}"
IID_SHELL_LINK = "{000214F9-0000-0000-C000-000000000046}"
IID_PERSIST_FILE = "{0000010B-0000-0000-C000-000000000046}"
IID_UNKNOWN = "{00000000-0000-0000-C000-000000000046}"
IID_NOTHING = "{12345678-1234-1234-1234-123456789ABC}"
IID_SUPPORT_ERROR_INFO = "{DF0B3D60-548F-101B-8E65-08002B2BD119}"
IID_ERROR_INFO = "{1CF2B120-547D-101B-8E65-08002B2BD119}"
APARTMENT = 2
NOT_IMPLEMENTED, NO_INTERFACE, EXCEPTION = -2147467263, -2147467262, -2147352567


def guid(c, text):
    class GUID(c.Structure):
        _fields_ = [("a", c.c_ulong), ("b", c.c_ushort), ("c", c.c_ushort), ("d", c.c_ubyte * 8)]

    made = GUID()
    c.oledll.ole32.CLSIDFromString(text, c.byref(made))
    return made


def unknown(c):
    """A COM pointer that holds nothing yet; of IUnknown only what every object has."""
    return c.c_void_p()


def release(c, pointer):
    return c.WINFUNCTYPE(c.c_ulong)(2, "Release")(pointer)


def initialized(c):
    return c.windll.ole32.CoInitializeEx(None, APARTMENT)


def shell_link(c):
    link = unknown(c)
    c.oledll.ole32.CoCreateInstance(
        c.byref(guid(c, CLSID_SHELL_LINK)), None, 1, c.byref(guid(c, IID_SHELL_LINK)), c.byref(link)
    )
    return link


def persist_file(c, link):
    query = c.WINFUNCTYPE(c.HRESULT, c.c_void_p, c.c_void_p)(0, "QueryInterface")
    file = unknown(c)
    query(link, c.byref(guid(c, IID_PERSIST_FILE)), c.byref(file))
    return file


@case
def task_memory(c, dll):
    malloc = unknown(c)
    c.oledll.ole32.CoGetMalloc(1, c.byref(malloc))
    allocate = c.WINFUNCTYPE(c.c_void_p, c.c_size_t)(3, "Alloc")
    again = c.WINFUNCTYPE(c.c_void_p, c.c_void_p, c.c_size_t)(4, "Realloc")
    free = c.WINFUNCTYPE(None, c.c_void_p)(5, "Free")
    size = c.WINFUNCTYPE(c.c_size_t, c.c_void_p)(6, "GetSize")
    known = c.WINFUNCTYPE(c.c_int, c.c_void_p)(7, "DidAlloc")
    room = allocate(malloc, 100)
    c.memmove(room, b"text of ours", 13)
    larger = again(malloc, room, 5000)
    found = [size(malloc, larger), c.string_at(larger).decode(), known(malloc, larger) in (1, -1)]
    return [*found, free(malloc, larger), release(c, malloc) >= 0]


@case
def shell_link_paths(c, dll):
    initialized(c)
    link = shell_link(c)
    set_path = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p)(20, "SetPath", ((1, "path"),))
    get_path = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p, c.c_int, c.c_void_p, c.c_ulong)(3, "GetPath")
    set_text = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p)(7, "SetDescription")
    get_text = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p, c.c_int)(6, "GetDescription")
    set_hotkey = c.WINFUNCTYPE(c.HRESULT, c.c_ushort)(13, "SetHotkey")
    get_hotkey = c.WINFUNCTYPE(c.HRESULT, c.POINTER(c.c_ushort))(12, "GetHotkey", ((2, "key"),))
    room, text = c.create_unicode_buffer(260), c.create_unicode_buffer(260)
    found = [set_path(link, path="C:\\windows\\notepad.exe"), get_path(link, room, 260, None, 0), room.value]
    found += [
        set_text(link, "a description \u20ac"),
        get_text(link, text, 260),
        text.value,
        set_hotkey(link, 0x341),
        get_hotkey(link),
    ]
    return [*found, outcome(set_path, link), outcome(set_path, link, "x", "y"), release(c, link)]


@case
def shell_link_saved_and_loaded(c, dll):
    initialized(c)
    save = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p, c.c_int)(6, "Save", ((1, "name"), (1, "remember", 1)))
    load = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p, c.c_ulong)(5, "Load", ((1, "name"), (1, "mode", 0)))
    get_path = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p, c.c_int, c.c_void_p, c.c_ulong)(3, "GetPath")
    set_path = c.WINFUNCTYPE(c.HRESULT, c.c_wchar_p)(20, "SetPath")
    place = tempfile.mkdtemp(dir=os.environ["DROPIN_FOLDER"])
    name = os.environ["DROPIN_FOLDER_ON_WINDOWS"] + "\\" + os.path.basename(place) + "\\ours.lnk"
    first = shell_link(c)
    file = persist_file(c, first)
    set_path(first, "C:\\windows\\explorer.exe")
    saved = save(file, name)
    size = os.path.getsize(os.path.join(place, "ours.lnk")) > 60
    second = shell_link(c)
    other = persist_file(c, second)
    room = c.create_unicode_buffer(260)
    loaded = load(other, name)
    get_path(second, room, 260, None, 0)
    missing = outcome(load, other, name.replace("ours", "absent"))
    return [saved, size, loaded, room.value, missing, [release(c, pointer) for pointer in (file, first, other, second)]]


@case
def failing_methods(c, dll):
    initialized(c)
    link = shell_link(c)
    target = guid(c, IID_NOTHING)
    out = unknown(c)
    plain = c.WINFUNCTYPE(c.HRESULT, c.c_void_p, c.c_void_p)(0, "QueryInterface")
    with_iid = c.WINFUNCTYPE(c.HRESULT, c.c_void_p, c.c_void_p)(
        0, "QueryInterface", None, c.byref(guid(c, IID_UNKNOWN)) and guid(c, IID_UNKNOWN)
    )
    as_long = c.WINFUNCTYPE(c.c_long, c.c_void_p, c.c_void_p)(0, "QueryInterface")
    found = [
        outcome(plain, link, c.byref(target), c.byref(out)),
        as_long(link, c.byref(target), c.byref(out)),
        out.value,
    ]
    try:
        with_iid(link, c.byref(target), c.byref(out))
    except Exception as error:
        found.append(
            [
                type(error).__name__,
                type(error).__mro__[1].__name__,
                error.hresult,
                error.text,
                error.details,
                str(error),
            ]
        )
    return [*found, release(c, link)]


@case
def wrong_this(c, dll):
    method = c.WINFUNCTYPE(c.HRESULT, c.c_int)(3, "Method")
    return [
        outcome(method),
        outcome(method, 5),
        outcome(method, c.c_void_p(), 5),
        outcome(method, "x", 5),
        bool(method),
    ]


@case
def objects_written_in_python(c, dll):
    """A COM object whose table and methods are Python's, called through its table."""
    counts = [1]
    kinds = [c.WINFUNCTYPE(c.c_long, c.c_void_p, c.c_void_p, c.c_void_p)] + [c.WINFUNCTYPE(c.c_ulong, c.c_void_p)] * 2
    kinds.append(c.WINFUNCTYPE(c.c_long, c.c_void_p, c.c_int, c.POINTER(c.c_int)))

    class Table(c.Structure):
        _fields_ = [(f"method_{index}", kind) for index, kind in enumerate(kinds)]

    class Object(c.Structure):
        _fields_ = [("table", c.POINTER(Table)), ("number", c.c_int)]

    def change(by):
        counts[0] += by
        return counts[0]

    def compute(this, value, out):
        if value < 0:
            return -2147024809
        out[0] = c.cast(this, c.POINTER(Object)).contents.number * value
        return 0

    methods = lambda *given: -2147467262, lambda this: change(1), lambda this: change(-1), compute
    table = Table(*[kind(method) for kind, method in zip(kinds, methods, strict=True)])
    made = Object(c.pointer(table), 6)
    gc.collect()
    pointer = c.pointer(made)
    called = c.WINFUNCTYPE(c.HRESULT, c.c_int, c.POINTER(c.c_int))(3, "Compute", ((1, "value"), (2, "out")))
    add = c.WINFUNCTYPE(c.c_ulong)(1, "AddRef")
    stream = [add(pointer), add(pointer), release(c, pointer), called(pointer, 7), outcome(called, pointer, -1)]
    return [*stream, counts]


@case
def streams_in_memory(c, dll):
    stream = unknown(c)
    c.oledll.ole32.CreateStreamOnHGlobal(None, True, c.byref(stream))
    write = c.WINFUNCTYPE(c.HRESULT, c.c_void_p, c.c_ulong, c.POINTER(c.c_ulong))(4, "Write", ((1,), (1,), (2,)))
    read = c.WINFUNCTYPE(c.HRESULT, c.c_void_p, c.c_ulong, c.POINTER(c.c_ulong))(3, "Read", ((1,), (1,), (2,)))
    seek = c.WINFUNCTYPE(c.HRESULT, c.c_longlong, c.c_ulong, c.POINTER(c.c_ulonglong))(
        5, "Seek", ((1,), (1, "from", 0), (2,))
    )
    room = c.create_string_buffer(20)
    return [
        write(stream, b"in memory", 9),
        seek(stream, 3),
        read(stream, room, 20),
        room.value.decode(),
        outcome(seek, stream, -5),
        release(c, stream),
    ]


@case
def initializing_by_thread(c, dll):
    found = {}

    def work(name, mode):
        ole32 = c.windll.ole32
        first, second, other = (
            ole32.CoInitializeEx(None, mode),
            ole32.CoInitializeEx(None, mode),
            ole32.CoInitializeEx(None, 2 - mode),
        )
        found[name] = [first, second, other]
        for _ in range(2):
            ole32.CoUninitialize()

    for name, mode in (("apartment", 2), ("free", 0)):
        thread = threading.Thread(target=work, args=(name, mode))
        thread.start()
        thread.join()
    return found


@case
def bstrs(c, dll):
    allocate = c.windll.oleaut32.SysAllocString
    allocate.restype = c.c_void_p
    length, free = c.windll.oleaut32.SysStringLen, c.windll.oleaut32.SysFreeString
    length.argtypes = free.argtypes = [c.c_void_p]
    text = allocate("a BSTR \u20ac")
    found = [length(text), c.wstring_at(text)]
    free(text)
    return found


@case
def hresults_of_callbacks(c, dll):
    """HRESULT as the result of a method that is written in Python, as comtypes declares them."""
    kind = c.WINFUNCTYPE(c.HRESULT, c.c_long)
    function = kind(lambda code: code)
    address = c.cast(function, c.c_void_p).value
    plain = c.WINFUNCTYPE(c.c_long, c.c_long)(address)
    codes = 0, 1, -2147467259, -2147221008
    return [[outcome(plain, code) for code in codes], [outcome(function, code) for code in codes]]


@case
def bstr_type(c, dll):
    """A type of one's own for BSTR, which ctypes allows by the code X."""

    class BSTR(c._SimpleCData):
        _type_ = "X"

    oleaut32 = c.WinDLL("oleaut32")
    length = oleaut32.SysStringLen
    length.argtypes = [BSTR]
    text = BSTR("a BSTR \u20ac")
    found = [length(text), text.value, outcome(length, 5), bool(BSTR())]
    out = BSTR()
    oleaut32.VarBstrCat.argtypes = [BSTR, BSTR, c.POINTER(BSTR)]
    joined = oleaut32.VarBstrCat(text, BSTR(" and more"), c.byref(out))
    return [*found, joined, out.value, length(out)]


@case
def variants(c, dll):
    """A union inside of a structure that Windows reads, fills and converts."""

    class Value(c.Union):
        _fields_ = [("whole", c.c_int), ("real", c.c_double), ("text", c.c_void_p), ("pair", c.c_void_p * 2)]

    class Variant(c.Structure):
        _anonymous_ = ("value",)
        _fields_ = [("kind", c.c_ushort), ("reserved", c.c_ushort * 3), ("value", Value)]

    oleaut32 = c.OleDLL("oleaut32")
    given, made, text = Variant(3), Variant(), Variant()
    given.whole = 42
    change = oleaut32.VariantChangeType
    results = [change(c.byref(made), c.byref(given), 0, 5), change(c.byref(text), c.byref(given), 0, 8)]
    found = [made.kind, made.real, text.kind, c.wstring_at(text.text)]
    oleaut32.VariantClear(c.byref(text))
    wrong = Variant(8)
    return [c.sizeof(Variant), results, found, text.kind, outcome(change, c.byref(made), c.byref(wrong), 0, 0x7777)]


@case
def identities_of_types(c, dll):
    """GUIDs by value and by reference, made, told and compared by Windows."""
    ole32 = c.OleDLL("ole32")
    one = guid(c, CLSID_SHELL_LINK)
    text = c.create_unicode_buffer(64)
    length = c.windll.ole32.StringFromGUID2(c.byref(one), text, 64)
    room = c.c_void_p()
    ole32.StringFromCLSID(c.byref(one), c.byref(room))
    again = c.wstring_at(room.value)
    c.windll.ole32.CoTaskMemFree(room)
    same = c.windll.ole32.IsEqualGUID(c.byref(one), c.byref(guid(c, CLSID_SHELL_LINK)))
    return [length, text.value, again, same, bytes(one).hex(), outcome(ole32.CLSIDFromString, "no guid", c.byref(one))]


def com_object(c, *methods):
    """A pointer to a COM object, which it keeps: each method is a Python function that takes so many words."""
    functions = [c.WINFUNCTYPE(c.c_long, *[c.c_void_p] * words)(method) for words, method in methods]
    table = (c.c_void_p * len(functions))(*[c.cast(function, c.c_void_p) for function in functions])
    pointer = c.pointer(c.c_void_p(c.addressof(table)))
    pointer.parts = functions, table
    return pointer


def told_by_failing(c, set_error_info, supported=0, queried=0):
    """What the error of a failing method tells, and which methods were called to make it."""
    calls, given = [], guid(c, IID_NOTHING)

    def answer(name, value=0):
        calls.append(name)
        return value

    def query(this, iid, out):
        calls.append(["query", bytes(guid(c, IID_SUPPORT_ERROR_INFO)) == c.string_at(iid, 16)])
        c.c_void_p.from_address(out).value = c.addressof(support.contents)
        return queried

    def supports(this, iid):
        calls.append(["supports", this == c.addressof(support.contents), c.string_at(iid, 16) == bytes(given)])
        return supported

    def fail(this):
        set_error_info(answer)
        return EXCEPTION

    references = [(1, lambda this: answer("add", 2)), (1, lambda this: answer("release", 1))]
    support = com_object(c, (3, query), *references, (2, supports))
    pointer = com_object(c, (3, query), *references, (1, fail))
    initialized(c)
    c.windll.oleaut32.SetErrorInfo(0, None)
    try:
        c.WINFUNCTYPE(c.HRESULT)(3, "Fail", (), given)(pointer)
    except Exception as error:
        left = c.windll.oleaut32.GetErrorInfo(0, c.byref(unknown(c)))
        return [type(error).__name__, error.args, error.details == error.args[2], calls, left]


def windows_error_info(c, **values):
    """Leave an error object of Windows' own with these values, by the names of the methods that set them."""
    info, error = unknown(c), unknown(c)
    c.oledll.oleaut32.CreateErrorInfo(c.byref(info))
    kinds = c.c_void_p, c.c_wchar_p, c.c_wchar_p, c.c_wchar_p, c.c_ulong
    for index, name in enumerate(("SetGUID", "SetSource", "SetDescription", "SetHelpFile", "SetHelpContext"), 3):
        if name in values:
            c.WINFUNCTYPE(c.HRESULT, kinds[index - 3])(index, name)(info, values[name])
    query = c.WINFUNCTYPE(c.HRESULT, c.c_void_p, c.c_void_p)(0, "QueryInterface")
    query(info, c.byref(guid(c, IID_ERROR_INFO)), c.byref(error))
    c.oledll.oleaut32.SetErrorInfo(0, error)
    release(c, error)
    release(c, info)


def described(c):
    known = guid(c, IID_NOTHING)
    c.oledll.ole32.CLSIDFromProgID("Scripting.FileSystemObject", c.byref(known))
    texts = {"SetDescription": "what failed \u20ac", "SetSource": "Ours.Object", "SetHelpFile": "C:\\ours.chm"}
    windows_error_info(c, **texts, SetGUID=c.addressof(known), SetHelpContext=77)


@case
def com_error_with_all_details(c, dll):
    return told_by_failing(c, lambda answer: described(c))


@case
def com_error_with_some_details(c, dll):
    nobody = guid(c, IID_NOTHING)
    few = {"SetGUID": c.addressof(nobody), "SetDescription": "", "SetHelpContext": 0xFFFFFFFE}
    return told_by_failing(c, lambda answer: windows_error_info(c, **few))


@case
def com_error_that_is_not_described(c, dll):
    return told_by_failing(c, lambda answer: None)


@case
def com_error_without_support(c, dll):
    return told_by_failing(c, lambda answer: described(c), queried=NO_INTERFACE)


@case
def com_error_of_another_interface(c, dll):
    return [told_by_failing(c, lambda answer: described(c), supported) for supported in (1, NOT_IMPLEMENTED)]


@case
def com_error_info_written_in_python(c, dll):
    """The order in which it is asked, that it is released, and what remains where its methods fail."""

    def texts(answer, name, value):
        def give(this, out):
            c.c_void_p.from_address(out).value = allocate(c.create_unicode_buffer(value), len(value))
            return answer(name)

        return 2, give

    def leave(answer):
        def query(this, iid, out):
            c.c_void_p.from_address(out).value = this
            return answer("query of the error")

        methods = [
            (3, query),
            (1, lambda this: answer("add to the error", 2)),
            (1, lambda this: answer("release of the error", 1)),
            (2, lambda this, out: answer("guid", NOT_IMPLEMENTED)),
            texts(answer, "source", "of Python"),
            texts(answer, "description", "up to\0the zero"),
            (2, lambda this, out: answer("help file", NOT_IMPLEMENTED)),
            (2, lambda this, out: answer("help context", NOT_IMPLEMENTED)),
        ]
        kept.append(com_object(c, *methods))
        c.oledll.oleaut32.SetErrorInfo(0, kept[0])

    kept = []
    allocate = prototyped(c.WinDLL("oleaut32").SysAllocStringLen, c.c_void_p, c.c_void_p, c.c_uint)
    return told_by_failing(c, leave)
