"""HTML to Markdown: every word, in order, with the numbering that the page shows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tosmon.clauses import join, split
from tosmon.extract.focus import focus
from tosmon.extract.markdown import to_markdown
from tosmon.model import SourceDocument

BASE = "https://ink.example/legal/tos?session=1"


def markdown(html: str) -> str:
    part = focus(f"<html><body>{html}</body></html>", SourceDocument(BASE, ("body",)), BASE)
    return to_markdown(part.html, part.base)


def test_paragraphs_and_headings_are_blocks_parted_by_blank_lines() -> None:
    """One clause, one block."""
    assert markdown("<h1>Terms</h1><p>One.</p><div>Two <b>bold</b>.</div><h3>Rights</h3>Three.") == (
        "# Terms\n\nOne.\n\nTwo **bold**.\n\n### Rights\n\nThree."
    )


def test_element_with_the_role_of_a_heading_is_one() -> None:
    """Some pages draw headings with div."""
    assert markdown('<div role="heading" aria-level="3"><span>Data</span></div><p>x</p>') == "### Data\n\nx"


def test_paragraph_in_a_heading_tag_is_a_paragraph() -> None:
    """Whole clauses are wrapped in heading tags for their looks; they are text all the same."""
    clause = "you agree " * 40

    assert markdown(f"<h4>{clause}</h4>") == clause.strip()


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ('<ol start="3"><li>a</li><li>b</li></ol>', "3. a\n4. b"),
        ('<ol type="a"><li>x</li><li>y</li></ol>', "a. x\nb. y"),
        ('<ol type="I"><li>x</li><li>y</li></ol>', "I. x\nII. y"),
        ('<ol style="margin:0;list-style-type: lower-roman"><li>x<li>y<li>z<li>w</ol>', "i. x\nii. y\niii. z\niv. w"),
        ("<ol reversed><li>x</li><li>y</li></ol>", "2. x\n1. y"),
        ('<ol><li>a</li><li value="7">b</li><li>c</li></ol>', "1. a\n7. b\n8. c"),
        ('<ol type="a" start="26"><li>x</li><li>y</li></ol>', "z. x\naa. y"),
        ("<ul><li>a</li><li></li><li>b</li></ul>", "- a\n- b"),
    ],
)
def test_items_carry_the_marker_that_a_browser_draws(html: str, expected: str) -> None:
    """Contracts are cited by these numbers."""
    assert markdown(html) == expected


def test_nested_lists_are_indented_under_their_item() -> None:
    """(a) belongs to 1."""
    html = '<ol><li>One<ol type="a"><li>Sub<ul><li>deep</li></ul></li></ol></li><li><p>Two</p><p>more</p></li></ol>'

    assert markdown(html) == "1. One\n    a. Sub\n        - deep\n2. Two\n\n    more"


def test_item_that_opens_with_a_heading_is_a_numbered_section() -> None:
    """The number belongs to the heading, and the section's text stands in no list."""
    html = "<ol><li><h2>Your rights</h2><p>Text.</p></li><li><h2>2. Our rights</h2><p>More.</p></li></ol>"

    assert markdown(html) == "## 1. Your rights\n\nText.\n\n## 2. Our rights\n\nMore."


def test_table_has_a_row_for_each_row_and_line_breaks_inside_cells() -> None:
    """A row is a clause, so it stays on one line."""
    html = (
        "<table><caption>Partners</caption><tr><th>Who<th>Why</tr><tr><td>A|B<td><p>ads</p><ul><li>x<li>y</ul></tr>"
        "<tr><td colspan=2>none</td></tr></table>"
    )

    assert markdown(html) == (
        "Partners\n\n| Who | Why |\n| --- | --- |\n| A\\|B | ads<br><br>- x<br>- y |\n| none |  |"
    )


def test_table_that_only_arranges_text_is_read_as_text() -> None:
    """One column, or whole sections in cells, are no table."""
    assert markdown("<table><tr><td><h1>A</h1><p>b</p></td></tr><tr><td>c</td></tr></table>") == "# A\n\nb\n\nc"
    assert markdown("<table><tr><td>1<td><table><tr><td>x<td>y</table></tr></table>") == "1\n\n| x | y |\n| --- | --- |"


