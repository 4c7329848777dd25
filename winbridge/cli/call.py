"""``winbridge call``."""

from __future__ import annotations

from typing import Any

import click

from winbridge.cli import literals, options

# A negative number is no option.
SETTINGS = {"ignore_unknown_options": True}


@click.command(context_settings=SETTINGS)
@click.argument("dll")
@click.argument("function")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
@options.arch
@click.option("--restype", metavar="TYPE", help="Type of the result: double, wchar_p, void ... (default: int).")
@click.option("--argtypes", metavar="TYPES", help="Types of the arguments, separated by commas.")
@click.option("--convention", type=click.Choice(["stdcall", "cdecl"]), default="stdcall", show_default=True)
def call(
    dll: str,
    function: str,
    arguments: tuple[str, ...],
    arch: str | None,
    restype: str | None,
    argtypes: str | None,
    convention: str,
) -> None:
    """Call FUNCTION (a name or an ordinal) of DLL (a system DLL or a file) and print its result.

    Numbers are written as in Python (42, -1, 0xff), texts in quotes of their own and bytes with
    a b before them; NULL is a null pointer. A number with a fraction needs --argtypes.

    \b
    winbridge call kernel32 GetTickCount
    winbridge call kernel32 lstrlenW "'four'"
    winbridge call msvcrt pow 2 0.5 --argtypes double,double --restype double
    """
    values = [literals.argument(text) for text in arguments]
    if argtypes is None and any(isinstance(value, float) for value in values):
        raise click.UsageError("a number with a fraction needs --argtypes, for example --argtypes double")
    prototype: dict[str, Any] = {}
    if argtypes is not None:
        prototype["argtypes"] = literals.argument_types(argtypes)
    if restype is not None:
        prototype["restype"] = literals.result_type(restype)
    result = _called(dll, literals.export(function), values, arch=arch, convention=convention, **prototype)
    if prototype.get("restype", int) is not None:
        click.echo(str(result))


def _called(dll: str, function: str | int, values: list[Any], **choices: Any) -> Any:
    import ctypes

    import winbridge

    try:
        return winbridge.call(dll, function, *values, **choices)
    except (ctypes.ArgumentError, TypeError) as error:
        raise click.UsageError(f"{function}: {error}") from error
