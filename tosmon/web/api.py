"""The archive as JSON, described by OpenAPI at `/api/openapi.json`. Everything is public and read-only."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel

from tosmon.archive import ChangeRow, TermsRow, VersionRow
from tosmon.clauses import join
from tosmon.model import ChangeState, Direction, Quote, Severity, Verdict
from tosmon.publish.links import change_path, document_path, on
from tosmon.web.filters import LARGEST
from tosmon.web.site import Site, TheSite, change_of, document_of
from tosmon.web.times import instant

router = APIRouter(prefix="/api", tags=["archive"])

Id = Annotated[int, Path(ge=1, le=LARGEST)]
Name = Annotated[str, Path(min_length=1, max_length=300)]
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


class Versions(BaseModel):
    versions: list[VersionMarkOut]


@router.get("/services")
def services(site: TheSite) -> list[ServiceOut]:
    return [
        ServiceOut(
            key=row.key,
            name=row.name,
            terms=row.terms,
            changes_told=row.changes_told,
            last_change_at=row.last_change_at,
        )
        for row in site.browse.services()
    ]


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
def versions(site: TheSite, service: Name, type: Name) -> Versions:
    """Every version of a document, oldest first, without its text."""
    found = document_of(site, service, type)
    return Versions(
        versions=[
            VersionMarkOut(id=mark.id, at=mark.at, words=mark.words, technical=mark.technical)
            for mark in site.browse.version_marks(found.id)
        ]
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
    since: Annotated[datetime | None, Query(description="Seen at or after this time; without a zone, UTC.")] = None,
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
