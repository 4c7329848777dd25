"""``winbridge python``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from winbridge.cli import options
from winbridge.core.config import Config

if TYPE_CHECKING:
    from winbridge.pythons.download import Progress
    from winbridge.pythons.registry import Known
    from winbridge.pythons.sources import Archive

SOURCES = ("python.org", "nuget")
# All that follows pip's command belongs to pip.
PIP = {"ignore_unknown_options": True, "allow_interspersed_args": False}
choose_name = click.option("--name", help="What it is called (default: version and architecture, 3.12-win64).")


@click.group()
def python() -> None:
    """Keep Windows Pythons, for remote Python on Wine."""


@python.command()
@click.argument("version", required=False)
@options.arch
@choose_name
@click.option("--source", type=click.Choice(SOURCES), default=SOURCES[0], show_default=True)
@click.option("--base-url", metavar="URL", help="Another server: a folder as python.org's, or NuGet's service index.")
@click.option("--sha256", metavar="DIGEST", help="What the archive must have, instead of what its publisher says.")
@click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An archive that is here already; no network is needed.",
)
def install(
    version: str | None,
    arch: str | None,
    name: str | None,
    source: str,
    base_url: str | None,
    sha256: str | None,
    file: Path | None,
) -> None:
    """Install Windows Python VERSION: 3.12.10, or 3.12 for the newest of these.

    It comes as python.org's embeddable package or NuGet's package python (pythonx86), and its
    checksum is compared. A download that breaks off is continued by the same command.

    \b
    winbridge python install 3.12
    winbridge python install 3.12 --arch win32
    winbridge python install --from python-3.12.10-embed-amd64.zip
    """
    from winbridge.pythons import install as installing

    if file is not None:
        _check(file, sha256)
        made = installing.install(file, f"from {file.absolute()}", name, version, arch)
        click.echo(_line(made))
        return
    if version is None:
        raise click.UsageError("name a version, for example 3.12, or a file with --from")
    arch = arch or options.ARCHS[0]
    if there := _there(version, arch, name):
        click.echo(f"{_line(there)} is there already")
        return
    archive = _archive(version, arch, source, base_url, sha256)
    click.echo(_line(installing.install(_fetched(archive), archive.url, name, None, arch)))


@python.command(name="list")
def list_() -> None:
    """List the Windows Pythons that are there."""
    from winbridge.pythons import registry
    from winbridge.pythons.errors import WindowsPythonError

    pythons = registry.known()
    if not pythons:
        click.echo("no Windows Python is there: `winbridge python install 3.12` gets one", err=True)
    for known in pythons:
        try:
            click.echo(_line(known))
        except WindowsPythonError as error:
            click.echo(f"{known.name:<16} {error}")


@python.command()
@click.argument("path")
@choose_name
def add(path: str, name: str | None) -> None:
    """Give a name to a Windows Python that is on this machine: PATH is its python.exe or the folder with it."""
    from winbridge.pythons import registry

    click.echo(_line(registry.add(path, name, Config())))


@python.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget a Windows Python. The files of one that was installed are removed, those of one that was added stay."""
    from winbridge.pythons import registry

    known = registry.remove(name)
    click.echo(f"{known.name} removed" if known.installed else f"{known.name} forgotten; {known.executable} stays")


@python.command(context_settings=PIP)
@click.option("--name", help="Name, version or path of the Python (default: that of the configuration, or the newest).")
@options.arch
@click.argument("command")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
@click.pass_context
def pip(ctx: click.Context, name: str | None, arch: str | None, command: str, arguments: tuple[str, ...]) -> None:
    """Install packages into a Windows Python: COMMAND is pip's install, uninstall, list or freeze.

    pip runs here on Linux and takes wheels for Windows; Wine is not needed.

    \b
    winbridge python pip install pywin32
    winbridge python pip --name 3.12-win32 install --no-index --find-links wheels comtypes
    """
    from winbridge.pythons import packages, registry

    ctx.exit(packages.pip(registry.find(Config(), name, arch), command, arguments))


def _line(known: Known) -> str:
    interpreter = known.inspect()
    return f"{known.name:<16} {interpreter.version:<9} {interpreter.arch}  {interpreter.executable}"


def _there(version: str, arch: str, name: str | None) -> Known | None:
    """What this very command has installed before."""
    from winbridge.pythons import registry, versions

    called = name or f"{'.'.join(version.split('.')[:2])}-{arch}"
    known = next((known for known in registry.known() if known.name == called), None)
    if known is None:
        return None
    interpreter = known.inspect()
    if versions.matches(interpreter.version, version) and interpreter.arch == arch:
        return known
    registry.check_free(called)
    return None


def _archive(version: str, arch: str, source: str, base_url: str | None, sha256: str | None) -> Archive:
    from winbridge.pythons import sources, sums, versions

    if not versions.VERSION.fullmatch(version):
        raise click.UsageError(f"{version} is no version of Python 3: 3.12.10, or 3.12 for the newest of these")
    found = sources.SOURCES[source](version, arch, base_url)
    return found if sha256 is None else found._replace(sum=sums.of_user(sha256))


def _check(file: Path, sha256: str | None) -> None:
    from winbridge.pythons import sums

    expected = sums.of_user(sha256) if sha256 else sums.published(file.name)
    if expected is not None:
        expected.check(file)


def _fetched(archive: Archive) -> Path:
    from winbridge.pythons import download

    with _progress(archive.name) as progress:
        return download.fetch(archive, progress)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    """A bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
