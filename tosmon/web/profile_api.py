"""Profiles for programs: the answers of each platform with their words, its history, and what was judged otherwise later."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from tosmon.archive import RejudgedRow
from tosmon.judge.profile import ASPECTS, Aspect, Gone, Held, Profile, answer
from tosmon.model import Direction, Severity, Stance
from tosmon.publish.links import change_path, on, profile_path
from tosmon.web import claims
from tosmon.web.api import NOT_FOUND
from tosmon.web.filters import LARGEST
from tosmon.web.profile import documents_of_service
from tosmon.web.site import Site, TheSite
from tosmon.web.times import instant

router = APIRouter(prefix="/api/v1", tags=["profiles"])


class StanceOut(BaseModel):
    """What one document says; `since_first_text` tells that it may be older than `since`. `clause` counts from 1.

    `in_these_words_since` is the day of the quote, brought by `in_these_words_by`; `starts` a day ahead from which it is
    to apply.
    """

    type: str
    stance: Stance
    answer: str
    quote: str
    headings: list[str]
    objects: list[str]
    since: datetime
    since_first_text: bool
    change: int | None
    in_these_words_since: datetime
    in_these_words_by: int | None
    starts: date | None
    version: int
    clause: int
    page: str


class PromisedOut(BaseModel):
    """What a service promised where it says nothing now, until when, and the change that took it away."""

    type: str
    stance: Stance
    answer: str
    until: datetime
    change: int | None


class AnswerOut(BaseModel):
    """All that a service says on one question, what allows it most first. `read` is false in a language we do not read."""

    aspect: str
    question: str
    answer: str
    direction: Direction | None
    conflicting: bool
    read: bool
    promised: PromisedOut | None
    stances: list[StanceOut]


class SourceOut(BaseModel):
    type: str
    version: int
    at: datetime
    language: str | None


class ProfileOut(BaseModel):
    service: str
    service_name: str
    documents: list[SourceOut]
    answers: list[AnswerOut]
    page: str


class Profiles(BaseModel):
    """`next` is the cursor of the listing's next part: give it as `after`; null at the end."""

    at: datetime | None
    profiles: list[ProfileOut]
    next: str | None


class RunOut(BaseModel):
    """A stance from when on, and until when, it stood without a break; `until` is null while it stands."""

    aspect: str
    stance: Stance
    type: str
    since: datetime
    since_first_text: bool
    until: datetime | None
    change: int | None


class RejudgedOut(BaseModel):
    id: int
    change: int
    service: str
    type: str
    seen_at: datetime
    at: datetime
    outcome: str
    headline: str
    headline_before: str
    severity_before: Severity
    page: str


class Rejudgements(BaseModel):
    """`next` is the cursor of the listing's next part: give it as `before`; null at the end."""

    rejudged: list[RejudgedOut]
    next: int | None


When = Annotated[
    str | None, Query(max_length=40, description="A date (its last moment, UTC) or a time in ISO 8601; else now.")
]


