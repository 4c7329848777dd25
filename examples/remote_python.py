"""Read Windows' table of time zones with a Windows Python on Wine, and check it against that of Linux.

Calendars of Exchange and Outlook name zones as Windows does ("W. Europe Standard Time"). What these names mean
stands in the registry, which Python reads with winreg, a module that only exists on Windows::

    python examples/remote_python.py                        # the Windows Python of `winbridge python install 3.12`
    python examples/remote_python.py --python 3.12-win32    # another one
    python examples/remote_python.py --json zones.json
"""

from __future__ import annotations

import argparse
import datetime
import json
import struct
import sys
import zoneinfo
from pathlib import Path
from typing import NamedTuple

from winbridge import PythonSession, WinbridgeError, remote

ZONES = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Time Zones"
WINTER = datetime.datetime(2024, 1, 15)

# REG_TZI_FORMAT of timezoneapi.h: minutes west of UTC, what standard and daylight time add to them, and when each
# begins, as SYSTEMTIMEs. A zone without daylight time has no month there.
TZI = struct.Struct("<lll8H8H")
MONTH_OF_DAYLIGHT = 12

# What CLDR's windowsZones.xml says of some of them.
SAME = {
    "UTC": "Etc/UTC",
    "GMT Standard Time": "Europe/London",
    "W. Europe Standard Time": "Europe/Berlin",
    "Eastern Standard Time": "America/New_York",
    "India Standard Time": "Asia/Kolkata",
    "Nepal Standard Time": "Asia/Kathmandu",
    "Tokyo Standard Time": "Asia/Tokyo",
}

# Runs there, so that all of it is one call rather than some for each key.
READ = """
import winreg

def zones(path):
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as table:
        count = winreg.QueryInfoKey(table)[0]
        for number in range(count):
            name = winreg.EnumKey(table, number)
            with winreg.OpenKey(table, name) as zone:
                yield name, winreg.QueryValueEx(zone, "Display")[0], winreg.QueryValueEx(zone, "TZI")[0]
            if number % 25 == 24:
                print(f"{number + 1} of {count} keys", flush=True)
"""


class Zone(NamedTuple):
    """A zone of Windows: what it is called there, what people read, and minutes east of UTC, without and with DST."""

    name: str
    display: str
    standard: int
    daylight: int


def parse(name: str, display: str, tzi: bytes) -> Zone:
    bias, standard, daylight, *_ = fields = TZI.unpack(tzi)
    if not fields[MONTH_OF_DAYLIGHT]:
        daylight = standard
    return Zone(name, display, -(bias + standard), -(bias + daylight))


def read_zones() -> list[Zone]:
    """All zones, by name; tells meanwhile how far it is."""
    process = PythonSession.current().connect()
    process.eval(READ)
    future = process.eval("list(zones(path))", globs=None, locs={"path": ZONES})
    for _, line in process.output(future):
        print(f"          {line}")
    return sorted(parse(*found) for found in future.result())


def describe_windows() -> str:
    """One key, read from here by proxies: each step is a call."""
    winreg = remote.import_module("winreg")
    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Windows NT\CurrentVersion") as key:
        return f"{winreg.QueryValueEx(key, 'ProductName')[0]}, build {winreg.QueryValueEx(key, 'CurrentBuild')[0]}"


def check(zones: list[Zone]) -> None:
    """Compare what both systems say of some zones."""
    known = {zone.name: zone for zone in zones}
    for windows, name in SAME.items():
        offset = zoneinfo.ZoneInfo(name).utcoffset(WINTER)
        ours = int(offset.total_seconds()) // 60
        if known[windows].standard != ours:
            sys.exit(f"!!! {windows}: {known[windows].standard} minutes on Windows, {name}: {ours} on Linux")
        print(f"zone      {windows:<25} {ours:>+5} minutes, as {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Windows' time zones, read by a Windows Python on Wine.")
    parser.add_argument("--python", help="name, version or path of a Windows Python (default: that of winbridge)")
    parser.add_argument("--json", type=Path, help="file to write all zones to")
    arguments = parser.parse_args()
    try:
        session = PythonSession(interpreter=arguments.python)
    except WinbridgeError as error:
        sys.exit(f"!!! NO WINDOWS PYTHON: {error}")
    with session:
        print(f"session   {session!r}")
        print(f"registry  {describe_windows()}")
        zones = read_zones()
    print(f"read      {len(zones)} zones, {sum(zone.standard != zone.daylight for zone in zones)} of them with DST")
    check(zones)
    if arguments.json:
        arguments.json.write_text(json.dumps([zone._asdict() for zone in zones], indent=1, ensure_ascii=False) + "\n")
        print(f"written   {arguments.json}")


if __name__ == "__main__":
    main()
