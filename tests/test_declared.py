"""Dll.cdef: prototypes from C declarations, on functions of real DLLs."""

from __future__ import annotations

import ctypes
import pickle

import pytest

import winbridge
from winbridge import PrototypeError
from winbridge.ctypes.implicit import implicit

pytestmark = pytest.mark.wine

KERNEL32 = """
    #define LONGEST 64
    typedef struct { WORD wYear, wMonth, wDayOfWeek, wDay, wHour, wMinute, wSecond, wMilliseconds; } TIME;
    int WINAPI MulDiv(int nNumber, int nNumerator, int nDenominator);
    BOOL WINAPI SystemTimeToFileTime(const TIME *time, LPFILETIME file);
    BOOL WINAPI FileTimeToSystemTime(const FILETIME *file, TIME *time);
    DWORD WINAPI GetCurrentDirectoryW(DWORD length, LPWSTR buffer);
    LPWSTR WINAPI lstrcpyW(LPWSTR to, LPCWSTR from);
"""
SPECIMEN = "int add(int a, int b); long long distance(const char *from, const char *to);"


@pytest.fixture
def kernel32(arch):
    return winbridge.load_dll("kernel32", arch=arch)


def test_functions_have_their_prototypes(kernel32):
    before = kernel32.MulDiv
    declared = kernel32.cdef(KERNEL32)
    assert declared.constants["LONGEST"] == 64 and set(declared.types) >= {"TIME"}
    assert kernel32.MulDiv is before and len(before.argtypes) == 3
    assert kernel32.MulDiv(6, 7, 1) == 42 == kernel32["MulDiv"](6, 7, 1)
    assert kernel32.MulDiv(nNumber=6, nDenominator=2, nNumerator=7) == 21
    with pytest.raises(TypeError, match="missing argument"):
        kernel32.MulDiv(6)
    with pytest.raises(ctypes.ArgumentError, match="argument 1"):
        kernel32.MulDiv("six", 7, 1)


def test_structures_go_there_and_back(kernel32):
    time_type = kernel32.cdef(KERNEL32).types["TIME"]
    given, found = time_type(2026, 11, 0, 21, 12, 30, 5, 250), time_type()
    moment = kernel32.SystemTimeToFileTime.argtypes[1]._type_()
    assert kernel32.SystemTimeToFileTime(given, moment)
    assert kernel32.FileTimeToSystemTime(moment, found)
    assert (found.wYear, found.wMonth, found.wDay, found.wMilliseconds) == (2026, 11, 21, 250)


def test_declared_functions_take_the_structures_of_wintypes(kernel32, arch):
    """A program has them from winbridge.ctypes.wintypes, not from the declaration."""
    time_type = kernel32.cdef(KERNEL32).types["TIME"]
    moment, found = implicit(arch).wintypes.FILETIME(0xD53E8000, 0x019DB1DE), time_type()
    assert kernel32.FileTimeToSystemTime(moment, found)
    assert (found.wYear, found.wMonth, found.wDay, found.wHour) == (1970, 1, 1, 0)


def test_declared_functions_pickle(kernel32):
    kernel32.cdef(KERNEL32)
    again = pickle.loads(pickle.dumps(kernel32.MulDiv))
    assert again(6, 7, 1) == 42 and len(again.argtypes) == 3
    assert pickle.loads(pickle.dumps(kernel32)).MulDiv(6, 7, 2) == 21


@pytest.mark.win32
def test_a_convention_of_its_own(dll_folder):
    """What a declaration says goes before what the DLL was loaded with."""
    dll = winbridge.load_dll(dll_folder / "win32" / "specimen.dll")
    dll.cdef("int __cdecl add(int a, int b); int __stdcall add_stdcall(int a, int b);")
    assert dll.add(2, 3) == 5 == dll.add_stdcall(2, 3)


def test_what_is_not_understood_changes_nothing(kernel32):
    function = kernel32.MulDiv
    kernel32.cdef(KERNEL32)
    with pytest.raises(PrototypeError, match="UNKNOWN_T"):
        kernel32.cdef("int MulDiv(short a);\nUNKNOWN_T other(int a);")
    assert len(function.argtypes) == 3


def test_a_declared_function_that_the_dll_has_not(kernel32):
    kernel32.cdef("int WINAPI NoSuchFunction(int a);")
    with pytest.raises(AttributeError, match="NoSuchFunction"):
        kernel32.NoSuchFunction(1)


def test_wide_results(specimen):
    specimen.cdef(SPECIMEN)
    assert specimen.add(a=2, b=3) == 5
    text = b"text"
    assert specimen.distance(text, text) == 0
