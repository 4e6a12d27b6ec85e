"""Fetching with manners: turns, pauses, conditions, several source documents, second tries, browsers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from local_site import Answer, Answering, Asked, Site, serving

from tosmon.errors import FetchError, FetchProblem
from tosmon.fetch import Fetched, Fetcher
from tosmon.fetch.turns import Turns
from tosmon.http import Client, Limits, addresses
from tosmon.model import Form, Response, SourceDocument, Validators

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
SHELL = "<html><head><title>App</title></head><body><div id=root></div><script src=/app.js></script></body></html>"
TERMS = (
    "<html><body><main>"
    + "<p>You grant us a licence to use what you post, within limits.</p>" * 30
    + "</main></body></html>"
)


class Time:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


class Rendering:
    """A browser that gives the same document for every address, or fails as told."""

    def __init__(self, body: str = TERMS, error: FetchError | None = None, installed: bool = True) -> None:
        self.installed = installed
        self.rendered: list[str] = []
        self._body = body
        self._error = error

    def render(self, source: SourceDocument) -> Response:
        self.rendered.append(source.url)
        if self._error is not None:
            raise self._error
        return Response(source.url, source.url, 200, (), self._body.encode(), NOW, rendered=True)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as site:
        yield site


def fetcher(time: Time | None = None, pause: float = 0.0, browser: Rendering | None = None) -> Fetcher:
    time = time or Time()
    client = Client(Limits(allow_private_addresses=True), clock=lambda: NOW, environment={})
    return Fetcher(
        client,
        robots=False,
        pause=timedelta(seconds=pause),
        browser=browser,
        monotonic=time.monotonic,
        sleep=time.sleep,
    )


def form(*urls: str, select: str = "", browser: bool = False) -> Form:
    return Form(tuple(SourceDocument(url, (select,) if select else (), browser=browser) for url in urls))


def bodies(fetched: Fetched) -> list[bytes]:
    return [response.body for response in fetched.responses]


# --- conditions and parts ------------------------------------------------------------------------------------------


def conditional(text: bytes) -> Answer:
    return Answer(text, 200, {"ETag": '"1"'})


def unchanged_since_one(text: bytes) -> Answering:
    def answer(asked: Asked) -> Answer:
        return Answer(b"", 304) if asked.headers["If-None-Match"] == '"1"' else conditional(text)

    return answer


def test_an_unchanged_document_has_no_body(site: Site) -> None:
    """With the validators of last time, the server may say that nothing changed."""
    site.answers["/terms"] = unchanged_since_one(b"terms")

    fetched = fetcher().fetch(form(site.url("/terms")), {site.url("/terms"): Validators('"1"')})

    assert (fetched.not_modified, bodies(fetched), fetched.problem) == (True, [b""], None)


def test_all_source_documents_are_fetched_in_order(site: Site) -> None:
    """Terms of several pages come as several responses."""
    urls = [site.page(f"/{number}", f"part {number}") for number in range(3)]

    assert bodies(fetcher().fetch(form(*urls))) == [b"part 0", b"part 1", b"part 2"]


def test_a_page_that_two_source_documents_share_is_fetched_once(site: Site) -> None:
    """One page from which two parts are taken costs one request."""
    url = site.page("/terms", "both")

    assert bodies(fetcher().fetch(form(url, url))) == [b"both", b"both"]
    assert site.paths() == ["/terms"]


def test_all_parts_unchanged_is_unchanged(site: Site) -> None:
    """Terms of several pages are unchanged when each of them is."""
    for path in ("/a", "/b"):
        site.answers[path] = unchanged_since_one(path.encode())
    known = {site.url(path): Validators('"1"') for path in ("/a", "/b")}

    assert fetcher().fetch(form(*known), known).not_modified


def test_an_unchanged_part_beside_a_changed_one_is_fetched_whole(site: Site) -> None:
    """A part by itself is kept nowhere, so one that did not change is asked for again without conditions."""
    site.answers["/a"] = unchanged_since_one(b"a")
    site.page("/b", "b, new")
    known = {site.url(path): Validators('"1"') for path in ("/a", "/b")}

    fetched = fetcher().fetch(form(*known), known)

    assert (bodies(fetched), fetched.not_modified) == ([b"a", b"b, new"], False)
    assert site.paths() == ["/a", "/b", "/a"]


def test_conditions_are_left_out_when_a_part_has_none(site: Site) -> None:
    """A server without validators for one part makes conditions for the others pointless."""
    site.answers["/a"] = unchanged_since_one(b"a")
    site.page("/b", "b")

    fetched = fetcher().fetch(form(site.url("/a"), site.url("/b")), {site.url("/a"): Validators('"1"')})

    assert bodies(fetched) == [b"a", b"b"]
    assert site.paths() == ["/a", "/b"]


def test_unchanged_to_a_question_without_conditions_is_a_broken_answer(site: Site) -> None:
    """A 304 that nobody asked for has no text to go with it."""
    site.answers["/terms"] = Answer(b"", 304)

    problem = fetcher().fetch(form(site.url("/terms"))).problem

    assert problem is not None
    assert problem.problem is FetchProblem.PROTOCOL


def test_what_came_before_a_problem_is_kept(site: Site) -> None:
    """When one part fails, the responses of the others stay as evidence."""
    fetched = fetcher().fetch(form(site.page("/a", "a"), "http://127.0.0.1:1/b"))

    assert (bodies(fetched), fetched.problem is not None) == ([b"a"], True)


def test_the_language_of_the_terms_is_asked_for(site: Site) -> None:
    """A document declared in German is not to come in English because we asked for English."""
    fetcher().fetch(form(site.page("/agb", "AGB")), language="de")

    assert site.asked[0].headers["Accept-Language"].startswith("de")


# --- second tries and waits ------------------------------------------------------------------------------------------


def failing(times: int, answer: Answer, then: bytes = b"terms") -> Answering:
    left = [times]

    def give(_: Asked) -> Answer:
        left[0] -= 1
        return answer if left[0] >= 0 else Answer(then)

    return give


def test_a_server_error_is_tried_once_more(site: Site) -> None:
    """5xx is often over a moment later."""
    site.answers["/terms"] = failing(1, Answer(b"", 502))

    assert bodies(fetcher().fetch(form(site.url("/terms")))) == [b"terms"]


def test_a_server_error_that_stays_is_an_answer(site: Site) -> None:
    """Two tries, no more; the error is left to the verdict."""
    site.answers["/terms"] = Answer(b"broken", 500)

    fetched = fetcher().fetch(form(site.url("/terms")))

    assert ([response.status for response in fetched.responses], len(site.asked)) == ([500], 2)


@pytest.mark.parametrize("status", [403, 404, 410, 429])
def test_refusals_are_not_tried_again(site: Site, status: int) -> None:
    """What the server said clearly needs no second asking."""
    site.answers["/terms"] = Answer(b"", status)

    fetcher().fetch(form(site.url("/terms")))

    assert len(site.asked) == 1


def test_a_server_that_asks_for_time_gets_it(site: Site) -> None:
    """`Retry-After` is handed on, and there is no second try before it."""
    site.answers["/terms"] = Answer(b"", 503, {"Retry-After": "3600"})

    fetched = fetcher().fetch(form(site.url("/terms")))

    assert (fetched.retry_after, len(site.asked)) == (timedelta(hours=1), 1)


def test_a_time_out_is_tried_once_more(site: Site) -> None:
    """A server that was slow once may be quick now."""
    client = Client(
        Limits(allow_private_addresses=True, read_timeout=timedelta(seconds=0.2)), clock=lambda: NOW, environment={}
    )

    def silent(send: Callable[[bytes], None]) -> None:
        site.stopping.wait(5)

    site.raw["/terms"] = silent

    problem = Fetcher(client, robots=False, pause=timedelta(0)).fetch(form(site.url("/terms"))).problem

    assert problem is not None
    assert (problem.problem, len(site.asked)) == (FetchProblem.TIMEOUT, 2)


# --- turns -----------------------------------------------------------------------------------------------------------


def test_there_is_a_pause_between_two_requests_to_a_host(site: Site) -> None:
    """The second request to a host waits; so does a second try."""
    time = Time()
    ours = fetcher(time, pause=2.0)
    urls = [site.page(f"/{number}", "x") for number in range(3)]

    ours.fetch(form(*urls))

    assert time.slept == [2.0, 2.0]


def test_other_hosts_do_not_wait(site: Site) -> None:
    """The pause is between two requests to one host, not between all."""
    time = Time()
    with serving() as other:
        fetcher(time, pause=2.0).fetch(form(site.page("/", "x"), other.page("/", "y")))

    assert time.slept == []


def test_time_that_passed_anyway_counts_for_the_pause() -> None:
    """A host that was left alone long enough is asked at once."""
    time = Time()
    turns = Turns(timedelta(seconds=2), time.monotonic, time.sleep)
    with turns.turn("a"):
        pass
    time.now += 1.5
    with turns.turn("a"):
        pass
    time.now += 10
    with turns.turn("a"):
        pass

    assert time.slept == [0.5]


def test_only_one_request_at_a_time_goes_to_a_host() -> None:
    """Many threads, one host: one after the other. Other hosts go on meanwhile."""
    turns = Turns(timedelta(0), lambda: 0.0, lambda _: None)
    inside: dict[str, int] = {"a": 0, "b": 0}
    most = {"a": 0, "b": 0}
    both = threading.Barrier(2, timeout=5)

    def visit(number: int) -> None:
        host = "ab"[number % 2]
        with turns.turn(host):
            inside[host] += 1
            most[host] = max(most[host], inside[host])
            both.wait()
            inside[host] -= 1

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(visit, range(20)))

    assert most == {"a": 1, "b": 1}


def test_a_failed_request_gives_its_turn_back() -> None:
    """An error inside a turn does not block the host."""
    turns = Turns(timedelta(0), lambda: 0.0, lambda _: None)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"), turns.turn("a"):
            raise ValueError("no")


def test_hosts_long_left_alone_are_forgotten() -> None:
    """Ten thousand hosts cost no memory once their pause is over."""
    time = Time()
    turns = Turns(timedelta(seconds=2), time.monotonic, time.sleep)
    for number in range(10_000):
        time.now += 1
        with turns.turn(f"{number}.example"):
            pass

    assert len(turns) < 1000


# --- pages that lead on ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["0; url=/new", "0;URL='/new'", "2, /new", "0; url=http://127.0.0.1:{port}/new"], ids=range(4)
)
def test_a_page_that_only_leads_on_is_followed(site: Site, content: str) -> None:
    """ "You should be redirected quickly" is no document: what stands where it leads is, by its own name."""
    refresh = content.format(port=site.port)
    site.page("/old", f'<meta http-equiv="Refresh" content="{refresh}"><p>You should be redirected quickly.</p>')
    site.page("/new", TERMS, ETag='"2"')

    (answer,) = fetcher().fetch(form(site.url("/old"))).responses

    assert (answer.body, answer.url, answer.final_url) == (TERMS.encode(), site.url("/old"), site.url("/new"))
    assert answer.redirects == (site.url("/old"),)
    assert answer.validators == Validators()


@pytest.mark.parametrize(
    "page",
    [
        f'<meta http-equiv=refresh content="0; url=/new">{TERMS}',
        '<meta http-equiv=refresh content="30; url=/new"><p>short</p>',
        '<meta http-equiv=refresh content="0"><p>short</p>',
        '<noscript><meta http-equiv=refresh content="0; url=/new"></noscript><p>short</p>',
        '<meta http-equiv=refresh content="0; url=/old#top"><p>short</p>',
    ],
    ids=["with text", "after a while", "reloads", "without scripts", "itself"],
)
def test_a_page_that_does_not_only_lead_on_is_read_as_it_stands(site: Site, page: str) -> None:
    """A page with text, a slow one, and what is meant for visitors without scripts are no redirects."""
    site.page("/old", page)

    fetcher().fetch(form(site.url("/old")))

    assert site.paths() == ["/old"]


def test_pages_that_lead_to_each_other_are_followed_once(site: Site) -> None:
    """A circle ends after one step."""
    site.page("/a", '<meta http-equiv=refresh content="0; url=/b">')
    site.page("/b", '<meta http-equiv=refresh content="0; url=/a">')

    fetcher().fetch(form(site.url("/a")))

    assert site.paths() == ["/a", "/b"]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://169.254.169.254/latest/", "javascript:alert(1)"])
def test_a_page_leads_to_no_forbidden_place(site: Site, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is checked like any redirect."""
    site.page("/old", f'<meta http-equiv=refresh content="0; url={target}">')
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    client = Client(Limits(), clock=lambda: NOW, environment={})
    careful = Fetcher(client, robots=False, pause=timedelta(0))

    problem = careful.fetch(form(site.url("/old"))).problem

    assert problem is not None
    assert problem.problem in (FetchProblem.SCHEME, FetchProblem.FORBIDDEN_ADDRESS)


