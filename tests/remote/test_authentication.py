"""Who may connect: the exchange of a secret, secrets from files, TLS, and users at Unix sockets."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.remote.fix_servers import Certificates, exactly
from winbridge.core.errors import ConfigError
from winbridge.remote.authentication import (
    ACCEPTED,
    CLIENT,
    SERVER,
    VERDICT,
    AuthenticationError,
    Exchange,
    Secret,
    authenticate_client,
    authenticate_server,
    check_peer_uid,
    find_secret,
    read_secret,
)
from winbridge.remote.errors import DisconnectError
from winbridge.remote.tls import client_tls, secured, server_tls

SECRET = Secret("correct horse battery staple")
PREAMBLES = b"client's preamble" + b"server's preamble"


class Recorder:
    """A socket's reading and writing, as the exchange wants it, with a copy of what went out."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent: list[bytes] = []

    def read(self, size: int) -> bytes:
        return exactly(self.sock, size)

    def write(self, data: bytes) -> None:
        self.sent.append(data)
        self.sock.sendall(data)


@pytest.fixture
def ends():
    pair = socket.socketpair()
    for sock in pair:
        sock.settimeout(30)
    yield [Recorder(sock) for sock in pair]
    for sock in pair:
        sock.close()


def both(ends, client_secret: Secret, server_secret: Secret, client_saw=PREAMBLES, server_saw=PREAMBLES):
    """Run both sides; what each raised, None for nothing."""
    client, server = ends
    with ThreadPoolExecutor(2) as pool:
        sides = [
            pool.submit(authenticate_client, client_secret, client_saw, client.read, client.write),
            pool.submit(authenticate_server, server_secret, server_saw, server.read, server.write),
        ]
        return [side.exception(30) for side in sides]


def test_who_knows_the_secret_gets_in(ends):
    assert both(ends, SECRET, Secret(b"correct horse battery staple")) == [None, None]


def test_a_wrong_secret_is_noticed_on_both_sides(ends):
    client, server = both(ends, Secret("guess"), SECRET)
    assert isinstance(client, AuthenticationError) and "does not accept our secret" in str(client)
    assert isinstance(server, AuthenticationError) and "does not know the secret" in str(server)


def test_a_refused_client_gets_nothing_to_check_guesses_with(ends):
    both(ends, Secret("guess"), SECRET)
    assert ends[1].sent[-1] == bytes(VERDICT.size)


def test_changed_preambles_are_noticed(ends):
    """Somebody between the two who takes the newer version out of what they offer."""
    errors = both(ends, SECRET, SECRET, server_saw=PREAMBLES.replace(b"client", b"clienT"))
    assert all(isinstance(error, AuthenticationError) for error in errors)


def test_a_server_that_only_says_yes_is_noticed(ends):
    client, server = ends

    def pretend() -> None:
        server.write(Exchange(SERVER, Secret("guess"), PREAMBLES).challenge)
        server.read(36 + 32)
        server.write(VERDICT.pack(ACCEPTED, os.urandom(32)))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(pretend)
        with pytest.raises(AuthenticationError, match="does not know our secret"):
            authenticate_client(SECRET, PREAMBLES, client.read, client.write)


def test_a_recorded_proof_is_worthless(ends):
    assert both(ends, SECRET, SECRET) == [None, None]
    recorded = b"".join(ends[0].sent)
    again, server = map(Recorder, socket.socketpair())
    with again.sock, server.sock:
        again.write(recorded)
        with pytest.raises(AuthenticationError):
            authenticate_server(SECRET, PREAMBLES, server.read, server.write)


def test_a_challenge_sent_back_is_noticed():
    exchange = Exchange(SERVER, SECRET, PREAMBLES)
    with pytest.raises(AuthenticationError, match="our own challenge"):
        exchange.receive(exchange.challenge)


