"""Lay a comparison out for reading: what changed in full, what did not folded away under its headings.

The order is that of the new version; a clause that went stands where it stood. Renumbered clauses and those whose
words stayed are folded with the unchanged ones and counted, so that twenty-five new numbers do not bury the one
sentence that was put in. A clause that a flag points at is never folded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from markupsafe import Markup

from tosmon.clauses import heading_paths, plain, stems
from tosmon.compare import edits
from tosmon.model import (
    Clause,
    ClauseChange,
    ClauseChangeKind,
    ClauseKind,
    Comparison,
    Direction,
    Edit,
    EditKind,
    Flag,
    Quote,
)
from tosmon.web.wording import Mark, edited_html, html, wording

_QUIET = (ClauseChangeKind.RENUMBERED, ClauseChangeKind.COSMETIC, ClauseChangeKind.MOVED)
_SHORT = 280  # letters: a lone unchanged clause of that length is shown rather than folded

LABELS = {
    ClauseChangeKind.ADDED: "Added",
    ClauseChangeKind.REMOVED: "Removed",
    ClauseChangeKind.MODIFIED: "Reworded",
    ClauseChangeKind.MOVED: "Moved, same words",
    ClauseChangeKind.COSMETIC: "Cosmetic, same words",
    ClauseChangeKind.RENUMBERED: "Renumbered, same words",
}


@dataclass(frozen=True, slots=True)
class Note:
    """A flag in the margin: its number on the page (from 1), and which way it goes."""

    number: int
    direction: Direction
    topic: str


@dataclass(frozen=True)
class Row:
    """One clause as it stands in the layout. `change` is `None` for an unchanged one; `number` counts changes from 1."""

    before: Clause | None
    after: Clause | None
    change: ClauseChange | None
    place: tuple[str, ...]
    number: int | None = None
    notes: tuple[Note, ...] = ()
    marks_before: tuple[Mark, ...] = field(default=(), repr=False)
    marks_after: tuple[Mark, ...] = field(default=(), repr=False)
    came_from: tuple[str, ...] = ()

    @property
    def clause(self) -> Clause:
        found = self.after or self.before
        assert found is not None  # a row has at least one side
        return found

    @property
    def label(self) -> str:
        return LABELS[self.change.kind] if self.change else ""

    @property
    def kind(self) -> str:
        return self.change.kind.value if self.change else "unchanged"

    @property
    def is_loud(self) -> bool:
        return self.change is not None and self.change.kind not in _QUIET

    @property
    def renumbered(self) -> tuple[str, str] | None:
        """The numbers before and after, where they differ."""
        if self.before is None or self.after is None:
            return None
        old, new = number_of(self.before), number_of(self.after)
        return (old, new) if old != new else None

    @cached_property
    def text_before(self) -> Markup:
        return self._side(EditKind.REMOVED)

    @cached_property
    def text_after(self) -> Markup:
        return self._side(EditKind.ADDED)

    @cached_property
    def text(self) -> Markup:
        """Both sides in one, with what went and what came."""
        return self._side(None)

    @cached_property
    def _edits(self) -> tuple[Edit, ...]:
        assert self.before is not None and self.after is not None
        return edits(wording(self.before.text, self.before.kind).text, wording(self.after.text, self.after.kind).text)

    def _side(self, side: EditKind | None) -> Markup:
        if self.before is None or self.after is None or not self.is_loud:
            if side is EditKind.REMOVED and self.before is not None:
                return html(wording(self.before.text, self.before.kind), self.marks_before)
            marks = self.marks_after if self.after is not None else self.marks_before
            return html(wording(self.clause.text, self.clause.kind), marks)
        before, after = wording(self.before.text, self.before.kind), wording(self.after.text, self.after.kind)
        return edited_html(before, after, self._edits, self.marks_before, self.marks_after, side)


@dataclass(frozen=True, slots=True)
class Fold:
    """Clauses in a row whose words stayed, folded. `headings` are those among or above them, the first and the last."""

    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """ "12 clauses unchanged, 3 renumbered"."""
        kinds = Counter(row.kind for row in self.rows)
        counts = [(kinds[kind], kind) for kind in ("unchanged", "renumbered", "moved", "cosmetic") if kinds[kind]]
        (first, kind), *others = counts
        said = [f"{first} clause{'' if first == 1 else 's'} {kind}", *(f"{count} {kind}" for count, kind in others)]
        return ", ".join(said)

    @property
    def headings(self) -> tuple[str, ...]:
        seen = [plain(row.clause.text) for row in self.rows if row.clause.kind is ClauseKind.HEADING]
        if not seen and self.rows[0].place:
            seen = [self.rows[0].place[-1]]
        return (seen[0], seen[-1]) if len(seen) > 1 else tuple(seen)


@dataclass(frozen=True, slots=True)
class Passage:
    """Changed clauses in a row, with the unchanged ones that introduce them, under the same headings."""

    place: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """`changes` are the changed passages, `quiet` the clauses that moved, were renumbered or differ in looks alone."""

    parts: tuple[Passage | Fold, ...]
    changes: int
    quiet: int = 0


def layout(comparison: Comparison, flags: Sequence[Flag] = (), *, everything: bool = False) -> Layout:
    """How a comparison is read from top to bottom, with the flags at their quotes; with `everything` nothing that differs
    in any way is folded."""
    rows = tuple(_rows(comparison, flags))
    shown = _shown(rows, everything)
    parts: list[Passage | Fold] = []
    start = 0
    for number in range(1, len(rows) + 1):
        if number < len(rows) and shown[number] == shown[start] and (not shown[start] or _goes_on(rows, start, number)):
            continue
        run = rows[start:number]
        parts.append(Passage(run[0].place, run) if shown[start] else Fold(run))
        start = number
    loud = sum(row.is_loud for row in rows)
    return Layout(tuple(parts), loud, sum(row.change is not None for row in rows) - loud)


def _goes_on(rows: Sequence[Row], start: int, number: int) -> bool:
    """Whether a row stands under the same headings as the passage so far, those that came up in it included."""
    place = rows[start].place
    opened = [plain(row.clause.text) for row in rows[start:number] if row.clause.kind is ClauseKind.HEADING]
    return rows[number].place == place or (bool(opened) and rows[number].place[-1:] == (opened[-1],))


def _shown(rows: Sequence[Row], everything: bool) -> list[bool]:
    """Which rows are open: the loud and the flagged, what introduces them, and lone short ones between them."""
    shown = [row.is_loud or bool(row.notes) or (everything and row.change is not None) for row in rows]
    clauses = [row.clause for row in rows]
    for number, stem in enumerate(stems(clauses)):
        if shown[number] and stem is not None:
            shown[stem] = True
    for number in range(1, len(rows) - 1):
        row = rows[number]
        alone = shown[number - 1] and shown[number + 1] and not shown[number]
        if alone and row.change is None and len(row.clause.text) < _SHORT and row.clause.kind is not ClauseKind.HEADING:
            shown[number] = True
    return shown


def _rows(comparison: Comparison, flags: Sequence[Flag]) -> Iterator[Row]:
    before, after = comparison.before, comparison.after
    paths_before, paths_after = heading_paths(before), heading_paths(after)
    marks_before, marks_after = _marks(flags, before, "before"), _marks(flags, after, "after")
    notes = {number: Note(number, flag.direction, flag.topic) for number, flag in enumerate(flags, 1)}
    count = 0
    for i, j, change in _in_order(comparison):
        if change is not None and _looks_the_same(change, comparison):
            change = None
        place = paths_after[j] if j is not None else paths_before[i or 0]
        mine = (marks_before.get(i, ()) if i is not None else ()), (marks_after.get(j, ()) if j is not None else ())
        numbers = dict.fromkeys(mark.flag for marks in mine for mark in marks)
        loud = change is not None and change.kind not in _QUIET
        count += loud
        came_from: tuple[str, ...] = ()
        if change is not None and change.kind is ClauseChangeKind.MOVED and i is not None:
            came_from = paths_before[i]
        yield Row(
            before[i] if i is not None else None,
            after[j] if j is not None else None,
            change,
            place,
            count if loud else None,
            tuple(notes[number] for number in numbers),
            *mine,
            came_from,
        )


def _looks_the_same(change: ClauseChange, comparison: Comparison) -> bool:
    """White space around a clause alone: nothing that a reader could see."""
    if change.kind is not ClauseChangeKind.COSMETIC or change.before is None or change.after is None:
        return False
    before, after = comparison.before[change.before], comparison.after[change.after]
    return before.text == after.text and number_of(before) == number_of(after)


def _in_order(comparison: Comparison) -> list[tuple[int | None, int | None, ClauseChange | None]]:
    """(before, after, change) of every clause of both versions, in the order of the new one."""
    touched = {change.before for change in comparison.changes}, {change.after for change in comparison.changes}
    same_before = [i for i in range(len(comparison.before)) if i not in touched[0]]
    same_after = [j for j in range(len(comparison.after)) if j not in touched[1]]
    rows: list[tuple[int | None, int | None, ClauseChange | None]] = [
        *((i, j, None) for i, j in zip(same_before, same_after, strict=True)),
        *((change.before, change.after, change) for change in comparison.changes),
    ]
    in_place = (ClauseChangeKind.RENUMBERED, ClauseChangeKind.COSMETIC)
    kept = {i: j for i, j, change in rows if j is not None and (change is None or change.kind in in_place)}
    anchors, anchor = [], -1
    for number in range(len(comparison.before)):
        anchor = kept.get(number, anchor)
        anchors.append(anchor)

    def order(row: tuple[int | None, int | None, ClauseChange | None]) -> tuple[int, int, int]:
        i, j, _ = row
        return (j, 0, 0) if j is not None else (anchors[i or 0], 1, i or 0)

    return sorted(rows, key=order)


# --- flags --------------------------------------------------------------------------------------------------------


def anchor_of(flag: int) -> str:
    return f"flag-{flag}"


def _marks(flags: Sequence[Flag], clauses: Sequence[Clause], side: str) -> dict[int, tuple[Mark, ...]]:
    """For each clause the marks of the quotes in it. A flag is found at its first quote: after, else before."""
    marks: dict[int, tuple[Mark, ...]] = {}
    for number, flag in enumerate(flags, 1):
        quotes = flag.after if side == "after" else flag.before
        leads = side == "after" or not flag.after
        for place, quote in enumerate(quotes):
            if not _stands(quote, clauses):
                continue
            clause = clauses[quote.clause]
            words = wording(clause.text, clause.kind)
            anchor = anchor_of(number) if leads and place == 0 else None
            mark = Mark(words.place(quote.start), words.place(quote.end), number, flag.direction.value, anchor)
            marks[quote.clause] = (*marks.get(quote.clause, ()), mark)
    return marks


def _stands(quote: Quote, clauses: Sequence[Clause]) -> bool:
    """A quote that does not stand where it says it does is a bug of who made it; it must not break the page."""
    return 0 <= quote.clause < len(clauses) and clauses[quote.clause].text[quote.start : quote.end] == quote.text


# --- what opens a clause -------------------------------------------------------------------------------------------

_NOT_SHOWN = re.compile(r"[#>\\]+")
_BULLETS = frozenset("-*+•‣◦–")


def number_of(clause: Clause) -> str:
    """What opens a clause as people see it: "4.", "(a)", a bullet, or nothing."""
    marker = " ".join(_NOT_SHOWN.sub("", clause.lead).split())
    first, _, rest = marker.partition(" ")
    if first in _BULLETS:
        return rest or "•"
    return marker
