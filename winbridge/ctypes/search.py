"""Searching DLLs along the PATH of the Windows side."""

from __future__ import annotations

import ntpath
from typing import Any

from winbridge.core.paths import windows_to_unix
from winbridge.dll.location import windows_file

LONGEST = 32767
"""Characters that an environment variable may have (Microsoft Learn, GetEnvironmentVariableW)."""


def find(family: Any, name: str) -> str | None:
    """The Windows path of a file, as ``ctypes.util.find_library`` searches it on Windows; None if there is none."""
    session = family.session()
    for folder in search_path(family):
        for candidate in _candidates(ntpath.join(folder, name)):
            if windows_file(candidate, session.config.prefix, session.arch) is not None:
                return candidate
    return None


def _candidates(path: str) -> list[str]:
    return [path] if path.lower().endswith(".dll") else [path, path + ".dll"]


def search_path(family: Any) -> list[str]:
    """The folders of the Windows side's PATH."""
    room = family.heap.allocate(2 * LONGEST)
    name = family.constants.address("PATH")
    length = family.call_system("kernel32", "GetEnvironmentVariableW", name, room.address, LONGEST)
    text = bytes(room.view[: 2 * length]).decode("utf-16-le")
    return [folder for folder in text.split(";") if folder]


class DllDirectory:
    """A folder that DLLs are searched in, until ``close()``; what ``os.add_dll_directory`` gives.

    Args:
        family: in whose session.
        path: a Windows path, or a Unix path.
    """

    def __init__(self, family: Any, path: str) -> None:
        from winbridge.core.paths import is_windows_path, unix_to_windows

        session = family.session()
        prefix = session.config.prefix
        windows_path = path if is_windows_path(path) else unix_to_windows(path, prefix)
        windows_to_unix(windows_path, prefix)
        self.path = path
        self._family = family
        self._cookie = family.call_system("kernel32", "AddDllDirectory", family.constants.address(windows_path))
        if not self._cookie:
            raise FileNotFoundError(2, f"[WinError 2] the folder is not found: {path}", path)

    def close(self) -> None:
        """Search there no longer; safe to repeat."""
        cookie, self._cookie = self._cookie, 0
        if cookie:
            self._family.call_system("kernel32", "RemoveDllDirectory", cookie)

    def __enter__(self) -> DllDirectory:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AddedDllDirectory({self.path!r})>" if self._cookie else "<AddedDllDirectory()>"
