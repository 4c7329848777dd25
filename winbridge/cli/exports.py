"""``winbridge exports``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from winbridge.cli import options
from winbridge.core.config import Config
from winbridge.core.errors import DllNotFoundError

if TYPE_CHECKING:
    from winbridge.dll.pe import Image

SYSTEM_FOLDERS = {"win64": "system32", "win32": "syswow64"}


@click.command()
@click.argument("file", metavar="FILE|DLL")
@options.arch
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def exports(file: str, arch: str | None, as_json: bool) -> None:
    """List what a DLL exports: ordinal, name, and the function of another DLL it stands for.

    FILE|DLL is a path on this machine, a Windows path, or the name of a system DLL. Nothing is run.
    """
    from winbridge.dll import pe

    path = _file(file, arch)
    image = pe.inspect(path)
    if as_json:
        click.echo(json.dumps(_plain(path, image), indent=2))
    else:
        _print_table(image)


def _file(given: str, arch: str | None) -> Path:
    """The file that a name means; the Windows side need not run for that."""
    from winbridge.dll.location import locate

    config = Config()
    located = locate(given, config.prefix)
    return located.file if located.file is not None else _system_file(given, arch or config.arch or "win64", config)


def _system_file(given: str, arch: str, config: Config) -> Path:
    from winbridge.core import paths, prefix

    prefix.ensure(config)
    name = given if given.lower().endswith((".dll", ".drv", ".exe", ".ocx")) else f"{given}.dll"
    windows = given if paths.is_windows_path(given) else f"C:\\windows\\{SYSTEM_FOLDERS[arch]}\\{name}"
    file = Path(paths.windows_to_unix(windows, config.prefix))
    if not file.is_file():
        raise DllNotFoundError(f"there is no DLL {windows} in the prefix {config.prefix}; for a file give its path")
    return file


def _plain(path: Path, image: Image) -> dict[str, object]:
    listed = [{"ordinal": item.ordinal, "name": item.name, "forwarder": item.forwarder} for item in image.exports]
    return {"file": str(path), "arch": image.arch, "exports": listed}


def _print_table(image: Image) -> None:
    rows = [(str(item.ordinal), item.name or "", item.forwarder or "") for item in image.exports]
    rows.insert(0, ("ordinal", "name", "forwarder"))
    ordinals, names, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    for ordinal, name, forwarder in rows:
        click.echo(f"{ordinal:>{ordinals}}  {name:<{names}}  {forwarder}".rstrip())
