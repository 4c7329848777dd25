"""What a body is measured with: a ctypes, its way to load the DLL, and what else differs between contenders."""

import ctypes
import os
import subprocess
import time

import calls
from structures import Types


class Contender:
    """ctypes of this interpreter: on Windows the native measure.

    Attributes:
        ctypes: where types and helpers of arguments come from.
        callback_ctypes: the same for calls with callbacks.
        bodies: the calls, by name.
        unable: why it cannot make some of them.
    """

    bodies = calls.BODIES
    unable = {}  # noqa: RUF012 - never changed

    def __init__(self, path, arch):
        self.arch = arch
        self.ctypes = self.callback_ctypes = ctypes
        self.library = self.load(path)

    @staticmethod
    def prepare():
        """Import what ``load`` needs."""

    def load(self, path):
        return self.ctypes.CDLL(path)

    def function(self, name, restype, argtypes, memsync=()):
        """A function with its prototype. ``memsync`` is what the older bridge has to be told about memory."""
        found = self.library[name]
        found.restype, found.argtypes = restype, argtypes
        return found

    def types(self):
        return Types(self.ctypes)

    def callback_types(self):
        return Types(self.callback_ctypes)

    def first_call(self):
        assert self.library.add(2, 3) == 5

    def close(self):
        pass


class LoadDll(Contender):
    """winbridge's ``load_dll`` with the standard ctypes; callbacks take the types of ``winbridge.ctypes``."""

    @staticmethod
    def prepare():
        from winbridge import load_dll  # noqa: F401

    def load(self, path):
        import winbridge

        return winbridge.load_dll(path, convention="cdecl", arch=self.arch)

    @property
    def bodies(self):
        from own_calls import BODIES

        return {**calls.BODIES, **BODIES}

    def callback_types(self):
        from winbridge import ctypes as windows

        self.callback_ctypes = windows
        return Types(windows)


class DropIn(Contender):
    """The same program with ``from winbridge import ctypes``."""

    @staticmethod
    def prepare():
        from winbridge import ctypes  # noqa: F401

    def load(self, path):
        from winbridge import ctypes as windows

        self.ctypes = self.callback_ctypes = windows
        return windows.CDLL(path)


class OlderBridge(Contender):
    """zugbruecke: a Windows Python behind sockets and pickle; told by directives what memory to copy."""

    @staticmethod
    def prepare():
        import zugbruecke  # noqa: F401

    def load(self, path):
        from zugbruecke import CtypesSession

        self.session = self.ctypes = self.callback_ctypes = CtypesSession(arch=self.arch)
        return self.session.cdll.LoadLibrary(path)

    def function(self, name, restype, argtypes, memsync=()):
        found = getattr(self.library, name)
        found.restype, found.argtypes = restype, list(argtypes)
        if memsync:
            found.memsync = list(memsync)
        return found

    def close(self):
        self.session.zb_terminate()


class Rpyc(Contender):
    """rpyc's classic mode: every object of ctypes is a proxy of one in a Windows Python."""

    @staticmethod
    def prepare():
        import rpyc  # noqa: F401

    def load(self, path):
        command = [*os.environ["BENCHMARK_WINDOWS_PYTHON"].split(";"), windows_path("rpyc_server.py")]
        pipe = subprocess.PIPE
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        port = self.server.stdout.readline()
        if not port:
            raise RuntimeError(f"rpyc's server ended: {self.server.stderr.read().decode(errors='replace')}")
        self.connection = self.connected(int(port))
        self.ctypes = self.callback_ctypes = self.connection.modules.ctypes
        return self.ctypes.CDLL(windows_path(path))

    @staticmethod
    def connected(port):
        """The server names its port before it listens there."""
        import rpyc
        from rpyc.core.service import ClassicService

        deadline = time.monotonic() + 30
        while True:
            try:
                return rpyc.connect("127.0.0.1", port, ClassicService, {"sync_request_timeout": None})
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise

    @property
    def bodies(self):
        return {**calls.BODIES, "big_buffer": self.big_buffer}

    @staticmethod
    def big_buffer(contender):
        """The bytes go over, and come back: a proxy has no memory of this process."""
        c = contender.ctypes
        invert = contender.function("invert", None, (c.c_void_p, c.c_size_t))
        data = bytes(range(256)) * (calls.BIG // 256)

        def run(count):
            start = time.perf_counter()
            for _ in range(count):
                buffer = c.create_string_buffer(data, calls.BIG)
                invert(buffer, calls.BIG)
                assert buffer.raw[0] == 255
            return time.perf_counter() - start

        return run

    def types(self):
        return self.connection.modules.structures.Types(self.ctypes)

    callback_types = types

    def close(self):
        self.connection.close()
        self.server.wait(10)


class MslLoadlib:
    """msl-loadlib: its 32-bit server in a 32-bit Windows Python; requests with values."""

    unable = dict.fromkeys(
        ("nine_callbacks", "nested_pointers"),
        "its requests carry pickled values only: no callback, and no pointer in a structure",
    )

    @staticmethod
    def prepare():
        import msl.loadlib  # noqa: F401

    def __init__(self, path, arch):
        from msl.loadlib import Client64

        server = os.path.join(os.path.dirname(os.path.abspath(__file__)), "msl_server.py")
        folder = os.environ["BENCHMARK_MSL_SERVER"]
        self.client = Client64(server, server32_dir=folder, path=path, timeout=60)

    @property
    def bodies(self):
        from msl_calls import BODIES

        return BODIES

    def first_call(self):
        assert self.request32("add", 2, 3) == 5

    def request32(self, *arguments):
        return self.client.request32(*arguments)

    def close(self):
        for stream in self.client.shutdown_server32():
            stream.close()


def windows_path(name):
    """Of a file, beside this one if it is relative, as a program on Wine sees it."""
    return "Z:" + os.path.join(os.path.dirname(os.path.abspath(__file__)), name).replace("/", "\\")


KINDS = {
    "ctypes": Contender,
    "load_dll": LoadDll,
    "drop-in": DropIn,
    "zugbruecke": OlderBridge,
    "rpyc": Rpyc,
    "msl-loadlib": MslLoadlib,
}
