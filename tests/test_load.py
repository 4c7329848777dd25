"""Loading DLLs: what each failure says, what a name means, and which session it goes to."""

from __future__ import annotations

import ctypes
import shutil
import threading
from pathlib import Path

import pefile
import pytest

import winbridge
from winbridge import (
    ConfigError,
    Dll,
    DllError,
    DllNotFoundError,
    FunctionNotFoundError,
    SessionClosedError,
    Win32Session,
    Win64Session,
    load_dll,
)
from winbridge.core import paths

pytestmark = pytest.mark.wine
SESSIONS = {"win64": Win64Session, "win32": Win32Session}
OTHER = {"win64": "win32", "win32": "win64"}


def refused(name, **options) -> DllNotFoundError:
    """The error of a load that must fail, which a user may also catch as what Python raises for files."""
    with pytest.raises(DllNotFoundError) as caught:
        load_dll(name, **options)
    assert isinstance(caught.value, FileNotFoundError) and isinstance(caught.value, winbridge.WinbridgeError)
    return caught.value


@pytest.fixture
def alone(tmp_path: Path, dll_folder: Path, arch: str):
    """Copies DLLs into a folder of their own."""

    def copy(*names: str) -> Path:
        for name in names:
            shutil.copy(dll_folder / arch / name, tmp_path / name)
        return tmp_path / names[0]

    return copy


def test_no_dll_of_that_name(arch):
    error = refused("winbridge-nosuch", arch=arch)
    assert error.winerror == 126
    assert "'winbridge-nosuch'" in str(error) and arch in str(error) and "./vendor.dll" in str(error)


def test_no_file_at_that_path(arch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path / "gone.dll", str(tmp_path / "gone.dll"), "./gone.dll"):
        error = refused(name, arch=arch)
        assert str(tmp_path / "gone.dll") in str(error) and error.winerror == 126


def test_no_file_at_that_windows_path(arch):
    error = refused(r"C:\windows\system32\winbridge-nosuch.dll", arch=arch)
    assert error.winerror == 126 and "winbridge-nosuch.dll" in str(error)


def test_a_missing_dependent_dll_is_named(alone):
    needy = alone("needy.dll")
    error = refused(needy)
    assert error.winerror == 126
    assert f"{needy} needs lender.dll, which was not found" in str(error) and str(needy.parent) in str(error)


def test_a_missing_dependent_of_a_windows_path_is_named(alone, arch):
    needy = paths.unix_to_windows(alone("needy.dll"), winbridge.Config().prefix)
    assert "needs lender.dll" in str(refused(needy))


def test_a_dependent_dll_of_the_wrong_bitness_is_named(alone, dll_folder, arch, tmp_path):
    needy = alone("needy.dll")
    shutil.copy(dll_folder / OTHER[arch] / "lender.dll", tmp_path / "lender.dll")
    error = refused(needy)
    assert "lender.dll" in str(error) and OTHER[arch] in str(error)


def test_dependent_dlls_beside_it_are_found(alone):
    for name in ("needy.dll", "NEEDY.dll"):
        needy = alone("needy.dll", "lender.dll")
        assert load_dll(needy.rename(needy.parent / name), convention="cdecl").borrow() == 42


def test_a_function_that_is_missing(specimen):
    for attempt in (lambda: specimen.sum_aray, lambda: specimen["sum_aray"]):
        with pytest.raises(
            FunctionNotFoundError, match=r"'sum_aray' not found in .*; did you mean sum_array"
        ) as caught:
            attempt()
        assert isinstance(caught.value, AttributeError)
    assert not hasattr(specimen, "nosuch") and hasattr(specimen, "add")
    with pytest.raises(FunctionNotFoundError, match="'qqqqqqqq' not found in [^;]*$"):
        specimen.qqqqqqqq  # noqa: B018


def test_the_forms_of_a_missing_function_for_both_kinds_of_text(arch):
    with pytest.raises(
        FunctionNotFoundError, match=r"'MessageBox' not found in user32; did you mean MessageBoxW, MessageBoxA\?"
    ):
        load_dll("user32", arch=arch).MessageBox  # noqa: B018


def test_an_ordinal_that_is_missing(specimen):
    with pytest.raises(FunctionNotFoundError, match="exports no ordinal 60000"):
        specimen[60000]


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"hello\n", "a text file"), (b"\x7fELF\2\1\1", "an ELF file"), (b"", "an empty file"), (b"MZ", "truncated")],
    ids=["text", "elf", "empty", "truncated"],
)
def test_a_file_that_is_no_dll(arch, tmp_path, content, says):
    file = tmp_path / "vendor.dll"
    file.write_bytes(content)
    for name in (file, paths.unix_to_windows(file, winbridge.Config().prefix)):
        error = refused(name, arch=arch)
        assert says in str(error) and str(file) in str(error) and error.winerror == 193


def test_a_linux_library(arch):
    library = Path("/proc/self/exe").resolve()
    assert "is no Windows DLL but an ELF file" in str(refused(library, arch=arch))


def test_a_folder(arch, tmp_path):
    assert "a folder" in str(refused(tmp_path, arch=arch))


