"""``winbridge serve``."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import ModuleType

import click

from winbridge.core.errors import ConfigError

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option(
    "--token-file",
    type=FILE,
    help="File with the token that clients must show; without it one is made up and printed.",
)
@click.option(
    "--max-sessions", default=16, show_default=True, type=click.IntRange(1), help="Windows processes at once."
)
@click.option(
    "--idle-timeout",
    default=600.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds without a request after which a session ends.",
)
@click.option("--tls-cert", type=FILE, help="Certificate to show, PEM: the gateway speaks https.")
@click.option("--tls-key", type=FILE, help="Its key, PEM, where the certificate's file does not have it.")
def serve(
    host: str,
    port: int,
    token_file: Path | None,
    max_sessions: int,
    idle_timeout: float,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Give Windows sessions of this machine to others: their GatewaySession(url, token=...) connects here.

    Who has the token can run any Windows code here as this user. Without a certificate nothing is
    encrypted: give one where others can listen.

    GET / is a status page for people, /metrics has figures for Prometheus, /openapi.json describes it all.
    """
    if tls_key is not None and tls_cert is None:
        raise click.UsageError("--tls-key belongs to a certificate: give --tls-cert too")
    server = _server()
    token = _read(token_file) if token_file else _made_up()
    limits = server.Limits(sessions=max_sessions, idle_timeout=idle_timeout)
    server.serve(host, port, token, limits=limits, tls=server.Tls(tls_cert, tls_key) if tls_cert else None)


def _server() -> ModuleType:
    try:
        from winbridge.gateway import server
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in ("starlette", "uvicorn", "prometheus_client"):
            raise click.ClickException(
                f"the gateway needs the package {error.name.replace('_', '-')}: pip install 'winbridge[gateway]'"
            ) from error
        raise
    return server


def _read(file: Path) -> str:
    try:
        token = file.read_text().strip()
        if file.stat().st_mode & 0o077:
            click.echo(f"others can read the token file {file}: chmod 600 {file}", err=True)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {file} cannot be read: {error}") from error
    if not token:
        raise ConfigError(f"the token file {file} is empty: write a long random text into it")
    return token


def _made_up() -> str:
    token = secrets.token_urlsafe(24)
    click.echo(f"token: {token}")
    return token
