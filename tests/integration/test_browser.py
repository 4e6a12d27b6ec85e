"""A real Chromium on documents that only a browser can read, and on some that are out to hurt it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local_site import Answer, Site, serving

from tosmon.browser import Browser, find_chromium
from tosmon.browser.executable import end_group
from tosmon.browser.tunnel import Tunnel
from tosmon.errors import FetchError, FetchProblem
from tosmon.fetch import Fetcher
from tosmon.http import Client, Limits, addresses
from tosmon.model import Form, SourceDocument

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
LATER = """<html><body><nav>Menu</nav><main id="terms"></main><script>
setTimeout(() => {
  document.getElementById('terms').innerHTML = '<h1>Terms</h1>' + '<p>You grant us a licence to your posts.</p>'.repeat(20)
}, 400)
</script></body></html>"""

browser_needed = pytest.mark.skipif(
    find_chromium() is None and not os.environ.get("CI"), reason="no Chromium is installed (and this is no CI)"
)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def browser_with(client: Client, seconds: float = 20, **environment: str) -> Browser:
    return Browser(
        client.connect,
        clock=lambda: NOW,
        user_agent="tosmon/1 (+https://terms.example)",
        total_timeout=timedelta(seconds=seconds),
        max_bytes=1_000_000,
        environment={**os.environ, **environment},
    )


def client(allow_private: bool = True, environment: dict[str, str] | None = None) -> Client:
    return Client(Limits(allow_private_addresses=allow_private), clock=lambda: NOW, environment=environment or {})


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests that may use loopback, as one serves all checks."""
    browser = browser_with(client())
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def careful() -> Iterator[Browser]:
    """A browser that may not reach private addresses, which is the default."""
    browser = browser_with(client(allow_private=False))
    yield browser
    browser.close()


def problem_of(browser: Browser, url: str, select: str = "") -> FetchError:
    with pytest.raises(FetchError) as caught:
        browser.render(SourceDocument(url, (select,) if select else ()))
    return caught.value


# --- what it reads ---------------------------------------------------------------------------------------------------


@pytest.mark.browser
@browser_needed
def test_text_that_comes_by_script_is_waited_for(site: Site, browser: Browser) -> None:
    """A document is read when what is selected from it has text, not when the first bytes came."""
    response = browser.render(SourceDocument(site.page("/app", LATER), ("main",)))

    assert b"You grant us a licence" in response.body
    assert (response.status, response.rendered, response.at) == (200, True, NOW)
    assert response.header("content-type") == "text/html; charset=utf-8"


@pytest.mark.browser
@browser_needed
def test_without_selectors_any_text_is_waited_for(site: Site, browser: Browser) -> None:
    """Where nothing is selected, the page itself must come to have text."""
    assert b"You grant us" in browser.render(SourceDocument(site.page("/app", LATER))).body


@pytest.mark.browser
@browser_needed
def test_a_strict_content_policy_does_not_keep_us_from_reading(site: Site, browser: Browser) -> None:
    """A page that forbids scripts but its own is read as any other."""
    url = site.page("/app", LATER, Content_Security_Policy="default-src 'none'; script-src 'unsafe-inline'")

    assert b"You grant us" in browser.render(SourceDocument(url, ("main",))).body


@pytest.mark.browser
@browser_needed
def test_redirects_and_our_name_are_seen(site: Site, browser: Browser) -> None:
    """The response says where it ended and how; the server sees a browser that bears our name."""
    site.page("/new", LATER)
    site.redirect("/old", "/mid")
    site.redirect("/mid", "/new")

    response = browser.render(SourceDocument(site.url("/old"), ("main",)))

    assert (response.final_url, response.redirects) == (site.url("/new"), (site.url("/mid"), site.url("/new")))
    assert site.asked[0].headers["User-Agent"].endswith("tosmon/1 (+https://terms.example)")


@pytest.mark.browser
@browser_needed
def test_error_statuses_are_answers(site: Site, browser: Browser) -> None:
    """A page that is gone is an answer to judge, rendered too."""
    assert browser.render(SourceDocument(site.page("/gone", "<h1>Gone</h1>" + "words " * 100, 410))).status == 410


@pytest.mark.browser
@browser_needed
def test_selected_elements_that_never_come_are_waited_for_in_bounds(site: Site) -> None:
    """What there is is taken when waiting has been enough; the verdict will tell."""
    impatient = browser_with(client(), seconds=4)
    try:
        response = impatient.render(SourceDocument(site.page("/", "<p>only this</p>"), ("main",)))
    finally:
        impatient.close()

    assert b"only this" in response.body


CHALLENGE = "<title>Just a moment...</title><h1>inkwell.example</h1><p>Verify you are human.</p>"
PASSES = CHALLENGE + "<script>setTimeout(() => location.reload(), 1500)</script>"