def test_another_machine(specimen_path, tmp_path):
    data = bytearray(specimen_path.read_bytes())
    header = int.from_bytes(data[60:64], "little")
    data[header + 4 : header + 6] = (0xAA64).to_bytes(2, "little")
    (tmp_path / "arm.dll").write_bytes(data)
    with pytest.raises(DllError, match="arm64"):
        load_dll(tmp_path / "arm.dll")


def test_a_damaged_dll(specimen_path, tmp_path):
    (tmp_path / "half.dll").write_bytes(specimen_path.read_bytes()[:2000])
    error = refused(tmp_path / "half.dll")
    assert error.winerror == 193 and "half.dll" in str(error)


def test_wrong_bitness_by_arch(specimen_path, arch):
    error = refused(specimen_path, arch=OTHER[arch])
    assert error.winerror == 193 and f"is a {arch} DLL, not {OTHER[arch]}" in str(error)


@pytest.mark.win32
def test_wrong_bitness_by_session(specimen_path, arch):
    session = SESSIONS[OTHER[arch]]()
    for attempt in (lambda: session.load_dll(specimen_path), lambda: load_dll(specimen_path, session=session)):
        with pytest.raises(DllNotFoundError, match=rf"is a {arch} DLL and cannot be loaded into .*{OTHER[arch]}"):
            attempt()


def test_arch_against_session(arch):
    session = SESSIONS[arch]()
    with pytest.raises(ConfigError, match=f"arch='{OTHER[arch]}' does not fit"):
        load_dll("kernel32", arch=OTHER[arch], session=session)
    assert load_dll("kernel32", arch=arch, session=session).tied


def test_initialisation_that_fails(dll_folder, arch):
    error = refused(dll_folder / arch / "refuser.dll")
    assert "DllMain" in str(error) and error.winerror == 1114


def test_bad_options(specimen_path):
    with pytest.raises(ConfigError, match=r"arch='arm64': expected one of win64, win32"):
        load_dll(specimen_path, arch="arm64")
    with pytest.raises(ConfigError, match=r"convention='fastcall': expected one of stdcall, cdecl"):
        load_dll(specimen_path, convention="fastcall")
    for name in ("", b"kernel32", None, 5):
        with pytest.raises(TypeError):
            load_dll(name)


def test_a_closed_session(arch, specimen_path):
    session = SESSIONS[arch]()
    tied = session.load_dll(specimen_path, convention="cdecl")
    add = tied.add
    assert add(1, 2) == 3
    session.close()
    for attempt in (
        lambda: add(1, 2),
        lambda: tied.add(1, 2),
        lambda: tied["add"],
        lambda: session.load_dll("kernel32"),
    ):
        with pytest.raises(SessionClosedError, match="closed"):
            attempt()


def test_a_failed_load_leaves_the_session_as_it_was(arch, dll_folder, specimen):
    session = specimen.session()
    refused(dll_folder / arch / "refuser.dll")
    refused("winbridge-nosuch", arch=arch)
    assert specimen.session() is session and specimen.add(2, 3) == 5


def test_unix_paths(specimen_path, arch, monkeypatch):
    monkeypatch.chdir(specimen_path.parent)
    for name in (specimen_path, str(specimen_path), "./specimen.dll", f"../{arch}/specimen.dll", "specimen.dll"):
        dll = load_dll(name, convention="cdecl")
        assert dll.add(2, 3) == 5 and dll.session().arch == arch
        monkeypatch.chdir(specimen_path.parent)


def test_a_relative_path_stays_what_it_was(specimen_path, arch, monkeypatch, tmp_path):
    monkeypatch.chdir(specimen_path.parent)
    dll = load_dll("specimen.dll", convention="cdecl")
    monkeypatch.chdir(tmp_path)
    SESSIONS[arch].new_session()
    assert dll.add(2, 3) == 5


@pytest.mark.parametrize("name", ["ünïcode 名.dll", "with space.dll", "UPPER.DLL", "no_extension", "a.b.c"])
def test_odd_names(specimen_path, tmp_path, name):
    shutil.copy(specimen_path, tmp_path / name)
    assert load_dll(tmp_path / name, convention="cdecl").add(2, 3) == 5


def test_links_are_followed(specimen_path, tmp_path):
    (tmp_path / "link.dll").symlink_to(specimen_path)
    assert load_dll(tmp_path / "link.dll", convention="cdecl").add(2, 3) == 5


def test_windows_paths(specimen_path, arch):
    windows = paths.unix_to_windows(specimen_path, winbridge.Config().prefix)
    assert windows[1:3] == ":\\"
    for name in (windows, windows.replace("\\", "/")):
        dll = load_dll(name, convention="cdecl")
        assert dll.add(2, 3) == 5 and dll.session().arch == arch


def test_system32_is_that_of_the_architecture(arch):
    """A 32-bit process sees SysWOW64 under that name."""
    for name in (r"C:\windows\system32\kernel32.dll", r"c:\WINDOWS\System32\KERNEL32.dll"):
        dll = load_dll(name, arch=arch)
        assert dll.session().arch == arch and dll.MulDiv(7, 6, 2) == 21
        assert "MulDiv" in dll.exports()
    assert SESSIONS[arch]().load_dll(r"C:\windows\system32\kernel32.dll").MulDiv(7, 6, 2) == 21


