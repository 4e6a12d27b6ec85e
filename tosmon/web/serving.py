"""Every answer on its way out: strict headers, a validator, gzip, and a page that helps when something broke.

One layer around all routes, so that no route can forget it. Answers are buffered, for all of ours are whole texts, and
kept as long as the archive stays as it is: most readers ask for what others have asked for. Files that are sent as they lie
on disk (they bring their own validators) pass through.
"""

from __future__ import annotations

import gc
import gzip
import hashlib
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, MutableMapping
from dataclasses import dataclass
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
THREADS = 4
KEPT_BYTES, KEPT_ANSWERS = 16 * 1024 * 1024, 2000
_OVERHEAD = 2000  # bytes of Python around one answer
_LONGEST_KEPT = 512  # bytes of path or query: longer ones are nobody's but who made them up
OPERATOR_COOKIE = "tosmon_operator"
"""Whoever has it may see other things on the same pages."""
_PUBLIC = ("/services", "/changes/", "/versions/", "/search", "/incidents", "/feeds", "/api/v1/", "/profiles")
_WORTH_PACKING = 1000
_OF_THE_BODY = (b"content-length", b"content-type", b"content-encoding")
_PACKED = ("text/", "application/json", "application/xml", "application/rss+xml", "application/atom+xml", "image/svg")

Broken = Callable[[str], Response]
"""Given a path, the answer to a request that broke."""
State = Callable[[], Hashable]
"""What all pages are made from (the archive, the minute); answers are kept while it stays. `None`: keep nothing."""


class Serving:
    """ASGI middleware around the whole of the web."""

    def __init__(self, app: ASGIApp, broken: Broken, state: State = lambda: None) -> None:
        self._app, self._broken, self._state = app, broken, state
        self._kept = _Kept()

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
            state = self._state() if scope["method"] in ("GET", "HEAD") and _is_public(scope, answer.asked) else None
            key: _Key = (scope["path"], scope["query_string"], accepts_gzip(answer.asked.get("accept-encoding", "")))
            kept = self._kept.get(key, state) if state is not None else None
            if kept is not None:
                await answer.again(kept)
                return
            if state is not None:
                answer.keep = lambda ready: self._kept.put(key, state, ready)
            await self._app(inner, receive, answer.take)
        except Exception:  # whatever broke, people get a page that helps and the operator the trace
            log.exception("%s %s broke", scope["method"], _route(inner))
            if answer.started:
                raise
            await _whole(self._broken(scope["path"]))(inner, receive, _Answer(Headers(scope=scope), send, head).take)


def _route(scope: Scope) -> str:
    """Which page it was, without what stands in the address: it may be somebody's link from a mail."""
    return str(getattr(scope.get("route"), "path", "an unknown address"))


def settle() -> None:
    """Once all is loaded, before serving: keep the collector from looking through everything that stays for ever.

    Without it every few hundred pages one took 100 ms longer; what pages make is collected all the same.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _is_public(scope: Scope, asked: Headers) -> bool:
    """Whether everybody gets the same answer, and only reads."""
    path: str = scope["path"]
    return (path == "/" or path.startswith(_PUBLIC)) and OPERATOR_COOKIE not in asked.get("cookie", "")


@dataclass(frozen=True, slots=True)
class _Ready:
    """An answer as it was sent: packed already, with its validator."""

    headers: list[tuple[bytes, bytes]]
    etag: str
    body: bytes


_Key = tuple[str, bytes, bool]
"""Path, query, and whether packed."""


class _Kept:
    """The latest answers, all from one state of the archive; the oldest go when they are too many or too large."""

    def __init__(self) -> None:
        self._answers: OrderedDict[_Key, _Ready] = OrderedDict()
        self._state: Hashable = None
        self._bytes = 0

    def get(self, key: _Key, state: Hashable) -> _Ready | None:
        found = self._answers.get(key) if state == self._state else None
        if found is not None:
            self._answers.move_to_end(key)
        return found

    def put(self, key: _Key, state: Hashable, ready: _Ready) -> None:
        if state != self._state:
            self._answers.clear()
            self._state, self._bytes = state, 0
        path, query, _ = key
        if len(ready.body) > KEPT_BYTES // 8 or max(len(path), len(query)) > _LONGEST_KEPT:
            return
        before = self._answers.pop(key, None)
        self._bytes += _size(key, ready) - (_size(key, before) if before else 0)
        self._answers[key] = ready
        while self._bytes > KEPT_BYTES or len(self._answers) > KEPT_ANSWERS:
            self._bytes -= _size(*self._answers.popitem(last=False))


def _size(key: _Key, ready: _Ready) -> int:
    """Bytes of memory that an answer takes, about: anybody may ask for a thousand addresses of one short page."""
    headers = sum(len(name) + len(value) for name, value in ready.headers)
    return len(ready.body) + headers + 4 * len(key[0]) + len(key[1]) + _OVERHEAD


def _whole(response: Response) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    return response


class _Answer:
    """One answer: held back until it is whole, then sent with what belongs to it."""

    def __init__(self, asked: Headers, send: Send, head: bool) -> None:
        self.asked, self._send, self._head = asked, send, head
        self.keep: Callable[[_Ready], None] | None = None
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

    async def again(self, ready: _Ready) -> None:
        """Send an answer that was made before."""
        matches = _matches(self.asked.get("if-none-match"), ready.etag)
        start: Message = {"type": "http.response.start", "status": 304 if matches else 200, "headers": ready.headers}
        if matches:
            start["headers"] = [one for one in ready.headers if one[0] not in _OF_THE_BODY]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if matches or self._head else ready.body})

    def _passes(self, headers: MutableHeaders, status: int) -> bool:
        """Answers with a validator of their own (feeds, files) are ready as they are."""
        return "etag" in headers or status in (304, 303, 308, 204)

    async def _finish(self, start: Message, body: bytes) -> None:
        headers = MutableHeaders(raw=start["headers"])
        self.started = True
        if start["status"] == 200:
            # Weak, as one tag stands for the body as it is and in gzip.
            tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers["ETag"] = tag
            headers.setdefault("Cache-Control", "no-cache")
            body = self._packed(headers, body)
            headers["Content-Length"] = str(len(body))
            ready = _Ready(list(headers.raw), tag, body)
            if self.keep is not None and headers["cache-control"] == "no-cache" and "set-cookie" not in headers:
                self.keep(ready)
            await self.again(ready)
            return
        headers.setdefault("Cache-Control", "no-store")
        body = self._packed(headers, body)
        headers["Content-Length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": b"" if self._head else body})

    def _packed(self, headers: MutableHeaders, body: bytes) -> bytes:
        if "no-store" in headers.get("cache-control", ""):
            return body  # what is for one person alone could be guessed from its length
        if len(body) < _WORTH_PACKING or not headers.get("content-type", "").startswith(_PACKED):
            return body
        headers.add_vary_header("Accept-Encoding")
        if not accepts_gzip(self.asked.get("accept-encoding", "")):
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
