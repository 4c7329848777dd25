"""Sessions on another machine, through its gateway (``winbridge serve``)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from winbridge.core.config import Config
from winbridge.core.errors import ConfigError
from winbridge.core.session import SessionEngine
from winbridge.core.transport.connection import Endpoint
from winbridge.core.transport.contract import Transport
from winbridge.core.transport.http import HttpTransport

USUAL_TIMEOUT = 30.0
FAR_SIDE = frozenset({"prefix", "python", "spin_us", "transport", "wine", "wine_debug"})
"""Parameters that only count where the agent runs."""


class GatewaySession(SessionEngine):
    """Windows code on a gateway. It never opens by itself: make one with the gateway's address.

    Args:
        url: the gateway's address, for example ``http://build-host:8765``.
        token: what ``winbridge serve`` asks for.
        timeout: seconds that the gateway may take to answer all but calls; for calls see the
            parameter ``timeout_call``, for the start of the agent ``timeout_start``.
        verify: False does not check the TLS certificate; a text names the file of authorities.
        arch: ``win64`` or ``win32``; None takes the parameter ``arch`` of the usual sources, else 64 bit.
        config: see ``SessionEngine``.
        **parameters: see ``Config``; not those that only count on the gateway's machine.

    Raises:
        ConfigError: an argument is bad.
        ConnectError: the gateway cannot be reached, or refuses the token.
        AgentStartError: the gateway cannot start an agent.
        WireError: it speaks another version of the wire.
        SessionExistsError: this thread has one with other arguments.
    """

    local = False

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float = USUAL_TIMEOUT, verify: bool | str = True,
        arch: str | None = None, config: Config | None = None, **parameters: Any,
    ) -> None:  # fmt: skip
        for name in sorted(FAR_SIDE & parameters.keys()):
            raise ConfigError(f"{name} counts on the gateway's machine: set it where `winbridge serve` runs")
        self._endpoint = Endpoint(_address(url), _checked(token), _positive(timeout), verify)
        if arch is not None:
            parameters["arch"] = arch
        super().__init__(config, **parameters)

    def connect(self) -> Transport:
        arch = self.config.arch or "win64"
        self.arch = arch
        return HttpTransport(self._endpoint, arch, self.config.timeout_start)


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        usable = False
    if not usable:
        raise ConfigError(f"url={url!r}: expected a gateway's address such as http://build-host:8765")
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigError("url: a gateway's address has no user, query or fragment; the secret goes into token=")
    return url.rstrip("/")


def _checked(token: str | None) -> str | None:
    if token is not None and not (isinstance(token, str) and token.isascii() and token.isprintable() and token.strip()):
        raise ConfigError("token: expected printable ASCII characters, as `winbridge serve` takes or prints them")
    return token


def _positive(timeout: float) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < float("inf"):
        raise ConfigError(f"timeout={timeout!r}: expected seconds, more than 0")
    return float(timeout)
