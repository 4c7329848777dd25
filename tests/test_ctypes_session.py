"""CtypesSession: ctypes for sessions of their own; and what lies outside of the shared heap."""

from __future__ import annotations

import array
import gc
import io
import mmap
import os
import pickle
import subprocess
import sys
import threading

import pytest

import winbridge
from winbridge import ConfigError, CtypesSession, GatewaySession, SessionClosedError, Win64Session
from winbridge.core.heap import Heap, heap
from winbridge.ctypes.implicit import implicit

pytestmark = pytest.mark.wine


@pytest.fixture
def c(arch):
    with CtypesSession(arch=arch) as session:
        yield session


def test_several_at_once_of_both_architectures():
    with CtypesSession(arch="win64") as one, CtypesSession(arch="win64") as other, CtypesSession(arch="win32") as third:
        assert len({one.id, other.id, third.id}) == 3
        assert [each.sizeof(each.c_void_p) for each in (one, other, third)] == [8, 8, 4]
        processes = {each.windll.kernel32.GetCurrentProcessId() for each in (one, other)}
        assert len(processes) == 2
        assert third.sizeof(third.wintypes.MSG) == 28 and one.sizeof(one.wintypes.MSG) == 48
        one.windll.kernel32.SetLastError(5)
        other.windll.kernel32.SetLastError(6)
        assert (one.GetLastError(), other.GetLastError()) == (5, 6)
    assert not (one.up or other.up or third.up)


def test_it_is_nobodys_current_session(c):
    before = type(c.session).get_session()
    assert before is not c.session
    assert winbridge.load_dll("kernel32", arch=c.session.arch).session() is not c.session


def test_life(arch):
    c = CtypesSession(arch=arch, id="laboratory")
    assert c.id == "laboratory" and c.up and c.client_up and c.server_up
    assert c.get_parameter("arch") == arch
    c.set_parameter("timeout_call", 30.0)
    assert c.get_parameter("timeout_call") == 30.0
    with pytest.raises(ConfigError):
        c.set_parameter("prefix", "/elsewhere")
    beep = c.windll.kernel32.GetTickCount
    assert beep() > 0 and "laboratory" in repr(c)
    c.terminate()
    c.terminate()
    assert not (c.up or c.client_up or c.server_up)
    with pytest.raises(SessionClosedError):
        beep()
    with pytest.raises(AttributeError):
        c.no_such_name  # noqa: B018


def test_a_session_that_was_given_stays_open():
    given = Win64Session.apart()
    with CtypesSession(session=given) as c:
        assert c.windll.kernel32.GetTickCount() > 0
    assert given.up
    given.close()
    with pytest.raises(ConfigError, match="either a session or"):
        CtypesSession(session=given, arch="win64")


def test_paths_there_and_back(c, tmp_path, monkeypatch):
    file = tmp_path / "Some File.txt"
    file.write_text("text")
    windows = c.path_unix_to_windows(file)
    assert windows.startswith("Z:\\") and windows.endswith("\\Some File.txt")
    assert c.path_windows_to_unix(windows) == str(file)
    assert c.path_windows_to_unix(windows.replace("\\", "/").swapcase().replace("z:", "Z:")) == str(file)
    monkeypatch.chdir(tmp_path)
    assert c.path_unix_to_windows("Some File.txt") == windows
    assert c.path_windows_to_unix("Some File.txt") == str(file)
    assert c.path_windows_to_unix("C:\\windows").endswith("/drive_c/windows")
    assert c.path_unix_to_windows(c.path_windows_to_unix("C:\\windows")) == "C:\\windows"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("\\\\server\\share\\file", 67), ("Q:\\file", 15), ("C:\\a<b", 123), ("C:\\a|b", 123), ("C:\\a:b", 123),
        ("C:\\what?", 123), ("", 123), ("C:\\" + 300 * "x", 206), ("C:\\" + 20000 * "x\\", 206), ("C:\\a\0b", 123),
    ],
)  # fmt: skip
def test_windows_paths_that_have_no_unix_path(c, path, code):
    with pytest.raises(OSError) as caught:
        c.path_windows_to_unix(path)
    assert caught.value.winerror == code and caught.value.strerror


@pytest.mark.parametrize(
    ("path", "code"),
    [("/a/b\\c", 123), ("/a/what?", 123), ("/a:b", 123), ("", 123), ("/" + 300 * "x", 206), ("/" + 20000 * "x/", 206)],
)
def test_unix_paths_that_windows_does_not_allow(c, path, code):
    with pytest.raises(OSError) as caught:
        c.path_unix_to_windows(path)
    assert caught.value.winerror == code and caught.value.strerror


def test_libraries_are_found(c, dll_folder, arch, monkeypatch):
    assert c.util.find_library("kernel32").lower() == "c:\\windows\\system32\\kernel32.dll"
    assert c.util.find_library("no-such-library") is None
    assert c.util.find_library("c") is None and c.util.find_msvcrt() is None
    with pytest.raises(FileNotFoundError):
        c.CDLL("lender.dll")
    with c.add_dll_directory(str(dll_folder / arch)) as folder:
        assert c.CDLL("lender.dll")._handle
        assert "dlls" in repr(folder)
    with pytest.raises(OSError):
        c.add_dll_directory("/no/such/folder")
    other = {"win64": "win32", "win32": "win64"}[arch]
    with pytest.raises(OSError, match=f"arch='{other}'"):
        c.CDLL(str(dll_folder / other / "specimen.dll"))


