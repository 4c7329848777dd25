"""Faults and turns in the life of the Python program: killed, forked, ending while calls run."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from tests.faults.matrix import EACH_ARCH, EVERYWHERE, Bench, gone, row

GROUP = "The Python program"
NOTHING = "The Windows process ends within 2 s; no file, no process is left."


def shared_files() -> set[str]:
    return {path.name for path in Path("/dev/shm").iterdir() if "winbridge" in path.name}


def killed_at(bench: Bench, code: str, *arguments: object) -> None:
    """Kill the program when it says the agent's process id; that one ends soon."""
    program = bench.python(code, *arguments)
    assert program.stdout is not None
    agent = int(program.stdout.readline())
    bench.strike(program.kill)
    program.communicate()
    assert gone(agent, 2 + 4)
    bench.measure()
    assert not shared_files()


@row(GROUP, "killed between calls", seen=None, within=2, after=NOTHING)
def client_killed_between_calls(bench: Bench) -> None:
    killed_at(bench, "print(agent(open_session()), flush=True); sys.stdin.read()")


@row(GROUP, "killed during calls", seen=None, within=2, after=NOTHING)
def client_killed_during_calls(bench: Bench) -> None:
    code = """
session = open_session()
dll = culprit(session)
for number in range(3):
    threading.Thread(target=dll.linger, args=(f"{sys.argv[4]}{number}".encode(), 0xFFFFFFFF), daemon=True).start()
while not all(os.path.exists(f"{sys.argv[5]}{number}") for number in range(3)): pass
print(agent(session), flush=True)
sys.stdin.read()
"""
    file = bench.folder / "arrived"
    killed_at(bench, code, bench.windows(file).decode(), file)


@row(GROUP, "killed while it answers a callback", seen=None, within=2, after=NOTHING)
def client_killed_in_a_callback(bench: Bench) -> None:
    code = """
from winbridge.core.wire import Result
session = open_session()
handler = lambda area: [print(agent(session), flush=True), sys.stdin.read()]
width = session.pointer_size
callback = session.callbacks.make(handler, words=width, popped=0, result=Result.INT32)
culprit(session).call_back(callback.address, 1)
"""
    killed_at(bench, code)


@row(GROUP, "killed while a session closes", seen=None, within=2, after=NOTHING)
def client_killed_in_close(bench: Bench) -> None:
    code = """
session = open_session(timeout_stop=60)
os.kill(agent(session), signal.SIGSTOP)
def closing():
    os.kill(agent(session), signal.SIGCONT)
    print(agent(session), flush=True)
    sys.stdin.read()
session.on_close.append(closing)
session.close()
"""
    killed_at(bench, code)


@row(GROUP, "killed while a session starts", seen=None, within=2, after=NOTHING, sides=EACH_ARCH)
def client_killed_in_start(bench: Bench) -> None:
    """The loader kills its parent, before the Windows program runs."""
    from winbridge.core import wine
    from winbridge.core.config import Config

    script, said = bench.folder / "wine", bench.folder / "said"
    script.write_text(
        f"#!/bin/sh\nkill -KILL $PPID\necho $$ > {said}.new; mv {said}.new {said}\n"
        f'exec {wine.find_loader(Config(), bench.arch).path} "$@"\n'
    )
    script.chmod(0o755)
    program = bench.python("open_session(wine=sys.argv[4])", script)
    bench.strike(lambda: None)
    program.communicate()
    assert program.returncode == -signal.SIGKILL
    bench.until(said.exists)
    assert gone(int(said.read_text()), 2 + 4)
    bench.measure()
    assert not shared_files()


WORKER = """
import multiprocessing
def work(pipe, path, parent):
    session = open_session()
    pipe.send((culprit(session).add(20, 3), agent(session) != parent))
"""


@row(
    GROUP,
    "children by fork, spawn and forkserver",
    seen=None,
    after="A child opens a session of its own; the parent's goes on. A child that ends without closing leaves nothing.",
    sides=EVERYWHERE,
)
def multiprocessing_children(bench: Bench) -> None:
    script = bench.folder / "program.py"
    script.write_text(
        bench.prelude
        + WORKER
        + """
if __name__ == "__main__":
    session = open_session()
    dll = culprit(session)
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        child = context.Process(target=work, args=(theirs, sys.argv[3], agent(session)))
        child.start()
        print(method, ours.recv(), dll.add(1, 2))
        child.join()
        assert child.exitcode == 0
    assert session.up
"""
    )
    program = bench.program(script)
    out, err = program.communicate()
    assert (out, err) == ("".join(f"{method} (23, True) 3\n" for method in ("fork", "spawn", "forkserver")), "")


@row(
    GROUP,
    "a fork while other threads call and the Windows side prints",
    seen=None,
    after="The child, with a session of its own, and the parent.",
)
def fork_under_load(bench: Bench) -> None:
    code = """
session = open_session()
dll = culprit(session)
stop = threading.Event()
def work():
    while not stop.is_set(): dll.flood(1)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(10):
    child = os.fork()
    if not child:
        try: session.close(); session.memory.alloc(1)
        except winbridge.SessionClosedError: os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
stop.set()
for thread in threads: thread.join()
print(dll.add(2, 3))
"""
    program = bench.python(code)
    out, err = program.communicate(timeout=60)
    assert (out, err) == ("5\n", "")


@row(
    GROUP,
    "ends while calls run",
    seen=None,
    after="The program ends as usual, the Windows process too. Calls of daemon threads raise ``SessionClosedError``.",
)
def exit_during_calls(bench: Bench) -> None:
    code = """
session = open_session()
dll = culprit(session)
def call(number):
    try: dll.linger(f"{sys.argv[4]}{number}".encode(), 0xFFFFFFFF)
    except (winbridge.SessionClosedError, winbridge.AgentDiedError): pass
for number in range(3): threading.Thread(target=call, args=(number,), daemon=True).start()
while not all(os.path.exists(f"{sys.argv[5]}{number}") for number in range(3)): pass
print(agent(session))
"""
    file = bench.folder / "arrived"
    program = bench.python(code, bench.windows(file).decode(), file)
    out, err = program.communicate(timeout=60)
    assert (program.returncode, err) == (0, "") and gone(int(out), 2 + 4)


@row(
    GROUP,
    "calls from ``atexit`` and from ``__del__`` at the end",
    seen=None,
    after="The calls, before and after winbridge has closed its sessions: a fresh one opens then. From Python 3.12 on,"
    " ``__del__`` may come too late for that, and gets ``AgentStartError``.",
    sides=EACH_ARCH,
)
def calls_at_the_end(bench: Bench) -> None:
    code = """
import atexit
first = lambda: print("atexit, before", dll.add(1, 2), flush=True)
dll = winbridge.load_dll(sys.argv[3], convention="cdecl")
dll.add(1, 2)
atexit.register(first)
class Late:
    def __del__(self, add=dll.add, print=print):
        try: print("__del__", add(3, 4), flush=True)
        except winbridge.AgentStartError as error: print("__del__", error, flush=True)
late = Late()
"""
    early = """
import atexit
atexit.register(lambda: print("atexit, after", dll.add(2, 3), flush=True))
"""
    command = bench.prelude.replace("import winbridge\n", early + "import winbridge\n") + code
    program = bench.program("-c", command)
    out, err = program.communicate(timeout=60)
    lines = out.splitlines()
    assert (program.returncode, err) == (0, ""), err
    assert lines[:2] == ["atexit, before 3", "atexit, after 5"]
    late = sys.version_info >= (3, 12) and "open no session while the program ends" in lines[2]
    assert lines[2] == "__del__ 7" or late
