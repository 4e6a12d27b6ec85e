"""The table of changes as laws of whole documents: what is recorded only, what people are told of, whatever else differs.

`test_canonical` holds the laws of one clause; here each row is applied to a place of a document, alone and together with
rows that nobody is told of: noise never makes an alert, and never hides one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from tosmon.clauses import split
from tosmon.compare import compare
from tosmon.compare.substance import Substance, substance

SUBJECTS = ("Members", "Sellers", "Guests", "Partners", "Weavers", "Carriers", "Buyers", "Heirs")
VERBS = ("may not copy", "must return", "shall insure", "can cancel", "will not sell", "may keep", "must label")
OBJECTS = ("the patterns", "a parcel", "their stall", "each order", "our pictures", "the yarn", "a deposit")
TAILS = (
    "within 14 days of the sale.",
    "unless we agree in writing.",
    "for a fee of €25 a month.",
    "under section 4 of these rules.",
    "at the address in Harrow Street 9.",
    "and send word to desk@marrow.test.",
)
VENDORS = ("Bluebird Mail", "Redwood Cloud", "Owl Ledger", "Tern Post", "Finch Maps", "Heron Pay", "Swift Chat")

CLAUSE = st.builds(
    lambda *parts: " ".join(parts),
    st.sampled_from(SUBJECTS),
    st.sampled_from(VERBS),
    st.sampled_from(OBJECTS),
    st.sampled_from(TAILS),
)
CLAUSES = st.lists(CLAUSE, min_size=6, max_size=14, unique=True)
PLACE = st.integers(0, 5)


def document(clauses: list[str], *, day: date = date(2024, 5, 1), vendors: tuple[str, ...] = VENDORS[:6]) -> str:
    items = "\n".join(f"* {vendor}, which handles data for us" for vendor in vendors)
    body = "\n\n".join(clauses)
    return f"# Rules of the Marrow market\n\nLast updated: {day:%-d %B %Y}\n\n{body}\n\n## Our vendors\n\n{items}\n"


def judged(before: str, after: str) -> Substance:
    return substance(compare(split(before), split(after)))


def changed(clauses: list[str], place: int, change: Callable[[str], str]) -> list[str]:
    return [change(clause) if number == place else clause for number, clause in enumerate(clauses)]


# Rows that people are not told of, as edits of one clause.
QUIET: dict[str, Callable[[str], str]] = {
    "white space": lambda clause: clause.replace(" ", "  ", 3),
    "letter case": str.upper,
    "bold": lambda clause: clause.replace(clause.split()[0], f"**{clause.split()[0]}**", 1),
    "typographic quotes": lambda clause: f"“{clause}”",
    "a comma more": lambda clause: clause.replace(" ", ", ", 1),
    "a marker": lambda clause: f"7. {clause}",
    "a link": lambda clause: clause.replace(
        clause.split()[0], f"[{clause.split()[0]}](https://a.test/x?utm_source=z)", 1
    ),
    "an address half hidden": lambda clause: clause.replace("desk@marrow.test", "desk [at] marrow [dot] test"),
}
# Rows that people are told of, as edits of one clause.
TOLD: dict[str, Callable[[str], str]] = {
    "a word more": lambda clause: clause.replace(" ", " always ", 1),
    "a word less": lambda clause: clause.replace(" the ", " ", 1) if " the " in clause else clause.replace(" a ", " ", 1)
    if " a " in clause else clause.rsplit(" ", 1)[0] + ".",
    "a mended typo": lambda clause: clause[:-2] + "x" + clause[-2:],
    "a negation": lambda clause: clause.replace(" ", " never ", 1),
    "a modal verb": lambda clause: clause.replace(" may ", " must ").replace(" can ", " must ")
    if " may " in clause or " can " in clause
    else clause.replace(" must ", " may ").replace(" shall ", " may ").replace(" will ", " may "),
    "a number more": lambda clause: f"{clause[:-1]} 30 times.",
    "a name": lambda clause: clause.replace(clause.split()[0], "Marlowe Ltd"),
}  # fmt: skip


@given(CLAUSES, PLACE, st.sampled_from(sorted(QUIET)))
def test_cosmetic_edits_of_a_clause_are_told_to_nobody(clauses: list[str], place: int, row: str) -> None:
    """White space, typography, letter case, punctuation, markers, emphasis, link targets, hidden addresses."""
    before, after = document(clauses), document(changed(clauses, place, QUIET[row]))

    assert not judged(before, after).told
    assert not judged(after, before).told


@given(CLAUSES, PLACE, st.sampled_from(sorted(TOLD)))
def test_changed_words_are_told_both_ways(clauses: list[str], place: int, row: str) -> None:
    """A word, a typo, a number, a negation, a modal verb, a name: when it comes and when it goes."""
    before, after = document(clauses), document(changed(clauses, place, TOLD[row]))

    assert judged(before, after).told
    assert judged(after, before).told


@given(CLAUSES, PLACE, PLACE, st.sampled_from(sorted(TOLD)), st.sampled_from(sorted(QUIET)))
def test_noise_never_hides_a_changed_word(clauses: list[str], place: int, other: int, told: str, quiet: str) -> None:
    """The same page may be set anew around the one word that counts."""
    after = changed(changed(clauses, place, TOLD[told]), other, QUIET[quiet])

    assert judged(document(clauses), document(after)).told


@given(CLAUSES, st.permutations(VENDORS[:6]), st.permutations(range(6)))
def test_entries_and_clauses_in_another_order_are_told_to_nobody(
    clauses: list[str], vendors: list[str], order: list[int]
) -> None:
    """A list that is sorted otherwise says the same; so do clauses that change places."""
    moved = [clauses[place] for place in order] + clauses[6:]

    assert not judged(document(clauses), document(moved, vendors=tuple(vendors))).told


@given(CLAUSES, st.integers(0, 5), st.permutations(VENDORS[:6]))
def test_an_entry_added_or_removed_is_told_in_any_order(clauses: list[str], gone: int, vendors: list[str]) -> None:
    """One vendor less among all the others in another order is still one vendor less; and one more is one more."""
    fewer = document(clauses, vendors=tuple(one for one in vendors if one != VENDORS[gone]))

    assert judged(document(clauses), fewer).told
    assert judged(fewer, document(clauses)).told


@given(CLAUSES, PLACE)
def test_a_clause_added_or_removed_is_told_unless_its_copy_stands(clauses: list[str], place: int) -> None:
    """A clause that comes or goes is news; a second copy of one that stands is not."""
    new = "Nobody takes a stall away without a hearing before three other members."
    more = [*clauses[:place], new, *clauses[place:]]
    copied = [*clauses, clauses[place]]

    assert judged(document(clauses), document(more)).told
    assert judged(document(more), document(clauses)).told
    assert not judged(document(clauses), document(copied)).told
    assert not judged(document(copied), document(clauses)).told


DAYS = st.dates(date(2015, 1, 13), date(2029, 12, 31))


@given(CLAUSES, DAYS, DAYS)
def test_a_date_alone_is_told_as_date_only_in_both_directions(clauses: list[str], one: date, other: date) -> None:
    """Another day on the line that says when it was updated is minor, and marked; the same day is nothing."""
    outcome = judged(document(clauses, day=one), document(clauses, day=other))

    assert (outcome.told, outcome.date_only) == (one != other, one != other)


@given(CLAUSES, DAYS)
def test_another_form_of_the_same_date_is_told_to_nobody(clauses: list[str], day: date) -> None:
    """A date that can mean one day only is that day in any form."""
    before = document(clauses, day=day)
    line = f"Last updated: {day:%-d %B %Y}"
    for form in (f"{day:%B %-d, %Y}", f"{day:%Y-%m-%d}", f"{day:%d.%m.%Y}"):
        assert not judged(before, before.replace(line, f"Last updated: {form}")).told


@given(CLAUSES, st.integers(1, 500), st.integers(1, 500))
def test_counters_clocks_and_menus_are_told_to_nobody(clauses: list[str], one: int, other: int) -> None:
    """What the page around the terms counts, and where it leads, is its own affair."""

    def framed(number: int) -> str:
        menu = "\n\n".join(f"[Stall {number + k}](https://marrow.test/{number + k})" for k in range(3))
        return f"{menu}\n\n{document(clauses)}\n\n{number} out of 900 found this helpful\n\nUpdated {number + 1} days ago\n"

    assert not judged(framed(one), framed(other)).told
