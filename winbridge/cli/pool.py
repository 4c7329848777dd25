"""``winbridge pool``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import ssl

PATH = click.Path(path_type=Path, dir_okay=False)
COUNT = click.IntRange(1)
SECONDS = click.FloatRange(0, min_open=True)


@click.command()
@click.option("--listen", required=True, metavar="HOST:PORT|PATH", help="Where; port 0 takes a free one.")
@click.option("--workers", required=True, type=COUNT, help="Processes that run the sessions' code.")
@click.option("--secret-file", type=PATH, help="File with the secret that clients must know; mode 0600.")
@click.option("--tls-certificate", type=PATH, help="Encrypt: file with the certificate of this server, in PEM.")
@click.option("--tls-key", type=PATH, help="File with its key, if that is another one.")
@click.option("--tls-clients", type=PATH, help="File with certificates; clients must show one of them.")
@click.option("--allow-unauthenticated", is_flag=True, help="Let all of this machine in: loopback addresses only.")
@click.option("--user", "users", multiple=True, type=int, help="Number of a further user, for a Unix socket.")
@click.option("--sessions", type=COUNT, help="Sessions at once.  [default: 64]")
@click.option("--message", type=click.IntRange(1 << 16), help="Bytes of one message.  [default: 256 MiB]")
@click.option("--calls", type=COUNT, help="Calls under way, of one session.  [default: 64]")
@click.option("--idle", type=SECONDS, help="Seconds after which an idle session ends.  [default: 600]")
@click.option("--grace", type=SECONDS, help="Seconds that calls get to end, when the pool ends.  [default: 30]")
def pool(
    listen: str,
    workers: int,
    secret_file: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_clients: Path | None,
    allow_unauthenticated: bool,
    users: tuple[int, ...],
    **limits: Any,
) -> None:
    """Run Python code of many clients on a few processes: their PythonSession(addr=...) connects here.

    Who gets in can run any code here as this user. So clients need a secret (--secret-file, or WINBRIDGE_SECRET or
    WINBRIDGE_SECRET_FILE in the environment) or a certificate. PATH is a Unix socket, for this user's own processes.

    SIGTERM or Ctrl-C lets running code end and refuses more; a second one ends all at once.
    """
    from winbridge.remote.pool.limits import Limits
    from winbridge.remote.servers import run_pool

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run_pool(
        listen,
        workers,
        secret_file=secret_file,
        tls=_tls(tls_certificate, tls_key, tls_clients),
        allow_unauthenticated=allow_unauthenticated,
        users=users,
        limits=Limits()._replace(**{name: value for name, value in limits.items() if value is not None}),
        started=lambda server: click.echo(f"winbridge pool listens on {server.address}"),
    )


def _tls(certificate: Path | None, key: Path | None, clients: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        if key is not None or clients is not None:
            raise click.UsageError("--tls-key and --tls-clients need --tls-certificate")
        return None
    from winbridge.remote.tls import server_tls

    return server_tls(certificate, key, clients=clients)
