"""Which parts of a document change by themselves, and what they may hide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tosmon.clauses import split
from tosmon.compare import compare
from tosmon.gates.variants import Seen, told_apart_by, variants
from tosmon.gates.volatile import Part, learn, marked_parts, masked
from tosmon.model import Clause, ClauseChange, Comparison, Direction, Flag, Judgement, Quote, Severity

START = datetime(2025, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)
LAW = [f"Rule {word}: whoever sells {word} answers for {word} and for nothing else that is sold here." for word in (
    "yarn", "wool", "silk", "felt", "lace", "cord", "rope", "twine", "hemp", "flax", "jute", "linen",
)]  # fmt: skip
ABOVE, BELOW = LAW[:6], LAW[6:]


def text(*middle: str, above: Sequence[str] = ABOVE, below: Sequence[str] = BELOW) -> tuple[Clause, ...]:
    return split("\n\n".join([*above, *middle, *below]))


def ticker(number: int) -> str:
    return f"Just now {number} weavers, {number * 7} knitters and a dog look at offers."


def daily(*texts: tuple[Clause, ...]) -> list[tuple[datetime, tuple[Clause, ...]]]:
    return [(START + number * DAY, clauses) for number, clauses in enumerate(texts)]


def judgement(comparison: Comparison, *, flagged: int | None = None) -> Judgement:
    telling = tuple(change for change in comparison.changes if change.kind in ("added", "removed", "modified"))
    flags: tuple[Flag, ...] = ()
    if flagged is not None:
        flags = (Flag("ai_training", Direction.WORSE, "may", after=(Quote("x", flagged, 0, 1),)),)
    return Judgement(True, "", Severity.LOW, "", flags, telling=telling)


def hidden(before: Sequence[Clause], after: Sequence[Clause], parts: Sequence[Part]) -> set[ClauseChange]:
    comparison = compare(before, after)
    return set(masked(comparison, judgement(comparison), parts))


def all_changes(before: Sequence[Clause], after: Sequence[Clause]) -> set[ClauseChange]:
    return set(judgement(compare(before, after)).telling)


TICKED = daily(*(text(ticker(number)) for number in range(5)))


def test_a_ticker_is_learnt_from_five_different_readings() -> None:
    """A paragraph that said five things within three weeks changes by itself."""
    (part,) = learn(TICKED)

    assert part.sample == ticker(4)
    assert hidden(text(ticker(4)), text(ticker(99)), [part]) == all_changes(text(ticker(4)), text(ticker(99)))


def test_four_edits_in_three_weeks_are_no_ticker() -> None:
    """What said only four things so far is still told of."""
    assert learn(TICKED[:4]) == ()


def test_clauses_that_join_others_are_no_ticker() -> None:
    """A list of rules that grows by one each day changes by its platform's will: nothing that it said is gone."""
    assert learn(daily(*(text(*map(ticker, range(number))) for number in range(9)))) == ()


def test_edits_over_months_are_no_ticker() -> None:
    """A clause that lawyers rewrite every month is not learnt, however often they do."""
    assert learn([(START + number * 30 * DAY, text(ticker(number))) for number in range(20)]) == ()


def test_two_texts_in_turn_are_no_ticker() -> None:
    """What only flips between two texts is a variant, not a part that changes by itself."""
    assert learn(daily(*(text(ticker(number % 2)) for number in range(20)))) == ()


def test_a_clause_beside_a_ticker_is_still_told_of() -> None:
    """A rule that is reworded next to a ticker, or around it, is no part of it."""
    parts = learn(TICKED)
    reworded = [*ABOVE[:-1], ABOVE[-1].replace("answers", "no longer answers")]

    assert hidden(text(ticker(4)), text(ticker(4), above=reworded), parts) == set()


