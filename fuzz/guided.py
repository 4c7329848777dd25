"""The coverage-guided fuzzer of one parser of the Python side: ``python -m fuzz.guided NAME [libFuzzer options]``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["winbridge", "fuzz.inputs", "msgspec"]):
    from fuzz.inputs import INPUTS


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, INPUTS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
