"""Splitting Markdown into clauses: stable, lossless, with headings and list stems known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tosmon.clauses import heading_paths, join, plain, split, stems
from tosmon.model import ClauseKind

TERMS = """Terms of Service
================

Welcome to **Brushwork**.

## 1. Your content

You grant us the right to:

- (a) host your work;
- (b) show it.
  Even years later.

| Purpose | Basis |
|---|---|
| Training | Consent |

* * *

10 days after notice, we may end this.
"""

MARKDOWN = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "",
                " ",
                "# A",
                "## B b",
                "===",
                "---",
                "- x",
                "  - y",
                "1. z",
                "(a) q",
                "| a | b |",
                "|---|---|",
                "> quote",
                "* * *",
                "1\\. Title",
                "\xa0",
                "#",
                "-",
            ]
        ),
        st.text(alphabet="ab .*-#|\t\u00a0\u2028\x0b\r>1)(\\", max_size=12),
        st.text(max_size=20),
    ),
    max_size=20,
).map("\n".join)


@given(MARKDOWN)
def test_joined_clauses_give_every_byte_back(markdown: str) -> None:
    """Whatever the text, its clauses joined are the text."""
    assert join(split(markdown)) == markdown


@given(MARKDOWN)
def test_no_clause_is_empty_when_there_are_words(markdown: str) -> None:
    """A clause always says something; only a text without any sign is one clause without text."""
    clauses = split(markdown)

    assert all(clause.text for clause in clauses) or not markdown.strip()


def test_terms_fall_into_headings_paragraphs_items_and_rows() -> None:
    """Each block of Markdown is one clause of its kind, with its marker set aside."""
    found = [(clause.kind, clause.lead, clause.text) for clause in split(TERMS)]

    assert found == [
        (ClauseKind.HEADING, "", "Terms of Service"),
        (ClauseKind.PARAGRAPH, "", "Welcome to **Brushwork**."),
        (ClauseKind.HEADING, "## 1. ", "Your content"),
        (ClauseKind.PARAGRAPH, "", "You grant us the right to:"),
        (ClauseKind.ITEM, "- (a) ", "host your work;"),
        (ClauseKind.ITEM, "- (b) ", "show it.\n  Even years later."),
        (ClauseKind.ROW, "", "| Purpose | Basis |"),
        (ClauseKind.ROW, "", "| Training | Consent |"),
        (ClauseKind.PARAGRAPH, "", "10 days after notice, we may end this."),
    ]


def test_an_underlined_numbered_title_is_a_heading() -> None:
    """`3\\. Content` above a rule is a heading whose number belongs to the version."""
    heading = split("3\\. Content\n-----------\n\nText.")[0]

    assert (heading.kind, heading.level, heading.lead, heading.text) == (ClauseKind.HEADING, 2, "3\\. ", "Content")


def test_heading_path_names_what_stands_above() -> None:
    """A clause knows the headings it stands under, outermost first."""
    clauses = split(TERMS)
    paths = heading_paths(clauses)

    assert paths[3] == ("Terms of Service", "Your content")
    assert paths[2] == ("Terms of Service",)
    assert paths[0] == ()


def test_list_items_know_the_sentence_that_introduces_them() -> None:
    """The stem of an item is the clause before its list; items of a deeper list hang on the item above."""
    clauses = split("You grant us:\n\n- to host\n    - in cache\n- to show\n\nElse.")

    assert stems(clauses) == (None, 0, 1, 0, None)


def test_plain_text_has_no_marks_left() -> None:
    """Headings and passages are read by people: links, bold and escapes are gone."""
    assert plain("**Our** [policy](https://a.example/x_(y)) \\& `more`") == "Our policy & more"


def test_a_figure_or_a_date_that_opens_a_clause_is_no_marker() -> None:
    """\"1.5 million\" and "15. November 2024" are what the clause says; "1.5 Licence" is its number."""
    texts = ["1.5 million users.", "15. November 2024 gilt.", "1.5 Licence to us.", "3 days."]

    assert [split(text)[0].lead for text in texts] == ["", "", "1.5 ", ""]
