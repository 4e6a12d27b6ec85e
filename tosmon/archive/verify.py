"""Look whether everything in the archive still is what was recorded: nothing is trusted but digests and the chain.

Clauses are held against their digests, versions are rebuilt byte for byte, the chain is followed from the first version,
snapshots on disk are hashed. Each fault names what is damaged. A text that was withdrawn on request is no fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from tosmon.archive import schema as t
from tosmon.archive import store
from tosmon.archive.history import origin_from
from tosmon.archive.packing import base_of, digest, stands_alone, unpack_ids, unpack_text
from tosmon.clauses import canonical
from tosmon.errors import ArchiveError
from tosmon.model import TermsKey

_AT_ONCE = 2000
Progress = Callable[[str, int, int], None]
"""Called with what is looked at, how many are done and how many there are."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is not as it was recorded: `kind` is clause, version, chain, span, origin, snapshot or database."""

    kind: str
    name: str
    detail: str


@dataclass(slots=True)
class Verified:
    clauses: int = 0
    versions: int = 0
    snapshots: int = 0
    withdrawn: int = 0
    faults: list[Fault] = field(default_factory=list)

    def fault(self, kind: str, name: str, detail: str) -> None:
        self.faults.append(Fault(kind, name, detail))


def verify(engine: Engine, snapshots: Path | None, progress: Progress) -> Verified:
    """Look at everything; without a folder of snapshots at the database alone."""
    found = Verified()
    with engine.connect().execution_options(reads=True) as connection:
        try:
            _database(connection, found)
            store.know_dictionaries(connection)
            gone = set(connection.execute(select(t.tombstone.c.clause_id)).scalars())
            _clauses(connection, gone, found, progress)
            _chain(connection, found)
            _versions(connection, gone, found, progress)
            _origins(connection, found)
            if snapshots is not None:
                _snapshots(connection, snapshots, found, progress)
        except ArchiveError as error:
            found.fault("database", "archive", str(error))
    return found