# --- browsers --------------------------------------------------------------------------------------------------------


def test_a_declared_browser_is_used_at_once(site: Site) -> None:
    """A document that needs a browser is not asked for without."""
    browser = Rendering()

    fetched = fetcher(browser=browser).fetch(
        form(site.url("/app"), browser=True), {site.url("/app"): Validators('"1"')}
    )

    assert fetched.responses[0].rendered
    assert site.asked == []


@pytest.mark.parametrize("select", ["", "main"])
def test_a_shell_without_text_is_rendered(site: Site, select: str) -> None:
    """A page whose text a script must bring is read with the browser, declared or not."""
    browser = Rendering()
    site.page("/app", SHELL)

    assert fetcher(browser=browser).fetch(form(site.url("/app"), select=select)).responses[0].rendered


def test_selected_elements_without_text_are_rendered_though_the_rest_has_some(site: Site) -> None:
    """A menu and a footer do not make the terms."""
    site.page("/app", "<nav>" + "<p>menu</p>" * 100 + "</nav><main></main>")

    assert fetcher(browser=Rendering()).fetch(form(site.url("/app"), select="main")).responses[0].rendered


@pytest.mark.parametrize("select", ["", "main", "main:has(p)", "main >"])
def test_a_page_with_text_needs_no_browser(site: Site, select: str) -> None:
    """An ordinary page is never rendered, whatever selects from it."""
    browser = Rendering()
    site.page("/terms", TERMS)

    fetcher(browser=browser).fetch(form(site.url("/terms"), select=select))

    assert browser.rendered == []


