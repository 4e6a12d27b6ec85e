"""A small proxy on loopback through which a browser reaches checked addresses only.

The browser hands over names; `connect` (of the one HTTP seam) resolves, checks and opens. A browser that looked names up
itself could be told one address when asked by us and another when it connects.
"""

from __future__ import annotations

import base64
import secrets
import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from urllib.parse import urlsplit

from tosmon.errors import FetchError

Connect = Callable[[str, int], socket.socket]

_IDLE = 60.0
_HEAD = 64 * 1024
_STEP = 64 * 1024


class Tunnel:
    """Listens from `start` to `close`. Asks for a password, so that nothing else on this machine can use it."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.user = "tosmon"
        self.password = secrets.token_hex(16)
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        self._authorization = f"basic {token}".lower()
        self._refused: list[FetchError] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, name="tosmon-tunnel", daemon=True).start()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    def close(self) -> None:
        # Closing alone does not wake a thread that waits in accept().
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def forget(self) -> None:
        self._refused.clear()

    def refused(self) -> FetchError | None:
        """Why a connection was last refused since `forget`."""
        return self._refused[-1] if self._refused else None

    def _serve(self) -> None:
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(browser,), daemon=True).start()

    def _answer(self, browser: socket.socket) -> None:
        with closing(browser), suppress(OSError, ValueError):
            browser.settimeout(_IDLE)
            head, rest = _head_of(browser)
            request, *headers = head.split("\r\n")
            method, target, _ = request.split(" ", 2)
            if not any(
                self._authorization in line.lower() for line in headers if line.lower().startswith("proxy-auth")
            ):
                browser.sendall(
                    b'HTTP/1.1 407 Log in\r\nProxy-Authenticate: Basic realm="tosmon"\r\n'
                    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                opening, path = b"", ""
            else:
                parts = urlsplit(target)
                host, port, path = parts.hostname or "", str(parts.port or 80), target.split("/", 3)[-1]
                path = "/" + path if target.count("/") > 2 else "/"
                opening = _forwarded(method, path, headers) + rest
            self._through(browser, host.strip("[]"), int(port), opening, tunnelled=method == "CONNECT")

    def _through(self, browser: socket.socket, host: str, port: int, opening: bytes, *, tunnelled: bool) -> None:
        try:
            server = self._connect(host, port)
        except FetchError as error:
            if len(self._refused) < 100:
                self._refused.append(error)
            browser.sendall(b"HTTP/1.1 502 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with closing(server):
            if tunnelled:
                browser.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            server.settimeout(_IDLE)
            server.sendall(opening)
            _relay(browser, server)


def _head_of(browser: socket.socket) -> tuple[str, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = browser.recv(_STEP)
        if not more or len(received) > _HEAD:
            raise ValueError("no request")
        received += more
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def _forwarded(method: str, path: str, headers: list[str]) -> bytes:
    """The request as the server expects it; one request to a connection, so that each is looked up and checked."""
    dropped = ("proxy-", "connection:", "keep-alive:")
    kept = [line for line in headers if not line.lower().startswith(dropped) or line.lower().startswith("upgrade:")]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode("latin-1")


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both ends are done, or nothing moves for a minute."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(one, selectors.EVENT_READ, other)
        waiting.register(other, selectors.EVENT_READ, one)
        while waiting.get_map():
            ready = waiting.select(_IDLE)
            if not ready:
                return
            for key, _ in ready:
                source, target = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                received = source.recv(_STEP)
                if received:
                    target.sendall(received)
                else:
                    waiting.unregister(source)
                    with suppress(OSError):
                        target.shutdown(socket.SHUT_WR)
