"""Counting of references: whatever the order in which messages are packed, sent, unpacked and proxies die."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from winbridge.remote import OperationError, Options, ref
from winbridge.remote.proxy import Proxy
from winbridge.remote.references import References
from winbridge.remote.values import Values


class Side:
    """As much of a connection as references know: the messages are moved by the test."""

    def __init__(self):
        self.references = References(self)
        self.values = Values(self.references, Options())


class Thing:
    pass


@pytest.fixture
def sides():
    return Side(), Side()


def test_an_object_lives_as_long_as_its_proxy(sides):
    owner, holder = sides
    thing = Thing()
    watch = weakref.ref(thing)
    proxy = holder.values.loads(*owner.values.dumps(ref(thing)))
    del thing
    assert isinstance(proxy, Proxy) and watch() is not None and len(owner.references) == 1
    del proxy
    owner.references.release(holder.references.released())
    assert watch() is None and len(owner.references) == 0
    assert holder.references.released() == []


def test_the_same_object_is_the_same_proxy_and_comes_back_as_itself(sides):
    owner, holder = sides
    thing = Thing()
    one = holder.values.loads(*owner.values.dumps(ref(thing)))
    both = holder.values.loads(*owner.values.dumps([ref(thing), ref(ref(thing))]))
    assert both[0] is both[1] is one
    assert owner.values.loads(*holder.values.dumps({"back": one}))["back"] is thing
    assert owner.values.loads(*holder.values.dumps(ref(one))) is thing


def test_an_object_on_its_way_survives_the_release_of_an_earlier_proxy(sides):
    owner, holder = sides
    thing = Thing()
    first = holder.values.loads(*owner.values.dumps(ref(thing)))
    under_way = owner.values.dumps(ref(thing))
    del first
    owner.references.release(holder.references.released())
    proxy = holder.values.loads(*under_way)
    assert owner.values.loads(*holder.values.dumps(proxy)) is thing


def test_a_proxy_that_is_passed_back_and_dies_is_still_found_when_the_message_is_unpacked_late(sides):
    owner, holder = sides
    proxy = holder.values.loads(*owner.values.dumps(ref(Thing())))
    back = [holder.values.dumps(proxy), holder.values.dumps(proxy)]
    del proxy
    owner.references.release(holder.references.released())
    assert len(owner.references) == 1
    assert owner.values.loads(*back[0]) is owner.values.loads(*back[1])
    assert len(owner.references) == 0


def test_what_cannot_be_sent_lends_nothing(sides):
    owner, holder = sides
    proxy = holder.values.loads(*owner.values.dumps(ref(Thing())))
    with pytest.raises(OperationError):
        owner.values.dumps([ref(Thing()), threading.Lock()])
    with pytest.raises(OperationError):
        holder.values.dumps([proxy, ref(Thing()), threading.Lock()])
    assert len(owner.references) == 1 and len(holder.references) == 0
    del proxy
    owner.references.release(holder.references.released())
    assert len(owner.references) == 0


def test_a_proxy_in_a_cycle_is_collected(sides):
    owner, holder = sides
    ring = [holder.values.loads(*owner.values.dumps(ref(Thing())))]
    ring.append(ring)
    del ring
    gc.collect()
    owner.references.release(holder.references.released())
    assert len(owner.references) == 0


def test_an_unknown_number_is_an_error_that_says_so(sides):
    with pytest.raises(OperationError, match="object number 99 is not lent"):
        sides[0].references.borrowed(99)
    sides[0].references.release([(99, 1, 0)])  # of a connection that was cleared


def test_clear_lets_everything_go_and_later_deaths_are_not_kept(sides):
    owner, holder = sides
    thing = Thing()
    watch = weakref.ref(thing)
    proxy = holder.values.loads(*owner.values.dumps(ref(thing)))
    del thing
    owner.references.clear()
    holder.references.clear()
    del proxy
    assert watch() is None and not holder.references.pending


def test_a_release_waits_for_nobody(sides):
    """Who reads for all threads releases; it must go on even if another thread is in the middle of something."""
    owner, holder = sides
    thing = Thing()
    watch = weakref.ref(thing)
    proxy = holder.values.loads(*owner.values.dumps(ref(thing)))
    del thing, proxy
    inside, go_on = threading.Event(), threading.Event()

    def hold():
        with owner.references._locked():
            inside.set()
            go_on.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(30)
    owner.references.release(holder.references.released())
    assert watch() is not None
    go_on.set()
    thread.join()
    assert watch() is None and len(owner.references) == 0


class Interleavings(RuleBasedStateMachine):
    """Messages and releases are under way in any number and unpacked in any order; releases come in order.

    The rules: an object is there whenever a message with it is unpacked, and nothing is left when all is quiet.
    """

    things = Bundle("things")

    def __init__(self):
        super().__init__()
        self.owner, self.holder = Side(), Side()
        self.watched = []
        self.there = []  # (packed, watch) on the way to the holder
        self.back = []  # (packed, watch) on the way to the owner
        self.releases = []
        self.proxies = []  # (proxy, watch)

    @rule()
    def lend_a_new_one(self):
        thing = Thing()
        self.watched.append(weakref.ref(thing))
        self.there.append((self.owner.values.dumps(ref(thing)), self.watched[-1]))

    @rule(which=st.integers(0, 99))
    def lend_again(self, which):
        living = [watch for watch in self.watched if watch() is not None]
        if living:
            watch = living[which % len(living)]
            self.there.append((self.owner.values.dumps([ref(watch())]), watch))

    @rule(which=st.integers(0, 99))
    def arrive(self, which):
        if self.there:
            packed, watch = self.there.pop(which % len(self.there))
            proxy = self.holder.values.loads(*packed)
            self.proxies.append((proxy[0] if type(proxy) is list else proxy, watch))

    @rule(which=st.integers(0, 99))
    def pass_back(self, which):
        if self.proxies:
            proxy, watch = self.proxies[which % len(self.proxies)]
            self.back.append((self.holder.values.dumps(proxy), watch))

    @rule(which=st.integers(0, 99))
    def come_back(self, which):
        if self.back:
            packed, watch = self.back.pop(which % len(self.back))
            assert self.owner.values.loads(*packed) is watch()

    @rule(which=st.integers(0, 99))
    def drop(self, which):
        if self.proxies:
            self.proxies.pop(which % len(self.proxies))

    @rule()
    def tell(self):
        self.releases.append(self.holder.references.released())

    @rule()
    def be_told(self):
        if self.releases:
            self.owner.references.release(self.releases.pop(0))

    @invariant()
    def what_is_referred_to_lives(self):
        for _, watch in [*self.there, *self.back, *self.proxies]:
            assert watch() is not None

    def teardown(self):
        while self.there:
            self.arrive(0)
        while self.back:
            self.come_back(0)
        self.proxies.clear()
        self.tell()
        while self.releases:
            self.be_told()
        assert len(self.owner.references) == 0
        assert all(watch() is None for watch in self.watched)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_many_threads_lend_and_release(sides):
    owner, holder = sides
    shared = [Thing() for _ in range(5)]
    failures = []

    def work():
        try:
            for turn in range(300):
                thing = shared[turn % 5] if turn % 2 else Thing()
                proxy = holder.values.loads(*owner.values.dumps(ref(thing)))
                back = holder.values.dumps(proxy)
                del proxy
                owner.references.release(holder.references.released())
                assert owner.values.loads(*back) is thing
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owner.references.release(holder.references.released())
    assert not failures
    assert len(owner.references) == 0
