"""One seam for HTTP, against real servers: limits, redirects, addresses, TLS, proxies."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_site import Answer, Asked, Site, serving

from tosmon.errors import FetchError, FetchProblem
from tosmon.http import Client, Limits, addresses, host_of, retry_after, user_agent
from tosmon.model import Response, Validators

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
QUICK = timedelta(seconds=0.4)


def client(environment: dict[str, str] | None = None, **limits: Any) -> Client:
    chosen = Limits(**{"allow_private_addresses": True, **limits})
    return Client(chosen, clock=lambda: NOW, environment=environment or {})


def problem_of(ask: Callable[[], object]) -> FetchError:
    with pytest.raises(FetchError) as caught:
        ask()
    return caught.value


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Let every name resolve to one address after the other, the last one for ever; returns what was looked up."""
    looked_up: list[str] = []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        address = answers[min(len(looked_up), len(answers) - 1)]
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


# --- what comes back ---------------------------------------------------------------------------------------------


def test_response_holds_what_was_asked_and_what_answered(site: Site) -> None:
    """A response keeps the address asked, the one that answered, status, headers as sent, the body and the time."""
    site.page("/terms", "<p>Terms</p>", ETag='"1"')
    site.redirect("/old", "/terms")

    response = client().get(site.url("/old"))

    assert (response.url, response.final_url, response.redirects) == (
        site.url("/old"),
        site.url("/terms"),
        (site.url("/terms"),),
    )
    assert (response.status, response.body, response.at) == (200, b"<p>Terms</p>", NOW)
    assert response.validators == Validators('"1"', None)
    assert ("Host", f"127.0.0.1:{site.port}") in response.request_headers


def test_error_statuses_are_answers(site: Site) -> None:
    """A page that is gone is an answer to judge, not a failure to fetch."""
    assert client().get(site.url("/nowhere")).status == 404


def test_we_say_who_we_are(site: Site) -> None:
    """Platforms find our name, version and contact in their logs."""
    site.page("/", "x")
    client(user_agent=user_agent("https://terms.example", "mail@terms.example")).get(site.url())

    sent = site.asked[0].headers["User-Agent"]

    assert sent.startswith("tosmon/")
    assert "(+https://terms.example; mail@terms.example)" in sent


def test_header_values_cannot_smuggle_headers(site: Site) -> None:
    """Line breaks in what we send (a contact, a validator of a hostile server) become spaces."""
    site.page("/", "x")
    client(user_agent="us\r\nX-Evil: 1").get(site.url(), Validators(etag='"a"\r\nX-Evil: 2'))

    assert site.asked[0].headers["X-Evil"] is None
    assert site.asked[0].headers["User-Agent"] == "us X-Evil: 1"


def test_control_characters_in_received_headers_are_dropped(site: Site) -> None:
    """Headers are shown to people: no escape sequence comes through."""
    site.raw["/"] = lambda send: send(b"HTTP/1.1 200 OK\r\nX-Note: a\x1b[31mb\r\nContent-Length: 0\r\n\r\n")

    assert client().get(site.url()).header("x-note") == "a [31mb"


def test_unchanged_is_asked_with_the_servers_own_validators(site: Site) -> None:
    """A conditional request that nothing changed since is answered 304, without a body."""
    site.answers["/"] = lambda asked: Answer(b"", 304) if asked.headers["If-None-Match"] == '"7"' else Answer(b"text")

    assert client().get(site.url(), Validators(etag='"7"')).status == 304
    assert client().get(site.url(), Validators(etag='"8"')).body == b"text"


