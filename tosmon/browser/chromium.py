"""The browser itself: started when first needed, restarted when stuck, closed when idle."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import TimeoutError as NoResult
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from tosmon.browser.executable import HOW_TO_INSTALL, end_group, find_chromium, has_playwright
from tosmon.browser.tunnel import Connect, Tunnel
from tosmon.errors import FetchError, FetchProblem
from tosmon.gates import signs
from tosmon.model import Response, SourceDocument

if TYPE_CHECKING:
    from playwright.async_api import Browser as Chromium
    from playwright.async_api import BrowserContext, Error, Page, Playwright, Route
    from playwright.async_api import Response as Answer

T = TypeVar("T")

_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-quic",
    "--dns-prefetch-disable",
    "--no-pings",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    # It has no names to look up: the tunnel does.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--js-flags=--max-old-space-size=512",
)
# A redirect, or the answer of our tunnel: the document itself had not come.
_LEADING_ON = frozenset({301, 302, 303, 307, 308, 502})
_LEFT_OUT = frozenset({"image", "media", "font"})
_DOCUMENTS_PER_BROWSER = 100
_IDLE = 120.0
_CLOSING = 5.0
_LOOK_EVERY = 0.2
_WAIT = 20.0
# A challenge that lets a browser pass does so within a few seconds; the others stay for ever.
_WAIT_FOR_A_CHALLENGE = 5.0
_CHALLENGES = ("cf-mitigated", "x-amzn-waf-action")
_STILL_FOR = 3

# Text that a script has yet to bring: what is selected, each of it, else the whole page. `null`: not there yet.
_TEXT_SO_FAR = """selectors => {
  const words = text => (text || '').split(/\\s+/).filter(Boolean).length
  const of = selector => {
    try { return [...document.querySelectorAll(selector)].map(e => words(e.textContent)) } catch { return [10] }
  }
  if (!document.body) return null
  if (!selectors.length) {
    const all = words(document.body.innerText)
    return all >= 60 ? all : null
  }
  const counts = selectors.map(of)
  if (counts.some(found => !found.some(Boolean))) return null
  const all = counts.flat().reduce((sum, count) => sum + count, 0)
  return all >= 10 ? all : null
}"""


class Browser:
    """Renders one document at a time, for any thread. `connect` opens checked connections (`http.Client.connect`)."""

    def __init__(
        self,
        connect: Connect,
        *,
        clock: Callable[[], datetime],
        user_agent: str,
        total_timeout: timedelta = timedelta(minutes=1),
        max_bytes: int = 20_000_000,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._user_agent = user_agent
        self._total = total_timeout.total_seconds()
        self._max_bytes = max_bytes
        self._executable = find_chromium(environment) if has_playwright() else None
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: _Running | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def installed(self) -> bool:
        """Whether there is anything to start."""
        return self._executable is not None

    @property
    def mark(self) -> str | None:
        """The argument that the running browser bears, to know it by among others; `None` while none runs."""
        return self._running.mark if self._running is not None else None

    def render(self, source: SourceDocument) -> Response:
        """The document as it stands when its selected elements have text, or when waiting for them has been enough.

        Raises FetchError: NO_BROWSER says what to install, TIMEOUT that the page never came to rest.
        """
        if urlsplit(source.url).scheme.lower() not in ("http", "https"):
            raise FetchError(source.url, "only http and https can be fetched", FetchProblem.SCHEME, transient=False)
        if self._executable is None:
            raise FetchError(source.url, f"needs a browser: {HOW_TO_INSTALL}", FetchProblem.NO_BROWSER, transient=False)
        with self._lock:
            try:
                return self._run(self._render(source), self._total + 2 * _CLOSING)
            except NoResult as error:
                self._run(self._stop(), 3 * _CLOSING)
                message = f"no page within {self._total:g} s; the browser was restarted"
                raise FetchError(source.url, message, FetchProblem.TIMEOUT) from error

    def close(self) -> None:
        """End the browser. Rendering again would start another."""
        with self._lock:
            if self._loop is None:
                return
            self._run(self._stop(), 3 * _CLOSING)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _run(self, work: Coroutine[Any, Any, T], timeout: float) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=_turn, args=(self._loop,), name="tosmon-browser", daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout)
        except NoResult:
            future.cancel()
            raise

    # --- on the browser's own thread --------------------------------------------------------------------------------

    async def _render(self, source: SourceDocument) -> Response:
        if self._idle is not None:
            self._idle.cancel()
        running, context = await self._context(source.url)
        running.documents += 1
        running.tunnel.forget()
        try:
            async with asyncio.timeout(self._total):
                return await self._read(context, source, running.tunnel)
        except TimeoutError as error:
            message = f"no page within {self._total:g} s"
            raise FetchError(source.url, message, FetchProblem.TIMEOUT) from error
        finally:
            await self._leave(context, running)

    async def _context(self, url: str) -> tuple[_Running, BrowserContext]:
        """A context of its own in the running browser, or in a new one if that died meanwhile."""
        from playwright.async_api import Error

        if self._running is not None:
            try:
                return self._running, await self._running.context(self._user_agent)
            except Error:
                await self._stop()
        running = await self._start(url)
        return running, await running.context(self._user_agent)

    async def _leave(self, context: BrowserContext, running: _Running) -> None:
        """Close what one document left; a browser that does not close it, or has served long, is ended whole."""
        from playwright.async_api import Error

        try:
            async with asyncio.timeout(_CLOSING):
                await context.close()
        except (TimeoutError, Error):
            await self._stop()
        if running.documents >= _DOCUMENTS_PER_BROWSER:
            await self._stop()
        self._idle = asyncio.get_running_loop().call_later(_IDLE, lambda: asyncio.ensure_future(self._stop()))

    async def _start(self, url: str) -> _Running:
        from playwright.async_api import Error, async_playwright

        tunnel = Tunnel(self._connect)
        mark = f"--tosmon={secrets.token_hex(8)}"
        driver = await async_playwright().start()
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        try:
            chromium = await driver.chromium.launch(
                executable_path=self._executable,
                args=[*_ARGUMENTS, mark],
                chromium_sandbox=not root,
                proxy={
                    "server": tunnel.url,
                    "bypass": "<-loopback>",
                    "username": tunnel.user,
                    "password": tunnel.password,
                },
                timeout=self._total * 1000,
                handle_sigint=False,
                handle_sigterm=False,
                handle_sighup=False,
            )
        except Error as error:
            tunnel.close()
            await driver.stop()
            reason = error.message.strip().split("\n")[0]
            raise FetchError(
                url, f"{self._executable} does not start ({reason}); {HOW_TO_INSTALL}", FetchProblem.NO_BROWSER
            ) from error
        self._running = _Running(driver, chromium, tunnel, mark)
        return self._running

    async def _stop(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        with suppress(Exception):  # whatever a broken browser answers, its processes are ended next
            async with asyncio.timeout(_CLOSING):
                await running.chromium.close()
        end_group(running.mark)
        with suppress(Exception):
            async with asyncio.timeout(_CLOSING):
                await running.driver.stop()
        running.tunnel.close()

    async def _read(self, context: BrowserContext, source: SourceDocument, tunnel: Tunnel) -> Response:
        from playwright.async_api import Error

        context.set_default_timeout(self._total * 1000)
        await context.route("**/*", _let_pass)
        page = await context.new_page()
        answers: list[Answer] = []
        page.on("response", lambda answer: answers.append(answer) if _is_main(answer, page) else None)
        try:
            await page.goto(source.url, wait_until="domcontentloaded")
            await self._wait_for_text(page, source, answers)
            body = (await page.content()).encode("utf-8", "replace")
        except Error as error:
            refused = tunnel.refused() if not answers or answers[-1].status in _LEADING_ON else None
            raise _failure(source.url, error.message, refused) from error
        if not answers:
            raise _failure(source.url, "no answer", tunnel.refused())
        if len(body) > self._max_bytes:
            message = f"larger than {self._max_bytes:,} bytes; set politeness.max_bytes if it is meant to be"
            raise FetchError(source.url, message, FetchProblem.TOO_LARGE, transient=False)
        return await self._response(source.url, page.url, answers[-1], body)

    async def _wait_for_text(self, page: Page, source: SourceDocument, answers: Sequence[Answer]) -> None:
        """Until the selected elements have text and it grows no more; for half of the time there is, at most.

        A refusal or a challenge in their place is given a few seconds to let us pass, not more.
        """
        from playwright.async_api import Error

        selectors = [selector for selector in source.select if isinstance(selector, str)]
        loop = asyncio.get_running_loop()
        start = loop.time()
        until = start + min(self._total / 2, _WAIT)
        seen: list[int | None] = []
        while loop.time() < until:
            try:
                if loop.time() > start + _WAIT_FOR_A_CHALLENGE and await _is_refused(page, answers):
                    return
                seen.append(await page.evaluate(_TEXT_SO_FAR, selectors))
            except Error as error:
                if not _leads_on(error):
                    raise
                seen.clear()
                await page.wait_for_load_state("domcontentloaded")
                continue
            if seen[-1] is not None and len(seen) > _STILL_FOR and len(set(seen[-_STILL_FOR - 1 :])) == 1:
                return
            await asyncio.sleep(_LOOK_EVERY)

    async def _response(self, url: str, final_url: str, answer: Answer, body: bytes) -> Response:
        hops = []
        request = answer.request
        while request.redirected_from is not None:
            hops.append(request.url)
            request = request.redirected_from
        # What is kept is the document as rendered, in our encoding: the server's words about its bytes are not true of it.
        untrue = ("content-type", "content-encoding", "content-length", "transfer-encoding")
        headers = [
            (header["name"], header["value"].replace("\n", ", "))
            for header in await answer.headers_array()
            if header["name"].lower() not in untrue
        ]
        sent = tuple((await answer.request.all_headers()).items())
        return Response(
            url=url,
            final_url=final_url,
            status=answer.status,
            headers=(("Content-Type", "text/html; charset=utf-8"), *headers),
            body=body,
            at=self._clock(),
            request_headers=tuple((name, value) for name, value in sent if not name.startswith((":", "proxy-"))),
            redirects=tuple(reversed(hops)),
            rendered=True,
        )


def _leads_on(error: Error) -> bool:
    """Whether it failed because the page went on to another one just then, as challenges do when they let us pass."""
    return "Execution context was destroyed" in error.message or "because of a navigation" in error.message


async def _is_refused(page: Page, answers: Sequence[Answer]) -> bool:
    """Whether what stands there now is a refusal: by the answer that it came with, or by what it says."""
    if answers and (answers[-1].status >= 400 or any(name in answers[-1].headers for name in _CHALLENGES)):
        return True
    text = await page.evaluate("() => (document.body ? document.body.innerText : '').slice(0, 20000)")
    return signs.is_challenge(await page.title(), text)


class _Running:
    """A started browser with all that belongs to it."""

    def __init__(self, driver: Playwright, chromium: Chromium, tunnel: Tunnel, mark: str) -> None:
        self.driver = driver
        self.chromium = chromium
        self.tunnel = tunnel
        self.mark = mark
        self.documents = 0

    async def context(self, user_agent: str) -> BrowserContext:
        """A context that keeps nothing; it bears the name of this very browser with ours behind it."""
        version = self.chromium.version.partition(".")[0]
        engine = f"AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
        return await self.chromium.new_context(
            accept_downloads=False,
            service_workers="block",
            user_agent=f"Mozilla/5.0 (X11; Linux x86_64) {engine} {user_agent}",
            locale="en-GB",
        )


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


def _is_main(answer: Answer, page: Page) -> bool:
    return answer.request.is_navigation_request() and answer.frame == page.main_frame


async def _let_pass(route: Route) -> None:
    """Only what makes text, and only over HTTP; addresses are the tunnel's business."""
    scheme = urlsplit(route.request.url).scheme
    if route.request.resource_type in _LEFT_OUT or scheme not in ("http", "https", "data", "blob"):
        await route.abort()
    else:
        await route.continue_()


def _failure(url: str, message: str, refused: FetchError | None) -> FetchError:
    """What went wrong, as our type; `refused` is what our own tunnel said when it was asked for the document."""
    if refused is not None:
        reason = str(refused).removeprefix(f"{refused.url}: ")
        return FetchError(url, reason, refused.problem, transient=refused.transient)
    said = message.strip().split("\n")[0].removeprefix("Page.goto: ")
    if "Timeout" in said:
        return FetchError(url, "the browser got no page in time", FetchProblem.TIMEOUT)
    if "ERR_CERT" in said or "ERR_SSL" in said:
        return FetchError(url, f"no safe connection: {said}", FetchProblem.TLS, transient=False)
    if "Download is starting" in said:
        return FetchError(url, "is a file, no page: leave `browser` out", FetchProblem.PROTOCOL, transient=False)
    return FetchError(url, f"the browser cannot read it: {said}", FetchProblem.CONNECTION)
