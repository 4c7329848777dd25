"""What is called at the other side, in tests: a child imports this. It runs on Python 3.8 too."""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib.resources
import logging
import operator
import os
import pkgutil
import sys
import threading
import types
import weakref

from winbridge.remote import get_connection, ref
from winbridge.remote.logging import RemoteHandler


def echo(value):
    return value


def lent():
    """How many objects this side lends to the caller."""
    gc.collect()
    return len(get_connection().references)


def backwards(function, *args):
    """Call back."""
    return get_connection().call(function, *args)


class Account:
    """Something with state, methods and operators."""

    kind = "giro"

    def __init__(self, balance=0):
        self.balance = balance
        self.history = []

    def deposit(self, amount):
        self.balance += amount
        self.history.append(amount)
        return self

    def fork(self):
        return Account(self.balance)

    def fail_oddly(self, reason):
        raise OddError(3, reason=reason)

    def lock(self):
        return threading.Lock()

    def __add__(self, other):
        return Account(self.balance + getattr(other, "balance", other))

    def __radd__(self, other):
        return f"{other} and {self.balance}"

    def __iadd__(self, other):
        self.balance += other
        return self

    def __eq__(self, other):
        return self.balance == getattr(other, "balance", other)

    def __lt__(self, other):
        return self.balance < getattr(other, "balance", other)

    def __hash__(self):
        return hash(self.balance)

    def __bool__(self):
        return self.balance > 0

    def __format__(self, form):
        return format(self.balance, form)

    def __str__(self):
        return f"{self.balance} EUR"

    def __repr__(self):
        return f"Account({self.balance})"

    def __enter__(self):
        self.history.append("enter")
        return self

    def __exit__(self, kind, error, traceback):
        self.history.append((kind, str(error)))
        return kind is KeyError


def class_of_accounts():
    return Account


def apply(function, *args):
    return function(*args)


def is_same(one, other):
    return one is (other[0] if type(other) is list and other is not one else other) and type(one) is not type(ref(1))


def deposit_into(account, amount):
    return account.deposit(amount)


def fill(items, count):
    for number in range(count):
        items.append(number)


def large_items(count, size):
    return [bytes(size)] * count


def generate(seen, end):
    for number in range(end):
        seen.append(number)
        yield number


def break_after(count):
    yield from range(count)
    raise ZeroDivisionError


_kept = []


def keep(value):
    _kept[:] = [value]


def keep_for_a_while(value):
    """Until after the answer."""
    keep(value)
    threading.Timer(0.2, keep, [None]).start()


def kept_is_alive():
    return bool(_kept[0].__class__)


def keep_in_a_ring(value):
    ring = [value]
    ring.append(ring)


@functools.lru_cache(maxsize=None)
def cached():
    return os.getpid()


later_pid = functools.partial(os.getpid)


_gate = threading.Event()


def wait_then_lend():
    """Until the gate opens; it does not care for being cancelled."""
    try:
        _gate.wait()
    except BaseException:
        return ref(Node())
    return ref(Node())


def open_gate():
    _gate.set()


_endings = []


def ask_caller(way, started, event):
    """Wait for the caller from within its call, and remember how that ended."""
    try:
        started()
        _ASKING[way](event)
    except BaseException as error:
        _endings.append(type(error).__name__)
        raise
    _endings.append("went on")


def endings():
    return _endings


def forget_endings():
    _endings.clear()


def _ask_often(event):
    while not event.is_set():
        pass


def _wait_for_future(event):
    get_connection().submit(operator.methodcaller("wait"), event).result()


_inner = threading.Event()
_inner_begun = threading.Event()


def wait_further_in():
    _inner_begun.set()
    _inner.wait()


def let_it_out():
    """As soon as it is in."""
    _inner_begun.wait()
    _inner.set()


def _wait_further_in(event):
    get_connection().call(backwards, wait_further_in)


_ASKING = {
    "call": operator.methodcaller("wait"),
    "many calls": _ask_often,
    "future": _wait_for_future,
    "call within call": _wait_further_in,
}


class Counting:
    """A lazy iterator that counts what it gave."""

    def __init__(self, end):
        self.given = 0
        self.end = end

    def __iter__(self):
        return self

    def __next__(self):
        if self.given == self.end:
            raise StopIteration
        self.given += 1
        return self.given


class Later:
    """Everything asynchronous."""

    def __init__(self):
        self.log = []

    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "awaited"

    async def answer(self, value):
        await asyncio.sleep(0)
        return value

    async def sleep(self):
        self.log.append("sleeping")
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise

    async def fail(self):
        raise LookupError("later")

    async def numbers(self, end):
        for number in range(end):
            await asyncio.sleep(0)
            yield number

    async def __aenter__(self):
        self.log.append("enter")
        return self

    async def __aexit__(self, kind, error, traceback):
        self.log.append(str(error))
        return kind is KeyError


class Node:
    """For reference cycles."""

    def greet(self):
        return "hello"


_watched = []


def watched_node():
    node = Node()
    _watched.append(weakref.ref(node))
    return ref(node)


def alive():
    gc.collect()
    return sum(one() is not None for one in _watched)


class OddError(Exception):
    """Its args are not what its __init__ takes."""

    def __init__(self, code, *, reason):
        super().__init__(f"{reason} ({code})")
        self.code = code
        self.reason = reason


class FileOddError(FileNotFoundError):
    def __init__(self, name):
        super().__init__(2, "no such thing", name)
        self.short = name[:3]


