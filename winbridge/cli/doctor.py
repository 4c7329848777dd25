"""``winbridge doctor``."""

from __future__ import annotations

import click

from winbridge.cli import options
from winbridge.core.config import Config


@click.command()
@click.option("--arch", type=click.Choice(options.ARCHS), help="Check one architecture only.")
@click.pass_context
def doctor(ctx: click.Context, arch: str | None) -> None:
    """Check what winbridge needs: Wine, its prefix, the agents, shared memory.

    A session is really opened for each architecture, and the Wine prefix is made where there is
    none. The exit status is 0 when nothing is missing, else 1.
    """
    from rich.console import Console
    from rich.text import Text

    from winbridge.cli.checks import findings

    console = Console(highlight=False, soft_wrap=True)  # a command must stay in one piece to be copied
    missing = 0
    for finding in findings(Config(), (arch,) if arch else options.ARCHS):
        mark = Text("found  ", "green") if finding.found else Text("MISSING", "bold red")
        console.print(mark, Text(f"{finding.what:<22}"), Text(finding.detail))
        if finding.mend:
            console.print(Text(f"        {'':<22} mend: {finding.mend}", "yellow"))
        if finding.note:
            console.print(Text(f"        {'':<22} note: {finding.note}", "yellow"))
        missing += not finding.found
    if missing:
        console.print(f"{missing} thing{'s' * (missing != 1)} missing")
        ctx.exit(1)
    console.print("all there")
