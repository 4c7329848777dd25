"""Options: defaults, checks, copies."""

from __future__ import annotations

import pytest

from winbridge.remote import Options


def test_copy_changes_only_what_is_given():
    options = Options(timeout=3, secret="s")
    copy = options.copy(max_message=1 << 20)
    assert (copy.timeout, copy.secret, copy.max_message) == (3, "s", 1 << 20)
    assert options == Options(timeout=3, secret="s") != copy


def test_repr_shows_what_differs_but_no_secret():
    assert repr(Options()) == "Options()"
    assert repr(Options(timeout=2.0, secret="hidden")) == "Options(timeout=2.0, secret='***')"


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"tiemout": 1}, TypeError, "no such option: tiemout; there are timeout"),
        ({"timeout": "1"}, TypeError, "timeout is a number"),
        ({"timeout": True}, TypeError, "timeout is a number"),
        ({"timeout": None}, TypeError, "timeout is a number"),
        ({"timeout": 0}, ValueError, "timeout is at least"),
        ({"timeout": float("nan")}, ValueError, "timeout is at least"),
        ({"max_message": 1.5e9}, TypeError, "max_message is a number of whole units"),
        ({"accept_exported_modules": 1}, TypeError, "accept_exported_modules is True or False"),
        ({"secret": 5}, TypeError, "secret is text or bytes"),
    ],
)
def test_wrong_values_are_refused_by_name(wrong, error, message):
    with pytest.raises(error, match=message):
        Options(**wrong)
