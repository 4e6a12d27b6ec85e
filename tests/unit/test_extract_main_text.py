"""Finding the terms on a page that nobody wrote selectors for."""

from __future__ import annotations

import json

import pytest

from tosmon.extract.embedded import embedded_html, json_html
from tosmon.extract.focus import focus, parse
from tosmon.extract.main_text import main_html
from tosmon.extract.markdown import to_markdown
from tosmon.extract.slim import slim
from tosmon.model import SourceDocument

URL = "https://ink.example/tos"
SENTENCE = "You grant Inkwell a licence to use what you post, as these terms say in clause {}."

COOKIES = "We and our partners use cookies to store things on your device. "


def clauses(first: int, last: int) -> str:
    return "".join(f"<h2>{n}. Clause</h2><p>{SENTENCE.format(n)}</p>" for n in range(first, last + 1))


def found(body: str) -> str:
    return to_markdown(slim(main_html(focus(f"<body>{body}</body>", SourceDocument(URL), URL).html)), URL)


EXPECTED = "\n\n".join(f"## {n}. Clause\n\n{SENTENCE.format(n)}" for n in range(1, 9))
MENU = (
    "<a href=/a>About</a> <a href=/b>Blog and news of the house</a> <a href=/c>Careers</a> <a href=/d>Help centre</a>"
)


@pytest.mark.parametrize(
    "body",
    [
        f"<main>{clauses(1, 8)}</main>",
        f"<nav>{MENU}</nav><div><div class=x>{clauses(1, 8)}</div></div><footer>{MENU} © 2025 Inkwell</footer>",
        f"<div class=header-menu>{MENU}</div><div>{clauses(1, 8)}</div><div class=site-footer>{MENU}</div>",
        f"<div><section>{clauses(1, 3)}</section><section>{clauses(4, 8)}</section></div>",
        f"<div><details>{clauses(1, 3)}</details><div hidden>{clauses(4, 8)}</div></div>",
        f"<table><tr><td>{clauses(1, 8)}</td></tr></table>",
        f"<div id=onetrust-banner><p>{COOKIES * 9}</p></div><div>{clauses(1, 8)}</div>",
        f"<div>{clauses(1, 8)}<div class=share-buttons><a>Post</a></div><form><label>Your mail</label></form></div>",
        f"<a href='#main'>Skip to content</a><div>{clauses(1, 8)}</div>",
        f"<div class='page nav-open cookie-accepted footer-fixed'>{clauses(1, 8)}</div>",
        f"<main><div class=related><a>A</a> <a>B</a> <a>C</a></div>{clauses(1, 8)}</main>",
    ],
)
def test_terms_are_found_and_the_frame_is_left_out(body: str) -> None:
    """In one container or several, in accordions, beside banners and menus."""
    assert found(body) == EXPECTED


def test_title_above_the_text_is_part_of_it() -> None:
    """A heading in a box of its own is the document's title."""
    title = "<div class=hero><h1>Terms of Service</h1><p>Effective 1 May</p></div>"
    body = f"<div>{title}<div class=text>{clauses(1, 8)}</div></div>"

    assert found(body) == f"# Terms of Service\n\nEffective 1 May\n\n{EXPECTED}"


@pytest.mark.parametrize("name", ["advertising", "feedback", "cookies", "comments", "social-media"])
def test_section_that_is_called_like_a_frame_is_kept(name: str) -> None:
    """Terms have sections on advertising, feedback and comments; their anchors are called so."""
    section = f"<section id={name} class={name}><h2>9. {name}</h2><p>Short.</p></section>"

    assert f"## 9. {name}\n\nShort." in found(f"<div>{clauses(1, 8)}{section}</div>")


def test_short_last_words_are_kept() -> None:
    """Addresses and dates at the end are no prose, and part of the document."""
    assert found(f"<div>{clauses(1, 8)}<p>Inkwell Ltd</p><p>1 May 2025</p></div>").endswith("Inkwell Ltd\n\n1 May 2025")


def test_what_is_drawn_once_for_each_tab_is_read_once() -> None:
    """Repeated three times and more; two regional copies of a clause are both terms."""
    update = "<div><p>" + "Here is what is new in this version of our terms of service, in short. " * 4 + "</p></div>"

    assert found(f"<div>{clauses(1, 4)}{update}{clauses(5, 8)}{update}{update}</div>").count("in short.") == 4
    assert found(f"<div>{clauses(1, 4)}{update}{clauses(5, 8)}{update}</div>").count("in short.") == 8


def test_page_without_prose_gives_nothing() -> None:
    """A shell or a list of links is no document."""
    assert found("<div id=app></div>") == ""
    assert found(f"<nav>{MENU}</nav>") == ""


@pytest.mark.parametrize(
    "script",
    [
        '<script id="__NEXT_DATA__" type="application/json">{}</script>',
        "<script>window.__STATE__ = {};</script>",
        "<script>var a = 1; window.__STATE__={} ; var b = 2</script>",
    ],
)
@pytest.mark.parametrize(
    "data",
    [
        {"props": {"page": {"html": clauses(1, 8)}, "build": "x1"}},
        {"body": [{"title": f"{n}. Clause", "text": SENTENCE.format(n)} for n in range(1, 9)]},
        {
            "document": {
                "nodeType": "document",
                "content": [
                    node
                    for n in range(1, 9)
                    for node in (
                        {
                            "nodeType": "heading-2",
                            "content": [{"nodeType": "text", "value": f"{n}. Clause", "marks": []}],
                        },
                        {
                            "nodeType": "paragraph",
                            "content": [{"nodeType": "text", "value": SENTENCE.format(n), "marks": []}],
                        },
                    )
                ],
            }
        },
    ],
)
def test_terms_that_are_data_of_scripts_are_found(script: str, data: object) -> None:
    """As HTML, as questions and answers, as a tree of rich text; no script is run."""
    assert found("<div id=app></div>" + script.replace("{}", json.dumps(data).replace("</", "<\\/"))) == EXPECTED


def test_data_of_scripts_is_left_alone_when_the_page_has_its_text() -> None:
    """Frameworks repeat the text as data."""
    data = json.dumps({"html": "<p>" + "Other words that nobody is shown on this page at all. " * 30 + "</p>"})

    assert (
        found(f"<main>{clauses(1, 8) * 3}</main><script type='application/json'>{data}</script>").count("Other words")
        == 0
    )


@pytest.mark.parametrize("text", ["{", "[" * 5000, '{"a": ' * 2000 + "1" + "}" * 2000, "null", '"x"', '{"a": 1e999}'])
def test_hostile_data_is_no_text(text: str) -> None:
    """Broken or deep JSON gives nothing and raises nothing."""
    assert json_html(text) == ""
    assert embedded_html(parse(f"<script type='application/json'>{text:300}</script>")) == ""
