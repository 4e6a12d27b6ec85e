"""Withdraw a text on legal request: the words go, a tombstone with its reason stays, and so do digests and the chain.

A clause is stored once, so its words go from every version and every document that has it: from search, profiles, flags
and quotes of alerts, too, and the pages as received that hold it are deleted. What was sent is out of reach, and so
are backups and the archive's trained dictionary, which may hold a phrase of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import Column, ColumnElement, Connection, Engine, delete, insert, select, update

from tosmon.archive import schema as t
from tosmon.archive import store
from tosmon.archive.coding import alert_from_json, alert_to_json, flag_from_json, flag_to_json
from tosmon.archive.packing import WITHDRAWN, base_of, pack_text, unpack_ids
from tosmon.archive.retention import remove_files
from tosmon.archive.search import INDEX, forget_clauses, is_there
from tosmon.clauses import canonical
from tosmon.errors import ArchiveError
from tosmon.model import Alert, Edit, EditKind, Flag, Passage, Quote, TermsKey

GONE = "[withdrawn on request]"
"""What stands where words were quoted."""
_TELLING = 12  # canonical letters: shorter words stand in any text


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What went, or would go. `texts` are the first words of each clause, by its id."""

    texts: Mapping[int, str]
    documents: int
    versions: int
    alerts: int
    snapshots: int


def clauses_with(engine: Engine, key: TermsKey, words: str) -> list[int]:
    """The clauses of a document, of all times, that hold these words; capital letters and spaces count for nothing."""
    with engine.connect().execution_options(reads=True) as connection:
        texts = store.clause_texts(connection, _ever(connection, key))
    wanted = " ".join(words.split()).casefold()
    return sorted(id_ for id_, text in texts.items() if wanted in " ".join(text.split()).casefold())


def clauses_of(engine: Engine, key: TermsKey, version_id: int) -> list[int]:
    """The clauses of one version of a document; raises ArchiveError when it has no such version."""
    with engine.connect().execution_options(reads=True) as connection:
        terms_id = store.terms_id(connection, key)
        query = select(t.version.c.clauses).where(t.version.c.id == version_id, t.version.c.terms_id == terms_id)
        blob = connection.execute(query).scalar()
    if blob is None:
        raise ArchiveError(f"{key} has no version {version_id}")
    return sorted({clause_id for clause_id, _ in unpack_ids(blob)})


def withdraw(
    engine: Engine,
    clause_ids: Collection[int],
    reason: str,
    now: datetime,
    snapshots: Path,
    *,
    dry_run: bool = False,
) -> Withdrawn:
    """Withdraw clauses wherever they stand; raises ArchiveError when one stands in a document that is tracked."""
    with engine.connect().execution_options(reads=True) if dry_run else engine.connect() as connection:
        _outside(connection, "PRAGMA secure_delete=ON")  # freed pages are overwritten
        with connection.begin():
            ids = sorted(set(clause_ids) - _withdrawn_already(connection, clause_ids))
            texts = store.clause_texts(connection, ids)
            terms_ids = _documents(connection, ids)
            versions = _versions(connection, terms_ids, set(ids))
            kept = _evidence(connection, versions)
            quotes = _Quotes([canonical(text) for text in texts.values()])
            alerts = _alerts(connection, terms_ids, quotes)
            shown = {id_: " ".join(text.split())[:80] for id_, text in texts.items()}
            found = Withdrawn(shown, len(terms_ids), len(versions), len(alerts), len(kept))
            if not dry_run and ids:
                _refuse_what_stands(connection, ids)
                _bury(connection, texts, reason, now)
                _forget_quotes(connection, terms_ids, ids, quotes, alerts)
                for part in store.chunks(list(kept)):
                    connection.execute(delete(t.snapshot).where(t.snapshot.c.id.in_(part)))
        if not dry_run:
            _outside(connection, "PRAGMA wal_checkpoint(TRUNCATE)")  # or the log would keep the words
    if not dry_run:
        remove_files(snapshots, list(kept.values()))
    return found


def _outside(connection: Connection, statement: str) -> None:
    """Say something to SQLite that it does not hear within a transaction."""
    if connection.dialect.name == "sqlite":
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute(statement).fetchall()


# --- what holds the clauses ------------------------------------------------------------------------------------------