def _database(connection: Connection, found: Verified) -> None:
    """What the database can tell of itself: pages, indexes, rows that belong to rows that are not there."""
    if connection.dialect.name != "sqlite":
        return
    for (words,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if words != "ok":
            found.fault("database", "archive", str(words))
    for table, row_id, parent, _ in list(connection.exec_driver_sql("PRAGMA foreign_key_check"))[:20]:
        found.fault("database", f"{table} {row_id}", f"belongs to a {parent} that is not there")


# --- clauses ---------------------------------------------------------------------------------------------------------


def _clauses(connection: Connection, gone: set[int], found: Verified, progress: Progress) -> None:
    total = connection.execute(select(func.count()).select_from(t.clause)).scalar_one()
    last = 0
    query = select(t.clause).order_by(t.clause.c.id).limit(_AT_ONCE)
    while rows := connection.execute(query.where(t.clause.c.id > last)).all():
        texts = _texts(connection, {row.id: row.text for row in rows}, gone, found)
        for row in rows:
            if row.id in texts:
                _clause(row, texts[row.id], found)
        found.clauses += len(rows)
        last = rows[-1].id
        progress("clauses", found.clauses, total)


def _clause(row: Row[Any], text: str, found: Verified) -> None:
    if digest(text) != row.digest:
        found.fault("clause", str(row.id), "its text is not the one that was recorded")
    elif digest(canonical(text)) != row.canonical:
        found.fault("clause", str(row.id), "the digest of its canonical form is not that of its text")


def _texts(connection: Connection, blobs: Mapping[int, Any], gone: set[int], found: Verified | None) -> dict[int, str]:
    """The texts that can be read; the others are faults."""
    packed = {
        clause_id: blob if isinstance(blob, bytes) else bytes(str(blob), "utf-8") for clause_id, blob in blobs.items()
    }
    bases = set()
    for blob in packed.values():
        try:
            bases.add(base_of(blob))
        except ValueError:
            continue
    bases.discard(None)
    known = {id_: text for id_ in bases if id_ is not None for text in _base(connection, id_, packed)}
    texts: dict[int, str] = {}
    for clause_id, blob in packed.items():
        if clause_id in gone:
            if found is not None:
                found.withdrawn += 1
            continue
        try:
            texts[clause_id] = unpack_text(blob, known)
            if blob[:1] == b"\x7f":
                raise ValueError("withdrawn, and no tombstone says so")
        except ValueError as error:
            texts.pop(clause_id, None)
            if found is not None:
                found.fault("clause", str(clause_id), f"cannot be read: {error}")
    return texts


def _base(connection: Connection, clause_id: int, packed: Mapping[int, bytes]) -> Iterator[str]:
    blob = packed.get(clause_id)
    if blob is None:
        blob = connection.execute(select(t.clause.c.text).where(t.clause.c.id == clause_id)).scalar()
    if isinstance(blob, bytes) and stands_alone(blob[:1]):
        try:
            yield unpack_text(blob)
        except ValueError:
            return  # told where that clause is looked at


# --- versions --------------------------------------------------------------------------------------------------------


def _chain(connection: Connection, found: Verified) -> None:
    """Follow the chain in the order of recording, with the names that documents had at the time."""
    names = {
        row.id: TermsKey(row.key, row.type)
        for row in connection.execute(
            select(t.terms.c.id, t.service.c.key, t.terms.c.type).join(
                t.service, t.service.c.id == t.terms.c.service_id
            )
        )
    }
    former: dict[int, list[tuple[int, TermsKey]]] = {}
    for row in connection.execute(select(t.former).order_by(t.former.c.until_id)):
        former.setdefault(row.terms_id, []).append((row.until_id, TermsKey(row.service, row.type)))
    columns = t.version.c
    query = select(columns.id, columns.terms_id, columns.at, columns.digest, columns.chain).order_by(columns.id)
    before = b""
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
        key = next((key for until, key in former.get(row.terms_id, ()) if row.id <= until), names.get(row.terms_id))
        if key is None or store.chain(before, key, row.at, row.digest) != row.chain:
            found.fault(
                "chain", f"version {row.id}", "its link does not follow from the one before: something was altered"
            )
        before = row.chain


def _versions(connection: Connection, gone: set[int], found: Verified, progress: Progress) -> None:
    total = connection.execute(select(func.count()).select_from(t.version)).scalar_one()
    layouts = {row.id: (row.lead, row.tail) for row in connection.execute(select(t.layout))}
    for terms_id in connection.execute(select(t.terms.c.id).order_by(t.terms.c.id)).scalars().all():
        _document(connection, terms_id, layouts, gone, found, lambda: progress("versions", found.versions, total))


def _document(
    connection: Connection,
    terms_id: int,
    layouts: Mapping[int, tuple[str, str]],
    gone: set[int],
    found: Verified,
    said: Callable[[], None],
) -> None:
    columns = t.version.c
    query = select(columns.id, columns.clauses, columns.digest, columns.canonical_digest, columns.at)
    query = query.where(columns.terms_id == terms_id).order_by(columns.at, columns.id)
    texts: dict[int, str] = {}
    forms: dict[int, str] = {}
    runs = _Runs()
    whole = True
    for row in connection.execute(query).all():
        found.versions += 1
        try:
            ids = unpack_ids(row.clauses)
        except (ValueError, OverflowError) as error:
            found.fault("version", str(row.id), f"its list of clauses cannot be read: {error}")
            whole = False
            continue
        _learn(connection, {clause_id for clause_id, _ in ids} - texts.keys(), gone, texts, forms)
        _version(row, ids, layouts, texts, forms, gone, found)
        runs.turn(row.id, {clause_id for clause_id, _ in ids})
        if found.versions % 100 == 0:
            said()
    if whole:
        _spans(connection, terms_id, runs.all(), found)
    said()


def _learn(
    connection: Connection, clause_ids: set[int], gone: set[int], texts: dict[int, str], forms: dict[int, str]
) -> None:
    for part in store.chunks(sorted(clause_ids)):
        rows = connection.execute(select(t.clause.c.id, t.clause.c.text).where(t.clause.c.id.in_(part)))
        new = _texts(connection, {row.id: row.text for row in rows}, gone, None)
        texts |= new
        forms |= {clause_id: canonical(text) for clause_id, text in new.items()}


def _version(
    row: Any,
    ids: Sequence[tuple[int, int]],
    layouts: Mapping[int, tuple[str, str]],
    texts: Mapping[int, str],
    forms: Mapping[int, str],
    gone: set[int],
    found: Verified,
) -> None:
    if any(clause_id in gone for clause_id, _ in ids):
        return  # what is left of it cannot be held against the digest; the chain still vouches for that
    if any(clause_id not in texts or layout_id not in layouts for clause_id, layout_id in ids):
        found.fault("version", str(row.id), "cannot be rebuilt: a clause of it is missing or damaged")
        return
    parts = [part for clause_id, layout_id in ids for part in _placed(texts[clause_id], layouts[layout_id])]
    if hashlib.sha256("".join(parts).encode("utf-8", "surrogatepass")).digest() != row.digest:
        found.fault("version", str(row.id), "rebuilt, it is not the text that was recorded")
        return
    joined = "".join([forms[clause_id] for clause_id, _ in ids]).encode("utf-8", "surrogatepass")
    if hashlib.sha256(joined).digest()[:16] != row.canonical_digest:
        found.fault("version", str(row.id), "the digest of its canonical form is not that of its text")


def _placed(text: str, layout: tuple[str, str]) -> tuple[str, str, str]:
    return layout[0], text, layout[1]


class _Runs:
    """The runs of clauses of a document, as its versions have them."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}
        self._closed: set[tuple[int, int, int | None]] = set()
        self._last: int | None = None

    def turn(self, version_id: int, clause_ids: set[int]) -> None:
        for clause_id in self._open.keys() - clause_ids:
            self._closed.add((clause_id, self._open.pop(clause_id), self._last))
        for clause_id in clause_ids - self._open.keys():
            self._open[clause_id] = version_id
        self._last = version_id

    def all(self) -> set[tuple[int, int, int | None]]:
        return self._closed | {(clause_id, first, None) for clause_id, first in self._open.items()}


def _spans(connection: Connection, terms_id: int, wanted: set[tuple[int, int, int | None]], found: Verified) -> None:
    columns = t.span.c
    query = select(columns.clause_id, columns.first_version_id, columns.last_version_id)
    stored = {tuple(row) for row in connection.execute(query.where(columns.terms_id == terms_id))}
    for clause_id, first_id, _ in sorted(wanted ^ stored, key=lambda run: (run[0], run[1]))[:5]:
        found.fault("span", f"clause {clause_id} since version {first_id}", "is not the run that the versions show")


# --- where versions come from, and pages as received -----------------------------------------------------------------


def _origins(connection: Connection, found: Verified) -> None:
    for row in connection.execution_options(yield_per=_AT_ONCE).execute(select(t.origin)):
        try:
            origin_from(row.body)
        except ValueError as error:
            found.fault("origin", f"version {row.version_id}", f"who recorded it cannot be read: {error}")


def _snapshots(connection: Connection, folder: Path, found: Verified, progress: Progress) -> None:
    columns = t.snapshot.c
    rows = connection.execute(select(columns.path, columns.sha256, columns.bytes).order_by(columns.id)).all()
    for number, row in enumerate(rows):
        fault = _file_fault(folder / row.path, row.sha256)
        if fault:
            found.fault("snapshot", row.path, fault)
        found.snapshots += 1
        progress("snapshots", number + 1, len(rows))


def _file_fault(path: Path, sha256: str) -> str:
    try:
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return "" if actual == sha256 else "is not the file that was written"