def test_words_between_the_cells_of_a_table_are_kept() -> None:
    """Broken markup loses no words."""
    assert "stray" in markdown("<div>" + "<table><tr><td>x" * 60 + " stray</div>")


def test_definition_list_gives_terms_in_bold_and_their_meaning() -> None:
    """Definitions are quoted with what they define."""
    assert markdown("<dl><dt>Content</dt><dd>what you post</dd></dl>") == "**Content**\n\nwhat you post"


def test_line_breaks_stay_in_a_paragraph_and_two_part_it() -> None:
    """An address keeps its lines; text laid out with breaks becomes paragraphs."""
    assert markdown("<p>A<br>B &nbsp; C<br/><br>D</p>") == "A\nB C\n\nD"


def test_white_space_is_that_of_a_browser() -> None:
    """Non-breaking spaces and line ends part words; nothing joins or splits them."""
    assert markdown("<p>a\u00a0b\n c<span> d</span><i>e</i>f&shy;g \u200bh</p>") == "a b c defg h"


def test_links_are_absolute_and_stay() -> None:
    """A link leads where it leads on the page; one within the document stays short."""
    html = (
        '<a href="/p?a=(1) 2">Privacy</a> <a href="#s2">Section 2</a> <a href="javascript:alert(1)">click</a> '
        '<a href="x.html"></a><a href="mailto:a@b.c">mail</a> <a href="data:text/html,x">data</a>'
    )

    assert markdown(html) == (
        "[Privacy](https://ink.example/p?a=%281%29%202) [Section 2](#s2) click [mail](mailto:a@b.c) data"
    )


def test_base_of_the_page_counts_for_its_links() -> None:
    """`<base href>` is honoured."""
    part = focus('<base href="/other/"><p><a href="x">y</a></p>', SourceDocument(BASE, ("p",)), BASE)

    assert to_markdown(part.html, part.base) == "[y](https://ink.example/other/x)"


def test_emphasis_goes_around_words_and_never_into_them() -> None:
    """Marks inside a word would cut it in two for search and rules; spaces stay outside the marks."""
    assert (
        markdown("<p><b>Y</b>ou <b>may not </b><strong>sell</strong> <i><b>it</b></i></p>")
        == "You **may not sell** ***it***"
    )


def test_link_with_part_of_its_text_in_bold_stays_one_link() -> None:
    """Emphasis gives way to the link."""
    assert markdown('<p>See <a href="/a"><b>our</b> policy</a></p>') == "See [our policy](https://ink.example/a)"


def test_text_that_looks_like_markdown_is_not_taken_for_it() -> None:
    """A literal star, hash or pipe stays a character of the text."""
    assert markdown("<p># 5 * 3</p><p>| x</p><p>---</p><p>&gt; y</p>") == "\\# 5 \\* 3\n\n\\| x\n\n\\---\n\n\\> y"


def test_number_of_a_footnote_does_not_join_the_word_before_it() -> None:
    """A footnote's number is raised; a linked one keeps its link."""
    assert markdown('<p>data<sup>1</sup> and more<sup><a href="#f2">2</a></sup>, 3<sup>rd</sup></p>') == (
        "data¹ and more[2](#f2), 3rd"
    )


def test_hidden_text_is_kept() -> None:
    """Accordions and tabs hide terms until a click; they are terms all the same."""
    html = (
        '<details><summary>More</summary><p>a</p></details><div hidden>b</div><div style="display:none">c</div>'
        '<div aria-hidden="true">d</div><noscript><p>e</p></noscript>'
    )

    assert markdown(html) == "More\n\na\n\nb\n\nc\n\nd\n\ne"


def test_what_is_no_text_is_left_out() -> None:
    """Scripts, styles, templates, drawings and comments are not read; a picture only by its description."""
    html = (
        "<script>x</script><style>y</style><template>z</template><svg><title>t</title></svg><!-- c -->"
        '<img src="/a.png" alt="A stamp"><img src="/b.png" alt=""><p>text</p>'
    )

    assert markdown(html) == "![A stamp](https://ink.example/a.png)\n\ntext"


