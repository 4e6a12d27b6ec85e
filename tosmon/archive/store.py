"""Recording: the one transaction in which a check leaves everything it found.

Check, snapshot row, versions, spans, change, flags, alert and pending notifications are written together or not at
all, under the lease with which the check was claimed. A process that dies leaves the archive as it was before its
check, and the lease runs out.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from tosmon.archive import schema as t
from tosmon.archive.coding import alert_to_json, flag_to_json
from tosmon.archive.packing import (
    WITHDRAWN,
    Dictionary,
    UnknownDictionary,
    base_of,
    digest,
    know,
    pack_ids,
    pack_text,
    unpack_text,
)
from tosmon.archive.rows import (
    OpenChange,
    OpenIncident,
    Recorded,
    Recording,
    Settled,
    Standing,
    Telling,
    VersionRow,
)
from tosmon.archive.search import index_clauses
from tosmon.clauses import canonical
from tosmon.errors import ArchiveError
from tosmon.gates.volatile import Part
from tosmon.model import (
    Alert,
    AlertKind,
    ChangeState,
    Clause,
    ClauseChangeKind,
    Comparison,
    Judgement,
    NotificationState,
    Terms,
    TermsKey,
    Validators,
    Verdict,
    Version,
)

_CHUNK = 500  # bound variables in one statement; every database takes that many
_T = TypeVar("_T")


class LeaseLost(ArchiveError):
    """Another process took over the document while this one was looking: what it found is dropped, nothing is lost."""


def declare(connection: Connection, declared: Sequence[Terms], now: datetime) -> None:
    """Make the archive's documents those declared; the others stay archived, but are looked at no more."""
    known = {
        TermsKey(row.key, row.type): row
        for row in connection.execute(
            select(t.service.c.key, t.terms).join(t.service, t.service.c.id == t.terms.c.service_id)
        )
    }
    names = {row.key: row.name for row in connection.execute(select(t.service))}
    ids = {row.key: row.id for row in connection.execute(select(t.service))}
    wanted = {terms.key for terms in declared}
    held = set(connection.execute(select(t.pause.c.terms_id)).scalars())
    for terms in declared:
        key, name = terms.key.service, terms.service_name
        if key not in ids:
            ids[key] = _insert(connection, t.service, key=key, name=name)
        elif names[key] != name:
            connection.execute(update(t.service).where(t.service.c.id == ids[key]).values(name=name))
        names[key] = name
        row = known.get(terms.key)
        paused = terms.paused or (row is not None and row.id in held)
        _declare_terms(connection, replace(terms, paused=paused), ids[key], row, now)
    gone = [row.id for key, row in known.items() if key not in wanted and row.declared]
    for part in chunks(gone):
        connection.execute(update(t.terms).where(t.terms.c.id.in_(part)).values(declared=False))


def _declare_terms(connection: Connection, terms: Terms, service_id: int, row: Row[Any] | None, now: datetime) -> None:
    seconds = int(terms.interval.total_seconds())
    values = {
        "url": terms.url,
        "tags": json.dumps(terms.tags),
        "declared": True,
        "paused": terms.paused,
        "interval_seconds": seconds,
    }
    if row is None:
        # A new document is looked at at once: whoever adds one wants to see it. The spread over the interval comes after.
        row_values = values | {"service_id": service_id, "type": terms.key.type, "due_at": now}
        connection.execute(insert(t.terms).values(row_values))
        return
    if row.interval_seconds != seconds or not row.declared:
        values["due_at"] = min(row.due_at, now + terms.interval) if row.declared else now
    if any(getattr(row, name) != value for name, value in values.items()):
        connection.execute(update(t.terms).where(t.terms.c.id == row.id).values(values))


def add_undeclared(connection: Connection, key: TermsKey, name: str, now: datetime) -> int:
    """A document that is archived without being looked at (it comes from an import)."""
    service_id = connection.execute(select(t.service.c.id).where(t.service.c.key == key.service)).scalar()
    service_id = service_id or _insert(connection, t.service, key=key.service, name=name)
    return _insert(
        connection,
        t.terms,
        service_id=service_id,
        type=key.type,
        url="",
        tags="[]",
        declared=False,
        interval_seconds=3600,
        due_at=now,
    )


