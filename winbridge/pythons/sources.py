"""Where archives of Windows Pythons are published, and with which checksums.

python.org has an index in JSON, that of its Python install manager (PEP 773): pages of ``versions`` with ``url`` and
``hash.sha256``, each naming the ``next`` one. Taken are the embeddable packages.

NuGet's packages ``python`` and ``pythonx86`` are found through its service index; their SHA-512 stands in the
catalogue (https://learn.microsoft.com/nuget/api/overview).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urljoin

import requests

from winbridge.pythons import sums, versions
from winbridge.pythons.errors import WindowsPythonError
from winbridge.pythons.sums import Sum

PYTHON_ORG = "https://www.python.org/ftp/python/"
NUGET = "https://api.nuget.org/v3/index.json"
TIMEOUT = (30, 60)
"""Seconds to connect, and between two pieces of an answer."""

_INDEX = "index-windows.json"
_PAGES = 20  # python.org has three; an index that leads in a circle must end
_PLATFORMS = {"win64": "amd64", "win32": "win32"}
_PACKAGES = {"win64": "python", "win32": "pythonx86"}
_EMBEDDABLE = re.compile(r"python-([\w.]+)-embed(?:dable)?-(amd64|win32)\.zip")


class Archive(NamedTuple):
    """A file to fetch: its address, its name, its checksum, None where nobody publishes one."""

    url: str
    name: str
    sum: Sum | None


def python_org(asked: str, arch: str, base: str | None = None) -> Archive:
    """Find the embeddable package of a version.

    Args:
        asked: a version (``3.12.10``), or a series (``3.12``) for its newest final version.
        arch: ``win64`` or ``win32``.
        base: the folder that holds the index and a folder for each version; None is python.org's. A mirror without
            the index will do where winbridge knows the version's checksum, or the user gives it.

    Raises:
        WindowsPythonError: there is no such version, or the server cannot be reached.
    """
    root = (base or PYTHON_ORG).rstrip("/") + "/"
    exact = _archive_of(asked, arch, root)
    if exact.sum is not None:
        return exact
    index = _index(root)
    if index is None and asked.count(".") == 2:
        return exact
    if index is None:
        raise WindowsPythonError(f"{root} has no {_INDEX}, so name the whole version: 3.12.10 rather than {asked}")
    version = versions.newest(_embeddable(index, arch), asked)
    if version is None:
        raise _no_version(f"Windows Python {asked} for {arch} at {root}", _embeddable(index, arch))
    return _archive_of(version, arch, root, _embeddable(index, arch)[version])


def nuget(asked: str, arch: str, base: str | None = None) -> Archive:
    """Find the NuGet package of a version: the whole standard library, without tkinter and the test suite.

    Args:
        asked: a version (``3.12.10``), or a series (``3.12``) for its newest final version.
        arch: ``win64`` or ``win32``.
        base: address of a service index; None is nuget.org's.

    Raises:
        WindowsPythonError: there is no such version, or the server cannot be reached.
    """
    package, address = _PACKAGES[arch], base or NUGET
    found = {entry["version"].replace("-", ""): leaf for leaf, entry in _leaves(address, package)}
    version = versions.newest(found, asked)
    if version is None:
        raise _no_version(f"version {asked} of the NuGet package {package} at {address}", found)
    entry = _json(found[version]["catalogEntry"]["@id"])
    return Archive(found[version]["packageContent"], f"{package}.{version}.nupkg", _nuget_sum(entry))


SOURCES: dict[str, Callable[[str, str, str | None], Archive]] = {"python.org": python_org, "nuget": nuget}


def get(url: str, **options: Any) -> requests.Response:
    """Ask a server.

    Raises:
        WindowsPythonError: it cannot be reached, or refuses; the cause is the exception of requests.
    """
    try:
        answer = requests.get(url, timeout=TIMEOUT, **options)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise unavailable(url, error) from error
    return answer


def unavailable(url: str, error: requests.RequestException) -> WindowsPythonError:
    """What to tell the user of a server that does not give a file."""
    return WindowsPythonError(f"{url} cannot be fetched: {error}; --from FILE installs without the network")


def _archive_of(version: str, arch: str, root: str, digest: str | None = None) -> Archive:
    name = f"python-{version}-embed-{_PLATFORMS[arch]}.zip"
    folder = re.match(r"[\d.]+", version)
    known = sums.published(name) or (Sum("sha256", digest, f"{root}{_INDEX}") if digest else None)
    return Archive(f"{root}{folder[0] if folder else version}/{name}", name, known)


def _index(root: str) -> list[dict[str, Any]] | None:
    """All that the index lists; None where the server has none."""
    try:
        return [entry for page in _pages(root) for entry in page["versions"]]
    except WindowsPythonError as error:
        response = getattr(error.__cause__, "response", None)
        if response is not None and response.status_code in (403, 404):
            return None
        raise
    except (KeyError, TypeError) as error:
        raise WindowsPythonError(f"{root}{_INDEX} is no index of Pythons: {error!r}") from error


def _pages(root: str) -> Iterator[dict[str, Any]]:
    url = root + _INDEX
    for _ in range(_PAGES):
        page = _json(url)
        yield page
        if not page.get("next"):
            return
        url = urljoin(url, page["next"])


def _embeddable(index: list[dict[str, Any]], arch: str) -> dict[str, str]:
    """Versions of the embeddable package and their SHA-256."""
    found = {}
    for entry in index:
        name = _EMBEDDABLE.fullmatch(str(entry.get("url", "")).rpartition("/")[2])
        if name and name[2] == _PLATFORMS[arch]:
            found[name[1]] = str(entry.get("hash", {}).get("sha256", ""))
    return found


def _leaves(address: str, package: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The registration leaves of a package, each with its catalogue entry; not of versions that were withdrawn."""
    try:
        for page in _json(f"{_registrations(address)}{package}/index.json")["items"]:
            for leaf in page["items"] if "items" in page else _json(page["@id"])["items"]:
                if leaf["catalogEntry"].get("listed", True):
                    yield leaf, leaf["catalogEntry"]
    except (KeyError, TypeError) as error:
        raise WindowsPythonError(f"{address} does not answer as a NuGet server: {error!r}") from error


def _registrations(address: str) -> str:
    kinds = {resource["@type"]: resource["@id"] for resource in _json(address)["resources"]}
    for kind in ("RegistrationsBaseUrl/3.6.0", "RegistrationsBaseUrl"):
        if kind in kinds:
            return str(kinds[kind]).rstrip("/") + "/"
    raise KeyError("RegistrationsBaseUrl")


def _nuget_sum(entry: dict[str, Any]) -> Sum | None:
    try:
        digest = base64.b64decode(entry["packageHash"], validate=True).hex()
        return Sum(entry["packageHashAlgorithm"].lower(), digest, "NuGet's catalogue")
    except (KeyError, binascii.Error):
        return None


def _json(url: str) -> Any:
    try:
        return get(url).json()
    except requests.JSONDecodeError as error:
        raise WindowsPythonError(f"{url} is not JSON: {error}") from error


def _no_version(what: str, there: dict[str, Any]) -> WindowsPythonError:
    series = sorted({".".join(version.split(".")[:2]) for version in there}, key=versions.rank)
    return WindowsPythonError(f"there is no {what}; there are {', '.join(series) or 'none'}")
