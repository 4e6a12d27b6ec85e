"""The archive: documents, versions as lists of clauses, checks, changes, alerts and the outbox, behind few verbs.

SQL lives in this package only. Everything it takes and gives is a value (`rows`, `model`); each verb is one
transaction. `Archive.browse` reads, `Archive.outbox` delivers, `Archive.history` imports, the verbs of `Archive`
itself record.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import func, insert, select, update

from tosmon.archive import schema, store
from tosmon.archive.browse import Browse
from tosmon.archive.engine import HURRIED, open_engine
from tosmon.archive.findings import Findings, Rejudged, RejudgedRow
from tosmon.archive.history import DocumentWriter, HistoryWriter
from tosmon.archive.identity import Identities
from tosmon.archive.operating import Operating, ToReread, VolatilePart
from tosmon.archive.outbox import Outbox
from tosmon.archive.pins import Pins
from tosmon.archive.retention import Pruned, prune
from tosmon.archive.rows import (
    Activity,
    ChangeMark,
    ChangeRow,
    CheckRow,
    Envelope,
    IncidentRow,
    Listed,
    NewChange,
    NotificationRow,
    OpenChange,
    OpenIncident,
    Pin,
    Pulse,
    Recorded,
    Recording,
    ServiceRow,
    Settled,
    Standing,
    Telling,
    TermsRow,
    VersionMark,
    VersionRow,
    Waiting,
)
from tosmon.archive.snapshots import Snapshot, Snapshots
from tosmon.archive.store import LeaseLost
from tosmon.archive.subscribers import Asker, AskingLimits, Confirmed, Subscribers, address_key
from tosmon.archive.verify import Fault, Progress, Verified, verify
from tosmon.archive.withdrawing import Withdrawn, clauses_of, clauses_with, withdraw
from tosmon.model import Alert, Terms, TermsKey

__all__ = [
    "Activity",
    "Archive",
    "Asker",
    "AskingLimits",
    "ChangeMark",
    "ChangeRow",
    "CheckRow",
    "Confirmed",
    "DocumentWriter",
    "Envelope",
    "Fault",
    "HistoryWriter",
    "Identity",
    "IncidentRow",
    "LeaseLost",
    "Listed",
    "NewChange",
    "NotificationRow",
    "OpenChange",
    "OpenIncident",
    "Operating",
    "Pin",
    "Pulse",
    "Recorded",
    "Recording",
    "Rejudged",
    "RejudgedRow",
    "ServiceRow",
    "Settled",
    "Snapshot",
    "Snapshots",
    "Standing",
    "Subscribers",
    "Telling",
    "TermsRow",
    "ToReread",
    "VersionMark",
    "VersionRow",
    "VolatilePart",
    "Waiting",
    "address_key",
]


@dataclass(frozen=True, slots=True)
class Identity:
    """What the ids of all alerts are built from, fixed when the archive is made (RFC 4151), and a secret for signing."""

    authority: str
    started: date
    secret: str


class Archive:
    """One archive. Safe to share between threads; several processes may open the same one."""

    def __init__(self, url: str) -> None:
        """Open and migrate the archive at an SQLAlchemy URL; raises ArchiveError."""
        self.url = url
        self._engine = open_engine(url)
        self._hurried = self._engine.execution_options(**{HURRIED: True})
        self.browse = Browse(self._engine)
        self.outbox = Outbox(self._engine)
        self.operating = Operating(self._engine)
        self.subscribers = Subscribers(self._engine)
        self.pins = Pins(self._engine)
        self.history = HistoryWriter(self._engine)
        self.identities = Identities(self._engine)
        self.findings = Findings(self._engine)

    def close(self) -> None:
        self.browse.close()
        self._engine.dispose()

    def verify(self, snapshots: Path | None, progress: Progress = lambda what, done, total: None) -> Verified:
        """Look whether everything is as it was recorded: every digest, the chain, the snapshots on disk."""
        return verify(self._engine, snapshots, progress)

    def prune(
        self, snapshots: Path, checks_before: datetime, evidence_before: datetime, *, dry_run: bool = False
    ) -> Pruned:
        """Delete old looks that found nothing new, and evidence of incidents long closed."""
        return prune(self._engine, snapshots, checks_before, evidence_before, dry_run=dry_run)

    def clauses_to_withdraw(self, key: TermsKey, words: str | None, version_id: int | None) -> list[int]:
        """The clauses of a document that hold these words, or those of one of its versions."""
        if version_id is not None:
            return clauses_of(self._engine, key, version_id)
        return clauses_with(self._engine, key, words or "")

    def withdraw(
        self, clause_ids: Collection[int], reason: str, now: datetime, snapshots: Path, *, dry_run: bool = False
    ) -> Withdrawn:
        """Take the words of clauses out of everything that is archived, leaving tombstones."""
        found = withdraw(self._engine, clause_ids, reason, now, snapshots, dry_run=dry_run)
        self.browse.clauses.cache_clear()
        return found

    def identity(self, authority: str, today: date) -> Identity:
        """The archive's identity; the first call fixes it, later ones ignore what they are given."""
        wanted = {"authority": authority, "started": today.isoformat(), "secret": secrets.token_hex(32)}
        with self._engine.begin() as connection:
            known = {row.name: row.value for row in connection.execute(select(schema.setting))}
            missing = {name: value for name, value in wanted.items() if name not in known}
            if missing:
                rows = [{"name": name, "value": value} for name, value in missing.items()]
                connection.execute(insert(schema.setting), rows)
        known |= missing
        return Identity(known["authority"], date.fromisoformat(known["started"]), known["secret"])

    def declare(self, declared: Sequence[Terms], now: datetime) -> None:
        """Make the archive's documents those declared; the others stay archived, but are looked at no more."""
        with self._engine.begin() as connection:
            store.declare(connection, declared, now)

    def claim_due(self, now: datetime, lease: timedelta, limit: int = 1) -> list[Standing]:
        """Take documents whose time has come, the longest due first; other processes leave them alone for `lease`."""
        with self._engine.connect().execution_options(reads=True) as connection:
            if not store.anything_due(connection, now):  # no write lock for nothing: the clock asks every second
                return []
        with self._hurried.begin() as connection:
            return store.claim(connection, now, lease, limit, None)

    def claim(self, keys: Sequence[TermsKey], now: datetime, lease: timedelta) -> list[Standing]:
        """Take these documents, due or not; those that another process is looking at are left out."""
        with self._hurried.begin() as connection:
            return store.claim(connection, now, lease, len(keys), keys)

    def standing(self, key: TermsKey) -> Standing | None:
        """What is known of a document, without taking it; `None` when there is no such document."""
        with self._engine.connect().execution_options(reads=True) as connection:
            terms_id = store.terms_id(connection, key)
            return None if terms_id is None else store.standing(connection, terms_id)

    def release(self, standing: Standing) -> None:
        """Give a claimed document back unlooked at."""
        mine = (schema.terms.c.id == standing.terms_id, schema.terms.c.claimed_by == standing.lease)
        with self._engine.begin() as connection:
            connection.execute(update(schema.terms).where(*mine).values(claimed_by=None, claimed_until=None))

    def record(self, recording: Recording) -> Recorded:
        """Write everything one check found, in one transaction; raises LeaseLost, ArchiveError (disk full, read-only)."""
        nothing_new = recording.version is None and recording.technical is None and not recording.settled
        with (self._hurried if nothing_new else self._engine).begin() as connection:
            return store.record(connection, recording)

    def tell(self, change: ChangeRow, telling: Telling, now: datetime) -> Alert | None:
        """Record an alert (a reminder, a correction, …) and its notifications for a change that is recorded already.

        `None` when that alert exists: another process was quicker.
        """
        with self._engine.begin() as connection:
            return store.tell(connection, change.id, telling, now)

    def next_due(self) -> datetime | None:
        """When the next document wants a look; `None` when none is declared."""
        with self._engine.connect().execution_options(reads=True) as connection:
            wanted = (schema.terms.c.declared, ~schema.terms.c.paused)
            found: datetime | None = connection.execute(select(func.min(schema.terms.c.due_at)).where(*wanted)).scalar()
            return found

    def check_soon(self, key: TermsKey, now: datetime) -> bool:
        """Ask for a look ("check now"): whoever drives the checks finds it due. False when there is no such document."""
        service = select(schema.service.c.id).where(schema.service.c.key == key.service).scalar_subquery()
        mine = (schema.terms.c.service_id == service, schema.terms.c.type == key.type, schema.terms.c.declared)
        with self._engine.begin() as connection:
            return connection.execute(update(schema.terms).where(*mine).values(due_at=now)).rowcount == 1