# Statements of every check, built once: building them costs more than running them.
_FREE = and_(
    t.terms.c.declared,
    or_(t.terms.c.claimed_until.is_(None), t.terms.c.claimed_until <= bindparam("now", type_=t.Instant)),
)
_CLAIMABLE = select(t.terms.c.id).join(t.service, t.service.c.id == t.terms.c.service_id).where(_FREE)
_CLAIMABLE_DUE = (
    _CLAIMABLE.where(~t.terms.c.paused, t.terms.c.due_at <= bindparam("now", type_=t.Instant))
    .order_by(t.terms.c.due_at)
    .limit(bindparam("most"))
)
_CLAIMABLE_KEY = _CLAIMABLE.where(t.service.c.key == bindparam("service"), t.terms.c.type == bindparam("type"))
_CLAIM = update(t.terms).where(t.terms.c.id == bindparam("which"))


def anything_due(connection: Connection, now: datetime) -> bool:
    """Whether a document waits to be looked at; it may be taken already."""
    return connection.execute(_CLAIMABLE_DUE, {"now": now, "most": 1}).first() is not None


def claim(
    connection: Connection, now: datetime, lease: timedelta, limit: int, keys: Sequence[TermsKey] | None
) -> list[Standing]:
    """Take documents to look at: those due, or those asked for by key whether due or not; never one that is taken."""
    if keys is None:
        chosen = list(connection.execute(_CLAIMABLE_DUE, {"now": now, "most": limit}).scalars())
    else:
        chosen = []
        for key in keys[:limit]:
            wanted = {"now": now, "service": key.service, "type": key.type}
            chosen += connection.execute(_CLAIMABLE_KEY, wanted).scalars()
    token = secrets.token_hex(8)
    for terms_id in chosen:
        connection.execute(_CLAIM, {"which": terms_id, "claimed_by": token, "claimed_until": now + lease})
    return [standing(connection, terms_id) for terms_id in chosen]


def terms_id(connection: Connection, key: TermsKey) -> int | None:
    query = select(t.terms.c.id).join(t.service, t.service.c.id == t.terms.c.service_id)
    found: int | None = connection.execute(
        query.where(t.service.c.key == key.service, t.terms.c.type == key.type)
    ).scalar()
    return found


# One statement, built once: every check begins with it.
_latest, _incidents = t.version.alias("latest"), t.incident.alias("open")
_pending, _undone = t.change.alias("pending"), t.change.alias("undone")
_STANDING = (
    select(
        t.terms,
        t.service.c.key,
        *(column.label(f"latest_{column.name}") for column in _latest.c if column.name not in ("clauses", "chain")),
        *(column.label(f"incident_{column.name}") for column in _incidents.c),
        *(
            column.label(f"pending_{column.name}")
            for column in (_pending.c.before_id, _pending.c.after_id, _pending.c.at)
        ),
        *(column.label(f"undone_{column.name}") for column in (_undone.c.before_id, _undone.c.after_id, _undone.c.at)),
    )
    .join(t.service, t.service.c.id == t.terms.c.service_id)
    .outerjoin(_latest, _latest.c.id == t.terms.c.latest_version_id)
    .outerjoin(_incidents, and_(_incidents.c.terms_id == t.terms.c.id, _incidents.c.closed_at.is_(None)))
    .outerjoin(_pending, _pending.c.id == t.terms.c.pending_change_id)
    .outerjoin(_undone, _undone.c.id == t.terms.c.undone_change_id)
    .where(t.terms.c.id == bindparam("terms"))
)


def standing(connection: Connection, terms_id: int) -> Standing:
    row = connection.execute(_STANDING, {"terms": terms_id}).one()
    key = TermsKey(row.key, row.type)
    return Standing(
        terms_id=row.id,
        key=key,
        lease=row.claimed_by or "",
        due_at=row.due_at,
        failures=row.failures,
        latest=_latest_row(row, key) if row.latest_version_id is not None else None,
        body_digest=row.body_digest,
        fingerprint=row.fingerprint,
        missing=tuple(json.loads(row.missing)),
        final_urls=tuple(json.loads(row.final_urls)),
        validators={url: Validators(*values) for url, values in json.loads(row.validators).items()},
        last_whole_at=row.last_whole_at,
        incident=_open_incident(row) if row.incident_id is not None else None,
        pending=_open_change(row.pending_change_id, row.pending_before_id, row.pending_after_id, row.pending_at),
        undone=_open_change(row.undone_change_id, row.undone_before_id, row.undone_after_id, row.undone_at),
        told_at=row.told_at,
        announced=row.announced,
    )


