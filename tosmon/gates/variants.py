"""Texts that a platform serves in turn at one address: by language, by region, in a test.

Each is a document of its own, so flips between them are never news. Here they are recognised, for the operator to
declare apart. Pure: what was seen comes in as an argument.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

_TURNS = 2  # an error page and the way back is no variant: at least two texts must have come twice


@dataclass(frozen=True, slots=True)
class Seen:
    """A text that came at some time. `urls` are where the answers came from."""

    version_id: int
    at: datetime
    canonical_digest: bytes
    language: str | None
    words: int
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """One of several texts served in turn; `last` is when it came last, `turns` how often it did."""

    turns: int
    last: Seen


def variants(seen: Sequence[Seen]) -> tuple[Variant, ...]:
    """The texts among these (oldest first) that come in turn, the most frequent first; none when there are no two."""
    runs = [list(run)[-1] for _, run in groupby(seen, key=lambda one: one.canonical_digest)]
    turns = Counter(run.canonical_digest for run in runs)
    last = {run.canonical_digest: run for run in runs}
    found = [Variant(times, last[digest]) for digest, times in turns.items() if times >= _TURNS]
    return tuple(sorted(found, key=lambda one: (-one.turns, one.last.version_id))) if len(found) > 1 else ()


def told_apart_by(found: Sequence[Variant]) -> str:
    """What tells the variants apart: "language", "address", or else "region or test"."""
    if len({one.last.language for one in found}) > 1:
        return "language"
    return "address" if len({one.last.urls for one in found}) > 1 else "region or test"
