"""The outbox: notifications wait here until a channel has taken them.

Claim, send, settle are separate, short transactions. A process that dies between claim and settle leaves a claim that
runs out; the notification is then sent again with the same Message-ID (HOUSE.md: that is what SMTP makes unknowable).
A digest is sealed at its first claim: what it holds never changes after that, whoever dies, so the same Message-ID
always means the same mail.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Integer, Row, and_, func, or_, select, text, update

from tosmon.archive import schema as t
from tosmon.archive.coding import alert_from_json
from tosmon.archive.rows import NotificationRow, Waiting
from tosmon.model import FLOOD, Alert, Notification, NotificationState

_PENDING, _CLAIMED = NotificationState.PENDING.value, NotificationState.CLAIMED.value
_DEAD, _SENT = NotificationState.DEAD.value, NotificationState.SENT.value
_HOUR = timedelta(hours=1)

_n = t.notification.c


class Outbox:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- for delivery ----------------------------------------------------------------------------------------------

    def claim(
        self, channel: str, now: datetime, lease: timedelta, *, most_an_hour: int | None = None
    ) -> Notification | None:
        """Take the notification (or digest) of this channel that is due for longest; nobody else gets it for `lease`.

        With `most_an_hour`, alerts beyond so many for one recipient within an hour are bundled: one goes at once, what
        comes after it an hour later.
        """
        with self._engine.begin() as connection:
            _one_at_a_time(connection)
            row = _first_due(connection, channel, now)
            if row is not None and most_an_hour is not None and _is_flood(connection, row, now, most_an_hour):
                _bundle_flood(connection, row, now)
                row = _first_due(connection, channel, now)
            return None if row is None else _claimed(connection, row, now, lease)

    def settle_sent(self, notification_id: int, now: datetime) -> None:
        self._settle(notification_id, state=_SENT, sent_at=now, error="")

    def settle_failed(
        self, notification_id: int, now: datetime, error: str, retry_at: datetime | None, *, refused: bool = False
    ) -> None:
        """Try again at `retry_at`; with `None` it becomes a dead letter, which only an operator sends again.

        `refused`: for good, because there is no such recipient.
        """
        if retry_at is None:
            self._settle(notification_id, state=_DEAD, error=error, refused=refused, sent_at=now)
        else:
            self._settle(notification_id, state=_PENDING, not_before=retry_at, error=error)

    def _settle(self, notification_id: int, **values: Any) -> None:
        mine = and_(_of_mail(notification_id), _n.state == _CLAIMED)
        with self._engine.begin() as connection:
            connection.execute(update(t.notification).where(mine).values(claimed_until=None, **values))

    def refusals(self, channel: str, recipient: str) -> int:
        """How many times in a row this recipient was refused for good, up to the latest."""
        query = (
            select(_n.refused)
            .where(_n.channel == channel, _n.recipient == recipient, _n.state.in_((_SENT, _DEAD)))
            .where(or_(_n.lead_id.is_(None), _n.lead_id == _n.id))
            .order_by(_n.sent_at.desc(), _n.id.desc())
            .limit(20)
        )
        with self._engine.connect().execution_options(reads=True) as connection:
            refused = list(connection.execute(query).scalars())
        return refused.index(False) if False in refused else len(refused)

    def put_off(self, channel: str, now: datetime, until: datetime, error: str) -> int:
        """Let all that is due for a channel wait, as it cannot be used now; how many that were."""
        return self._put_off(_n.channel == channel, now, until, error)

    def put_off_others(self, channels: Collection[str], now: datetime, until: datetime, error: str) -> int:
        """The same for all that waits for a channel that is none of these."""
        return self._put_off(_n.channel.not_in(list(channels)), now, until, error)

    def _put_off(self, which: ColumnElement[bool], now: datetime, until: datetime, error: str) -> int:
        waits = and_(which, _n.state == _PENDING, _n.not_before <= now)
        with self._engine.connect().execution_options(reads=True) as connection:
            if connection.execute(select(_n.id).where(waits).limit(1)).first() is None:  # no write lock for nothing
                return 0
        with self._engine.begin() as connection:
            return connection.execute(
                update(t.notification).where(waits).values(not_before=until, error=error)
            ).rowcount

    def anything_due(self, channel: str, now: datetime) -> bool:
        """Whether something waits for this channel; it may be taken already."""
        with self._engine.connect().execution_options(reads=True) as connection:
            return (
                connection.execute(select(_n.id).where(_n.channel == channel, _due(now)).limit(1)).first() is not None
            )

    # --- for the operator ------------------------------------------------------------------------------------------

    def revive(self, notification_id: int, now: datetime) -> bool:
        """Send a dead letter again, with all that was in the same mail; false when there is none of that id."""
        return self._turn((NotificationState.DEAD,), notification_id, state=_PENDING, not_before=now, attempts=0)

    def revive_all(self, now: datetime) -> int:
        """Send all dead letters again; how many notifications that are."""
        with self._engine.begin() as connection:
            done = connection.execute(
                update(t.notification).where(_n.state == _DEAD).values(state=_PENDING, not_before=now, attempts=0)
            )
        return done.rowcount

    def hurry(self, notification_id: int, now: datetime) -> bool:
        """Try a waiting notification (and its digest) at once; false when none of that id waits."""
        return self._turn((NotificationState.PENDING,), notification_id, not_before=now)

    def drop(self, notification_id: int) -> bool:
        """Send it no more, be it waiting or dead; false when there is none of that id."""
        states = (NotificationState.PENDING, NotificationState.DEAD)
        return self._turn(states, notification_id, state=NotificationState.DROPPED.value)

    def _turn(self, states: Collection[NotificationState], notification_id: int, **values: Any) -> bool:
        with self._engine.begin() as connection:
            lead = connection.execute(select(_n.lead_id).where(_n.id == notification_id)).scalar()
            mine = and_(_of_mail(lead or notification_id), _n.state.in_([state.value for state in states]))
            return connection.execute(update(t.notification).where(mine).values(**values)).rowcount > 0

    def counts(self) -> dict[str, int]:
        """How many notifications are in each state."""
        query = select(_n.state, func.count().label("count")).group_by(_n.state)
        with self._engine.connect().execution_options(reads=True) as connection:
            return {row.state: int(row._mapping["count"]) for row in connection.execute(query)}

    def waiting(self) -> list[Waiting]:
        """For each channel how many notifications wait and are dead, since when, and what its latest trouble was."""
        query = (
            select(
                _n.channel,
                func.sum(_n.state.in_((_PENDING, _CLAIMED)).cast(Integer)).label("waiting"),
                func.sum((_n.state == _DEAD).cast(Integer)).label("dead"),
                func.min(_n.created_at).label("since"),
                func.min(_n.not_before).label("next"),
            )
            .where(_n.state.in_((_PENDING, _CLAIMED, _DEAD)))
            .group_by(_n.channel)
            .order_by(_n.channel)
        )
        with self._engine.connect().execution_options(reads=True) as connection:
            return [Waiting(r.channel, r.waiting, r.dead, r.since, r.next) for r in connection.execute(query)]

    def notifications(
        self, state: NotificationState | None = None, limit: int = 100, *, recipient: str | None = None
    ) -> list[NotificationRow]:
        """The latest deliveries, for the operator."""
        query = _listed()
        if state is not None:
            query = query.where(_n.state == state.value)
        if recipient is not None:
            query = query.where(_n.recipient == recipient)
        with self._engine.connect().execution_options(reads=True) as connection:
            rows = connection.execute(query.order_by(_n.id.desc()).limit(limit)).all()
        return [_notification_row(row) for row in rows]

    def notification(self, notification_id: int) -> NotificationRow | None:
        """One delivery; `None` when there is none of that id."""
        with self._engine.connect().execution_options(reads=True) as connection:
            row = connection.execute(_listed().where(_n.id == notification_id)).one_or_none()
        return None if row is None else _notification_row(row)

    def unsent(self, notification_id: int) -> Notification | None:
        """A delivery as it would be handed over now, without taking it; `None` when there is none of that id."""
        with self._engine.connect().execution_options(reads=True) as connection:
            row = connection.execute(_with_alert().where(_n.id == notification_id)).one_or_none()
            if row is None:
                return None
            rows = connection.execute(_with_alert().where(_of_mail(row.lead_id or row.id)).order_by(_n.id)).all()
        return _notification(rows, rows[0].attempts)


# --- claiming ----------------------------------------------------------------------------------------------------


def _one_at_a_time(connection: Connection) -> None:
    """Claims look at several rows before they take some. SQLite has locked the file already; others are asked to."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(7066811)"))


