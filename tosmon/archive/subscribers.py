"""Subscribers: who asked to be told by mail, of what and when; and the letters that they get about it.

An address counts only once its owner has said yes through a link that was mailed there. What a stranger asks for in
another's name changes nothing: the choices asked for wait in the letter that asks for the yes. Each verb is one
transaction. Knows neither links nor mails: a subscriber is named by a handle made by chance.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Row, and_, delete, func, insert, or_, select, update

from tosmon.archive import schema as t
from tosmon.archive.coding import alert_from_json
from tosmon.model import (
    Choices,
    Letter,
    LetterKind,
    NotificationState,
    Subscriber,
    SubscriberState,
    TermsKey,
)

UNCONFIRMED_KEPT = timedelta(days=30)
"""How long an address is kept whose owner never said yes, and a letter about it."""

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_MOST_TOLD = 5000  # alerts listed in a copy of one's data; the copy goes by mail

_choices = TypeAdapter(Choices)
_NONE: frozenset[TermsKey] = frozenset()


@dataclass(frozen=True, slots=True)
class AskingLimits:
    """How often letters may be asked for: for one address in a day, from one network and from all in an hour."""

    per_address: int = 3
    per_network: int = 10
    overall: int = 200


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks on the web, as keyed digests: of the address, and of the network that the request comes from."""

    address_mark: str
    network_mark: str
    limits: AskingLimits = AskingLimits()


class Confirmed(StrEnum):
    """What became of a yes."""

    NOW = "confirmed"
    ALREADY = "confirmed before"
    OUTDATED = "outdated"  # the subscriber left or was erased since that letter was written


