"""Every answer on its way out: strict headers, a validator, gzip, and a page that helps when something broke.

One layer around all routes, so that no route can forget it. Answers are buffered, for all of ours are whole texts;
files that are sent as they lie on disk (they bring their own validators) pass through.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
}
THREADS = 8
_WORTH_PACKING = 1000
_PACKED = ("text/", "application/json", "application/xml", "application/rss+xml", "application/atom+xml", "image/svg")

Broken = Callable[[str], Response]
"""Given a path, the answer to a request that broke."""


class Serving:
    """ASGI middleware around the whole of the web."""

    def __init__(self, app: ASGIApp, broken: Broken) -> None:
        self._app, self._broken = app, broken

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Each answer is a few milliseconds of Python: more threads than this would only wait for one another, and each
        # would keep a connection to the archive with its cache.
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        head = scope["method"] == "HEAD"
        inner: MutableMapping[str, Any] = {**scope, "method": "GET"} if head else scope
        answer = _Answer(Headers(scope=scope), send, head)
        try:
            await self._app(inner, receive, answer.take)
        except Exception:  # whatever broke, people get a page that helps and the operator the trace
            log.exception("%s %s broke", scope["method"], scope["path"])
            if answer.started:
                raise
            await _whole(self._broken(scope["path"]))(inner, receive, _Answer(Headers(scope=scope), send, head).take)


def _whole(response: Response) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    return response


class _Answer:
    """One answer: held back until it is whole, then sent with what belongs to it."""

    def __init__(self, asked: Headers, send: Send, head: bool) -> None:
        self._asked, self._send, self._head = asked, send, head
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self.started = False

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            headers = MutableHeaders(raw=message["headers"])
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if self._passes(headers, message["status"]):
                self._start = None
                self.started = True
                await self._send(message)
        elif self._start is None:
            await self._send({**message, "body": b""} if self._head else message)
        else:
            self._parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self._start, b"".join(self._parts))

    def _passes(self, headers: MutableHeaders, status: int) -> bool:
        """Answers with a validator of their own (feeds, files) are ready as they are."""
        return "etag" in headers or status in (304, 303, 308, 204)

    async def _finish(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(raw=start["headers"])
        if start["status"] == 200:
            # Weak, as one tag stands for the body as it is and in gzip.
            tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers["ETag"] = tag
            headers.setdefault("Cache-Control", "no-cache")
            if _matches(self._asked.get("if-none-match"), tag):
                start["status"], body = 304, b""
                for name in ("content-length", "content-type"):
                    if name in headers:
                        del headers[name]
        else:
            headers.setdefault("Cache-Control", "no-store")
        if start["status"] != 304:
            body = self._packed(headers, body)
            headers["Content-Length"] = str(len(body))
        self.started = True
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if self._head else body})

    def _packed(self, headers: MutableHeaders, body: bytes) -> bytes:
        if len(body) < _WORTH_PACKING or not headers.get("content-type", "").startswith(_PACKED):
            return body
        headers.add_vary_header("Accept-Encoding")
        if not accepts_gzip(self._asked.get("accept-encoding", "")):
            return body
        headers["Content-Encoding"] = "gzip"
        return gzip.compress(body, compresslevel=4, mtime=0)


def _matches(if_none_match: str | None, tag: str) -> bool:
    if if_none_match is None:
        return False
    tags = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return "*" in tags or tag.removeprefix("W/") in tags


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header allows gzip (RFC 9110 12.5.3); `gzip;q=0` forbids it."""
    for coding in accept_encoding.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*"):
            return re.fullmatch(r"q=0(\.0*)?", weight.replace(" ", "")) is None
    return False
