"""Parts of a document that keep changing by themselves: tickers, counters, related links.

Learnt from what stood between two clauses that stayed while all around them was looked at again and again. Nobody is
told of such a part, unless a rule flags what it says, or it says much more than it ever did: terms get no hiding place
between two adverts. Pure: the memory of what stood comes in as an argument.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tosmon.clauses import canonical, words
from tosmon.model import Clause, ClauseChange, ClauseChangeKind, Comparison, Judgement

WINDOW = timedelta(days=21)
"""Within so many days a part must have changed often enough: terms are edited in months, tickers in hours."""

# So many different things stood there, each in its turn: three edits in a month are a lawyer's afterthoughts.
_CONTENTS = 5
_MOST_WORDS = 400
_MOST_SHARE = 0.25  # of the document: what is larger is the document itself, in variants
_ROOM = 2  # a part may grow to so many times what it was
_SPARE = 20
_OUTSIDE = b""  # stands for the clause above the first one, and below the last


@dataclass(frozen=True, slots=True)
class Part:
    """What stands between two clauses, known by the marks of those.

    `words` is the most that stood there, `contents` how many different things did, `sample` the latest of them. `steady`
    are the clauses in it that mostly stayed: the part does not hide what becomes of those.
    """

    above: bytes
    below: bytes
    words: int
    contents: int
    sample: str
    steady: frozenset[bytes] = frozenset()


def mark(clause: Clause) -> bytes:
    """What a clause is recognised by, however it is set."""
    return hashlib.sha256(canonical(clause.text).encode("utf-8", "surrogatepass")).digest()[:16]


# --- learning ----------------------------------------------------------------------------------------------------


def learn(history: Sequence[tuple[datetime, Sequence[Clause]]]) -> tuple[Part, ...]:
    """The parts that changed by themselves in these texts (oldest first), up to the last of them."""
    if not history:
        return ()
    since = history[-1][0] - WINDOW
    texts = [clauses for at, clauses in history if at >= since]
    marks = [[mark(clause) for clause in clauses] for clauses in texts]
    for last in _SPANS:
        if len(texts) >= _CONTENTS and (parts := _parts(texts[-last:], marks[-last:])):
            return parts
    return ()


_SPANS = (_CONTENTS, 2 * _CONTENTS, 4 * _CONTENTS)
"""So many of the latest texts are looked at: few, or one edit around a part unsettles it; more for one that rests."""


def _parts(texts: Sequence[Sequence[Clause]], marks: Sequence[Sequence[bytes]]) -> tuple[Part, ...]:
    anchors = _anchors(marks)
    places = [{one: place for place, one in enumerate(marked)} for marked in marks]
    found = []
    for above, below in zip((_OUTSIDE, *anchors), (*anchors, _OUTSIDE), strict=True):
        ranges = [_between(place, len(marked), above, below) for place, marked in zip(places, marks, strict=True)]
        contents = [tuple(marked[start:end]) for marked, (start, end) in zip(marks, ranges, strict=True)]
        if len(set(contents)) >= _CONTENTS and len(_replacing(contents)) >= _CONTENTS - 1:
            inside = [texts[number][start:end] for number, (start, end) in enumerate(ranges)]
            part = _part(above, below, inside, contents)
            if _is_little(part.words, texts[-1]):
                found.append(part)
    return tuple(found)


def _replacing(contents: Sequence[tuple[bytes, ...]]) -> set[tuple[bytes, ...]]:
    """The contents that took the place of something: a list that only grows says more, it does not change by itself."""
    return {new for old, new in pairwise(contents) if not set(old) <= set(new)}


def _anchors(marks: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The clauses that stand in every text, once, in one order."""
    once = set(marks[0])
    for marked in marks:
        once &= {one for one, count in Counter(marked).items() if count == 1}
    orders = [{one: place for place, one in enumerate(marked) if one in once} for marked in marks]
    anchors: list[bytes] = []
    for one in orders[-1]:
        if not anchors or all(order[anchors[-1]] < order[one] for order in orders):
            anchors.append(one)
    return anchors


def _between(places: Mapping[bytes, int], length: int, above: bytes, below: bytes) -> tuple[int, int]:
    return (places[above] + 1 if above else 0), (places[below] if below else length)


def _part(
    above: bytes, below: bytes, inside: Sequence[Sequence[Clause]], contents: Sequence[tuple[bytes, ...]]
) -> Part:
    stood = Counter(one for content in contents for one in set(content))
    steady = frozenset(one for one, times in stood.items() if times > len(contents) / 2)
    most = max(map(_count, inside))
    return Part(above, below, most, len(set(contents)), _sample(inside[-1]), steady)