def test_a_date_is_not_asked_about_behind_a_redirect(site: Site) -> None:
    """A redirect that now leads to an older page must not pass for "unchanged"."""
    site.redirect("/terms", "/home")
    site.page("/home", "Welcome")

    client().get(site.url("/terms"), Validators('"1"', "Mon, 01 Jan 2024 00:00:00 GMT"))

    first, second = site.asked
    assert first.headers["If-Modified-Since"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert second.headers["If-Modified-Since"] is None
    assert second.headers["If-None-Match"] == '"1"'


def test_connections_are_kept_between_requests(site: Site) -> None:
    """Ten requests to one host use one connection, also when a redirect is among them."""
    site.page("/", "x")
    site.redirect("/old", "/")
    ours = client()

    for _ in range(5):
        ours.get(site.url())
        ours.get(site.url("/old"))

    assert site.connections == 1


def test_a_kept_connection_that_died_is_no_failure(site: Site) -> None:
    """A server may close an idle connection at any moment; the request is sent again on a new one."""
    site.raw["/once"] = lambda send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx")
    site.page("/", "y")
    ours = client()

    assert [ours.get(site.url(path)).body for path in ("/once", "/", "/once", "/")] == [b"x", b"y", b"x", b"y"]


def test_many_threads_share_a_client(site: Site) -> None:
    """Requests of many threads do not mix."""
    for number in range(20):
        site.page(f"/{number}", f"page {number}")
    ours = client()

    with ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda number: ours.get(site.url(f"/{number % 20}")).body, range(200)))

    assert bodies == [f"page {number % 20}".encode() for number in range(200)]


def test_post_sends_bytes_and_follows_no_redirect(site: Site) -> None:
    """What was signed for one place goes to no other."""
    site.redirect("/hook", "/elsewhere", 307)

    response = client().post(site.url("/hook"), b'{"a": 1}', {"Content-Type": "application/json", "X-Sign": "1"})

    assert (response.status, site.paths()) == (307, ["/hook"])
    assert (site.asked[0].body, site.asked[0].headers["X-Sign"]) == (b'{"a": 1}', "1")


# --- redirects ---------------------------------------------------------------------------------------------------


def test_redirects_end_at_the_limit(site: Site) -> None:
    """A redirect that leads to itself is given up after the allowed number."""
    site.redirect("/", "/")

    error = problem_of(lambda: client(max_redirects=3).get(site.url()))

    assert (error.problem, error.transient, len(site.asked)) == (FetchProblem.REDIRECTS, False, 4)


def test_a_redirect_that_waits_for_its_cookie_gets_it(site: Site) -> None:
    """Sites that set a cookie and send the visitor to the same page once more are read; the cookie is not kept."""

    def answer(asked: Asked) -> Answer:
        if "seen=1" in (asked.headers["Cookie"] or ""):
            return Answer(b"terms")
        return Answer(b"", 302, {"Location": "/terms", "Set-Cookie": "seen=1; Path=/"})

    site.answers["/terms"] = answer
    ours = client()

    assert ours.get(site.url("/terms")).body == b"terms"
    assert ours.get(site.url("/terms")).body == b"terms"
    assert [asked.headers["Cookie"] for asked in site.asked] == [None, "seen=1", None, "seen=1"]


def test_each_hop_can_be_refused(site: Site) -> None:
    """Whoever asks is told of each redirect before it is followed, and may stop there."""
    site.redirect("/", "/private")

    def refuse(url: str) -> None:
        raise FetchError(url, "not there", FetchProblem.FORBIDDEN_BY_ROBOTS)

    error = problem_of(lambda: client().get(site.url(), each_hop=refuse))

    assert (error.url, site.paths()) == (site.url("/private"), ["/"])


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://127.0.0.1/", "javascript:alert(1)", "data:text/html,x", "gopher://x/"]
)
def test_redirects_to_other_schemes_are_refused(site: Site, to: str) -> None:
    """Only http and https are fetched, wherever a redirect points."""
    site.redirect("/", to)

    assert problem_of(lambda: client().get(site.url())).problem is FetchProblem.SCHEME


def test_redirect_without_address_is_an_answer(site: Site) -> None:
    """A 302 that says nothing is handed back as it is."""
    site.answers["/"] = Answer(b"", 302, {})

    assert client().get(site.url()).status == 302