def _due(now: datetime) -> ColumnElement[bool]:
    waits = and_(_n.state == _PENDING, _n.not_before <= now)
    return or_(waits, and_(_n.state == _CLAIMED, _n.claimed_until <= now))


def _first_due(connection: Connection, channel: str, now: datetime) -> Row[Any] | None:
    query = select(t.notification).where(_n.channel == channel, _due(now))
    return connection.execute(query.order_by(_n.not_before, _n.id).limit(1)).one_or_none()


def _claimed(connection: Connection, row: Row[Any], now: datetime, lease: timedelta) -> Notification:
    lead = row.lead_id
    if row.bundle and lead is None:
        lead = _sealed(connection, row, now)
    mine = _of_mail(lead or row.id)
    rows = connection.execute(_with_alert().where(mine, _n.state.in_((_PENDING, _CLAIMED))).order_by(_n.id)).all()
    values = {"state": _CLAIMED, "claimed_until": now + lease, "attempts": _n.attempts + 1}
    connection.execute(
        update(t.notification)
        .where(_n.id.in_(select(_n.id).where(mine, _n.state.in_((_PENDING, _CLAIMED)))))
        .values(values)
    )
    return _notification(rows, row.attempts + 1)


def _sealed(connection: Connection, row: Row[Any], now: datetime) -> int:
    """Fix what goes into this mail: all that is due of the bundle now. Its first notification stands for it."""
    same = and_(
        _n.channel == row.channel,
        _n.recipient == row.recipient,
        _n.bundle == row.bundle,
        _n.lead_id.is_(None),
        _n.state == _PENDING,
        _n.not_before <= now,
    )
    lead: int = connection.execute(select(func.min(_n.id)).where(same)).scalar_one()
    connection.execute(update(t.notification).where(same).values(lead_id=lead))
    return lead


