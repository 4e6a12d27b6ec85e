"""What became of incidents, as a log for the operator: opened, closed, each told as it was known at that moment.

An open incident is updated at every look, so what it opened with is read from the check that opened it: an event read
today and one read in a year are the same.
"""

from __future__ import annotations

from sqlalchemy import Connection, and_, func, literal, select, union_all

from tosmon.archive import schema as t
from tosmon.archive.schema import Instant
from tosmon.model import IncidentEvent, TermsKey, Verdict


def incident_events(connection: Connection, limit: int) -> list[IncidentEvent]:
    """The latest openings and closings, the newest first."""
    moments = union_all(
        select(t.incident.c.id, literal(False).label("closed"), t.incident.c.opened_at.label("moment")),
        select(t.incident.c.id, literal(True), t.incident.c.closed_at).where(t.incident.c.closed_at.is_not(None)),
    ).subquery("moments")
    opener = and_(t.check.c.terms_id == t.incident.c.terms_id, t.check.c.at == t.incident.c.opened_at)
    whole = select(func.max(t.check.c.at, type_=Instant())).where(
        t.check.c.terms_id == t.incident.c.terms_id,
        t.check.c.at < t.incident.c.opened_at,
        t.check.c.verdict == Verdict.OK.value,
    )
    failed = select(func.count()).where(
        t.check.c.terms_id == t.incident.c.terms_id,
        t.check.c.at >= t.incident.c.opened_at,
        t.check.c.at < t.incident.c.closed_at,
        t.check.c.verdict != Verdict.OK.value,
    )
    query = (
        select(
            t.incident,
            moments.c.closed,
            moments.c.moment,
            t.service.c.key,
            t.terms.c.type,
            t.check.c.verdict.label("opened_with"),
            t.check.c.detail.label("opened_detail"),
            whole.correlate(t.incident).scalar_subquery().label("whole_at"),
            failed.correlate(t.incident).scalar_subquery().label("failed"),
        )
        .join(t.incident, t.incident.c.id == moments.c.id)
        .join(t.terms, t.terms.c.id == t.incident.c.terms_id)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
        .outerjoin(t.check, opener)
        .order_by(moments.c.moment.desc(), t.incident.c.id.desc(), moments.c.closed.desc())
        .limit(limit)
    )
    return [
        IncidentEvent(
            row.id,
            bool(row.closed),
            row.moment,
            TermsKey(row.key, row.type),
            Verdict(row.opened_with or row.verdict),
            row.detail if row.opened_detail is None else row.opened_detail,
            row.opened_at,
            row.whole_at,
            max(1, row.failed) if row.closed else 1,
        )
        for row in connection.execute(query)
    ]


def last_incident_event(connection: Connection) -> tuple[int, int]:
    """What grows with every opening and every closing: how many of each there were."""
    query = select(func.count(), func.count(t.incident.c.closed_at))
    opened, closed = connection.execute(query).one()
    return opened, closed