def test_redirect_to_an_address_with_spaces_and_letters_beyond_ascii(site: Site) -> None:
    """Servers write addresses in headers as they like; they are quoted as browsers do."""
    site.raw["/"] = lambda send: send(
        "HTTP/1.1 302 Found\r\nLocation: /conditions générales\r\nContent-Length: 0\r\n\r\n".encode()
    )
    site.page("/conditions%20g%C3%A9n%C3%A9rales", "ici")

    assert client().get(site.url()).body == b"ici"


# --- size and time -------------------------------------------------------------------------------------------------


def endless(send: Callable[[bytes], None], stop: threading.Event) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
    while not stop.is_set():
        send(b"x" * 65536)


def test_an_endless_body_is_cut_off(site: Site) -> None:
    """A body that never ends is given up at the size limit."""
    site.raw["/"] = lambda send: endless(send, site.stopping)

    error = problem_of(lambda: client(max_bytes=1_000_000).get(site.url()))

    assert (error.problem, error.transient) == (FetchProblem.TOO_LARGE, False)
    assert "max_bytes" in str(error)


def test_a_body_of_ten_gigabytes_is_not_read(site: Site) -> None:
    """The announced size does not matter: reading stops at the limit, and memory stays flat."""

    def huge(send: Callable[[bytes], None]) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        while not site.stopping.is_set():
            send(b"x" * 65536)

    site.raw["/"] = huge

    assert problem_of(lambda: client().get(site.url())).problem is FetchProblem.TOO_LARGE


def test_a_gzip_bomb_is_cut_off(site: Site) -> None:
    """The limit counts unpacked bytes: 200 kB that unpack to 200 MB are given up early."""
    site.answers["/"] = Answer(gzip.compress(bytes(200_000_000), 9), 200, {"Content-Encoding": "gzip"})

    assert problem_of(lambda: client(max_bytes=1_000_000).get(site.url())).problem is FetchProblem.TOO_LARGE


def test_a_body_of_exactly_the_limit_is_read(site: Site) -> None:
    """The limit is what may come, not less."""
    site.page("/", "x" * 1000)

    assert len(client(max_bytes=1000).get(site.url()).body) == 1000
    assert problem_of(lambda: client(max_bytes=999).get(site.url())).problem is FetchProblem.TOO_LARGE


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_compressed_bodies_are_unpacked(site: Site, coding: str) -> None:
    """What is handed on is the page, however it travelled."""
    import zlib

    packed = gzip.compress(b"terms " * 500) if coding == "gzip" else zlib.compress(b"terms " * 500)
    site.answers["/"] = Answer(packed, 200, {"Content-Encoding": coding})

    assert client().get(site.url()).body == b"terms " * 500


def test_a_body_that_is_not_what_it_claims_is_a_broken_answer(site: Site) -> None:
    """Bytes that do not unpack are said to be broken; they are not passed on as text."""
    site.answers["/"] = Answer(b"this is no gzip", 200, {"Content-Encoding": "gzip"})

    assert problem_of(lambda: client().get(site.url())).problem is FetchProblem.PROTOCOL


def test_half_a_body_is_a_broken_answer(site: Site) -> None:
    """A connection that ends before the announced length gives no text: half of the terms would look like a change."""
    site.raw["/"] = lambda send: send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    error = problem_of(lambda: client().get(site.url()))

    assert (error.problem, error.transient) == (FetchProblem.PROTOCOL, True)


def dripping(before: bytes, drop: bytes, stop: threading.Event) -> Callable[[Callable[[bytes], None]], None]:
    def drip(send: Callable[[bytes], None]) -> None:
        send(before)
        while not stop.wait(0.05):
            send(drop)

    return drip


@pytest.mark.parametrize("where", ["body", "header", "chunks", "redirects", "status lines"])
def test_a_server_that_drips_is_given_up_in_total_time(site: Site, where: str) -> None:
    """One byte now and then resets every read time-out; the total one ends it, in headers as in bodies."""
    drips = {
        "body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        "header": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        "redirects": (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 99999\r\n\r\n", b"x"),
        "status lines": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    }
    site.raw["/"] = dripping(*drips[where], site.stopping)
    start = time.monotonic()

    error = problem_of(lambda: client(total_timeout=QUICK).get(site.url()))

    assert error.problem is FetchProblem.TIMEOUT
    assert "0.4 s" in str(error)
    assert time.monotonic() - start < 3


