"""Checksums of archives."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from winbridge.pythons.errors import WindowsPythonError

BLOCK = 1 << 20


class Sum(NamedTuple):
    """A checksum: the name of the algorithm (``sha256``), the digest in hexadecimal, and who gave it."""

    algorithm: str
    digest: str
    given_by: str

    def check(self, file: Path) -> None:
        """Compare a file with it.

        Raises:
            WindowsPythonError: the file is another one.
        """
        is_now = digest(file, self.algorithm)
        if is_now != self.digest.lower():
            raise WindowsPythonError(
                f"{file.name} is not the file that was meant: its {self.algorithm} is {is_now},"
                f" and {self.given_by} says {self.digest.lower()}"
            )


def digest(file: Path, algorithm: str) -> str:
    """The digest of a file in hexadecimal."""
    total = hashlib.new(algorithm)
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def of_user(text: str) -> Sum:
    """The SHA-256 that the user gave.

    Raises:
        WindowsPythonError: it is none.
    """
    if not re.fullmatch("[0-9A-Fa-f]{64}", text):
        raise WindowsPythonError(f"--sha256 {text}: a SHA-256 has 64 hexadecimal digits")
    return Sum("sha256", text, "--sha256")


# Of the last releases of their series with an installer; other versions' are read from python.org's own index.
_PUBLISHED = {
    "python-3.11.9-embed-amd64.zip": "009d6bf7e3b2ddca3d784fa09f90fe54336d5b60f0e0f305c37f400bf83cfd3b",
    "python-3.11.9-embed-win32.zip": "daf24de7fb3b173e94e56a201d3f38dfedebbdc7ed1925f7aeb8ed588e2b4189",
    "python-3.12.10-embed-amd64.zip": "4acbed6dd1c744b0376e3b1cf57ce906f9dc9e95e68824584c8099a63025a3c3",
    "python-3.12.10-embed-win32.zip": "084b9eb24cb848605c895d05b738fbc2572efc8b4c18c415a824065864a2b853",
}


def published(name: str) -> Sum | None:
    """The SHA-256 that winbridge knows of an archive of python.org, or None."""
    return Sum("sha256", _PUBLISHED[name], "winbridge") if name in _PUBLISHED else None
