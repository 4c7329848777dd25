"""Types by description: made with any ctypes, measured, and filled with values.

A plain script as well, for a Windows Python 3.11 and its own ctypes: ``cases.py in.json out.json``.

A description is plain data, as JSON has it:

* ``"c_int"``: a simple type by its name in ctypes, or one of ``CODES``; ``"wintypes.DWORD"``;
* ``["array", item, length]``, ``["pointer", item]``, ``["function"]``;
* ``{"is": "Structure", "base": None, "pack": 0, "later": False, "anonymous": [1], "fields": [[type, bits], ...]}``:
  an aggregate; ``is`` names the class that it is derived from in the end, ``base`` describes the one at once,
  ``later`` says that ``_fields_`` are assigned to the finished class.

Fields are named by their path, so that those of anonymous members and of bases are all different.
"""

from __future__ import annotations

import json
import sys

CODES = {"VARIANT_BOOL": "v", "BSTR": "X", "LONG_DOUBLE": "g"}
"""Simple types that ctypes itself has no class for."""


def build(c, kind, prefix="f"):
    """The class that a description stands for.

    Args:
        c: the names of ctypes.
        kind: the description.
        prefix: of the names of fields.
    """
    if isinstance(kind, dict):
        return build_aggregate(c, kind, prefix)
    if isinstance(kind, str):
        if kind.startswith("wintypes."):
            return getattr(c.wintypes, kind.partition(".")[2])
        if kind not in CODES:
            return getattr(c, kind)
        return type(c._SimpleCData)(kind, (c._SimpleCData,), {"_type_": CODES[kind]})
    if kind[0] == "function":
        return c.WINFUNCTYPE(c.c_int, c.c_int)
    inner = build(c, kind[1], prefix)
    return c.POINTER(inner) if kind[0] == "pointer" else inner * kind[2]


def build_aggregate(c, kind, prefix):
    base = build(c, kind["base"], prefix + "b") if kind["base"] else getattr(c, kind["is"])
    fields = [(field_name(prefix, index), build(c, inner, field_name(prefix, index)), *([bits] if bits else []))
              for index, (inner, bits) in enumerate(kind["fields"])]  # fmt: skip
    space = {} if kind["later"] else {"_fields_": fields}
    if kind["pack"]:
        space["_pack_"] = kind["pack"]
    if kind["anonymous"]:
        space["_anonymous_"] = [field_name(prefix, index) for index in kind["anonymous"]]
    made = type(base)("T", (base,), space)
    if kind["later"]:
        made._fields_ = fields
    return made


def field_name(prefix, index):
    return f"{prefix}_{index}"


def members(kind, prefix="f"):
    """The fields of an aggregate: its own, its bases', and those within anonymous members.

    Returns:
        a list of (path, bits), a path being the names from the outside in, ``base`` for what a base has.
    """
    found = []
    if kind["base"]:
        found += [(("base", *path), bits) for path, bits in members(kind["base"], prefix + "b")]
    for index, (inner, bits) in enumerate(kind["fields"]):
        name = field_name(prefix, index)
        found.append(((name,), bits))
        if index in kind["anonymous"]:
            found += [((name, *path), bits) for path, bits in members(inner, name)]
    return found


def measure(c, kind):
    """Size, alignment, and each field's offset and size, None for one that is not there."""
    made = build(c, kind)
    fields = [getattr(made, path[-1], None) for path, _ in (members(kind) if isinstance(kind, dict) else ())]
    return [c.sizeof(made), c.alignment(made), [field and [field.offset, field.size] for field in fields]]


def fill(c, kind, image, steps):
    """Make an instance of bytes and assign to its parts one after the other.

    Args:
        c, kind: as in ``build``.
        image: the bytes at first, in hex.
        steps: of (path to a part, value, whether it can be read back).

    Returns:
        the bytes afterwards, in hex; and what each step raised, or read.
    """
    instance = build(c, kind).from_buffer_copy(bytes.fromhex(image))
    told = [step(instance, *each) for each in steps]
    return [bytes(instance).hex(), told]


def step(part, path, value, readable):
    *outer, last = path
    for name in outer:
        part = part[name] if isinstance(name, int) else getattr(part, name)
    try:
        if isinstance(last, int):
            part[last] = decoded(value)
            return ascii(plain(part[last])) if readable else None
        setattr(part, last, decoded(value))
        return ascii(plain(getattr(part, last))) if readable else None
    except Exception as error:
        return type(error).__name__


def plain(value):
    """What an instance holds, where it is no plain value by itself."""
    return value.value if hasattr(value, "value") else value


def decoded(value):
    """A value from JSON: bytes and floats are marked."""
    if not isinstance(value, list):
        return value
    kind, text = value
    return bytes.fromhex(text) if kind == "bytes" else float.fromhex(text)


def encoded(value):
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    return ["float", value.hex()] if isinstance(value, float) else value


def guarded(action, *arguments):
    try:
        return action(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def answer(c, measured, filled):
    """The outcomes for many descriptions, or the error of each.

    Args:
        c: the names of ctypes.
        measured: descriptions.
        filled: of (description, image, steps).
    """
    return [[guarded(measure, c, kind) for kind in measured], [guarded(fill, c, *each) for each in filled]]


if __name__ == "__main__":
    import ctypes.wintypes

    with open(sys.argv[1]) as asked, open(sys.argv[2], "w") as told:
        json.dump(answer(ctypes, *json.load(asked)), told)
