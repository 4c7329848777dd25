"""Code that a peer sends: its value, and the lines that tracebacks show."""

from __future__ import annotations

import linecache
import traceback

import pytest

from winbridge.remote.operations import REMEMBERED, run


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def test_a_traceback_shows_the_line():
    with pytest.raises(ZeroDivisionError) as caught:
        run("a = 1\nb = a / 0  # here", {}, {})
    assert "b = a / 0  # here" in shown(caught.value)


def test_the_sources_of_a_long_life_do_not_pile_up():
    world: dict[str, object] = {}
    run("def last():\n    return 1 / 0  # kept", world, world)
    before = len(linecache.cache)
    for number in range(3 * REMEMBERED):
        assert run(f"{number} + 1", {}, {}) == number + 1
        if number % 100 == 0:
            run("def last():\n    return 1 / 0  # kept", world, world)
    assert len(linecache.cache) <= before + REMEMBERED
    with pytest.raises(ZeroDivisionError) as caught:
        run("last()", world, world)
    assert "# kept" in shown(caught.value)
