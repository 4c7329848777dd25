"""Servers: each kind of handler over TCP, TLS and Unix sockets; gentle and forced ends; no process outlives them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.remote.fix_servers import DEADLINE, Certificates, RawPeer, Running, await_gone, await_true
from winbridge.core.errors import ConfigError
from winbridge.remote import Connection, DisconnectError, Options
from winbridge.remote.servers import (
    BIOSConnectionHandler,
    ConnectionHandler,
    LocalConnectionHandler,
    ProcessConnectionHandler,
    run_tcp,
    run_unix,
)
from winbridge.remote.servers.listening import listen_tcp
from winbridge.remote.tls import client_tls, server_tls

SECRET = "correct horse battery staple"
HANDLERS = [LocalConnectionHandler, ProcessConnectionHandler, BIOSConnectionHandler]
kinds = pytest.mark.parametrize("handler", HANDLERS, ids=["local", "process", "bios"])
processes = pytest.mark.parametrize("handler", HANDLERS[1:], ids=["process", "bios"])


def tcp(handler: ConnectionHandler, **options: object) -> Running:
    return Running(run_tcp, "127.0.0.1", 0, handler, **{"secret": SECRET, **options})


def connect(server: Running, **options: object) -> Connection:
    return Connection.from_tcp(*server.address, options=Options(**{"secret": SECRET, **options}))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@kinds
def test_calls_over_tcp(handler):
    with tcp(handler()) as server, connect(server) as one, connect(server) as other:
        pids = {one.call(os.getpid), other.call(os.getpid)}
        assert len(pids) == (1 if handler is LocalConnectionHandler else 2)
        assert (os.getpid() in pids) == (handler is LocalConnectionHandler)
        assert one.call(len, bytes(1 << 22)) == 1 << 22


@processes
def test_what_is_printed_comes_to_the_client(handler):
    with tcp(handler()) as server, connect(server) as connection:
        connection.execute("import os; print('from Python', flush=True); os.system('echo from a child')")
        lines = connection.output()
        assert {next(lines), next(lines)} == {(1, "from Python"), (1, "from a child")}


@processes
def test_a_process_that_dies_takes_one_connection(handler):
    with tcp(handler()) as server, connect(server) as stays, connect(server) as dies:
        with pytest.raises(DisconnectError):
            dies.call(os._exit, 7)
        server.log.wait_for("ERROR .*ended: exit code 7")
        assert stays.call(abs, -1) == 1


def test_a_bare_python_is_served_too():
    """The interpreter of the system, without the packages here, and isolated."""
    with tcp(BIOSConnectionHandler("/usr/bin/python3")) as server, connect(server) as connection:
        assert connection.execute("import sys; sys.executable") == "/usr/bin/python3"
        assert connection.execute("import winbridge.remote; winbridge.remote.__spec__.origin") == (
            "<from the peer>/winbridge/remote/__init__.py"
        )


def test_a_python_that_does_not_start_is_an_error_in_the_log():
    with tcp(BIOSConnectionHandler("/bin/false")) as server:
        with pytest.raises(DisconnectError):
            connect(server).call(abs, -1)
        server.log.wait_for("ERROR .*/bin/false.* does not become a peer")


def test_options_of_the_handler_are_those_of_the_serving_side():
    for handler in HANDLERS:
        with tcp(handler(Options(max_message=1 << 20)) if handler is not BIOSConnectionHandler else
                 handler(None, Options(max_message=1 << 20))) as server, connect(server) as connection:  # fmt: skip
            assert connection.peer["max_message"] == str(1 << 20)


# -- who gets in


@kinds
def test_a_unix_socket_needs_no_secret(handler, tmp_path):
    path = tmp_path / "socket"
    with Running(run_unix, path, handler()):
        assert path.stat().st_mode & 0o777 == 0o600
        with Connection.from_unix(str(path)) as connection:
            assert connection.call(abs, -1) == 1
    assert not path.exists()


def test_a_unix_socket_can_ask_for_one(tmp_path):
    path = tmp_path / "socket"
    with Running(run_unix, path, secret=SECRET) as server:
        with pytest.raises(DisconnectError, match="secret"):
            Connection.from_unix(str(path)).call(abs, -1)
        server.log.wait_for("AuthenticationError: the client has no secret")
        with Connection.from_unix(str(path), options=Options(secret=SECRET)) as connection:
            assert connection.call(abs, -1) == 1


def test_the_socket_of_a_dead_server_is_replaced_and_nothing_else_is(tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Running(run_unix, path), pytest.raises(ConfigError, match="in use"):
        Running(run_unix, path)
    path.write_text("a file")
    with pytest.raises(ConfigError, match="in use"):
        Running(run_unix, path)
    assert path.read_text() == "a file"


AS_NOBODY = """
import os, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
sys.exit(0 if client.recv(1) == b"" else 1)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that other users can look into; those of pytest are closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="ONLY ROOT CAN ACT AS ANOTHER USER: not run")
def test_another_user_gets_in_only_if_listed(open_folder):
    folder = open_folder
    for users, status in ((), 0), ((65534,), 1):
        with Running(run_unix, folder / "socket", users=users) as server:
            (folder / "socket").chmod(0o666)  # as if the permissions did not hold it back
            command = ["/usr/bin/python3", "-c", AS_NOBODY, str(folder / "socket")]
            assert subprocess.run(command, user=65534, cwd="/", timeout=DEADLINE).returncode == status
            server.log.wait_for(
                "(Protocol|Disconnect)Error" if users else "AuthenticationError: .*user 65534, who is not allowed"
            )