def _latest_row(row: Row[Any], key: TermsKey) -> VersionRow:
    return VersionRow(
        row.latest_version_id,
        key,
        row.latest_at,
        row.latest_digest,
        row.latest_canonical_digest,
        row.latest_words,
        row.latest_technical,
        row.latest_form,
        row.latest_extractor,
        row.latest_language,
        row.latest_source,
    )


def _open_incident(row: Row[Any]) -> OpenIncident:
    return OpenIncident(
        Verdict(row.incident_verdict),
        row.incident_detail,
        row.incident_opened_at,
        row.incident_looks,
        row.incident_fingerprint,
    )


def _open_change(change_id: int | None, before_id: int, after_id: int, at: datetime) -> OpenChange | None:
    return None if change_id is None else OpenChange(change_id, before_id, after_id, at)


def version_row(row: Row[Any], key: TermsKey, previous_id: int | None = None, next_id: int | None = None) -> VersionRow:
    return VersionRow(
        row.id,
        key,
        row.at,
        row.digest,
        row.canonical_digest,
        row.words,
        row.technical,
        row.form,
        row.extractor,
        row.language,
        row.source,
        previous_id,
        next_id,
    )


_RELEASE = update(t.terms).where(t.terms.c.id == bindparam("which"), t.terms.c.claimed_by == bindparam("under"))


def record(connection: Connection, recording: Recording) -> Recorded:
    """Write everything a check found; raises LeaseLost when the document is no longer this process's to look at."""
    known = recording.standing
    latest_id = known.latest.id if known.latest else None
    version_id = technical_id = None
    if recording.technical is not None:
        technical_id = add_version(connection, known.terms_id, known.key, recording.technical, latest_id, recording.at)
        latest_id = technical_id
    if recording.version is not None:
        version_id = add_version(connection, known.terms_id, known.key, recording.version, latest_id, recording.at)
        latest_id = version_id
    check_id = _insert(
        connection,
        t.check,
        terms_id=known.terms_id,
        at=recording.at,
        seconds=round((recording.finished_at - recording.at).total_seconds()),
        verdict=recording.verdict.value,
        outcome=recording.outcome.value,
        detail=recording.detail,
        status=recording.status,
        version_id=version_id or technical_id,
    )
    if recording.snapshot is not None:
        kept = recording.snapshot
        _insert(
            connection,
            t.snapshot,
            terms_id=known.terms_id,
            check_id=check_id,
            at=kept.at,
            path=kept.path,
            sha256=kept.sha256,
            bytes=kept.bytes,
            urls=json.dumps(kept.urls),
            body_sha256=json.dumps(kept.body_sha256),
        )
    pending = known.pending.id if known.pending is not None else None
    alert, change_id = None, None
    for settled in recording.settled:
        alert = _settle(connection, settled, recording.at) or alert
        pending = None if pending == settled.change_id else pending
    if recording.change is not None and version_id is not None:
        before_id = recording.change.before_id or technical_id
        assert before_id is not None
        new = recording.change
        change_id = add_change(
            connection, known.terms_id, before_id, version_id, recording.at, new.state, new.reason, new.judgement,
            new.comparison,
        )  # fmt: skip
        if recording.change.tell is not None:
            alert = _tell(connection, known.terms_id, recording.change.tell, change_id, version_id, recording.at)
        if recording.change.state is ChangeState.PENDING:
            pending = change_id
    learn_parts(connection, known.terms_id, recording.volatile, recording.at)
    opened, closed = _incident(connection, known.terms_id, recording)
    values: dict[str, Any] = {
        "due_at": recording.due_at,
        "failures": recording.failures,
        "last_checked_at": recording.at,
        "claimed_by": None,
        "claimed_until": None,
        "latest_version_id": latest_id,
        "pending_change_id": pending,
        "undone_change_id": recording.undone_change_id,
    }
    if recording.verdict is Verdict.OK:
        values["last_whole_at"] = recording.at
    if recording.seen:
        values |= {
            "body_digest": recording.body_digest,
            "fingerprint": recording.fingerprint,
            "missing": json.dumps(recording.missing),
            "final_urls": json.dumps(recording.final_urls),
            "validators": _validators(recording.validators),
        }
    if connection.execute(_RELEASE, values | {"which": known.terms_id, "under": known.lease}).rowcount != 1:
        raise LeaseLost(f"{known.key}: another process checked it meanwhile")
    return Recorded(
        check_id, recording.verdict, recording.outcome, recording.detail, version_id, change_id, alert, opened, closed
    )


