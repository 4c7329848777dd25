"""What people and Prometheus see of a gateway: its page, its figures, the ids of requests."""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.fix_gateway import TOKEN, run_gateway
from winbridge import GatewaySession, WindowsFault, load_dll

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
in_a_browser = pytest.mark.skipif(BROWSER is None, reason=f"NO BROWSER ({', '.join(BROWSERS)}): not run")
wine = pytest.mark.wine


def figures(gateway):
    """The value of each figure, by name and labels."""
    answer = requests.get(f"{gateway.url}/metrics", headers=gateway.headers)
    assert answer.headers["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name.removeprefix("winbridge_"), *sample.labels.values()): sample.value for sample in samples}


# Ids of requests.


@pytest.mark.parametrize("path", ["/healthz", "/v1/nothing", "/v1/sessions"])
def test_an_id_that_was_given_comes_back(gateway, path):
    for headers in ({}, gateway.headers):  # refused and let in
        answer = requests.get(gateway.url + path, headers={**headers, "X-Request-Id": "mine-1"})
        assert answer.headers["X-Request-Id"] == "mine-1"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 65, "a\tb", "é"])
def test_another_id_is_made_where_it_does_not_fit(gateway, given):
    headers = {} if given is None else {"X-Request-Id": given.encode("latin-1")}
    first, second = (requests.get(f"{gateway.url}/healthz", headers=headers).headers["X-Request-Id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{16}", first) and first != second


@wine
@pytest.mark.win64
def test_each_line_of_the_log_names_its_request(gateway, caplog):
    caplog.set_level(logging.DEBUG, "winbridge.gateway")
    body = {"json": {"arch": "win64", "wire_version": 3}, "headers": {**gateway.headers, "X-Request-Id": "opening"}}
    opened = requests.post(f"{gateway.url}/v1/sessions", **body)
    session = f"{gateway.url}/v1/sessions/{opened.json()['id']}"
    requests.delete(session, headers={**gateway.headers, "X-Request-Id": "closing"})
    requests.delete(session, headers={**gateway.headers, "X-Request-Id": "again"})
    lines = [record.getMessage() for record in caplog.records if record.name == "winbridge.gateway"]

    def of(name):
        return [line.partition("] ")[2] for line in lines if line.startswith(f"[{name}] ")]

    assert len(lines) == 6
    assert re.fullmatch(r"session \S+ opened, win64", of("opening")[0])
    assert re.fullmatch(r"POST '/v1/sessions': 201 after [\d.]+ ms", of("opening")[1])
    assert of("closing")[0].endswith("ended: closed")
    assert of("again")[0].startswith("No such session: there is no session") and ": 404 after" in of("again")[1]
    assert TOKEN not in str(lines)


def test_a_mistake_of_ours_is_told_to_the_log_alone(caplog):
    with run_gateway() as gateway:
        gateway.sessions.samples = None  # what the page asks for
        answer = requests.get(gateway.url, headers={**gateway.headers, "X-Request-Id": "broken"})
        assert answer.status_code == 500 and answer.headers["X-Request-Id"] == "broken"
        assert answer.headers["Content-Type"] == "application/problem+json" and "NoneType" not in answer.text
        assert requests.get(f"{gateway.url}/healthz").ok
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == ["[broken] a mistake in the gateway"]
    assert "TypeError" in caplog.text


# Figures.


@wine
@pytest.mark.win64
def test_figures_follow_what_happens():
    with run_gateway() as gateway:
        assert figures(gateway)["sessions", "win64"] == 0
        with GatewaySession(gateway.url, gateway.token) as session:
            kernel32 = load_dll("kernel32", session=session)
            before = figures(gateway)
            for _ in range(10):
                kernel32.MulDiv(6, 7, 1)
            with pytest.raises(WindowsFault):
                session.memory.read(0x10, 4)
            now = figures(gateway)
            assert (now["sessions", "win64"], now["sessions_opened_total", "win64"]) == (1, 1)
            assert now["agent_memory_bytes", "win64"] > 1e6 and now["process_resident_memory_bytes",] > 1e7
        requests.get(f"{gateway.url}/v1/sessions", headers={"Authorization": "Bearer wrong"})
        after = figures(gateway)

    def grew(*name, since=before, until=now):
        return until.get(name, 0) - since.get(name, 0)

    assert grew("faults_total") == 1
    calls = grew("calls_total")
    assert calls >= 12 and grew("requests_total", "exchange", "200") == calls
    assert grew("call_seconds_count") == calls and 0 < grew("call_seconds_sum") < 60
    assert grew("call_seconds_bucket", "+Inf") == calls
    assert grew("received_bytes_total") > 80 * calls and grew("sent_bytes_total") > 80 * calls
    assert grew("sessions", "win64", until=after) == 0 - before["sessions", "win64"] == -1
    assert after["sessions_ended_total", "closed"] == 1 and after["problems_total", "token"] == 1


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_readers_may_show_the_token_as_a_password(gateway, path):
    refused = requests.get(gateway.url + path)
    assert refused.status_code == 401 and "Basic realm=" in refused.headers["WWW-Authenticate"]
    assert requests.get(gateway.url + path, auth=("anybody", gateway.token)).ok
    for wrong in (("anybody", "wrong"), (gateway.token, ""), ("anybody", "")):
        assert requests.get(gateway.url + path, auth=wrong).status_code == 401
    for header in ("Basic", "Basic !", "Basic " + "A" * 9):
        assert requests.get(gateway.url + path, headers={"Authorization": header}).status_code == 401


# The page.


class Text(HTMLParser):
    """What a reader sees, and what a page would load."""

    def __init__(self, page):
        super().__init__()
        self.words, self.loads, self._unseen = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._unseen = tag in ("style", "script")
        loading = {"src", "srcset"} | ({"href"} if tag == "link" else set())
        self.loads += [value for name, value in attributes if name in loading]

    def handle_data(self, data):
        if not self._unseen and data.strip():
            self.words.append(data.strip())


@contextlib.contextmanager
def busy_gateway(token=None):
    """A gateway where something happened."""
    with run_gateway(token=token) as gateway, GatewaySession(gateway.url, token) as session:
        kernel32 = load_dll("kernel32", session=session)
        load_dll("msvcrt", session=session)
        for _ in range(20):
            kernel32.MulDiv(6, 7, 1)
        with pytest.raises(WindowsFault):
            session.memory.read(0x10, 4)
        requests.get(f"{gateway.url}/v1/<b>nothing", headers=gateway.headers)
        yield gateway


@wine
@pytest.mark.win64
def test_the_page_can_be_read_without_its_script():
    with busy_gateway(TOKEN) as gateway:
        answer = requests.get(gateway.url, headers=gateway.headers)
        hosted = gateway.sessions.samples()[0]
    page = Text(answer.text)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.loads == ["data:,"]  # no icon; nothing comes from elsewhere
    words = page.words

    def after(name):
        return words[words.index(name) + 1]

    assert (after("Sessions"), after("Windows faults"), after("Errors")) == ("1", "1", "1")
    assert int(after("Calls")) == hosted.calls > 20
    assert "kernel32, msvcrt" in words and "win64" in words and "status-404" in words
    assert f"Latency histogram of {hosted.calls} calls" in answer.text
    assert re.fullmatch(r"\d+ MB", after("Memory"))
    assert gateway.token not in answer.text and len(hosted.name) == 4


@wine
@pytest.mark.win64
@in_a_browser
def test_the_page_lives_in_a_browser(tmp_path):
    program = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    with busy_gateway() as gateway:
        command = [*program, "--virtual-time-budget=3500", "--dump-dom", gateway.url]
        dump = subprocess.run(command, capture_output=True, text=True, check=True)
        asked = figures(gateway)["requests_total", "status", "200"]
    assert re.search(r'<p id="live">Updated live, \d+:\d\d', dump.stdout)
    assert asked >= 3  # the page, and what its script asked for
    assert "kernel32, msvcrt" in Text(dump.stdout).words
    assert "Content Security Policy" not in dump.stderr
