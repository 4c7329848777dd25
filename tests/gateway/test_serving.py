"""``winbridge serve`` as a program: its options, its certificate, its end."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading

import pytest
import requests

from tests.conftest import ROOT
from tests.fix_gateway import TOKEN
from tests.remote.fix_servers import Certificates
from winbridge import ConnectError, GatewaySession, TransportError, load_dll

wine = pytest.mark.wine
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@contextlib.contextmanager
def served(folder, *options):
    """A gateway of the command line, and its address."""
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    command = [sys.executable, "-m", "winbridge", "serve", "--port", "0", "--token-file", token, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as server:
        try:
            line = server.stdout.readline()
            yield server, re.fullmatch(r"winbridge gateway listens on (\S+) \(clients need the token\)\n", line)[1]
        finally:
            server.terminate()


@wine
@pytest.mark.win64
def test_tls(tmp_path, certificates):
    options = ("--tls-cert", certificates.server, "--tls-key", certificates.server_key)
    with served(tmp_path, *options) as (_, url):
        assert url.startswith("https://127.0.0.1:")
        with GatewaySession(url, TOKEN, verify=str(certificates.server)) as session:
            assert load_dll("kernel32", session=session).MulDiv(6, 7, 1) == 42
        for verify in (True, str(certificates.client)):
            with pytest.raises(ConnectError, match=r"no trusted connection to the gateway .* verify="):
                GatewaySession(url, TOKEN, verify=verify)
        with pytest.raises((ConnectError, TransportError)):
            GatewaySession(url.replace("https", "http"), TOKEN)


def refusal(*options):
    command = [sys.executable, "-m", "winbridge", "serve", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode and "listens" not in done.stdout
    return done.stderr


def test_certificates_that_cannot_be_used(tmp_path, certificates):
    assert "--tls-cert" in refusal("--tls-key", certificates.server_key)
    assert "cannot be used" in refusal("--tls-cert", certificates.server, "--tls-key", certificates.client_key)
    assert f"certificate {tmp_path / 'none.pem'}" in refusal("--tls-cert", tmp_path / "none.pem")


def test_a_token_that_others_can_read_is_noted(tmp_path):
    (tmp_path / "token").write_text("secret")
    (tmp_path / "token").chmod(0o644)
    told = refusal("--token-file", tmp_path / "token", "--tls-cert", tmp_path / "none.pem")
    assert f"chmod 600 {tmp_path / 'token'}" in told and "secret" not in told


@wine
@pytest.mark.win64
def test_limits_of_the_command_line(tmp_path):
    with served(tmp_path, "--max-sessions", "1", "--idle-timeout", "0.5") as (_, url):
        body = {"json": {"arch": "win64", "wire_version": 3}, "headers": HEADERS}
        assert requests.post(f"{url}/v1/sessions", **body).status_code == 201
        refused = requests.post(f"{url}/v1/sessions", **body)
        while refused.status_code == 503:  # until the first one expired
            assert "all 1 sessions" in refused.json()["detail"]
            refused = requests.post(f"{url}/v1/sessions", **body)
        assert refused.status_code == 201
        assert (
            'winbridge_sessions_ended_total{reason="expired"} 1.0'
            in requests.get(f"{url}/metrics", headers=HEADERS).text
        )


@wine
@pytest.mark.win64
def test_at_sigterm_calls_under_way_end_and_no_others_begin(tmp_path):
    with served(tmp_path) as (server, url), GatewaySession(url, TOKEN) as session:
        kernel32 = load_dll("kernel32", session=session)
        assert requests.get(f"{url}/healthz").status_code == 200
        ended = []
        kernel32.SleepEx(0, 0)
        while "\nwinbridge_calls_under_way 0.0" not in requests.get(f"{url}/metrics", headers=HEADERS).text:
            pass  # its answer came before it was counted as ended
        caller = threading.Thread(target=lambda: ended.append(kernel32.SleepEx(1500, 0)))
        caller.start()
        while "\nwinbridge_calls_under_way 1.0" not in requests.get(f"{url}/metrics", headers=HEADERS).text:
            pass
        server.send_signal(signal.SIGTERM)
        while (health := requests.get(f"{url}/healthz")).status_code == 200:
            pass
        assert health.status_code == 503 and health.json()["type"].endswith(":closing")
        with pytest.raises(TransportError, match="the gateway is closing"):
            kernel32.MulDiv(6, 7, 1)
        body = {"json": {"arch": "win64", "wire_version": 3}, "headers": HEADERS}
        assert requests.post(f"{url}/v1/sessions", **body).json()["type"].endswith(":closing")
        caller.join()
        assert ended == [0] and server.wait() == -signal.SIGTERM
