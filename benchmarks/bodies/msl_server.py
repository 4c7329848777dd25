"""The server half of the calls for msl-loadlib, in a 32-bit Windows Python: ctypes is used there, values cross.

Run as a program it is msl-loadlib's own 32-bit server, which it ships for Windows as a frozen program only.
"""

import ctypes
import os
import sys

from msl.loadlib.server32 import Server32


class Calls(Server32):
    """Its ``path`` is that of the DLL."""

    def __init__(self, host, port, path):
        super().__init__(path, "cdll", host, port)
        self.lib.sort_floats.restype = self.lib.invert.restype = None
        self.lib.invert.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.lib.halve_recording.restype = ctypes.c_double

    def add(self, left, right):
        return self.lib.add(left, right)

    def sort_floats(self, values):
        array = (ctypes.c_float * len(values))(*values)
        self.lib.sort_floats(array, len(values))
        return list(array)

    def invert(self, data):
        buffer = ctypes.create_string_buffer(data, len(data))
        self.lib.invert(buffer, len(data))
        return buffer.raw


if __name__ == "__main__":
    from msl.loadlib import start_server32

    sys._MEIPASS = os.path.dirname(sys.executable)  # a frozen program would have it
    sys.exit(start_server32.main())