@pytest.mark.browser
@browser_needed
@pytest.mark.parametrize("status", [200, 403])
def test_a_challenge_is_not_waited_for_as_long_as_a_page(site: Site, status: int) -> None:
    """It either lets a browser pass within a few seconds or stays for ever: we are back long before the time is up."""
    patient = browser_with(client(), seconds=60)  # which waits for twenty for the text of a page
    try:
        patient.render(SourceDocument(site.page("/ready", LATER), ("main",)))
        start = time.monotonic()
        response = patient.render(SourceDocument(site.page("/", CHALLENGE, status), ("main",)))
        took = time.monotonic() - start
    finally:
        patient.close()

    assert b"Just a moment" in response.body
    assert took < 15


@pytest.mark.browser
@browser_needed
def test_a_challenge_that_lets_us_pass_is_waited_for(site: Site, browser: Browser) -> None:
    """What comes after it is the document."""
    html = {"Content-Type": "text/html"}
    shown = [Answer(PASSES.encode(), 403, html), Answer(f"<main>{'words ' * 100}</main>".encode(), 200, html)]
    site.answers["/"] = lambda asked: shown.pop(0) if len(shown) > 1 else shown[0]

    response = browser.render(SourceDocument(site.url(), ("main",)))

    assert (response.status, b"words words" in response.body) == (200, True)


@pytest.mark.browser
@browser_needed
def test_one_document_leaves_nothing_to_the_next(site: Site, browser: Browser) -> None:
    """Cookies and storage of one look are not there at the next."""
    site.answers["/"] = Answer(b"words " * 100, 200, {"Content-Type": "text/html", "Set-Cookie": "seen=1"})
    for _ in range(2):
        browser.render(SourceDocument(site.url()))

    assert [asked.headers["Cookie"] for asked in site.asked if asked.path == "/"] == [None, None]


@pytest.mark.browser
@browser_needed
def test_the_fetcher_turns_to_the_browser_by_itself(site: Site, browser: Browser) -> None:
    """A shell without text is noticed and rendered, through the whole of fetching."""
    url = site.page("/app", LATER)

    fetched = Fetcher(client(), pause=timedelta(0), browser=browser).fetch(Form((SourceDocument(url, ("main",)),)))

    assert fetched.responses[0].rendered
    assert site.paths() == ["/robots.txt", "/app", "/app"]


# --- what it does not do -----------------------------------------------------------------------------------------


@pytest.mark.browser
@browser_needed
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_private_addresses_are_refused(site: Site, careful: Browser, host: str) -> None:
    """A document on a private address is not fetched by the browser either."""
    error = problem_of(careful, site.url("/", host))

    assert (error.problem, error.transient) == (FetchProblem.FORBIDDEN_ADDRESS, False)
    assert site.connections == 0


