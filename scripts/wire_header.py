"""Write native/agent/wire.h from winbridge.core.wire; with --check only say whether it is current."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "native" / "agent" / "wire.h"
C_TYPES = {"I": "uint32_t", "i": "int32_t", "Q": "uint64_t", "q": "int64_t", "d": "double", "8s": "char"}


def load_wire():
    """Import the one module by its path, so that a build needs no dependency of the package."""
    spec = importlib.util.spec_from_file_location("wire", ROOT / "winbridge" / "core" / "wire.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def enumeration(prefix: str, members) -> list[str]:
    lines = [f"    {prefix}_{member.name} = {member.value}," for member in members]
    return ["enum {", *lines, "};", ""]


def structure(name: str, fields, size: int) -> list[str]:
    lines = [f"    {C_TYPES[code]} {field}{'[8]' if code == '8s' else ''};" for field, code in fields]
    check = f'_Static_assert(sizeof(struct {name}) == {size}, "the wire has no padding");'
    return [f"struct {name} {{", *lines, "};", check, ""]


def header() -> str:
    wire = load_wire()
    lines = [
        "/* Written by scripts/wire_header.py from winbridge/core/wire.py: change that file, then `make agents`. */",
        "#ifndef WINBRIDGE_WIRE_H",
        "#define WINBRIDGE_WIRE_H",
        "",
        "#include <stdint.h>",
        "",
        f"#define WIRE_VERSION {wire.VERSION}u",
        f'#define WIRE_MAGIC "{wire.MAGIC.decode()}"',
        f"#define FRAME_MAGIC {wire.FRAME_MAGIC:#x}u",
        f"#define MAX_ARGUMENT_BYTES {wire.MAX_ARGUMENT_BYTES}u",
        f"#define CALLBACK_GONE {wire.CALLBACK_GONE:#x}u",
        f"#define MAX_ARENA {wire.MAX_ARENA:#x}ull",
        f"#define CONTROL_ARENA {wire.CONTROL_ARENA}u",
        "",
    ]
    for name in ("Op", "Result", "Status", "Malformed"):
        lines += enumeration(name.upper(), getattr(wire, name))
    lines += enumeration("FLAG", wire.Flag)
    lines += ["enum {", *(f"    SLOT_{name} = {offset}," for name, offset in wire.SLOT.items()), "};", ""]
    for name in ("greeting", "request", "response", "frame", "many", "column"):
        lines += structure(name, getattr(wire, f"{name.upper()}_FIELDS"), getattr(wire, name.upper()).size)
    return "\n".join([*lines, "#endif", ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when wire.h is not current; write nothing")
    check = parser.parse_args().check
    text = header()
    current = HEADER.exists() and HEADER.read_text() == text
    if not check and not current:
        HEADER.write_text(text)
        print(f"wrote {HEADER.relative_to(ROOT)}")
    elif check and not current:
        print(f"{HEADER.relative_to(ROOT)} is not current: run python scripts/wire_header.py", file=sys.stderr)
    return int(check and not current)


if __name__ == "__main__":
    sys.exit(main())
