"""Render many alerts for one recipient as one mail: the worst first, by service, and only what each means.

A digest is read standing up: which platforms, which way, from when, and the sentence that decides it; everything else
is one link away. What does not fit is still named, one line each, and what is not even named is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage

from tosmon.model import Alert, Direction, Notification, Severity, TermsKey
from tosmon.publish.headers import NO_WAYS_OUT, MailSettings, WaysOut, new_message
from tosmon.publish.links import on
from tosmon.publish.mail import common_values, fill
from tosmon.publish.text import line, web_address
from tosmon.publish.told import Room, Told, tell
from tosmon.publish.words import SEVERITY

_WORSE = {Direction.WORSE: 0, Direction.MIXED: 1, Direction.BETTER: 2, Direction.NEUTRAL: 3}


@dataclass(frozen=True, slots=True)
class _Fit:
    """How much of a digest is shown: `whole` alerts in that much room each, `named` others by their headline alone."""

    whole: int
    named: int
    room: Room


# Each next one is tried when the mail is larger than allowed; a median alert takes 3 kB in the first.
_FITS = (
    _Fit(40, 200, Room(flags=3, passages=2, characters=1500, around=80, longest=420)),
    _Fit(25, 150, Room(flags=2, passages=1, characters=500, around=60, longest=260)),
    _Fit(12, 100, Room(flags=1, passages=1, characters=240, around=40, longest=160)),
    _Fit(0, 60, Room(flags=0, passages=0, characters=0)),
    _Fit(0, 12, Room(flags=0, passages=0, characters=0)),
)


@dataclass(frozen=True, slots=True)
class _Group:
    """The alerts of one service, in the order they are read."""

    service_name: str
    alerts: tuple[Told, ...]


def digest(
    notification: Notification, settings: MailSettings, *, now: datetime, ways_out: WaysOut = NO_WAYS_OUT
) -> EmailMessage:
    """The mail that tells of all alerts of a bundle; raises `DeliveryError` (see `new_message`)."""
    alerts = in_order(notification.alerts)
    for fit in _FITS:
        message = _message(notification, alerts, fit, settings, now, ways_out)
        if len(message.as_bytes()) <= settings.largest:
            break
    return message


def in_order(alerts: Sequence[Alert]) -> list[Alert]:
    """Worst first: by severity, then by direction, then as they were told."""
    return sorted(alerts, key=lambda alert: (-alert.severity.rank, _direction(alert), alert.at, alert.uid))


def _direction(alert: Alert) -> int:
    return min((_WORSE[flag.direction] for flag in alert.flags), default=len(_WORSE))


def digest_subject(alerts: Sequence[Alert]) -> str:
    """`HIGH · 3 changes of terms: X, Y and 1 more`: how bad the worst is, how many, and whose."""
    count = f"{len(alerts)} changes of terms" if len(alerts) != 1 else "1 change of terms"
    names = list(dict.fromkeys(line(alert.service_name, 40) or line(alert.service, 40) for alert in alerts))
    who = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return line(f"{alerts[0].severity.value.upper()} · {count}: {who}", 180)


def _message(
    notification: Notification,
    alerts: Sequence[Alert],
    fit: _Fit,
    settings: MailSettings,
    now: datetime,
    ways_out: WaysOut,
) -> EmailMessage:
    feeds = settings.feeds
    subject = digest_subject(alerts)
    message = new_message(settings, notification.recipient, subject, notification.message_id, now, ways_out.unsubscribe)
    whole = [tell(alert, feeds, fit.room) for alert in alerts[: fit.whole]]
    brief = Room(flags=0, passages=0, characters=0)
    named = [tell(alert, feeds, brief) for alert in alerts[fit.whole : fit.whole + fit.named]]
    counts = [(severity.value, sum(alert.severity is severity for alert in alerts)) for severity in Severity]
    values = {
        "title": subject,
        "preview": line(" · ".join(one.headline for one in [*whole, *named][:4]), 160),
        "counts": [(name, SEVERITY[name], count) for name, count in counts if count],
        "worst": alerts[0].severity.value,
        "groups": _groups(whole),
        "named": named,
        "left_out": len(alerts) - len(whole) - len(named),
        "flood": notification.is_flood,
        "first": min(alert.at for alert in alerts),
        "last": max(alert.at for alert in alerts),
        "latest_url": on(feeds.site_url, "/"),
        "mutes": {
            told.document_url: web_address(ways_out.mutes.get(TermsKey(alert.service, alert.type), ""))
            for told, alert in zip(whole, alerts, strict=False)
        },
    }
    fill(message, "digest", values | common_values(settings, ways_out))
    return message


def _groups(told: Sequence[Told]) -> list[_Group]:
    """By service, in the order of the worst of each."""
    by_service: dict[str, list[Told]] = {}
    for one in told:
        by_service.setdefault(one.service_name, []).append(one)
    return [_Group(name, tuple(alerts)) for name, alerts in by_service.items()]
