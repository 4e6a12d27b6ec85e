"""Who of the subscribers gets an alert, and when: at once, or with the next digest of theirs.

A digest is due at an hour of the subscriber's own clock, so summer time moves it as it moves them. Decides from
values alone: no archive, no clock.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from unicodedata import normalize
from zoneinfo import ZoneInfo

from tosmon.model import (
    Addressee,
    Alert,
    AlertKind,
    Choices,
    Frequency,
    Subscriber,
    SubscriberState,
    TermsKey,
)
from tosmon.publish.headers import mail_address

FOLLOW_UPS = frozenset((AlertKind.CORRECTION, AlertKind.WITHDRAWN, AlertKind.REMINDER))
"""Alerts that go to whoever was told of the change: to others they would say nothing."""


def wants(choices: Choices, alert: Alert) -> bool:
    """Whether an alert passes all filters; one flag with a topic, or one tag, is enough."""
    return (
        alert.severity.rank >= choices.severity.rank
        and (not choices.topics or any(flag.topic in choices.topics for flag in alert.flags))
        and (not choices.services or alert.service in choices.services)
        and (not choices.tags or not set(alert.tags).isdisjoint(choices.tags))
    )


def addressed(
    channel: str, subscriber: Subscriber, alert: Alert, now: datetime, told: Collection[tuple[str, str]]
) -> Addressee | None:
    """How an alert goes to this subscriber; `None` when it does not.

    `told` are channel and recipient of everyone who was told of the same change, which decides about follow-ups.
    """
    if subscriber.state is not SubscriberState.CONFIRMED or subscriber.paused:
        return None
    if TermsKey(alert.service, alert.type) in subscriber.muted:
        return None
    if alert.kind in FOLLOW_UPS:
        if (channel, subscriber.address) not in told:
            return None
    elif not wants(subscriber.choices, alert):
        return None
    due = next_digest(subscriber.choices, now)
    bundle = f"{subscriber.choices.frequency.value} {due.isoformat()}" if due is not None else ""
    return Addressee(channel, subscriber.address, due, bundle)


def next_digest(choices: Choices, after: datetime) -> datetime | None:
    """When the next digest goes, in UTC and strictly after that time; `None` for who is told at once.

    An hour that summer time skips is made up for as soon as it is over; of one that comes twice the first counts. So
    each day (or week) of the subscriber has one digest.
    """
    if choices.frequency is Frequency.IMMEDIATE:
        return None
    weekday = choices.weekday if choices.frequency is Frequency.WEEKLY else None
    return _next(choices.hour, weekday, choices.zone, after)


@lru_cache(maxsize=1024)  # all who chose the same hour are asked about at the same moment
def _next(hour: int, weekday: int | None, zone_name: str, after: datetime) -> datetime:
    zone = zone_of(zone_name)
    today = after.astimezone(zone).date()
    # A week ahead always holds the day asked for; a day back and two on, for zones that skipped or repeated one.
    days = (today + timedelta(days=offset) for offset in range(-1, 10))
    moments = (_moment(day, hour, zone) for day in days if weekday is None or day.weekday() == weekday)
    return min(moment for moment in moments if moment > after)


def _moment(day: date, hour: int, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def checked_address(written: str) -> str | None:
    """A mail address as it is kept (composed letters, its domain in ASCII), or `None` if we would write to no such one."""
    address = mail_address(normalize("NFC", written)) if len(written) <= 254 else None
    if address is None or "." not in address.domain.strip("."):
        return None
    return f"{address.username}@{address.domain.lower()}"


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo:
    """The time zone of that name; UTC for one that this machine knows no more, for telling late beats not telling."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; a name of a folder an OSError
        return UTC
