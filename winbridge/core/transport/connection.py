"""One connection to a gateway, on ``requests``; the seam where its errors become ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from winbridge.core.errors import CallTimeoutError, ConnectError, TransportError, WinbridgeError, WireError
from winbridge.core.transport.gatewayjson import decode
from winbridge.core.transport.problem import exception

if TYPE_CHECKING:
    import requests

LONGEST_CONNECT = 10.0
"""Seconds to wait for a connection, at most: a machine that is there takes much less."""

TIMEOUT_HEADER = "Winbridge-Timeout"
"""Seconds that a call may take, for the gateway: it frees what the client gives up."""

LONGEST_PAGE = 1 << 20
"""Bytes of an answer that is no frame; what is longer comes from something else than a gateway."""

PIECE = 1 << 16

BYTES = "application/octet-stream"
JSON = "application/json"

T = TypeVar("T")


class Endpoint(NamedTuple):
    """Where a gateway is and how to speak to it.

    Attributes:
        url: its address without a slash at the end.
        token: None where it asks for none.
        timeout: seconds that it may take to answer all but calls.
        verify: whether its TLS certificate is checked, or the file of authorities to check it by.
    """

    url: str
    token: str | None
    timeout: float
    verify: bool | str

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"  # without the token: this may end in a log


class Connection:
    """A ``requests`` session that keeps one connection open; used by one thread at a time.

    It repeats nothing and follows no redirection: a call must not run twice, and a token must
    not go to another machine.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        import requests
        from requests.adapters import HTTPAdapter

        self._endpoint = endpoint
        self._http = http = requests.Session()
        for scheme in ("http://", "https://"):
            http.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0))
        # What the environment says (proxies, authorities) is read once instead of for every call.
        settings = http.merge_environment_settings(endpoint.url, {}, None, endpoint.verify, None)
        self._verify = endpoint.verify if settings["verify"] is None else settings["verify"]
        http.proxies, http.trust_env = settings["proxies"], False
        http.headers.update({"User-Agent": "winbridge", "Accept-Encoding": "identity"})
        if endpoint.token is not None:
            http.headers["Authorization"] = f"Bearer {endpoint.token}"
        self._prepared: dict[tuple[str, str], requests.PreparedRequest] = {}

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def exchange(self, path: str, body: bytes, timeout: float | None, limit: int) -> bytes:
        """Send a frame and take the one that answers it, of ``limit`` bytes at most."""
        headers = {"Content-Type": BYTES, "Accept": BYTES}
        if timeout is not None:
            headers[TIMEOUT_HEADER] = repr(timeout)
        return self._send("POST", path, body, headers, timeout, f"timeout_call={timeout} s", BYTES, limit)

    def ask(self, path: str, body: msgspec.Struct | None, answer: type[T], timeout: float) -> T:
        """Send one JSON body and take another, of a given shape."""
        data = msgspec.json.encode(body if body is not None else {})
        headers = {"Content-Type": JSON, "Accept": JSON}
        found = self._send("POST", path, data, headers, timeout, f"{timeout:g} s", JSON)
        try:
            return decode(found, answer)
        except ValueError as error:
            raise WireError(f"{self._endpoint.url} does not answer like a gateway of winbridge: {error}") from error

    def delete(self, path: str, timeout: float) -> None:
        """Give up what a path names."""
        self._send("DELETE", path, None, {}, timeout, f"{timeout:g} s", None)

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str],
        timeout: float | None, waited: str, expected: str | None, limit: int = LONGEST_PAGE,
    ) -> bytes:  # fmt: skip
        import requests

        url, longest = self._endpoint.url, min(LONGEST_CONNECT, self._endpoint.timeout)
        waits = (longest if timeout is None else min(longest, timeout), timeout)
        try:
            response = self._request(method, path, body, headers, waits)
            content = _read(response, max(limit, LONGEST_PAGE))
        except requests.RequestException as error:
            raise _translated(error, url, waited) from error
        except (ValueError, OverflowError) as error:  # a header that is no text, no address, no length
            raise WireError(f"{url} does not answer like a gateway of winbridge: {error}") from error
        return self._checked(response, content, expected, limit)

    def _request(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], waits: Any
    ) -> requests.Response:
        """What the session's own ``request`` does, without making anew for each call what is the same for all."""
        import requests

        http, known = self._http, self._prepared.get((method, path))
        if known is None:
            known = http.prepare_request(requests.Request(method, self._endpoint.url + path))
            self._prepared[method, path] = known
        request = known.copy()
        request.headers.update(headers)
        request.prepare_body(body, None)
        adapter = http.get_adapter(self._endpoint.url)
        return adapter.send(request, stream=True, timeout=waits, verify=self._verify, proxies=http.proxies)

    def _checked(self, response: requests.Response, content: bytes, expected: str | None, limit: int) -> bytes:
        url, media_type = self._endpoint.url, response.headers.get("Content-Type", "")
        if response.is_redirect:
            raise TransportError(f"the gateway {url} is elsewhere: use the address {response.headers['Location']}")
        if not response.ok:
            raise exception(response.status_code, media_type, content, url)
        if len(content) > limit:
            raise WireError(f"{url} does not answer like a gateway of winbridge: more than {limit} bytes")
        if expected is not None and media_type.partition(";")[0].strip().lower() != expected:
            raise WireError(
                f"{url} does not answer like a gateway of winbridge: {response.status_code} with"
                f" {media_type or 'no content type'} where {expected} belongs"
            )
        return content


def _read(response: requests.Response, limit: int) -> bytes:
    """The body, and of one that is longer than ``limit`` just enough to tell."""
    content = bytearray()
    for piece in response.iter_content(PIECE):
        content += piece
        if len(content) > limit:
            response.close()  # the rest may never end
            break
    return bytes(content)


def _translated(error: requests.RequestException, url: str, waited: str) -> WinbridgeError:
    """What failed, by guilt: not reached, too slow, or lost on the way."""
    import requests
    from urllib3.exceptions import NewConnectionError, ReadTimeoutError

    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None) or cause or error
    if isinstance(error, requests.ReadTimeout) or isinstance(reason, ReadTimeoutError):
        return CallTimeoutError(f"no answer of the gateway {url} within {waited}; the call was abandoned")
    if isinstance(error, requests.exceptions.SSLError):
        return ConnectError(f"no trusted connection to the gateway {url}: {reason}; verify= names its authority's file")
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError | requests.exceptions.InvalidURL):
        return ConnectError(f"the gateway {url} cannot be reached: {reason}")
    if isinstance(reason, NewConnectionError):
        return ConnectError(f"the gateway {url} cannot be reached: {reason}; does `winbridge serve` run there?")
    return TransportError(
        f"the connection to the gateway {url} broke: {reason}; the call may have run, so it is not repeated"
    )