def _count(clauses: Iterable[Clause]) -> int:
    return sum(len(words(clause.text)) for clause in clauses)


def _sample(clauses: Iterable[Clause]) -> str:
    return "\n".join(clause.text for clause in clauses)[:2000]


def _is_little(part_words: int, document: Sequence[Clause]) -> bool:
    return part_words <= _MOST_WORDS and part_words <= _MOST_SHARE * _count(document)


def marked_parts(comparison: Comparison, changes: Iterable[ClauseChange]) -> tuple[Part, ...]:
    """The parts in which these changes stand, as an operator calls them noise; none for what is most of the document."""
    kept = _kept(comparison)
    before, after = comparison.before, comparison.after
    parts: dict[tuple[bytes, bytes], Part] = {}
    for change in changes:
        above = max((pair for pair in kept if _is_before(pair, change)), default=(-1, -1))
        below = min(
            (pair for pair in kept if pair > above and _is_after(pair, change)), default=(len(before), len(after))
        )
        old, new = before[above[0] + 1 : below[0]], after[above[1] + 1 : below[1]]
        most = max(_count(old), _count(new))
        if _is_little(most, after):
            around = (
                mark(after[above[1]]) if above[1] >= 0 else _OUTSIDE,
                mark(after[below[1]]) if below[1] < len(after) else _OUTSIDE,
            )
            parts[around] = Part(*around, most, 2, _sample(new or old))
    return tuple(parts.values())


_TOUCHED = (ClauseChangeKind.ADDED, ClauseChangeKind.REMOVED, ClauseChangeKind.MODIFIED, ClauseChangeKind.MOVED)


def _kept(comparison: Comparison) -> list[tuple[int, int]]:
    """The (before, after) places of the clauses that stayed where they were."""
    touched = comparison.of(*_TOUCHED)
    gone = {change.before for change in touched}
    new = {change.after for change in touched}
    befores = [place for place in range(len(comparison.before)) if place not in gone]
    afters = [place for place in range(len(comparison.after)) if place not in new]
    return list(zip(befores, afters, strict=True))


def _is_before(pair: tuple[int, int], change: ClauseChange) -> bool:
    return (change.before is None or pair[0] < change.before) and (change.after is None or pair[1] < change.after)


def _is_after(pair: tuple[int, int], change: ClauseChange) -> bool:
    return (change.before is None or pair[0] > change.before) and (change.after is None or pair[1] > change.after)


# --- masking -----------------------------------------------------------------------------------------------------


def masked(comparison: Comparison, judgement: Judgement, parts: Iterable[Part]) -> frozenset[ClauseChange]:
    """Those of the telling changes that stand in a part which changes by itself, and say nothing that a rule flags."""
    flagged_before = {quote.clause for flag in judgement.flags for quote in flag.before}
    flagged_after = {quote.clause for flag in judgement.flags for quote in flag.after}
    open_changes = [
        change
        for change in judgement.telling
        if change.before not in flagged_before and change.after not in flagged_after
    ]
    hidden: set[ClauseChange] = set()
    if open_changes:
        before = [mark(clause) for clause in comparison.before]
        after = [mark(clause) for clause in comparison.after]
        for part in parts:
            hidden.update(_in_part(part, comparison, before, after, open_changes))
    return frozenset(hidden)


def _in_part(
    part: Part,
    comparison: Comparison,
    before: Sequence[bytes],
    after: Sequence[bytes],
    changes: Iterable[ClauseChange],
) -> list[ClauseChange]:
    old, new = _range(before, part), _range(after, part)
    if old is None or new is None or _count(comparison.after[new[0] : new[1]]) > _ROOM * part.words + _SPARE:
        return []

    def is_in(change: ClauseChange) -> bool:
        stood = change.before is None or (old[0] <= change.before < old[1] and before[change.before] not in part.steady)
        return stood and (change.after is None or new[0] <= change.after < new[1])

    return [change for change in changes if is_in(change)]


def _range(marks: Sequence[bytes], part: Part) -> tuple[int, int] | None:
    """Where the part stands in a text; `None` when what it stands between is gone."""
    try:
        start = marks.index(part.above) + 1 if part.above else 0
        end = marks.index(part.below, start) if part.below else len(marks)
    except ValueError:
        return None
    return start, end


def place(clauses: Sequence[Clause], part: Part) -> tuple[int, int] | None:
    """Where a part stands in a text, as the places of its first clause and of the one after it; `None` if it does not."""
    return _range([mark(clause) for clause in clauses], part)
