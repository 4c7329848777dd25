"""Faults of the machine: no memory, no room in /dev/shm, no descriptors."""

from __future__ import annotations

from tests.faults.matrix import EACH_ARCH, Bench, row

GROUP = "The machine"


def said_by(bench: Bench, code: str, *arguments: object) -> str:
    """What a program prints that ends well."""
    program = bench.python(code, *arguments)
    out, err = program.communicate()
    assert (program.returncode, err) == (0, ""), err
    return out


@row(
    GROUP,
    "``/dev/shm`` is full",
    seen=None,
    after="Everything: shared memory is not taken from there.",
    sides=EACH_ARCH,
)
def full_shared_memory(bench: Bench) -> None:
    bench.need_mounts()
    code = """
import subprocess
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", "/dev/shm"], check=True)
with open("/dev/shm/filler", "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)): pass
    except OSError as error: print(error.strerror)
session = open_session()
block = session.memory.alloc(1 << 22)
print(session.transport.name, culprit(session).add(2, 3), len(session.memory.read(block, 1 << 22)))
session.close()
"""
    program = bench.python(
        "import ctypes; assert ctypes.CDLL(None).unshare(0x20000) == 0\n"
        "import subprocess; subprocess.run(['mount', '--make-rprivate', '/'], check=True)\n" + code
    )
    out, err = program.communicate()
    assert (out, err) == (f"No space left on device\nshm 5 {1 << 22}\n", "")


@row(
    GROUP,
    "no memory for a shared segment",
    seen=MemoryError,
    after="The session. At the start, one over the stream is opened instead, with a warning.",
    sides=EACH_ARCH,
)
def no_memory(bench: Bench) -> None:
    code = """
import resource
session = open_session()
dll = culprit(session)
block = session.memory.alloc(1 << 22)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
try: session.memory.read(block, 1 << 22)
except MemoryError as error: print(error)
print(dll.add(2, 3), session.memory.read(block, 4))
session.close()
sys.argv[2] = "auto"
session = open_session()
print(session.transport.name, culprit(session).add(2, 3))
session.close()
"""
    lines = said_by(bench, code).splitlines()
    assert "shared segment" in lines[0] and lines[1:] == [r"5 b'\x00\x00\x00\x00'", "stream 5"]


@row(
    GROUP,
    "no descriptors are left",
    seen=OSError,
    after="The session and its open channels; with descriptors free again, everything.",
    sides=EACH_ARCH,
)
def no_descriptors(bench: Bench) -> None:
    code = """
session = open_session()
dll = culprit(session)
dll.add(1, 2)
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
taken = []
try:
    while True: taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
def other():
    try: dll.add(1, 2)
    except OSError as error: print("other thread", error.strerror)
thread = threading.Thread(target=other); thread.start(); thread.join()
try: winbridge.Win64Session.apart()
except (OSError, winbridge.WinbridgeError) as error: print("another session", "Too many open files" in str(error))
print(dll.add(2, 3))
for descriptor in taken: os.close(descriptor)
seen = []
thread = threading.Thread(target=lambda: seen.append(dll.add(3, 4))); thread.start(); thread.join()
print(seen, len(os.listdir("/proc/self/fd")) < 40)
session.close()
"""
    assert said_by(bench, code).splitlines() == [
        "other thread Too many open files",
        "another session True",
        "5",
        "[7] True",
    ]
