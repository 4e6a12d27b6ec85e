"""Reading the archive: what the web, the command line, feeds and exports ask for. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, Row, Text, and_, func, literal, select, tuple_, type_coerce
from sqlalchemy.sql import Select

from tosmon.archive import incidents, search
from tosmon.archive import schema as t
from tosmon.archive.coding import flag_from_json, stored_alert
from tosmon.archive.packing import unpack_ids
from tosmon.archive.rows import (
    Activity,
    ChangeMark,
    ChangeRow,
    CheckRow,
    IncidentRow,
    Listed,
    Pulse,
    ServiceRow,
    TermsRow,
    VersionMark,
    VersionRow,
)
from tosmon.archive.schema import Instant
from tosmon.archive.store import chunks, clause_texts, version_row
from tosmon.model import (
    Alert,
    AlertKind,
    ChangeState,
    Clause,
    ClauseKind,
    Direction,
    IncidentEvent,
    Outcome,
    Severity,
    TermsKey,
    Verdict,
)

_FEW = 50
_SHOWN = (ChangeState.TOLD.value, ChangeState.WITHDRAWN.value, ChangeState.HISTORIC.value)
_NEWEST_FIRST = (t.version.c.at.desc(), t.version.c.id.desc())  # an import may add earlier versions at any time


class Browse:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Clauses and layouts never change once stored, so a process may remember them for as long as it lives.
        self._layouts: dict[int, tuple[str, str, ClauseKind, int]] = {}
        self.clauses = lru_cache(maxsize=64)(self._clauses)
        self._watching: Any = None
        self._lock = Lock()

    def close(self) -> None:
        with self._lock:
            if self._watching is not None:
                self._watching.close()
                self._watching = None

    def state(self) -> int | None:
        """A number that is another one after anything was written, by whatever process; `None` if that cannot be told."""
        if self._engine.dialect.name != "sqlite":
            return None
        with self._lock:
            # The number belongs to a connection, so it has one of its own; a single one, as each has a cache.
            if self._watching is None:
                self._watching = self._engine.raw_connection()
            found: int = self._watching.cursor().execute("PRAGMA data_version").fetchone()[0]
            return found

    def _read(self) -> Connection:
        return self._engine.connect().execution_options(reads=True)

    # --- services and documents --------------------------------------------------------------------------------

    def services(self) -> list[ServiceRow]:
        """Every service, by name."""
        known: dict[int, ServiceRow] = {}
        query = select(t.service.c.id, t.service.c.key, t.service.c.name, t.terms.c.id).join(
            t.terms, t.terms.c.service_id == t.service.c.id
        )
        with self._read() as connection:
            told = _told(connection)
            rows = connection.execute(query.order_by(func.lower(t.service.c.name))).all()
        for service_id, key, name, terms_id in rows:
            count, last = told.get(terms_id, (0, None))
            row = known.get(service_id, ServiceRow(key, name, 0, 0, None))
            latest = max(filter(None, (row.last_change_at, last)), default=None)
            known[service_id] = ServiceRow(key, name, row.terms + 1, row.changes_told + count, latest)
        return list(known.values())

    def documents(self, service: str | None = None) -> list[TermsRow]:
        """The documents of one service or of all, declared or not, by service and type."""
        query = self._documents()
        if service is not None:
            query = query.where(t.service.c.key == service)
        with self._read() as connection:
            rows = connection.execute(query.order_by(func.lower(t.service.c.name), t.terms.c.type)).all()
        return [_terms_row(row) for row in rows]

    def longest_unseen(self, limit: int) -> tuple[list[TermsRow], int]:
        """The declared documents that were not seen whole for the longest time, and how many are declared in all."""
        ids = (
            select(t.terms.c.id).where(t.terms.c.declared).order_by(t.terms.c.last_whole_at.nulls_first()).limit(limit)
        )
        query = self._documents().where(t.terms.c.id.in_(ids))
        with self._read() as connection:
            rows = connection.execute(query.order_by(t.terms.c.last_whole_at.nulls_first())).all()
            count = connection.execute(select(func.count()).where(t.terms.c.declared)).scalar_one()
        return [_terms_row(row) for row in rows], count

    def document(self, key: TermsKey) -> TermsRow | None:
        query = self._documents().where(t.service.c.key == key.service, t.terms.c.type == key.type)
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        return _terms_row(row) if row else None

    def _documents(self) -> Select[Any]:
        versions = select(func.count()).where(t.version.c.terms_id == t.terms.c.id).scalar_subquery()
        told = (
            select(func.count())
            .where(
                t.change.c.terms_id == t.terms.c.id,
                t.change.c.state.in_(_SHOWN),
            )
            .scalar_subquery()
        )
        return (
            select(
                t.terms,
                t.service.c.key,
                t.service.c.name,
                versions.label("versions"),
                told.label("told"),
                t.incident.c.verdict.label("incident"),
                t.incident.c.detail.label("incident_detail"),
            )
            .join(t.service, t.service.c.id == t.terms.c.service_id)
            .outerjoin(t.incident, and_(t.incident.c.terms_id == t.terms.c.id, t.incident.c.closed_at.is_(None)))
        )

    # --- versions ----------------------------------------------------------------------------------------------

    def version(self, version_id: int) -> VersionRow | None:
        with self._read() as connection:
            row = connection.execute(_versions().where(t.version.c.id == version_id)).one_or_none()
            if row is None:
                return None
            mine = t.version.c.terms_id == row.terms_id
            place, here = tuple_(t.version.c.at, t.version.c.id), tuple_(literal(row.at, Instant()), row.id)
            before = select(t.version.c.id).where(mine, place < here).order_by(*_NEWEST_FIRST).limit(1)
            after = select(t.version.c.id).where(mine, place > here).order_by(t.version.c.at, t.version.c.id).limit(1)
            previous_id, next_id = connection.execute(before).scalar(), connection.execute(after).scalar()
        return version_row(row, TermsKey(row.key, row.type), previous_id, next_id)

    def versions(self, key: TermsKey, *, newest_first: bool = True) -> list[VersionRow]:
        query = _versions().where(t.service.c.key == key.service, t.terms.c.type == key.type)
        order = _NEWEST_FIRST if newest_first else (t.version.c.at, t.version.c.id)
        with self._read() as connection:
            return [version_row(row, key) for row in connection.execute(query.order_by(*order))]

    def version_at(self, key: TermsKey, at: datetime) -> VersionRow | None:
        """The text in force at an instant: the last version seen by then."""
        query = _versions().where(t.service.c.key == key.service, t.terms.c.type == key.type, t.version.c.at <= at)
        with self._read() as connection:
            row = connection.execute(query.order_by(*_NEWEST_FIRST).limit(1)).one_or_none()
        return version_row(row, key) if row else None

    def known_text(self, terms_id: int, canonical_digest: bytes) -> VersionRow | None:
        """The latest version with that canonical text that people know or could know; `None` if there never was one.

        Left out are texts that wait for their second look, and those that were gone by then: nobody was told of them.
        """
        query = _versions().where(
            t.version.c.terms_id == terms_id,
            t.version.c.canonical_digest == canonical_digest,
            t.version.c.id.not_in(_unknown_versions(terms_id)),
        )
        with self._read() as connection:
            row = connection.execute(query.order_by(*_NEWEST_FIRST).limit(1)).one_or_none()
        return version_row(row, TermsKey(row.key, row.type)) if row else None

    def known_clauses(self, terms_id: int, limit: int) -> list[frozenset[bytes]]:
        """The canonical digests in each of the last versions that people know or could know, newest first."""
        query = (
            select(t.version.c.clauses)
            .where(t.version.c.terms_id == terms_id, t.version.c.id.not_in(_unknown_versions(terms_id)))
            .order_by(*_NEWEST_FIRST)
            .limit(limit)
        )
        with self._read() as connection:
            versions = [
                {clause_id for clause_id, _ in unpack_ids(blob)} for blob in connection.execute(query).scalars()
            ]
            canonicals: dict[int, bytes] = {}
            for part in chunks(sorted(set().union(*versions))):
                rows = connection.execute(select(t.clause.c.id, t.clause.c.canonical).where(t.clause.c.id.in_(part)))
                canonicals |= {row.id: bytes(row.canonical) for row in rows}
        return [frozenset(canonicals[clause_id] for clause_id in version) for version in versions]

    def announced_for(self, terms_id: int, first: date, last: date) -> bool:
        """Whether people were told of a change of the document that applies from one of these days on."""
        query = (
            select(t.change.c.id)
            .where(t.change.c.terms_id == terms_id, t.change.c.state == ChangeState.TOLD.value)
            .where(t.change.c.effective_date.between(first, last))
            .limit(1)
        )
        with self._read() as connection:
            return connection.execute(query).one_or_none() is not None

    def turned_by(self, terms_id: int, canonical_digest: bytes) -> int | None:
        """The last told change, if that text turns it: it was the text before, or that of a change taken back since."""
        before, after = t.version.alias("before"), t.version.alias("after")
        states = (ChangeState.TOLD.value, ChangeState.WITHDRAWN.value)
        query = (
            select(t.change.c.id, t.change.c.state, before.c.canonical_digest, after.c.canonical_digest)
            .join(before, before.c.id == t.change.c.before_id)
            .join(after, after.c.id == t.change.c.after_id)
            .where(t.change.c.terms_id == terms_id, t.change.c.state.in_(states))
            .order_by(t.change.c.id.desc())
            .limit(1)
        )
        with self._read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        change_id, state, digest_before, digest_after = row
        turning = digest_before if state == ChangeState.TOLD.value else digest_after
        return change_id if bytes(turning) == canonical_digest else None

    def recent_versions(self, terms_id: int, limit: int, *, known_only: bool = False) -> list[VersionRow]:
        """The last versions of a document, newest first; with `known_only` those that people know or could know."""
        query = _versions().where(t.version.c.terms_id == terms_id)
        if known_only:
            query = query.where(t.version.c.id.not_in(_unknown_versions(terms_id)))
        query = query.order_by(*_NEWEST_FIRST).limit(limit)
        with self._read() as connection:
            return [version_row(row, TermsKey(row.key, row.type)) for row in connection.execute(query)]

    def _clauses(self, version_id: int) -> tuple[Clause, ...]:
        """The clauses of a version, in order; joined they are its Markdown, byte for byte. Remembered for recent ones."""
        with self._read() as connection:
            blob = connection.execute(select(t.version.c.clauses).where(t.version.c.id == version_id)).scalar_one()
            ids = unpack_ids(blob)
            texts = clause_texts(connection, {clause_id for clause_id, _ in ids})
            self._learn_layouts(connection, {layout_id for _, layout_id in ids})
        built = []
        for clause_id, layout_id in ids:
            lead, tail, kind, level = self._layouts[layout_id]
            built.append(Clause(texts[clause_id], lead, tail, kind, level))
        return tuple(built)

    def _learn_layouts(self, connection: Connection, layout_ids: Iterable[int]) -> None:
        for part in chunks(sorted(set(layout_ids) - self._layouts.keys())):
            for row in connection.execute(select(t.layout).where(t.layout.c.id.in_(part))):
                self._layouts[row.id] = (row.lead, row.tail, ClauseKind(row.kind), row.level)

    def since(self, version_id: int) -> list[tuple[int, datetime]]:
        """For each clause of a version, in order: the version that began its present run in the document, and its time."""
        begun = t.version.alias("begun")
        with self._read() as connection:
            row = connection.execute(
                select(t.version.c.clauses, t.version.c.terms_id).where(t.version.c.id == version_id)
            ).one()
            query = (
                select(t.span.c.clause_id, begun.c.id, begun.c.at)
                .join(begun, begun.c.id == t.span.c.first_version_id)
                .where(t.span.c.terms_id == row.terms_id, t.span.c.first_version_id <= version_id)
                .order_by(t.span.c.first_version_id)
            )
            first = {found.clause_id: (found.id, found.at) for found in connection.execute(query)}
        return [first[clause_id] for clause_id, _ in unpack_ids(row.clauses)]

    # --- search --------------------------------------------------------------------------------------------------

    def search(
        self,
        query: search.Query,
        *,
        service: str | None = None,
        type: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        order: search.Order = search.Order.STANDING,
        after: int | None = None,
        limit: int = 20,
    ) -> search.Found:
        """Clauses of all times with those words, which stood at some time from `since` until `until`.

        `after` continues a listing. Raises ArchiveError where the archive has no index.
        """
        with self._read() as connection:
            return search.find(
                connection,
                clause_texts,
                query,
                service=service,
                type=type,
                since=since,
                until=until,
                order=order,
                after=after,
                limit=limit,
            )

    # --- changes and alerts --------------------------------------------------------------------------------------

    def changes(
        self,
        *,
        service: str | None = None,
        type: str | None = None,
        topic: str | None = None,
        direction: Direction | None = None,
        severity: Severity | None = None,
        since: datetime | None = None,
        told_only: bool = True,
        states: Sequence[ChangeState] = (),
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[ChangeRow]:
        """The latest changes first: those in `states` if there are any, else with `told_only` those that people were told
        of, else every recorded one.

        `before_id` continues a listing: the changes that come after that one in it (imports bring older ones later).
        """
        query = _changes()
        if severity is not None:
            query = query.where(t.change.c.severity == severity.value)
        if since is not None:
            query = query.where(t.change.c.at >= since)
        if before_id is not None:
            seen = select(t.change.c.at).where(t.change.c.id == before_id).scalar_subquery()
            query = query.where(tuple_(t.change.c.at, t.change.c.id) < tuple_(seen, before_id))
        if topic is not None or direction is not None:
            flagged = select(t.flag.c.change_id)
            flagged = flagged.where(t.flag.c.topic == topic) if topic is not None else flagged
            flagged = flagged.where(t.flag.c.direction == direction.value) if direction is not None else flagged
            query = query.where(t.change.c.id.in_(flagged))
        every = tuple(state.value for state in states) or (
            _SHOWN if told_only else tuple(one.value for one in ChangeState)
        )
        latest = query.order_by(t.change.c.at.desc(), t.change.c.id.desc()).limit(limit)
        with self._read() as connection:
            if service is not None or type is not None:
                mine = select(t.terms.c.id).join(t.service, t.service.c.id == t.terms.c.service_id)
                mine = mine.where(t.service.c.key == service) if service is not None else mine
                mine = mine.where(t.terms.c.type == type) if type is not None else mine
                ids = list(connection.execute(mine).scalars())
                latest = latest.where(t.change.c.terms_id.in_(ids))
                if len(ids) < _FEW:
                    # Put in order after they are found: else SQLite goes through all changes of all documents by time.
                    at = func.coalesce(t.change.c.at, t.change.c.at)
                    latest = latest.order_by(None).order_by(at.desc(), t.change.c.id.desc())
            # One state at a time comes off its index in order; several at once would be sorted whole, however many.
            rows = [row for state in every for row in connection.execute(latest.where(t.change.c.state == state))]
            rows.sort(key=lambda row: (row.at, row.id), reverse=True)
            return _change_rows(connection, rows[:limit])

    def change(self, change_id: int) -> ChangeRow | None:
        with self._read() as connection:
            rows = connection.execute(_changes().where(t.change.c.id == change_id)).all()
            return next(iter(_change_rows(connection, rows)), None)

    def alerts(self, feed: str, limit: int = 100) -> list[Alert]:
        """The latest alerts of a feed ("all", "service/X", …), newest first."""
        query = (
            select(t.alert.c.id, t.alert.c.body)
            .join(t.feed_entry, t.feed_entry.c.alert_id == t.alert.c.id)
            .where(t.feed_entry.c.feed == feed)
            .order_by(t.feed_entry.c.alert_id.desc())
            .limit(limit)
        )
        with self._read() as connection:
            return [stored_alert(row.body, row.id) for row in connection.execute(query)]

    def alerts_of(self, change_id: int) -> list[Alert]:
        """Everything people were told of one change, oldest first."""
        query = select(t.alert.c.id, t.alert.c.body).where(t.alert.c.change_id == change_id).order_by(t.alert.c.id)
        with self._read() as connection:
            return [stored_alert(row.body, row.id) for row in connection.execute(query)]

    def last_alerts(self) -> dict[int, int]:
        """For each change that people were told of, the newest alert."""
        query = select(t.alert.c.change_id, func.max(t.alert.c.id)).group_by(t.alert.c.change_id)
        with self._read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def feeds(self) -> list[str]:
        """The names of all feeds that have an entry."""
        with self._read() as connection:
            return list(
                connection.execute(select(t.feed_entry.c.feed).distinct().order_by(t.feed_entry.c.feed)).scalars()
            )

    def last_alert_id(self) -> int:
        """The id of the newest alert, 0 when nobody was told anything yet."""
        with self._read() as connection:
            return connection.execute(select(func.max(t.alert.c.id))).scalar() or 0

    def unreminded(self, today: date) -> list[ChangeRow]:
        """Told changes that announced a day which has come, and of which nobody was reminded yet."""
        reminded = select(t.alert.c.change_id).where(t.alert.c.kind == AlertKind.REMINDER.value)
        query = _changes().where(
            t.change.c.state == ChangeState.TOLD.value,
            t.change.c.effective_date.is_not(None),
            t.change.c.effective_date <= today,
            t.change.c.id.not_in(reminded),
        )
        with self._read() as connection:
            rows = connection.execute(query).all()
            # A day that had come already when people were told needs no reminder.
            return [
                row
                for row in _change_rows(connection, rows)
                if row.effective_date and row.effective_date > row.at.date()
            ]

    # --- checks and incidents --------------------------------------------------------------------------------------

    def checks(self, key: TermsKey | None = None, limit: int = 50) -> list[CheckRow]:
        """The latest looks, newest first."""
        query = (
            select(t.check, t.service.c.key, t.terms.c.type)
            .join(t.terms, t.terms.c.id == t.check.c.terms_id)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
        )
        if key is not None:
            query = query.where(t.service.c.key == key.service, t.terms.c.type == key.type)
        with self._read() as connection:
            return [
                CheckRow(
                    row.at,
                    TermsKey(row.key, row.type),
                    Verdict(row.verdict),
                    Outcome(row.outcome),
                    row.detail,
                    row.status,
                    row.version_id,
                )
                for row in connection.execute(query.order_by(t.check.c.id.desc()).limit(limit))
            ]

    def incident_events(self, limit: int = 100) -> list[IncidentEvent]:
        """The latest openings and closings of incidents, the newest first."""
        with self._read() as connection:
            return incidents.incident_events(connection, limit)

    def last_incident_event(self) -> tuple[int, int]:
        """What grows with each opening and each closing of an incident."""
        with self._read() as connection:
            return incidents.last_incident_event(connection)

    def incidents(self, *, open_only: bool = True, limit: int = 200) -> list[IncidentRow]:
        query = (
            select(
                t.incident, t.service.c.key, t.service.c.name, t.terms.c.type, t.terms.c.url, t.terms.c.last_whole_at
            )
            .join(t.terms, t.terms.c.id == t.incident.c.terms_id)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
        )
        if open_only:
            query = query.where(t.incident.c.closed_at.is_(None))
        with self._read() as connection:
            return [
                IncidentRow(
                    row.id,
                    TermsKey(row.key, row.type),
                    row.name,
                    row.url,
                    Verdict(row.verdict),
                    row.detail,
                    row.opened_at,
                    row.last_at,
                    row.looks,
                    row.closed_at,
                    row.last_whole_at,
                )
                for row in connection.execute(query.order_by(t.incident.c.last_at.desc()).limit(limit))
            ]

    def evidence(self, version_id: int) -> list[dict[str, Any]]:
        """The snapshots of the check that made a version: path, SHA-256, bytes, addresses, digests of the bodies, time."""
        # Named so that the index on the document's snapshots serves: there is none on the version that a check made.
        mine = select(t.version.c.terms_id, t.version.c.at).where(t.version.c.id == version_id).subquery()
        terms_id = select(mine.c.terms_id).scalar_subquery()
        # A technical version is a snapshot read anew: its evidence is that of the version of the same moment.
        same = select(t.version.c.id).join(
            mine, and_(mine.c.terms_id == t.version.c.terms_id, mine.c.at == t.version.c.at)
        )
        query = (
            select(t.snapshot)
            .join(t.check, t.check.c.id == t.snapshot.c.check_id)
            .where(t.check.c.version_id.in_(same), t.snapshot.c.terms_id == terms_id)
            .order_by(t.check.c.version_id != version_id, t.snapshot.c.id)
        )
        with self._read() as connection:
            return [
                {
                    "path": row.path,
                    "sha256": row.sha256,
                    "bytes": row.bytes,
                    "urls": json.loads(row.urls),
                    "body_sha256": json.loads(row.body_sha256),
                    "at": row.at,
                }
                for row in connection.execute(query)
            ]

    def counts(self) -> dict[str, int]:
        """How many rows of each kind the archive holds."""
        tables = {
            "services": t.service,
            "terms": t.terms,
            "checks": t.check,
            "versions": t.version,
            "clauses": t.clause,
            "changes": t.change,
            "alerts": t.alert,
            "snapshots": t.snapshot,
        }
        with self._read() as connection:
            return {
                name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for name, table in tables.items()
            }

    # --- overviews: many rows, a few columns of each --------------------------------------------------------------

    def version_marks(self, terms_id: int) -> list[VersionMark]:
        """Every version of a document, oldest first, in brief."""
        columns = t.version.c
        query = (
            select(columns.id, columns.at, columns.words, columns.technical)
            .where(columns.terms_id == terms_id)
            .order_by(columns.at, columns.id)
        )
        with self._read() as connection:
            return [VersionMark(*row) for row in connection.execute(query)]

    def change_marks(self, terms_id: int) -> list[ChangeMark]:
        """Every recorded change of a document, whatever its state, oldest first, in brief."""
        columns = t.change.c
        mine = columns.terms_id == terms_id
        flagged = select(t.flag.c.change_id, t.flag.c.direction).join(t.change, columns.id == t.flag.c.change_id)
        query = select(
            columns.id,
            columns.before_id,
            columns.after_id,
            columns.at,
            columns.state,
            columns.severity,
            columns.headline,
        )
        directions: dict[int, list[Direction]] = {}
        with self._read() as connection:
            for change_id, direction in connection.execute(flagged.where(mine).order_by(t.flag.c.id)):
                directions.setdefault(change_id, []).append(Direction(direction))
            return [
                ChangeMark(
                    row.id,
                    row.before_id,
                    row.after_id,
                    row.at,
                    ChangeState(row.state),
                    Severity(row.severity),
                    row.headline,
                    tuple(dict.fromkeys(directions.get(row.id, ()))),
                )
                for row in connection.execute(query.where(mine).order_by(columns.at, columns.id))
            ]

    def activity(self, since: datetime, service: str | None = None) -> list[Activity]:
        """How many changes people were told of on each day (UTC) since then, by severity; empty days are left out."""
        day = func.substr(type_coerce(t.change.c.at, Text), 1, 10).label("day")
        told = t.change.c.state.in_(_SHOWN)
        query = select(day, t.change.c.severity, func.count()).where(told, t.change.c.at >= since)
        if service is not None:
            mine = select(t.terms.c.id).join(t.service, t.service.c.id == t.terms.c.service_id)
            query = query.where(t.change.c.terms_id.in_(mine.where(t.service.c.key == service)))
        with self._read() as connection:
            rows = connection.execute(query.group_by(day, t.change.c.severity).order_by(day))
            return [Activity(date.fromisoformat(on), Severity(severity), count) for on, severity, count in rows]

    def first_text_at(self, service: str | None = None) -> datetime | None:
        """When the earliest text of the archive, or of a service, was seen."""
        query = select(func.min(t.version.c.at))
        if service is not None:
            mine = select(t.terms.c.id).join(t.service, t.service.c.id == t.terms.c.service_id)
            query = query.where(t.version.c.terms_id.in_(mine.where(t.service.c.key == service)))
        with self._read() as connection:
            found: datetime | None = connection.execute(query).scalar_one()
            return found

    def service_names(self) -> dict[str, str]:
        """The name of each service by its key, ordered by name."""
        query = select(t.service.c.key, t.service.c.name).order_by(func.lower(t.service.c.name))
        with self._read() as connection:
            return {row.key: row.name for row in connection.execute(query)}

    def types(self) -> list[str]:
        """The types of terms that any document has."""
        with self._read() as connection:
            return list(connection.execute(select(t.terms.c.type).distinct().order_by(t.terms.c.type)).scalars())

    def catalogue(self) -> list[Listed]:
        """Every document, declared or not, by service and type: `documents` without what has to be counted."""
        query = (
            select(t.service.c.key, t.service.c.name, t.terms.c.type, t.terms.c.tags, t.incident.c.verdict)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
            .outerjoin(t.incident, and_(t.incident.c.terms_id == t.terms.c.id, t.incident.c.closed_at.is_(None)))
            .order_by(func.lower(t.service.c.name), t.terms.c.type)
        )
        with self._read() as connection:
            return [
                Listed(TermsKey(key, type), name, _tags(tags), Verdict(verdict) if verdict else None)
                for key, name, type, tags, verdict in connection.execute(query)
            ]

    def topics(self) -> list[str]:
        """The topics that any flag has."""
        with self._read() as connection:
            return list(connection.execute(select(t.flag.c.topic).distinct().order_by(t.flag.c.topic)).scalars())

    def pulse(self) -> Pulse:
        """Whether the monitor is alive: what is declared, when it last looked, what waits, what cannot be read."""
        looked_at = and_(t.terms.c.declared, ~t.terms.c.paused)
        with self._read() as connection:
            row = connection.execute(
                select(
                    func.count(),
                    func.max(t.terms.c.last_checked_at),
                    func.min(t.terms.c.due_at),
                    func.count(t.terms.c.service_id.distinct()),
                ).where(looked_at)
            ).one()
            is_open = select(func.count()).where(t.incident.c.closed_at.is_(None))
            unread = is_open.join(t.terms, t.terms.c.id == t.incident.c.terms_id).where(looked_at)
            open_incidents = connection.execute(is_open).scalar_one()
            return Pulse(row[0], row[1], row[2], open_incidents, connection.execute(unread).scalar_one(), row[3])


def _told(connection: Connection) -> dict[int, tuple[int, datetime | None]]:
    """For each document of which people were told something: how often, and when last."""
    change = t.change.c
    found: dict[int, tuple[int, datetime | None]] = {}
    for state in _SHOWN:  # one at a time, each comes off its index in the order of documents
        query = select(change.terms_id, func.count(), func.max(change.at)).where(change.state == state)
        for terms_id, count, last in connection.execute(query.group_by(change.terms_id)).all():
            before = found.get(terms_id, (0, None))
            found[terms_id] = (before[0] + count, max(filter(None, (before[1], last)), default=None))
    return found


def _versions() -> Select[Any]:
    columns = t.version.c
    # Not the packed clauses: they are most of a row, and listings have no use for them.
    return (
        select(
            columns.id,
            columns.terms_id,
            columns.at,
            columns.digest,
            columns.canonical_digest,
            columns.words,
            columns.technical,
            columns.form,
            columns.extractor,
            columns.language,
            columns.source,
            t.service.c.key,
            t.terms.c.type,
        )
        .join(t.terms, t.terms.c.id == t.version.c.terms_id)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
    )


def _unknown_versions(terms_id: int) -> Select[Any]:
    states = (ChangeState.PENDING.value, ChangeState.GONE.value)
    return select(t.change.c.after_id).where(t.change.c.terms_id == terms_id, t.change.c.state.in_(states))


def _changes() -> Select[Any]:
    return (
        select(t.change, t.service.c.key, t.service.c.name, t.terms.c.type, t.terms.c.url)
        .join(t.terms, t.terms.c.id == t.change.c.terms_id)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
    )


def _change_rows(connection: Connection, rows: Sequence[Row[Any]]) -> list[ChangeRow]:
    flags: dict[int, list[Any]] = {row.id: [] for row in rows}
    for part in chunks(list(flags)):
        query = select(t.flag).where(t.flag.c.change_id.in_(part)).order_by(t.flag.c.id)
        for found in connection.execute(query):
            flags[found.change_id].append(flag_from_json(found.body))
    return [
        ChangeRow(
            row.id,
            TermsKey(row.key, row.type),
            row.name,
            row.url,
            row.before_id,
            row.after_id,
            row.at,
            ChangeState(row.state),
            row.reason,
            Severity(row.severity),
            row.headline,
            row.summary,
            row.effective_date,
            row.date_only,
            row.silent,
            row.added,
            row.removed,
            row.modified,
            row.moved,
            tuple(flags[row.id]),
        )
        for row in rows
    ]


def _terms_row(row: Row[Any]) -> TermsRow:
    return TermsRow(
        row.id,
        TermsKey(row.key, row.type),
        row.name,
        row.url,
        _tags(row.tags),
        row.declared,
        row.paused,
        row.due_at,
        row.last_checked_at,
        row.last_whole_at,
        row.latest_version_id,
        row.versions,
        row.told,
        Verdict(row.incident) if row.incident else None,
        row.incident_detail or "",
    )


@lru_cache(maxsize=1024)
def _tags(written: str) -> tuple[str, ...]:
    return tuple(json.loads(written))
