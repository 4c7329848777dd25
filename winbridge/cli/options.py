"""Options that several commands have."""

from __future__ import annotations

import click

ARCHS = ("win64", "win32")

arch = click.option("--arch", type=click.Choice(ARCHS), help="Architecture, where no file tells it (default: win64).")