def _of_mail(lead_id: int) -> ColumnElement[bool]:
    """All that goes in the mail of this notification."""
    return or_(_n.id == lead_id, _n.lead_id == lead_id)


def _with_alert() -> Any:
    return select(t.notification, t.alert.c.body).join(t.alert, t.alert.c.id == _n.alert_id)


def _notification(rows: Any, attempts: int) -> Notification:
    first, *rest = rows
    more: tuple[Alert, ...] = tuple(alert_from_json(row.body) for row in rest)
    message_id = f"<digest.{first.message_id.removeprefix('<')}" if first.bundle else first.message_id
    return Notification(
        first.id,
        alert_from_json(first.body),
        first.channel,
        first.recipient,
        message_id,
        attempts,
        first.created_at,
        first.bundle,
        more,
    )


# --- floods ------------------------------------------------------------------------------------------------------


def _alone(row: Row[Any]) -> ColumnElement[bool]:
    return and_(_n.channel == row.channel, _n.recipient == row.recipient, _n.bundle == "")


def _fresh(row: Row[Any], now: datetime) -> ColumnElement[bool]:
    """What waits as a mail of its own and was never handed to anyone: an attempt may have arrived all the same."""
    return and_(_alone(row), _n.state == _PENDING, _n.attempts == 0, _n.not_before <= now)


def _is_flood(connection: Connection, row: Row[Any], now: datetime, most_an_hour: int) -> bool:
    if row.bundle or row.attempts:
        return False
    just_sent = and_(_alone(row), _n.state == _SENT, _n.sent_at > now - _HOUR)
    count = select(func.count()).where(or_(just_sent, _fresh(row, now)))
    return int(connection.execute(count).scalar_one()) > most_an_hour


def _bundle_flood(connection: Connection, row: Row[Any], now: datetime) -> None:
    """Let all that waits for a recipient go in one mail: now, or an hour after the last one of that kind."""
    floods = and_(_n.channel == row.channel, _n.recipient == row.recipient, _n.bundle.startswith(FLOOD))
    open_one = and_(floods, _n.state == _PENDING, _n.lead_id.is_(None), _n.not_before > now)
    waits = connection.execute(select(_n.bundle, _n.not_before).where(open_one).limit(1)).one_or_none()
    if waits is not None:
        bundle, due = waits.bundle, waits.not_before
    else:
        last = connection.execute(select(func.max(_n.sent_at)).where(floods, _n.state == _SENT)).scalar()
        bundle = f"{FLOOD} {now.isoformat()}"
        due = max(now, last + _HOUR) if last is not None else now
    connection.execute(update(t.notification).where(_fresh(row, now)).values(bundle=bundle, not_before=due))


# --- rows --------------------------------------------------------------------------------------------------------


def _listed() -> Any:
    return select(t.notification, t.alert.c.uid, t.alert.c.body).join(t.alert, t.alert.c.id == _n.alert_id)


def _notification_row(row: Row[Any]) -> NotificationRow:
    return NotificationRow(
        row.id,
        row.uid,
        alert_from_json(row.body).headline,
        row.channel,
        row.recipient,
        row.state,
        row.attempts,
        row.not_before,
        row.error,
        row.bundle,
        row.lead_id,
        row.refused,
        row.created_at,
        row.sent_at,
        row.message_id,
    )
