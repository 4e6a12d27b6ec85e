"""Reading a document by the form that fits, and knowing cheaply that nothing changed."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tosmon.errors import ExtractionError
from tosmon.extract import fingerprint, form_named, read, suggest_selector
from tosmon.model import Filter, Form, Range, Response, SourceDocument, Terms, TermsKey

URL = "https://ink.example/tos"
AT = datetime(2025, 6, 1, tzinfo=UTC)
CLAUSES = "".join(
    f"<h2>{number}. Section</h2><p>You grant Inkwell a licence to clause {number}, under this agreement and its terms.</p>"
    for number in range(1, 41)
)
SHELL = (
    "<html lang=en-GB><head><title>Terms &amp; more</title></head><body><nav><a href=/>Home</a></nav>{}</body></html>"
)


def response(body: str | bytes, url: str = URL, content_type: str = "text/html") -> Response:
    raw = body if isinstance(body, bytes) else body.encode()
    return Response(url, url, 200, (("Content-Type", content_type),), raw, AT)


def terms(*select: str | Range, earlier: tuple[Form, ...] = ()) -> Terms:
    return Terms(TermsKey("Inkwell", "Terms of Service"), "Inkwell", Form((SourceDocument(URL, select),)), earlier)


def earlier(selector: str, until: datetime) -> Form:
    return Form((SourceDocument(URL, (selector,)),), until)


def page(content: str) -> Response:
    return response(SHELL.format(content))


def test_reading_has_text_title_and_language() -> None:
    """What `tosmon add` shows before anything is tracked."""
    reading = read([page(f"<main>{CLAUSES}</main>")], terms("main"), AT)

    assert reading.text.startswith("## 1. Section\n\nYou grant Inkwell")
    assert (reading.title, reading.language, reading.form, reading.missing) == ("Terms & more", "en", "declared", ())


GARBLED = "".join(f"{chr(number % 8 + 1)}word{chr(0x81 + number % 8)} " for number in range(400))


@pytest.mark.parametrize(
    "answer",
    [
        page(f"{CLAUSES * 3}<main><p>{GARBLED}</p></main>"),
        response("words " * 2000 + GARBLED * 9, content_type="text/plain"),
    ],
    ids=["page", "text"],
)
def test_control_characters_are_no_text(answer: Response) -> None:
    """Nobody sees them, so extraction drops them; what is left of a damaged file must not pass for its text."""
    with pytest.raises(ExtractionError, match="no text"):
        read([answer], terms("main"), AT)


def test_a_stray_control_character_is_only_dropped() -> None:
    """Word processors leave them in good pages."""
    assert "Section\n\nYou" in read([page(f"<main>\x0b\x02{CLAUSES}</main>")], terms("main"), AT).text


def test_parts_of_several_pages_are_joined_in_order() -> None:
    """A separator stands between them."""
    form = Form((SourceDocument(URL, ("p",)), SourceDocument(URL + "2", ("b",))))

    reading = read([page("<p>one</p>"), page("<b>two</b>")], replace(terms(), form=form), AT)

    assert reading.text == "one\n\n- - -\n\n**two**"


def test_form_of_the_date_is_tried_first() -> None:
    """`validUntil` is inclusive."""
    until = datetime(2025, 6, 1, tzinfo=UTC)
    both = page(f"<main>{CLAUSES}</main><div id=old>{CLAUSES.replace('Inkwell', 'Oldwell')}</div>")
    tracked = terms("main", earlier=(earlier("#old", until),))

    assert read([both], tracked, until).form == "earlier until 2025-06-01"
    assert "Oldwell" in read([both], tracked, until).text
    assert read([both], tracked, until.replace(hour=1)).form == "declared"


def test_other_form_reads_what_the_form_of_the_date_does_not() -> None:
    """Dates in histories were often set in bulk; what was used is told."""
    tracked = terms("#new", earlier=(earlier("#older", datetime(2020, 1, 1, tzinfo=UTC)), earlier("#old", AT)))

    reading = read([page(f"<div id=older>{CLAUSES}</div>")], tracked, AT)

    assert reading.form == "earlier until 2020-01-01"
    assert reading.missing == ()
    assert form_named(tracked, reading.form) is tracked.earlier_forms[0]


def test_forms_that_ended_on_one_day_are_told_apart() -> None:
    """Two forms may bear the same date."""
    tracked = terms("#new", earlier=(earlier("#a", AT), earlier("#b", AT)))

    reading = read([page(f"<div id=b>{CLAUSES}</div>")], tracked, AT)

    assert form_named(tracked, reading.form) is tracked.earlier_forms[1]


def test_lost_selector_falls_back_to_the_main_text_when_it_is_the_known_text() -> None:
    """A redesign with the same text goes on being read; the lost selector is named."""
    good = read([page(f"<main>{CLAUSES}</main>")], terms("main"), AT).text

    reading = read([page(f"<div class=x>{CLAUSES}</div>")], terms("main"), AT, last_good=good)

    assert reading.form == "without selectors"
    assert reading.missing == ("main",)
    assert reading.text == good


def test_lost_selector_on_another_page_gives_no_text() -> None:
    """A login or home page is not taken for the terms."""
    good = read([page(f"<main>{CLAUSES}</main>")], terms("main"), AT).text
    other = page(
        "<div>" + "<p>Welcome to the best place for your drawings and your friends, sign in today!</p>" * 30 + "</div>"
    )

    for last_good in (good, None):
        reading = read([other], terms("main"), AT, last_good=last_good)

        assert (reading.text, reading.form, reading.missing) == ("", "declared", ("main",))


def test_first_look_at_a_page_that_reads_like_terms_is_believed() -> None:
    """A declaration may be older than the site: then long legal prose is taken, and said to be read without selectors."""
    reading = read([page(f"<div>{CLAUSES}</div>")], terms("main"), AT)

    assert reading.form == "without selectors"
    assert reading.missing == ("main",)


def test_one_of_several_selectors_that_is_lost_is_named() -> None:
    """The rest is read; the verdict on it is for others."""
    reading = read([page(f"<main>{CLAUSES}</main>")], terms("main", ".annex"), AT)

    assert reading.text
    assert reading.missing == (".annex",)


def test_short_document_is_what_it_is() -> None:
    """An imprint of ten words is not given up for an older form that reads the whole page."""
    tracked = terms("main", earlier=(earlier("body", datetime(2020, 1, 1, tzinfo=UTC)),))

    reading = read([page("<main>Inkwell Ltd, 1 Quill Street, Papertown</main><p>" + "menu " * 60)], tracked, AT)

    assert reading.form == "declared"


def test_declared_without_selectors_finds_the_text() -> None:
    """No fallback: nothing is missing."""
    reading = read([page(f"<div><div>{CLAUSES}</div></div><footer>About us</footer>")], terms(), AT)

    assert reading.text.startswith("## 1. Section")
    assert "About us" not in reading.text
    assert (reading.form, reading.missing) == ("declared", ())


def test_plain_text_and_json_are_read() -> None:
    """Some terms are files, some come from an interface."""
    text = read(
        [response("TERMS\r\n\r\n1. Use\u00a0it.\x00\r\n\r\n\r\n2. Pay.", content_type="text/plain")], terms(), AT
    )
    data = read(
        [response('{"doc": {"title": "T", "html": "<h1>Terms</h1><p>You agree to all of these terms here.</p>"}}')],
        terms(),
        AT,
    )

    assert text.text == "TERMS\n\n1. Use it.\n\n2. Pay."
    assert "# Terms\n\nYou agree to all of these terms here." in data.text


@pytest.mark.parametrize("body", [b"\x89PNG\r\n\x1a\n" + b"\0" * 99, b"%PDF-1.4 broken", bytes(range(30)) * 99])
def test_bytes_that_are_no_text_are_an_error(body: bytes) -> None:
    """With what it is and where."""
    with pytest.raises(ExtractionError, match=re.escape(URL)):
        read([response(body)], terms("main"), AT)


# --- fingerprint -------------------------------------------------------------------------------------------------


def noisy(seed: int, content: str = CLAUSES) -> Response:
    """The same page as a server gives it the next time."""
    return response(
        f"""<html><head><script nonce="n{seed}">var t={seed}</script><meta name=csrf-token content="c{seed}">
        <style>.a{seed}{{}}</style></head><body class="theme-{seed}" data-build="{seed}">
        <input type=hidden name=authenticity_token value="{seed}"><!-- served by web{seed} -->
        <main id=m{seed} style="--x:{seed}px" data-reactid="{seed}"><div class="css-{seed * 7919}">{content}</div>
        <p>Mail <a href="/cdn-cgi/l/email-protection#{cfemail(seed)}"><span class="__cf_email__"
        data-cfemail="{cfemail(seed)}">[email&#160;protected]</span></a></p></main>
        <script>window.__n={seed}</script><noscript><img src="/pixel?{seed}"></noscript></body></html>"""
    )


def cfemail(seed: int) -> str:
    key = seed % 255 + 1
    return bytes([key, *(byte ^ key for byte in b"a@ink.example")]).hex()


@pytest.mark.parametrize("select", [("main",), (), (Range("h2", "p:last-of-type", True, True),)])
def test_what_rotates_unread_does_not_touch_the_fingerprint(select: tuple[str | Range, ...]) -> None:
    """Nonces, tokens, generated classes, comments, inline styles, scripts and the key of a hidden address."""
    form = terms(*select).form

    assert fingerprint([noisy(1)], form) == fingerprint([noisy(2)], form)


@pytest.mark.parametrize(
    "change",
    [
        ("clause 7,", "clause 8,"),
        ("<p>You grant Inkwell a licence to clause 9,", "<p>You grant Inkwell a <a href=/x>licence</a> to clause 9,"),
        ("<h2>3. Section</h2>", "<h3>3. Section</h3>"),
        ("<h2>3. Section</h2>", "<h2>3. Section</h2><ol start=4><li>x</ol>"),
    ],
)
def test_what_is_read_does(change: tuple[str, str]) -> None:
    """A word, a link, a level, a number."""
    form = terms("main").form

    assert fingerprint([noisy(1)], form) != fingerprint([noisy(1, CLAUSES.replace(*change))], form)


def test_hidden_text_and_a_lost_selector_count() -> None:
    """Text in a closed accordion is read, and so is the whole page when nothing is selected."""
    closed = "<div hidden>We may train on it.</div>"
    assert fingerprint([noisy(1, CLAUSES + closed)], terms("main").form) != fingerprint([noisy(1)], terms("main").form)
    lost = terms("#gone").form
    assert fingerprint([noisy(1)], lost) == fingerprint([noisy(2)], lost)
    assert fingerprint([noisy(1)], lost) != fingerprint([noisy(1, CLAUSES + closed)], lost)


def test_embedded_text_of_an_empty_page_counts() -> None:
    """What a shell carries as data is what would be read."""
    shell = '<div id=app></div><script type="application/json">{"page": {"body": "%s"}}</script>'
    one, two = (page(shell % (f"<p>You agree to version {n} of these terms of service.</p>" * 30)) for n in (1, 2))

    assert "version 1 of these" in read([one], terms(), AT).text
    assert fingerprint([one], terms().form) != fingerprint([two], terms().form)


pieces = st.lists(
    st.sampled_from(
        [
            "<p>one two</p>",
            "<p class=x>one two</p>",
            "<p>one <b>two</b></p>",
            "<div hidden>three</div>",
            "<section><p>four",
            "<ul><li>five<li value=3>six</ul>",
            "<ol type=a><li>seven</ol>",
            '<a href="/x?s=1">link</a>',
            '<a href="/x?s=2">link</a>',
            "<script>var x=1</script>",
            "<script>var x=2</script>",
            "<table><tr><td colspan=2>a<td>b</table>",
            "<table><td>a",
            "</div>",
            "<main>",
            "</main>",
            '<img alt="pic" src="/i?n=1">',
            "<nav>menu</nav>",
            "<footer class=legal>text of eight words or more stands here now</footer>",
            "<h1>title</h1>",
            "<!-- x -->",
            '<p title="a>b">q</p>',
            "<svg><text>no</text></svg>",
            "&lt;b&gt; &amp; &nbsp;",
            "<br><br>",
            "<i>it</i>alic",
        ]
    ),
    max_size=14,
).map("".join)
forms = st.sampled_from(
    [
        terms("body"),
        terms("main"),
        terms("p", "ul"),
        terms(Range("p", "ul", True, False)),
        terms(),
        replace(
            terms(), form=Form((SourceDocument(URL, ("body",), ("nav", ".x"), (Filter("removeQueryParams", ("s",)),)),))
        ),
    ]
)


@settings(max_examples=400, deadline=None)
@given(pieces, pieces, forms)
def test_equal_fingerprints_mean_equal_texts(one: str, two: str, tracked: Terms) -> None:
    """The law that lets a check skip the careful reading."""
    first, second = page(one), page(two)

    if fingerprint([first], tracked.form) == fingerprint([second], tracked.form):
        assert read([first], tracked, AT).text == read([second], tracked, AT).text


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400) | pieces.map(str.encode), forms)
def test_nothing_but_an_extraction_error_is_raised(body: bytes, tracked: Terms) -> None:
    """Whatever a server sends."""
    fingerprint([response(body)], tracked.form)
    try:
        read([response(body)], tracked, AT, last_good="some words that were good")
    except ExtractionError:
        pass
    suggest_selector(response(body))


def test_fingerprint_is_quick() -> None:
    """A page of 220 kB must cost a few milliseconds; the bound here is loose for busy machines."""
    body = SHELL.format(f"<main>{CLAUSES * 40}</main>" + '<div class="a b c" data-x="y"><span>menu</span></div>' * 500)
    big = response(body)
    form = terms("main").form
    fingerprint([big], form)

    started = time.perf_counter()
    for _ in range(5):
        fingerprint([big], form)

    assert (time.perf_counter() - started) / 5 < 0.1


# --- suggestion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<main><div class=css-1x2y3z>{}</div></main>", "main"),
        ("<div id=legal-text>{}</div><div>other</div>", "#legal-text"),
        ("<div class='sc-9fa4 terms-body'>{}</div>", ".terms-body"),
        ("<div class=box>x</div><div class=box>{}</div>", None),
    ],
)
def test_suggested_selector_is_one_that_lasts(content: str, expected: str | None) -> None:
    """Names made up by a build tool and names that match twice are not proposed."""
    assert suggest_selector(page(content.format(CLAUSES))) == expected


def test_nothing_is_suggested_where_nothing_is_found() -> None:
    """An empty shell, or a PDF."""
    assert suggest_selector(page("<div id=app></div>")) is None
    assert suggest_selector(response(b"%PDF-1.4")) is None
