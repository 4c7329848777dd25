"""Sessions per type and thread: every sentence that the design says of them, on sessions in memory."""

from __future__ import annotations

import gc
import os
import threading
import weakref

import pytest

from winbridge import MemorySession, NoSessionError, SessionClosedError, SessionEngine, SessionExistsError, Singleton
from winbridge.core.transport.memory import MemoryTransport


class Engine(MemorySession):
    """A type of the tests' own."""


class Implicit(MemorySession):
    implicit = True


def in_thread(function, *arguments):
    """Run in a fresh thread; returns its result or raises its exception."""
    outcome = []

    def run():
        try:
            outcome.append((function(*arguments), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error:
        raise error
    return value


def test_first_call_makes_and_later_calls_return_it():
    first = Engine(id="one")
    assert Engine() is first
    assert Engine(id="one") is first


def test_other_arguments_raise_and_tell_what_to_do():
    first = Engine(id="one")
    with pytest.raises(SessionExistsError, match=r"new_session\(id='two'\)"):
        Engine(id="two")
    assert Engine() is first and first.up


def test_no_message_shows_a_token():
    class Far(MemorySession):
        def __init__(self, url, token=None):
            super().__init__()

    Far("here", "first-secret")
    for arguments, options in ((("there", "other-secret"), {}), (("there",), {"token": "other-secret"})):
        with pytest.raises(SessionExistsError, match="'there'") as caught:
            Far(*arguments, **options)
        assert "secret" not in str(caught.value)


def test_each_thread_has_its_own():
    mine = Engine()
    theirs = in_thread(Engine)
    assert theirs is not mine


def test_sixteen_threads_at_once_make_one_each():
    barrier = threading.Barrier(16)
    made: dict[int, tuple] = {}

    def construct(index):
        barrier.wait()
        made[index] = Engine(), Engine()
        barrier.wait()  # all alive at the same time
        made[index] += (Engine.get_session(), len([s for s in made.values() if s[0].up]))
        barrier.wait()

    threads = [threading.Thread(target=construct, args=(index,)) for index in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(first) for first, *_ in made.values()}) == 16
    assert all(first is second is current and alive == 16 for first, second, current, alive in made.values())


def test_sixteen_threads_share_one_implicit_session():
    barrier = threading.Barrier(16)
    found = []

    def use():
        barrier.wait()
        found.append(Implicit.current())

    threads = [threading.Thread(target=use) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 and len(set(map(id, found))) == 1 and found[0].up


def test_session_of_an_ended_thread_is_closed_and_freed():
    session = in_thread(Engine)
    assert session.closed
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None


def test_implicit_session_outlives_the_thread_that_opened_it():
    session = in_thread(Implicit.current)
    assert session.up and Implicit.current() is session


def test_main_threads_session_is_the_process_wide_one():
    session = Engine()
    assert in_thread(Engine.get_session) is session
    assert in_thread(Engine.current) is session


def test_a_worker_threads_session_is_not():
    seen = []

    def work():
        Engine()
        seen.append(in_thread(Engine.get_session))

    in_thread(work)
    assert seen == [None]


def test_scope_thread_makes_implicit_sessions_per_thread(monkeypatch):
    monkeypatch.setenv("WINBRIDGE_SCOPE", "thread")
    mine = Implicit.current()
    assert Implicit.current() is mine
    assert in_thread(Implicit.current) is not mine
    assert in_thread(Implicit.get_session) is None


def test_a_subclass_has_its_own_slot():
    class Derived(Engine):
        pass

    base = Engine()
    assert Derived.get_session() is None
    derived = Derived()
    assert derived is not base and Derived() is derived and Engine() is base
    assert Derived.__metakey__ != Engine.__metakey__


def test_a_stated_key_shares_a_slot():
    class Alias(Engine):
        __metakey__ = Engine.__metakey__

    assert Alias.get_session() is None
    session = Engine()
    assert Alias.get_session() is session


def test_singleton_is_the_metaclass():
    assert type(SessionEngine) is Singleton and type(Engine) is Singleton


def test_current_without_a_session_advises():
    with pytest.raises(NoSessionError, match=r"Engine\(\)"):
        Engine.current()
    assert Engine.get_session() is None


def test_new_session_closes_the_old_one():
    old = Engine(id="one")
    new = Engine.new_session(id="two")
    assert old.closed and new.up and new.id == "two" and Engine() is new


def test_close_session_returns_what_it_closed():
    session = Engine()
    assert Engine.close_session() is session and session.closed
    assert Engine.close_session() is None
    assert Engine.get_session() is None


def test_close_all_reaches_every_thread_and_only_its_types():
    class Other(MemorySession):
        pass

    opened, closed = threading.Event(), threading.Event()
    theirs = []

    def work():
        theirs.append(Engine())
        opened.set()
        closed.wait()
        theirs.append(Engine.get_session())

    thread = threading.Thread(target=work)
    thread.start()
    opened.wait()
    mine, other = Engine(), Other()
    Engine.close_all()
    closed.set()
    thread.join()
    assert mine.closed and theirs[0].closed and theirs[1] is None and other.up
    SessionEngine.close_all()
    assert other.closed


def test_with_closes_also_after_an_exception():
    with pytest.raises(KeyError), Engine() as session:
        raise KeyError(session.id)
    assert session.closed and Engine.get_session() is None


def test_a_closed_session_says_so():
    session = Engine()
    session.close()
    session.close()
    with pytest.raises(SessionClosedError, match="closed"):
        session.memory.alloc(1)
    with pytest.raises(SessionClosedError):
        session.__enter__()


def test_a_failed_opening_leaves_no_slot():
    class Failing(SessionEngine):
        def connect(self):
            raise ConnectionError("no")

    with pytest.raises(ConnectionError):
        Failing()
    assert Failing.get_session() is None


def test_a_forked_child_starts_with_none_and_leaves_the_parents_alone():
    session = Implicit.current()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fresh = Implicit.get_session() is None and session.closed
            own = Implicit.current()
            os.write(writer, b"ok" if fresh and own is not session and own.up else b"bad")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 10) == b"ok"
    os.close(reader)
    assert session.up and Implicit.current() is session


def test_transport_of_a_closed_session_is_down():
    session = Engine()
    assert isinstance(session.transport, MemoryTransport)
    session.close()
    assert not session.transport.up() and not session.up