def test_memory_of_other_objects(c):
    """What from_buffer shares with Python's own objects is brought over and back around calls."""
    reverse = c.cdll.msvcrt._strrev
    text = bytearray(b"stressed\0")
    numbers = array.array("i", range(9))
    with mmap.mmap(-1, 4096) as pages:
        view = (c.c_char * len(text)).from_buffer(text)
        reverse(view)
        assert text == b"desserts\0" and view.value == b"desserts"
        text[0:1] = b"D"
        assert c.cdll.msvcrt.strcmp(view, b"Desserts") == 0
        assert c.string_at(c.addressof(view)) == b"Desserts"
        ints = (c.c_int * 9).from_buffer(numbers)
        compare = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
        c.cdll.msvcrt.qsort(ints, 9, 4, compare(lambda left, right: right[0] - left[0]))
        assert list(numbers) == list(range(8, -1, -1))
        page = (c.c_char * 16).from_buffer(pages, 100)
        c.cdll.msvcrt.strcpy(page, b"into a page")
        assert pages[100:111] == b"into a page"
        del page
        gc.collect()
    part = c.c_int.from_buffer(ints, 4)
    c.memset(c.byref(part), 0xFF, 4)
    assert numbers[1] == -1


def test_memory_of_windows_has_a_buffer(c):
    memory = c.cdll.msvcrt
    memory.malloc.restype = c.c_void_p
    memory.malloc.argtypes = [c.c_size_t]
    memory.free.argtypes = [c.c_void_p]
    address = memory.malloc(16)
    array = (c.c_ubyte * 16).from_address(address)
    io.BytesIO(b"sixteen letters.").readinto(array)
    assert c.string_at(address, 16) == b"sixteen letters." == bytes(array)
    c.memmove(address, b"SIXTEEN", 7)
    assert bytes(memoryview(array)) == b"SIXTEEN letters."
    array[0] = 115
    assert c.string_at(address, 7) == b"sIXTEEN"
    memory.free(address)


def test_large_memory_of_other_objects_is_synchronised_on_demand(c):
    """Beyond the budget only what a call is given is brought over; the rest by sync()."""
    large = bytearray(3 << 20)
    view = (c.c_char * len(large)).from_buffer(large)
    fill = c.cdll.msvcrt.memset
    fill(view, 65, 10)
    assert large[:11] == 10 * b"A" + b"\0"
    fill(c.c_void_p(c.addressof(view)), 66, 10)  # an address says nothing of the object
    winbridge.sync(view)
    assert large[:11] == 10 * b"B" + b"\0"


def test_objects_survive_their_session(arch):
    with CtypesSession(arch=arch) as first:
        numbers = (first.c_int * 3)(3, 1, 2)
        assert first.cdll.msvcrt.memcmp(numbers, numbers, 12) == 0
    with CtypesSession(arch=arch) as second:
        copy = (second.c_int * 3)()
        second.memmove(copy, first.addressof(numbers), 12)
    assert list(copy) == [3, 1, 2] == list(numbers)


def test_a_forked_child_has_memory_of_its_own(c):
    numbers = (c.c_int * 3)(1, 2, 3)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        numbers[0] = 77
        os.write(write, bytes(numbers))
        os._exit(0)
    os.waitpid(child, 0)
    seen = os.read(read, 100)
    os.close(read)
    os.close(write)
    assert int.from_bytes(seen[:4], "little") == 77 and list(numbers) == [1, 2, 3]


def test_over_a_stream(arch):
    """No memory in common: the heap is copied to and fro."""
    with CtypesSession(arch=arch, transport="stream") as c:
        text = c.create_string_buffer(b"stressed")
        c.cdll.msvcrt._strrev(text)
        assert text.value == b"desserts"
        inner = c.create_unicode_buffer("inner")
        pointers = (c.c_wchar_p * 2)(c.addressof(inner), 0)
        assert c.cdll.msvcrt.wcslen(c.c_void_p.from_buffer(pointers)) == 5
        compare = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
        numbers = (c.c_int * 5)(5, 1, 4, 2, 3)
        c.cdll.msvcrt.qsort(numbers, 5, 4, compare(lambda left, right: left[0] - right[0]))
        assert list(numbers) == [1, 2, 3, 4, 5]


def test_types_and_objects_pickle(arch):

    names = implicit(arch).names()
    for name in ("c_int", "c_char_p", "c_void_p", "c_size_t", "Structure", "py_object"):
        assert pickle.loads(pickle.dumps(names[name])) is names[name]
    numbers = names["c_int"] * 3
    assert pickle.loads(pickle.dumps(numbers)) is numbers
    assert list(pickle.loads(pickle.dumps(numbers(1, 2, 3)))) == [1, 2, 3]
    assert pickle.loads(pickle.dumps(names["POINTER"](names["c_double"]))) is names["POINTER"](names["c_double"])
    assert pickle.loads(pickle.dumps(implicit(arch).wintypes.RECT)) is implicit(arch).wintypes.RECT
    with CtypesSession(arch=arch) as c:
        for kind in (c.c_int, c.wintypes.RECT):
            with pytest.raises(pickle.PicklingError, match="CtypesSession"):
                pickle.dumps(kind)


