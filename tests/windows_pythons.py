"""Archives of Windows Pythons for the tests, made of the one in .cache, and a server on loopback that gives them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cpython.launch import PYTHONS
from winbridge.core.config import Config

NO_PYTHON = "NO WINDOWS PYTHON in {}: WINDOWS PYTHONS ARE NOT TESTED. Make one: python scripts/windows_python.py"
PTH = "python311.zip\r\n.\r\n\r\n# Uncomment to run site.main() automatically\r\n#import site\r\n"
PLATFORMS = {"win64": "amd64", "win32": "win32"}
VERSION = "3.11.8"
"""What archives are published as: the sum of python.org's 3.11.9 is known, and these have another."""


def python(arch: str) -> Path:
    """The Windows Python of an architecture; skips the test where there is none."""
    folder = PYTHONS / arch
    if not (folder / "python.exe").exists():
        pytest.skip(NO_PYTHON.format(folder))
    return folder


def essentials(arch: str) -> list[Path]:
    """Files enough to be taken for a Python, though not to run."""
    return [python(arch) / "python.exe", python(arch) / "python311.dll"]


def embeddable(archive: Path, files: list[Path]) -> Path:
    """Pack files as python.org's embeddable package has them."""
    with zipfile.ZipFile(archive, "w") as packed:
        for file in files:
            packed.write(file, file.name)
        packed.writestr("python311._pth", PTH)
    return archive


def nupkg(archive: Path, files: list[Path]) -> Path:
    """Pack files as the NuGet packages have them."""
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("python.nuspec", "<package/>")
        for file in files:
            packed.write(file, f"tools/{file.name}")
        packed.writestr("tools/Lib/site-packages/README.txt", "")
    return archive


def of_page(page: Path, folder: Path) -> dict[str, str]:
    """Put what a page of the documentation speaks of in its folder; returns the environment for it."""
    if "winbridge python install --from" not in page.read_text():
        return {}
    embeddable(folder / "python-embed-amd64.zip", [path for path in python("win64").iterdir() if path.is_file()])
    (folder / "python-there").symlink_to(python("win64"))
    return {"XDG_DATA_HOME": str(folder / "data"), "WINBRIDGE_PREFIX": str(Config().prefix)}


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class Server(ThreadingHTTPServer):
    """Gives files, with byte ranges, and breaks transfers off where a test says so.

    Attributes:
        files: what it has, by path.
        cuts: after how many bytes each of the next transfers of an archive breaks off; then they are whole.
        ranges: whether it takes the header Range.
        asked: path and Range of every request.
        held: if set, a transfer that is cut sets this and stays open until ``go_on``.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        self.held: threading.Event | None = None
        self.go_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def publish(self, archive: Path, version: str = VERSION, arch: str = "win64") -> None:
        """Put an archive in its place, and the index beside it."""
        name = f"python-{version}-embed-{PLATFORMS[arch]}.zip"
        self.files[f"/{version}/{name}"] = archive.read_bytes()
        url = f"https://www.python.org/ftp/python/{version}/{name}"
        entry = {"company": "PythonEmbed", "url": url, "hash": {"sha256": sha256(archive)}}
        self.files["/index-windows.json"] = json.dumps({"versions": [entry]}).encode()

    def transfers(self) -> list[str | None]:
        """The Range of each request for an archive."""
        return [asked for path, asked in self.asked if not path.endswith(".json")]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if self.path not in self.server.files:
            self.send_error(404)
            return
        data = self.server.files[self.path]
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.ranges else 0
        if asked and start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self._send(data[start:])

    def _send(self, data: bytes) -> None:
        cut = self.server.cuts.pop(0) if self.server.cuts and not self.path.endswith(".json") else None
        with contextlib.suppress(ConnectionError):
            self.wfile.write(data[:cut])
        if cut is not None:
            if self.server.held:
                self.server.held.set()
                self.server.go_on.wait(60)
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()


def wheel(
    folder: Path, name: str, version: str, files: dict[str, str], requires: str = "", tag: str = "py3-none-any"
) -> Path:
    """Write a wheel (https://packaging.python.org/en/latest/specifications/binary-distribution-format/)."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
        f"Requires-Dist: {requires}\n" * bool(requires)
    )
    pure = "true" if tag.endswith("any") else "false"
    files = {
        **files,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    archive = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(archive, "w") as packed:
        for path, text in files.items():
            packed.writestr(path, text)
        packed.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))
    return archive
