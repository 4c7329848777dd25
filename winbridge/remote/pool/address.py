"""Addresses of pools, as users write them."""

from __future__ import annotations

from winbridge.core.errors import ConfigError


def parse_address(text: str) -> tuple[str, int]:
    """Take ``HOST:PORT`` apart; an IPv6 address stands in brackets.

    Raises:
        ConfigError: it is not made like that.
    """
    host, colon, port = text.rpartition(":")
    inside = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not inside or not port.isdecimal() or int(port) > 65535 or (":" in host and inside == host):
        raise ConfigError(
            f"{text!r} is no address: write HOST:PORT (localhost:9000, [::1]:9000) or a path of a Unix socket with a /"
        )
    return inside, int(port)


def is_path(text: str) -> bool:
    """Whether an address is the path of a Unix socket."""
    return "/" in text
