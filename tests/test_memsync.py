"""memsync directives: checked, kept, and harmless."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from winbridge import ctypes
from winbridge.dll.memsync import checked


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([{"pointer": [0], "length": [1], "type": ctypes.c_double}], [["length", "pointer", "type"]]),
        ([{"p": [0], "l": [1], "t": "c_double"}], [["length", "pointer", "type"]]),
        ([{"p": [0, "items", 2], "n": True, "u": True}], [["null", "pointer", "unic"]]),
        ([{"p": [0], "l": ([1], [2, "n"]), "f": lambda x, y: x * y}], [["func", "length", "pointer"]]),
        ([{"p": [-1], "c": object}], [["custom", "pointer"]]),
        ([{"p": [1], "l": [2], "f": "lambda n: n"}], [["func", "length", "pointer"]]),
        ([], []),
    ],
)  # fmt: skip
def test_directives_are_kept_with_long_keys(given, kept):
    assert [sorted(directive) for directive in checked(given)] == kept


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"pointer": [0]}, TypeError, "list of directives"),
        ("text", TypeError, "list of directives"),
        ([5], TypeError, r"memsync\[0\] is a dict"),
        ([{"length": [1]}], ValueError, "pointer is missing"),
        ([{"p": [0], "pointer": [0], "l": [1]}], ValueError, "given twice"),
        ([{"p": [0], "l": [1], "size": 3}], ValueError, "unknown key 'size'"),
        ([{"p": [], "l": [1]}], ValueError, "empty"),
        ([{"p": 0, "l": [1]}], TypeError, "such as"),
        ([{"p": ["name"], "l": [1]}], TypeError, "begins with an argument's index"),
        ([{"p": [0, 1.5], "l": [1]}], TypeError, "neither the name"),
        ([{"p": [0]}], ValueError, "length is missing"),
        ([{"p": [0], "l": ([1], [2])}], ValueError, "needs a func"),
        ([{"p": [0], "l": [1], "f": 5}], TypeError, "func is a function"),
        ([{"p": [0], "n": 1, "l": [1]}], TypeError, "null is True or False"),
        ([{"p": [0], "l": [1], "t": 5}], TypeError, "type is a ctypes type"),
    ],
)
def test_wrong_directives_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        checked(given)


@pytest.mark.wine
def test_functions_and_callback_types_take_them(specimen, arch):
    from winbridge.ctypes.implicit import implicit

    c = SimpleNamespace(**implicit(arch).names())
    library = c.CDLL("msvcrt")
    compare = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_int), c.POINTER(c.c_int))
    compare.memsync = [{"p": [0], "l": [1]}]
    numbers = (c.c_int * 5)(5, 2, 4, 1, 3)
    library.qsort.memsync = [{"pointer": [0], "length": [1], "type": "c_int"}]
    library.qsort(numbers, 5, 4, compare(lambda left, right: left[0] - right[0]))
    assert numbers[:] == [1, 2, 3, 4, 5]
    assert library.qsort.memsync[0]["length"] == [1] and compare.memsync[0]["pointer"] == [0]
    with pytest.raises(ValueError, match="pointer is missing"):
        compare.memsync = [{"l": [1]}]
    specimen.add.memsync = [{"p": [0], "l": [1]}]
    assert specimen.add(2, 3) == 5
    with pytest.raises(TypeError, match="list of directives"):
        specimen.add.memsync = {"p": [0]}
