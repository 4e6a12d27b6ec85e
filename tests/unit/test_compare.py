"""Comparing versions clause by clause: complete, and in the terms people think in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tosmon.clauses import split
from tosmon.compare import apply, compare, edits
from tosmon.compare.matching import common_blocks
from tosmon.model import Clause, ClauseChangeKind, Comparison, EditKind

CLAUSES = st.lists(
    st.sampled_from(
        [
            "You keep your rights.",
            "You  keep your rights",
            "We may train models on your work.",
            "We may not train models on your work.",
            "# Licence",
            "- item one",
            "1. item one",
            "2. item one",
            "—",
            "Fees apply.",
            "Fees of 5 EUR apply.",
        ]
    ),
    max_size=12,
).map(lambda parts: split("\n\n".join(parts)))


def kinds(comparison: Comparison) -> list[ClauseChangeKind]:
    return [change.kind for change in comparison.changes]


def clauses(*texts: str) -> tuple[Clause, ...]:
    return split("\n\n".join([*texts, "The end."]))


@given(CLAUSES)
def test_a_text_compared_with_itself_has_no_changes(text: tuple[Clause, ...]) -> None:
    """Comparing a version with itself is empty."""
    assert compare(text, text).changes == ()


@given(CLAUSES, CLAUSES)
def test_applying_a_comparison_gives_the_new_version(before: tuple[Clause, ...], after: tuple[Clause, ...]) -> None:
    """The old version and the changed clauses are enough to write the new one."""
    assert apply(before, compare(before, after)) == after


@given(CLAUSES, CLAUSES)
def test_every_clause_is_in_one_change_at_most(before: tuple[Clause, ...], after: tuple[Clause, ...]) -> None:
    """No clause is reported twice, on either side."""
    changes = compare(before, after).changes
    olds = [change.before for change in changes if change.before is not None]
    news = [change.after for change in changes if change.after is not None]

    assert len(olds) == len(set(olds)) and len(news) == len(set(news))


def test_moved_clause_is_not_reported_as_edited() -> None:
    """A clause that only changes place appears once, as moved."""
    before, after = clauses("A. Use of it", "B. Licence to us"), clauses("B. Licence to us", "A. Use of it")

    assert kinds(compare(before, after)) == [ClauseChangeKind.MOVED]


def test_inserted_section_does_not_make_the_following_ones_news() -> None:
    """One inserted item renumbers the rest: one clause is added, the others are renumbered."""
    before = clauses("1. Use", "2. Licence", "3. Fees")
    after = clauses("1. Use", "2. Training of models", "3. Licence", "4. Fees")

    found = compare(before, after)

    assert kinds(found) == [ClauseChangeKind.ADDED, ClauseChangeKind.RENUMBERED, ClauseChangeKind.RENUMBERED]


def test_reworded_clause_is_one_change() -> None:
    """A changed sentence is one modification, paired with what it was."""
    before = clauses("First.", "We never sell or share the works that you upload to us.", "Last.")
    after = clauses("First.", "We may sell or share the works that you upload to us.", "Last.")

    [change] = compare(before, after).changes

    assert (change.kind, change.before, change.after) == (ClauseChangeKind.MODIFIED, 1, 1)


def test_a_heading_is_never_paired_with_a_paragraph() -> None:
    """A title that becomes a sentence is a removal and an addition."""
    before, after = clauses("# Licence to your works", "x y z"), clauses("Licence to your works, mostly", "x y z")

    assert ClauseChangeKind.MODIFIED not in kinds(compare(before, after))


def test_removals_stand_where_their_clause_stood() -> None:
    """Changes are listed in the order in which a person reads the new version."""
    before = clauses("Alpha one two.", "Promise: we never train.", "Beta three four.")
    after = clauses("Alpha one two.", "Beta three four.", "Wholly new words here.")

    assert kinds(compare(before, after)) == [ClauseChangeKind.REMOVED, ClauseChangeKind.ADDED]


@given(st.text(max_size=200), st.text(max_size=200))
def test_edits_rebuild_both_texts(before: str, after: str) -> None:
    """What stayed and what went is the old text; what stayed and what came is the new one."""
    runs = edits(before, after)

    assert "".join(run.text for run in runs if run.kind is not EditKind.ADDED) == before
    assert "".join(run.text for run in runs if run.kind is not EditKind.REMOVED) == after


def test_edits_are_words_not_letters() -> None:
    """A changed word is shown whole."""
    runs = edits("We will train models.", "We will trade models.")

    assert [(run.kind, run.text) for run in runs if run.kind is not EditKind.SAME] == [
        (EditKind.REMOVED, "train"),
        (EditKind.ADDED, "trade"),
    ]


@given(st.lists(st.integers(0, 5), max_size=30), st.lists(st.integers(0, 5), max_size=30))
def test_common_blocks_are_equal_ordered_and_apart(before: list[int], after: list[int]) -> None:
    """Blocks never overlap, never cross, and hold the same members on both sides."""
    at_before = at_after = 0
    for block in common_blocks(before, after):
        assert block.before >= at_before and block.after >= at_after and block.size > 0
        assert before[block.before : block.before + block.size] == after[block.after : block.after + block.size]
        at_before, at_after = block.before + block.size, block.after + block.size


def test_sequences_too_large_for_the_exact_way_are_cut_at_what_is_unique() -> None:
    """A page made to be huge is compared in bounded memory, and its unique members still align."""
    before = [n % 7 + 1_000_000 for n in range(40_000)]
    after = [1_000_000 + (n * 3) % 7 for n in range(40_000)]
    before[20_000], after[21_000] = 5, 5

    assert any(before[b.before : b.before + b.size].count(5) for b in common_blocks(before, after))
