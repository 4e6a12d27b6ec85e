"""Sockets that stop at a deadline, and urllib3 connections that open them to checked addresses only.

A time-out per read does not end a server that sends one byte a minute, in the body or in its headers, so each
socket asks the deadline of the request at hand before each read. urllib3 and http.client read and speak TLS as usual:
Host, SNI and the name in the certificate stay those of the URL.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any

import certifi
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from tosmon.http import addresses


class Deadline(threading.local):
    """When the request of this thread must be done, by the monotonic clock."""

    at: float = float("inf")

    def left(self, limit: float | None) -> float:
        """Seconds that one operation may take, `limit` at most. Raises TimeoutError when none are left."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the whole answer took too long")
        return left if limit is None else min(left, limit)


class CheckingAdapter(HTTPAdapter):
    """The adapter of requests over connections that check where they go, with one TLS context for all of them."""

    def __init__(self, deadline: Deadline, *, allow_private: bool, environment: Mapping[str, str] = os.environ) -> None:
        self._connections = _connection_classes(deadline, allow_private)
        # A context reads 150 certificates (10 ms): once, not for each connection as requests would.
        self._tls = tls_context(deadline, environment)
        super().__init__(pool_connections=64, pool_maxsize=8)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named, ssl_context=self._tls)
        self.poolmanager.pool_classes_by_scheme = self._connections

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named, ssl_context=self._tls)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._connections
        return manager

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave it to the context, which always verifies; requests would load the certificates again."""
        conn.cert_reqs = "CERT_REQUIRED"


def tls_context(deadline: Deadline, environment: Mapping[str, str]) -> ssl.SSLContext:
    """Certificates of certifi, or those that REQUESTS_CA_BUNDLE or SSL_CERT_FILE name (a company's own authority)."""
    context = ssl.create_default_context(
        cafile=environment.get("REQUESTS_CA_BUNDLE") or environment.get("SSL_CERT_FILE") or certifi.where()
    )

    class BoundedTls(ssl.SSLSocket):
        """Looks at the deadline before each read."""

        def read(self, len: int = 1024, buffer: Any = None) -> Any:
            self.settimeout(deadline.left(self.gettimeout()))
            return super().read(len, buffer)

    context.sslsocket_class = BoundedTls
    return context


def _connection_classes(deadline: Deadline, allow_private: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    class Bounded(socket.socket):
        """Looks at the deadline before each read."""

        def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
            self.settimeout(deadline.left(self.gettimeout()))
            return super().recv_into(buffer, nbytes, flags)

    def opened(connection: HTTPConnection) -> socket.socket:
        host, port = connection._dns_host, connection.port
        url = f"{'https' if isinstance(connection, HTTPSConnection) else 'http'}://{host}"
        # A proxy is the operator's choice and mostly stands in a private network; Client checks what lies behind it.
        found = addresses.checked(url, host, port, allow_private=allow_private or connection.proxy is not None)
        timeout = connection.timeout if isinstance(connection.timeout, int | float) else None
        return addresses.connect(url, found, port, deadline.left(timeout), Bounded)

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return opened(self)

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return opened(self)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}
