"""winbridge: connections over what there is on one machine, and a session."""

import os
import subprocess
import sys
import tempfile
from functools import partial

import far
from remote_kind import Remote
from windowed import windowed


class SharedMemory(Remote):
    """A process that serves on its standard streams; values go through shared memory, as is usual."""

    options = {}  # noqa: RUF012 - never changed

    @staticmethod
    def prepare():
        from winbridge.remote import Connection, Options  # noqa: F401

    def __init__(self):
        from winbridge.remote import Options

        self.connection = self.connected(Options(**self.options))

    def connected(self, options):
        from winbridge.remote import Connection

        return Connection.from_command([sys.executable, "-m", "winbridge.remote"], options=options)

    def add(self, left, right):
        return self.connection.call(far.add, left, right)

    def adder(self):
        return partial(self.connection.call, far.add)

    def echo(self, value):
        return self.connection.call(far.echo, value)

    def mapped(self, count):
        return list(self.connection.map(far.add, range(count), range(count)))

    def submitted(self, count):
        submit = self.connection.submit
        return windowed(count, lambda number: submit(far.add, number, number), lambda future: future.result())

    def appender(self):
        self.numbers = self.connection.call_ref(list)
        return self.numbers.append

    def process(self):
        return self.connection.call(os.getpid)

    def close(self):
        self.connection.close()


class Pipe(SharedMemory):
    options = {"shared_memory": False}  # noqa: RUF012 - never changed


class UnixSocket(Pipe):
    """A server of its own, in another process; calls are executed in a thread of it."""

    serve = (
        "import sys; from winbridge.remote.servers import run_unix;"
        " run_unix(sys.argv[1], started=lambda server: print('ready', flush=True))"
    )

    def connected(self, options):
        from winbridge.remote import Connection

        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "socket")
        self.serving(path)
        return Connection.from_unix(path, options=options)

    def serving(self, *arguments):
        self.server = subprocess.Popen([sys.executable, "-c", self.serve, *arguments], stdout=subprocess.PIPE)
        return self.server.stdout.readline().decode().strip()

    def close(self):
        super().close()
        self.server.terminate()
        self.server.communicate()
        self.folder.cleanup()


class Tcp(UnixSocket):
    serve = (
        "from winbridge.remote.servers import run_tcp; run_tcp('127.0.0.1', 0, allow_unauthenticated=True,"
        " started=lambda server: print(server.address, flush=True))"
    )

    def connected(self, options):
        from winbridge.remote import Connection

        self.folder = tempfile.TemporaryDirectory()
        host, _, port = self.serving().rpartition(":")
        return Connection.from_tcp(host, int(port), options=options)


class Session(Remote):
    """Started by the BIOS: the other side fetches winbridge's code from here."""

    unable = {"mapped": "a session has none; its connection has map"}  # noqa: RUF012 - never changed

    @staticmethod
    def prepare():
        from winbridge import PythonSession  # noqa: F401

    def __init__(self):
        from winbridge import PythonSession

        self.session = PythonSession.apart(interpreter=sys.executable)

    def add(self, left, right):
        return self.session.call(far.add, left, right)

    def adder(self):
        return partial(self.session.call, far.add)

    def echo(self, value):
        return self.session.call(far.echo, value)

    def submitted(self, count):
        evaluate = self.session.connect().eval
        source = "number + number"
        return windowed(count, lambda number: evaluate(source, {"number": number}), lambda future: future.result())

    def appender(self):
        self.numbers = self.session.connection.call_ref(list)
        return self.numbers.append

    def process(self):
        return self.session.call(os.getpid)

    def close(self):
        self.session.close()