class Subscribers:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- asking and saying yes ----------------------------------------------------------------------------------

    def ask(self, address: str, choices: Choices, now: datetime, asker: Asker | None = None) -> bool:
        """Take down that somebody wants this address to be told, and write the letter that asks its owner.

        Whoever is told already gets the link to their choices instead. Past its own limit an address gets no further
        letter, and the caller cannot tell. False, and nothing is written, when too many come from that network or at
        once. Without an `asker` (the operator) there are no limits.
        """
        with self._engine.begin() as connection:
            if asker is not None:
                connection.execute(delete(t.asking).where(t.asking.c.at < now - _DAY))
                if _too_many(connection, asker, now):
                    return False
                silent = _count(connection, t.asking.c.mark == asker.address_mark) >= asker.limits.per_address
                marks = (asker.network_mark, asker.address_mark)
                connection.execute(insert(t.asking), [{"mark": mark, "at": now} for mark in marks])
                if silent:
                    return True
            known = _by_address(connection, address)
            if known is None:
                subscriber_id = _insert_subscriber(connection, address, choices, now)
            else:
                subscriber_id = known.id
                values: dict[str, Any] = {"asked_at": now}
                if known.state == SubscriberState.ASKED:
                    values |= {"choices": _to_json(choices)}
                connection.execute(update(t.subscriber).where(t.subscriber.c.id == subscriber_id).values(**values))
            if known is not None and known.state == SubscriberState.CONFIRMED:
                _write_letter(connection, subscriber_id, LetterKind.CHOICES, None, now)
            else:
                _write_letter(connection, subscriber_id, LetterKind.CONFIRM, choices, now)
        return True

    def asked(self, handle: str, letter_id: int) -> Letter | None:
        """The letter that asked for a yes; `None` when it is no more."""
        with self._reads() as connection:
            row = connection.execute(
                _letters().where(
                    t.letter.c.id == letter_id,
                    t.letter.c.kind == LetterKind.CONFIRM.value,
                    t.subscriber.c.handle == handle,
                )
            ).first()
            return None if row is None else _letter(connection, row)

    def confirm(self, handle: str, letter_id: int, now: datetime) -> Confirmed:
        """Say yes to what that letter asks; void when the subscriber said yes or left after it was written."""
        with self._engine.begin() as connection:
            row = connection.execute(
                _letters().where(
                    t.letter.c.id == letter_id,
                    t.letter.c.kind == LetterKind.CONFIRM.value,
                    t.subscriber.c.handle == handle,
                )
            ).first()
            if row is None:
                return Confirmed.OUTDATED
            if row.settled_at is not None and row.settled_at >= row.created_at:
                return Confirmed.ALREADY if row.subscriber_state == SubscriberState.CONFIRMED else Confirmed.OUTDATED
            connection.execute(
                update(t.subscriber)
                .where(t.subscriber.c.id == row.subscriber_id)
                .values(choices=row.letter_choices or row.choices, **_yes(now))
            )
        return Confirmed.NOW

    def enrol(self, address: str, choices: Choices, now: datetime) -> None:
        """Subscribe an address whose owner has said yes to the operator."""
        with self._engine.begin() as connection:
            known = _by_address(connection, address)
            if known is None:
                subscriber_id = _insert_subscriber(connection, address, choices, now)
            else:
                subscriber_id = known.id
            values = {"choices": _to_json(choices), **_yes(now)}
            connection.execute(update(t.subscriber).where(t.subscriber.c.id == subscriber_id).values(**values))

    # --- looking up ---------------------------------------------------------------------------------------------

    def by_handle(self, handle: str) -> Subscriber | None:
        return self._one(t.subscriber.c.handle == handle)

    def by_address(self, address: str) -> Subscriber | None:
        """The subscriber with that address, whatever its letter case."""
        return self._one(t.subscriber.c.address_key == address_key(address))

    def all(self, states: Collection[SubscriberState] = tuple(SubscriberState)) -> list[Subscriber]:
        """Subscribers in these states, in the order in which they first asked."""
        with self._reads() as connection:
            rows = connection.execute(
                _subscribers()
                .where(t.subscriber.c.state.in_([state.value for state in states]))
                .order_by(t.subscriber.c.id)
            ).all()
            return _with_muted(connection, rows)

    def told_of(self, change_id: int) -> set[tuple[str, str]]:
        """Channel and recipient of everyone who was told of a change, or is about to be."""
        told = (t.notification.c.channel, t.notification.c.recipient)
        query = select(*told).join(t.alert, t.alert.c.id == t.notification.c.alert_id)
        given_up = t.notification.c.state.in_((NotificationState.DEAD.value, NotificationState.DROPPED.value))
        with self._reads() as connection:
            rows = connection.execute(query.where(t.alert.c.change_id == change_id, ~given_up).distinct())
            return {(row.channel, row.recipient) for row in rows}

    # --- choosing and leaving -----------------------------------------------------------------------------------

    def choose(self, handle: str, choices: Choices, muted: Collection[TermsKey]) -> None:
        """Change what a subscriber is told from now on. What waits for the next digest stays in it."""
        with self._engine.begin() as connection:
            found = _by_handle(connection, handle)
            if found is None:
                return
            mine = t.subscriber.c.id == found.id
            connection.execute(update(t.subscriber).where(mine).values(choices=_to_json(choices)))
            connection.execute(delete(t.muted).where(t.muted.c.subscriber_id == found.id))
            for terms_id in _terms_ids(connection, muted):
                _mute(connection, found, terms_id)

    def mute(self, handle: str, terms_id: int) -> TermsKey | None:
        """Tell them no more of a document, not even of what waits; `None` when there is no such one of either."""
        with self._engine.begin() as connection:
            found = _by_handle(connection, handle)
            key = _key_of(connection, terms_id)
            if found is None or key is None:
                return None
            known = and_(t.muted.c.subscriber_id == found.id, t.muted.c.terms_id == terms_id)
            if connection.execute(select(t.muted.c.terms_id).where(known)).first() is None:
                _mute(connection, found, terms_id)
            return key

    def terms_id(self, key: TermsKey) -> int | None:
        """What a document is called in links that mute it."""
        with self._reads() as connection:
            return next(iter(_terms_ids(connection, [key])), None)

    def document(self, terms_id: int) -> TermsKey | None:
        with self._reads() as connection:
            return _key_of(connection, terms_id)

    def pause(self, handle: str, *, paused: bool) -> None:
        """Tell them nothing until they say so; what happens meanwhile is not told later, nor is what waits now."""
        with self._engine.begin() as connection:
            found = _by_handle(connection, handle)
            if found is not None:
                mine = t.subscriber.c.id == found.id
                connection.execute(update(t.subscriber).where(mine).values(paused=paused))
                if paused:
                    _drop_waiting(connection, found.address)

    def leave(self, handle: str, now: datetime) -> bool:
        """Tell them nothing more, what waits included; false when nobody is called that."""
        with self._engine.begin() as connection:
            found = _by_handle(connection, handle)
            if found is None:
                return False
            _leave(connection, found, now)
            return True

    def suspend(self, address: str, now: datetime) -> bool:
        """Tell an address nothing more whose server refused it for good again and again; they may ask anew."""
        with self._engine.begin() as connection:
            found = _by_address(connection, address)
            if found is None or found.state != SubscriberState.CONFIRMED:
                return False
            values = {"state": SubscriberState.SUSPENDED.value, "settled_at": now}
            connection.execute(update(t.subscriber).where(t.subscriber.c.id == found.id).values(**values))
            _drop_waiting(connection, found.address)
            return True

    def erase(self, handle: str) -> bool:
        """Forget everything about a subscriber, deliveries included; false when nobody is called that."""
        with self._engine.begin() as connection:
            found = _by_handle(connection, handle)
            if found is None:
                return False
            connection.execute(delete(t.notification).where(_recipient_is(t.notification.c.recipient, found.address)))
            connection.execute(delete(t.pin).where(_recipient_is(t.pin.c.recipient, found.address)))
            _forget(connection, [found.id])
            return True

    # --- one's own data -----------------------------------------------------------------------------------------

    def ask_copy(self, handle: str, now: datetime) -> None:
        """Write the letter that brings subscribers what is kept about them; one in an hour is enough."""
        with self._engine.begin() as connection:
            found = _by_handle(connection, handle)
            if found is None:
                return
            lately = and_(t.letter.c.subscriber_id == found.id, t.letter.c.created_at > now - _HOUR)
            if connection.execute(
                select(t.letter.c.id).where(lately, t.letter.c.kind == LetterKind.COPY.value)
            ).first():
                return
            _write_letter(connection, found.id, LetterKind.COPY, None, now)

    def copy_of(self, handle: str) -> dict[str, Any] | None:
        """Everything that is kept about a subscriber, as plain values for JSON; `None` when nobody is called that."""
        with self._reads() as connection:
            found = _by_handle(connection, handle)
            if found is None:
                return None
            [subscriber] = _with_muted(connection, [found])
            letters = connection.execute(
                select(t.letter).where(t.letter.c.subscriber_id == found.id).order_by(t.letter.c.id)
            ).all()
            mails = connection.execute(
                select(t.notification, t.alert.c.body)
                .join(t.alert, t.alert.c.id == t.notification.c.alert_id)
                .where(_recipient_is(t.notification.c.recipient, found.address))
                .order_by(t.notification.c.id.desc())
                .limit(_MOST_TOLD)
            ).all()
            pins = connection.execute(
                select(t.pin.c.sentence, t.pin.c.created_at).where(_recipient_is(t.pin.c.recipient, found.address))
            ).all()
        return {
            "address": subscriber.address,
            "state": subscriber.state.value,
            "paused": subscriber.paused,
            "asked_at": _iso(subscriber.asked_at),
            "confirmed_at": _iso(subscriber.confirmed_at),
            "settled_at": _iso(subscriber.settled_at),
            "choices": asdict(subscriber.choices),
            "muted": [{"service": key.service, "type": key.type} for key in sorted(subscriber.muted)],
            "pinned_sentences": [{"sentence": pin.sentence, "pinned_at": _iso(pin.created_at)} for pin in pins],
            "letters": [
                {"kind": one.kind, "state": one.state, "written_at": _iso(one.created_at), "sent_at": _iso(one.sent_at)}
                for one in letters
            ],
            "alerts": [
                {
                    "headline": alert_from_json(one.body).headline,
                    "message_id": one.message_id,
                    "state": one.state,
                    "written_at": _iso(one.created_at),
                    "sent_at": _iso(one.sent_at),
                }
                for one in mails
            ],
        }

    def forget_unconfirmed(self, now: datetime) -> int:
        """Forget addresses whose owners did not say yes within UNCONFIRMED_KEPT; how many. Old askings go, too."""
        old = and_(
            t.subscriber.c.state == SubscriberState.ASKED.value, t.subscriber.c.asked_at < now - UNCONFIRMED_KEPT
        )
        gone = t.asking.c.at < now - _DAY
        with self._reads() as connection:  # no write lock for nothing
            queries = (select(t.subscriber.c.id).where(old).limit(1), select(t.asking.c.id).where(gone).limit(1))
            if all(connection.execute(query).first() is None for query in queries):
                return 0
        with self._engine.begin() as connection:
            connection.execute(delete(t.asking).where(gone))
            ids = [row.id for row in connection.execute(select(t.subscriber.c.id).where(old))]
            _forget(connection, ids)
        return len(ids)

    # --- letters ------------------------------------------------------------------------------------------------

    def claim_letters(self, now: datetime, limit: int, lease: timedelta) -> list[Letter]:
        """Take up to `limit` letters that are due, oldest first, for as long as `lease`; `attempts` counts this one."""
        columns = t.letter.c
        due = or_(
            and_(columns.state == NotificationState.PENDING.value, columns.not_before <= now),
            and_(columns.state == NotificationState.CLAIMED.value, columns.claimed_until <= now),
        )
        with self._reads() as connection:  # asked every few seconds, and there is seldom one
            if connection.execute(select(columns.id).where(due).limit(1)).first() is None:
                return []
        with self._engine.begin() as connection:
            rows = connection.execute(
                _letters()
                .where(due)
                .order_by(columns.not_before, columns.id)
                .limit(limit)
                .with_for_update(of=t.letter, skip_locked=True)
            ).all()
            if rows:
                connection.execute(
                    update(t.letter)
                    .where(columns.id.in_([row.letter_id for row in rows]))
                    .values(
                        state=NotificationState.CLAIMED.value,
                        claimed_until=now + lease,
                        attempts=columns.attempts + 1,
                    )
                )
            return [_letter(connection, row, attempts=row.attempts + 1) for row in rows]

    def settle_letter_sent(self, letter_id: int, now: datetime) -> None:
        with self._engine.begin() as connection:
            _settle(connection, letter_id, state=NotificationState.SENT.value, sent_at=now, error="")

    def settle_letter_failed(self, letter_id: int, error: str, retry_at: datetime | None) -> None:
        """Due again at `retry_at`; `None`: given up."""
        with self._engine.begin() as connection:
            if retry_at is None:
                _settle(connection, letter_id, state=NotificationState.DEAD.value, error=error)
            else:
                _settle(connection, letter_id, state=NotificationState.PENDING.value, not_before=retry_at, error=error)

    def letters(self, states: Collection[NotificationState] = tuple(NotificationState)) -> list[tuple[Letter, str]]:
        """The latest letters with what their last attempt came to, for the operator."""
        with self._reads() as connection:
            rows = connection.execute(
                _letters()
                .where(t.letter.c.state.in_([state.value for state in states]))
                .order_by(t.letter.c.id.desc())
                .limit(100)
            ).all()
            return [(_letter(connection, row), row.error) for row in rows]

    # --- inside -------------------------------------------------------------------------------------------------

    def _one(self, condition: Any) -> Subscriber | None:
        with self._reads() as connection:
            rows = connection.execute(_subscribers().where(condition)).all()
            return next(iter(_with_muted(connection, rows)), None)

    def _reads(self) -> Connection:
        return self._engine.connect().execution_options(reads=True)


