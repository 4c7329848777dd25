"""The standard library's multiprocessing.connection."""

import os
import subprocess
import sys
import tempfile

from remote_kind import Remote
from windowed import windowed


class Connection(Remote):
    """Pickled messages over a Unix socket; the loop that answers is in ``far_connection.py``."""

    unable = {  # noqa: RUF012 - never changed
        "mapped": "it has messages, and nothing that gathers them",
        "append": "it has messages, and no proxies",
    }

    @staticmethod
    def prepare():
        import multiprocessing.connection  # noqa: F401

    def __init__(self):
        from multiprocessing.connection import Listener

        with tempfile.TemporaryDirectory() as folder, Listener(os.path.join(folder, "socket"), "AF_UNIX") as listener:
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "far_connection.py")
            self.server = subprocess.Popen([sys.executable, script, listener.address])
            self.connection = listener.accept()

    def asked(self, *question):
        self.connection.send(question)
        return self.connection.recv()

    def add(self, left, right):
        self.connection.send(("add", left, right))
        return self.connection.recv()

    def echo(self, value):
        return self.asked("echo", value)

    def submitted(self, count):
        send, receive = self.connection.send, self.connection.recv
        return windowed(count, lambda number: send(("add", number, number)), lambda _: receive())

    def process(self):
        return self.server.pid

    def close(self):
        self.connection.close()
        self.server.wait(10)
