"""The suite of ``conformance`` over all transports."""

from __future__ import annotations

import pytest

from tests.remote.conformance import Conformance
from tests.remote.fix_transports import TRANSPORTS


@pytest.fixture(scope="module", params=list(TRANSPORTS))
def connection(request: pytest.FixtureRequest):
    with TRANSPORTS[request.param]() as connection:
        yield connection


class TestConformance(Conformance):
    pass
