"""Let go of what only shows that nothing happened: old looks that found nothing new, pages behind incidents long over.

Never touches what a version, a change, an alert or an open incident rests on. Rows go first, in one transaction, and
files after: a file without a row harms nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Engine, and_, delete, exists, func, select

from tosmon.archive import schema as t
from tosmon.archive.store import chunks
from tosmon.errors import ArchiveError
from tosmon.model import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or would go: `bytes` are those of the snapshots' files."""

    checks: int
    snapshots: int
    bytes: int


def prune(
    engine: Engine, snapshots: Path, checks_before: datetime, evidence_before: datetime, *, dry_run: bool = False
) -> Pruned:
    """Delete unchanged looks and evidence of closed incidents from before two moments; raises ArchiveError."""
    connected = engine.connect().execution_options(reads=True) if dry_run else engine.connect()
    with connected as connection, connection.begin():
        files = connection.execute(
            select(t.snapshot.c.id, t.snapshot.c.path, t.snapshot.c.bytes).where(_is_old_evidence(evidence_before))
        ).all()
        checks = list(connection.execute(select(t.check.c.id).where(_says_nothing(checks_before))).scalars())
        found = Pruned(len(checks), len(files), sum(row.bytes for row in files))
        if dry_run:
            return found
        for part in chunks([row.id for row in files]):
            connection.execute(delete(t.snapshot).where(t.snapshot.c.id.in_(part)))
        for part in chunks(checks):
            connection.execute(delete(t.check).where(t.check.c.id.in_(part)))
    remove_files(snapshots, [row.path for row in files])
    return found


def remove_files(folder: Path, paths: list[str]) -> None:
    """Delete files of snapshots that no row names any more; those that are gone already are no fault."""
    for path in paths:
        try:
            (folder / path).unlink(missing_ok=True)
        except OSError as error:
            raise ArchiveError(
                f"snapshot {path} cannot be deleted: {error.strerror or error}; delete it yourself"
            ) from error


def _is_old_evidence(before: datetime) -> ColumnElement[bool]:
    """Kept for an observation that was not whole, made no version, and belongs to no incident that is open."""
    check, incident = t.check.c, t.incident.c
    no_version = exists().where(
        check.id == t.snapshot.c.check_id, check.verdict != Verdict.OK.value, check.version_id.is_(None)
    )
    still_open = exists().where(
        incident.terms_id == t.snapshot.c.terms_id,
        incident.closed_at.is_(None),
        incident.opened_at <= t.snapshot.c.at,
    )
    return and_(t.snapshot.c.at < before, no_version, ~still_open)


def _says_nothing(before: datetime) -> ColumnElement[bool]:
    """An unchanged look that has no page to it, is not the document's last, nor the last whole one before an incident."""
    check, later, whole = t.check.c, t.check.alias("later"), t.check.alias("whole")
    last = select(func.max(later.c.id)).group_by(later.c.terms_id)
    before_incidents = (
        select(func.max(whole.c.id))
        .join(t.incident, and_(t.incident.c.terms_id == whole.c.terms_id, whole.c.at < t.incident.c.opened_at))
        .where(whole.c.verdict == Verdict.OK.value)
        .group_by(t.incident.c.id)
    )
    return and_(
        check.at < before,
        check.outcome == Outcome.UNCHANGED.value,
        check.version_id.is_(None),
        ~exists().where(t.snapshot.c.check_id == check.id),
        check.id.not_in(last),
        check.id.not_in(before_incidents),
    )
