"""The stack of an agent's thread lies in memory that this process sees."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.matrix import copy_of_prefix
from tests.fix_dlls import NATIVE, compile_dll
from winbridge import Config, CtypesSession
from winbridge.core.transport.segment import RANGES
from winbridge.core.transport.shm import STACKS
from winbridge.core.transport.stream import FIRST_ARENA

pytestmark = pytest.mark.wine


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stacks")
    return {arch: compile_dll(arch, NATIVE / "stack.c", folder / f"stack-{arch}.dll") for arch in ("win64", "win32")}


@pytest.fixture
def c(arch):
    with CtypesSession(arch=arch) as namespace:
        yield namespace


def declared(c, path):
    """The DLL, with its prototypes; the structure, and the type of its visitors."""

    class Cell(c.Structure):
        _fields_ = (("column", c.c_int), ("row", c.c_int), ("value", c.c_double))

    dll = c.CDLL(str(path))
    dll.visit.restype, dll.visit.argtypes = c.c_double, [c.CFUNCTYPE(c.c_double, c.POINTER(Cell)), c.c_double]
    return dll, dll.visit.argtypes[0]


def test_local_variables_are_seen_where_they_are(c, arch, paths):
    dll, visitor = declared(c, paths[arch])
    seen = []

    @visitor
    def double(pointer):
        calls = len(c.session.history)
        cell = pointer.contents
        cell.value *= 2
        seen.append((cell.column, cell.row, cell.value, len(c.session.history) - calls))
        return 0.5

    c.set_parameter("history", 1000)
    assert dll.visit(double, 1.5) == 0.5 + 3
    assert seen == [(1, 2, 3.0, 0)]  # and nobody had to ask the agent


def test_each_session_sees_its_own_only(arch, paths):
    with CtypesSession(arch=arch) as one, CtypesSession(arch=arch) as other:
        dll, visitor = declared(one, paths[arch])
        addresses = []
        dll.visit(visitor(lambda pointer: addresses.append(one.addressof(pointer.contents)) or 0.0), 1.0)
        heap = one.session.heap
        assert heap.seen(addresses[0], 16, lambda: one.session) is not None
        assert heap.seen(addresses[0], 16, lambda: other.session) is None


def test_what_a_callback_kept_does_no_harm_later(arch, paths):
    kept = []
    with CtypesSession(arch=arch) as c:
        dll, visitor = declared(c, paths[arch])
        keep = visitor(lambda pointer: kept.append(pointer.contents) or 0.0)
        thread = threading.Thread(target=dll.visit, args=(keep, 7.0))
        thread.start()
        thread.join()
    assert (kept[0].column, kept[0].row) == (1, 2)  # of a thread and a session that are gone
    kept[0].value = 1.0
    assert bytes(memoryview(kept[0]))[:4] == bytes((1, 0, 0, 0))


def test_a_stack_has_its_size_and_its_limits(c, arch, paths):
    dll, _ = declared(c, paths[arch])
    deep = {"win64": 1500, "win32": 700}[arch]
    assert dll.descend(deep) == deep
    assert dll.limits_agree() == 1
    with pytest.raises(OSError, match="stack overflow"):
        dll.descend(100_000)
    assert dll.descend(deep) == deep


def test_where_addresses_run_out_threads_go_on_without(monkeypatch, paths):
    low, high = RANGES[4]
    monkeypatch.setitem(STACKS, 4, high - low - 4 * FIRST_ARENA)
    with CtypesSession(arch="win32") as c, ThreadPoolExecutor(1) as pool:
        dll, visitor = declared(c, paths["win32"])
        add = visitor(lambda pointer: pointer.contents.value + 1)
        assert pool.submit(dll.visit, add, 1.0).result() == 3.0  # this thread's channel took what there was
        assert dll.visit(add, 2.0) == 5.0


def test_wine_does_its_own_work_on_it(arch):
    """It starts programs, opens the desktop and fonts: with code for Unix, some of it on the stack of the caller."""
    with CtypesSession(arch=arch) as c:
        run = c.cdll.msvcrt.system
        assert [run(b"exit %d" % code) for code in range(5)] == list(range(5))
        assert c.windll.user32.GetDesktopWindow() and c.windll.gdi32.CreateCompatibleDC(None)


def test_the_desktop_may_have_to_be_made(arch, tmp_path):
    """Wine's first use of it forks, on the caller's stack: of one in shared memory the child gets no copy."""
    prefix = copy_of_prefix(Config().prefix, tmp_path / "prefix")
    with CtypesSession(arch=arch, prefix=prefix) as c:
        seen = []
        enumerate_locales = c.windll.kernel32.EnumSystemLocalesW
        enumerate_locales.argtypes = [c.WINFUNCTYPE(c.c_int, c.c_void_p), c.c_int]
        assert enumerate_locales(enumerate_locales.argtypes[0](lambda name: seen.append(name) or 1), 1) and seen
        assert c.windll.comctl32._handle and c.windll.gdi32.CreateCompatibleDC(None)
        agent = c.session.transport.link.agent.process
    assert agent.returncode == 0  # not killed, as one whose stack is spoilt
    shutil.rmtree(prefix)