def _validators(validators: Mapping[str, Validators]) -> str:
    return json.dumps({url: [v.etag, v.last_modified] for url, v in validators.items() if v.etag or v.last_modified})


def _incident(connection: Connection, terms_id: int, recording: Recording) -> tuple[bool, bool]:
    """Open, go on with or close the document's incident; whether it was opened, and whether closed."""
    if recording.verdict is Verdict.OK and recording.standing.incident is None:
        return False, False
    is_open = and_(t.incident.c.terms_id == terms_id, t.incident.c.closed_at.is_(None))
    row = connection.execute(select(t.incident).where(is_open)).one_or_none()
    if recording.verdict is Verdict.OK:
        if row is not None:
            connection.execute(update(t.incident).where(t.incident.c.id == row.id).values(closed_at=recording.at))
        return False, row is not None
    values = {
        "verdict": recording.verdict.value,
        "detail": recording.detail,
        "last_at": recording.at,
        "fingerprint": recording.fingerprint,
    }
    if row is None:
        _insert(connection, t.incident, terms_id=terms_id, opened_at=recording.at, looks=1, **values)
        return True, False
    connection.execute(update(t.incident).where(t.incident.c.id == row.id).values(values | {"looks": row.looks + 1}))
    return False, False


# --- versions ----------------------------------------------------------------------------------------------------


def add_version(
    connection: Connection, terms_id: int, key: TermsKey, version: Version, latest_id: int | None, now: datetime
) -> int:
    """Store a version after the latest one: its new clauses, itself, and the spans that begin and end with it."""
    known = clause_ids(connection, version.clauses)
    layouts = layout_ids(connection, version.clauses)
    rows = [
        (known[clause.text], layouts[clause.lead, clause.tail, clause.kind.value, clause.level])
        for clause in version.clauses
    ]
    link = chain(last_chain(connection), key, version.at, version.digest)
    version_id = _insert(connection, t.version, **version_values(terms_id, version, pack_ids(rows), link, now))
    _turn_spans(connection, terms_id, {clause_id for clause_id, _ in rows}, version_id, latest_id)
    return version_id


def insert_anew(connection: Connection, terms_id: int, key: TermsKey, version: Version, now: datetime) -> int:
    """Store a version in the midst of a history; the document's spans have to be rebuilt after it."""
    known = clause_ids(connection, version.clauses)
    layouts = layout_ids(connection, version.clauses)
    rows = [
        (known[clause.text], layouts[clause.lead, clause.tail, clause.kind.value, clause.level])
        for clause in version.clauses
    ]
    link = chain(last_chain(connection), key, version.at, version.digest)
    return _insert(connection, t.version, **version_values(terms_id, version, pack_ids(rows), link, now))


def version_values(terms_id: int, version: Version, packed: bytes, link: bytes, now: datetime) -> dict[str, Any]:
    """The row of a version."""
    return {
        "terms_id": terms_id,
        "at": version.at,
        "recorded_at": now,
        "clauses": packed,
        "digest": version.digest,
        "canonical_digest": version.canonical_digest,
        "words": version.words,
        "technical": version.technical,
        "form": version.form,
        "extractor": version.extractor,
        "language": version.language,
        "source": version.source,
        "chain": link,
    }


def chain(previous: bytes, key: TermsKey, at: datetime, text_digest: bytes) -> bytes:
    """The link of one version: SHA-256 over the link before it, the document, the time and the text's digest."""
    parts = (previous, key.service.encode(), key.type.encode(), at.isoformat().encode(), text_digest)
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def last_chain(connection: Connection) -> bytes:
    found = connection.execute(select(t.version.c.chain).order_by(t.version.c.id.desc()).limit(1)).scalar()
    return bytes(found) if found is not None else b""


