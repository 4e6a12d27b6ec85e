"""Fetch one URL, whatever answers: within limits, to public addresses only, each redirect by our own hand.

requests does the talking; what it would do by itself and we must see (redirects, proxies, cookies, decompression) is
done here. One `Client` serves all threads of a process and keeps connections open between requests.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

import requests
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar, get_cookie_header
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError
from urllib3.util.request import ACCEPT_ENCODING

from tosmon.errors import FetchError, FetchProblem
from tosmon.http import addresses, proxies, urls
from tosmon.http.limits import Limits
from tosmon.http.proxies import Proxies
from tosmon.http.sockets import CheckingAdapter, Deadline
from tosmon.model import Response, Validators

EachHop = Callable[[str], None]
"""Called with the URL of each redirect before it is followed; raises FetchError to stop."""

Header = tuple[str, str]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ACCEPT = "text/html,application/xhtml+xml,application/pdf;q=0.9,text/markdown;q=0.9,text/plain;q=0.9,*/*;q=0.8"
_STEP = 1 << 20
_DRAINED = 1 << 16
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_LONGEST_WAIT = timedelta(days=30)
_NO_VALIDATORS = Validators()


class Client:
    """Gets and posts. Thread-safe. `clock` gives the time that a response bears (aware, UTC)."""

    def __init__(
        self, limits: Limits, *, clock: Callable[[], datetime], environment: Mapping[str, str] = os.environ
    ) -> None:
        self.limits = limits
        self._clock = clock
        self._deadline = Deadline()
        # The adapter of requests without its Session: a session keeps cookies of all hosts for ever, and costs a third
        # of a small request.
        self._adapter = CheckingAdapter(
            self._deadline, allow_private=limits.allow_private_addresses, environment=environment
        )
        self._proxies = Proxies.of(environment)
        self._timeout = (limits.connect_timeout.total_seconds(), limits.read_timeout.total_seconds())
        self._headers = {
            "User-Agent": sanitised(limits.user_agent),
            "Accept": _ACCEPT,
            "Accept-Language": "en,*;q=0.5",
            "Accept-Encoding": ACCEPT_ENCODING,
        }

    def get(
        self,
        url: str,
        validators: Validators = _NO_VALIDATORS,
        *,
        each_hop: EachHop | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The answer to a GET, after redirects, whatever its status. Raises FetchError if there is none.

        A `Last-Modified` is asked about at `url` itself only: a redirect that now leads to some older page would
        answer 304 and so pass for the unchanged document.
        """
        asked = {**self._headers, **(headers or {})}
        if validators.etag:
            asked["If-None-Match"] = sanitised(validators.etag)
        if validators.last_modified:
            asked["If-Modified-Since"] = sanitised(validators.last_modified)
        with self._within(url):
            return self._follow(url, asked, each_hop)

    def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        """The answer to a POST. A redirect is not followed: what was signed for one place goes to no other."""
        sent = {**self._headers, **{name: sanitised(value) for name, value in (headers or {}).items()}}
        sent["Content-Length"] = str(len(body))
        with self._within(url):
            normal, raw, prepared = self._send("POST", url, sent, body)
            return self._response(url, normal, raw, prepared, ())

    def connect(self, host: str, port: int) -> socket.socket:
        """A bare connection to a checked address, for a browser that must not open its own. Raises FetchError."""
        name = f"[{host}]" if ":" in host else host
        normal, parts = urls.normal(f"{'https' if port == 443 else 'http'}://{name}:{port}/")
        allow_private = self.limits.allow_private_addresses
        found = addresses.checked(normal, host, port, allow_private=allow_private)
        proxy = self._proxies.for_url(parts)
        if proxy is None:
            return addresses.connect(normal, found, port, self._timeout[0], socket.socket)
        return proxies.tunnel(normal, proxy, f"{name}:{port}", self._timeout[0])

    def close(self) -> None:
        self._adapter.close()

    @contextmanager
    def _within(self, url: str) -> Iterator[None]:
        total = self.limits.total_timeout.total_seconds()
        # `each_hop` may ask for a robots.txt while a request is under way: the inner one ends with the outer one.
        outer = self._deadline.at
        self._deadline.at = min(outer, time.monotonic() + total)
        try:
            yield
        except TimeoutError as error:
            raise FetchError(url, f"no whole answer within {total:g} s", FetchProblem.TIMEOUT) from error
        finally:
            self._deadline.at = outer

    def _follow(self, url: str, headers: dict[str, str], each_hop: EachHop | None) -> Response:
        hops: list[str] = []
        cookies: RequestsCookieJar | None = None
        asked = url
        while True:
            normal, raw, prepared = self._send("GET", asked, headers)
            location = raw.headers.get("Location") if raw.status in _REDIRECTS else None
            if location is None:
                return self._response(url, normal, raw, prepared, tuple(hops))
            _drain(raw)
            if len(hops) == self.limits.max_redirects:
                message = f"more than {len(hops)} redirects, the last to {sanitised(location)[:200]}"
                raise FetchError(url, message, FetchProblem.REDIRECTS, transient=False)
            asked = urljoin(normal, _decoded(location))
            hops.append(urls.normal(asked)[0])
            # Some sites redirect to the same address until their cookie comes back. It lives as long as this request.
            if "Set-Cookie" in raw.headers:
                cookies = cookies if cookies is not None else RequestsCookieJar()
                extract_cookies_to_jar(cookies, prepared, raw)  # type: ignore[no-untyped-call]
            headers = self._onward(headers, cookies, hops[-1])
            if each_hop is not None:
                each_hop(hops[-1])

    def _onward(self, headers: dict[str, str], cookies: RequestsCookieJar | None, url: str) -> dict[str, str]:
        onward = {name: value for name, value in headers.items() if name not in ("If-Modified-Since", "Cookie")}
        if cookies is not None:
            cookie = get_cookie_header(cookies, _prepared("GET", url, {}))  # type: ignore[no-untyped-call]
            if cookie:
                onward["Cookie"] = cookie
        return onward

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[str, Any, requests.PreparedRequest]:
        normal, parts = urls.normal(url)
        proxy = self._proxies.for_url(parts)
        if proxy is not None:
            # The proxy looks the name up again; what we can tell of the destination is told before it hears of it.
            addresses.checked(
                url,
                parts.hostname or "",
                urls.port_of(parts),
                allow_private=self.limits.allow_private_addresses,
            )
        by_scheme = {parts.scheme: proxy} if proxy else None
        prepared = _prepared(method, normal, headers, body)
        try:
            answer = self._answer(prepared, by_scheme, again=method == "GET")
        except requests.RequestException as error:
            raise self._failure(url, error) from error
        return normal, answer.raw, prepared

    def _answer(
        self, prepared: requests.PreparedRequest, by_scheme: dict[str, str] | None, again: bool
    ) -> requests.Response:
        try:
            return self._adapter.send(prepared, stream=True, timeout=self._timeout, proxies=by_scheme)
        except requests.ConnectionError as error:
            # A kept connection that the server closed just then says nothing of the server.
            if again and isinstance(
                _root(error), http.client.RemoteDisconnected | ConnectionResetError | BrokenPipeError
            ):
                return self._answer(prepared, by_scheme, again=False)
            raise

    def _response(
        self, url: str, final_url: str, raw: Any, prepared: requests.PreparedRequest, hops: tuple[str, ...]
    ) -> Response:
        return Response(
            url=url,
            final_url=final_url,
            status=raw.status,
            headers=tuple((sanitised(name), sanitised(value)) for name, value in raw.headers.items()),
            body=self._body(url, raw),
            at=self._clock(),
            request_headers=(("Host", urls.host_of(final_url)), *prepared.headers.items()),
            redirects=hops,
        )

    def _body(self, url: str, raw: Any) -> bytes:
        """All of a body, decompressed, as long as it stays within the limit."""
        pieces: list[bytes] = []
        left = self.limits.max_bytes
        try:
            while piece := raw.read(min(_STEP, left + 1), decode_content=True):
                left -= len(piece)
                if left < 0:
                    message = (
                        f"larger than {self.limits.max_bytes:,} bytes; set politeness.max_bytes if it is meant to be"
                    )
                    raise FetchError(url, message, FetchProblem.TOO_LARGE, transient=False)
                pieces.append(piece)
        except (HTTPError, OSError) as error:
            raise self._failure(url, error) from error
        finally:
            if not raw.closed:
                raw.close()
            raw.release_conn()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _failure(self, url: str, error: Exception) -> FetchError:
        """What went wrong, as our type; a total time-out stays a TimeoutError until `_within` words it."""
        root = _root(error)
        read = self._timeout[1]
        if isinstance(
            error, ReadTimeoutError | requests.ReadTimeout | requests.ConnectTimeout | TimeoutError
        ) or isinstance(root, TimeoutError):
            self._deadline.left(None)
            return FetchError(url, f"no answer within {read:g} s", FetchProblem.TIMEOUT)
        if isinstance(error, requests.exceptions.SSLError):
            return FetchError(url, f"no safe connection: {_said(root)}", FetchProblem.TLS, transient=False)
        if isinstance(error, requests.exceptions.ProxyError):
            return FetchError(url, f"the proxy refused: {_said(root)}", FetchProblem.CONNECTION)
        if isinstance(root, http.client.RemoteDisconnected | OSError):
            return FetchError(url, f"connection lost: {_said(root)}", FetchProblem.CONNECTION)
        if isinstance(error, DecodeError):
            return FetchError(url, f"cannot decompress the answer: {_said(root)}", FetchProblem.PROTOCOL)
        return FetchError(url, f"broken answer: {_said(root)}", FetchProblem.PROTOCOL)


