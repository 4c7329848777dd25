"""What a C compiler for Windows makes of the same types, read from the object file: nothing is run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fix_dlls import COMPILERS
from tests.layouts.cases import field_name, members

C_NAMES = {
    "c_byte": "signed char", "c_ubyte": "unsigned char", "c_char": "char", "c_bool": "_Bool", "c_wchar": "wchar_t",
    "c_short": "short", "c_ushort": "unsigned short", "c_int": "int", "c_uint": "unsigned", "c_long": "long",
    "c_ulong": "unsigned long", "c_longlong": "long long", "c_ulonglong": "unsigned long long", "c_float": "float",
    "c_double": "double", "c_size_t": "size_t", "c_ssize_t": "ptrdiff_t", "c_void_p": "void *", "c_char_p": "char *",
    "c_wchar_p": "wchar_t *", "py_object": "void *", "BSTR": "wchar_t *", "VARIANT_BOOL": "short",
    "c_int8": "int8_t", "c_int16": "int16_t", "c_int32": "int32_t", "c_int64": "int64_t",
    "c_uint8": "uint8_t", "c_uint16": "uint16_t", "c_uint32": "uint32_t", "c_uint64": "uint64_t",
    # To MSVC long double is double (Microsoft Learn, "Type float"); mingw's has 80 bits.
    "c_longdouble": "double", "LONG_DOUBLE": "double",
}  # fmt: skip
HEADERS = "#include <stddef.h>\n#include <stdint.h>\n#include <wchar.h>\n"


class Source:
    """A C file that declares types; each under a name of its own."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def declare(self, kind: Any, prefix: str = "f") -> str:
        """Declare a type, and before it what it consists of; returns its name."""
        if isinstance(kind, str):
            return C_NAMES[kind]
        if isinstance(kind, dict):
            return self._aggregate(kind, prefix)
        if kind[0] == "function":
            return self._named("typedef int (*{})(int);")
        inner = self.declare(kind[1], prefix)
        return self._named(f"typedef {inner} *{{}};" if kind[0] == "pointer" else f"typedef {inner} {{}}[{kind[2]}];")

    def _aggregate(self, kind: Any, prefix: str) -> str:
        fields = [f"{self.declare(kind['base'], prefix + 'b')} base; "] if kind["base"] else []
        for index, (inner, bits) in enumerate(kind["fields"]):
            name = field_name(prefix, index)
            fields.append(f"{self.declare(inner, name)} {name}{f' : {bits}' if bits else ''}; ")
        word = "union" if kind["is"].endswith("Union") else "struct"
        pack = effective_pack(kind)
        self.lines.append(f"#pragma pack(push, {pack})" if pack else "#pragma pack(push)\n#pragma pack()")
        order = ' __attribute__((scalar_storage_order("big-endian")))' if kind["is"].startswith("Big") else ""
        name = self._named(f"typedef {word}{order} {{{{ {''.join(fields)}}}}} {{}};")
        self.lines.append("#pragma pack(pop)")
        return name

    def _named(self, line: str) -> str:
        self._count += 1
        name = f"T{self._count}"
        self.lines.append(line.format(name))
        return name


def effective_pack(kind: Any) -> int:
    """A class has the ``_pack_`` of its base when it says nothing itself."""
    while kind and not kind["pack"]:
        kind = kind["base"]
    return int(kind["pack"]) if kind else 0


def numbers(name: str, kind: Any) -> list[str]:
    """C expressions for size, alignment (where it makes a member come to lie) and offsets of the whole fields."""
    found = [f"sizeof({name})", f"offsetof(struct {{ char c; {name} t; }}, t)"]
    fields = members(kind) if isinstance(kind, dict) else []
    return found + [f"offsetof({name}, {'.'.join(path)})" for path, bits in fields if not bits]


def bit_paths(kind: Any) -> list[str]:
    return [".".join(path) for path, bits in members(kind) if bits] if isinstance(kind, dict) else []


def compiled(arch: str, kinds: Sequence[Any], folder: Path) -> list[tuple[int, int, list[int | bytes]]]:
    """Size, alignment, and for each field its offset; for a bit field the bytes of an instance with all its bits set.

    One compilation for all. The options are those for Microsoft's rules: https://gcc.gnu.org/onlinedocs/gcc/
    x86-Options.html, -mms-bitfields.
    """
    source, counts, table, images, wrappers = Source(), [], [], [], []
    for number, kind in enumerate(kinds):
        name = source.declare(kind)
        entries = numbers(name, kind)
        counts.append(len(entries))
        table += entries
        if paths := bit_paths(kind):
            source.lines.append(f"typedef {name} B{number}[{len(paths)}];")
            wrappers.append(f"B{number} b{number};")
            images.append("{" + ", ".join(f"{{ .{path} = -1 }}" for path in paths) + "}")
    text = [HEADERS, *source.lines, section("table", "unsigned", "[]", table)]
    text += ["#pragma pack(push, 1)", "typedef struct {", *wrappers, "} Bits;", "#pragma pack(pop)"]
    text.append(section("bits", "Bits", "", images or ["0"]))
    file = folder / f"{arch}.c"
    file.write_text("\n".join(text))
    target = file.with_suffix(".o")
    subprocess.run([COMPILERS[arch], "-c", "-w", "-mms-bitfields", "-o", target, file], check=True)
    words = iter(memoryview(extract(arch, target, "table"))[: 4 * len(table)].cast("I"))
    data = extract(arch, target, "bits")
    results, at = [], 0
    for kind, count in zip(kinds, counts, strict=True):
        size, alignment, *offsets = (next(words) for _ in range(count))
        rest = iter(offsets)
        fields: list[int | bytes] = []
        for _, bits in members(kind) if isinstance(kind, dict) else ():
            if bits:
                fields.append(data[at : at + size])
                at += size
            else:
                fields.append(next(rest))
        results.append((size, alignment, fields))
    return results


def section(name: str, kind: str, suffix: str, entries: list[str]) -> str:
    joined = ",\n".join(entries)
    return f'const {kind} {name}{suffix} __attribute__((section(".{name}"))) = {{\n{joined}\n}};'


def extract(arch: str, target: Path, name: str) -> bytes:
    """The bytes of a section of an object file."""
    objcopy = COMPILERS[arch].replace("gcc", "objcopy")
    file = target.with_suffix(f".{name}")
    subprocess.run([objcopy, "-O", "binary", "-j", f".{name}", target, file], check=True)
    return file.read_bytes()
