"""The archive as JSON, described by OpenAPI at `/api/openapi.json`. Everything is public and read-only."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, BeforeValidator

from tosmon.archive import ChangeRow, TermsRow, VersionRow
from tosmon.archive.search import Hit, Order, parse
from tosmon.clauses import join
from tosmon.errors import ArchiveError
from tosmon.model import ChangeState, Direction, Quote, Severity, Verdict
from tosmon.publish.links import change_path, document_path, on, version_path
from tosmon.web.filters import LARGEST
from tosmon.web.site import Site, TheSite, change_of, document_of
from tosmon.web.times import instant

router = APIRouter(prefix="/api/v1", tags=["archive"])

Id = Annotated[int, Path(ge=1, le=LARGEST)]
Name = Annotated[str, Path(min_length=1, max_length=300)]


def _written_out(value: object) -> object:
    """Pydantic would take any number for the seconds since 1970."""
    if isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d", value):
        raise ValueError("write a time as 2026-01-31T12:00:00Z")
    return value


ISO = BeforeValidator(_written_out)
NOT_FOUND: dict[int | str, dict[str, str]] = {404: {"description": "There is no such thing in this archive."}}


class ServiceOut(BaseModel):
    key: str
    name: str
    terms: int
    changes_told: int
    last_change_at: datetime | None


class TermsOut(BaseModel):
    """One document. `last_whole_at` is when it was last seen whole; `incident` says why it cannot be read now."""

    service: str
    service_name: str
    type: str
    url: str
    tags: list[str]
    declared: bool
    paused: bool
    versions: int
    changes_told: int
    latest_version: int | None
    last_checked_at: datetime | None
    last_whole_at: datetime | None
    incident: Verdict | None
    incident_detail: str
    page: str


class VersionOut(BaseModel):
    id: int
    service: str
    type: str
    at: datetime
    words: int
    technical: bool
    language: str | None
    sha256: str


class VersionText(VersionOut):
    text: str


class VersionMarkOut(BaseModel):
    id: int
    at: datetime
    words: int
    technical: bool


class QuoteOut(BaseModel):
    text: str
    clause: int
    start: int
    end: int
    headings: list[str]


class FlagOut(BaseModel):
    topic: str
    direction: Direction
    what: str
    before: list[QuoteOut]
    after: list[QuoteOut]
    rules: list[str]
    why: str


class ChangeOut(BaseModel):
    id: int
    service: str
    service_name: str
    type: str
    at: datetime
    state: ChangeState
    reason: str
    severity: Severity
    headline: str
    summary: str
    effective_date: date | None
    date_only: bool
    silent: bool
    added: int
    removed: int
    modified: int
    moved: int
    before_version: int
    after_version: int
    flags: list[FlagOut]
    page: str


class Changes(BaseModel):
    """`next` is the cursor of the listing's next part: give it as `before`; null at the end."""

    changes: list[ChangeOut]
    next: int | None


class Services(BaseModel):
    """`next` is the cursor of the listing's next part: give it as `after`; null at the end."""

    services: list[ServiceOut]
    next: str | None


class Versions(BaseModel):
    """`next` is the cursor of the listing's next part: give it as `after`; null at the end."""

    versions: list[VersionMarkOut]
    next: int | None


class StandOut(BaseModel):
    """A clause in one document. `gone_at` is null while it stands; `runs` is how often it came; `place` counts from 1."""

    service: str
    service_name: str
    type: str
    first_seen_at: datetime
    gone_at: datetime | None
    runs: int
    version: int
    place: int | None
    brought_by: int | None
    removed_by: int | None
    page: str


class HitOut(BaseModel):
    """A clause with those words; `documents` is in how many it stands or stood, `stands` tells of the first of them."""

    clause: int
    text: str
    documents: int
    stands: list[StandOut]


class SearchOut(BaseModel):
    """`more` tells that only the newest `total` clauses were looked at; give `next` as `after` to go on; null at the end."""

    hits: list[HitOut]
    total: int
    more: bool
    next: int | None


