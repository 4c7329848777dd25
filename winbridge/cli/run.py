"""``winbridge run``."""

from __future__ import annotations

import click

from winbridge.cli import options
from winbridge.running.activate import HOST, WINDOWS, activate

# All that follows the program belongs to it.
SETTINGS = {"allow_interspersed_args": False}


class NotReadError(click.ClickException):
    """There is no such script; the exit status is Python's."""

    exit_code = 2


@click.command(context_settings=SETTINGS)
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
@click.option("-m", "as_module", is_flag=True, help="PROGRAM is the name of a module or a package.")
@click.option("-c", "as_code", is_flag=True, help="PROGRAM is Python code.")
@options.arch
@click.option(
    "--platform",
    type=click.Choice([WINDOWS, HOST]),
    default=WINDOWS,
    show_default=True,
    help="What the program's modules see by sys.platform, os.name and their like.",
)
def run(
    program: str, arguments: tuple[str, ...], as_module: bool, as_code: bool, arch: str | None, platform: str
) -> None:
    """Run PROGRAM, a Python program written for Windows, with winbridge's ctypes in place of the standard one.

    PROGRAM is a script, a folder or zip file with a __main__.py, or - for the standard input. The
    standard library and packages built for Linux keep the standard ctypes.

    \b
    winbridge run script.py one two
    winbridge run --arch win32 script.py
    winbridge run -m package
    winbridge run -c "import ctypes; print(ctypes.windll.kernel32.GetTickCount())"
    """
    if as_module and as_code:
        raise click.UsageError("-m and -c exclude each other")
    activate(arch, platform)
    from winbridge.running import program as programs

    if as_module:
        programs.run_module(program, arguments)
    elif as_code:
        programs.run_code(program, arguments)
    else:
        _run_script(program, arguments)


def _run_script(path: str, arguments: tuple[str, ...]) -> None:
    from winbridge.running import program as programs

    try:
        programs.run_script(path, arguments)
    except OSError as error:  # only of reading it: what the program raises is told there
        raise NotReadError(f"can't open file {path!r}: [Errno {error.errno}] {error.strerror}") from error
