"""What the operator decides: to tell what was held back, to take back what was told, to pause, to read history anew.

Each verb is one transaction and can be repeated: what is done already is not done twice, and nobody is told twice. Says
what became of it; whether that is good news is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, delete, func, insert, or_, select, update

from tosmon.archive import schema as t
from tosmon.archive import store
from tosmon.archive.history import rebuild_spans
from tosmon.archive.rows import Telling, VersionRow
from tosmon.gates.volatile import Part
from tosmon.model import Alert, ChangeState, TermsKey, Version

_MARK = 16  # bytes
_SESSIONS_ENDED = "sessions ended"
_ENDED = t.setting.c.name == _SESSIONS_ENDED


@dataclass(frozen=True, slots=True)
class VolatilePart:
    """A part of a document that changes by itself. `change_id` is the change an operator called noise, else it was learnt.

    `shown`: the operator wants to be told of it all the same.
    """

    id: int
    key: TermsKey
    part: Part
    since: datetime
    last_at: datetime
    change_id: int | None
    shown: bool


@dataclass(frozen=True, slots=True)
class ToReread:
    """A version with the snapshot that it was read from."""

    version: VersionRow
    terms_id: int
    path: str


class Operating:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- one change -------------------------------------------------------------------------------------------------

    def release(self, change_id: int, reason: str, telling: Telling, now: datetime) -> Alert | None:
        """Tell people of a suppressed change after all; `None` when it is not suppressed (any more)."""
        with self._engine.begin() as connection:
            if not _turn(connection, change_id, (ChangeState.SUPPRESSED,), ChangeState.TOLD, reason):
                return None
            marked = t.volatile_part.c.change_id == change_id
            connection.execute(delete(t.volatile_part).where(marked))
            return store.tell(connection, change_id, telling, now)

    def mark_as_noise(
        self, change_id: int, reason: str, parts: Sequence[Part], correction: Telling, now: datetime
    ) -> tuple[bool, Alert | None]:
        """Suppress a change that people were (or would be) told of: whether this did it, and the correction if one went.

        Mails of it that are not on their way yet are dropped; the correction goes to those whose are.
        """
        states = (ChangeState.PENDING, ChangeState.TOLD, ChangeState.WITHDRAWN)
        with self._engine.begin() as connection:
            if not _turn(connection, change_id, states, ChangeState.SUPPRESSED, reason):
                return False, None
            terms_id = connection.execute(select(t.change.c.terms_id).where(t.change.c.id == change_id)).scalar_one()
            for column in (t.terms.c.pending_change_id, t.terms.c.undone_change_id):
                mine = and_(t.terms.c.id == terms_id, column == change_id)
                connection.execute(update(t.terms).where(mine).values({column: None}))
            store.learn_parts(connection, terms_id, parts, now, change_id)
            store.drop_unsent(connection, change_id)
            was_told = connection.execute(select(t.alert.c.id).where(t.alert.c.change_id == change_id)).first()
            return True, store.tell(connection, change_id, correction, now) if was_told is not None else None

    # --- volatile parts ---------------------------------------------------------------------------------------------

    def volatile(self, key: TermsKey | None = None) -> list[VolatilePart]:
        """The parts that change by themselves, of one document or of all; the latest to change first."""
        query = (
            select(t.volatile_part, t.service.c.key, t.terms.c.type)
            .join(t.terms, t.terms.c.id == t.volatile_part.c.terms_id)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
            .order_by(t.volatile_part.c.last_at.desc(), t.volatile_part.c.id)
        )
        if key is not None:
            query = query.where(t.service.c.key == key.service, t.terms.c.type == key.type)
        with self._engine.connect().execution_options(reads=True) as connection:
            return [
                VolatilePart(
                    row.id, TermsKey(row.key, row.type), _part(row), row.since, row.last_at, row.change_id, row.shown
                )
                for row in connection.execute(query)
            ]

    def parts(self, terms_id: int) -> tuple[list[Part], list[Part]]:
        """The parts of a document that nobody is told of, and those of which the operator wants people to be told."""
        mine = t.volatile_part.c.terms_id == terms_id
        with self._engine.connect().execution_options(reads=True) as connection:
            rows = connection.execute(select(t.volatile_part).where(mine)).all()
        return [_part(row) for row in rows if not row.shown], [_part(row) for row in rows if row.shown]

    def show_part(self, part_id: int, shown: bool) -> bool:
        """Tell of a part all the same, or no more; false when there is none of that id."""
        with self._engine.begin() as connection:
            mine = t.volatile_part.c.id == part_id
            return connection.execute(update(t.volatile_part).where(mine).values(shown=shown)).rowcount == 1

    # --- sessions on the web ----------------------------------------------------------------------------------------

    def sessions_ended(self) -> int:
        """How often all sessions on the web were ended."""
        with self._engine.connect().execution_options(reads=True) as connection:
            return int(connection.execute(select(t.setting.c.value).where(_ENDED)).scalar() or 0)

    def end_sessions(self) -> None:
        """End every session on the web that was opened until now."""
        with self._engine.begin() as connection:
            first = store.insert_unless_there(connection, t.setting, ["name"])
            connection.execute(first.values(name=_SESSIONS_ENDED, value="0"))
            ended = connection.execute(select(t.setting.c.value).where(_ENDED).with_for_update()).scalar_one()
            connection.execute(update(t.setting).where(_ENDED).values(value=str(int(ended) + 1)))

    # --- pausing ----------------------------------------------------------------------------------------------------

    def pause(self, key: TermsKey, now: datetime) -> bool:
        """Look at a document no more until it is resumed; false when it was paused before."""
        with self._engine.begin() as connection:
            terms_id = store.terms_id(connection, key)
            if terms_id is None or _is_paused(connection, terms_id):
                return False
            connection.execute(insert(t.pause).values(terms_id=terms_id, at=now))
            connection.execute(update(t.terms).where(t.terms.c.id == terms_id).values(paused=True))
            return True

    def resume(self, key: TermsKey, now: datetime, *, declared_paused: bool = False) -> bool:
        """Look at a paused document again, at once; false when it was not paused by an operator.

        `declared_paused`: the configuration pauses it too, which stays in force.
        """
        with self._engine.begin() as connection:
            terms_id = store.terms_id(connection, key)
            if terms_id is None or not _is_paused(connection, terms_id):
                return False
            connection.execute(delete(t.pause).where(t.pause.c.terms_id == terms_id))
            values: dict[str, Any] = {"paused": declared_paused, "due_at": now}
            connection.execute(update(t.terms).where(t.terms.c.id == terms_id).values(values))
            return True

    # --- reading history anew ---------------------------------------------------------------------------------------

    def to_reread(self, key: TermsKey, extractor: str, since: datetime | None, limit: int) -> list[ToReread]:
        """The next versions of a document that another extractor read, oldest first, with their own snapshots."""
        query = _to_reread(key, extractor, since).order_by(t.version.c.at, t.version.c.id).limit(limit)
        with self._engine.connect().execution_options(reads=True) as connection:
            rows = connection.execute(query).all()
        return [ToReread(store.version_row(row, key), row.terms_id, row.path) for row in rows]

    def count_to_reread(self, key: TermsKey, extractor: str, since: datetime | None) -> int:
        query = _to_reread(key, extractor, since).with_only_columns(func.count(), maintain_column_froms=True)
        with self._engine.connect().execution_options(reads=True) as connection:
            return connection.execute(query).scalar_one()

    def record_reread(
        self, key: TermsKey, extractor: str, read: Sequence[tuple[int, Version | None]], now: datetime
    ) -> bool:
        """Record versions read anew: the technical version of each (`None`: the same text, or none could be had).

        False, and nothing is recorded, while someone looks at the document: what that look finds builds upon its latest
        version.
        """
        with self._engine.begin() as connection:
            terms_id = store.terms_id(connection, key)
            assert terms_id is not None
            free = or_(t.terms.c.claimed_until.is_(None), t.terms.c.claimed_until <= now)
            # Written to, so that on any database the row is ours until the end of the transaction.
            mine = and_(t.terms.c.id == terms_id, free)
            if connection.execute(update(t.terms).where(mine).values(failures=t.terms.c.failures)).rowcount != 1:
                return False
            added = [store.insert_anew(connection, terms_id, key, version, now) for _, version in read if version]
            for version_id, _ in read:
                connection.execute(delete(t.reread).where(t.reread.c.version_id == version_id))
                connection.execute(insert(t.reread).values(version_id=version_id, extractor=extractor))
            if added:
                rebuild_spans(connection, terms_id)
                connection.execute(
                    update(t.terms)
                    .where(t.terms.c.id == terms_id)
                    .values(latest_version_id=_newest(connection, terms_id))
                )
            return True


def _to_reread(key: TermsKey, extractor: str, since: datetime | None) -> Select[Any]:
    done = select(t.reread.c.version_id).where(t.reread.c.extractor == extractor)
    query = (
        select(t.version, t.snapshot.c.path)
        .join(t.check, t.check.c.version_id == t.version.c.id)
        .join(t.snapshot, t.snapshot.c.check_id == t.check.c.id)
        .join(t.terms, t.terms.c.id == t.version.c.terms_id)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
        .where(t.service.c.key == key.service, t.terms.c.type == key.type, t.version.c.extractor != extractor)
        .where(t.snapshot.c.terms_id == t.terms.c.id)  # so that their index serves: checks have none on versions
        .where(t.version.c.id.not_in(done))
    )
    return query if since is None else query.where(t.version.c.at >= since)


def _newest(connection: Connection, terms_id: int) -> int | None:
    query = select(t.version.c.id).where(t.version.c.terms_id == terms_id)
    found: int | None = connection.execute(
        query.order_by(t.version.c.at.desc(), t.version.c.id.desc()).limit(1)
    ).scalar()
    return found


def _turn(
    connection: Connection, change_id: int, states: Sequence[ChangeState], state: ChangeState, reason: str
) -> bool:
    """Move a change from one of these states to another; whether it was in one."""
    mine = and_(t.change.c.id == change_id, t.change.c.state.in_([one.value for one in states]))
    return connection.execute(update(t.change).where(mine).values(state=state.value, reason=reason)).rowcount == 1


def _is_paused(connection: Connection, terms_id: int) -> bool:
    return connection.execute(select(t.pause.c.terms_id).where(t.pause.c.terms_id == terms_id)).first() is not None


def _part(row: Any) -> Part:
    steady = bytes(row.steady)
    marks = frozenset(steady[at : at + _MARK] for at in range(0, len(steady), _MARK))
    return Part(bytes(row.above), bytes(row.below), row.words, row.contents, row.sample, marks)
