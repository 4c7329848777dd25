"""``ctypes.wintypes`` with the widths that its names have on Windows."""

from winbridge.ctypes import _api

globals().update(vars(_api.wintypes))
