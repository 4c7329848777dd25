"""Cases: calls of several Python threads at the same time. That they overlap is proved by events, not by time."""

from __future__ import annotations

import threading

from tests.dropin_registry import case, prototyped


def event(c):
    create = prototyped(c.WinDLL("kernel32").CreateEventW, c.c_void_p, c.c_void_p, c.c_int, c.c_int, c.c_wchar_p)
    return create(None, True, False, None)


def together(*actions):
    """Run each in a thread of its own; returns their results."""
    found = [None] * len(actions)

    def run(index):
        found[index] = actions[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


@case
def calls_at_the_same_time(c, dll):
    """Each call ends when the other has begun."""
    meet = prototyped(dll.set_and_wait, c.c_int, c.c_void_p, c.c_void_p)
    one, two = event(c), event(c)
    return together(lambda: meet(one, two), lambda: meet(two, one))


@case
def python_runs_while_a_dll_does(c, dll):
    """The DLL waits for an event that only Python code, which runs meanwhile, has set."""
    wait = prototyped(dll.set_and_wait, c.c_int, c.c_void_p, c.c_void_p)
    kernel32 = c.WinDLL("kernel32")
    kernel32.SetEvent.argtypes = [c.c_void_p]
    begun, end = event(c), event(c)
    counted = []

    def other():
        kernel32.WaitForSingleObject(c.c_void_p(begun), 20000)
        counted.append(sum(range(1000)))
        return kernel32.SetEvent(end)

    return [together(lambda: wait(begun, end), other), counted]


@case
def eight_threads_at_the_same_time(c, dll):
    """A ring: each waits for the next one, so that all have to be in their calls."""
    meet = prototyped(dll.set_and_wait, c.c_int, c.c_void_p, c.c_void_p)
    events = [event(c) for _ in range(8)]
    return together(*[lambda index=index: meet(events[index], events[(index + 1) % 8]) for index in range(8)])


@case
def each_thread_has_its_windows_thread(c, dll):
    alive = threading.Barrier(3)

    def work():
        found = [dll.thread_id(), dll.thread_id()]
        alive.wait(30)
        return found

    found = together(work, work, work)
    return [all(one == two for one, two in found), len({one for one, _ in found})]


@case
def last_errors_at_the_same_time(c, dll):
    swap = c.CDLL(dll._name, use_last_error=True).swap_last
    turns = threading.Barrier(3)

    def work(code):
        found = []
        c.set_last_error(code)
        for step in range(5):
            turns.wait(30)
            found.append([swap(code + step + 1), c.get_last_error()])
        return found

    return together(lambda: work(100), lambda: work(200), lambda: work(300))


@case
def windows_last_error_stays_with_its_thread(c, dll):
    turns = threading.Barrier(2)

    def work(code):
        c.set_last_error(code)
        keep = c.WinDLL("kernel32", use_last_error=True).GetLastError
        turns.wait(30)
        first = keep()
        turns.wait(30)
        return [first, keep()]

    return together(lambda: work(5), lambda: work(6))


@case
def errno_at_the_same_time(c, dll):
    turns = threading.Barrier(2)

    def work(code):
        c.set_errno(code)
        turns.wait(30)
        return c.get_errno()

    return together(lambda: work(2), lambda: work(13))


@case
def callbacks_at_the_same_time(c, dll):
    """Each callback waits for the other one's: both calls are in Python at once."""
    turns = threading.Barrier(2)
    kind = c.CFUNCTYPE(c.c_int, c.c_int)

    def work(code):
        seen = []

        def call(value):
            turns.wait(30)
            seen.append(threading.get_ident())
            return value + code

        found = dll.call_twice(kind(call))
        return [found, seen == [threading.get_ident()] * 2]

    return together(lambda: work(0), lambda: work(10))


@case
def a_shared_object_of_two_threads(c, dll):
    numbers = (c.c_int * 2)()
    meet = prototyped(dll.set_and_wait, c.c_int, c.c_void_p, c.c_void_p)
    one, two = event(c), event(c)

    def work(index, own, other):
        dll.fill_ints(c.byref(numbers, 4 * index), 1, 10 + index)
        meet(own, other)
        return list(numbers)

    return together(lambda: work(0, one, two), lambda: work(1, two, one))


@case
def many_calls_of_many_threads(c, dll):
    """Each thread has its objects and its callbacks, and none sees those of another."""
    kind = c.CFUNCTYPE(c.c_int, c.c_int)

    def work(number):
        numbers = (c.c_int * 16)()
        called = []
        callback = kind(lambda value: called.append(value) or value + number)
        sums = set()
        for step in range(100):
            dll.fill_ints(numbers, 16, number + step)
            sums.add(dll.sum_ints(numbers, 16) - 16 * step)
            sums.add(dll.call_twice(callback) - 101 * number + 16 * number + 18)
        return [sorted(sums), len(called)]

    return together(*[lambda number=number: work(number) for number in range(0, 8000, 1000)])


@case
def objects_of_one_thread_used_by_another(c, dll):
    numbers = (c.c_int * 4)()
    pointer = c.pointer(numbers)
    callback = c.CFUNCTYPE(c.c_int, c.c_int)(lambda value: value + numbers[0])
    together(lambda: dll.fill_ints(pointer, 4, 5))
    kept = together(lambda: dll.keep_int(numbers), lambda: dll.keep_function(callback))
    return [
        list(numbers),
        pointer.contents[3],
        len(kept),
        dll.read_kept(),
        dll.call_kept(2),
        together(lambda: dll.call_kept(3)),
    ]
