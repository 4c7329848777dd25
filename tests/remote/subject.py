"""Functions that the tests call at the other side of a connection, by name."""

from __future__ import annotations

import os
import sys
import threading

from winbridge.remote import get_connection

gates: dict[str, threading.Event] = {}
seen: list[object] = []


def gate(name: str) -> threading.Event:
    return gates.setdefault(name, threading.Event())


def open_gate(name: str) -> None:
    gate(name).set()


def wait_for_gate(name: str) -> str:
    assert gate(name).wait(30)
    return name


def enter_and_wait(name: str) -> str:
    seen.append(name)
    return wait_for_gate(name)


def echo(*args, **kwargs):
    return args, kwargs


def same(value):
    return value


def kind_of(value) -> str:
    return type(value).__name__


class OwnError(ValueError):
    """Has an __init__ that takes something else than its args are."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code

    def __reduce__(self):
        return type(self), (self.code, "own")


class StubbornError(Exception):
    """Cannot be rebuilt from its args."""

    def __init__(self, one, two) -> None:
        super().__init__(one)


def fail_with_own(code: int) -> None:
    raise OwnError(code, "own")


def fail_stubbornly() -> None:
    raise StubbornError("one", "two")


def fail_unpicklably() -> None:
    error = ValueError("with a lock inside")
    error.lock = threading.Lock()
    raise error


def unpicklable():
    return threading.Lock()


def call_back(function, *args):
    return get_connection().call(function, *args)


def where() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def ping_pong(depth: int) -> list[int]:
    """Call the other side, which calls this one, and so on; the thread of each step of this process and the other's."""
    rest = get_connection().call(ping_pong, depth - 1) if depth else []
    return [threading.get_ident(), *rest]


def spin() -> None:
    """Until somebody interrupts it."""
    seen.append("spinning")
    open_gate("spinning")
    try:
        while True:
            len(seen)
    except BaseException as error:
        seen.append(type(error).__name__)
        open_gate("interrupted")
        raise


def what_was_seen() -> list[object]:
    return list(seen)


def say(text: str) -> None:
    get_connection().send_output(1, text.encode(), get_connection().link.serving.within())


def die(code: int) -> None:
    os._exit(code)


def close_from_inside() -> None:
    get_connection().close()


def count_calls(number: int) -> int:
    seen.append(number)
    return number


def how_many_seen() -> int:
    return len(seen)


def python_version() -> tuple[int, ...]:
    return sys.version_info[:3]
