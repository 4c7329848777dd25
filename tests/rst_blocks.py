"""The code blocks of a reStructuredText page, and how each kind is run.

``python -m tests.rst_blocks PAGE`` runs them all, in the working directory, as one program.
"""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

DIRECTIVE = re.compile(r"^( *)\.\. code-block:: (\w+)$")
FLAGS = doctest.ELLIPSIS | doctest.REPORT_UDIFF


RUNNABLE = ("python", "pycon", "console")


class Block(NamedTuple):
    """A code block: its language, its text, and the number of lines before the text."""

    language: str
    text: str
    offset: int


def blocks(path: Path) -> Iterator[Block]:
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        found = DIRECTIVE.match(line)
        if found:
            body = list(_body(lines[number + 1 :], len(found[1])))
            yield Block(found[2], dedent("\n".join(body)) + "\n", number + 1)


def _body(lines: list[str], indent: int) -> Iterator[str]:
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return
        yield line


def run_python(path: Path, block: Block, names: dict[str, Any]) -> None:
    # Empty lines before the code give its lines the numbers that they have in the page.
    exec(compile("\n" * block.offset + block.text, str(path), "exec"), names)


def run_pycon(path: Path, block: Block, names: dict[str, Any]) -> None:
    """Run the examples; an output that differs is an AssertionError with both."""
    test = doctest.DocTestParser().get_doctest(block.text, names, path.name, str(path), block.offset)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append, clear_globs=False)
    names.update(test.globs)
    assert not report, "".join(report)


def run_console(path: Path, block: Block) -> None:
    """Run each ``$ winbridge ...`` line and compare what it prints with the lines below it."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        program, *arguments = shlex.split(command)
        assert program == "winbridge", f"{path}: {command!r} is not run"
        printed = subprocess.run(
            [sys.executable, "-m", program, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ).stdout  # fmt: skip
        same = doctest.OutputChecker().check_output(expected.rstrip() + "\n", printed.rstrip() + "\n", FLAGS)
        assert same, f"{path}: {command}\nexpected:\n{expected}\nprinted:\n{printed}"


def run_page(path: Path) -> None:
    """Run the blocks of a page in order; the Python ones share their names."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(path):
        if block.language == "python":
            run_python(path, block, names)
        elif block.language == "pycon":
            run_pycon(path, block, names)
        elif block.language == "console":
            run_console(path, block)


if __name__ == "__main__":
    run_page(Path(sys.argv[1]))