def _ever(connection: Connection, key: TermsKey) -> set[int]:
    terms_id = store.terms_id(connection, key)
    if terms_id is None:
        raise ArchiveError(f"nothing is archived of {key}")
    return set(connection.execute(select(t.span.c.clause_id).where(t.span.c.terms_id == terms_id)).scalars())


def _withdrawn_already(connection: Connection, clause_ids: Collection[int]) -> set[int]:
    found: set[int] = set()
    for part in store.chunks(sorted(clause_ids)):
        query = select(t.tombstone.c.clause_id).where(t.tombstone.c.clause_id.in_(part))
        found |= set(connection.execute(query).scalars())
    return found


def _documents(connection: Connection, clause_ids: Sequence[int]) -> set[int]:
    found: set[int] = set()
    for part in store.chunks(list(clause_ids)):
        found |= set(connection.execute(select(t.span.c.terms_id).where(t.span.c.clause_id.in_(part))).scalars())
    return found


def _versions(connection: Connection, terms_ids: Collection[int], clause_ids: set[int]) -> set[int]:
    query = select(t.version.c.id, t.version.c.clauses).where(t.version.c.terms_id.in_(terms_ids))
    rows = connection.execute(query)
    return {row.id for row in rows if any(clause_id in clause_ids for clause_id, _ in unpack_ids(row.clauses))}