def test_a_proof_of_one_role_is_none_of_the_other():
    """Two exchanges with one server at once, the second one answering the first one's challenge."""
    server, client = Exchange(SERVER, SECRET, PREAMBLES), Exchange(CLIENT, SECRET, PREAMBLES)
    client.receive(server.challenge)
    server.receive(client.challenge)
    assert server.verify(client.proof) and client.verify(server.proof)
    assert not server.verify(server.proof) and not client.verify(client.proof)


def test_every_changed_bit_is_noticed():
    server, client = Exchange(SERVER, SECRET, PREAMBLES, b"s" * 32), Exchange(CLIENT, SECRET, PREAMBLES, b"c" * 32)
    client.receive(server.challenge)
    server.receive(client.challenge)
    right = client.proof
    for bit in range(8 * len(right)):
        changed = bytearray(right)
        changed[bit // 8] ^= 1 << bit % 8
        assert not server.verify(bytes(changed))
    for bit in range(8 * len(client.challenge)):
        challenge = bytearray(client.challenge)
        challenge[bit // 8] ^= 1 << bit % 8
        other = Exchange(SERVER, SECRET, PREAMBLES, b"s" * 32)
        try:
            other.receive(bytes(challenge))
        except AuthenticationError:
            continue
        assert not other.verify(right)


def test_nonces_are_never_the_same():
    assert len({Exchange(CLIENT, SECRET, b"").challenge for _ in range(1000)}) == 1000


def test_a_secret_is_never_shown(caplog):
    logging.getLogger("test").warning("%s %r %s", SECRET, SECRET, {"secret": SECRET})
    assert "horse" not in caplog.text + repr(SECRET) + str(SECRET) + f"{SECRET}" + repr(vars(type(SECRET)))
    assert caplog.text.count("Secret(...)") == 3


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_secret_comes_from_the_first_source(tmp_path):
    file = write(tmp_path / "file", "in file\n")
    environment = {"WINBRIDGE_SECRET": "in variable", "WINBRIDGE_SECRET_FILE": str(write(tmp_path / "f", "named\r\n"))}
    assert find_secret("given", file, environment).key == b"given"
    assert find_secret(None, file, environment).key == b"in file"
    assert find_secret(None, None, environment).key == b"in variable"
    assert find_secret(None, None, {"WINBRIDGE_SECRET_FILE": environment["WINBRIDGE_SECRET_FILE"]}).key == b"named"
    assert find_secret(None, None, {}) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o644])
def test_a_file_that_others_may_use_is_refused(tmp_path, mode):
    file = write(tmp_path / "secret", "text", mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*chmod 600 {file}"):
        read_secret(file)


def test_a_missing_or_empty_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing cannot be read.*umask 077"):
        read_secret(tmp_path / "missing")
    with pytest.raises(ConfigError, match="is empty"):
        read_secret(write(tmp_path / "empty", " \n"))
    with pytest.raises(ConfigError, match="is empty"):
        Secret("")


def unix_pair(path: Path) -> tuple[socket.socket, socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))
        return listener.accept()[0], client


def test_our_own_processes_may_connect(tmp_path):
    server, client = unix_pair(tmp_path / "socket")
    with server, client:
        assert check_peer_uid(server) == os.getuid()


AS_NOBODY = """
import os, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.recv(1)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="ONLY ROOT CAN ACT AS ANOTHER USER: not run")
def test_another_user_may_not_connect_unless_listed():
    """A real process of user 65534, at a socket that file permissions let it reach."""
    name = f"\0winbridge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(name)
        listener.listen()
        code = AS_NOBODY.replace("sys.argv[1]", repr(name))
        other = subprocess.Popen(["/usr/bin/python3", "-c", code], user=65534, cwd="/")
        listener.settimeout(30)
        server, _ = listener.accept()
        with server:
            with pytest.raises(AuthenticationError, match=f"process {other.pid} belongs to user 65534"):
                check_peer_uid(server)
            assert check_peer_uid(server, {65534}) == 65534
        assert other.wait(30) == 0


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost", size: int = 1):
    """Both sides' errors of a TLS handshake and an echo, None for none."""
    ends = socket.socketpair()

    def ask() -> None:
        with secured(ends[0], client, 30, name) as plain, ThreadPoolExecutor(1) as pool:
            plain.settimeout(30)
            sending = pool.submit(plain.sendall, bytes(size))
            assert exactly(plain, size) == bytes(size)
            sending.result()

    def echo() -> None:
        with secured(ends[1], server, 30) as plain:
            plain.settimeout(30)
            plain.sendall(exactly(plain, size))

    with ThreadPoolExecutor(2) as pool:
        sides = [pool.submit(ask), pool.submit(echo)]
        return [side.exception(60) for side in sides]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def test_tls_with_a_known_server(certificates):
    server = server_tls(certificates.server, certificates.server_key)
    for size in (1, 10_000_000):
        assert shake(server, client_tls(certificates.server), size=size) == [None, None]


