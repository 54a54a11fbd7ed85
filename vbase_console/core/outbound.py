"""HTTP requests to URLs that tenants give: webhooks and ping URLs.

A request goes to an address that was checked, not to a proxy. Redirects are not followed. Only the
status of the answer is kept, so that no content of an inner server reaches a tenant.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import ssl
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from vbase_console.core.addresses import AddressError, AddressRules

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_URL_LENGTH = 2000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])[ \r\n]")
_INTERIM = re.compile(rb"\AHTTP/1\.[01] 1[0-9][0-9][^\n]*\n(?:[^\r\n][^\n]*\n)*\r?\n")
"""Each byte can match in one way only: the time must not grow with the choices of a server."""


class UrlInvalid(AddressError): ...


class RequestFailed(AddressError):
    """No valid answer came. The message names the reason."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    host: str
    port: int
    tls: bool
    path: str

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in _DEFAULT_PORTS.values() else f"{host}:{self.port}"


def parse_url(url: str) -> Target:
    """Raises UrlInvalid for a URL with a user, or of another scheme than http and https."""
    if len(url) > MAX_URL_LENGTH or not _VISIBLE.fullmatch(url):
        raise UrlInvalid(f"Give a URL of at most {MAX_URL_LENGTH} visible ASCII characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UrlInvalid(f"The URL has no valid host or port: {error}.") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise UrlInvalid("Give a URL that begins with http:// or https:// and a host.")
    if "@" in parts.netloc:
        raise UrlInvalid("Give a URL without a user and a password.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(
        host=parts.hostname,
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        tls=parts.scheme == "https",
        path=path,
    )


def send_request(
    rules: AddressRules,
    url: str,
    *,
    method: str = "POST",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    seconds: float = TIMEOUT_SECONDS,
) -> int:
    """Send a request and return the status of its answer, also of a redirect.

    Raises AddressError for a URL or an address that is refused, and for a failure.
    """
    target, deadline = parse_url(url), time.monotonic() + seconds
    addresses = rules.check(target.host, target.port, seconds=min(seconds, 4.0))
    try:
        with _connect(target, addresses, deadline) as connection:
            connection.sendall(_request(target, method, body, headers or {}))
            return _read_status(connection, deadline)
    except TimeoutError as error:
        raise RequestFailed(f"{target.authority} did not answer in {seconds:.0f} s.") from error
    except ssl.SSLCertVerificationError as error:
        raise RequestFailed(
            f"The certificate of {target.authority} was not accepted: {error.verify_message}."
        ) from error
    except OSError as error:
        raise RequestFailed(f"{target.authority} cannot be reached: {error.strerror}.") from error


def _connect(target: Target, addresses: list[str], deadline: float) -> socket.socket:
    """Connect to the first checked address that accepts."""
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            plain = socket.create_connection((address, target.port), timeout=_left(deadline))
        except OSError as error:
            failure = error
            continue
        if not target.tls:
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
    raise failure


def _request(target: Target, method: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    given = {
        "Host": target.authority,
        **headers,
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    for name, value in given.items():
        if not _VISIBLE.fullmatch(name) or not value.isprintable() or not value.isascii():
            raise RequestFailed(f"The header {name!r} contains characters that are not allowed.")
    lines = [f"{method} {target.path} HTTP/1.1", *(f"{name}: {given[name]}" for name in given)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read_status(connection: socket.socket, deadline: float) -> int:
    """Read at most `MAX_ANSWER_BYTES`, and return the status. The rest is given up."""
    answer = b""
    while len(answer) < MAX_ANSWER_BYTES:
        connection.settimeout(_left(deadline))
        received = connection.recv(MAX_ANSWER_BYTES - len(answer))
        if not received:
            break
        answer += received
    final = answer
    while interim := _INTERIM.match(final):
        final = final[interim.end() :]
    status = _STATUS.match(final)
    if status is None:
        raise RequestFailed("The server answered, but not with HTTP.")
    return int(status.group(1))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
