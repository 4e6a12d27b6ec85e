"""Stances as markup: strangers' words are escaped, ours say what is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from tosmon.judge.profile import Aspect, Cell, Gone, Held, aspect_named, cell_of
from tosmon.model import Direction, Stance, TermsKey
from tosmon.web import claims

SINCE = datetime(2024, 3, 1, tzinfo=UTC)
EVIL = '<img src=x onerror="alert(1)">'
HELD = Held(TermsKey("Inkwell", "Terms"), "training", Stance.MAY, "We may train.", SINCE, 1, False, 7, 5, 3, ("Yours",))


def test_a_quote_leads_to_its_clause_and_to_what_brought_it() -> None:
    """Words, document, heading, day; clauses are counted from 1 in addresses."""
    shown = claims.said(HELD)

    assert "“We may train.”" in shown and "<bdi>Yours</bdi>" in shown
    assert 'href="/versions/5#p4"' in shown
    assert '<a href="/changes/7">since 1 March 2024</a>' in shown


def test_since_is_told_honestly() -> None:
    """From the first text on it may be older; without a recorded change there is no link."""
    assert "or before" in claims.since(replace(HELD, from_first=True))
    assert claims.since(replace(HELD, change_id=None)) == "since 1 March 2024"


def test_a_quote_shows_its_own_day_beside_the_stances() -> None:
    """Newer words of an older stance: each day with the change that brought it."""
    newer = replace(HELD, begun=datetime(2024, 9, 17, tzinfo=UTC), begun_change_id=9)
    licence = replace(newer, aspect="licence", stance=Stance.GRANTS)

    assert '<a href="/changes/9">since 17 September 2024</a>; says so <a href="/changes/7">since' in claims.said(newer)
    assert "in these words" in claims.said(licence) and "takes a licence" in claims.said(licence)
    assert "in these words" not in claims.said(HELD)


def test_what_is_only_announced_is_never_since() -> None:
    """From when, and the change that announced it; months keep their capitals beside other answers."""
    ahead = replace(HELD, starts=date(2024, 12, 3))

    assert claims.since(ahead) == 'from 3 December 2024, <a href="/changes/7">announced 1 March 2024</a>'
    assert claims.lowered(ahead.answer) == "yes, from 3 December 2024 (announced 1 March 2024)"


def test_a_dropped_promise_leads_to_what_dropped_it() -> None:
    """Silence with a past."""
    gone = Gone(HELD.key, "training", Stance.MAY_NOT, SINCE, 5, 8)
    shown = claims.answer(Cell(aspect_named("training"), (), True, gone))

    assert 'Says nothing <a class="gone" href="/changes/8">(promised No until 1 March 2024)</a>' in shown
    assert 'href="/versions/5"' in claims.silence(
        Cell(aspect_named("training"), (), True, replace(gone, change_id=None))
    )


def test_a_heading_that_names_the_document_is_not_said_twice() -> None:
    """ "Terms, Terms" says nothing more than "Terms"."""
    assert "<bdi>Terms</bdi></a> ·" in claims.said(replace(HELD, headings=("TERMS",)))


def test_a_point_of_a_licence_is_named_where_its_column_has_no_head() -> None:
    """On a phone the head of the column is gone: the mark itself bears the name."""
    assert 'data-label="Trains AI"' in claims.mark(Cell(aspect_named("training"), (HELD,)), "/profiles/Inkwell")


def test_words_that_were_withdrawn_are_said_to_be_gone() -> None:
    """An operator took the text out on request: the stance stays, its words do not."""
    assert "were taken out of this archive" in claims.said(replace(HELD, quote=""))


def test_what_platforms_and_packs_write_is_escaped() -> None:
    """Quotes, headings, types and the names of people's own topics."""
    evil = replace(HELD, key=TermsKey("Inkwell", EVIL), quote=EVIL, headings=(EVIL,))
    pieces = [
        claims.said(evil),
        claims.answer(Cell(aspect_named("training"), (evil,))),
        claims.chip(Cell(Aspect(EVIL, EVIL, EVIL, EVIL), (evil,))),
        claims.named([Aspect(EVIL, EVIL, EVIL, EVIL)]),
        claims.mark(Cell(Aspect(EVIL, EVIL, EVIL, EVIL, Direction.WORSE), (evil,)), f"/profiles/{EVIL}"),
    ]

    for piece in pieces:
        assert "<img" not in piece and 'onerror="' not in piece


def test_an_answer_names_what_else_is_said() -> None:
    """What allows most stands first, each quote under the answer that it gives."""
    never = replace(HELD, key=TermsKey("Inkwell", "AI Terms"), stance=Stance.MAY_NOT, quote="We never train.")
    shown = claims.answer(cell_of("training", [never, HELD]))

    assert shown.index("Yes</strong>") < shown.index("also: no") < shown.index("“We may train.”</blockquote>")
    assert shown.index('<p class="side-name">No</p>') < shown.index("“We never train.”</blockquote>")


def test_silence_and_what_is_not_read_are_told_apart() -> None:
    """In words, not by colour."""
    assert "Says nothing" in claims.answer(Cell(aspect_named("training"), ()))
    assert "Not read" in claims.answer(Cell(aspect_named("training"), (), False))