def test_a_silent_server_is_given_up(site: Site) -> None:
    """No byte within the read time-out ends a request."""

    def silent(send: Callable[[bytes], None]) -> None:
        site.stopping.wait(10)

    site.raw["/"] = silent

    error = problem_of(lambda: client(read_timeout=QUICK).get(site.url()))

    assert (error.problem, error.transient) == (FetchProblem.TIMEOUT, True)


def test_time_is_counted_anew_for_each_request(site: Site) -> None:
    """A deadline belongs to one request: after one that ran out of time the next has all of its own."""
    site.raw["/slow"] = dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x", site.stopping)
    site.page("/", "x")
    ours = client(total_timeout=QUICK)
    problem_of(lambda: ours.get(site.url("/slow")))

    assert ours.get(site.url()).status == 200


def test_nobody_listens() -> None:
    """A port without a server is a connection problem, worth another try later."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    error = problem_of(lambda: client().get(f"http://127.0.0.1:{port}/"))

    assert (error.problem, error.transient) == (FetchProblem.CONNECTION, True)


def test_no_http_is_a_broken_answer(site: Site) -> None:
    """Something else than HTTP on the port is said as such."""
    site.raw["/"] = lambda send: send(b"SSH-2.0-OpenSSH_9.6\r\n")

    assert problem_of(lambda: client().get(site.url())).problem is FetchProblem.PROTOCOL


def test_a_name_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is a DNS problem, worth another try later."""

    def getaddrinfo(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    error = problem_of(lambda: client().get("http://nowhere.example/"))

    assert (error.problem, error.transient) == (FetchProblem.DNS, True)


# --- addresses -----------------------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "0.1.2.3", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "192.88.99.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:808:808::1", "2001:0:4136:e378::1", "64:ff9b::7f00:1",
    "64:ff9b::a00:1", "64:ff9b:1::808:808", "2001:db8::1", "not an address",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "100.63.255.255"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address: str) -> None:
    """Loopback, private, link-local, shared, multicast, reserved ones, and what carries them in IPv6."""
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    """The rest of the network can be fetched from, through NAT64 too."""
    assert addresses.is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_inside_ipv6(address: Any) -> None:
    """Mapping an address into IPv6 never makes it public."""
    plain = addresses.is_public(str(address))

    assert addresses.is_public(f"::ffff:{address}") is plain
    assert addresses.is_public(f"64:ff9b::{address}") is plain
    assert not addresses.is_public(f"::{address}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "017700000001", "0", "[::1]",
                                  "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1."])  # fmt: skip
def test_loopback_is_refused_however_it_is_written(site: Site, host: str) -> None:
    """Every spelling of loopback is refused by default, and nothing is sent."""
    site.page("/", "secret")

    error = problem_of(lambda: client(allow_private_addresses=False).get(site.url("/", host)))

    assert error.problem in (FetchProblem.FORBIDDEN_ADDRESS, FetchProblem.DNS)
    assert site.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://inside\\@outside.example/", "http://user:pass@outside.example/", "http:\\\\inside\\", "http:///etc/passwd",
        "http://inside outside/", "http://in\tside/", "http://in\nside/", "http://", "http://@/", "//inside/", "inside",
        "http://[::1", "http://in\x00side/", "http://a:b:c/",
    ],
)  # fmt: skip
def test_addresses_that_two_parsers_read_differently_are_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not a plain address is not guessed at; nothing is looked up."""
    looked_up = resolving(monkeypatch, "93.184.216.34")

    error = problem_of(lambda: client(allow_private_addresses=False).get(url))

    assert (error.problem, error.transient, looked_up) == (FetchProblem.SCHEME, False, [])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "data:text/html,x", "unix:///run/x.sock"])
def test_other_schemes_are_refused(url: str) -> None:
    """Only http and https."""
    assert problem_of(lambda: client().get(url)).problem is FetchProblem.SCHEME


def test_each_hop_is_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public page that redirects to a private address leads nowhere."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    site.redirect("/", f"http://127.0.0.2:{site.port}/secret")

    error = problem_of(lambda: client(allow_private_addresses=False).get(site.url()))

    assert error.problem is FetchProblem.FORBIDDEN_ADDRESS
    assert site.paths() == ["/"]


def test_a_name_that_changes_its_address_between_check_and_connection(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that was checked is the one connected to: a second answer of DNS is never asked for (rebinding)."""
    looked_up = resolving(monkeypatch, "93.184.216.34", "127.0.0.1")
    connected: list[str] = []

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise OSError(111, "Connection refused")

    monkeypatch.setattr(socket.socket, "connect", connect)

    error = problem_of(lambda: client(allow_private_addresses=False).get(f"http://rebinding.example:{site.port}/"))

    assert (error.problem, connected, looked_up) == (FetchProblem.CONNECTION, ["93.184.216.34"], ["rebinding.example"])


