"""Times as people say them. The exact one in UTC always stands beside, in the markup and on hover."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

_UNITS = (
    (365 * 86400, "year"),
    (30 * 86400, "month"),
    (7 * 86400, "week"),
    (86400, "day"),
    (3600, "hour"),
    (60, "minute"),
)


def span(length: timedelta) -> str:
    """ "3 hours", "1 day"; "a moment" for less than a minute. Whole units, the largest that fits."""
    seconds = abs(length.total_seconds())
    for size, name in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "a moment"


def ago(at: datetime, now: datetime) -> str:
    """ "3 hours ago", "in 20 minutes"."""
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def days_until(on: date, today: date) -> str:
    """How far a day is off: "in 28 days", "today", "9 days ago"."""
    days = (on - today).days
    if days == 0:
        return "today"
    return f"{'in ' if days > 0 else ''}{abs(days)} day{'' if abs(days) == 1 else 's'}{'' if days > 0 else ' ago'}"


def instant(written: str) -> datetime | None:
    """The instant that a date or a time in ISO 8601 names, `None` if it is neither.

    A date stands for its last moment in UTC, so that "the text on that day" includes what came in on it; a time without
    a zone is taken as UTC.
    """
    try:
        if len(written) == 10:
            day = date.fromisoformat(written)
            return datetime(day.year, day.month, day.day, 23, 59, 59, 999999, UTC)
        at = datetime.fromisoformat(written)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
