"""How long a text is and how much of another it says, quickly: measures for a doubt, not for a comparison."""

from __future__ import annotations

import re
from collections.abc import Set

_SHINGLE = 4
_READ = 40_000
# Scripts without spaces count by letters, as `tosmon.clauses.words` does.
_SINGLY = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0eff"
_WORD = re.compile(f"[{_SINGLY}]|[^\\W{_SINGLY}]+")
_ASCII_WORD = re.compile(r"\w+", re.ASCII)


def words_of(text: str) -> list[str]:
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def count(text: str) -> int:
    """How many words a text has."""
    return len(words_of(text))


def likeness(one: str, other: str) -> float:
    """How much of the shorter text stands in the other (0 to 1): by lines, else by runs of four words."""
    by_lines = _share(_lines(one), _lines(other))
    return by_lines if by_lines >= 0.5 else max(by_lines, _share(_shingles(one), _shingles(other)))


def _lines(text: str) -> set[str]:
    return {line for line in map(str.strip, text.splitlines()) if len(line) > 40}


def _shingles(text: str) -> set[tuple[str, ...]]:
    found = words_of(text[:_READ].lower())
    return {tuple(found[start : start + _SHINGLE]) for start in range(max(1, len(found) - _SHINGLE + 1))}


def _share(one: Set[object], other: Set[object]) -> float:
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0
