"""When to look at a document next: pure functions of what is known, without a clock and without the archive.

Each document has its own slot in the interval, by a stable hash of its key: a thousand documents that are looked at in
one go are spread over the next hour, and stay spread after a restart, a failure or a look by hand. A document that
fails is looked at less and less, but several times a day for ever: "never go blind" outweighs the requests saved.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta

from tosmon.model import Terms, TermsKey

LONGEST_BACKOFF = timedelta(hours=6)
LONGEST_RETRY_AFTER = timedelta(days=7)
SHORTEST_ADAPTED = timedelta(minutes=15)
RESTLESS = timedelta(days=2)
"""How long a document is looked at twice as often after a change of its text, and before an announced day."""

_PATIENT_FAILURES = 2  # most failures of a look are over at the next one: only the third in a row is backed off from
_NO_TIME = timedelta(0)


def next_check(
    terms: Terms,
    now: datetime,
    *,
    failures: int = 0,
    retry_after: timedelta | None = None,
    confirm_after: timedelta | None = None,
) -> datetime:
    """When to look again after a look that ended `now`.

    `failures` counts the looks in a row that gave no whole text, this one included. `retry_after` is what the server
    asked for. `confirm_after` is given when a change waits for its second look: that comes first, unless the server
    asked for more patience.
    """
    if failures:
        due = now + backoff(failures, terms.interval)
    elif confirm_after is not None:
        due = now + confirm_after
    else:
        # Not the slot that is all but here: after a look by hand there is nothing new to see in a moment.
        due = _next_slot(terms.key, terms.interval, now + terms.interval / 10)
    return max(due, now + min(retry_after or _NO_TIME, LONGEST_RETRY_AFTER))


def backoff(failures: int, interval: timedelta) -> timedelta:
    """How long to wait after the n-th failure in a row: the interval, but at most an hour, then doubling.

    Never longer than LONGEST_BACKOFF, so a document that is looked at once a week is not blind for a week after one
    failure.
    """
    first = min(interval, timedelta(hours=1))
    doublings = min(max(0, failures - _PATIENT_FAILURES), 16)
    wait: timedelta = first * 2**doublings
    return min(wait, max(first, LONGEST_BACKOFF))


def adapted(interval: timedelta, today: date, changed: date | None, effective: date | None) -> timedelta:
    """The interval for a document that changed on one day and announced another: half of it while it is restless.

    Platforms mend their announcements in the first days, and the days around the announced one. Never shorter than
    SHORTEST_ADAPTED, unless the interval itself is.
    """
    near = any(day is not None and abs(today - day) <= RESTLESS for day in (changed, effective))
    return max(interval / 2, min(interval, SHORTEST_ADAPTED)) if near else interval


def _next_slot(key: TermsKey, interval: timedelta, now: datetime) -> datetime:
    """The first moment after `now` that belongs to the document."""
    step = max(interval, timedelta(seconds=1)) / timedelta(microseconds=1)
    phase = _fraction(key) * step
    passed = (now - _EPOCH) / timedelta(microseconds=1)
    slot = (int((passed - phase) // step) + 1) * step + phase
    return max(_EPOCH + timedelta(microseconds=round(slot)), now + timedelta(microseconds=1))


_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def _fraction(key: TermsKey) -> float:
    """A number from 0 up to 1 that depends on the key alone (Python's own hash changes with each process)."""
    digest = hashlib.sha256(f"{key.service}\0{key.type}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
