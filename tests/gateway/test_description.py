"""The gateway's description: true to what it answers, as schemathesis sees it from outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.conftest import ROOT
from tests.fix_gateway import run_gateway
from winbridge.core.transport.problem import Kind
from winbridge.gateway.app import create_app
from winbridge.gateway.openapi import description
from winbridge.gateway.problems import ANSWERS
from winbridge.gateway.routes import OPERATIONS
from winbridge.gateway.sessions import Limits

ENDED = 502
"""What calls of random addresses may well end with: their Windows process."""

SETTINGS = f"""
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", {ENDED}, 503]
[checks.positive_data_acceptance]
enabled = false
"""
"""503: two sessions are all that there are. The bytes of a frame are checked, and no schema tells their rules."""


def test_each_path_is_described():
    known = {(operation.path, operation.method) for operation in OPERATIONS}
    paths = description()["paths"]
    assert {(path, method.upper()) for path, methods in paths.items() for method in methods} == known
    routes = create_app("token").router.routes
    assert {(route.path, method) for route in routes for method in route.methods - {"HEAD"}} == known


def test_each_problem_has_a_place_in_it():
    told = json.dumps(description()["paths"])
    assert set(ANSWERS) == set(Kind)
    assert [kind for kind in Kind if f"`{kind.value}`" not in told] == []


def test_it_is_for_everybody(gateway):
    answer = requests.get(f"{gateway.url}/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(description()))


@pytest.mark.wine
@pytest.mark.slow
def test_schemathesis_finds_no_error_of_the_server(tmp_path: Path):
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS)
    with run_gateway(limits=Limits(sessions=2)) as gateway:
        program = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
        options = ["--header", f"Authorization: Bearer {gateway.token}", "--max-examples", "12"]
        done = subprocess.run(
            [*program, "--config-file", settings, "run", f"{gateway.url}/openapi.json", *options, "--seed", "1"],
            capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        )  # fmt: skip
        figures = requests.get(f"{gateway.url}/metrics", headers=gateway.headers).text
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d\d generated", done.stdout)
    assert 'winbridge_requests_total{operation="open_channel",status="201"}' in figures  # it came into sessions
    assert 'status="500"' not in figures
