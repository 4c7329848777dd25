"""Types made up by hypothesis, and values for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.layouts.cases import encoded, field_name

SIGNED = ["c_byte", "c_short", "c_int", "c_long", "c_longlong", "c_int8", "c_int16", "c_int32", "c_int64", "c_ssize_t"]
UNSIGNED = ["c_ubyte", "c_ushort", "c_uint", "c_ulong", "c_ulonglong", "c_uint8", "c_uint16", "c_uint32", "c_uint64",
            "c_size_t"]  # fmt: skip
REALS = ["c_float", "c_double", "c_longdouble"]
ADDRESSES = ["c_void_p", "c_char_p", "c_wchar_p"]
SWAPPABLE = [*SIGNED, *UNSIGNED, *REALS, "c_char"]
SIMPLE = [*SWAPPABLE, *ADDRESSES, "c_wchar", "c_bool", "py_object", "VARIANT_BOOL", "BSTR", "LONG_DOUBLE"]
BIT_WIDTHS = {name: 8 * size for names, size in (
    (("c_byte", "c_ubyte", "c_int8", "c_uint8"), 1), (("c_short", "c_ushort", "c_int16", "c_uint16"), 2),
    (("c_int", "c_uint", "c_long", "c_ulong", "c_int32", "c_uint32"), 4),
    (("c_longlong", "c_ulonglong", "c_int64", "c_uint64"), 8)) for name in names}  # fmt: skip
BIT_WIDTHS["c_bool"] = 1
PACKS = [0, 0, 0, 0, 1, 2, 4, 8, 16]

Kind = Any
"""A description, see ``cases``."""


def bit_field(names: list[str]) -> st.SearchStrategy[list[Any]]:
    return st.sampled_from(names).flatmap(lambda name: st.integers(1, BIT_WIDTHS[name]).map(lambda bits: [name, bits]))


def arrays(items: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    return st.builds(lambda item, length: ["array", item, length], items, st.sampled_from([1, 2, 3, 5, 0]))


def whole(kinds: st.SearchStrategy[Kind]) -> st.SearchStrategy[list[Any]]:
    return kinds.map(lambda kind: [kind, 0])


little_bits = bit_field(sorted(BIT_WIDTHS))
big_bits = bit_field(sorted(BIT_WIDTHS.keys() - {"c_bool"}))
swappable = st.sampled_from(SWAPPABLE)


@st.composite
def aggregates(draw: st.DrawFn, inner: st.SearchStrategy[Kind]) -> Kind:
    """A structure or union; now and then with a base, anonymous members, or the other byte order."""
    union = draw(st.sampled_from([False, False, False, True]))
    order = draw(st.sampled_from(["", "", "", "", "LittleEndian", "BigEndian"]))
    fields = lists(inner, order)
    base = None
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        base = one(draw, union, order, draw(fields), base)
    return one(draw, union, order, draw(fields), base)


def lists(inner: st.SearchStrategy[Kind], order: str) -> st.SearchStrategy[list[Any]]:
    if order != "BigEndian":
        return st.lists(st.one_of(whole(inner), whole(inner), little_bits, little_bits), max_size=6)
    aggregate = inner.filter(lambda kind: isinstance(kind, dict))
    plain = st.one_of(swappable, swappable, arrays(swappable), arrays(arrays(swappable)))
    return st.lists(st.one_of(whole(plain), whole(plain), big_bits, whole(aggregate)), max_size=6)


def one(draw: st.DrawFn, union: bool, order: str, fields: list[Any], base: Kind) -> Kind:
    candidates = [index for index, (kind, _) in enumerate(fields) if isinstance(kind, dict)]
    return {
        "is": order + ("Union" if union else "Structure"),
        "base": base,
        "pack": draw(st.sampled_from(PACKS)),
        "later": draw(st.booleans()),
        "anonymous": [index for index in candidates if draw(st.booleans())],
        "fields": fields,
    }


def larger(inner: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    pointers = st.builds(lambda item: ["pointer", item], inner)
    return st.one_of(arrays(inner), pointers, *(aggregates(inner) for _ in range(4)))


simple = st.one_of(st.sampled_from(SIMPLE), st.sampled_from(SIMPLE), st.sampled_from(SIMPLE), st.just(["function"]))
kinds = larger(st.recursive(simple, larger, max_leaves=6))


def generated(count: int, start: int) -> list[Kind]:
    """Different descriptions, and those of all that they consist of; the shortest first.

    Args:
        count: how many at least.
        start: the seed; the same makes the same.
    """
    found: dict[str, Kind] = {}
    while len(found) < count:

        @seed(start)
        @settings(max_examples=250, phases=[Phase.generate], database=None, deadline=None,
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(kinds)
        def collect(kind: Kind) -> None:
            found.update((json.dumps(part), part) for part in parts(kind))

        collect()
        start += 1
    return [found[text] for text in sorted(found, key=len)]


def parts(kind: Kind) -> Iterator[Kind]:
    """A description and all that it consists of, the outermost first."""
    yield kind
    if isinstance(kind, dict):
        for inner in ([kind["base"]] if kind["base"] else []) + [inner for inner, _ in kind["fields"]]:
            yield from parts(inner)
    elif kind[0] in ("array", "pointer"):
        yield from parts(kind[1])


# Values.


def steps(kind: Kind, random: Random) -> list[Any]:
    """Assignments to the parts of an instance, in a random order."""
    made = list(assignments(kind, [], "f", random))
    random.shuffle(made)
    return made


def assignments(kind: Kind, path: list[Any], prefix: str, random: Random) -> Iterator[list[Any]]:
    """(path, value, whether it can be read back) for each part."""
    if isinstance(kind, dict):
        if kind["base"]:
            yield from assignments(kind["base"], path, prefix + "b", random)
        for index, (inner, _) in enumerate(kind["fields"]):
            name = field_name(prefix, index)
            yield from assignments(inner, [*path, name], name, random)
    elif isinstance(kind, str):
        yield [path or ["value"], encoded(value(kind, random)), kind not in ADDRESSES]
    elif kind[0] == "pointer":
        if path:
            yield [path, None, False]
    elif kind[0] == "array":
        yield from items(kind, path, prefix, random)


def items(kind: Kind, path: list[Any], prefix: str, random: Random) -> Iterator[list[Any]]:
    _, item, length = kind
    if item in ("c_char", "c_wchar") and random.random() < 0.8:
        direct = path and isinstance(path[-1], str) and random.random() < 0.6
        text = "".join(value("c_wchar", random) for _ in range(random.randint(0, length + 1)))
        there = text if item == "c_wchar" else text.encode()[: length + 1]
        yield [path if direct else [*path, "value"], encoded(there), True]
        return
    for index in range(length):
        yield from assignments(item, [*path, index], prefix, random)


def value(name: str, random: Random) -> Any:
    if name in REALS or name == "LONG_DOUBLE":
        return random.choice([random.gauss(0, 1000), 0.0, -0.0, 1.5, 1e300, -1e39, 1e-40, float("inf"), 7, True])
    if name == "c_char":
        return random.choice([bytes([random.randrange(256)]), random.randrange(256)])
    if name == "c_wchar":
        return chr(random.choice([random.randrange(0x20, 0x7F), random.randrange(0x100, 0xD800), 0xE000, 0]))
    if name in ("c_bool", "VARIANT_BOOL"):
        return random.choice([True, False, 0, 1, 2, -1])
    if name in ADDRESSES:
        return random.choice([None, random.randrange(2**32), random.randrange(2**64)])
    bits = random.choice([3, 8, 16, 31, 32, 63, 64, 70])
    return random.randrange(-(2**bits), 2**bits)
