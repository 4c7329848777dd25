"""``winbridge python``: Windows Pythons are fetched, installed, named, filled with packages and removed."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import responses
from click.testing import CliRunner, Result

from tests import windows_pythons
from tests.windows_pythons import Server
from winbridge.cli import main
from winbridge.core.config import Config
from winbridge.pythons import interpreter, registry, sources, versions
from winbridge.pythons.errors import WindowsPythonError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of winbridge's own; the Wine prefix stays the usual one."""
    monkeypatch.setenv("WINBRIDGE_PREFIX", str(Config().prefix))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data" / "winbridge" / "pythons"


@pytest.fixture
def server():
    with windows_pythons.serving() as serving:
        yield serving


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An embeddable package, of the files that make it one."""
    return windows_pythons.embeddable(tmp_path / "small.zip", windows_pythons.essentials("win64"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["python", *arguments], catch_exceptions=False)


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.output[:7]) == (1, "Error: "), result.output
    return result.output


NONE = "no Windows Python is there: `winbridge python install 3.12` gets one\n"


def nothing_is_there(home: Path) -> bool:
    return not [path for path in home.glob("*") if path.name != ".lock"] and done("list") == NONE


# Where archives are


def index(*versions_: str, arch: str = "amd64", next_: str | None = None) -> dict[str, object]:
    entries = [
        {
            "company": "PythonEmbed",
            "url": f"https://www.python.org/ftp/python/{version}/python-{version}-embed-{arch}.zip",
            "hash": {"sha256": hashlib.sha256(version.encode()).hexdigest()},
        }
        for version in versions_
    ]
    return {
        "versions": [{"company": "PythonCore", "url": "https://x/python-3.12.99-amd64.zip"}, *entries],
        "next": next_,
    }


@responses.activate
def test_the_newest_of_a_series_is_found_on_any_page_of_the_index() -> None:
    base = "https://mirror.example/python/"
    responses.get(f"{base}index-windows.json", json=index("3.13.1", "3.13.0rc1", "3.12.2", next_="old.json"))
    responses.get(f"{base}old.json", json=index("3.12.9", "3.12.10rc1", "3.9.13"))
    found = sources.python_org("3.12", "win64", "https://mirror.example/python")
    assert found.url == f"{base}3.12.9/python-3.12.9-embed-amd64.zip"
    assert found.sum[:2] == ("sha256", hashlib.sha256(b"3.12.9").hexdigest())
    assert sources.python_org("3.13.0rc1", "win64", base).url == f"{base}3.13.0/python-3.13.0rc1-embed-amd64.zip"
    with pytest.raises(WindowsPythonError, match=r"3\.11 for win64.*there are 3\.9, 3\.12, 3\.13"):
        sources.python_org("3.11", "win64", base)
    with pytest.raises(WindowsPythonError, match="for win32.*there are none"):
        sources.python_org("3.12", "win32", base)


@responses.activate
def test_a_known_version_needs_no_index_and_its_sum_is_ours() -> None:
    found = sources.python_org("3.12.10", "win32")
    assert found.url == "https://www.python.org/ftp/python/3.12.10/python-3.12.10-embed-win32.zip"
    assert found.sum.given_by == "winbridge"
    assert not responses.calls


@responses.activate
def test_a_mirror_without_an_index() -> None:
    responses.get("https://mirror.example/index-windows.json", status=404)
    found = sources.python_org("3.10.11", "win64", "https://mirror.example")
    assert found.url == "https://mirror.example/3.10.11/python-3.10.11-embed-amd64.zip"
    assert found.sum is None
    with pytest.raises(WindowsPythonError, match="name the whole version"):
        sources.python_org("3.10", "win64", "https://mirror.example")
    assert "--sha256" in refused("install", "3.10.11", "--base-url", "https://mirror.example")


@responses.activate
@pytest.mark.parametrize("answer", [{"body": b"<html>"}, {"json": {"nothing": []}}, {"json": [1]}, {"status": 500}])
def test_a_server_that_has_something_else(answer: dict[str, object]) -> None:
    responses.get("https://mirror.example/index-windows.json", **answer)
    with pytest.raises(WindowsPythonError, match="index-windows"):
        sources.python_org("3.12", "win64", "https://mirror.example")


@responses.activate
def test_nuget() -> None:
    def leaf(version: str, listed: bool = True) -> dict[str, object]:
        entry = {"@id": f"https://nuget.example/catalog/{version}.json", "version": version, "listed": listed}
        return {"catalogEntry": entry, "packageContent": f"https://nuget.example/{version}.nupkg"}

    digest = hashlib.sha512(b"package").digest()
    resources = [{"@type": "RegistrationsBaseUrl", "@id": "https://nuget.example/registration/"}]
    pages = [{"items": [leaf("3.12.8"), leaf("3.12.11", listed=False)]}, {"@id": "https://nuget.example/page.json"}]
    responses.get("https://nuget.example/index.json", json={"resources": resources})
    responses.get("https://nuget.example/registration/pythonx86/index.json", json={"items": pages})
    responses.get("https://nuget.example/page.json", json={"items": [leaf("3.12.9"), leaf("3.13.0-rc1")]})
    catalogued = {"packageHash": base64.b64encode(digest).decode(), "packageHashAlgorithm": "SHA512"}
    responses.get("https://nuget.example/catalog/3.12.9.json", json=catalogued)
    found = sources.nuget("3.12", "win32", "https://nuget.example/index.json")
    assert (found.url, found.name) == ("https://nuget.example/3.12.9.nupkg", "pythonx86.3.12.9.nupkg")
    assert found.sum[:2] == ("sha512", digest.hex())
    with pytest.raises(WindowsPythonError, match=r"pythonx86.*there are 3\.12, 3\.13"):
        sources.nuget("3.13", "win32", "https://nuget.example/index.json")


def test_order_of_versions() -> None:
    ordered = ["3.8", "3.9.1", "3.10.0a7", "3.10.0b1", "3.10.0rc2", "3.10.0", "3.10.11"]
    assert sorted(set(ordered), key=versions.rank) == ordered
    assert versions.newest(ordered, "3.10") == "3.10.11"
    assert versions.newest(["3.13.0rc1"], "3.13") is None
    assert not versions.matches("3.110.1", "3.11")


# Fetching


def test_what_is_installed_from_a_server(server: Server, archive: Path, home: Path) -> None:
    server.publish(archive)
    line = done("install", "3.11", "--base-url", server.url)
    assert line.split() == ["3.11-win64", "3.11.9", "win64", str(home / "3.11-win64" / "python.exe")]
    assert done("list") == line
    assert (home / "3.11-win64" / "python311._pth").read_text().splitlines()[-1] == "import site"
    server.asked.clear()
    assert "is there already" in done("install", "3.11", "--base-url", server.url)
    assert not server.asked
    assert done("remove", "3.11-win64") == "3.11-win64 removed\n"
    assert nothing_is_there(home)
    assert done("install", "3.11", "--base-url", server.url, "--name", "mine").startswith("mine ")
    assert server.transfers() == [], "the archive is in the cache"


def test_a_transfer_that_breaks_off_goes_on_where_it_was(server: Server, archive: Path) -> None:
    server.publish(archive)
    server.cuts = [1 << 20, 2 << 20]
    done("install", "3.11", "--base-url", server.url)
    assert server.transfers() == [None, "bytes=1048576-", "bytes=3145728-"]


def test_a_server_without_ranges_starts_again(server: Server, archive: Path) -> None:
    server.publish(archive)
    server.cuts, server.ranges = [1 << 20], False
    done("install", "3.11", "--base-url", server.url)
    assert server.transfers() == [None, "bytes=1048576-"]


def test_a_server_that_never_gets_far_is_given_up(server: Server, archive: Path, home: Path) -> None:
    server.publish(archive)
    server.cuts = [1 << 20] + [0] * 10
    said = refused("install", "3.11", "--base-url", server.url)
    assert "5 times in a row" in said and "1048576 bytes are kept" in said
    assert nothing_is_there(home)
    server.cuts = []
    done("install", "3.11", "--base-url", server.url)
    assert server.transfers()[-1] == "bytes=1048576-"


def test_a_killed_process_leaves_nothing_half_done_and_the_next_goes_on(
    server: Server, archive: Path, home: Path
) -> None:
    server.publish(archive)
    server.cuts, server.held = [3_000_000], threading.Event()
    command = [sys.executable, "-m", "winbridge", "python", "install", "3.11", "--base-url", server.url]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        assert server.held.wait(60)
        part = home.parents[2] / "cache" / "winbridge" / "pythons" / "python-3.11.8-embed-amd64.zip.part"
        while part.stat().st_size < 1_000_000:  # what it has not read yet is not kept
            assert running.poll() is None, running.stderr.read()
        running.kill()
    assert running.returncode == -signal.SIGKILL
    assert nothing_is_there(home)
    kept = part.stat().st_size
    done("install", "3.11", "--base-url", server.url)
    assert server.transfers() == [None, f"bytes={kept}-"]


def test_another_file_than_published(server: Server, archive: Path, home: Path) -> None:
    server.publish(archive)
    path = next(path for path in server.files if path.endswith(".zip"))
    server.files[path] = server.files[path][:-1] + b"\xff"
    assert "index-windows.json says" in refused("install", "3.11", "--base-url", server.url)
    assert nothing_is_there(home)
    assert not list((home.parents[2] / "cache").rglob("*.zip*.part"))
    assert "--sha256 says" in refused("install", "3.11", "--base-url", server.url, "--sha256", "0" * 64)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    server.publish(archive, "3.11.9")
    assert "winbridge says 009d6bf7" in refused("install", "3.11.9", "--base-url", server.url)
    server.publish(archive)
    assert "3.11.9" in done("install", "3.11", "--base-url", server.url, "--sha256", digest.upper())


def test_two_halves_of_different_files_are_fetched_anew(server: Server, archive: Path) -> None:
    server.publish(archive)
    folder = Path(os.environ["XDG_CACHE_HOME"], "winbridge", "pythons")
    folder.mkdir(parents=True)
    (folder / "python-3.11.8-embed-amd64.zip.part").write_bytes(bytes(1000))
    done("install", "3.11", "--base-url", server.url)
    assert server.transfers() == ["bytes=1000-", None]


def test_no_server(home: Path) -> None:
    with windows_pythons.serving() as gone:
        url = gone.url
    assert "--from FILE installs without the network" in refused("install", "3.11", "--base-url", url)
    assert nothing_is_there(home)


def test_the_progress_is_quiet_without_a_terminal(server: Server, archive: Path) -> None:
    server.publish(archive)
    command = [sys.executable, "-m", "winbridge", "python", "install", "3.11", "--base-url", server.url]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_progress_is_shown_on_a_terminal(server: Server, archive: Path) -> None:
    server.publish(archive)
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "winbridge", "python", "install", "3.11", "--base-url", server.url]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=environment):
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # so Linux tells that the other end of a terminal is closed
            pass
        os.close(ours)
    assert b"python-3.11.8-embed-amd64.zip" in shown
    assert b"MB" in shown


# From a file


def test_from_a_file_without_any_network(archive: Path, home: Path, arch: str, tmp_path: Path) -> None:
    package = windows_pythons.nupkg(tmp_path / "python.nupkg", windows_pythons.essentials(arch))
    assert done("install", "--from", str(package)).split()[:3] == [f"3.11-{arch}", "3.11.9", arch]
    assert (home / f"3.11-{arch}" / "Lib" / "site-packages" / "README.txt").is_file()
    assert "already" in refused("install", "--from", str(package))
    done("install", "--from", str(package), "--name", "another")
    assert [line.split()[0] for line in done("list").splitlines()] == [f"3.11-{arch}", "another"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--arch", "win32"], "is a win64 Python, and win32 was asked for"),
        (["3.12"], "is Python 3.11.9, and 3.12 was asked for"),
        (["--name", "../outside"], "cannot be a name"),
        (["--sha256", "12"], "64 hexadecimal digits"),
        (["--sha256", "a" * 64], "is not the file that was meant"),
    ],
)
def test_from_an_unsuitable_file(archive: Path, home: Path, arguments: list[str], said: str) -> None:
    assert said in refused("install", "--from", str(archive), *arguments)
    assert nothing_is_there(home)


def test_from_a_damaged_file(archive: Path, home: Path, tmp_path: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0xFF  # within the DLL: its checksum in the archive is wrong
    archive.write_bytes(data)
    assert "cannot be unpacked" in refused("install", "--from", str(archive))
    archive.write_bytes(b"no archive")
    assert "cannot be unpacked" in refused("install", "--from", str(archive))
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("readme", "")
    assert "holds no python.exe" in refused("install", "--from", str(archive))
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("python.exe", "no program")
    assert "no Windows program" in refused("install", "--from", str(archive))
    assert nothing_is_there(home)


def test_no_name_in_an_archive_leads_out_of_it(archive: Path, home: Path) -> None:
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("../../../escaped", "")
    done("install", "--from", str(archive))
    assert list(home.parents[2].rglob("escaped")) == [home / "3.11-win64" / "escaped"]


def test_what_a_killed_installation_left_is_removed(archive: Path, home: Path) -> None:
    (home / ".staged" / "Lib").mkdir(parents=True)
    (home / ".staged" / "python.exe").write_bytes(b"half")
    assert done("list") == NONE
    done("install", "--from", str(archive))
    assert sorted(path.name for path in home.iterdir()) == [".lock", "3.11-win64"]


def test_a_known_file_is_compared_with_what_is_known(archive: Path) -> None:
    renamed = archive.rename(archive.with_name("python-3.12.10-embed-amd64.zip"))
    assert "winbridge says 4acbed6d" in refused("install", "--from", str(renamed))


@pytest.mark.parametrize(
    ("arguments", "said"), [(["install"], "name a version"), (["install", "2.7"], "no version of Python 3")]
)
def test_a_command_line_that_is_not_understood(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output


# Named by the user


def test_add_and_remove(home: Path, arch: str, tmp_path: Path) -> None:
    there = tmp_path / "My Python"
    there.symlink_to(windows_pythons.python(arch))
    assert done("add", str(there)).split()[:3] == [f"3.11-{arch}", "3.11.9", arch]
    assert "already" in refused("add", str(there / "python.exe"))
    done("add", str(there / "python.exe"), "--name", "mine")
    done("add", f"Z:{there}".replace("/", "\\"), "--name", "by-windows")
    assert registry.find(Config(), "by-windows").executable == there / "python.exe"
    there.unlink()
    assert "gone or damaged" in done("list")
    with pytest.raises(WindowsPythonError, match="winbridge python remove mine"):
        registry.find(Config(), "mine")
    assert "stays" in done("remove", "mine")
    assert "there is no Windows Python called 'mine'" in refused("remove", "mine")
    assert windows_pythons.python(arch).is_dir()


@pytest.mark.parametrize("path", ["/nosuch", "/bin/sh", "/usr"])
def test_add_of_what_is_none(path: str, home: Path) -> None:
    assert path in refused("add", path)
    assert nothing_is_there(home)


def test_which_one_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WindowsPythonError, match=r"^there is no Windows Python: `winbridge python install"):
        registry.find(Config())
    for arch in ("win32", "win64"):
        done("add", str(windows_pythons.python(arch)))
    assert registry.find(Config()).arch == "win64"
    assert registry.find(Config(), arch="win32").arch == "win32"
    assert registry.find(Config(), "3.11", "win32").arch == "win32"
    assert registry.find(Config(), "3.11-win32").arch == "win32"
    path = windows_pythons.python("win32") / "python.exe"
    assert registry.find(Config(), str(path)).arch == "win32"
    with pytest.raises(WindowsPythonError, match="win64 was asked for"):
        registry.find(Config(), "3.11-win32", "win64")
    with pytest.raises(WindowsPythonError, match="called 'theirs': there are 3.11-win32, 3.11-win64"):
        registry.find(Config(), "theirs")
    with pytest.raises(WindowsPythonError, match="no Windows Python 3.12"):
        registry.find(Config(), "3.12")
    monkeypatch.setenv("WINBRIDGE_PYTHON", str(path))
    assert registry.find(Config()).executable == path
    assert registry.find(Config(), "3.11-win64").arch == "win64"


def test_a_damaged_record(home: Path) -> None:
    (home / "odd").mkdir(parents=True)
    (home / "odd" / "python.json").write_text("{")
    assert "is damaged" in refused("list")


def test_versions_are_read_from_the_file(arch: str) -> None:
    assert interpreter.inspect(windows_pythons.python(arch))[1:] == ("3.11.9", arch)


# Packages


@pytest.fixture
def site(archive: Path, home: Path) -> Path:
    done("install", "--from", str(archive))
    return home / "3.11-win64" / "Lib" / "site-packages"


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "winbridge", "python", "pip", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def pip_done(*arguments: str) -> str:
    ended = pip(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_requirements_are_those_of_windows(site: Path, tmp_path: Path) -> None:
    make = windows_pythons.wheel
    needs = 'onlywindows; sys_platform == "win32" and platform_machine == "AMD64" and python_full_version == "3.11.9"'
    make(tmp_path, "thing", "1.0", {"thing.py": ""}, needs)
    make(tmp_path, "onlywindows", "1.0", {"onlywindows.pyd": ""}, 'nosuch; os_name == "posix"', "cp311-cp311-win_amd64")
    make(tmp_path, "onlywindows", "2.0", {"onlywindows.so": ""}, "", "cp311-cp311-manylinux2014_x86_64")
    pip_done("install", "--no-index", "--find-links", str(tmp_path), "thing")
    assert sorted(path.name for path in site.iterdir() if path.is_file()) == ["onlywindows.pyd", "thing.py"]
    assert "onlywindows" in pip_done("list") and "thing==1.0" in pip_done("freeze")


def test_packages_share_folders_and_leave_no_old_file(site: Path, tmp_path: Path) -> None:
    make = windows_pythons.wheel
    script = "first-1.0.data/scripts/first.py"
    make(tmp_path, "first", "1.0", {"shared/first.py": "", "shared/old.py": "", script: "#!python\n"})
    make(tmp_path, "second", "1.0", {"shared/second.py": ""})
    find = ("install", "--no-index", "--find-links", str(tmp_path))
    pip_done(*find, "first")
    pip_done(*find, "second")
    assert sorted(path.name for path in (site / "shared").iterdir()) == ["first.py", "old.py", "second.py"]
    assert (site.parents[1] / "bin" / "first.py").is_file()
    (site / "shared" / "__pycache__").mkdir()
    (site / "shared" / "__pycache__" / "old.cpython-311.pyc").touch()
    make(tmp_path, "first", "2.0", {"shared/first.py": "2"})
    pip_done(*find, "first")
    assert sorted(path.name for path in (site / "shared").iterdir()) == ["first.py", "second.py"]
    assert pip_done("freeze").split() == ["first==2.0", "second==1.0"]
    pip_done("uninstall", "-y", "First", "second")
    assert list(site.iterdir()) == []
    assert "has no package second" in pip("uninstall", "second").stderr


def test_what_pip_refuses_changes_nothing(site: Path, tmp_path: Path) -> None:
    windows_pythons.wheel(tmp_path, "thing", "1.0", {"thing.py": ""}, "nosuch-requirement")
    ended = pip("install", "--no-index", "--find-links", str(tmp_path), "thing")
    assert ended.returncode == 1
    assert "nosuch-requirement" in ended.stderr
    assert list(site.iterdir()) == []
    assert "install, uninstall, list and freeze" in pip("download", "thing").stderr


def test_no_file_of_a_package_leads_out(site: Path, tmp_path: Path) -> None:
    windows_pythons.wheel(tmp_path, "thing", "1.0", {"thing.py": ""})
    pip_done("install", "--no-index", "--find-links", str(tmp_path), "thing")
    (site / "thing-1.0.dist-info" / "RECORD").write_text("../../../../outside,,\nthing.py,,\n")
    assert "outside of" in pip("uninstall", "thing").stderr
    assert (site / "thing.py").is_file()
