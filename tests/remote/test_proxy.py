"""Proxies of objects in a real other process."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import copy
import gc
import importlib
import os
import pickle
import threading
import time
import weakref

import pytest

from tests.remote import far
from tests.remote.fix_peer import oldest_python, peer
from winbridge.remote import (
    Connection,
    DisconnectError,
    OperationError,
    Proxy,
    get_connection,
    get_proxy_connection,
    ref,
)
from winbridge.remote.values import Values


@pytest.fixture(scope="module", params=["same", "oldest"])
def connection(request):
    python = oldest_python()
    if request.param == "oldest" and python is None:
        pytest.skip("no CPython 3.8 on this machine")
    with peer(python) if request.param == "oldest" else peer() as connection:
        yield connection


@pytest.fixture
def account(connection):
    return connection.call_ref(far.Account, 5)


# -- what one does to a proxy is done to the object


def test_methods_attributes_and_text(connection, account):
    assert isinstance(account, Proxy) and get_proxy_connection(account) is connection
    assert (str(account), repr(account), f"{account:03}") == ("5 EUR", "Account(5)", "005")
    account.balance = 7
    assert account.balance == 7 and account.kind == "giro"
    account.deposit(amount=3)
    assert account.history == [3]
    del account.balance
    with pytest.raises(AttributeError, match="balance"):
        print(account.balance)
    assert {"deposit", "history"} <= set(dir(account)) and not hasattr(account, "nothing")


def test_private_names_stay_private(account):
    for attempt in (
        lambda: account._secret,
        lambda: setattr(account, "_secret", 1),
        lambda: delattr(account, "_secret"),
        lambda: account.deposit._secret,
    ):
        with pytest.raises(AttributeError, match="public"):
            attempt()


def test_a_method_that_returns_self_gives_the_same_proxy(account):
    assert account.deposit(1) is account
    assert account.deposit(1).deposit(2) is account
    assert account.__enter__() is account


def test_items_length_and_containment(connection):
    items = connection.call_ref(list, [1, 2, 3])
    items[0] = 10
    items.append(4)
    del items[1]
    assert (len(items), items[0], items[-1], items[0:2]) == (3, 10, 4, [10, 3])
    assert 10 in items and 11 not in items
    assert list(reversed(items)) == [4, 3, 10]
    table = connection.call_ref(dict, a=1)
    table["b"] = [2]
    assert "b" in table and dict(table.items()) == {"a": 1, "b": [2]} and sorted(table) == ["a", "b"]
    with pytest.raises(KeyError, match="c"):
        print(table["c"])


def test_truth(connection, account):
    assert account
    account.balance = 0
    assert not account
    assert not connection.call_ref(list) and connection.call_ref(list, [0])
    assert connection.call_ref(object)


def test_comparison_and_hash(connection, account):
    other = connection.call_ref(far.Account, 5)
    assert account == other and account == 5 and account != 6 and account < connection.call_ref(far.Account, 6)
    assert hash(account) == hash(other) == hash(5) and len({account, other}) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(connection.call_ref(list))
    plain = connection.call_ref(object)
    assert plain == plain and plain != connection.call_ref(object) and plain in {plain}


def test_arithmetic_reflected_and_in_place(connection, account):
    assert (account + 2).balance == 7 and (account + account).balance == 10
    assert "three" + account == "three and 5"
    same = account
    same += 4
    assert same is account and account.balance == 9
    number = connection.call_ref(int, 7)
    assert (number - 2, 2 - number, number // 2, divmod(number, 2), divmod(20, number)) == (5, -5, 3, (3, 1), (2, 6))
    assert (pow(number, 2, 5), 2**number, -number, abs(-number), ~number, number << 1) == (4, 128, -7, 7, -8, 14)
    assert (int(number), float(number), complex(number), round(number)) == (7, 7, 7, 7)
    assert list(range(10))[number] == 7  # __index__
    number += 1
    assert number == 8 and type(number) is int
    with pytest.raises(TypeError):
        account - 1
    with pytest.raises(TypeError, match="unsupported operand"):
        number + "x"


def test_calls(connection):
    function = connection.call_ref(eval, "max")
    assert callable(function) and function(3, 5) == 5
    words = {"self": 1, "name": 2, "number": 3, "function": 4, "args": 5}
    assert connection.call_ref(eval, "lambda **words: words")(**words) == words
    table = connection.call_ref(dict)
    table.update(**words)
    assert copy.copy(table) == words
    kind = connection.call_ref(far.class_of_accounts)
    made = kind(3)
    assert made.balance == 3
    lent = connection.call_ref(kind, 4)
    assert isinstance(lent, kind) and not isinstance(connection.call_ref(list), kind)
    assert not callable(lent)


def test_what_a_proxy_seems_to_be(connection, account):
    items = connection.call_ref(list, [1])
    assert isinstance(items, collections.abc.Sized) and isinstance(items, collections.abc.Iterable)
    assert not isinstance(items, list) and not isinstance(account, collections.abc.Sized)
    assert not hasattr(account, "__len__") and not callable(connection.call_ref(object))


def test_with(connection, account):
    with account as inside:
        assert inside is account
    with account:
        raise KeyError("swallowed there")
    with pytest.raises(far.OddError) as caught, account:
        raise far.OddError(3, reason="not swallowed")
    assert caught.value.code == 3
    history = account.history
    assert history[:2] == ["enter", (None, "None")]
    assert [text for _, text in history[3::2]] == ["'swallowed there'", "not swallowed (3)"]


def test_modules_and_functions_are_of_the_other_side(connection):
    system = connection.call_ref(__import__, "os")
    assert system.getpid() == int(connection.peer["pid"]) != os.getpid()
    assert system.path.join("a", "b") == os.path.join("a", "b")
    assert connection.call(far.apply, system.getpid) == int(connection.peer["pid"])
    assert callable(connection.call_ref(far.Account).deposit)
    module = connection.call_ref(importlib.import_module, far.__name__)
    for function in (module.cached, module.later_pid, module.echo):
        assert callable(function)
    assert module.cached() == module.later_pid() == module.os.getpid() == system.getpid()
    assert isinstance(module.Account(4), far.Account) and isinstance(module.Account, Proxy)


# -- results: data by value, all else by proxy


def test_data_comes_by_value(connection, account):
    account.history = [1, {"a": (2, b"x" * 100_000)}]
    assert account.history == [1, {"a": (2, b"x" * 100_000)}] and type(account.history) is list
    fork = account.fork()
    assert type(fork) is far.Account and fork.balance == 5


def test_what_has_no_copy_comes_as_a_proxy(connection, account):
    lock = account.lock()
    assert isinstance(lock, Proxy) and lock.acquire(timeout=0) and lock.locked()
    unknown = connection.call_ref(list, [1])
    unknown.append(connection.call_ref(far.make_unknown))
    assert unknown[1].twice() == 10 and isinstance(unknown[1], Proxy)
    mixed = unknown[:]
    assert mixed[0] == 1 and mixed[1] is unknown[1]
    assert isinstance(connection.call_ref(dict, a=1).keys(), Proxy)


# -- iteration


def test_a_long_list_takes_few_round_trips(connection, monkeypatch):
    items = connection.call_ref(list, range(10_000))
    trips = count_trips(monkeypatch)
    assert list(items) == list(range(10_000))
    assert len(trips) < 12
    trips.clear()
    short = connection.call_ref(range, 50)
    assert [item for item in short] == list(range(50)) and len(trips) == 1  # noqa: C416 - list() asks for len() too


def test_large_items_come_a_few_at_a_time(connection, monkeypatch):
    items = connection.call_ref(far.large_items, 40, 300_000)
    trips = count_trips(monkeypatch)
    assert [len(item) for item in items] == [300_000] * 40
    assert 8 <= len(trips) <= 20


def test_a_lazy_iterator_stays_lazy(connection):
    counting = connection.call_ref(far.Counting, 5)
    steps = iter(counting)
    assert steps is counting and next(steps) == 1 and counting.given == 1
    assert list(counting) == [2, 3, 4, 5] and counting.given == 5
    with pytest.raises(StopIteration):
        next(counting)
    seen = connection.call_ref(list)
    for number in connection.call_ref(far.generate, seen, 3):
        assert seen[-1] == number and len(seen) == number + 1


def test_an_exception_in_an_iteration_comes_after_the_items_before_it(connection):
    broken = iter(connection.call_ref(far.break_after, 2))
    assert [next(broken), next(broken)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(broken)
    table = connection.call_ref(dict.fromkeys, range(100))
    got = []
    with pytest.raises(RuntimeError, match="changed size"):  # noqa: PT012
        for key in table:
            got.append(key)
            if key == 3:
                table["new"] = 1
    assert got == list(range(64))  # the items that came with the first answer


def test_iterating_leaves_nothing_behind(connection):
    before = settled(connection)
    items = connection.call_ref(list, range(1000))
    for item in items:
        if item == 300:
            break
    del items
    assert settled(connection) == before


# -- identity, copies, garbage


def test_passing_back_gives_the_original(connection, account):
    assert connection.call(far.is_same, account, [account])
    items = connection.call_ref(list)
    items.append(items)
    assert items[0] is items and connection.call(far.is_same, items, items)


def test_objects_of_this_side_are_called_back_and_come_back_as_themselves(connection):
    here = far.Account(1)
    there = connection.call(far.deposit_into, ref(here), 5)
    assert here.balance == 6 and there is here
    assert connection.call(far.apply, ref(lambda: os.getpid())) == os.getpid()
    items = []
    connection.call(far.fill, ref(items), 3)
    assert items == [0, 1, 2]


def test_copies(connection, account):
    account.history = [[1]]
    for made in (copy.copy(account), copy.deepcopy(account)):
        assert not isinstance(made, Proxy) and (made.balance, made.history) == (5, [[1]])
    assert copy.deepcopy({"a": connection.call_ref(list, [1])}) == {"a": [1]}
    with pytest.raises(OperationError, match="lock"):
        copy.copy(connection.call_ref(threading.Lock))


def test_pickling_elsewhere_is_refused(connection, account):
    with pytest.raises(pickle.PicklingError, match=r"only through its own connection.*copy\.copy"):
        pickle.dumps(account)
    with pytest.raises(pickle.PicklingError, match="only as an argument or result"):
        pickle.dumps(ref(account))
    with peer() as another:
        with pytest.raises(OperationError, match="only through its own connection"):
            another.call(far.echo, account)
        chained = another.call_ref(far.echo, ref(account))
        chained.deposit(4)
        assert account.balance == 9
    with pytest.raises(TypeError, match="proxies are made by"):
        Proxy()
    with pytest.raises(TypeError, match="takes a proxy, not int"):
        get_proxy_connection(3)


def test_the_object_dies_after_its_proxy(connection):
    before = settled(connection)
    nodes = [connection.call(far.watched_node) for _ in range(20)]
    assert connection.call(far.alive) == 20 and settled(connection) == before + 20
    ring = [nodes.pop()]
    ring.append(ring)
    method = nodes[0].greet
    nodes.clear()
    assert connection.call(far.alive) == 2
    del ring, method
    gc.collect()
    assert connection.call(far.alive) == 0 and settled(connection) == before


def test_objects_of_this_side_die_after_their_proxies(connection):
    class Thing:
        pass

    thing = Thing()
    watch = weakref.ref(thing)
    connection.call(far.keep, ref(thing))
    del thing
    gc.collect()
    assert watch() is not None and connection.call(far.kept_is_alive)
    connection.call(far.keep, None)
    deadline = time.monotonic() + 30
    while watch() is not None and time.monotonic() < deadline:
        connection.call(far.echo, 1)  # brings the release along; another thread may be executing it
    assert watch() is None


def test_an_object_that_calls_the_other_side_when_it_dies(connection):
    class Caller:
        def __del__(self):
            said.append(connection.call(far.echo, "dying"))

    said = []
    for _ in range(20):
        connection.call(far.keep, ref(Caller()))
    connection.call(far.keep, None)
    deadline = time.monotonic() + 20
    turn = threading.Event()
    while len(said) < 20:
        assert time.monotonic() < deadline
        turn.wait(0.01)


def test_proxies_in_cycles_at_the_other_side(connection):
    class Thing:
        pass

    thing = Thing()
    watch = weakref.ref(thing)
    connection.call(far.keep_in_a_ring, ref(thing))
    del thing
    connection.call(far.alive)  # collects
    connection.call(far.echo, 1)
    gc.collect()
    assert watch() is None


# -- connections


def test_get_connection(connection):
    with pytest.raises(OperationError, match="executes no request"):
        get_connection()
    assert connection.call(far.backwards, ref(pid_by_connection), 1) == (os.getpid(), 1)


def test_a_lost_connection():
    with peer() as connection:
        account = connection.call_ref(far.Account, 5)
        items = connection.call_ref(list, range(1000))
        steps = iter(items)
        next(steps)
    for attempt in (
        lambda: account.deposit(1),
        lambda: account.balance,
        lambda: setattr(account, "balance", 1),
        lambda: account + 1,
        lambda: str(account),
        lambda: len(items),
        lambda: list(steps),
        lambda: copy.copy(account),
    ):
        with pytest.raises(DisconnectError):
            attempt()
    assert repr(account) == f"<Proxy of {far.Account.__module__}.Account, disconnected>"


def test_exceptions_of_the_object_are_its_own(account):
    with pytest.raises(far.OddError) as caught:
        account.fail_oddly("why")
    assert caught.value.reason == "why" and "in fail_oddly" in str(caught.value.__cause__)


# -- asynchronous


def test_await_and_async_for_and_async_with(connection):
    async def use():
        later = connection.call_ref(far.Later)
        assert await later == "awaited"
        assert await later.answer([1]) == [1]
        with pytest.raises(LookupError, match="later"):
            await later.fail()
        assert [number async for number in later.numbers(3)] == [0, 1, 2]
        async with later as inside:
            assert inside is later
            raise KeyError("swallowed")
        numbers = later.numbers(1)
        assert await numbers.__anext__() == 0
        with contextlib.suppress(StopAsyncIteration):
            raise AssertionError(await numbers.__anext__())
        assert later.log == ["enter", "'swallowed'"]
        return await asyncio.gather(*(later.answer(number) for number in range(5)))

    assert asyncio.run(use()) == [0, 1, 2, 3, 4]


def test_what_an_answer_lends_that_nobody_waits_for_is_released(connection, monkeypatch):
    before = settled(connection)
    discarded = threading.Event()
    discard = Values.discard
    monkeypatch.setattr(Values, "discard", lambda *args: discard(*args) or discarded.set())
    assert connection.submit(far.wait_then_lend).cancel()
    connection.call(far.open_gate)
    while not discarded.is_set():
        connection.call(far.echo, 1)
    assert settled(connection) == before


def test_giving_up_an_await_cancels_it_there(connection):
    async def use():
        later = connection.call_ref(far.Later)
        task = asyncio.ensure_future(later.sleep())
        while "sleeping" not in later.log:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        deadline = time.monotonic() + 20
        while "cancelled" not in later.log:
            assert time.monotonic() < deadline
            await asyncio.sleep(0)

    asyncio.run(use())


def test_a_release_does_not_wait_for_the_next_message(connection):
    class Thing:
        pass

    thing = Thing()
    watch = weakref.ref(thing)
    connection.call(far.keep_for_a_while, ref(thing))
    del thing
    deadline = time.monotonic() + 20
    turn = threading.Event()
    while watch() is not None:
        assert time.monotonic() < deadline
        turn.wait(0.01)


def pid_by_connection(value):
    assert isinstance(get_connection(), Connection)
    return os.getpid(), value


def settled(connection):
    """How many objects the peer lends, once it knows of all proxies that died here."""
    gc.collect()
    connection.call(far.echo, 0)
    return connection.call(far.lent)


def count_trips(monkeypatch):
    trips = []
    call = Connection.call
    monkeypatch.setattr(Connection, "call", lambda self, *args, **more: trips.append(1) or call(self, *args, **more))
    return trips
