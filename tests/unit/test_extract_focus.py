"""What a declaration takes from a page."""

from __future__ import annotations

import re

import pytest

from tosmon.extract.charset import decode
from tosmon.extract.focus import focus
from tosmon.extract.media import Media, media_of
from tosmon.model import Filter, Range, Selector, SourceDocument

URL = "https://ink.example/tos"
PAGE = """
<body><nav>menu</nav>
<main><h1 id=top>Terms</h1><p class="intro lead">One</p><div class=ad>Buy <b>now</b></div>
<section id=a><h2>A</h2><p>Two</p></section><section id=b><h2>B</h2><p>Three</p><p>Four</p></section></main>
<footer>bye</footer></body>
"""


def shown(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def selected(*select: Selector, remove: tuple[Selector, ...] = (), page: str = PAGE) -> str:
    return shown(focus(page, SourceDocument(URL, select, remove), URL).html)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (".intro", "One"),
        ("p", "One Two Three Four"),
        ("section#b > p:nth-child(3), h1", "Terms Four"),
        ("main p:not(.lead)", "Two Three Four"),
        ("h2 + p", "Two Three"),
        ("#a ~ section h2", "B"),
        ('[class*="lea"]', "One"),
        ("h2:contains('B')", "B"),
        ("section:has(> p:nth-of-type(2))", "B Three Four"),
    ],
)
def test_css_in_use_is_understood(selector: str, expected: str) -> None:
    """The shapes of CSS that declarations use, one of them beyond the standard."""
    assert selected(selector) == expected


def test_list_gives_its_results_in_the_order_of_the_list() -> None:
    """Not in the order of the page."""
    assert selected("#b p", "h1") == "Three Four Terms"


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (Range("#a", "#b", True, False), "A Two"),
        (Range("#a", "#b", False, False), ""),
        (Range("h1", "#a", False, True), "One Buy now A Two"),
        (Range("#a p", "#b p", True, True), "Two B Three"),
        (Range(".intro", "footer", True, False), "One Buy now A Two B Three Four"),
        (Range("#b", "#a", True, True), ""),
    ],
)
def test_range_is_all_between_two_elements(between: Range, expected: str) -> None:
    """The first match of each end; an end before the start gives nothing."""
    assert selected(between) == expected


def test_range_without_an_end_is_missing() -> None:
    """A lost end must not give the rest of the page."""
    found = focus(PAGE, SourceDocument(URL, (Range("#a", "#gone", True, False), "h1")), URL)

    assert shown(found.html) == "Terms"
    assert found.missing == ("from #a to before #gone",)


def test_selectors_that_match_nothing_are_named() -> None:
    """Also one of several, and one that no parser understands."""
    found = focus(PAGE, SourceDocument(URL, ("h1", ".gone", "p::before", ">>")), URL)

    assert found.missing == (".gone", "p::before", ">>")


def test_remove_comes_before_select() -> None:
    """What is removed can no longer be selected or be the end of a range."""
    assert selected("main", remove=(".ad", "#b p:last-child")) == "Terms One A Two B Three"
    assert selected(Range("#a", "#b", True, False), remove=("#b",)) == ""


def test_removed_range_takes_all_between() -> None:
    """Also when its ends stand at different depths."""
    assert selected("main", remove=(Range(".intro", "#b p", True, False),)) == "Terms Three Four"
    assert selected("main", remove=(Range(".ad", "#b", True, False),)) == "Terms One B Three Four"
    assert selected("main", remove=(Range("#a p", "#b p", True, True),)) == "Terms One Buy now A Four"
    assert selected("main", remove=(Range("#a", "#gone", True, True),)) == selected("main")


def test_match_inside_a_match_stands_twice_unless_it_makes_a_bomb() -> None:
    """As declarations are read elsewhere; a thousand nested matches are read once."""
    assert selected("#a, #a h2") == "A Two A"
    bomb = "<div>" * 2000 + "words " * 500

    assert len(selected("div", page=bomb)) < 5 * len(bomb) + 200_000


def test_filters_mend_links_before_anything_else() -> None:
    """Only the named parameters go; a filter that nobody ported changes nothing."""
    page = '<a href="/x?sid=1&b=2">x</a><a href="https://l.example/l.php?u=https%3A%2F%2Fink.example%2Fy&h=AT0">y</a>'

    def links(*filters: Filter) -> list[str]:
        return re.findall(r'href="([^"]*)"', focus(page, SourceDocument(URL, ("a",), filters=filters), URL).html)

    assert links(Filter("removeQueryParams", ("sid",)))[0] == "/x?b=2"
    assert links(Filter("removeTrackingIDs"))[0] == "/x?b=2"
    assert links(Filter("cleanUrls"))[1] == "https://ink.example/y"
    assert links(Filter("addSparkles")) == links()


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("“Terms” é".encode(), None, "“Terms” é"),
        ("“Terms” é".encode(), "text/html; charset=iso-8859-1", "“Terms” é"),
        (b"\x93Terms\x94 \xe9", "text/html; charset=iso-8859-1", "“Terms” é"),
        (b"<meta charset=windows-1251>\xd3\xf1\xeb\xee\xe2\xe8\xff", None, "<meta charset=windows-1251>Условия"),
        (b"\xff\xfeT\x00\xe9\x00", None, "Té"),
        ("é".encode("utf-8-sig"), "text/html; charset=latin1", "é"),
        ("利用規約に同意する".encode("cp932"), "text/html; charset=Shift_JIS", "利用規約に同意する"),
        ("利用規約に同意するものとします".encode("cp932"), None, "利用規約に同意するものとします"),
        ("ok é ".encode() * 30 + b"\xc3", "text/html; charset=utf-8", "ok é " * 30 + "\ufffd"),
        (b"caf\xe9", "text/html; charset=nonsense", "café"),
    ],
)
def test_charset_by_mark_then_bytes_then_header_then_page(body: bytes, content_type: str | None, expected: str) -> None:
    """Bytes that are valid UTF-8 are UTF-8, whatever is said of them; then the header, the page, a guess."""
    assert decode(body, content_type) == expected


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"%PDF-1.7 ...", "text/html", Media.PDF),
        (b"<!doctype html><p>x", "application/pdf", Media.HTML),
        (b"Terms\n\n1. Use", "text/plain", Media.TEXT),
        (b"# Terms\n\n<b>Use</b>", "text/markdown", Media.TEXT),
        (b'{"body": "x"}', "application/json", Media.JSON),
        (b"\x89PNG\r\n", "text/html", Media.BINARY),
        (bytes(range(32)) * 50, "text/html", Media.BINARY),
        ("<p>é</p>".encode("utf-16"), "text/html", Media.HTML),
        (b"", "text/html", Media.TEXT),
    ],
)
def test_media_is_told_by_the_bytes(body: bytes, content_type: str, expected: Media) -> None:
    """Pages come as PDF and the reverse."""
    assert media_of(body, content_type) is expected
