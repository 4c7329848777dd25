"""Fetches an archive into the cache: what is there is not fetched again, what broke off is continued."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import platformdirs
import requests

from winbridge.pythons import sources
from winbridge.pythons.errors import WindowsPythonError
from winbridge.pythons.sources import Archive

PIECE = 1 << 16
ATTEMPTS = 5
"""How often a transfer may break off without having brought a byte more."""


class _BrokeOffError(Exception):
    """Less came than was announced."""


BREAKS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _BrokeOffError)

Progress = Callable[[int, int | None], None]
"""Told how many bytes are there, and how many there will be (None where the server does not tell)."""


def cache() -> Path:
    """The folder of the archives."""
    return Path(platformdirs.user_cache_dir("winbridge", appauthor=False), "pythons")


def fetch(archive: Archive, progress: Progress) -> Path:
    """Bring an archive into the cache, whole and checked.

    Args:
        archive: it must have a checksum.
        progress: told of what arrives.

    Returns:
        the file.

    Raises:
        WindowsPythonError: the server cannot be reached, or what it gives has another checksum.
    """
    if archive.sum is None:
        raise WindowsPythonError(
            f"nobody publishes a checksum of {archive.url}: give the SHA-256 that you trust, --sha256 ..."
        )
    whole = cache() / archive.name
    with _part(whole) as part:
        if not _holds(whole, archive):
            _download(archive.url, part, progress)
            _accept(part, archive, progress)
            part.rename(whole)
    return whole


def _holds(whole: Path, archive: Archive) -> bool:
    assert archive.sum is not None
    with contextlib.suppress(WindowsPythonError, FileNotFoundError):
        archive.sum.check(whole)
        return True
    return False


def _accept(part: Path, archive: Archive, progress: Progress) -> None:
    """What was continued may be two halves of different files: then it is fetched once more, from its start."""
    assert archive.sum is not None
    try:
        archive.sum.check(part)
    except WindowsPythonError:
        part.write_bytes(b"")
        _download(archive.url, part, progress)
        try:
            archive.sum.check(part)
        except WindowsPythonError:
            part.unlink()
            raise


@contextlib.contextmanager
def _part(whole: Path) -> Iterator[Path]:
    """The file that what arrives is kept in, for one process at a time; it stays when the transfer breaks off."""
    whole.parent.mkdir(parents=True, exist_ok=True)
    with open(whole.with_name(f".{whole.name}.lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        part = whole.with_name(f"{whole.name}.part")
        part.touch()
        yield part
        if whole.exists():
            part.unlink(missing_ok=True)


def _download(url: str, part: Path, progress: Progress) -> None:
    broken = 0
    while broken < ATTEMPTS:
        before = part.stat().st_size
        try:
            with part.open("ab") as file:
                _continue(url, file, before, progress)
            return
        except BREAKS as error:
            broken = broken + 1 if part.stat().st_size == before else 0
            cause: Exception = error
        except requests.RequestException as error:
            raise sources.unavailable(url, error) from error
    raise WindowsPythonError(
        f"{url} cannot be fetched, {ATTEMPTS} times in a row: {cause}; {part.stat().st_size} bytes are kept, and the"
        " same command goes on from there"
    ) from cause


def _continue(url: str, file: BinaryIO, start: int, progress: Progress) -> None:
    # Without Accept-Encoding: a range of what a server compresses on its way is of no use.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=sources.TIMEOUT) as answer:
        if start and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all of it is there, as far as this server knows; the checksum tells
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content and start:
            file.truncate(0)
            start = 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        for piece in answer.iter_content(PIECE):
            file.write(piece)
            start += len(piece)
            progress(start, total)
    if total is not None and start < total:
        raise _BrokeOffError(f"{start} of {total} bytes")
