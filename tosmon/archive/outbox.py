"""The outbox: notifications wait here until a channel has taken them.

Claim, send, settle are separate, short transactions. A process that dies between claim and settle leaves a claim that
runs out; the notification is then sent again with the same Message-ID (HOUSE.md: that is what SMTP makes unknowable).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Row, and_, func, or_, select, update

from tosmon.archive import schema as t
from tosmon.archive.coding import alert_from_json
from tosmon.archive.rows import NotificationRow
from tosmon.model import Notification, NotificationState

_PENDING, _CLAIMED = NotificationState.PENDING.value, NotificationState.CLAIMED.value


class Outbox:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim_notifications(self, now: datetime, limit: int, lease: timedelta) -> list[Notification]:
        """Take up to `limit` notifications that are due, oldest first, for as long as `lease`."""
        columns = t.notification.c
        due = or_(
            and_(columns.state == _PENDING, columns.not_before <= now),
            and_(columns.state == _CLAIMED, columns.claimed_until <= now),
        )
        with self._engine.begin() as connection:
            rows = connection.execute(
                select(t.notification, t.alert.c.body, t.alert.c.id.label("alert_row_id"))
                .join(t.alert, t.alert.c.id == columns.alert_id)
                .where(due)
                .order_by(columns.not_before, columns.id)
                .limit(limit)
                .with_for_update(of=t.notification, skip_locked=True)
            ).all()
            if rows:
                connection.execute(
                    update(t.notification)
                    .where(columns.id.in_([row.id for row in rows]))
                    .values(state=_CLAIMED, claimed_until=now + lease, attempts=columns.attempts + 1)
                )
        return [_notification(row) for row in rows]

    def settle_sent(self, notification_id: int, now: datetime) -> None:
        self._settle(notification_id, state=NotificationState.SENT.value, sent_at=now, error="")

    def settle_failed(self, notification_id: int, now: datetime, error: str, retry_at: datetime | None) -> None:
        """Try again at `retry_at`; with `None` it becomes a dead letter, which only an operator sends again."""
        if retry_at is None:
            self._settle(notification_id, state=NotificationState.DEAD.value, error=error)
        else:
            self._settle(notification_id, state=_PENDING, not_before=retry_at, error=error)

    def _settle(self, notification_id: int, **values: Any) -> None:
        mine = and_(t.notification.c.id == notification_id, t.notification.c.state == _CLAIMED)
        with self._engine.begin() as connection:
            connection.execute(update(t.notification).where(mine).values(claimed_until=None, **values))

    def revive(self, notification_id: int, now: datetime) -> bool:
        """Send a dead letter again; false when there is none of that id."""
        dead = and_(t.notification.c.id == notification_id, t.notification.c.state == NotificationState.DEAD.value)
        with self._engine.begin() as connection:
            done = connection.execute(
                update(t.notification).where(dead).values(state=_PENDING, not_before=now, attempts=0)
            )
        return done.rowcount == 1

    def next_due(self) -> datetime | None:
        """When the next notification may be sent; `None` when none waits."""
        with self._engine.connect().execution_options(reads=True) as connection:
            waits = t.notification.c.state == _PENDING
            found: datetime | None = connection.execute(
                select(func.min(t.notification.c.not_before)).where(waits)
            ).scalar()
            return found

    def counts(self) -> dict[str, int]:
        """How many notifications are in each state."""
        query = select(t.notification.c.state, func.count().label("count")).group_by(t.notification.c.state)
        with self._engine.connect().execution_options(reads=True) as connection:
            return {row.state: int(row._mapping["count"]) for row in connection.execute(query)}

    def notifications(self, state: NotificationState | None = None, limit: int = 100) -> list[NotificationRow]:
        """The latest deliveries, for the operator."""
        query = select(t.notification, t.alert.c.uid, t.alert.c.body).join(
            t.alert, t.alert.c.id == t.notification.c.alert_id
        )
        if state is not None:
            query = query.where(t.notification.c.state == state.value)
        with self._engine.connect().execution_options(reads=True) as connection:
            rows = connection.execute(query.order_by(t.notification.c.id.desc()).limit(limit)).all()
        return [
            NotificationRow(
                row.id,
                row.uid,
                alert_from_json(row.body).headline,
                row.channel,
                row.recipient,
                row.state,
                row.attempts,
                row.not_before,
                row.error,
            )
            for row in rows
        ]


def _notification(row: Row[Any]) -> Notification:
    return Notification(
        row.id,
        alert_from_json(row.body),
        row.channel,
        row.recipient,
        row.message_id,
        row.attempts + 1,
        row.created_at,
    )