# --- statements -----------------------------------------------------------------------------------------------------


def _subscribers() -> Any:
    return select(t.subscriber)


def _letters() -> Any:
    """Letters with their subscribers: columns of the subscriber by their names, those that both have under others."""
    ours = [column for column in t.subscriber.c if column.name not in ("id", "state", "choices")]
    return select(
        t.letter.c.id.label("letter_id"),
        t.letter.c.uid,
        t.letter.c.kind,
        t.letter.c.choices.label("letter_choices"),
        t.letter.c.state.label("letter_state"),
        t.letter.c.attempts,
        t.letter.c.created_at,
        t.letter.c.error,
        t.subscriber.c.id.label("subscriber_id"),
        t.subscriber.c.state.label("subscriber_state"),
        t.subscriber.c.choices.label("choices"),
        *ours,
    ).join(t.subscriber, t.subscriber.c.id == t.letter.c.subscriber_id)


def _by_handle(connection: Connection, handle: str) -> Row[Any] | None:
    found: Row[Any] | None = connection.execute(_subscribers().where(t.subscriber.c.handle == handle)).first()
    return found


def _by_address(connection: Connection, address: str) -> Row[Any] | None:
    found: Row[Any] | None = connection.execute(
        _subscribers().where(t.subscriber.c.address_key == address_key(address))
    ).first()
    return found