def test_of_several_addresses_only_public_ones_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a public and a private address is reached at the public one, never at the other."""
    monkeypatch.setattr(addresses, "resolve", lambda *_: ["10.0.0.1", "93.184.216.34", "::1"])

    assert addresses.checked("http://x/", "x", 80, allow_private=False) == ["93.184.216.34"]


def test_hooks_are_checked_too(site: Site) -> None:
    """A webhook into the private network is refused as a page would be."""
    error = problem_of(lambda: client(allow_private_addresses=False).post(site.url("/hook"), b"{}"))

    assert (error.problem, site.connections) == (FetchProblem.FORBIDDEN_ADDRESS, 0)


def test_bare_connections_are_checked_too(site: Site) -> None:
    """The connections that a browser gets from us obey the same rule."""
    error = problem_of(lambda: client(allow_private_addresses=False).connect("localhost", site.port))

    assert (error.problem, site.connections) == (FetchProblem.FORBIDDEN_ADDRESS, 0)


# --- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for terms.example, which signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=terms.example", "-addext", "subjectAltName=DNS:terms.example", "-keyout", paths[1], "-out", paths[0]],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return paths


@pytest.fixture
def safe_site(certificate: tuple[Path, Path]) -> Iterator[Site]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as site:
        yield site


def test_tls_is_spoken_to_the_name_at_the_checked_address(
    safe_site: Site, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to an address, Host and certificate are those of the name; one's own authority is trusted."""
    resolving(monkeypatch, "127.0.0.1")
    safe_site.page("/", "safe")

    response = client({"SSL_CERT_FILE": str(certificate[0])}).get(safe_site.url("/", "terms.example"))

    assert response.body == b"safe"
    assert safe_site.asked[0].headers["Host"] == f"terms.example:{safe_site.port}"


