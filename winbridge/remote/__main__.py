"""Serve who started this process, over standard input and output: ``python -m winbridge.remote [OPTION=VALUE]...``.

The options are those of ``winbridge.remote.Options``, their values as in Python: ``accept_exported_modules=True``.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winbridge.remote.connection import Connection

PATIENCE = 2.0
"""Seconds that what is still being executed gets to end, when the connection has ended."""


def serve(options: dict[str, Any]) -> None:
    """Serve until the peer closes the connection or is gone.

    Args:
        options: of this side.
    """
    import signal
    import threading

    from winbridge.remote.options import Options
    from winbridge.remote.starting import StdioConnection

    # Ctrl-C reaches all processes of a terminal, and is meant for the one in front. Children get the default again.
    signal.signal(signal.SIGINT, lambda *_: None)
    connection = StdioConnection(Options(**options), start=False)
    threading.Thread(target=_end_with, args=(connection,), name="winbridge-end", daemon=True).start()
    connection.serve()


def _end_with(connection: Connection) -> None:
    """A function that goes on, or a thread that it left, must not outlive who asked for it."""
    connection.wait()
    time.sleep(PATIENCE)
    os._exit(1)


def main(arguments: list[str]) -> None:
    """Parse the command line, then serve."""
    import ast

    options = {}
    for argument in arguments:
        name, _, value = argument.partition("=")
        try:
            options[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            sys.exit(f"{argument}: an option is written name=value, with a value as in Python")
    serve(options)


if __name__ == "__main__":
    main(sys.argv[1:])