def address_key(address: str) -> str:
    """An address as it is compared: no mail server of today takes `Ada@` and `ada@` for two people.

    ASCII letters only: `ſam@` and `sam@` are two people, and casefold would let the first keep out the second.
    """
    return address.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _insert_subscriber(connection: Connection, address: str, choices: Choices, now: datetime) -> int:
    made = connection.execute(
        insert(t.subscriber).values(
            handle=secrets.token_hex(12), address=address, address_key=address_key(address),
            state=SubscriberState.ASKED.value, choices=_to_json(choices), paused=False, asked_at=now,
        )
    )  # fmt: skip
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


def _yes(now: datetime) -> dict[str, Any]:
    confirmed = SubscriberState.CONFIRMED.value
    return {"state": confirmed, "confirmed_at": now, "settled_at": now, "paused": False}


def _write_letter(
    connection: Connection, subscriber_id: int, kind: LetterKind, choices: Choices | None, now: datetime
) -> None:
    connection.execute(
        insert(t.letter).values(
            uid=secrets.token_hex(16), subscriber_id=subscriber_id, kind=kind.value,
            choices=None if choices is None else _to_json(choices), state=NotificationState.PENDING.value,
            attempts=0, created_at=now, not_before=now, error="",
        )
    )  # fmt: skip