def test_embedded_data_needs_no_browser(site: Site) -> None:
    """A page that carries its text as JSON is read without running it."""
    browser = Rendering()
    data = '{"text": "' + "You grant us a licence. " * 1500 + '"}'
    site.page("/app", f'<div id=root></div><script id="__NEXT_DATA__" type="application/json">{data}</script>')

    fetcher(browser=browser).fetch(form(site.url("/app")))

    assert browser.rendered == []


def test_a_tracking_snippet_does_not_make_a_shell(site: Site) -> None:
    """The unclosed frame that many pages carry for visitors without scripts does not hide their text."""
    browser = Rendering()
    site.page("/terms", "<noscript><iframe src=//tracker.example height=0></noscript>" + TERMS)

    fetcher(browser=browser).fetch(form(site.url("/terms"), select="main"))

    assert browser.rendered == []


def test_a_pdf_is_never_rendered(site: Site) -> None:
    """Few words in a file are no shell."""
    browser = Rendering()
    site.answers["/terms.pdf"] = Answer(b"%PDF-1.7 ...", 200, {"Content-Type": "application/pdf"})

    fetcher(browser=browser).fetch(form(site.url("/terms.pdf")))

    assert browser.rendered == []


@pytest.mark.parametrize("status", [403, 406])
def test_a_refusal_is_tried_with_the_browser(site: Site, status: int) -> None:
    """Some sites refuse whatever is no browser."""
    site.page("/terms", "no", status)

    assert fetcher(browser=Rendering()).fetch(form(site.url("/terms"))).responses[0].rendered