def test_what_stayed_inside_a_part_is_told_of_when_it_goes() -> None:
    """A steady clause between two tickers is not hidden by them."""
    steady = "You may send back whatever you like within fourteen days of the day on which it came."
    history = daily(*(text(ticker(number), steady, ticker(1000 + number)) for number in range(5)))
    # The steady clause is an anchor of two parts as long as it stands; with more history it stands inside of one.
    history.append((START + 5 * DAY, text(ticker(5), ticker(1005))))
    parts = learn(history)
    gone = all_changes(history[-2][1], history[-1][1]) - hidden(history[-2][1], history[-1][1], parts)

    assert any(change.after is None for change in gone)


def test_a_flag_in_a_part_is_told_all_the_same() -> None:
    """Where a rule flags what a ticker suddenly says, people are told."""
    before, after = text(ticker(4)), text("Just now 5 weavers agree that we train models on their pictures.")
    comparison = compare(before, after)

    told = set(judgement(comparison).telling) - masked(comparison, judgement(comparison, flagged=6), learn(TICKED))
    assert [change.after for change in told] == [6]


def test_a_part_that_says_much_more_is_told() -> None:
    """A chapter put where a ticker stood is no ticker."""
    chapter = [
        f"Chapter {number} says that you owe us {number} crowns for each day on which you sell." for number in range(9)
    ]

    assert hidden(text(ticker(4)), text(*chapter), learn(TICKED)) == set()


def test_most_of_a_document_is_never_a_part() -> None:
    """What has no steady frame of some size is the document itself."""
    history = daily(*(text(ticker(number), above=ABOVE[:1], below=[]) for number in range(9)))

    assert learn(history) == ()


@given(st.lists(st.integers(5, 10_000), min_size=1, max_size=6), st.integers(0, len(LAW) - 1))
def test_masking_never_hides_a_law(numbers: list[int], place: int) -> None:
    """Whatever the ticker says next, an edit of any clause that stood all the time is told."""
    parts = learn(TICKED)
    edited = [*LAW[:place], LAW[place].replace("nothing", "everything"), *LAW[place + 1 :]]
    before = text(ticker(4))
    after = text(*map(ticker, numbers[:2]), above=edited[:6], below=edited[6:])
    law = next(number for number, clause in enumerate(after) if clause.text == edited[place])

    told = all_changes(before, after) - hidden(before, after, parts)
    assert any(change.after == law for change in told)


def test_what_an_operator_calls_noise_is_a_part_at_once() -> None:
    """One alert called noise is enough to hear no more of that place."""
    before, after = text(ticker(1)), text(ticker(2))
    comparison = compare(before, after)
    parts = marked_parts(comparison, judgement(comparison).telling)

    assert hidden(after, text(ticker(3)), parts) == all_changes(after, text(ticker(3)))
    assert hidden(after, text(ticker(2), above=ABOVE[1:]), parts) == set()


def test_a_whole_document_called_noise_masks_nothing() -> None:
    """A page in another language is called noise without making the document deaf."""
    comparison = compare(text(ticker(1)), split("Etwas ganz anderes steht hier.\n\nUnd noch etwas, das niemand kennt."))

    assert marked_parts(comparison, judgement(comparison).telling) == ()


# --- variants ----------------------------------------------------------------------------------------------------


def seen(*letters: str, languages: dict[str, str] | None = None) -> list[Seen]:
    return [
        Seen(number, START + number * DAY, letter.encode(), (languages or {}).get(letter, "en"), 500)
        for number, letter in enumerate(letters)
    ]


def test_texts_that_come_again_in_turn_are_variants() -> None:
    """Two texts that each came twice are served in turn."""
    found = variants(seen("a", "b", "a", "b", "a"))

    assert [(one.last.canonical_digest, one.turns) for one in found] == [(b"a", 3), (b"b", 2)]


def test_one_way_there_and_back_is_no_variant() -> None:
    """A mistake that was put right, and an edit, are none."""
    assert variants(seen("a", "b", "a")) == ()
    assert variants(seen("a", "a", "b", "c", "d", "d")) == ()


def test_variants_are_told_apart_by_their_language() -> None:
    """Where they are written in several languages, that is the reason."""
    found = variants(seen("a", "b", "a", "b", languages={"b": "fr"}))

    assert told_apart_by(found) == "language"
    assert told_apart_by(variants(seen("a", "b", "a", "b"))) == "region or test"
