"""``ctypes.wintypes`` with the widths that its names have on Windows."""

import winbridge.ctypes as _ctypes
from winbridge.ctypes.standard import executed as _executed

globals().update(_executed("ctypes.wintypes", _ctypes, __name__))
