"""The peers from PyPI, each as its manual says."""

import os
import socket
import subprocess
import sys
import tempfile
from functools import partial

import far
from remote_kind import Remote
from windowed import windowed


class Across(Remote):
    """Over the standard streams of a process."""

    unable = {  # noqa: RUF012 - never changed
        "mapped": "it waits for each answer",
        "submitted": "it waits for each answer",
    }

    @staticmethod
    def prepare():
        import across  # noqa: F401

    def __init__(self):
        from across import Connection

        command = [sys.executable, "-m", "across", "--stdio", "--wait"]
        self.connection = Connection.from_command(command)

    def add(self, left, right):
        return self.connection.call(far.add, left, right)

    def adder(self):
        return partial(self.connection.call, far.add)

    def echo(self, value):
        return self.connection.call(far.echo, value)

    def appender(self):
        self.numbers = self.connection.call_ref(list)
        return self.numbers.append

    def process(self):
        return self.connection.call(os.getpid)

    def close(self):
        self.connection.close()


class Rpyc(Remote):
    """The classic mode over a Unix socket: everything is a proxy of what is there."""

    unable = {"mapped": "it has a message for each call"}  # noqa: RUF012 - never changed
    serve = (
        "import socket, sys; from rpyc.core import SlaveService;"
        " from rpyc.core.stream import SocketStream; from rpyc.utils.factory import connect_stream;"
        " connect_stream(SocketStream(socket.socket(fileno=int(sys.argv[1]))), SlaveService).serve_all()"
    )

    @staticmethod
    def prepare():
        import rpyc  # noqa: F401

    def __init__(self):
        from rpyc.core import MasterService
        from rpyc.core.stream import SocketStream
        from rpyc.utils.factory import connect_stream

        here, there = socket.socketpair()
        with there:
            number = str(there.fileno())
            self.server = subprocess.Popen([sys.executable, "-c", self.serve, number], pass_fds=[there.fileno()])
        self.connection = connect_stream(SocketStream(here), MasterService, {"sync_request_timeout": None})
        self.far = self.connection.modules.far
        self.far_add = self.far.add

    def add(self, left, right):
        return self.far_add(left, right)

    def adder(self):
        return self.far_add

    def echo(self, value):
        return self.far.echo(value)

    def echo_array(self, array):
        from rpyc.utils.classic import deliver, obtain

        return obtain(deliver(self.connection, array))

    def submitted(self, count):
        from rpyc import async_

        add = async_(self.far_add)
        return windowed(count, lambda number: add(number, number), lambda answer: answer.value)

    def appender(self):
        self.numbers = self.connection.builtins.list()
        return self.numbers.append

    def process(self):
        return self.server.pid

    def close(self):
        self.connection.close()
        self.server.wait(10)


class Execnet(Remote):
    """Channels to a loop there."""

    unable = {  # noqa: RUF012 - never changed
        "mapped": "it has messages, and nothing that gathers them",
        "append": "it has messages, and no proxies",
    }

    @staticmethod
    def prepare():
        import execnet  # noqa: F401

    def __init__(self):
        import execnet

        self.gateway = execnet.makegateway()
        self.sums = self.gateway.remote_exec("for left, right in channel: channel.send(left + right)")

    def add(self, left, right):
        self.sums.send((left, right))
        return self.sums.receive()

    def echo(self, value):
        echoes = self.gateway.remote_exec("channel.send(channel.receive())")
        echoes.send(value)
        return echoes.receive()

    def submitted(self, count):
        send, receive = self.sums.send, self.sums.receive
        return windowed(count, lambda number: send((number, number)), lambda _: receive())

    def process(self):
        return self.gateway.remote_exec("import os; channel.send(os.getpid())").receive()

    def close(self):
        self.gateway.exit()


class Pyro5(Remote):
    """A daemon on a Unix socket, with its serializer msgpack, which is its fastest for bytes."""

    unable = {"submitted": "its proxies wait for each answer"}  # noqa: RUF012 - never changed

    @staticmethod
    def prepare():
        import Pyro5.api  # noqa: F401

    def __init__(self):
        import Pyro5.api

        Pyro5.config.SERIALIZER = "msgpack"
        self.folder = tempfile.TemporaryDirectory()
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "far_pyro.py")
        command = [sys.executable, script, os.path.join(self.folder.name, "socket")]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.proxy = Pyro5.api.Proxy(self.server.stdout.readline().decode().strip())

    def add(self, left, right):
        return self.proxy.add(left, right)

    def adder(self):
        return self.proxy.add

    def echo(self, value):
        return self.proxy.echo(value)

    def mapped(self, count):
        import Pyro5.api

        batch = Pyro5.api.BatchProxy(self.proxy)
        for number in range(count):
            batch.add(number, number)
        return list(batch())

    def appender(self):
        return self.proxy.append

    def process(self):
        return self.server.pid

    def close(self):
        self.proxy._pyroRelease()
        self.server.terminate()
        self.server.communicate()
        self.folder.cleanup()


class Mitogen(Remote):
    """A child that is sent its code."""

    unable = {  # noqa: RUF012 - never changed
        "echo_array": "it unpickles plain values only: CallError, cannot unpickle 'numpy._core.multiarray'",
        "mapped": "it has a message for each call",
        "append": "it has calls, and no proxies",
    }

    @staticmethod
    def prepare():
        import mitogen.master  # noqa: F401

    def __init__(self):
        import mitogen.master

        self.broker = mitogen.master.Broker()
        self.context = mitogen.master.Router(self.broker).local(python_path=sys.executable)

    def add(self, left, right):
        return self.context.call(far.add, left, right)

    def adder(self):
        return partial(self.context.call, far.add)

    def echo(self, value):
        return self.context.call(far.echo, value)

    def submitted(self, count):
        ask = self.context.call_async
        return windowed(count, lambda number: ask(far.add, number, number), lambda answer: answer.get().unpickle())

    def process(self):
        return self.context.call(os.getpid)

    def close(self):
        self.broker.shutdown()
        self.broker.join()
