"""A tour of winbridge: functions of Windows DLLs, called from Linux. Run it with ``make demo``.

sqlite3.dll comes from a Windows wheel on PyPI; scripts/windows_python.py fetches it in both bitnesses.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from ctypes import byref, c_char_p, c_double, c_int, c_void_p, create_string_buffer, create_unicode_buffer
from pathlib import Path
from threading import Barrier
from typing import Any

from winbridge import AgentStartError, CtypesSession, Win32Session, Win64Session, load_dll
from winbridge.ctypes import c_longlong  # 64 bits on both sides; the standard one is a long on Linux

DLLS = Path(__file__).resolve().parent.parent / ".cache" / "dlls"
SQLITE_ROW, SQLITE_DONE = 100, 101
SQLITE_TRANSIENT = c_void_p(-1)  # "copy the text, it will not stay"

ROWS = [(n**6 - 2**58, n / 7, f"row {n}, {chr(0x3B1 + n % 24)}") for n in range(1000)]
CREATE = "CREATE TABLE items (number INTEGER, ratio REAL, label TEXT)"
INSERT = "INSERT INTO items VALUES (?, ?, ?)"
SELECT = "SELECT number, ratio, label FROM items ORDER BY number"
SQUARES = b"WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n LIMIT 100) SELECT i, i*i AS square FROM n"
SUMMARY = "SELECT count(*), max(ratio), upper(min(label)) FROM items WHERE number % 2"


class Database:
    """An SQLite database in memory, inside the Windows process."""

    def __init__(self, dll: Path) -> None:
        self.sqlite = sqlite = load_dll(dll, convention="cdecl")
        sqlite.sqlite3_bind_int64.argtypes = [c_void_p, c_int, c_longlong]
        sqlite.sqlite3_bind_double.argtypes = [c_void_p, c_int, c_double]
        sqlite.sqlite3_column_int64.restype = c_longlong
        sqlite.sqlite3_column_double.restype = c_double
        for text in (sqlite.sqlite3_libversion, sqlite.sqlite3_errmsg, sqlite.sqlite3_column_text):
            text.restype = c_char_p
        self.handle = c_void_p()
        self.check(sqlite.sqlite3_initialize())  # this build, Python's own, does not do it by itself
        self.check(sqlite.sqlite3_open(b":memory:", byref(self.handle)))

    @property
    def version(self) -> str:
        return self.sqlite.sqlite3_libversion().decode()

    def check(self, status: int) -> int:
        if status not in (0, SQLITE_ROW, SQLITE_DONE):
            raise RuntimeError(self.sqlite.sqlite3_errmsg(self.handle).decode())
        return status

    def prepare(self, sql: str) -> c_void_p:
        statement = c_void_p()
        self.check(self.sqlite.sqlite3_prepare_v2(self.handle, sql.encode(), -1, byref(statement), None))
        return statement

    def execute(self, sql: str) -> None:
        self.check(self.sqlite.sqlite3_exec(self.handle, sql.encode(), None, None, None))

    def insert(self, rows: list[tuple[int, float, str]]) -> None:
        sqlite, statement = self.sqlite, self.prepare(INSERT)
        for number, ratio, label in rows:
            self.check(sqlite.sqlite3_bind_int64(statement, 1, number))
            self.check(sqlite.sqlite3_bind_double(statement, 2, ratio))
            self.check(sqlite.sqlite3_bind_text(statement, 3, label.encode(), -1, SQLITE_TRANSIENT))
            self.check(sqlite.sqlite3_step(statement))
            self.check(sqlite.sqlite3_reset(statement))
        sqlite.sqlite3_finalize(statement)

    def select(self, sql: str) -> list[tuple[int, float, str]]:
        sqlite, statement, rows = self.sqlite, self.prepare(sql), []
        while self.check(sqlite.sqlite3_step(statement)) == SQLITE_ROW:
            number = sqlite.sqlite3_column_int64(statement, 0)
            ratio = sqlite.sqlite3_column_double(statement, 1)
            label = sqlite.sqlite3_column_text(statement, 2).decode()
            rows.append((number, ratio, label))
        sqlite.sqlite3_finalize(statement)
        return rows

    def close(self) -> None:
        self.check(self.sqlite.sqlite3_close(self.handle))


def expect(what: str, got: object, expected: object) -> None:
    if got != expected:
        sys.exit(f"!!! {what}: {got!r} instead of {expected!r}")


def system_dlls() -> None:
    kernel32, user32 = load_dll("kernel32"), load_dll("user32")
    msvcrt = load_dll("msvcrt", convention="cdecl")

    folder = create_unicode_buffer(260)
    kernel32.GetWindowsDirectoryW(folder, len(folder))
    print(f"kernel32  the Windows folder is {folder.value}, up for {kernel32.GetTickCount() / 1000:.0f} s")

    line = create_string_buffer(80)
    msvcrt.sprintf(line, b"%s is %d, and pi is about %.4f", b"the answer", 42, c_double(3.14159265))
    expect("msvcrt.sprintf", line.value, b"the answer is 42, and pi is about 3.1416")
    print(f"msvcrt    {line.value.decode()}")

    word = create_unicode_buffer("größe ∑")
    user32.CharUpperBuffW(word, len(word))
    expect("user32.CharUpperBuffW", word.value, "GRÖßE ∑")
    print(f"user32    größe in capitals: {word.value}; the screen is {user32.GetSystemMetrics(0)} pixels wide")


def database(arch: str) -> None:
    started = time.perf_counter()
    windows = Database(DLLS / arch / "sqlite3.dll")
    windows.execute(CREATE)
    windows.insert(ROWS)
    found, summary = windows.select(SELECT), windows.select(SUMMARY)
    elapsed = time.perf_counter() - started

    linux = sqlite3.connect(":memory:")
    linux.execute(CREATE)
    linux.executemany(INSERT, ROWS)
    expect(f"rows read back, {arch}", found, linux.execute(SELECT).fetchall())
    expect(f"the summary, {arch}", summary, linux.execute(SUMMARY).fetchall())
    print(f"sqlite3   {arch}, version {windows.version}: {len(found)} rows in and out in {elapsed:.2f} s,", end=" ")
    print("the same as Python's own gives")
    windows.close()


def drop_in(arch: str) -> None:
    """The same DLL through ctypes as on Windows, in a session of its own: SQLite calls Python back for each row."""
    with CtypesSession(arch=arch) as c:
        sqlite, handle, rows = c.CDLL(str(DLLS / arch / "sqlite3.dll")), c.c_void_p(), []
        texts = c.POINTER(c.c_char_p)

        @c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int, texts, texts)
        def each_row(_: object, count: int, values: Any, names: Any) -> int:
            rows.append(dict(zip(names[:count], values[:count], strict=True)))
            return 0

        sqlite.sqlite3_initialize()
        sqlite.sqlite3_open(b":memory:", c.byref(handle))
        query = (
            b"WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n LIMIT 100) SELECT i, i*i AS square FROM n"
        )
        sqlite.sqlite3_exec(handle, query, each_row, None, None)
        expect(f"the rows, {arch}", rows, [{b"i": b"%d" % i, b"square": b"%d" % i**2} for i in range(1, 101)])
        sqlite.sqlite3_close(handle)
        print(
            f"ctypes    {arch}, pointers of {c.sizeof(c.c_void_p)} bytes: sqlite3_exec called Python {len(rows)} times"
        )


def side_by_side() -> None:
    processes = {}
    for arch in ("win64", "win32"):
        kernel32 = load_dll("kernel32", arch=arch)
        kernel32.GetModuleHandleW.restype = c_void_p
        processes[arch] = kernel32.GetCurrentProcessId()
        print(f"both      {arch}: process {processes[arch]}, kernel32 at {kernel32.GetModuleHandleW('kernel32'):#x}")
    expect("two processes", len(set(processes.values())), 2)


def survived_fault() -> None:
    msvcrt = load_dll("msvcrt", convention="cdecl")
    try:
        msvcrt.strlen(16)
    except OSError as error:
        print(f"fault     strlen(16): {error}")
    else:
        sys.exit("!!! strlen(16) did not fault")
    expect("strlen after the fault", msvcrt.strlen(b"alive"), 5)
    print("fault     and the session goes on")


def threads() -> None:
    kernel32, together = load_dll("kernel32"), Barrier(4)

    def remember(value: int) -> tuple[int, int]:
        kernel32.SetLastError(value)
        together.wait()
        return kernel32.GetLastError(), kernel32.GetCurrentThreadId()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(remember, range(1, 5)))
    expect("each thread's last error", [error for error, _ in answers], [1, 2, 3, 4])
    expect("Windows threads", len({thread for _, thread in answers}), 4)
    print("threads   4 Python threads, 4 Windows threads, each with a last error of its own")


def microseconds_a_call(arch: str, calls: int = 20000) -> float:
    multiply = load_dll("kernel32", arch=arch).MulDiv
    expect("MulDiv", multiply(6, 7, 1), 42)
    started = time.perf_counter()
    for _ in range(calls):
        multiply(6, 7, 1)
    return (time.perf_counter() - started) / calls * 1e6


def open_sessions() -> list[str]:
    """Sessions open by themselves; here they are opened by name, to see how long it takes."""
    archs = []
    for arch, session in (("win64", Win64Session), ("win32", Win32Session)):
        started = time.perf_counter()
        try:
            opened = session()
        except AgentStartError as error:
            if arch == "win64":
                raise
            print(f"!!! NO 32-BIT SESSION, so the 32-bit half of this demo is left out: {error}")
            continue
        print(f"session   {arch} opened in {1000 * (time.perf_counter() - started):.0f} ms: {opened}")
        archs.append(arch)
    return archs


def main() -> None:
    archs = open_sessions()
    system_dlls()
    for arch in archs:
        database(arch)
        drop_in(arch)
    if len(archs) == 2:
        side_by_side()
    survived_fault()
    threads()
    for arch in archs:
        print(f"speed     {arch}: {microseconds_a_call(arch):.1f} µs a call of kernel32.MulDiv with three ints")


if __name__ == "__main__":
    main()