def test_tls_refuses_an_unknown_server(certificates):
    server = server_tls(certificates.server, certificates.server_key)
    for client in (client_tls(), client_tls(certificates.client)):
        errors = shake(server, client)
        assert all(isinstance(error, DisconnectError) for error in errors)
        assert "certificate verify failed" in str(errors[0]) and "unknown ca" in str(errors[1]).lower()


def test_tls_refuses_another_name(certificates):
    server = server_tls(certificates.server, certificates.server_key)
    error, _ = shake(server, client_tls(certificates.server), "other.example")
    assert isinstance(error, DisconnectError) and "other.example" in str(error)


def test_tls_asks_clients_for_certificates(certificates):
    server = server_tls(certificates.server, certificates.server_key, clients=certificates.client)
    shown = client_tls(certificates.server, certificate=certificates.client, key=certificates.client_key)
    assert shake(server, shown) == [None, None]
    wrong = client_tls(certificates.server, certificate=certificates.server, key=certificates.server_key)
    for client in (client_tls(certificates.server), wrong):
        errors = shake(server, client)
        assert errors[0] is not None
        assert isinstance(errors[1], DisconnectError) and "certificate" in str(errors[1])


def test_tls_wants_a_peer_that_speaks_tls_in_time(certificates):
    server = server_tls(certificates.server, certificates.server_key)
    for sent, message in ((b"GET / HTTP/1.0\r\n\r\n", "no TLS connection"), (b"\x16", "timed out")):
        peer, ours = socket.socketpair()
        with peer:
            peer.sendall(sent)
            with pytest.raises(DisconnectError, match=message):
                secured(ours, server, 0.2)


def test_tls_threads_end_with_either_side(certificates):
    server, client = server_tls(certificates.server, certificates.server_key), client_tls(certificates.server)
    assert shake(server, client) == [None, None]
    ends = socket.socketpair()
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(secured, ends[1], server, 30)
        ours, theirs = secured(ends[0], client, 30, "localhost"), accepted.result(30)
    theirs.settimeout(30)
    ours.close()
    assert theirs.recv(1) == b""
    theirs.close()
    for thread in threading.enumerate():
        if thread.name == "winbridge-remote-tls":
            thread.join(30)
            assert not thread.is_alive()


def test_unsuitable_certificates_are_named(certificates, tmp_path):
    missing = tmp_path / "missing.pem"
    with pytest.raises(ConfigError, match=r"missing.pem.*cannot be used"):
        server_tls(missing)
    with pytest.raises(ConfigError, match="cannot be used"):
        server_tls(certificates.server, certificates.client_key)
    with pytest.raises(ConfigError, match=r"missing.pem.*cannot be used"):
        client_tls(missing)


def test_a_key_with_a_password_is_an_error_not_a_question(certificates, tmp_path):
    locked = tmp_path / "locked.pem"
    command = ["openssl", "rsa", "-aes128", "-passout", "pass:word", "-in", certificates.server_key, "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(ConfigError, match=r"locked.pem.*cannot be used"):
        server_tls(certificates.server, locked)


def test_import_is_light():
    code = (
        "import sys; before = set(sys.modules); import winbridge.remote.authentication;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert not {"ssl", "hmac", "hashlib", "logging", "socket", "asyncio"} & set(done.stdout.split())