@pytest.mark.browser
@browser_needed
def test_no_part_of_a_page_comes_from_a_private_address(
    site: Site, careful: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts, frames, fetches, sockets and redirects of a public page do not reach the private network."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    with serving() as inside:
        # Another address of loopback stands for the private network, so that it is told from the public page.
        secret = f"127.0.0.2:{inside.port}"
        site.page(
            "/",
            f"""<p>{"words " * 100}</p><script src="http://{secret}/script"></script><iframe src="http://{secret}/frame">
            </iframe><script>fetch("http://{secret}/fetch", {{mode: "no-cors"}}); new WebSocket("ws://{secret}/socket");
            navigator.sendBeacon("http://{secret}/beacon", "x"); fetch("/redirect", {{mode: "no-cors"}});
            new RTCPeerConnection({{iceServers: [{{urls: "stun:{secret}"}}]}}).createDataChannel("x")</script>""",
        )
        site.redirect("/redirect", f"http://{secret}/redirected")

        response = careful.render(SourceDocument(site.url()))

        assert response.status == 200
        assert "/redirect" in site.paths()
        assert inside.connections == 0


@pytest.mark.browser
@browser_needed
def test_a_redirect_into_the_private_network_is_refused(
    site: Site, careful: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public address that leads to a private one leads nowhere."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    site.redirect("/", f"http://127.0.0.2:{site.port}/secret")

    assert problem_of(careful, site.url()).problem is FetchProblem.FORBIDDEN_ADDRESS
    assert site.paths() == ["/"]


@pytest.mark.browser
@browser_needed
def test_local_files_are_not_read(browser: Browser) -> None:
    """A declaration cannot make the browser read this machine's files."""
    assert problem_of(browser, "file:///etc/passwd").problem is FetchProblem.SCHEME


@pytest.mark.browser
@browser_needed
def test_nothing_is_downloaded(site: Site, browser: Browser) -> None:
    """A file is no page; the answer says to leave the browser out."""
    site.answers["/"] = Answer(b"PK...", 200, {"Content-Type": "application/zip", "Content-Disposition": "attachment"})

    error = problem_of(browser, site.url())

    assert (error.problem, "browser" in str(error)) == (FetchProblem.PROTOCOL, True)


@pytest.mark.browser
@browser_needed
def test_a_page_that_hangs_is_given_up_and_the_next_is_read(site: Site) -> None:
    """An endless script costs the time allowed and nothing more."""
    impatient = browser_with(client(), seconds=4)
    hanging = site.page("/hang", "<script>while (true) {}</script>")
    try:
        start = time.monotonic()
        error = problem_of(impatient, hanging)

        assert error.problem is FetchProblem.TIMEOUT
        assert time.monotonic() - start < 30
        assert impatient.render(SourceDocument(site.page("/", "words " * 100))).status == 200
    finally:
        impatient.close()


@pytest.mark.browser
@browser_needed
def test_a_browser_that_died_is_replaced(site: Site) -> None:
    """Killed from outside between two documents, it is started again."""
    ours = browser_with(client(), seconds=10)
    source = SourceDocument(site.page("/", "words " * 100))
    try:
        ours.render(source)
        assert ours.mark is not None
        end_group(ours.mark)

        assert ours.render(source).status == 200
    finally:
        ours.close()


@pytest.mark.browser
@browser_needed
def test_closing_leaves_no_process_behind(site: Site) -> None:
    """After close there is no browser of ours."""
    ours = browser_with(client(), seconds=10)
    ours.render(SourceDocument(site.page("/", "words " * 100)))
    mark = ours.mark
    ours.close()

    assert mark is not None
    assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in read(path)] == []


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.browser
@browser_needed
def test_a_page_larger_than_allowed_is_refused(site: Site, browser: Browser) -> None:
    """The size limit holds for what scripts made of a page."""
    url = site.page("/", "<p>words</p><script>document.body.append('x '.repeat(2000000))</script>")

    assert problem_of(browser, url).problem is FetchProblem.TOO_LARGE


# --- without one -----------------------------------------------------------------------------------------------------


def test_a_missing_browser_says_what_to_install(tmp_path: Path) -> None:
    """Without a Chromium the problem names the extra and the ways to get one."""
    missing = browser_with(client(), TOSMON_CHROMIUM=str(tmp_path / "none"))

    error = problem_of(missing, "http://terms.example/")

    assert (missing.installed, error.problem) == (False, FetchProblem.NO_BROWSER)
    assert "tosmon[browser]" in str(error)


def test_a_chromium_is_found_where_it_is_named_or_usual(tmp_path: Path) -> None:
    """TOSMON_CHROMIUM goes first, then playwright's own, then the system's."""
    system, own, named = tmp_path / "bin/chromium", tmp_path / "pw/chromium-1200/chrome-linux/chrome", tmp_path / "mine"
    for path in (system, own, named):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
    environment = {"PATH": str(system.parent), "HOME": str(tmp_path)}

    assert find_chromium(environment) == system
    environment["PLAYWRIGHT_BROWSERS_PATH"] = str(tmp_path / "pw")
    assert find_chromium(environment) == own
    environment["TOSMON_CHROMIUM"] = str(named)
    assert find_chromium(environment) == named
    assert find_chromium({"PATH": "", "HOME": str(tmp_path)}) is None


def test_a_browser_that_does_not_start_is_no_browser(tmp_path: Path) -> None:
    """A program that is no Chromium is named, with what to install."""
    pytest.importorskip("playwright")
    fake = tmp_path / "chromium"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    broken = browser_with(client(), seconds=10, TOSMON_CHROMIUM=str(fake))

    try:
        error = problem_of(broken, "http://terms.example/")
    finally:
        broken.close()

    assert (error.problem, str(fake) in str(error)) == (FetchProblem.NO_BROWSER, True)


# --- the tunnel ------------------------------------------------------------------------------------------------------


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    tunnel = Tunnel(client().connect)
    yield tunnel
    tunnel.close()


def through(tunnel: Tunnel, sent: str) -> bytes:
    host, port = tunnel.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_tunnel_serves_nobody_else(site: Site, tunnel: Tunnel) -> None:
    """Other programs of this machine cannot use it: it wants a password that only our browser has."""
    for login in ("", "Proxy-Authorization: Basic dG9zbW9uOng=\r\n"):
        answer = through(tunnel, f"GET {site.url()} HTTP/1.1\r\nHost: x\r\n{login}\r\n")

        assert answer.startswith(b"HTTP/1.1 407")
    assert site.connections == 0


@pytest.mark.parametrize("sent", ["", "\r\n\r\n", "nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "x" * 100_000])
def test_nonsense_ends_the_connection(tunnel: Tunnel, sent: str) -> None:
    """What is no request is not answered, or refused."""
    try:
        answer = through(tunnel, sent)
    except ConnectionError:
        answer = b""

    assert answer == b"" or answer.startswith(b"HTTP/1.1 407")