def _evidence(connection: Connection, version_ids: Collection[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in store.chunks(sorted(version_ids)):
        query = select(t.snapshot.c.id, t.snapshot.c.path).join(t.check, t.check.c.id == t.snapshot.c.check_id)
        found |= {row.id: row.path for row in connection.execute(query.where(t.check.c.version_id.in_(part)))}
    return found


def _refuse_what_stands(connection: Connection, clause_ids: Sequence[int]) -> None:
    for part in store.chunks(list(clause_ids)):
        query = (
            select(t.service.c.key, t.terms.c.type)
            .join(t.terms, t.terms.c.service_id == t.service.c.id)
            .join(t.span, t.span.c.terms_id == t.terms.c.id)
            .where(t.span.c.clause_id.in_(part), t.span.c.last_version_id.is_(None), t.terms.c.declared)
        )
        row = connection.execute(query.limit(1)).first()
        if row is not None:
            raise ArchiveError(
                f"it stands in {TermsKey(row.key, row.type)} as it is now, which is tracked, and would be back soon."
                " Take the document out of the configuration first"
            )


# --- the clauses -----------------------------------------------------------------------------------------------------


def _bury(connection: Connection, texts: Mapping[int, str], reason: str, now: datetime) -> None:
    _free_those_built_on(connection, texts)
    forget_clauses(connection, texts.items())
    if is_there(connection):
        connection.exec_driver_sql(f"INSERT INTO {INDEX} ({INDEX}) VALUES ('optimize')")  # marks of deletion keep words
    for part in store.chunks(sorted(texts)):
        connection.execute(update(t.clause).where(t.clause.c.id.in_(part)).values(text=WITHDRAWN))
    rows = [{"clause_id": clause_id, "at": now, "reason": reason} for clause_id in sorted(texts)]
    connection.execute(insert(t.tombstone), rows)


def _free_those_built_on(connection: Connection, gone: Mapping[int, str]) -> None:
    """Clauses that are packed as the difference to one that goes are packed by themselves."""
    query = select(t.clause.c.id, t.clause.c.text).execution_options(yield_per=1000)
    built = [row.id for row in connection.execute(query) if row.id not in gone and base_of(bytes(row.text)) in gone]
    dictionary = store.dictionary(connection)
    for clause_id, text in store.clause_texts(connection, built).items():
        packed = pack_text(text, dictionary)
        connection.execute(update(t.clause).where(t.clause.c.id == clause_id).values(text=packed))


# --- what quotes them ------------------------------------------------------------------------------------------------


class _Quotes:
    """Knows words of the withdrawn texts again, by their canonical forms."""

    def __init__(self, forms: Sequence[str]) -> None:
        self._forms = [form for form in forms if form]

    def hold(self, text: str) -> bool:
        form = canonical(text)
        return bool(form) and any(
            form == one or (len(form) >= _TELLING and form in one) or (len(one) >= _TELLING and one in form)
            for one in self._forms
        )

    def without(self, text: str) -> str:
        return GONE if self.hold(text) else text

    def quote(self, quote: Quote) -> Quote:
        headings = tuple(map(self.without, quote.headings))
        if self.hold(quote.text):
            return replace(quote, text=GONE, start=0, end=0, headings=headings)
        return replace(quote, headings=headings)

    def flag(self, flag: Flag) -> Flag:
        before, after = tuple(map(self.quote, flag.before)), tuple(map(self.quote, flag.after))
        return replace(flag, before=before, after=after)

    def passage(self, passage: Passage) -> Passage:
        headings = tuple(map(self.without, passage.headings))
        sides = [
            "".join(edit.text for edit in passage.edits if edit.kind is not kind)
            for kind in (EditKind.ADDED, EditKind.REMOVED)
        ]
        edits = (Edit(EditKind.SAME, GONE),) if any(map(self.hold, sides)) else passage.edits
        return replace(passage, edits=edits, headings=headings)

    def alert(self, alert: Alert) -> Alert:
        return replace(
            alert,
            headline=self.without(alert.headline),
            summary=self.without(alert.summary),
            flags=tuple(map(self.flag, alert.flags)),
            passages=tuple(map(self.passage, alert.passages)),
        )


def _alerts(connection: Connection, terms_ids: Collection[int], quotes: _Quotes) -> dict[int, str]:
    """The alerts that quote withdrawn words, as they are to stand: everything else of them stays as it was told."""
    found = {}
    for row in connection.execute(select(t.alert.c.id, t.alert.c.body).where(t.alert.c.terms_id.in_(terms_ids))):
        told = alert_from_json(row.body)
        left = quotes.alert(told)
        if left != told:
            found[row.id] = alert_to_json(left)
    return found


def _forget_quotes(
    connection: Connection,
    terms_ids: Collection[int],
    clause_ids: Sequence[int],
    quotes: _Quotes,
    alerts: Mapping[int, str],
) -> None:
    for alert_id, body in alerts.items():
        connection.execute(update(t.alert).where(t.alert.c.id == alert_id).values(body=body))
    changes = select(t.change.c.id).where(t.change.c.terms_id.in_(terms_ids))
    for row in connection.execute(select(t.flag.c.id, t.flag.c.body).where(t.flag.c.change_id.in_(changes))).all():
        raised = flag_from_json(row.body)
        left = quotes.flag(raised)
        if left != raised:
            connection.execute(update(t.flag).where(t.flag.c.id == row.id).values(body=flag_to_json(left)))
    for column in (t.change.c.headline, t.change.c.summary):
        _rewrite(connection, column, t.change.c.terms_id.in_(terms_ids), quotes.without)
    _rewrite(connection, t.rejudgement.c.body, t.rejudgement.c.change_id.in_(changes), _in_json(quotes.without))
    _rewrite(connection, t.volatile_part.c.sample, t.volatile_part.c.terms_id.in_(terms_ids), quotes.without)
    pins = connection.execute(select(t.pin.c.id, t.pin.c.sentence).where(t.pin.c.terms_id.in_(terms_ids))).all()
    held = [row.id for row in pins if quotes.hold(row.sentence)]
    connection.execute(delete(t.pin).where(t.pin.c.id.in_(held)))
    for part in store.chunks(list(clause_ids)):
        connection.execute(delete(t.finding).where(t.finding.c.clause_id.in_(part) | t.finding.c.stem_id.in_(part)))
        connection.execute(delete(t.stance).where(t.stance.c.clause_id.in_(part) | t.stance.c.stem_id.in_(part)))


def _rewrite(
    connection: Connection, column: Column[str], where: ColumnElement[bool], change: Callable[[str], str]
) -> None:
    table = column.table
    for row in connection.execute(select(table.c.id, column).where(where)).all():
        new = change(row[1])
        if new != row[1]:
            connection.execute(update(table).where(table.c.id == row[0]).values({column: new}))


def _in_json(change: Callable[[str], str]) -> Callable[[str], str]:
    def walk(value: object) -> object:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, list):
            return [walk(one) for one in value]
        return {name: walk(one) for name, one in value.items()} if isinstance(value, dict) else value

    return lambda body: json.dumps(walk(json.loads(body)), ensure_ascii=False)
