"""Say which amounts changed: a fee of 5 that becomes 8 per cent is the news, though no flag is raised.

The words are those of the texts. An amount has its unit beside it, so that no number of a section or day is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from tosmon.clauses import heading_paths, plain
from tosmon.dates import find_dates
from tosmon.model import ClauseChange, Comparison

_COUNTED = (
    "one two three four five six seven eight nine ten eleven twelve fifteen twenty twenty-five thirty forty fifty"
)
_NUMBER = (
    rf"(?:\d[\d.,'’]*(?<=\d)|\b(?:{'|'.join(_COUNTED.split())}|sixty|seventy|seventy-five|eighty|ninety|hundred)\b)"
)
_CODES = "EUR USD GBP CHF JPY CAD AUD NZD SEK NOK DKK PLN CZK INR BRL CNY"
_UNIT = (
    r"(?:%|per[ -]?cent(?:age points?)?\b|[€$£¥₹]|"
    rf"(?:{'|'.join(_CODES.split())}|"
    r"euros?|(?:us )?dollars?|pounds?|cents?|crowns?|francs?|yen|rupees?|kron(?:er|or|a|e))\b)"
)
_AMOUNT = re.compile(
    rf"(?P<before>[€$£¥₹]|\b(?:{'|'.join(_CODES.split())})\b)?\s?(?P<number>{_NUMBER})(?:\s?(?P<unit>{_UNIT}))?",
    re.IGNORECASE,
)
_MOST_TOLD = 2


class Amount(NamedTuple):
    """A number with the unit that stands before or after it, as they are written."""

    before: str
    number: str
    unit: str


def amounts(comparison: Comparison, changes: Sequence[ClauseChange]) -> str:
    """ "“Fees”: 5 → 8 per cent" for the amounts that differ in reworded clauses; empty where none does.

    What else changed is counted behind, but for lines that only state another date.
    """
    paths = heading_paths(comparison.after)
    told: list[str] = []
    others = 0
    for change in changes:
        before = plain(comparison.before[change.before].text) if change.before is not None else ""
        after = plain(comparison.after[change.after].text) if change.after is not None else ""
        found = _differing(before, after)
        if found and change.after is not None:
            path = paths[change.after]
            where = f"“{path[-1]}”: " if path else ""
            told += [f"{where}{one}" for one in found]
        elif not _same_but_dates(before, after):
            others += 1
    if not told:
        return ""
    told = list(dict.fromkeys(told))
    left = len(told) - _MOST_TOLD
    parts = told[:_MOST_TOLD]
    parts += [f"{left} more amount{'s' if left > 1 else ''}"] if left > 0 else []
    parts += [f"{others} more clause{'s' if others > 1 else ''} changed"] if others else []
    return "; ".join(parts)


def _differing(before: str, after: str) -> list[str]:
    """The amounts that became others, in the order of the text; none where one came or went, which is another story."""
    old, new = _amounts(before), _amounts(after)
    if len(old) != len(new):
        return []
    return [_told(one, other) for one, other in zip(old, new, strict=True) if one != other]


def _amounts(text: str) -> list[Amount]:
    found = (
        Amount(one["before"] or "", one["number"], one["unit"] or "")
        for one in _AMOUNT.finditer(text)
        if one["before"] or one["unit"]
    )
    return list(found)


def _told(old: Amount, new: Amount) -> str:
    gap = " " if new.unit[:1].isalpha() else ""
    after = f"{_ahead(new)}{new.number}{gap}{new.unit}"
    if old.unit == new.unit and old.before == new.before:
        return f"{_ahead(old)}{old.number} → {after}"
    return f"{_ahead(old)}{old.number}{' ' if old.unit[:1].isalpha() else ''}{old.unit} → {after}"


def _ahead(amount: Amount) -> str:
    return f"{amount.before} " if amount.before[:1].isalpha() else amount.before


def _same_but_dates(before: str, after: str) -> bool:
    return bool(before and after) and _undated(before) == _undated(after)


def _undated(text: str) -> str:
    parts, at = [], 0
    for one in find_dates(text):
        parts.append(text[at : one.start])
        at = one.end
    return "".join((*parts, text[at:])).strip()