def _settle(connection: Connection, letter_id: int, **values: Any) -> None:
    mine = and_(t.letter.c.id == letter_id, t.letter.c.state == NotificationState.CLAIMED.value)
    connection.execute(update(t.letter).where(mine).values(claimed_until=None, **values))


def _leave(connection: Connection, found: Row[Any], now: datetime) -> None:
    mine = t.subscriber.c.id == found.id
    values = {"state": SubscriberState.LEFT.value, "settled_at": now, "paused": False}
    connection.execute(update(t.subscriber).where(mine).values(**values))
    waiting = t.letter.c.state != NotificationState.SENT.value
    connection.execute(delete(t.letter).where(t.letter.c.subscriber_id == found.id, waiting))
    connection.execute(delete(t.pin).where(_recipient_is(t.pin.c.recipient, found.address)))
    _drop_waiting(connection, found.address)


def _drop_waiting(connection: Connection, address: str, terms_id: int | None = None) -> None:
    """Deliveries that were not made, dead letters too: the operator might send one again."""
    condition = and_(
        t.notification.c.state.not_in((NotificationState.SENT.value, NotificationState.DROPPED.value)),
        _recipient_is(t.notification.c.recipient, address),
    )
    if terms_id is not None:
        alerts = select(t.alert.c.id).where(t.alert.c.terms_id == terms_id)
        # A digest that was begun goes as it is: its parts belong together from the first attempt on.
        free = or_(t.notification.c.lead_id.is_(None), t.notification.c.bundle == "")
        condition = and_(condition, free, t.notification.c.alert_id.in_(alerts))
    connection.execute(update(t.notification).where(condition).values(state=NotificationState.DROPPED.value))


