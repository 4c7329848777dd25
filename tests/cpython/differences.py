"""Tests of CPython's that pass on Windows and not under winbridge, each with its reason.

A key is a test, with an architecture before it where only that one differs: ``win32 test_x.Case.test_y``.
"""

from __future__ import annotations

FOREIGN = "reads the memory of an array.array by its address, one of this process, where Windows has nothing"
BUFFER = (
    "asks the format of a buffer: it comes from types of Linux's ctypes, where none of 4 bytes is called l, and an "
    "object written in Python cannot name it otherwise before 3.12"
)

DIFFERENCES: dict[str, str] = {
    "test_internals.ObjectsTestCase.test_c_char_p": "counts references to bytes; the copy of them that Windows sees is "
    "found again by their identity, so the pool of copies refers to them too",
    "test_loading.LoaderTest.test_load_dll_with_flags": "copies extension modules of a Windows Python and starts that "
    "Python, to import nt, which is in no other",
    "test_numbers.NumberTestCase.test_char_from_address": FOREIGN,
    "test_numbers.NumberTestCase.test_float_from_address": FOREIGN,
    "test_numbers.NumberTestCase.test_int_from_address": FOREIGN,
    "test_parameters.SimpleTypesTestCase.test_from_param_result_refcount": "a DLL that calls the Python API back would "
    "have to be loaded into this very process",
    "test_pep3118.Test.test_endian_types": BUFFER,
    "test_pep3118.Test.test_native_types": BUFFER,
    "test_refcounts.AnotherLeak.test_callback": "counts references to a type; the first call of a function keeps one "
    "with what it has worked out about its types, further calls none",
    "test_values.PythonValuesTestCase.test_frozentable": "follows pointers inside the Python that runs the test, "
    "which are addresses of this process",
}


def reason(arch: str, test: str) -> str | None:
    """Why a test does not pass under winbridge, None where it has to."""
    return DIFFERENCES.get(test) or DIFFERENCES.get(f"{arch} {test}")
