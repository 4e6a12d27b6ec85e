"""Which proxy a request goes through, by the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.

Read once: requests reads the environment anew for each request, which costs more than the request.
"""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit

from tosmon.errors import FetchError, FetchProblem
from tosmon.http import addresses

_LONGEST_HEAD = 16 * 1024


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies by scheme, and the hosts that are reached without one."""

    by_scheme: Mapping[str, str]
    direct: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Proxies:
        def value(name: str) -> str:
            return environment.get(name) or environment.get(name.upper()) or ""

        found = {scheme: value(f"{scheme}_proxy") or value("all_proxy") for scheme in ("http", "https")}
        direct = tuple(entry for entry in value("no_proxy").lower().replace(" ", "").split(",") if entry)
        return cls({scheme: proxy for scheme, proxy in found.items() if proxy}, direct)

    def for_url(self, parts: SplitResult) -> str | None:
        proxy = self.by_scheme.get(parts.scheme)
        if proxy is None or any(_covers(entry, parts) for entry in self.direct):
            return None
        return proxy


def _covers(entry: str, parts: SplitResult) -> bool:
    """Whether an entry of NO_PROXY (`*`, a host, a domain, host:port, an address, a network) holds for this URL."""
    host = parts.hostname or ""
    if entry in ("*", host, parts.netloc):
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        domain = entry.removeprefix("*").lstrip(".")
        return host == domain or host.endswith(f".{domain}")


def tunnel(url: str, proxy: str, target: str, timeout: float) -> socket.socket:
    """A connection to `target` (host:port) through an HTTP proxy, ready for what the caller speaks. Raises FetchError."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.scheme != "http" or not parts.hostname:
        raise FetchError(url, "only an http:// proxy can carry this", FetchProblem.CONNECTION, transient=False)
    port = parts.port or 80
    found = addresses.checked(proxy, parts.hostname, port, allow_private=True)
    connection = addresses.connect(url, found, port, timeout, socket.socket)
    try:
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{_login(parts)}\r\n".encode())
        status = _status(connection)
    except OSError as error:
        connection.close()
        raise FetchError(url, f"the proxy does not answer: {error}", FetchProblem.CONNECTION) from error
    if status != "200":
        connection.close()
        raise FetchError(url, f"the proxy refused: {status}", FetchProblem.CONNECTION)
    return connection


def _login(parts: SplitResult) -> str:
    if not parts.username:
        return ""
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}\r\n"


def _status(connection: socket.socket) -> str:
    """The status of an answer, read to the end of its headers and not a byte further: what follows is not ours."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _LONGEST_HEAD:
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    words = head.split(b"\r\n")[0].decode("latin-1").split()
    return words[1] if len(words) > 1 and words[0].startswith("HTTP/") else "no HTTP"
