"""Split one text after another of a document, looking only at what differs from the text before.

Recorded histories repeat themselves: two texts in a row mostly differ in one place. The clauses around it are the ones
of the text before, the very same objects, which makes everything after cheaper, too. Gives what `clauses.split` gives
(a test holds the two together).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate

from tosmon.clauses import split
from tosmon.model import Clause


class Splitter:
    """Remembers the last text that it split; `words` are those of that text, as white space parts them."""

    def __init__(self) -> None:
        self._text = ""
        self._clauses: tuple[Clause, ...] = ()
        self._starts: list[int] = []
        self.words = 0
        self.bases: dict[str, str] = {}
        """Clauses of the last text that stand where others stood in the text before, by their texts."""

    def split(self, text: str) -> tuple[Clause, ...]:
        first, end_before, last, end_after = self._changed(text)
        between = split(text[first.offset : end_after])
        if end_after < len(text) and not between:
            first, end_before, last, end_after = _Place(0, 0), len(self._text), len(self._clauses), len(text)
            between = split(text)
        gone = self._clauses[first.number : last]
        self.words += len(text[first.offset : end_after].split())
        self.words -= len(self._text[first.offset : end_before].split())
        self.bases = (
            {new.text: old.text for old, new in zip(gone, between, strict=True)} if len(gone) == len(between) else {}
        )
        self._clauses = (*self._clauses[: first.number], *between, *self._clauses[last:])
        self._text = text
        self._starts = [
            0,
            *accumulate(len(clause.lead) + len(clause.text) + len(clause.tail) for clause in self._clauses),
        ]
        return self._clauses

    def _changed(self, text: str) -> tuple[_Place, int, int, int]:
        """What must be split: from a clause on (its number and offset), to an offset of the text before, which is the
        start of a clause (its number), and to an offset of the new text."""
        before = self._text
        whole = _Place(0, 0), len(before), len(self._clauses), len(text)
        if not self._clauses:
            return whole
        head = _common(before, text)
        # The clause that the difference is in, and the one before, whose end it may decide.
        number = max(0, bisect_right(self._starts, head) - 3)
        first = _Place(number, self._starts[number])
        room = min(len(before), len(text)) - first.offset
        tail = _common_end(before, text, room)
        number = bisect_left(self._starts, len(before) - tail, lo=number + 1)
        while number < len(self._clauses):
            gap = self._clauses[number - 1].tail
            # After an empty line a clause begins, whatever stands above; that line must stand in both texts.
            if gap.endswith("\n\n") and self._starts[number] - len(gap) >= len(before) - tail:
                offset = self._starts[number]
                return first, offset, number, offset + len(text) - len(before)
            number += 1
        return first, len(before), len(self._clauses), len(text)


class _Place:
    __slots__ = ("number", "offset")

    def __init__(self, number: int, offset: int) -> None:
        self.number, self.offset = number, offset


def _common(one: str, other: str) -> int:
    """How many letters two texts have in common at the start; by halves, for slices compare as fast as memory goes."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(one: str, other: str, most: int) -> int:
    low, high = 0, max(0, most)
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low
