"""Runs pip with the markers of another platform; a program of its own: ``python hostpip.py MARKERS ARGUMENTS...``.

pip chooses wheels by ``--platform``, but decides by the interpreter that it runs in which requirements hold
(``colorama; sys_platform == "win32"``): https://github.com/pypa/pip/issues/11664. MARKERS is JSON, of PEP 508's names.
"""

from __future__ import annotations

import json
import runpy
import sys


def main() -> None:
    markers = json.loads(sys.argv[1])
    del sys.argv[1]
    from pip._vendor.packaging import markers as evaluation

    if not callable(getattr(evaluation, "default_environment", None)):
        raise SystemExit("this version of pip evaluates markers in a way that winbridge does not know: install another")
    ours = evaluation.default_environment
    evaluation.default_environment = lambda: {**ours(), **markers}
    runpy.run_module("pip", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
