"""Pinned sentences: what someone wants to hear of when it changes or goes, and which told changes may have done that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, func, insert, or_, select, update

from tosmon.archive import schema as t
from tosmon.archive.rows import Pin
from tosmon.model import ChangeState, TermsKey

_p = t.pin.c
_TOLD = and_(
    t.change.c.state == ChangeState.TOLD.value, t.change.c.terms_id == _p.terms_id, t.change.c.after_id > _p.version_id
)


class Pins:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, terms_id: int, version_id: int, sentence: str, recipient: str, now: datetime) -> Pin:
        """Pin a sentence that stands in that version; the same again is the same pin, on watch anew."""
        same = and_(_p.terms_id == terms_id, _p.sentence == sentence, _p.recipient == recipient)
        fresh = {"version_id": version_id, "created_at": now, "seen": 0, "gone_id": None}
        values = {"terms_id": terms_id, "sentence": sentence, "recipient": recipient}
        with self._engine.begin() as connection:
            if not connection.execute(update(t.pin).where(same).values(**fresh)).rowcount:
                connection.execute(insert(t.pin).values(**values, **fresh))
            return _pin(connection.execute(_pins().where(same)).one())

    def all(self) -> list[Pin]:
        """All pins, by service and document."""
        query = _pins().order_by(t.service.c.key, t.terms.c.type, _p.id)
        with self._engine.connect().execution_options(reads=True) as connection:
            return [_pin(row) for row in connection.execute(query)]

    def remove(self, pin_id: int) -> bool:
        """Forget a pin; false when there is none of that id."""
        with self._engine.begin() as connection:
            return connection.execute(delete(t.pin).where(_p.id == pin_id)).rowcount == 1

    def to_look_through(self) -> list[tuple[Pin, list[int]]]:
        """Pins whose document has told changes that were not looked through for them, with all its told changes since.

        A pin that is gone comes back on watch when the change that took it away is withdrawn.
        """
        told = select(func.count()).where(_TOLD).correlate(t.pin).scalar_subquery()
        with self._engine.connect().execution_options(reads=True) as connection:
            gone = select(_p.id).join(t.change, t.change.c.id == _p.gone_id)
            back = list(connection.execute(gone.where(t.change.c.state != ChangeState.TOLD.value)).scalars())
            rows = connection.execute(
                _pins().where(or_(_p.id.in_(back), and_(_p.gone_id.is_(None), _p.seen != told)))
            ).all()
            return [(_pin(row), _told_since(connection, row)) for row in rows]

    def looked_through(self, pin_id: int, seen: int, gone_id: int | None) -> None:
        """So many told changes were looked through; `gone_id` is the one that took the sentence away, if one did."""
        with self._engine.begin() as connection:
            connection.execute(update(t.pin).where(_p.id == pin_id).values(seen=seen, gone_id=gone_id))


def _pins() -> Any:
    return (
        select(t.pin, t.service.c.key, t.service.c.name, t.terms.c.type)
        .join(t.terms, t.terms.c.id == _p.terms_id)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
    )


def _told_since(connection: Connection, row: Row[Any]) -> list[int]:
    query = select(t.change.c.id).join(t.pin, _TOLD).where(_p.id == row.id).order_by(t.change.c.id)
    return list(connection.execute(query).scalars())


def _pin(row: Row[Any]) -> Pin:
    key = TermsKey(row.key, row.type)
    return Pin(row.id, key, row.name, row.version_id, row.sentence, row.recipient, row.created_at, row.gone_id)
