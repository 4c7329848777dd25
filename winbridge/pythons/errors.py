"""What goes wrong with Windows Pythons."""

from __future__ import annotations

from winbridge.core.errors import WinbridgeError


class WindowsPythonError(WinbridgeError):
    """A Windows Python could not be found, fetched, installed or filled; the message has the next step."""
