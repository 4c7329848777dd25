"""Print the machine's own apt sources reduced to the release and its updates suite, as deb822 stanzas.

A package index of the security suite can be missing for one architecture while the mirrors synchronise; 32-bit
packages then cannot be resolved beside newer 64-bit ones. With these sources alone both come from one snapshot.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KEPT_OPTIONS = ("Signed-By", "Trusted")
ONE_LINE = re.compile(r"^\s*deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>[^#\n]*)")


@dataclass(frozen=True)
class Source:
    """One suite of one archive."""

    uri: str
    suite: str
    components: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)

    @property
    def archive(self) -> str:
        return self.uri.rstrip("/")

    def stanza(self) -> str:
        fields = {"Types": "deb", "URIs": self.uri, "Suites": self.suite, "Components": " ".join(self.components)}
        return "".join(f"{name}: {value}\n" for name, value in {**fields, **self.options}.items())


def parse_one_line(text: str) -> Iterator[Source]:
    for match in filter(None, map(ONE_LINE.match, text.splitlines())):
        given = dict(option.partition("=")[::2] for option in (match["options"] or "").split())
        options = {name: given[name.lower()] for name in KEPT_OPTIONS if name.lower() in given}
        yield Source(match["uri"], match["suite"], tuple(match["components"].split()), options)


def parse_stanza(stanza: str) -> dict[str, str]:
    """Fields by lower-case name; continuation lines (an embedded key) stay as they are."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line[:1] in " \t" and name:
            fields[name] += f"\n{line}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def parse_deb822(text: str) -> Iterator[Source]:
    without_comments = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for fields in map(parse_stanza, re.split(r"\n\s*\n", without_comments)):
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        options = {name: fields[name.lower()] for name in KEPT_OPTIONS if name.lower() in fields}
        components = tuple(fields.get("components", "").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, components, options)


def read_sources(apt: Path) -> Iterator[Source]:
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            yield from parse_one_line(path.read_text())
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from parse_deb822(path.read_text())


def codename(os_release: Path) -> str:
    found = re.search(r'^VERSION_CODENAME="?([\w-]+)', os_release.read_text(), re.MULTILINE)
    return found[1] if found else ""


def reduce(sources: list[Source], release: str) -> list[Source]:
    """Release and updates suites of the distribution's own archive.

    Other vendors use the release's name for a suite of theirs too, but have no updates suite beside it.
    """
    suites = (release, f"{release}-updates")
    archives = {source.archive for source in sources if source.suite == suites[1]}
    archives = archives or {source.archive for source in sources if source.suite == release}
    return [source for source in sources if source.archive in archives and source.suite in suites]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apt", type=Path, default=Path("/etc/apt"), help="apt's configuration folder")
    parser.add_argument("--os-release", type=Path, default=Path("/etc/os-release"))
    arguments = parser.parse_args()
    reduced = reduce(list(read_sources(arguments.apt)), codename(arguments.os_release))
    if not reduced:
        print(f"apt_sources.py: no source of this release found under {arguments.apt}", file=sys.stderr)
        return 1
    print("\n".join(source.stanza() for source in reduced), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