@router.get("/profiles", responses=NOT_FOUND)
def profiles(
    site: TheSite,
    at: When = None,
    training: Annotated[Stance | None, Query(description="Only services with this stance on training AI.")] = None,
    after: Annotated[str | None, Query(max_length=300, description="The cursor `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Profiles:
    """What each service may do with people's work, by the service's key, with quotes."""
    moment = _instant(at)
    table = site.archive.findings.table(moment, frozenset({"training"}), site.clock().date())
    every = sorted(table, key=lambda one: one.service)
    found = [
        one
        for one in every
        if (after is None or one.service > after) and (training is None or training in one.cell("training").stances)
    ]
    shown = site.archive.findings.whole(found[:limit], moment)
    return Profiles(
        at=moment,
        profiles=[_profile_out(site, one) for one in shown],
        next=shown[-1].service if len(found) > limit else None,
    )


@router.get("/profiles/{service}", responses=NOT_FOUND)
def profile_of(site: TheSite, service: str, at: When = None) -> ProfileOut:
    """One service's profile, now or at an instant."""
    found = site.archive.findings.profiles(service=service, at=_instant(at), today=site.clock().date())
    if not found:
        raise HTTPException(404, "There is no such service in this archive, or no text of it of that day.")
    return _profile_out(site, found[0])


@router.get("/profiles/{service}/history", responses=NOT_FOUND)
def history(site: TheSite, service: str) -> list[RunOut]:
    """Every stance that the service's documents ever took, oldest first."""
    documents_of_service(site, service)
    return [
        RunOut(
            aspect=held.aspect,
            stance=held.stance,
            type=held.key.type,
            since=since,
            since_first_text=held.from_first,
            until=until,
            change=held.change_id,
        )
        for held, since, until in site.archive.findings.history(service)
    ]


@router.get("/found-later")
def rejudgements(
    site: TheSite,
    service: Annotated[str | None, Query(max_length=300)] = None,
    before: Annotated[int | None, Query(ge=1, le=LARGEST, description="The cursor `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Rejudgements:
    """Changes that were judged otherwise after the fact, the latest first. Nobody was alerted of that."""
    rows = site.archive.findings.rejudged(service=service, before_id=before, limit=limit + 1)
    shown = rows[:limit]
    return Rejudgements(
        rejudged=[_rejudged_out(site, row) for row in shown], next=shown[-1].id if len(rows) > limit else None
    )


def _instant(written: str | None) -> datetime | None:
    if written is None:
        return None
    moment = instant(written)
    if moment is None:
        raise HTTPException(404, "That is no date or time in ISO 8601.")
    return moment


def _profile_out(site: Site, profile: Profile) -> ProfileOut:
    asked: list[Aspect] = [aspect for aspect in ASPECTS if not aspect.is_attribute or aspect.key in profile.cells]
    cells = [profile.cell(aspect.key) for aspect in asked]
    cells += [profile.cell(key) for key in profile.other_aspects]
    return ProfileOut(
        service=profile.service,
        service_name=profile.service_name,
        documents=[
            SourceOut(type=one.key.type, version=one.version_id, at=one.at, language=one.language)
            for one in profile.sources
        ],
        answers=[
            AnswerOut(
                aspect=cell.aspect.key,
                question=cell.aspect.question,
                answer=cell.answer,
                direction=cell.tone,
                conflicting=len(cell.stances) > 1,
                read=cell.read,
                promised=_promised_out(cell.gone) if cell.gone else None,
                stances=[_stance_out(site, one) for one in cell.held],
            )
            for cell in cells
        ],
        page=on(site.settings.site_url, profile_path(profile.service)),
    )


def _promised_out(gone: Gone) -> PromisedOut:
    return PromisedOut(
        type=gone.key.type,
        stance=gone.stance,
        answer=answer(gone.aspect, gone.stance),
        until=gone.until,
        change=gone.change_id,
    )


def _stance_out(site: Site, held: Held) -> StanceOut:
    return StanceOut(
        type=held.key.type,
        stance=held.stance,
        answer=held.answer,
        quote=held.quote.encode("utf-8", "replace").decode(),  # JSON has no lone surrogates
        headings=list(held.headings),
        objects=list(held.objects),
        since=held.since,
        since_first_text=held.from_first,
        change=held.change_id,
        in_these_words_since=held.begun or held.since,
        in_these_words_by=held.begun_change_id if held.begun else held.change_id,
        starts=held.starts,
        version=held.version_id,
        clause=held.clause + 1,
        page=on(site.settings.site_url, claims.place(held)),
    )


def _rejudged_out(site: Site, row: RejudgedRow) -> RejudgedOut:
    return RejudgedOut(
        id=row.id,
        change=row.change_id,
        service=row.key.service,
        type=row.key.type,
        seen_at=row.seen_at,
        at=row.at,
        outcome=row.outcome.value,
        headline=row.headline,
        headline_before=row.headline_before,
        severity_before=row.severity_before,
        page=on(site.settings.site_url, change_path(row.change_id)),
    )