@pytest.mark.win32
def test_system32_goes_to_the_session_at_hand():
    Win32Session()
    assert load_dll(r"C:\windows\system32\kernel32.dll").session().arch == "win32"


def test_system_names(arch):
    for name in ("kernel32", "kernel32.dll", "KERNEL32", "msvcrt", "user32.dll"):
        assert load_dll(name, arch=arch).session().arch == arch


def test_nothing_at_hand_means_64_bit():
    assert load_dll("kernel32").session().arch == "win64"


@pytest.mark.win32
def test_the_architecture_of_the_file_decides(dll_folder):
    dlls = [load_dll(dll_folder / arch / "specimen.dll", convention="cdecl") for arch in SESSIONS]
    assert [type(dll.session()) for dll in dlls] == [Win64Session, Win32Session]
    assert [dll.add(2, 3) for dll in dlls] == [5, 5]
    assert [dll.echo_pointer.address.bit_length() <= 32 for dll in dlls][1]


@pytest.mark.win32
def test_a_name_goes_to_a_session_that_was_made_before_one_that_opened_by_itself():
    own = Win32Session()
    assert load_dll("kernel32").session() is own
    assert load_dll("kernel32", arch="win64").session().arch == "win64"
    assert load_dll("kernel32").session() is load_dll("kernel32", arch="win32").session() is own


@pytest.mark.win32
@pytest.mark.parametrize("made", [True, False])
def test_among_equals_a_name_goes_to_64_bit(made):
    for arch in ("win32", "win64"):
        if made:
            SESSIONS[arch]()
        load_dll("kernel32", arch=arch)
    assert load_dll("kernel32").session() is Win64Session.get_session()


@pytest.mark.win32
def test_a_threads_own_session_comes_first():
    Win64Session()
    seen = []

    def work():
        seen.append(load_dll("kernel32").session())
        own = Win32Session()
        seen.append(load_dll("kernel32").session() is own)
        own.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [Win64Session.get_session(), True]


def test_tied_and_untied(arch, specimen_path):
    session = SESSIONS[arch]()
    tied = session.load_dll(specimen_path, convention="cdecl", use_last_error=True)
    free = load_dll(specimen_path, convention="cdecl")
    assert tied.tied and not free.tied and tied.session() is free.session() is session
    assert tied.use_last_error and "for " + type(session).__name__ in repr(free) and session.id in repr(tied)
    fresh = SESSIONS[arch].new_session()
    assert free.session() is fresh and free.add(2, 3) == 5
    with pytest.raises(SessionClosedError):
        tied.add(2, 3)


def test_exports_and_dir(specimen, arch):
    names = specimen.exports()
    assert names == sorted(names) and {"add", "add_stdcall", "move_point", "last_error"} <= set(names)
    assert set(names) <= set(dir(specimen)) and "exports" in dir(specimen)
    system = load_dll("kernel32", arch=arch).exports()
    assert "GetTickCount" in system and len(system) > 1000


def test_ordinals(specimen, specimen_path):
    with pefile.PE(str(specimen_path)) as image:
        ordinals = {symbol.name.decode(): symbol.ordinal for symbol in image.DIRECTORY_ENTRY_EXPORT.symbols}
    by_ordinal = specimen[ordinals["add"]]
    assert by_ordinal(2, 3) == 5 and by_ordinal.address == specimen.add.address
    assert by_ordinal.name == f"#{ordinals['add']}"


def test_names_of_other_kinds(specimen):
    assert specimen[b"add"](2, 3) == 5
    for name in (1.5, None, ("add",)):
        with pytest.raises(TypeError, match="function name must be"):
            specimen[name]


def test_attributes_are_kept_and_items_are_made_anew(specimen):
    assert specimen.add is specimen.add and specimen.add is getattr(specimen, "add")  # noqa: B009
    assert specimen["add"] is not specimen["add"] and specimen["add"] is not specimen.add
    specimen.add.restype = ctypes.c_short
    assert specimen["add"].restype is ctypes.c_int and specimen.add.restype is ctypes.c_short


def test_handles_and_addresses(specimen, specimen_path):
    session = specimen.session()
    assert specimen.handle() == specimen.handle(session) != 0
    windows = session.modules.path(specimen.handle())
    assert Path(paths.windows_to_unix(windows, session.config.prefix)).samefile(specimen_path)
    assert specimen.add.address == specimen.resolve(session, "add")
    assert session.memory.read(specimen.handle(), 2) == b"MZ"


def test_two_names_of_one_file_are_one_module(specimen, specimen_path):
    assert load_dll(str(specimen_path)).handle() == specimen.handle()


def test_representations(specimen, specimen_path, arch):
    assert repr(specimen) == f"<Dll {str(specimen_path)!r} for {SESSIONS[arch].__name__}>"
    assert repr(specimen.add) == f"<DllFunction add of {specimen_path}>"
    assert isinstance(specimen, Dll) and specimen.name == str(specimen_path)