def test_right_to_left_text_keeps_its_letters_and_marks() -> None:
    """Order is logical order; invisible overrides of direction are dropped."""
    assert markdown('<p dir="rtl">שלום\u200f, \u202eworld\u202c</p>') == "שלום\u200f, world"


def test_obfuscated_address_is_shown_as_a_browser_shows_it() -> None:
    """The key changes with each answer, so a code left as it is would be a change at each look."""

    def hidden(key: int) -> str:
        code = bytes([key, *(byte ^ key for byte in b"legal@ink.example")]).hex()
        return (
            f'<p>Write to <a href="/cdn-cgi/l/email-protection#{code}">'
            f'<span class="__cf_email__" data-cfemail="{code}">[email&#160;protected]</span></a> or '
            f'<a href="/cdn-cgi/l/email-protection" class="__cf_email__" data-cfemail="{code}">[email protected]</a>.</p>'
        )

    shown = "[legal@ink.example](mailto:legal@ink.example)"

    assert markdown(hidden(0x2A)) == markdown(hidden(0x77)) == f"Write to {shown} or {shown}."


def test_address_that_cannot_be_decoded_stays_as_it_is() -> None:
    """A damaged code is no reason to lose the text."""
    assert "protected" in markdown('<p><a data-cfemail="zz">[email protected]</a></p>')


words = st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=6), min_size=1, max_size=8).map(" ".join)
inline = st.sampled_from(["{}", "<b>{}</b>", "<i>{}</i>", '<a href="/x">{}</a>', "<span>{}</span>", "{}<br>"])
runs = st.lists(st.tuples(inline, words), min_size=1, max_size=4).map(
    lambda parts: " ".join(f.format(w) for f, w in parts)
)
block = st.sampled_from(
    ["<p>{}</p>", "<div>{}</div>", "<h2>{}</h2>", "<ul><li>{}</li></ul>", "<blockquote>{}</blockquote>"]
)
trees = st.recursive(
    st.tuples(block, runs).map(lambda pair: pair[0].format(pair[1])),
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda parts: st.sampled_from(
            ["<div>{}</div>", "<section>{}</section>", "<ol><li>{}</li></ol>", "<table><tr><td>{}</td></tr></table>"]
        ).map(lambda outer: outer.format("".join(parts)))
    ),
    max_leaves=12,
)


def plain_words(text: str) -> list[str]:
    return re.findall(r"[a-h]+", re.sub(r"\]\([^)]*\)", "", text))


@settings(max_examples=150, deadline=None)
@given(trees)
def test_no_word_is_lost_joined_invented_or_moved(html: str) -> None:
    """Whatever the markup, the words of the page are the words of the text, in order."""
    shown = re.sub(r"<(?!/?(?:b|i|a|span)\b)[^>]*>", " ", html)

    assert plain_words(re.sub(r"<br>", " ", markdown(html))) == plain_words(re.sub(r"<[^>]*>", "", shown))


@settings(max_examples=80, deadline=None)
@given(trees)
def test_text_is_stable_and_can_be_cut_into_clauses(html: str) -> None:
    """The same page gives the same bytes, and cutting them into clauses loses none."""
    text = markdown(html)

    assert markdown(html) == text
    assert join(split(text)) == text


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 3000 + "words",
        "<ul><li>" * 2000 + "words",
        "<table><tr><td>" * 1000 + "words",
        "<b><i>" * 2000 + "words",
        "<blockquote>" * 500 + "words",
        '<p class="' + "x" * 1_000_000 + '">words',
        "<p " + " ".join(f"a{n}={n}" for n in range(30_000)) + ">words",
        "<p>\x00wo\x01rds\x1b[2J",
        "<p title='<script>'>words<!-- \" -->",
        "<base href='http://[::1'><a href='http://[x'>words</a>",
        "<ol start=99999999999999999><li value=x type=q>words</ol>",
        "<td>words<tr><li><dd>",
    ],
)
def test_hostile_markup_is_read_all_the_same(html: str) -> None:
    """Deep nesting, huge attributes, control characters and broken addresses neither raise nor lose the words."""
    assert "words" in markdown(html)
