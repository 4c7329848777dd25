"""A lock whose holder is told that it cannot wait for itself."""

from __future__ import annotations

import threading

import pytest

from winbridge.core.guard import Guard


def test_who_holds_it_is_told_so_and_holds_it_on():
    guard = Guard("cooking")
    with guard:
        for attempt in (guard.acquire, guard.__enter__):
            with pytest.raises(RuntimeError, match="in the middle of cooking"):
                attempt()
        assert not taken_elsewhere(guard)
    assert taken_elsewhere(guard)
    with guard:
        pass


def test_others_wait():
    guard, order = Guard("cooking"), []
    with guard:
        thread = threading.Thread(target=lambda: order.append(guard.acquire()) or guard.release())
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", True]


def taken_elsewhere(guard: Guard) -> bool:
    """Whether another thread can have it at once."""
    outcome = []

    def take() -> None:
        outcome.append(guard.acquire(0.01))
        if outcome[0]:
            guard.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return outcome[0]
