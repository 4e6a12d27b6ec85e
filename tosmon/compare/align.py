"""Align two lists of clauses: what stayed, what moved, what was reworded, what came and went.

Readers ask "what can they do now that they could not before?", so a moved clause is not an edit and a
reworded one is one change, not a removal and an addition. Sameness is canonical text; likeness is words.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

from rapidfuzz import process
from rapidfuzz.distance import Indel

from tosmon.clauses import canonical, words
from tosmon.compare.matching import common_blocks
from tosmon.model import Clause, ClauseChange, ClauseChangeKind, ClauseKind, Comparison

# Two clauses are one reworded clause when at least this share of their words stands in both, in order. Between the same
# neighbours half is enough; elsewhere in the document boilerplate ("You may not …") needs more to be told apart.
_ALIKE_IN_PLACE = 0.5
_ALIKE_ELSEWHERE = 0.7
_ALIKE_FACING = 0.8  # enough to be sure without looking at any other candidate
_CANDIDATES = 4
_likeness = Indel.normalized_similarity


def compare(
    before: Sequence[Clause], after: Sequence[Clause], *, canonical: Callable[[str], str] = canonical
) -> Comparison:
    """How one version's clauses became the other's; see `model.Comparison` for the order of the changes.

    Every clause of both versions is either unchanged (equal in each byte) or in exactly one change, so that
    `apply(before, comparison)` gives `after`.
    """
    kept = _aligned(before, after, canonical)
    changes = [change for i, j in kept if (change := _kept_change(before[i], after[j], i, j))]
    lost = sorted(set(range(len(before))) - {i for i, _ in kept})
    new = sorted(set(range(len(after))) - {j for _, j in kept})
    if lost and new:
        moved = _moved(before, after, lost, new, canonical)
        changes += [ClauseChange(ClauseChangeKind.MOVED, i, j) for i, j in moved]
        lost, new = _without(lost, (i for i, _ in moved)), _without(new, (j for _, j in moved))
    if lost and new:
        pairs = _reworded(before, after, lost, new, kept)
        changes += [ClauseChange(ClauseChangeKind.MODIFIED, i, j) for i, j in pairs]
        lost, new = _without(lost, (i for i, _ in pairs)), _without(new, (j for _, j in pairs))
    changes += [ClauseChange(ClauseChangeKind.REMOVED, i, None) for i in lost]
    changes += [ClauseChange(ClauseChangeKind.ADDED, None, j) for j in new]
    return Comparison(tuple(before), tuple(after), tuple(_in_reading_order(changes, kept, len(before))))


def apply(before: Sequence[Clause], comparison: Comparison) -> tuple[Clause, ...]:
    """The new version, from the old one and the changed clauses alone."""
    touched = {change.before for change in comparison.changes}
    unchanged = deque(clause for i, clause in enumerate(before) if i not in touched)
    new = {change.after for change in comparison.changes}
    return tuple(comparison.after[j] if j in new else unchanged.popleft() for j in range(len(comparison.after)))


def _aligned(
    before: Sequence[Clause], after: Sequence[Clause], canonical: Callable[[str], str]
) -> list[tuple[int, int]]:
    """The longest common subsequence by canonical text, as (before, after) positions in order."""
    ids: dict[tuple[str, bool], int] = {}
    # Most texts stand on both sides: their canonical form is not worth working out.
    both = {clause.text for clause in before}.intersection([clause.text for clause in after])

    def numbered(clauses: Sequence[Clause]) -> list[int]:
        # A clause with no word in it (a rule, a lone dash) equals only itself, or all of them would be alike.
        texts = (c.text if c.text in both else canonical(c.text) or c.text for c in clauses)
        keys = ((text, c.kind is ClauseKind.HEADING) for text, c in zip(texts, clauses, strict=True))
        return [ids.setdefault(key, len(ids)) for key in keys]

    blocks = common_blocks(numbered(before), numbered(after))
    return [(block.before + k, block.after + k) for block in blocks for k in range(block.size)]


def _kept_change(old: Clause, new: Clause, i: int, j: int) -> ClauseChange | None:
    if old == new:
        return None
    renumbered = old.text == new.text and old.lead.split() != new.lead.split()
    return ClauseChange(ClauseChangeKind.RENUMBERED if renumbered else ClauseChangeKind.COSMETIC, i, j)


def _moved(
    before: Sequence[Clause],
    after: Sequence[Clause],
    lost: Sequence[int],
    new: Sequence[int],
    canonical: Callable[[str], str],
) -> list[tuple[int, int]]:
    places: dict[str, deque[int]] = defaultdict(deque)
    for j in new:
        places[canonical(after[j].text)].append(j)
    places.pop("", None)
    return [(i, places[key].popleft()) for i in lost if places.get(key := canonical(before[i].text))]


def _reworded(
    before: Sequence[Clause],
    after: Sequence[Clause],
    lost: Sequence[int],
    new: Sequence[int],
    kept: Sequence[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Pair the most alike first; ties go to those nearest to each other."""
    gap_before = _gaps(lost, [i for i, _ in kept])
    gap_after = _gaps(new, [j for _, j in kept])
    letters: dict[str, str] = {}
    spelled_before = {i: _spelled(before[i], letters) for i in lost}
    spelled_after = {j: _spelled(after[j], letters) for j in new}

    def same_sort(i: int, j: int) -> bool:
        return (before[i].kind is ClauseKind.HEADING) == (after[j].kind is ClauseKind.HEADING)

    pairs = [
        (i, j)
        for i, j in _facing(gap_before, gap_after)
        if same_sort(i, j) and _likeness(spelled_before[i], spelled_after[j]) >= _ALIKE_FACING
    ]
    for i, j in pairs:
        del spelled_before[i], spelled_after[j]
    candidates: list[tuple[float, int, int, int]] = []
    for i, spelled in spelled_before.items():
        for _, score, j in process.extract(
            spelled, spelled_after, scorer=_likeness, score_cutoff=_ALIKE_IN_PLACE, limit=_CANDIDATES
        ):
            in_place = gap_before[i] == gap_after[j]
            if same_sort(i, j) and (in_place or score >= _ALIKE_ELSEWHERE):
                candidates.append((-score - 0.1 * in_place, abs(gap_before[i] - gap_after[j]), i, j))
    for _, _, i, j in sorted(candidates):
        if i in spelled_before and j in spelled_after:
            del spelled_before[i], spelled_after[j]
            pairs.append((i, j))
    return pairs


