"""Bring in histories: many versions of one document at a time, in few transactions, telling nobody.

What an import writes is what checks would have written: the same tables, the same spans, the same chain. Everything
that takes time (digests, compression) is done before the write lock is taken, so that several processes can import
different documents side by side; ids are given under the lock.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, delete, func, insert, or_, select, update

from tosmon.archive import packing, store
from tosmon.archive import schema as t
from tosmon.archive.coding import flag_to_json
from tosmon.archive.engine import HURRIED
from tosmon.archive.packing import Dictionary, digest, pack_ids, pack_text, unpack_ids, unpack_text
from tosmon.archive.rows import Standing
from tosmon.archive.search import index_clauses
from tosmon.errors import ArchiveError
from tosmon.model import ChangeState, Clause, ClauseChangeKind, Comparison, Judgement, Terms, TermsKey, Version


class Overtaken(ArchiveError):
    """Somebody else recorded a version of the document meanwhile: what was prepared does not follow on it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who recorded a version elsewhere: the author, the date as it was written there, the whole message."""

    author: str
    date: str
    message: str


@dataclass(frozen=True, slots=True)
class HistoricChange:
    """What a version changed. `before` is the id of a version, or -1, -2, … for the first, second, … of its entries."""

    before: int
    at: datetime
    state: ChangeState
    reason: str
    judgement: Judgement
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Entry:
    """A version to be written, with the canonical form of each of its texts (of new ones at least).

    `bases` names, for texts that grew out of others, what they grew out of: they are packed as the difference.
    """

    version: Version
    forms: Mapping[str, str]
    bases: Mapping[str, str] = field(default_factory=dict)
    change: HistoricChange | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """What the archive holds of a document: `sources` and `marks` (second, digest) of versions tell what is known."""

    last_id: int | None = None
    sources: frozenset[str] = frozenset()
    marks: frozenset[tuple[int, bytes]] = frozenset()


class HistoryWriter:
    """Writes versions and changes of documents; use `document` for one at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(**{HURRIED: True})  # what a power cut undoes is imported again
        self._layouts: dict[_Layout, int] = {}  # of the archive, as far as known: thousands, the same for all documents

    def past(self, key: TermsKey) -> Past:
        """What is known of a document, so that nothing is imported twice."""
        with self._engine.connect().execution_options(reads=True) as connection:
            terms_id = store.terms_id(connection, key)
            if terms_id is None:
                return Past()
            columns = t.version.c
            query = select(columns.id, columns.source, columns.at, columns.digest, t.origin.c.body)
            query = query.outerjoin(t.origin, t.origin.c.version_id == columns.id).where(columns.terms_id == terms_id)
            rows = connection.execute(query).all()
            store.know_dictionaries(connection)
            marks = set()
            for row in rows:
                marks.add((int(row.at.timestamp()), bytes(row.digest)))
                if row.body is not None:
                    as_written = datetime.fromisoformat(origin_from(row.body).date)
                    marks.add((int(as_written.timestamp()), bytes(row.digest)))
            sources = frozenset(row.source for row in rows if row.source)
            return Past(max((row.id for row in rows), default=None), sources, frozenset(marks))

    def origins(self, key: TermsKey) -> dict[int, Origin]:
        """Who recorded the versions of a document that come from elsewhere, by their ids."""
        with self._engine.connect().execution_options(reads=True) as connection:
            terms_id = store.terms_id(connection, key)
            store.know_dictionaries(connection)
            query = select(t.origin.c.version_id, t.origin.c.body)
            query = query.join(t.version, t.version.c.id == t.origin.c.version_id)
            rows = connection.execute(query.where(t.version.c.terms_id == terms_id))
            return {row.version_id: origin_from(row.body) for row in rows}

    def claim(self, terms: Terms, now: datetime, lease: timedelta) -> Standing:
        """Take a document to replay its history; it is made when it is not there. Raises ArchiveError when it is taken."""
        with self._engine.begin() as connection:
            terms_id = store.terms_id(connection, terms.key)
            if terms_id is None:
                terms_id = store.add_undeclared(connection, terms.key, terms.service_name, now)
            mine = (t.terms.c.id == terms_id, or_(t.terms.c.claimed_until.is_(None), t.terms.c.claimed_until <= now))
            taken = update(t.terms).where(*mine).values(claimed_by=secrets.token_hex(8), claimed_until=now + lease)
            if connection.execute(taken).rowcount != 1:
                raise ArchiveError(f"{terms.key} is being looked at by another process; import again later")
            return store.standing(connection, terms_id)

    def train(self, texts: Iterable[str], size: int) -> bool:
        """Make a dictionary of these texts, for an archive that has none; whether it was made."""
        with self._engine.connect().execution_options(reads=True) as connection:
            if connection.execute(select(t.dictionary.c.id).limit(1)).first() is not None:
                return False
        trained = packing.train(texts, size)
        if trained is None:
            return False
        with self._engine.begin() as connection:
            connection.execute(insert(t.dictionary).values(body=trained.body))
        return True

    def document(
        self,
        key: TermsKey,
        name: str,
        now: datetime,
        last_id: int | None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> DocumentWriter:
        """A writer for a document whose last version is `last_id`; `lock` keeps processes from writing at once."""
        return DocumentWriter(self._engine, key, name, now, last_id, lock or nullcontext(), self._layouts)


def origin_from(body: bytes) -> Origin:
    """An origin as it is stored; raises ValueError when it is not what was stored."""
    text = unpack_text(body[4:])
    if zlib.crc32(text.encode("utf-8", "surrogatepass")) != int.from_bytes(body[:4], "big"):
        raise ValueError("damaged: its checksum does not fit")
    author, date, message = text.split("\n", 2)
    return Origin(author, date, message)


def _origin_body(origin: Origin, dictionary: Dictionary | None) -> bytes:
    text = f"{origin.author}\n{origin.date}\n{origin.message}"
    return zlib.crc32(text.encode("utf-8", "surrogatepass")).to_bytes(4, "big") + pack_text(text, dictionary)


@dataclass(frozen=True, slots=True)
class _Known:
    """A clause as the archive holds it. `whole` is false for one that is packed against another."""

    id: int
    whole: bool


@dataclass(frozen=True, slots=True)
class _New:
    """A text that the document did not have yet, packed alone and, if that is much shorter, against another."""

    text: str
    digest: bytes
    canonical: bytes
    packed: bytes
    base: str | None = None
    against: bytes = b""


_MOST_KNOWN = 4_000  # texts
_LATE = 40  # versions
_WORTH_A_BASE = 0.7  # of what the text takes alone: a base costs time whenever the clause is read


class DocumentWriter:
    def __init__(
        self,
        engine: Engine,
        key: TermsKey,
        name: str,
        now: datetime,
        last_id: int | None,
        lock: AbstractContextManager[Any],
        layouts: dict[_Layout, int],
    ) -> None:
        self._engine = engine
        self._key = key
        self._name = name
        self._now = now
        self._last_id = last_id
        self._lock = lock
        self._layouts = layouts
        self._known: dict[str, _Known] = {}
        with engine.connect().execution_options(reads=True) as connection:
            self._dictionary = store.dictionary(connection)

    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Write versions and their changes in one transaction; their ids. Raises Overtaken, and nothing is written."""
        new = self._new(entries)
        origins = [_origin_body(entry.origin, self._dictionary) if entry.origin else None for entry in entries]
        flags = [_flags(entry.change) for entry in entries]
        made: dict[_Layout, int] = {}
        with self._lock, self._engine.begin() as connection:
            terms_id = self._terms_id(connection)
            self._learn(connection, new)
            made = self._learn_layouts(connection, entries)
            layouts = self._layouts | made if made else self._layouts
            rows = [self._clauses(entry.version.clauses, layouts) for entry in entries]
            ids = self._add_versions(connection, terms_id, entries, rows)
            kept = [
                {"version_id": id_, "body": body} for id_, body in zip(ids, origins, strict=True) if body is not None
            ]
            if kept:
                connection.execute(insert(t.origin), kept)
            _add_changes(connection, terms_id, entries, ids, flags)
            _turn_spans(connection, terms_id, self._last_id, entries, rows, ids)
            _make_newest_the_latest(connection, terms_id)
        self._layouts.update(made)  # not before they are stored
        self._last_id = ids[-1]
        self._trim(entries)
        return ids

    def _trim(self, entries: Sequence[Entry]) -> None:
        """Forget the texts of long ago: those that return are found in the archive."""
        if len(self._known) > _MOST_KNOWN:
            late = {clause.text for entry in entries[-_LATE:] for clause in entry.version.clauses}
            self._known = {text: known for text, known in self._known.items() if text in late}

    def _terms_id(self, connection: Connection) -> int:
        terms_id = store.terms_id(connection, self._key)
        if terms_id is None:
            terms_id = store.add_undeclared(connection, self._key, self._name, self._now)
        last = connection.execute(select(func.max(t.version.c.id)).where(t.version.c.terms_id == terms_id)).scalar()
        if last != self._last_id:
            raise Overtaken(f"{self._key}: another process recorded a version meanwhile; run the import again")
        return terms_id

    # --- clauses -----------------------------------------------------------------------------------------------------

    def _new(self, entries: Sequence[Entry]) -> dict[bytes, _New]:
        """The texts that the document did not have yet, in order, packed."""
        found: dict[str, _New] = {}
        for entry in entries:
            for clause in entry.version.clauses:
                text = clause.text
                if text not in self._known and text not in found:
                    found[text] = self._packed(text, entry, found)
        return {one.digest: one for one in found.values()}

    def _packed(self, text: str, entry: Entry, found: Mapping[str, _New]) -> _New:
        alone = pack_text(text, self._dictionary)
        key, canonical = digest(text), digest(entry.forms[text])
        base = entry.bases.get(text)
        if base is not None and base in found and found[base].base is not None:
            base = found[base].base  # never a chain of them: what that one grew out of serves as well
        if base is None or base == text or len(base) < 32 or not self._is_whole(base, found):
            return _New(text, key, canonical, alone)
        against = packing.pack_against(text, base)
        if len(against) > len(alone) * _WORTH_A_BASE:
            return _New(text, key, canonical, alone)
        return _New(text, key, canonical, alone, base, against)

    def _is_whole(self, text: str, found: Mapping[str, _New]) -> bool:
        known = self._known.get(text)
        return known.whole if known is not None else text in found

    def _learn(self, connection: Connection, new: Mapping[bytes, _New]) -> None:
        """Store the clauses that no document has yet; whole ones first, for the others name their ids."""
        known = _stored(connection, new)
        missing = [one for key, one in new.items() if key not in known]
        whole = [one for one in missing if one.base is None]
        added = self._insert(connection, [(one, one.packed) for one in whole])
        known |= {one.digest: _Known(id_, True) for one, id_ in zip(whole, added, strict=True)}
        built = []
        for one in missing:
            if one.base is not None:
                base = self._known.get(one.base) or known.get(digest(one.base))
                usable = base is not None and base.whole
                built.append((one, packing.by_clause(base.id, one.against) if base and usable else one.packed))
        ids = self._insert(connection, built)
        for (one, blob), id_ in zip(built, ids, strict=True):
            known[one.digest] = _Known(id_, packing.base_of(blob) is None)
        self._known |= {one.text: known[key] for key, one in new.items()}

    @staticmethod
    def _insert(connection: Connection, rows: Sequence[tuple[_New, bytes]]) -> list[int]:
        if not rows:
            return []
        values = [{"digest": one.digest, "canonical": one.canonical, "text": blob} for one, blob in rows]
        ids = _inserted(connection, t.clause, values)
        index_clauses(connection, [(id_, one.text) for id_, (one, _) in zip(ids, rows, strict=True)])
        return ids

    def _learn_layouts(self, connection: Connection, entries: Sequence[Entry]) -> dict[_Layout, int]:
        """The layouts that were not known yet; those that are new to the archive are stored."""
        unknown = {_layout(clause): clause for entry in entries for clause in entry.version.clauses}
        unknown = {layout: clause for layout, clause in unknown.items() if layout not in self._layouts}
        return store.layout_ids(connection, list(unknown.values())) if unknown else {}

    def _clauses(self, clauses: Sequence[Clause], layouts: Mapping[_Layout, int]) -> list[tuple[int, int]]:
        return [(self._known[clause.text].id, layouts[_layout(clause)]) for clause in clauses]

    # --- versions ----------------------------------------------------------------------------------------------------

    def _add_versions(
        self,
        connection: Connection,
        terms_id: int,
        entries: Sequence[Entry],
        rows: Sequence[Sequence[tuple[int, int]]],
    ) -> list[int]:
        link = store.last_chain(connection)
        values = []
        for entry, clauses in zip(entries, rows, strict=True):
            link = store.chain(link, self._key, entry.version.at, entry.version.digest)
            values.append(store.version_values(terms_id, entry.version, pack_ids(clauses), link, self._now))
        return _inserted(connection, t.version, values)


_Layout = tuple[str, str, str, int]


def _layout(clause: Clause) -> _Layout:
    return clause.lead, clause.tail, clause.kind.value, clause.level


def _stored(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, _Known]:
    found: dict[bytes, _Known] = {}
    columns = t.clause.c
    for part in store.chunks(list(digests)):
        query = select(columns.id, columns.digest, func.substr(columns.text, 1, 1).label("coding"))
        for row in connection.execute(query.where(columns.digest.in_(part))):
            found[bytes(row.digest)] = _Known(row.id, packing.stands_alone(bytes(row.coding)))
    return found


def _inserted(connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The ids of new rows, in their order."""
    statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def _flags(change: HistoricChange | None) -> list[dict[str, str]]:
    if change is None:
        return []
    return [
        {"topic": flag.topic, "direction": flag.direction.value, "body": flag_to_json(flag)}
        for flag in change.judgement.flags
    ]


def _add_changes(
    connection: Connection,
    terms_id: int,
    entries: Sequence[Entry],
    ids: Sequence[int],
    flags: Sequence[Sequence[Mapping[str, str]]],
) -> None:
    rows, raised = [], []
    for entry, after_id, mine in zip(entries, ids, flags, strict=True):
        change = entry.change
        if change is None:
            continue
        before_id = change.before if change.before > 0 else ids[-change.before - 1]
        rows.append(
            store.change_values(
                terms_id,
                before_id,
                after_id,
                change.at,
                change.state,
                change.reason,
                change.judgement,
                change.comparison,
            )
        )
        raised.append(mine)
    if not rows:
        return
    change_ids = _inserted(connection, t.change, rows)
    flag_rows = [
        one | {"change_id": id_} for id_, mine in zip(change_ids, raised, strict=True) for one in map(dict, mine)
    ]
    if flag_rows:
        connection.execute(insert(t.flag), flag_rows)


def bases_of(comparison: Comparison) -> dict[str, str]:
    """For each clause that grew out of another, that one's text."""
    kinds = (ClauseChangeKind.MODIFIED, ClauseChangeKind.COSMETIC)
    return {
        comparison.after[one.after].text: comparison.before[one.before].text
        for one in comparison.of(*kinds)
        if one.before is not None and one.after is not None
    }


# --- spans ---------------------------------------------------------------------------------------------------------


def _turn_spans(
    connection: Connection,
    terms_id: int,
    last_id: int | None,
    entries: Sequence[Entry],
    rows: Sequence[Sequence[tuple[int, int]]],
    ids: Sequence[int],
) -> None:
    """Go on with the document's spans, or write them anew where the entries do not all come after what was there."""
    times = [entry.version.at for entry in entries]
    newest = select(func.max(t.version.c.at)).where(t.version.c.terms_id == terms_id, t.version.c.id < ids[0])
    last_at = connection.execute(newest).scalar() if last_id is not None else None
    if times != sorted(times) or (last_at is not None and times[0] < last_at):
        rebuild_spans(connection, terms_id)
        return
    standing = and_(t.span.c.terms_id == terms_id, t.span.c.last_version_id.is_(None))
    stored = {
        row.clause_id: row.first_version_id
        for row in connection.execute(select(t.span.c.clause_id, t.span.c.first_version_id).where(standing))
    }
    before_id = _last_in_time(connection, terms_id, ids[0]) if stored else None
    closed, begun = _runs(terms_id, stored, before_id, rows, ids)
    ended = [one for one in closed if stored.get(_number(one["clause_id"])) == one["first_version_id"]]
    for one in ended:
        stored.pop(_number(one["clause_id"]))
    if ended:
        which = (
            t.span.c.terms_id == terms_id,
            t.span.c.clause_id == bindparam("ended"),
            t.span.c.first_version_id == bindparam("began"),
        )
        values = [
            {"ended": one["clause_id"], "began": one["first_version_id"], "last": one["last_version_id"]}
            for one in ended
        ]
        connection.execute(update(t.span).where(*which).values(last_version_id=bindparam("last")), values)
    seen = {(one["clause_id"], one["first_version_id"]) for one in ended}
    new = [one for one in (*closed, *begun) if (one["clause_id"], one["first_version_id"]) not in seen]
    if new:
        connection.execute(insert(t.span), new)


def _number(value: int | None) -> int:
    assert value is not None
    return value


def _last_in_time(connection: Connection, terms_id: int, below_id: int) -> int | None:
    columns = t.version.c
    query = select(columns.id).where(columns.terms_id == terms_id, columns.id < below_id)
    found: int | None = connection.execute(query.order_by(columns.at.desc(), columns.id.desc()).limit(1)).scalar()
    return found


_Span = dict[str, int | None]


def _runs(
    terms_id: int,
    standing: Mapping[int, int],
    last_id: int | None,
    rows: Sequence[Sequence[tuple[int, int]]],
    ids: Sequence[int],
) -> tuple[list[_Span], list[_Span]]:
    """The runs that ended with these versions, and those that began and still stand."""
    open_since = dict(standing)
    closed: list[_Span] = []
    for version_id, clauses in zip(ids, rows, strict=True):
        clause_ids = {clause_id for clause_id, _ in clauses}
        for clause_id in open_since.keys() - clause_ids:
            closed.append(_row(terms_id, clause_id, open_since.pop(clause_id), last_id))
        for clause_id in clause_ids - open_since.keys():
            open_since[clause_id] = version_id
        last_id = version_id
    new = [
        _row(terms_id, clause_id, first_id, None)
        for clause_id, first_id in open_since.items()
        if standing.get(clause_id) != first_id
    ]
    return closed, new


def rebuild_spans(connection: Connection, terms_id: int) -> None:
    """Write the spans of a document anew from its versions in the order of time: an import put some between others."""
    connection.execute(delete(t.span).where(t.span.c.terms_id == terms_id))
    query = (
        select(t.version.c.id, t.version.c.clauses)
        .where(t.version.c.terms_id == terms_id)
        .order_by(t.version.c.at, t.version.c.id)
    )
    found = connection.execute(query).all()
    closed, begun = _runs(
        terms_id, {}, None, [unpack_ids(row.clauses) for row in found], [row.id for row in found]
    )  # fmt: skip
    if closed or begun:
        connection.execute(insert(t.span), [*closed, *begun])


def _row(terms_id: int, clause_id: int, first_id: int, last_id: int | None) -> _Span:
    return {"terms_id": terms_id, "clause_id": clause_id, "first_version_id": first_id, "last_version_id": last_id}


def _make_newest_the_latest(connection: Connection, terms_id: int) -> None:
    newest = (
        select(t.version.c.id)
        .where(t.version.c.terms_id == terms_id)
        .order_by(t.version.c.at.desc(), t.version.c.id.desc())
        .limit(1)
    )
    latest_id = connection.execute(newest).scalar()
    connection.execute(update(t.terms).where(t.terms.c.id == terms_id).values(latest_version_id=latest_id))