def test_without_a_secret_only_loopback_and_only_on_demand():
    with pytest.raises(ConfigError, match="allow_unauthenticated=True"):
        Running(run_tcp, "127.0.0.1", 0)
    with pytest.raises(ConfigError, match="others reach it"):
        Running(run_tcp, "0.0.0.0", 0)
    with pytest.raises(ConfigError, match="others reach it"):
        Running(run_tcp, "0.0.0.0", 0, allow_unauthenticated=True)
    with Running(run_tcp, "localhost", 0, allow_unauthenticated=True) as server:
        with Connection.from_tcp(*server.address) as connection:
            assert connection.call(abs, -1) == 1
        with pytest.raises(DisconnectError, match="knows no secret"):
            connect(server).call(abs, -1)


def test_the_secret_of_the_environment_counts(monkeypatch, tmp_path):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    file.chmod(0o600)
    monkeypatch.setenv("WINBRIDGE_SECRET_FILE", str(file))
    with Running(run_tcp, "127.0.0.1", 0) as server, connect(server) as connection:
        assert connection.call(abs, -1) == 1
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="others may use the secret file"):
        Running(run_tcp, "127.0.0.1", 0)


def test_an_address_that_cannot_be_had_is_an_error():
    with listen_tcp("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match="cannot listen on .*in use"):
        Running(run_tcp, "127.0.0.1", taken.getsockname()[1], secret=SECRET)
    with pytest.raises(ConfigError, match="cannot listen on 'no.such.host.invalid'"):
        Running(run_tcp, "no.such.host.invalid", 0, secret=SECRET)


@kinds
def test_tls(handler, certificates):
    context = server_tls(certificates.server, certificates.server_key)
    with tcp(handler(), tls=context) as server:
        with connect(server, ssl=client_tls(certificates.server)) as connection:
            assert connection.call(bytes.count, bytes(1 << 22), b"\0") == 1 << 22
        with pytest.raises(DisconnectError):  # no TLS
            connect(server, timeout=5.0).call(abs, -1)
        server.log.wait_for("DisconnectError: no TLS connection")


def test_certificates_of_clients_stand_in_for_a_secret(certificates):
    context = server_tls(certificates.server, certificates.server_key, clients=certificates.client)
    shown = client_tls(certificates.server, certificate=certificates.client, key=certificates.client_key)
    with Running(run_tcp, "0.0.0.0", 0, tls=context) as server:
        with Connection.from_tcp("127.0.0.1", server.address[1], options=Options(ssl=shown)) as connection:
            assert connection.call(abs, -1) == 1
        hidden = Options(ssl=client_tls(certificates.server))
        with pytest.raises(DisconnectError):
            Connection.from_tcp("127.0.0.1", server.address[1], options=hidden).call(abs, -1)
        server.log.wait_for("DisconnectError: no TLS connection: .*certificate")
    with pytest.raises(ConfigError, match="others reach it"):
        Running(run_tcp, "0.0.0.0", 0, tls=server_tls(certificates.server, certificates.server_key))


# -- the end


@kinds
def test_a_gentle_end_lets_a_call_end(handler, tmp_path):
    started, go_on = tmp_path / "started", tmp_path / "go_on"
    os.mkfifo(started)
    os.mkfifo(go_on)
    server = tcp(handler())
    with connect(server) as busy, connect(server) as idle:
        idle.call(abs, -1)
        future = busy.submit(eval, f"(open({str(started)!r}, 'w').close(), open({str(go_on)!r}).read())[1]")
        started.read_text()
        server.server.stop()
        with pytest.raises(OSError):
            RawPeer(await_refused(server.address), SECRET)
        assert idle.wait(DEADLINE)
        assert not future.done()
        go_on.write_text("done")
        assert future.result(DEADLINE) == "done"
    server.stop()


def await_refused(address: tuple[str, int]) -> tuple[str, int]:
    """Until nobody listens any more."""

    def refused() -> bool:
        try:
            socket.create_connection(address, 1).close()
        except OSError:
            return True
        return False

    await_true(refused)
    return address


@kinds
def test_a_forced_end_waits_for_nothing(handler, tmp_path):
    os.mkfifo(tmp_path / "never")
    server = tcp(handler())
    with connect(server) as connection:
        future = connection.submit(eval, f"open({str(tmp_path / 'never')!r}).read()")
        connection.call(abs, -1)
        server.stop(force=True)
        with pytest.raises(DisconnectError):
            future.result(DEADLINE)
    unblock = os.open(tmp_path / "never", os.O_RDWR)  # the thread of the local one
    os.close(unblock)


def test_a_gentle_end_has_its_time(tmp_path):
    os.mkfifo(tmp_path / "never")
    server = tcp(ProcessConnectionHandler(), grace=0.2)
    with connect(server) as connection:
        future = connection.submit(eval, f"open({str(tmp_path / 'never')!r}).read()")
        connection.call(abs, -1)
        server.stop()
        with pytest.raises(DisconnectError):
            future.result(DEADLINE)
        server.log.wait_for("ERROR .*1 connections have not ended within 0.2 s")


SERVE = """
import sys
from winbridge.remote.servers import *
handler = {"process": ProcessConnectionHandler, "bios": BIOSConnectionHandler}[sys.argv[1]]()
run_tcp("127.0.0.1", 0, handler, secret=sys.argv[2], started=lambda server: print(server.address, flush=True))
"""


@pytest.fixture(params=["process", "bios"])
def program(request: pytest.FixtureRequest) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int]]]:
    """A server that is a program of its own."""
    command = [sys.executable, "-c", SERVE, request.param, SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        host, _, port = process.stdout.readline().strip().rpartition(":")
        yield process, (host, int(port))
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_no_child_outlives_a_server(program, number, tmp_path):
    process, address = program
    os.mkfifo(tmp_path / "never")
    with Connection.from_tcp(*address, options=Options(secret=SECRET)) as connection:
        pid = connection.call(os.getpid)
        assert pid != process.pid
        stuck = connection.submit(eval, f"open({str(tmp_path / 'never')!r}).read()")
        process.send_signal(number)
        if number != signal.SIGKILL:
            await_refused(address)
            process.send_signal(number)  # the second one ends it at once
        assert process.wait(DEADLINE) == (-9 if number == signal.SIGKILL else 0)
        await_gone(pid)
        with pytest.raises(DisconnectError):
            stuck.result(DEADLINE)


def test_many_connections_leave_nothing():
    with tcp(LocalConnectionHandler()) as server:
        with connect(server) as connection:
            connection.call(abs, -1)
        await_true(lambda: not server.server.serving)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            with connect(server) as connection:
                assert connection.call(abs, -1) == 1
        await_true(lambda: not server.server.serving)
        await_true(lambda: len(os.listdir("/proc/self/fd")) <= before)
    await_true(lambda: not [each for each in threading.enumerate() if each.name.startswith("winbridge-server")])


def test_a_handler_of_ones_own():
    class Counting(LocalConnectionHandler):
        served = 0

        def begin(self, admitted, client):
            self.served += 1
            return super().begin(admitted, client)

    handler = Counting()
    with tcp(handler) as server, connect(server) as connection:
        assert connection.call(abs, -1) == 1
    assert handler.served == 1
    with tcp(ConnectionHandler()) as server:
        with pytest.raises(DisconnectError):
            connect(server).call(abs, -1)
        server.log.wait_for("a mistake in the server")