def _facing(gap_before: dict[int, int], gap_after: dict[int, int]) -> list[tuple[int, int]]:
    """In gaps with as many clauses on both sides, the first faces the first, and so on."""
    befores, afters = defaultdict(list), defaultdict(list)
    for i, gap in gap_before.items():
        befores[gap].append(i)
    for j, gap in gap_after.items():
        afters[gap].append(j)
    same = [(befores[gap], afters[gap]) for gap in befores if len(befores[gap]) == len(afters[gap])]
    return [pair for left, right in same for pair in zip(left, right, strict=True)]


def _spelled(clause: Clause, letters: dict[str, str]) -> str:
    """The clause with one letter for each word, so that a string distance counts words, at C speed."""
    return "".join([letters.setdefault(word, chr(0x100 + len(letters))) for word in words(clause.text)])


def _gaps(positions: Iterable[int], kept: Sequence[int]) -> dict[int, int]:
    """For each position, how many kept clauses stand before it: equal numbers on both sides mean the same gap."""
    gaps, passed = {}, 0
    for position in positions:
        while passed < len(kept) and kept[passed] < position:
            passed += 1
        gaps[position] = passed
    return gaps


def _without(positions: Sequence[int], taken: Iterable[int]) -> list[int]:
    gone = set(taken)
    return [position for position in positions if position not in gone]


def _in_reading_order(
    changes: Iterable[ClauseChange], kept: Sequence[tuple[int, int]], length: int
) -> list[ClauseChange]:
    after_of = dict(kept)
    anchors, anchor = [], -1
    for i in range(length):
        anchor = after_of.get(i, anchor)
        anchors.append(anchor)

    def place(change: ClauseChange) -> tuple[int, int, int]:
        if change.after is not None:
            return change.after, 0, 0
        assert change.before is not None
        return anchors[change.before], 1, change.before

    return sorted(changes, key=place)