def retry_after(response: Response) -> timedelta | None:
    """How long the server asks to be left alone: `Retry-After` in seconds or as a date, 30 days at most."""
    value = response.header("Retry-After")
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return timedelta(seconds=min(int(value.strip()[:9]), int(_LONGEST_WAIT.total_seconds())))
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    wait = until.replace(tzinfo=until.tzinfo or response.at.tzinfo) - response.at
    return min(max(wait, timedelta(0)), _LONGEST_WAIT)


def sanitised(value: str) -> str:
    """A header value without control characters, whichever way it goes."""
    return value if value.isprintable() else _CONTROL.sub(" ", value).strip()


def _prepared(method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> requests.PreparedRequest:
    """What `requests.Request(…).prepare()` makes of values that need no preparing, in a tenth of the time."""
    prepared = requests.PreparedRequest()
    prepared.method, prepared.url, prepared.body = method, url, body
    prepared.headers = CaseInsensitiveDict(headers)
    return prepared


def _drain(raw: Any) -> None:
    """Read the rest of a small body, so that its connection can be used again; drop the connection of a large one."""
    try:
        raw.read(_DRAINED, decode_content=False)
    except (HTTPError, OSError):
        pass
    finally:
        raw.close()
        raw.release_conn()


def _decoded(location: str) -> str:
    """Headers are read as Latin-1; addresses in them are UTF-8, if they are not ASCII as they should be."""
    try:
        return location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return location


def _root(error: BaseException) -> BaseException:
    """The error that others were wrapped around."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "reason", None)
        candidates = [inner, *reversed(error.args), error.__cause__, error.__context__]
        error = next(
            (found for found in candidates if isinstance(found, BaseException) and id(found) not in seen), error
        )
    return error


def _said(error: BaseException) -> str:
    return sanitised(str(error) or type(error).__name__)[:300]