class ReducingError(Exception):
    def __init__(self, number, text):
        super().__init__(text)
        self.number = number

    def __reduce__(self):
        return type(self), (self.number, self.args[0])


class SlottedError(Exception):
    __slots__ = ("where",)


def raise_odd():
    raise OddError(7, reason="odd")


def raise_file():
    raise FileOddError("nothing.txt")


def raise_reducing():
    raise ReducingError(5, "five")


def raise_slotted():
    error = SlottedError("slot")
    error.where = "there"
    raise error


def raise_chained():
    try:
        raise_odd()
    except OddError as error:
        raise ValueError("outer") from error


def raise_in_context():
    try:
        raise_odd()
    except OddError:
        os.listdir("/nowhere")


def raise_with_lock():
    error = ValueError("holds a lock")
    error.lock = threading.Lock()
    raise error


def raise_over_lock():
    try:
        raise_with_lock()
    except ValueError as error:
        raise KeyError("outer") from error


def raise_local():
    class LocalError(Exception):
        pass

    raise LocalError("nobody knows me")


def raise_noted():
    error = ValueError("noted")
    error.add_note("a note")
    raise error


def raise_group():
    raise ExceptionGroup("many", [OddError(1, reason="one"), ExceptionGroup("inner", [KeyError("k")])])  # noqa: F821


def raise_unicode():
    b"\xff".decode("utf-8")


def raise_mute():
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError("mute")

    raise MuteError


def make_unknown():
    """An object of a class that the other side cannot import."""
    space = {"__name__": "only_there"}
    exec("class Unknown:\n    x = 5\n    def twice(self): return 2 * self.x", space)
    sys.modules["only_there"] = types.SimpleNamespace(**space)
    return space["Unknown"]()


def get_data(package, name):
    return pkgutil.get_data(package, name)


def resources(package):
    """What the standard library says of an exported package's resources."""
    got = {"version": sys.version_info[:2], "pkgutil": pkgutil.get_data(package, "data/note.txt")}
    if sys.version_info >= (3, 10):
        files = importlib.resources.files(package)
        note = files.joinpath("data", "note.txt")
        got["text"] = (files / "data" / "note.txt").read_text(encoding="utf-8")
        got["listing"] = [child.name for child in files.iterdir()]
        got["missing"] = (files / "missing").is_file() or (files / "missing").is_dir()
        got["binary"] = (files / "data.bin").open("rb").read()
        got["is"] = note.is_file(), note.is_dir()
        with importlib.resources.as_file(note) as path:
            got["as_file"] = path.read_text(encoding="utf-8")
        return got
    got["binary"] = importlib.resources.read_binary(package, "data.bin")
    got["is"] = importlib.resources.is_resource(package, "data.bin"), importlib.resources.is_resource(package, "data")
    return got


class Collecting(logging.Handler):
    """Keeps records."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def log(name, level, message, args=(), extra=None):
    logging.getLogger(name).log(level, message, *args, extra=extra)


def log_failure(name, extra=None):
    try:
        raise_odd()
    except OddError:
        logging.getLogger(name).exception("failed at %s", "work", extra=extra)


def log_strange(name):
    """Arguments that cannot be pickled, and one that changes afterwards."""
    changing = [1]
    logging.getLogger(name).error("lock %s and %s", threading.Lock(), changing, extra={"lock": threading.Lock()})
    changing.append(2)
    logging.getLogger(name).error("%s unknown", "an", extra={"thing": make_unknown_at_the_caller()})


def make_unknown_at_the_caller():
    space = {"__name__": "only_there_for_logs"}
    exec("class Thing:\n    def __repr__(self): return 'a thing'", space)
    sys.modules["only_there_for_logs"] = types.SimpleNamespace(**space)
    return space["Thing"]()


class LoggingWhenCollected:
    def __del__(self):
        logging.getLogger("far.collected").warning("collected")


def log_from_many(name, threads, count):
    """From threads, and from __del__ in the middle of that."""

    def work(number):
        for turn in range(count):
            ring = [LoggingWhenCollected()]
            ring.append(ring)
            logging.getLogger(name).warning("%d %d", number, turn)

    working = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    gc.collect()
    flush_logs()


def handlers(name=""):
    return [handler for handler in logging.getLogger(name).handlers if isinstance(handler, RemoteHandler)]


def flush_logs():
    for handler in handlers():
        handler.flush()


def flood(name, count):
    """More than the queue takes, while the caller's loggers are slow; how many were dropped."""
    for turn in range(count):
        logging.getLogger(name).warning("%d", turn)
    return handlers()[0].dropped


def new_handler():
    handler = RemoteHandler(get_connection())
    logging.getLogger().addHandler(handler)
    return handler


def logging_threads():
    threads = [thread for thread in threading.enumerate() if thread.name == "winbridge-remote-logging"]
    for thread in threads:
        thread.join(10)
    return sum(thread.is_alive() for thread in threads)


def count_handlers():
    return [type(handler).__name__ for handler in handlers()]


def add_handler(handler):
    logging.getLogger().addHandler(handler)


def messages_of(handler):
    return [record.getMessage() for record in handler.records]


def log_each_send(name):
    """From now on the connection logs all that it is asked to call."""
    connection = get_connection()
    call = type(connection).call

    def logging_call(self, *args, **kwargs):
        logging.getLogger(name).warning("sending")
        return call(self, *args, **kwargs)

    type(connection).call = logging_call
