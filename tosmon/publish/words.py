"""The words that people read for severities, directions, topics and dates, in one place for feeds, mail and web."""

from __future__ import annotations

from datetime import date, datetime

from tosmon.model import AlertKind, Direction
from tosmon.publish.text import line

SEVERITY = {"high": "High severity", "medium": "Medium severity", "low": "Low severity"}

# A sign and words for each direction, never a colour alone.
DIRECTION = {
    Direction.WORSE: ("▼", "Worse for you"),
    Direction.BETTER: ("▲", "Better for you"),
    Direction.MIXED: ("◆", "Better and worse"),
    Direction.NEUTRAL: ("●", "Neutral"),
}

_TOPICS = {
    "ai_training": "AI training on your work",
    "ai_restriction": "What others may do with AI",
    "ai_other": "AI, other terms",
    "content_license": "Licence to your content",
    "service_license": "Licence to the service",
}

TOPICS = tuple(_TOPICS)
"""The topics that tosmon brings rules for; others may come with rules of one's own."""

KIND = {
    AlertKind.UNCONFIRMED: ("Unconfirmed", "Seen once so far: a second look will confirm or correct this."),
    AlertKind.CORRECTION: ("Correction", "This corrects what was told before."),
    AlertKind.WITHDRAWN: ("Withdrawn", "The change told before has been taken back."),
    AlertKind.REMINDER: ("Reminder", "Told before: this is the day it takes effect."),
}
"""For all kinds but a plain change: a word before the headline, and a sentence that explains it."""

# Not strftime's: its months follow the machine's locale.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def topic_name(topic: str) -> str:
    return _TOPICS.get(topic) or line(topic.replace("_", " ")).capitalize() or "Other"


def day(value: date) -> str:
    """15 November 2024"""
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"


def moment(value: datetime) -> str:
    """21 October 2024, 14:03 UTC"""
    return f"{day(value)}, {value:%H:%M} UTC"


def applies(effective: date, seen: datetime) -> str:
    """Applies from 15 November 2024; "Applied" when that day was past when the change was seen."""
    return f"{'Applies' if effective >= seen.date() else 'Applied'} from {day(effective)}"