def clause_ids(connection: Connection, clauses: Sequence[Clause]) -> dict[str, int]:
    texts = {digest(clause.text): clause.text for clause in clauses}
    known = known_clauses(connection, texts)
    new = [key for key in texts if key not in known]
    if new:
        help_ = dictionary(connection)
        rows = [
            {"digest": key, "canonical": digest(canonical(texts[key])), "text": pack_text(texts[key], help_)}
            for key in new
        ]
        connection.execute(insert_unless_there(connection, t.clause, ("digest",)), rows)
        added = known_clauses(connection, new)
        index_clauses(connection, [(clause_id, texts[key]) for key, clause_id in added.items()])
        known |= added
    return {text: known[key] for key, text in texts.items()}


def known_clauses(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for part in chunks(list(digests)):
        query = select(t.clause.c.digest, t.clause.c.id).where(t.clause.c.digest.in_(part))
        known |= {bytes(row.digest): row.id for row in connection.execute(query)}
    return known


def dictionary(connection: Connection) -> Dictionary | None:
    """The newest dictionary of the archive, to pack texts with; `None` when it has none."""
    last_id = connection.execute(select(func.max(t.dictionary.c.id))).scalar()
    known_id, known = connection.info.get("dictionary", (None, None))
    if known_id != last_id:
        body = connection.execute(select(t.dictionary.c.body).where(t.dictionary.c.id == last_id)).scalar_one()
        known = know(bytes(body))
        connection.info["dictionary"] = (last_id, known)
    return known if last_id is not None else None


def know_dictionaries(connection: Connection) -> None:
    """Make every dictionary of the archive known to this process; another one may have trained one meanwhile."""
    for body in connection.execute(select(t.dictionary.c.body)).scalars():
        know(bytes(body))


def clause_texts(connection: Connection, clause_ids: Iterable[int]) -> dict[int, str]:
    """The Markdown of clauses by their ids; raises ArchiveError where one cannot be read."""
    blobs = _blobs(connection, clause_ids)
    bases = {base for blob in blobs.values() if (base := base_of(blob)) is not None}
    texts = _unpacked(connection, blobs | _blobs(connection, bases - blobs.keys()))
    texts |= _tombstones(connection, [clause_id for clause_id, blob in blobs.items() if blob == WITHDRAWN])
    return {clause_id: texts[clause_id] for clause_id in blobs}


def _tombstones(connection: Connection, clause_ids: Sequence[int]) -> dict[int, str]:
    """What is read in the place of texts that were withdrawn."""
    found: dict[int, str] = {}
    for part in chunks(list(clause_ids)):
        for row in connection.execute(select(t.tombstone).where(t.tombstone.c.clause_id.in_(part))):
            found[row.clause_id] = f"[Withdrawn on {row.at:%Y-%m-%d}: {row.reason}]"
    return found


def _blobs(connection: Connection, clause_ids: Iterable[int]) -> dict[int, bytes]:
    blobs: dict[int, bytes] = {}
    for part in chunks(sorted(clause_ids)):
        query = select(t.clause.c.id, t.clause.c.text).where(t.clause.c.id.in_(part))
        blobs |= {row.id: bytes(row.text) for row in connection.execute(query)}
    return blobs


def _unpacked(connection: Connection, blobs: Mapping[int, bytes]) -> dict[int, str]:
    texts: dict[int, str] = {}
    for against_another in (False, True):
        for clause_id, blob in blobs.items():
            if (base_of(blob) is not None) is not against_another:
                continue
            try:
                texts[clause_id] = _unpack(connection, blob, texts)
            except ValueError as error:
                raise ArchiveError(f"clause {clause_id} cannot be read: {error}; see: tosmon verify") from error
    return texts


def _unpack(connection: Connection, blob: bytes, bases: Mapping[int, str]) -> str:
    try:
        return unpack_text(blob, bases)
    except UnknownDictionary:
        know_dictionaries(connection)
        return unpack_text(blob, bases)


def layouts(connection: Connection) -> dict[tuple[str, str, str, int], int]:
    """Every layout that any version has: a few hundred."""
    return {(row.lead, row.tail, row.kind, row.level): row.id for row in connection.execute(select(t.layout))}


def layout_ids(connection: Connection, clauses: Sequence[Clause]) -> dict[tuple[str, str, str, int], int]:
    wanted = {(clause.lead, clause.tail, clause.kind.value, clause.level) for clause in clauses}
    columns = t.layout.c
    ids: dict[tuple[str, str, str, int], int] = {}
    for part in chunks(sorted({lead for lead, *_ in wanted})):
        for row in connection.execute(select(t.layout).where(columns.lead.in_(part))):
            ids[row.lead, row.tail, row.kind, row.level] = row.id
    for layout in sorted(wanted - ids.keys()):
        ids[layout] = _insert(connection, t.layout, **dict(zip(("lead", "tail", "kind", "level"), layout, strict=True)))
    return ids


def _turn_spans(
    connection: Connection, terms_id: int, clause_ids: set[int], version_id: int, latest_id: int | None
) -> None:
    standing_now = t.span.c.last_version_id.is_(None)
    rows = connection.execute(select(t.span.c.clause_id).where(t.span.c.terms_id == terms_id, standing_now))
    stood = {row.clause_id for row in rows}
    for part in chunks(sorted(stood - clause_ids)):
        connection.execute(
            update(t.span)
            .where(t.span.c.terms_id == terms_id, standing_now, t.span.c.clause_id.in_(part))
            .values(last_version_id=latest_id)
        )
    begun = [
        {"terms_id": terms_id, "clause_id": clause_id, "first_version_id": version_id}
        for clause_id in sorted(clause_ids - stood)
    ]
    if begun:
        connection.execute(insert(t.span), begun)


# --- changes, alerts, notifications ------------------------------------------------------------------------------


def add_change(
    connection: Connection,
    terms_id: int,
    before_id: int,
    after_id: int,
    at: datetime,
    state: ChangeState,
    reason: str,
    judgement: Judgement,
    comparison: Comparison,
) -> int:
    values = change_values(terms_id, before_id, after_id, at, state, reason, judgement, comparison)
    change_id = _insert(connection, t.change, **values)
    if judgement.flags:
        rows = [
            {"change_id": change_id, "topic": one.topic, "direction": one.direction.value, "body": flag_to_json(one)}
            for one in judgement.flags
        ]
        connection.execute(insert(t.flag), rows)
    return change_id


def change_values(
    terms_id: int,
    before_id: int,
    after_id: int,
    at: datetime,
    state: ChangeState,
    reason: str,
    judgement: Judgement,
    comparison: Comparison,
) -> dict[str, Any]:
    """The row of a change."""
    kinds = [one.kind for one in comparison.changes]
    return {
        "terms_id": terms_id,
        "before_id": before_id,
        "after_id": after_id,
        "at": at,
        "state": state.value,
        "reason": reason,
        "severity": judgement.severity.value,
        "headline": judgement.headline,
        "summary": judgement.summary,
        "effective_date": judgement.effective_date,
        "date_only": judgement.date_only,
        "silent": judgement.silent,
        "added": kinds.count(ClauseChangeKind.ADDED),
        "removed": kinds.count(ClauseChangeKind.REMOVED),
        "modified": kinds.count(ClauseChangeKind.MODIFIED),
        "moved": kinds.count(ClauseChangeKind.MOVED),
    }


def _settle(connection: Connection, settled: Settled, now: datetime) -> Alert | None:
    # What an operator called noise meanwhile stays that.
    mine = and_(t.change.c.id == settled.change_id, t.change.c.state != ChangeState.SUPPRESSED.value)
    values = {"state": settled.state.value, "reason": settled.reason}
    if connection.execute(update(t.change).where(mine).values(values)).rowcount != 1 or settled.tell is None:
        return None
    if settled.state is ChangeState.GONE:
        drop_unsent(connection, settled.change_id)
    return tell(connection, settled.change_id, settled.tell, now)


def drop_unsent(connection: Connection, change_id: int) -> int:
    """Drop the notifications of a change that nobody has tried to send yet; how many."""
    untried = and_(
        t.notification.c.alert_id.in_(select(t.alert.c.id).where(t.alert.c.change_id == change_id)),
        t.notification.c.state == NotificationState.PENDING.value,
        t.notification.c.attempts == 0,
    )
    dropped = NotificationState.DROPPED.value
    return connection.execute(update(t.notification).where(untried).values(state=dropped)).rowcount


def tell(connection: Connection, change_id: int, telling: Telling, now: datetime) -> Alert | None:
    """Add an alert to a change that is recorded already; `None` when it was told before.

    Another process may have been quicker, or a platform takes the same thing back a second time.
    """
    row = connection.execute(select(t.change.c.terms_id, t.change.c.after_id).where(t.change.c.id == change_id)).one()
    uid = telling(change_id, row.after_id)[0].uid
    if connection.execute(select(t.alert.c.id).where(t.alert.c.uid == uid)).one_or_none() is not None:
        return None
    return _tell(connection, row.terms_id, telling, change_id, row.after_id, now)


def _tell(
    connection: Connection, terms_id: int, tell: Telling, change_id: int, version_id: int, now: datetime
) -> Alert:
    alert, envelopes, feeds = tell(change_id, version_id)
    if alert.kind in _FOR_THOSE_TOLD:
        told = _told(connection, change_id)
        envelopes = [envelope for envelope in envelopes if (envelope.to.channel, envelope.to.recipient) in told]
    alert_id = _insert(
        connection,
        t.alert,
        terms_id=terms_id,
        change_id=change_id,
        uid=alert.uid,
        kind=alert.kind.value,
        at=alert.at,
        recorded_at=now,
        severity=alert.severity.value,
        body=alert_to_json(alert),
    )
    if feeds:
        connection.execute(insert(t.feed_entry), [{"feed": feed, "alert_id": alert_id} for feed in feeds])
    news = {"told_at": now} | ({"announced": alert.effective_date} if alert.effective_date else {})
    connection.execute(update(t.terms).where(t.terms.c.id == terms_id).values(news))
    rows = [
        {
            "alert_id": alert_id,
            "channel": envelope.to.channel,
            "recipient": envelope.to.recipient,
            "message_id": envelope.message_id,
            "state": NotificationState.PENDING.value,
            "created_at": now,
            "not_before": envelope.to.due or now,
            "bundle": envelope.to.bundle,
        }
        for envelope in envelopes
    ]
    if rows:
        connection.execute(insert(t.notification), rows)
    return alert


_FOR_THOSE_TOLD = (AlertKind.CORRECTION, AlertKind.WITHDRAWN)
"""Kinds of alerts that mean nothing to who was not told of the change before."""


def _told(connection: Connection, change_id: int) -> set[tuple[str, str]]:
    """Who was told of a change, or will be: (channel, recipient)."""
    columns = t.notification.c
    never = (NotificationState.DROPPED.value, NotificationState.DEAD.value)
    query = (
        select(columns.channel, columns.recipient)
        .join(t.alert, t.alert.c.id == columns.alert_id)
        .where(t.alert.c.change_id == change_id, columns.state.not_in(never))
    )
    return {(row.channel, row.recipient) for row in connection.execute(query)}


def learn_parts(
    connection: Connection, terms_id: int, parts: Sequence[Part], now: datetime, change_id: int | None = None
) -> None:
    """Remember parts of a document that change by themselves; `change_id` is one that an operator called noise."""
    columns = t.volatile_part.c
    for part in parts:
        mine = and_(columns.terms_id == terms_id, columns.above == part.above, columns.below == part.below)
        known = connection.execute(select(columns.id, columns.words).where(mine)).one_or_none()
        values: dict[str, Any] = {
            "contents": part.contents,
            "sample": part.sample,
            "steady": b"".join(sorted(part.steady)),
            "last_at": now,
        }
        if known is not None:
            values["words"] = max(known.words, part.words)
            connection.execute(update(t.volatile_part).where(columns.id == known.id).values(values))
        else:
            values |= {"terms_id": terms_id, "above": part.above, "below": part.below, "words": part.words}
            connection.execute(insert(t.volatile_part).values(values | {"since": now, "change_id": change_id}))


# --- the dialects' differences, in one place -----------------------------------------------------------------------


def _insert(connection: Connection, table: Any, **values: Any) -> int:
    key = connection.execute(insert(table), values).inserted_primary_key
    assert key is not None
    return int(key[0])


def insert_unless_there(connection: Connection, table: Any, columns: Sequence[str]) -> Any:
    build = postgres_insert if connection.dialect.name == "postgresql" else sqlite_insert
    return build(table).on_conflict_do_nothing(index_elements=list(columns))


def chunks(members: Sequence[_T]) -> Iterable[Sequence[_T]]:
    return (members[start : start + _CHUNK] for start in range(0, len(members), _CHUNK))
