"""How a Python that has nothing installed becomes a peer: it fetches winbridge.remote over its standard input.

``get_bios`` is Python without blanks, quotes and brackets: between its words it has form feeds, between its lines
carriage returns, and a decorator calls a function without brackets. So it is one word for ``sh``, and stays what it is
through as many shells as lie on the way: ssh's, that of ``docker exec``, of ``sudo``. It asks for a line of input, with
the name of a class as the prompt, and executes it. We see the prompt, and send the sources and a call that serves us.
"""

from __future__ import annotations

import base64
import functools
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from winbridge.remote.options import Options

NAME = "winbridge_bios"
PROMPT = f"<class '__main__.{NAME}'>".encode()
"""What a BIOS prints when it is there."""

OLDEST = (3, 8)
TOO_OLD = "winbridge.remote needs Python 3.8 or newer, and this is "

NEEDED = ("__init__", "core.__init__", "core.errors")
"""Modules of winbridge beside winbridge.remote that the far side needs."""

NOT_SENT = ("ssl",)
"""Options that are ours alone."""


def get_bios() -> str:
    """A script for ``python -c`` that makes a peer of any CPython from 3.8 on, without anything installed there.

    It works with ``Connection.from_command``, ``from_shell`` and ``from_process``::

        Connection.from_command(["ssh", "host", "python3", "-c", get_bios()])

    Returns:
        a text that needs no quotes in a POSIX shell.
    """
    return f"@exec\r@input\rclass\f{NAME}:0"


def answer(options: Options) -> bytes:
    """What a BIOS is sent: a line of Python that has all it needs.

    Args:
        options: of this side; the far side takes the same, and modules that we export.
    """
    theirs = {name: value for name, value in vars(options).items() if name not in NOT_SENT}
    theirs["accept_exported_modules"] = True
    packed = _packed(repr(theirs))
    namespace = "{'__name__': 'winbridge.remote.fetched'}"
    return (
        f"import base64, sys, zlib; sys.version_info >= {OLDEST} or sys.exit('{TOO_OLD}' + sys.version);"
        f" exec(zlib.decompress(base64.b64decode('{packed}')), {namespace})\n"
    ).encode()


@functools.lru_cache(maxsize=16)
def _packed(options: str) -> str:
    program = f"{sources()['winbridge.remote.fetched']}\nstart({sources()!r}, {options})\n"
    return base64.b64encode(zlib.compress(program.encode(), 6)).decode()


@functools.lru_cache(maxsize=None)
def sources() -> dict[str, str]:
    """The source of every module that the far side may import, by its name."""
    import winbridge

    fetched = getattr(winbridge.__spec__.loader, "sources", None)
    return fetched or _read()


def _read() -> dict[str, str]:
    from pathlib import Path

    top = Path(__file__).resolve().parent.parent
    files = [*(top / "remote").rglob("*.py"), *(top.joinpath(*name.split(".")).with_suffix(".py") for name in NEEDED)]
    return {_module(file.relative_to(top.parent)): file.read_text(encoding="utf-8") for file in sorted(files)}


def _module(file: Path) -> str:
    return ".".join(file.with_suffix("").parts)
