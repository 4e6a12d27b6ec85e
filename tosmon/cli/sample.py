"""An invented alert, to prove that mail and hooks are set up."""

from __future__ import annotations

from datetime import date

from tosmon.cli.wiring import now
from tosmon.model import (
    Alert,
    AlertKind,
    ClauseChangeKind,
    Direction,
    Edit,
    EditKind,
    Flag,
    Notification,
    Passage,
    Quote,
    Severity,
)
from tosmon.publish import message_id


def sample(channel: str, recipient: str, authority: str) -> Notification:
    """A notification of a change that never happened, and says so."""
    moment = now()
    uid = f"tag:{authority},{moment.date().isoformat()}:test/{int(moment.timestamp())}"
    before, after = (
        "We may use your content to run the service.",
        "We may use your content to run the service and to train our models.",
    )
    alert = Alert(
        uid=uid,
        kind=AlertKind.CHANGE,
        at=moment,
        service="Example",
        service_name="Example Arts",
        type="Terms of Service",
        url="https://example.org/terms",
        headline="A test of tosmon: Example Arts may train models on your content",
        severity=Severity.LOW,
        summary="Nothing happened. This shows that tosmon can reach you, and what it will say.",
        effective_date=date(moment.year + 1, 1, 1),
        flags=(
            Flag(
                "ai_training",
                Direction.WORSE,
                "may now train models on your content (an invented example)",
                after=(Quote("to train our models", 0, after.index("to train"), len(after) - 1, ("Your content",)),),
            ),
        ),
        passages=(
            Passage(
                ClauseChangeKind.MODIFIED,
                (
                    Edit(EditKind.SAME, before[:-1]),
                    Edit(EditKind.ADDED, " and to train our models"),
                    Edit(EditKind.SAME, "."),
                ),
                ("Your content",),
                0,
            ),
        ),
    )
    return Notification(0, alert, channel, recipient, message_id(authority, uid, recipient), 1, moment)
