"""The command line, one file a command; they are imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

import click

import winbridge
from winbridge.core.errors import WinbridgeError

COMMANDS = {
    "call": "Call a function of a DLL once and print its result.",
    "doctor": "Check what winbridge needs, and say how to mend what is missing.",
    "exports": "List the functions that a DLL exports.",
    "pool": "Run Python code of many clients on a few processes.",
    "python": "Keep Windows Pythons, for remote Python on Wine.",
    "run": "Run an unmodified Windows Python program, with ctypes as on Windows.",
    "serve": "Give Windows sessions to other machines over HTTP.",
}


class Commands(click.Group):
    """Finds the commands, and turns their errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"winbridge.cli.{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click knows what to do with these
        except Exception as error:
            if ctx.params["debug"]:
                raise
            raise click.ClickException(_one_line(error)) from error


def _one_line(error: Exception) -> str:
    """What to tell of an error; the type says more than the text where nobody wrote that for a user."""
    if isinstance(error, WinbridgeError | OSError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error} (`winbridge --debug ...` shows where)"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(winbridge.__version__, prog_name="winbridge")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Use Windows code from Linux: call functions of DLLs on Wine, 64 and 32 bit."""