def test_heap_blocks_are_used_again():
    own = Heap(8)
    first = own.allocate(100)
    address = first.address
    first.view[:] = b"x" * 100
    del first
    again = own.allocate(100)
    assert again.address == address and bytes(again.view) == bytes(100)
    large = own.allocate(5 << 20)
    where, count = large.address, len(own.segments)
    large.view[:4] = b"data"
    del large
    large = own.allocate(5 << 20)
    assert large.address == where and len(own.segments) == count and bytes(large.view[:4]) == bytes(4)
    assert own.view(where, 5 << 20) is not None and own.view(where + 1, 8 << 20) is None
    for segment in own.segments:
        segment.close()


def test_what_is_dropped_leaves_no_memory_behind(c):
    home = heap(c.sizeof(c.c_void_p))
    kind = c.POINTER(c.c_int) * 10
    for _ in range(100):
        kind(*[c.pointer(c.c_int(number)) for number in range(10)])
    gc.collect()
    before = sum(len(segment.view) for segment in home.segments), home._used
    for _ in range(20_000):
        kind(c.pointer(c.c_int(1)))
    gc.collect()
    assert (sum(len(segment.view) for segment in home.segments), home._used) == before


def test_constants_are_swept(c):
    pool = c._family.constants
    for number in range(5000):
        c.cdll.msvcrt.strlen(b"number %d" % number)
    assert len(pool) < 1000


def test_every_thread_has_its_own_errors(c):
    seen = {}
    meet = threading.Barrier(3)

    def work(code):
        c.windll.kernel32.SetLastError(code)
        meet.wait()
        seen[code] = c.GetLastError()

    threads = [threading.Thread(target=work, args=(code,)) for code in (5, 6, 87)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {5: 5, 6: 6, 87: 87}


def test_the_architecture_of_the_drop_in_is_configured(arch):
    code = "from winbridge import ctypes as c; print(c.sizeof(c.c_void_p), c.windll.kernel32.GetCurrentProcessId() > 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "WINBRIDGE_ARCH": arch}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == (f"{ {'win64': 8, 'win32': 4}[arch] } True\n", "")


def test_through_a_gateway(gateway, arch):
    """The same over HTTP: objects, what they point to, and callbacks while a call waits."""
    far = GatewaySession.apart(gateway.url, token=gateway.token, arch=arch)
    with far as session, CtypesSession(session=session) as c:
        text = c.create_string_buffer(b"stressed")
        c.cdll.msvcrt._strrev(text)
        assert text.value == b"desserts"
        compare = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
        numbers = (c.c_int * 5)(5, 1, 4, 2, 3)
        c.cdll.msvcrt.qsort(numbers, 5, 4, compare(lambda left, right: left[0] - right[0]))
        assert list(numbers) == [1, 2, 3, 4, 5]
        with pytest.raises(OSError, match="access violation"):
            c.string_at(16)


def test_numpy_arrays(c, arch):
    """Where the program imports the drop-in itself, numpy has the standard ctypes."""
    numpy = pytest.importorskip("numpy")
    compare = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_double), c.POINTER(c.c_double))
    order = compare(lambda left, right: (left[0] > right[0]) - (left[0] < right[0]))
    sort = c.cdll.msvcrt.qsort
    numbers = numpy.array([3.0, 1.0, 2.0])
    if arch == "win64":  # the standard cast() knows pointers of its own width only
        sort(numbers.ctypes.data_as(c.POINTER(c.c_double)), c.c_size_t(3), c.c_size_t(8), order)
        assert list(numbers) == [1, 2, 3]
        numbers[:] = 9, 8, 7
        sort(numbers.ctypes.data_as(c.c_void_p), c.c_size_t(3), c.c_size_t(8), order)
        assert list(numbers) == [7, 8, 9]
    numbers[:] = 6, 5, 4
    sort.argtypes = [numpy.ctypeslib.ndpointer(dtype=float), c.c_size_t, c.c_size_t, compare]
    sort(numbers, 3, 8, order)
    assert list(numbers) == [4, 5, 6]
    with pytest.raises(c.ArgumentError, match="not contiguous"):
        sort(numpy.zeros((4, 4))[::2, ::2], 3, 8, order)
    frozen = numpy.array([3.0, 1.0, 2.0])
    frozen.flags.writeable = False
    sort(frozen, 3, 8, order)
    assert list(frozen) == [3, 1, 2]
    shared = winbridge.shared_array(3, float, arch=arch)
    shared[:] = 3, 1, 2
    sort(shared, 3, 8, order)
    assert list(shared) == [1, 2, 3]
    assert list(numpy.frombuffer((c.c_short * 3)(1, 2, 3), numpy.int16)) == [1, 2, 3]