def test_a_browser_that_fails_leaves_the_plain_answer(site: Site) -> None:
    """When rendering a refusal or a shell fails too, the first answer is the evidence."""
    site.page("/terms", "no", 403)
    broken = Rendering(error=FetchError("x", "stuck", FetchProblem.TIMEOUT))

    assert fetcher(browser=broken).fetch(form(site.url("/terms"))).responses[0].status == 403


@pytest.mark.parametrize(
    "browser",
    [
        None,
        Rendering(installed=False),
        Rendering(error=FetchError("x", "does not start", FetchProblem.NO_BROWSER, transient=False)),
    ],
)
def test_without_a_browser_plain_http_must_do(site: Site, browser: Rendering | None) -> None:
    """A document declared for a browser is still looked at where none is installed or none starts."""
    site.page("/terms", TERMS)

    fetched = fetcher(browser=browser).fetch(form(site.url("/terms"), browser=True))

    assert (fetched.problem, bodies(fetched)) == (None, [TERMS.encode()])


def test_a_browser_that_was_of_no_use_is_left_out_for_hours_then_for_longer(site: Site) -> None:
    """A challenge refuses the browser too: it is not started at every look, but never given up for good."""
    time = Time()
    site.page("/terms", "no", 403)
    terms = form(site.url("/terms"))
    patient = fetcher(time, browser=Rendering())
    started = []
    for hour in range(60):
        time.now = hour * 3600.0
        if patient.fetch(terms).responses[0].rendered:
            started.append(hour)
            patient.browser_told(terms, of_use=False)
        assert patient.rendered(terms) is None

    assert started == [0, 3, 9, 21, 45]
    patient.browser_told(terms, of_use=True)
    assert patient.fetch(terms).responses[0].rendered


def test_a_declared_browser_is_never_left_out(site: Site) -> None:
    """Who declares that a document needs a browser gets one at every look; only once a look, though."""
    browser = Rendering()
    declared = fetcher(browser=browser)
    terms = form(site.url("/terms"), browser=True)
    for _ in range(3):
        declared.fetch(terms)
        declared.browser_told(terms, of_use=False)

    assert len(browser.rendered) == 3
    assert declared.rendered(terms) is None


def test_a_declared_browser_that_fails_is_a_problem(site: Site) -> None:
    """A document that needs the browser is unreachable when the browser gets no page."""
    broken = Rendering(error=FetchError("x", "stuck", FetchProblem.TIMEOUT))

    problem = fetcher(browser=broken).fetch(form(site.url("/terms"), browser=True)).problem

    assert problem is not None
    assert problem.problem is FetchProblem.TIMEOUT


def test_terms_that_turned_out_empty_can_be_rendered(site: Site) -> None:
    """Whoever finds no text in the plain answers may ask for them through the browser."""
    rendered = fetcher(browser=Rendering()).rendered(form(site.url("/terms")))

    assert rendered is not None
    assert rendered.responses[0].rendered
    assert fetcher().rendered(form(site.url("/terms"))) is None