@router.get("/services")
def services(
    site: TheSite,
    after: Annotated[str | None, Query(max_length=300, description="The cursor `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> Services:
    """Services by name."""
    rows = site.browse.services()
    start = next((number for number, row in enumerate(rows, 1) if row.key == after), 0)
    shown = rows[start : start + limit]
    return Services(
        services=[
            ServiceOut(
                key=row.key,
                name=row.name,
                terms=row.terms,
                changes_told=row.changes_told,
                last_change_at=row.last_change_at,
            )
            for row in shown
        ],
        next=shown[-1].key if start + limit < len(rows) else None,
    )


@router.get("/services/{service}", responses=NOT_FOUND)
def terms_of_service(site: TheSite, service: Name) -> list[TermsOut]:
    """The documents of a service."""
    found = site.browse.documents(service)
    if not found:
        raise HTTPException(404, "There is no such service in this archive.")
    return [_terms(site, row) for row in found]


@router.get("/services/{service}/{type}", responses=NOT_FOUND)
def terms(site: TheSite, service: Name, type: Name) -> TermsOut:
    return _terms(site, document_of(site, service, type))


@router.get("/services/{service}/{type}/versions", responses=NOT_FOUND)
def versions(
    site: TheSite,
    service: Name,
    type: Name,
    after: Annotated[int | None, Query(ge=1, le=LARGEST, description="The cursor `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
) -> Versions:
    """Versions of a document, oldest first, without their texts."""
    found = document_of(site, service, type)
    marks = site.browse.version_marks(found.id)
    start = next((number for number, mark in enumerate(marks, 1) if mark.id == after), 0)
    shown = marks[start : start + limit]
    return Versions(
        versions=[VersionMarkOut(id=mark.id, at=mark.at, words=mark.words, technical=mark.technical) for mark in shown],
        next=shown[-1].id if start + limit < len(marks) else None,
    )


@router.get("/services/{service}/{type}/at/{when}", responses=NOT_FOUND)
def text_at(
    site: TheSite,
    service: Name,
    type: Name,
    when: Annotated[str, Path(description="A date (its last moment, UTC) or a time in ISO 8601.", max_length=40)],
) -> VersionText:
    """The text in force at an instant: the last one seen by then."""
    found = document_of(site, service, type)
    moment = instant(when)
    if moment is None:
        raise HTTPException(404, "That is no date or time in ISO 8601.")
    version = site.browse.version_at(found.key, moment)
    if version is None:
        raise HTTPException(404, "There is no text of that day: the first one is younger.")
    return _text(site, version)


@router.get("/versions/{version_id}", responses=NOT_FOUND)
def version(site: TheSite, version_id: Id) -> VersionText:
    found = site.browse.version(version_id)
    if found is None:
        raise HTTPException(404, "There is no version of that number in this archive.")
    return _text(site, found)


@router.get("/changes")
def changes(
    site: TheSite,
    service: Annotated[str | None, Query(max_length=300)] = None,
    type: Annotated[str | None, Query(max_length=300)] = None,
    topic: Annotated[str | None, Query(max_length=300)] = None,
    direction: Direction | None = None,
    severity: Severity | None = None,
    since: Annotated[
        datetime | None, ISO, Query(description="Seen at or after this time; without a zone, UTC.")
    ] = None,
    told: Annotated[bool, Query(description="Only what people were told of; else every recorded change.")] = True,
    before: Annotated[int | None, Query(ge=1, le=LARGEST, description="The cursor `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Changes:
    """Changes, the latest first, with their flags."""
    from_ = _aware(since)
    rows = site.browse.changes(
        service=service,
        type=type,
        topic=topic,
        direction=direction,
        severity=severity,
        since=from_,
        told_only=told,
        before_id=before,
        limit=limit + 1,
    )
    shown = rows[:limit]
    return Changes(changes=[_change(site, row) for row in shown], next=shown[-1].id if len(rows) > limit else None)


@router.get("/changes/{change_id}", responses=NOT_FOUND)
def change(site: TheSite, change_id: Id) -> ChangeOut:
    return _change(site, change_of(site, change_id))


@router.get("/search", responses={501: {"description": "This archive has no full-text index."}})
def search(
    site: TheSite,
    q: Annotated[str, Query(max_length=300, description='Words, "phrases", begin* and -without; all must be there.')],
    service: Annotated[str | None, Query(max_length=300)] = None,
    type: Annotated[str | None, Query(max_length=300)] = None,
    since: Annotated[
        datetime | None, ISO, Query(description="Stood at some time after this; without a zone, UTC.")
    ] = None,
    until: Annotated[datetime | None, ISO, Query(description="Stood at some time until this.")] = None,
    order: Order = Order.STANDING,
    after: Annotated[int | None, Query(ge=1, le=LARGEST, description="The cursor `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> SearchOut:
    """Clauses of all times with those words: what stands now first, each with when it was first seen and when it went."""
    try:
        found = site.browse.search(
            parse(q),
            service=service,
            type=type,
            since=_aware(since),
            until=_aware(until),
            order=order,
            after=after,
            limit=limit,
        )
    except ArchiveError as error:
        raise HTTPException(501, str(error)) from error
    return SearchOut(hits=[_hit(site, hit) for hit in found.hits], total=found.total, more=found.more, next=found.next)


# --- from rows to what is sent --------------------------------------------------------------------------------------


def _aware(at: datetime | None) -> datetime | None:
    return instant(at.isoformat()) if at is not None else None


def _terms(site: Site, row: TermsRow) -> TermsOut:
    return TermsOut(
        service=row.key.service,
        service_name=row.service_name,
        type=row.key.type,
        url=row.url,
        tags=list(row.tags),
        declared=row.declared,
        paused=row.paused,
        versions=row.versions,
        changes_told=row.changes_told,
        latest_version=row.latest_version_id,
        last_checked_at=row.last_checked_at,
        last_whole_at=row.last_whole_at,
        incident=row.incident,
        incident_detail=row.incident_detail,
        page=on(site.settings.site_url, document_path(row.key)),
    )


def _text(site: Site, row: VersionRow) -> VersionText:
    text = join(site.browse.clauses(row.id))
    return VersionText(
        id=row.id,
        service=row.key.service,
        type=row.key.type,
        at=row.at,
        words=row.words,
        technical=row.technical,
        language=row.language,
        sha256=row.digest.hex(),
        text=text.encode("utf-8", "replace").decode(),  # JSON has no lone surrogates
    )


def _hit(site: Site, hit: Hit) -> HitOut:
    return HitOut(
        clause=hit.clause_id,
        text=hit.text.encode("utf-8", "replace").decode(),
        documents=hit.documents,
        stands=[
            StandOut(
                service=stand.key.service,
                service_name=stand.service_name,
                type=stand.key.type,
                first_seen_at=stand.first_at,
                gone_at=stand.gone_at,
                runs=stand.runs,
                version=stand.version_id,
                place=stand.place or None,
                brought_by=stand.brought_by,
                removed_by=stand.removed_by,
                page=on(site.settings.site_url, version_path(stand.version_id)),
            )
            for stand in hit.stands
        ],
    )


def _quotes(quotes: tuple[Quote, ...]) -> list[QuoteOut]:
    return [
        QuoteOut(text=one.text, clause=one.clause, start=one.start, end=one.end, headings=list(one.headings))
        for one in quotes
    ]


def _change(site: Site, row: ChangeRow) -> ChangeOut:
    return ChangeOut(
        id=row.id,
        service=row.key.service,
        service_name=row.service_name,
        type=row.key.type,
        at=row.at,
        state=row.state,
        reason=row.reason,
        severity=row.severity,
        headline=row.headline,
        summary=row.summary,
        effective_date=row.effective_date,
        date_only=row.date_only,
        silent=row.silent,
        added=row.added,
        removed=row.removed,
        modified=row.modified,
        moved=row.moved,
        before_version=row.before_id,
        after_version=row.after_id,
        flags=[
            FlagOut(
                topic=flag.topic,
                direction=flag.direction,
                what=flag.what,
                before=_quotes(flag.before),
                after=_quotes(flag.after),
                rules=list(flag.rules),
                why=flag.why,
            )
            for flag in row.flags
        ],
        page=on(site.settings.site_url, change_path(row.id)),
    )
