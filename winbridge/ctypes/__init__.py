"""ctypes as it is on Windows: ``from winbridge import ctypes``.

A Windows script that uses ctypes runs on Linux with its ``import ctypes`` replaced by this, or unchanged under
``winbridge run script.py``. Every public name of ctypes on Windows is here, with the same results, the same
exceptions and the same messages; functions run in the implicit session (``Win64Session``, or ``Win32Session`` with
``WINBRIDGE_ARCH=win32``). For a session of its own, several at once or of both architectures, see ``CtypesSession``.

Objects live in memory that the DLLs see as well, at the same address: nothing is copied, and nothing has to be
said about what a function reads or writes. See ``docs/ctypes.rst``.
"""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from winbridge.core.config import Config as _Config
from winbridge.core.errors import WindowsFault
from winbridge.ctypes.errors import COMError
from winbridge.ctypes.implicit import implicit as _implicit
from winbridge.ctypes.install import install

_api = _implicit(_Config().arch or "win64")
_family = _api.family
_names = _api.names()
globals().update(_names)

if _TYPE_CHECKING:

    def __getattr__(name: str) -> _Any: ...


__all__ = ["COMError", "WindowsFault", "install"]
__all__ += sorted(name for name in _names if not name.startswith("_"))