def _mute(connection: Connection, found: Row[Any], terms_id: int) -> None:
    connection.execute(insert(t.muted).values(subscriber_id=found.id, terms_id=terms_id))
    _drop_waiting(connection, found.address, terms_id)


def _forget(connection: Connection, ids: Sequence[int]) -> None:
    for table in (t.muted, t.letter):
        connection.execute(delete(table).where(table.c.subscriber_id.in_(ids)))
    connection.execute(delete(t.subscriber).where(t.subscriber.c.id.in_(ids)))


def _recipient_is(column: Any, address: str) -> Any:
    """Whether a recipient is that address, whatever the letter case it was configured in."""
    return or_(column == address, func.lower(column) == address.lower())


def _too_many(connection: Connection, asker: Asker, now: datetime) -> bool:
    lately = t.asking.c.at > now - _HOUR
    here = _count(connection, and_(lately, t.asking.c.mark == asker.network_mark))
    everywhere = _count(connection, lately) // 2  # two marks for each
    return here >= asker.limits.per_network or everywhere >= asker.limits.overall


def _count(connection: Connection, condition: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(t.asking).where(condition)).scalar_one())


def _terms_ids(connection: Connection, keys: Collection[TermsKey]) -> list[int]:
    return [
        terms_id
        for key in keys
        for terms_id in connection.execute(
            select(t.terms.c.id)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
            .where(t.service.c.key == key.service, t.terms.c.type == key.type)
        ).scalars()
    ]


def _key_of(connection: Connection, terms_id: int) -> TermsKey | None:
    query = select(t.service.c.key, t.terms.c.type).join(t.service, t.service.c.id == t.terms.c.service_id)
    row = connection.execute(query.where(t.terms.c.id == terms_id)).first()
    return None if row is None else TermsKey(row.key, row.type)


# --- rows to values -------------------------------------------------------------------------------------------------


def _with_muted(connection: Connection, rows: Sequence[Row[Any]]) -> list[Subscriber]:
    query = (
        select(t.muted.c.subscriber_id, t.service.c.key, t.terms.c.type)
        .join(t.terms, t.terms.c.id == t.muted.c.terms_id)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
    )
    if len(rows) == 1:
        query = query.where(t.muted.c.subscriber_id == rows[0].id)
    muted: dict[int, set[TermsKey]] = {}
    if rows:
        for row in connection.execute(query):
            muted.setdefault(row.subscriber_id, set()).add(TermsKey(row.key, row.type))
    return [_subscriber(row, row.id, row.state, frozenset(muted.get(row.id, _NONE))) for row in rows]


def _subscriber(row: Row[Any], id: int, state: str, muted: frozenset[TermsKey]) -> Subscriber:
    return Subscriber(
        id,
        row.handle,
        row.address,
        SubscriberState(state),
        _from_json(row.choices),
        row.asked_at,
        row.confirmed_at,
        row.settled_at,
        row.paused,
        muted,
    )


def _letter(connection: Connection, row: Row[Any], attempts: int | None = None) -> Letter:
    muted = connection.execute(
        select(t.service.c.key, t.terms.c.type)
        .join(t.terms, t.terms.c.service_id == t.service.c.id)
        .join(t.muted, t.muted.c.terms_id == t.terms.c.id)
        .where(t.muted.c.subscriber_id == row.subscriber_id)
    )
    subscriber = _subscriber(
        row, row.subscriber_id, row.subscriber_state, frozenset(TermsKey(one.key, one.type) for one in muted)
    )
    return Letter(
        id=row.letter_id,
        uid=row.uid,
        kind=LetterKind(row.kind),
        subscriber=subscriber,
        choices=_from_json(row.letter_choices) if row.letter_choices else subscriber.choices,
        created_at=row.created_at,
        attempts=row.attempts if attempts is None else attempts,
    )


@lru_cache(maxsize=4096)  # each alert asks for all of them, and many chose the same
def _from_json(written: str) -> Choices:
    return _choices.validate_json(written)


def _to_json(choices: Choices) -> str:
    return _choices.dump_json(choices).decode()


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
