"""``python -m winbridge``: the command line."""

from winbridge.cli import main

main(prog_name="winbridge")
