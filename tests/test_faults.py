"""What a DLL may do wrong, and what the user sees of it: an exception, and a session that goes on."""

from __future__ import annotations

import ctypes

import pytest

import winbridge
from winbridge import AgentDiedError, WindowsFault

pytestmark = pytest.mark.wine


@pytest.mark.parametrize(
    ("function", "arguments", "text", "code"),
    [
        ("read_at", (0x10,), "exception: access violation reading 0x{:0{}X}", 0xC0000005),
        ("write_at", (0x20,), "exception: access violation writing 0x{:0{}X}", 0xC0000005),
        ("call_at", (0x30,), "exception: access violation executing 0x{:0{}X}", 0xC0000005),
        ("divide", (1, 0), "exception: integer divide by zero", 0xC0000094),
        ("illegal", (), "[WinError -1073741795] Windows Error 0xc000001d", 0xC000001D),
        ("breakpoint", (), "exception: breakpoint encountered", 0x80000003),
        ("overflow_stack", (1,), "exception: stack overflow", 0xC00000FD),
        ("raise_code", (0x1234,), "[WinError 4660] Windows Error 0x1234", 0x1234),
        ("raise_code", (0xE06D7363,), "[WinError -529697949] Windows Error 0xe06d7363", 0xE06D7363),
    ],
)
@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_faults_are_os_errors_and_the_session_goes_on(arch, specimen_path, transport, function, arguments, text, code):
    kind = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[arch]
    specimen = kind(transport=transport).load_dll(specimen_path, convention="cdecl")
    session = specimen.session()
    for _ in range(3):
        with pytest.raises(OSError) as caught:
            specimen[function](*arguments)
        fault = caught.value
        assert isinstance(fault, WindowsFault) and fault.code == code
        assert str(fault) == (text.format(arguments[0], 2 * session.pointer_size) if "{" in text else text)
        assert fault.winerror == (code - 2**32 if code >= 2**31 else code)
        assert fault.instruction or function == "call_at"
        assert fault.address == (arguments[0] if "access" in text else None)
    assert specimen.add(2, 3) == 5 and specimen.session() is session


def test_a_deep_stack_still_works_after_an_overflow(specimen):
    with pytest.raises(OSError, match="stack overflow"):
        specimen.overflow_stack(1)
    with pytest.raises(OSError, match="stack overflow"):
        specimen.overflow_stack(1)
    assert specimen.sum_array((ctypes.c_int * 1000)(*range(1000)), 1000) == sum(range(1000))


def test_code_that_handles_its_own_faults_is_left_alone(arch):
    """IsBadReadPtr probes by provoking faults; a vectored handler of ours would take them away."""
    kernel32 = winbridge.load_dll("kernel32", arch=arch)
    assert kernel32.IsBadReadPtr(0x10, 4) == 1
    assert kernel32.IsBadReadPtr(ctypes.c_void_p(kernel32.GetProcAddress.address), 4) == 0


@pytest.mark.parametrize(
    ("function", "arguments", "exit_code", "tail"),
    [
        ("leave", (7,), 7, ""),
        ("terminate", (9,), 9, ""),
        ("give_up", (), 3, "specimen gives up"),
        ("crash_in_thread", (), 5, "unhandled exception 0xc0000005"),
    ],
)
@pytest.mark.parametrize("transport", ["shm", "stream"])
def test_the_end_of_the_process_is_an_exception(arch, specimen_path, transport, function, arguments, exit_code, tail):
    kind = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[arch]
    kind(transport=transport)
    specimen = winbridge.load_dll(specimen_path, convention="cdecl")
    dead = specimen.session()
    with pytest.raises(AgentDiedError) as caught:
        specimen[function](*arguments)
    assert caught.value.exit_code == exit_code
    assert tail in caught.value.stderr_tail and tail in str(caught.value)
    assert dead.closed and not dead.up
    assert specimen.add(2, 3) == 5
    assert specimen.session().transport.name == transport


def test_bad_addresses_in_memory_functions(arch):
    session = {"win64": winbridge.Win64Session, "win32": winbridge.Win32Session}[arch]()
    for attempt in (
        lambda: session.memory.read(0x10, 4),
        lambda: session.memory.write(0x10, b"data"),
        lambda: session.memory.string_at(0x10),
        lambda: session.memory.wstring_at(0x10),
    ):
        with pytest.raises(WindowsFault, match="access violation"):
            attempt()
    assert session.up
