"""Python's version numbers: 3.12, 3.12.10, 3.13.0rc1."""

from __future__ import annotations

import re
from collections.abc import Iterable

VERSION = re.compile(r"3\.\d+(?:\.\d+(?:(?:a|b|rc)\d+)?)?")

Rank = tuple[int, int, int, str, int]
_PARTS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+)(?:(a|b|rc)(\d+))?)?")
_FINAL = "z"  # comes after a, b and rc


def rank(version: str) -> Rank:
    """What versions are sorted by: 3.9 < 3.10, 3.13.0rc1 < 3.13.0."""
    found = _PARTS.match(version)
    if not found:
        return 0, 0, 0, "", 0
    major, minor, micro, stage, serial = found.groups()
    return int(major), int(minor), int(micro or 0), stage or _FINAL, int(serial or 0)


def matches(version: str, asked: str) -> bool:
    """Whether a version is the asked one, or a final one of the asked series."""
    return version == asked or (version.startswith(f"{asked}.") and rank(version)[3] == _FINAL)


def newest(available: Iterable[str], asked: str) -> str | None:
    """The newest version that matches, or None."""
    return max((version for version in available if matches(version, asked)), key=rank, default=None)
