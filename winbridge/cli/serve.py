"""``winbridge serve``."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import ModuleType

import click

from winbridge.core.errors import ConfigError


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the token that clients must show; without it one is made up and printed.",
)
def serve(host: str, port: int, token_file: Path | None) -> None:
    """Give Windows sessions of this machine to others: their GatewaySession(url, token=...) connects here.

    Who has the token can run any Windows code here as this user, and HTTP is not encrypted: put a
    proxy with TLS before it where others can listen.
    """
    server = _server()
    token = _read(token_file) if token_file else _made_up()
    server.serve(host, port, token)


def _server() -> ModuleType:
    try:
        from winbridge.gateway import server
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in ("starlette", "uvicorn"):
            raise click.ClickException(
                f"the gateway needs the package {error.name}: pip install 'winbridge[gateway]'"
            ) from error
        raise
    return server


def _read(file: Path) -> str:
    try:
        token = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {file} cannot be read: {error}") from error
    if not token:
        raise ConfigError(f"the token file {file} is empty: write a long random text into it")
    return token


def _made_up() -> str:
    token = secrets.token_urlsafe(24)
    click.echo(f"token: {token}")
    return token
