"""What sessions cost: start, memory, throughput, and processor time while nothing happens or a DLL takes long.

    python measure_sessions.py OPTIONS

OPTIONS is JSON: ``path`` of the DLL, ``measure`` (a name of ``MEASURES``), ``count`` (of sessions or threads),
``cores`` (how many to use, 0 for all), ``seconds`` (to measure). Prints a line of JSON for each figure.
"""

import contextlib
import json
import sys
import threading
import time
from pathlib import Path

from reporting import keep_to, report

from winbridge import CtypesSession


def open_sessions(count):
    return [CtypesSession(arch="win64") for _ in range(count)]


def process_of(session):
    """The process id of a session's agent."""
    return session.session.transport.link.agent.process.pid


def private_bytes(process):
    """Memory that only this process has."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Private_"))


def processor_seconds(process):
    """Of all its threads; those that have ended do not count."""
    total = 0
    for statistics in Path(f"/proc/{process}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # it ends just now
            total += int(statistics.read_text().split()[0])
    return total / 1e9


def adder(session, path):
    c = session
    add = session.CDLL(path).add
    add.argtypes, add.restype = [c.c_int, c.c_int], c.c_int
    return add


def together(works):
    """Run functions in threads of their own, until all are done."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def many(options):
    """Sessions side by side: seconds to open one, memory of each, calls a second of all."""
    count, before = options["count"], private_bytes("self")
    begun = time.perf_counter()
    sessions = open_sessions(count)
    report(f"open_{count}", value=(time.perf_counter() - begun) / count)
    adders = [adder(session, options["path"]) for session in sessions]
    assert [add(2, 3) for add in adders] == [5] * count
    grown = private_bytes("self") - before
    agents = sum(private_bytes(process_of(session)) for session in sessions)
    report(f"memory_{count}", value=(agents + grown) / count)
    report(f"agent_memory_{count}", value=agents / count)
    report(f"throughput_{count}", value=throughput(adders, options["seconds"]))


def throughput(adders, seconds):
    end, done = time.perf_counter() + seconds, []

    def work(add):
        calls = 0
        while time.perf_counter() < end:
            for _ in range(20):
                add(2, 3)
            calls += 20
        done.append(calls)

    begun = time.perf_counter()
    together([lambda add=add: work(add) for add in adders])
    return sum(done) / (time.perf_counter() - begun)


def consumed(sessions, work):
    """Processor seconds of this process and the agents in a second of ``work``."""
    agents = [process_of(session) for session in sessions]
    theirs = sum(map(processor_seconds, agents))
    ours, begun = time.process_time(), time.perf_counter()
    work()
    ours, took = time.process_time() - ours, time.perf_counter() - begun
    return (ours + sum(map(processor_seconds, agents)) - theirs) / took


def idle(options):
    """Open sessions that nobody uses, after a burst of calls in each."""
    sessions = open_sessions(options["count"])
    for session in sessions:
        add = adder(session, options["path"])
        for _ in range(2000):
            add(2, 3)
    report("idle", value=consumed(sessions, lambda: time.sleep(options["seconds"])))


def long_call(options):
    """Threads that wait in a DLL's function, after a burst of calls in each."""
    (session,) = open_sessions(1)
    rest = session.CDLL(options["path"]).rest
    add, ready = adder(session, options["path"]), threading.Barrier(options["count"] + 1)

    def work():
        for _ in range(500):
            add(2, 3)
        rest(0)
        ready.wait()
        rest(int(options["seconds"] * 1000))

    def wait():
        ready.wait()
        for thread in threads:
            thread.join()

    threads = [threading.Thread(target=work) for _ in range(options["count"])]
    for thread in threads:
        thread.start()
    report(f"long_call_{options['count']}{'_one_core' * bool(options['cores'])}", value=consumed([session], wait))


MEASURES = {"many": many, "idle": idle, "long_call": long_call}


def main():
    options = json.loads(sys.argv[1])
    keep_to(options["cores"])
    MEASURES[options["measure"]](options)


main()
