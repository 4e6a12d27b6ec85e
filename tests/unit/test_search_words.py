"""What people type into the search, read as words, phrases, beginnings and exclusions."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tosmon.archive.search import Query, Term, _match, marks, parse


@pytest.mark.parametrize(
    ("written", "terms"),
    [
        ("train models", [Term(("train",)), Term(("models",))]),
        ('"machine learning" train*', [Term(("machine", "learning")), Term(("train",), begins=True)]),
        ("“machine learning”", [Term(("machine", "learning"))]),
        ("license -revocable", [Term(("license",)), Term(("revocable",), without=True)]),
        ('license -"at any time"', [Term(("license",)), Term(("at", "any", "time"), without=True)]),
        ("opt-out", [Term(("opt", "out"))]),
        ("don't", [Term(("don", "t"))]),
        ('"never closed', [Term(("never", "closed"))]),
        ("a*", [Term(("a",))]),
        ("twice twice", [Term(("twice",))]),
        ("学習させる", [Term(tuple("学習させる"))]),
    ],
)
def test_words_are_read_as_people_write_them(written: str, terms: list[Term]) -> None:
    """Words, phrases in any quotes, train* and -without; hyphens and apostrophes join words to a phrase."""
    assert parse(written) == Query(tuple(terms))


@pytest.mark.parametrize("written", ["", " ", '"', "* - ()", "-gone", "\x00\x1b", "—", '""'])
def test_what_holds_no_word_looks_for_nothing(written: str) -> None:
    """Signs alone, or only what is to be left out, is no search; and never an error."""
    assert not parse(written)


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_is_a_search_and_marks_lie_in_their_text(written: str, words: str) -> None:
    """Nothing breaks the reading; marks are in order, apart, and within the words."""
    places = marks(parse(written), words)

    assert all(0 <= start < end <= len(words) for start, end in places)
    assert all(first[1] < second[0] for first, second in pairwise(places))


def test_marks_end_where_nobody_reads_on() -> None:
    """A clause of a megabyte is marked near its start alone: all of it would take seconds."""
    assert marks(parse("train tra*"), "train " * 170_000)[-1][1] <= 20_000


@pytest.mark.parametrize(
    ("written", "words", "marked"),
    [
        ("train", "We train, TRAIN and retrain.", ["train", "TRAIN"]),
        ("train*", "training and trained", ["training", "trained"]),
        ('"machine learning"', "machine-learning; learning machine", ["machine-learning"]),
        ("uber", "Über uns", ["Über"]),
        ("train -model", "train a model", ["train"]),
        ("学習", "作品を学習に使う", ["学習"]),
    ],
)
def test_found_words_are_marked_as_the_index_finds_them(written: str, words: str, marked: list[str]) -> None:
    """Whatever letter case and accents; a word inside another is not marked."""
    assert [words[start:end] for start, end in marks(parse(written), words)] == marked


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("AI", "artificial intelligence"),
        ("artificial intelligence", "AI"),
        ('"train artificial intelligence"', "to train AI on it"),
        ("license", "a licence"),
        ("sublicences", "sublicenses"),
        ("organise", "organize"),
        ("organization", "organisation"),
    ],
)
def test_other_words_for_the_same_are_looked_for_too(written: str, words: str) -> None:
    """AI written out, licence and license, -ise and -ize: whoever searches need not know how a platform spells."""
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE VIRTUAL TABLE found USING fts5(words)")
        connection.execute("INSERT INTO found VALUES (?)", (words,))
        rows = connection.execute("SELECT 1 FROM found WHERE found MATCH ?", (_match(parse(written)),)).fetchall()

    assert rows
