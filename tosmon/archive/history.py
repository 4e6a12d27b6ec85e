"""Bring in histories: many versions of one document at a time, in few transactions, telling nobody.

An import keeps the document's clauses in memory while it lasts, so that a version costs its new clauses and one
row. What it writes is what checks would have written: the same tables, the same spans, the same chain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from tosmon.archive import schema as t
from tosmon.archive import store
from tosmon.archive.packing import digest, pack_ids, pack_text, unpack_ids
from tosmon.model import ChangeState, Clause, Comparison, Judgement, TermsKey, Version


@dataclass(frozen=True, slots=True)
class Known:
    """A clause as the archive holds it: its id, and the digest of its canonical form."""

    id: int
    canonical: bytes


class HistoryWriter:
    """Writes versions and changes of documents; use `document` for one at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def imported(self, key: TermsKey) -> set[str]:
        """The sources of the versions of a document that came from imports: what need not be imported again."""
        with self._engine.connect().execution_options(reads=True) as connection:
            terms_id = store.terms_id(connection, key)
            if terms_id is None:
                return set()
            query = select(t.version.c.source).where(t.version.c.terms_id == terms_id, t.version.c.source != "")
            return set(connection.execute(query).scalars())

    @contextmanager
    def document(self, key: TermsKey, name: str, now: datetime) -> Iterator[DocumentWriter]:
        """One transaction on one document: all of it is there afterwards, or nothing."""
        with self._engine.begin() as connection:
            writer = DocumentWriter(connection, key, name, now)
            yield writer
            writer.finish()


class DocumentWriter:
    def __init__(self, connection: Connection, key: TermsKey, name: str, now: datetime) -> None:
        self._connection = connection
        self._key = key
        self._now = now
        self.terms_id = store.terms_id(connection, key) or store.add_undeclared(connection, key, name, now)
        self._layouts: dict[tuple[str, str, str, int], int] = {}
        self._known: dict[str, Known] = {}
        self._chain = store.last_chain(connection)
        own = select(func.count()).where(t.version.c.terms_id == self.terms_id)
        self._first = connection.execute(own).scalar_one() == 0
        self._open: dict[int, int] = {}  # clause id -> the version that began its present run
        self._spans: list[dict[str, int | None]] = []
        self._last_id: int | None = None

    def learn(self, clauses: Sequence[Clause], canonical_of: dict[str, str]) -> list[Known]:
        """The clauses as the archive holds them; new ones are stored. `canonical_of` has the canonical form of each text."""
        new = {clause.text for clause in clauses} - self._known.keys()
        if new:
            digests = {digest(text): text for text in new}
            known = store.known_clauses(self._connection, digests)
            rows = [
                {"digest": key, "canonical": digest(canonical_of[text]), "text": pack_text(text)}
                for key, text in digests.items()
                if key not in known
            ]
            if rows:
                self._connection.execute(insert(t.clause), rows)
                known |= store.known_clauses(self._connection, [row["digest"] for row in rows])
            for key, text in digests.items():
                self._known[text] = Known(known[key], digest(canonical_of[text]))
        return [self._known[clause.text] for clause in clauses]

    def add_version(self, version: Version, known: Sequence[Known]) -> int:
        """Store a version after the last one that was added; its clauses were learnt before."""
        layouts = {(clause.lead, clause.tail, clause.kind.value, clause.level) for clause in version.clauses}
        if not layouts <= self._layouts.keys():
            self._layouts |= store.layout_ids(self._connection, version.clauses)
        rows = [
            (one.id, self._layouts[clause.lead, clause.tail, clause.kind.value, clause.level])
            for one, clause in zip(known, version.clauses, strict=True)
        ]
        self._chain = store.chain(self._chain, self._key, version.at, version.digest)
        version_id = store.insert_version(
            self._connection, self.terms_id, version, pack_ids(rows), self._chain, self._now
        )
        self._turn({one.id for one in known}, version_id)
        self._last_id = version_id
        return version_id

    def _turn(self, clause_ids: set[int], version_id: int) -> None:
        if not self._first:
            return
        for clause_id in self._open.keys() - clause_ids:
            self._spans.append(_row(self.terms_id, clause_id, self._open.pop(clause_id), self._last_id))
        for clause_id in clause_ids - self._open.keys():
            self._open[clause_id] = version_id

    def add_change(
        self,
        before_id: int,
        after_id: int,
        at: datetime,
        state: ChangeState,
        reason: str,
        judgement: Judgement,
        comparison: Comparison,
    ) -> int:
        return store.add_change(
            self._connection, self.terms_id, before_id, after_id, at, state, reason, judgement, comparison
        )

    def finish(self) -> None:
        """Write the spans, and make the newest version the latest: called once, at the end of the transaction."""
        if self._first:
            self._spans += [
                _row(self.terms_id, clause_id, first_id, None) for clause_id, first_id in self._open.items()
            ]
            if self._spans:
                self._connection.execute(insert(t.span), self._spans)
        elif self._last_id is not None:
            rebuild_spans(self._connection, self.terms_id)
        newest = (
            select(t.version.c.id)
            .where(t.version.c.terms_id == self.terms_id)
            .order_by(t.version.c.at.desc(), t.version.c.id.desc())
            .limit(1)
        )
        latest_id = self._connection.execute(newest).scalar()
        self._connection.execute(
            update(t.terms).where(t.terms.c.id == self.terms_id).values(latest_version_id=latest_id)
        )


def rebuild_spans(connection: Connection, terms_id: int) -> None:
    """Write the spans of a document anew from its versions in the order of time: an import put some between others."""
    connection.execute(delete(t.span).where(t.span.c.terms_id == terms_id))
    query = (
        select(t.version.c.id, t.version.c.clauses)
        .where(t.version.c.terms_id == terms_id)
        .order_by(t.version.c.at, t.version.c.id)
    )
    open_since: dict[int, int] = {}
    spans: list[dict[str, int | None]] = []
    last_id: int | None = None
    for version_id, blob in connection.execute(query).all():
        clause_ids = {clause_id for clause_id, _ in unpack_ids(blob)}
        for clause_id in open_since.keys() - clause_ids:
            spans.append(_row(terms_id, clause_id, open_since.pop(clause_id), last_id))
        for clause_id in clause_ids - open_since.keys():
            open_since[clause_id] = version_id
        last_id = version_id
    spans += [_row(terms_id, clause_id, first_id, None) for clause_id, first_id in open_since.items()]
    if spans:
        connection.execute(insert(t.span), spans)


def _row(terms_id: int, clause_id: int, first_id: int, last_id: int | None) -> dict[str, int | None]:
    return {"terms_id": terms_id, "clause_id": clause_id, "first_version_id": first_id, "last_version_id": last_id}