def test_a_certificate_of_nobody_is_refused(safe_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that no known authority signed ends the request, for good."""
    resolving(monkeypatch, "127.0.0.1")

    error = problem_of(lambda: client().get(safe_site.url("/", "terms.example")))

    assert (error.problem, error.transient, safe_site.asked) == (FetchProblem.TLS, False, [])


def test_a_certificate_for_another_name_is_refused(
    safe_site: Site, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good certificate of somebody else is no certificate."""
    resolving(monkeypatch, "127.0.0.1")

    error = problem_of(lambda: client({"SSL_CERT_FILE": str(certificate[0])}).get(safe_site.url("/", "other.example")))

    assert (error.problem, safe_site.asked) == (FetchProblem.TLS, [])


def test_a_dripping_tls_server_is_given_up_in_total_time(
    safe_site: Site, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline holds under encryption too."""
    resolving(monkeypatch, "127.0.0.1")
    safe_site.raw["/"] = dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x", safe_site.stopping)
    ours = client({"SSL_CERT_FILE": str(certificate[0])}, total_timeout=QUICK)

    error = problem_of(lambda: ours.get(safe_site.url("/", "terms.example")))

    assert (error.problem, "0.4 s" in str(error)) == (FetchProblem.TIMEOUT, True)


# --- proxies -------------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used(site: Site) -> None:
    """With HTTP_PROXY set, the proxy is asked for the whole address."""
    site.answers["http://93.184.216.34/terms"] = Answer(b"by proxy")

    for environment in ({"HTTP_PROXY": site.url()}, {"http_proxy": site.url()}, {"ALL_PROXY": site.url()}):
        assert client(environment, allow_private_addresses=False).get("http://93.184.216.34/terms").body == b"by proxy"


def test_no_destination_is_private_behind_a_proxy_either(site: Site) -> None:
    """The destination is checked before the proxy hears of it; the proxy itself may stand in a private network."""
    ours = client({"HTTP_PROXY": site.url(), "HTTPS_PROXY": site.url()}, allow_private_addresses=False)

    problems = {problem_of(lambda url=url: ours.get(url)).problem for url in ("http://10.0.0.1/", "https://127.0.0.1/")}  # type: ignore[misc]

    assert (problems, site.connections) == ({FetchProblem.FORBIDDEN_ADDRESS}, 0)


@pytest.mark.parametrize("direct", ["*", "127.0.0.1", "127.0.0.0/8", "other.example,127.0.0.1"])
def test_no_proxy_names_what_is_reached_directly(site: Site, direct: str) -> None:
    """NO_PROXY holds hosts, domains, networks and `*`."""
    site.page("/", "direct")
    with serving() as proxy:
        ours = client({"HTTP_PROXY": proxy.url(), "NO_PROXY": direct})

        assert ours.get(site.url()).body == b"direct"
        assert proxy.asked == []


def test_a_proxy_that_refuses_is_named_as_such(site: Site) -> None:
    """A refused tunnel is a connection problem of the proxy, not a page."""
    site.answers["93.184.216.34:443"] = Answer(b"no", 403)

    error = problem_of(
        lambda: client({"HTTPS_PROXY": site.url()}, allow_private_addresses=False).get("https://93.184.216.34/")
    )

    assert (error.problem, "proxy" in str(error)) == (FetchProblem.CONNECTION, True)


def test_bare_connections_go_through_the_proxy(site: Site) -> None:
    """A browser's connections leave by the same door as all others."""
    site.raw["93.184.216.34:443"] = lambda send: send(b"HTTP/1.1 200 Connected\r\n\r\nhello")

    with client({"HTTPS_PROXY": site.url()}, allow_private_addresses=False).connect("93.184.216.34", 443) as connection:
        assert connection.recv(100) == b"hello"


# --- Retry-After and names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), (" 0 ", 0), ("Sun, 03 May 2026 12:01:00 GMT", 60), ("Sun, 03 May 2026 11:00:00 GMT", 0),
     ("99999999999999999999", 30 * 86400), ("soon", None), ("-5", None), ("", None), ("²", None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str, seconds: int | None) -> None:
    """Both forms of RFC 9110 are understood, nothing is negative, and a month is the most."""
    response = Response("http://x/", "http://x/", 503, (("Retry-After", value),), b"", NOW)

    wait = retry_after(response)

    assert (wait.total_seconds() if wait is not None else None) == seconds


def test_hosts_are_told_apart_by_name_and_port() -> None:
    """One host is one host, however its name is written."""
    assert host_of("HTTP://Terms.Example/a?b#c") == "terms.example"
    assert host_of("https://terms.example:8443/") == "terms.example:8443"
    assert host_of("https://bücher.example/") == "xn--bcher-kva.example"


def test_http_client_knows_no_header_longer_than_a_line(site: Site) -> None:
    """Endless headers end by themselves."""
    site.raw["/"] = lambda send: send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * (http.client._MAXLINE + 10) + b"\r\n\r\n")  # type: ignore[attr-defined]

    assert problem_of(lambda: client().get(site.url())).problem is FetchProblem.PROTOCOL
