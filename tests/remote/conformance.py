"""What every connection does, whatever carries it: one suite for all transports.

A test module makes it run by a subclass and a fixture ``connection``::

    class TestOverSsh(Conformance):
        @pytest.fixture(scope="class")
        def connection(self):
            with over_ssh() as connection:
                yield connection
"""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed

import pytest

from tests.remote import subject
from winbridge.remote import Connection, OperationError, RemoteTraceback

LONG = 30
"""Seconds after which a test that waits for something gives up."""


class Conformance:
    """See the module."""

    def test_says_what_it_is(self, connection: Connection) -> None:
        assert connection.is_connected()
        assert "open" in repr(connection)
        assert connection.call(os.getpid) == int(connection.peer["pid"]) != os.getpid()

    def test_calls_with_arguments_of_all_sorts(self, connection: Connection) -> None:
        given = (1, -2.5, "text ü", b"bytes", None, [1, (2, {3})], {"a": {"b": 1 << 80}})
        assert connection.call(subject.echo, *given, name="x") == (given, {"name": "x"})

    @pytest.mark.parametrize("size", [0, 1, 100, 1 << 16, (1 << 16) + 1, 3_000_000])
    @pytest.mark.parametrize("kind", [bytes, bytearray, str])
    def test_data_of_any_size_keep_their_type(self, connection: Connection, kind: type, size: int) -> None:
        value = "ä" * size if kind is str else kind(os.urandom(size))
        result = connection.call(subject.same, value)
        assert result == value
        assert type(result) is kind

    def test_many_buffers_in_one_message(self, connection: Connection) -> None:
        values = [bytes([number]) * (70_000 + number) for number in range(200)]
        assert connection.call(subject.same, values) == values

    def test_an_exception_comes_back_as_itself(self, connection: Connection) -> None:
        with pytest.raises(subject.OwnError, match=r"own \(7\)") as caught:
            connection.call(subject.fail_with_own, 7)
        assert caught.value.code == 7
        cause = caught.value.__cause__
        assert isinstance(cause, RemoteTraceback)
        assert "in fail_with_own" in str(cause)
        assert "serving.py" not in str(cause)

    def test_an_exception_that_pickles_badly_is_told_about(self, connection: Connection) -> None:
        with pytest.raises((OperationError, subject.StubbornError), match="one"):
            connection.call(subject.fail_stubbornly)
        with pytest.raises((OperationError, ValueError), match="with a lock inside") as caught:
            connection.call(subject.fail_unpicklably)
        assert "fail_unpicklably" in str(caught.value.__cause__)

    def test_values_that_cannot_travel_are_named_and_do_no_harm(self, connection: Connection) -> None:
        with pytest.raises(OperationError, match="lock"):
            connection.call(subject.same, threading.Lock())
        with pytest.raises(OperationError, match="lock"):
            connection.call(subject.unpicklable)
        assert connection.call(subject.same, 1) == 1

    def test_call_ref_and_replicate_leave_the_object_there(self, connection: Connection) -> None:
        proxy = connection.call_ref(list, [1, 2])
        proxy.append(3)
        assert connection.call(len, proxy) == 3
        copy = connection.replicate({"a": 1})
        copy["b"] = 2
        assert connection.call(sorted, copy) == ["a", "b"]

    def test_execute_gives_the_value_of_the_last_expression(self, connection: Connection) -> None:
        assert connection.execute("import math\nradius = start + 1\nmath.floor(radius * 2)", start=1) == 4
        assert connection.execute("radius") == 2
        assert connection.execute("radius = 5") is None
        assert connection.execute("") is None
        with pytest.raises(ZeroDivisionError) as caught:
            connection.execute("a = 1\nb = a / 0\n")
        assert "b = a / 0" in str(caught.value.__cause__)
        with pytest.raises(SyntaxError):
            connection.execute("def")

    def test_eval_takes_names_or_the_main_module(self, connection: Connection) -> None:
        assert connection.eval("a + b", {"a": 1}, {"b": 2}) == 3
        assert connection.eval("x = 4\nx * 2", {}) == 8
        connection.execute("shared_name = 11")
        assert connection.eval("shared_name") == 11
        for wrong in ((b"1",), ("1", []), ("1", None, 3)):
            with pytest.raises(TypeError):
                connection.eval(*wrong)

    def test_callbacks_run_on_the_thread_that_waits(self, connection: Connection) -> None:
        here = os.getpid(), threading.get_ident()
        assert connection.call(subject.call_back, subject.where) == here

    def test_recursion_across_both_sides(self, connection: Connection) -> None:
        threads = connection.call(subject.ping_pong, 41)
        assert len(threads) == 42
        assert len(set(threads[::2])) == 1
        assert set(threads[1::2]) == {threading.get_ident()}

    def test_errors_of_callbacks_pass_through_both_sides(self, connection: Connection) -> None:
        with pytest.raises(subject.OwnError) as caught:
            connection.call(subject.call_back, subject.fail_with_own, 3)
        assert "in call_back" in str(caught.value.__cause__)
        assert "in fail_with_own" in str(caught.value.__cause__)

    def test_callbacks_from_many_threads(self, connection: Connection) -> None:
        def work(number: int) -> bool:
            here = os.getpid(), threading.get_ident()
            return all(
                connection.call(subject.same, (number, turn)) == (number, turn)
                and connection.call(subject.call_back, subject.where) == here
                for turn in range(40)
            )

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(16)))

    def test_a_long_call_holds_up_nobody(self, connection: Connection) -> None:
        future = connection.submit(subject.wait_for_gate, "long")
        with pytest.raises(TimeoutError):
            future.result(0.05)
        assert not future.done()
        connection.call(subject.open_gate, "long")
        assert future.result(LONG) == "long"

    def test_many_long_calls_at_once(self, connection: Connection) -> None:
        names = [f"many{number}" for number in range(20)]
        futures = [connection.submit(subject.wait_for_gate, name) for name in names]
        for name in reversed(names):
            connection.call(subject.open_gate, name)
        assert {future.result(LONG) for future in as_completed(futures, LONG)} == set(names)

    def test_threads_that_wait_are_released_in_any_order(self, connection: Connection) -> None:
        names = [f"order{number}" for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            waiting = [pool.submit(connection.call, subject.wait_for_gate, name) for name in names]
            for number in (3, 0, 5, 1, 4, 2):
                connection.call(subject.open_gate, names[number])
                assert waiting[number].result(LONG) == names[number]

    def test_futures_of_both_kinds_of_end(self, connection: Connection) -> None:
        assert connection.submit(divmod, 7, 2).result(LONG) == (3, 1)
        error = connection.submit(divmod, 7, 0).exception(LONG)
        assert isinstance(error, ZeroDivisionError)
        assert isinstance(error.__cause__, RemoteTraceback)

    def test_a_callback_of_a_future_may_call(self, connection: Connection) -> None:
        got: list[int] = []
        done = threading.Event()

        def chain(_: object) -> None:
            got.append(connection.call(abs, -5))
            done.set()

        connection.submit(abs, -1).add_done_callback(chain)
        assert done.wait(LONG)
        assert got == [5]

    def test_cancelling_interrupts_what_runs(self, connection: Connection) -> None:
        future = connection.submit(subject.spin)
        connection.call(subject.wait_for_gate, "spinning")
        assert future.cancel()
        with pytest.raises(CancelledError):
            future.result(LONG)
        connection.call(subject.wait_for_gate, "interrupted")
        assert connection.call(subject.what_was_seen)[-1] == "CallCancelled"
        assert not connection.submit(abs, 1).result(LONG) - 1

    def test_cancelling_what_is_done_does_nothing(self, connection: Connection) -> None:
        future = connection.submit(abs, -3)
        assert future.result(LONG) == 3
        assert not future.cancel()

    def test_map_is_in_order_whatever_the_sizes(self, connection: Connection) -> None:
        assert list(connection.map(pow, range(3000), itertools.repeat(2))) == [n**2 for n in range(3000)]
        assert list(connection.map(abs, [])) == []

    def test_map_stops_at_the_item_that_fails(self, connection: Connection) -> None:
        results = connection.map(divmod, [9, 8, 7], [3, 0, 1])
        assert next(results) == (3, 0)
        with pytest.raises(ZeroDivisionError):
            next(results)

    def test_map_takes_no_more_than_it_needs(self, connection: Connection) -> None:
        counter = itertools.count()
        results = connection.map(subject.same, counter)
        assert [next(results) for _ in range(10)] == list(range(10))
        results.close()
        assert next(counter) < 5000

    def test_coroutines_run_calls_at_the_same_time(self, connection: Connection) -> None:
        async def both() -> tuple[str, None]:
            waiting = asyncio.ensure_future(connection.call_async(subject.wait_for_gate, "coroutine"))
            await connection.call_async(subject.open_gate, "coroutine")
            return await asyncio.wait_for(waiting, LONG), None

        assert asyncio.run(both()) == ("coroutine", None)

    def test_output_belongs_to_its_call(self, connection: Connection) -> None:
        first = connection.submit(subject.say, "one\ntwo ü\nrest")
        second = connection.submit(subject.say, "other\n")
        assert list(connection.output(first)) == [(1, "one"), (1, "two ü"), (1, "rest")]
        assert list(connection.output(second)) == [(1, "other")]

    def test_large_messages_both_ways_at_once(self, connection: Connection) -> None:
        data = os.urandom(2_000_000)
        with ThreadPoolExecutor(4) as pool:
            assert all(result == data for result in pool.map(lambda _: connection.call(subject.same, data), range(12)))
