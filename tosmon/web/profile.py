"""Who may do what with people's work: the table of all platforms, and one platform's profile with its story over time.

Every answer is a stance with the exact words it rests on, the day since when it stands, and the change that brought it.
Filters, order and the day live in the address, so that a view can be kept and shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel
from starlette.responses import HTMLResponse, Response

from tosmon.archive import RejudgedRow, TermsRow
from tosmon.judge.profile import ASPECTS, BY_KEY, Aspect, Cell, Held, Profile, answer, permission
from tosmon.model import Direction, Severity, Stance
from tosmon.publish import service_feed
from tosmon.publish.links import change_path, on
from tosmon.publish.text import line
from tosmon.web import claims
from tosmon.web.filters import LARGEST
from tosmon.web.lanes import Lanes, lanes
from tosmon.web.site import Site, TheSite, version_path
from tosmon.web.times import instant

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
programs = APIRouter(prefix="/api/v1", tags=["profiles"])

AT_ONCE = 30
COLUMNS = ("training", "training_others", "ownership", "licence", "restriction")
"""The aspects that head a column of the table of answers."""
SILENT = "silent"
_NAME, _RECENT = "name", "recent"


def profile_path(service: str) -> str:
    return f"/profiles/{quote(service[:300], safe='', errors='replace')}"


# --- what is asked for ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """What the address says. `training` is a stance, or "silent"; `covers` an attribute that the licence must have."""

    q: str | None = None
    training: str | None = None
    covers: str | None = None
    sort: str | None = None
    show: str | None = None
    at: date | None = None
    page: int | None = None

    @property
    def narrowed(self) -> bool:
        return any((self.q, self.training, self.covers))

    def query(self, **changed: object) -> str:
        """The view as a query string (with its question mark), with some of it changed; empty when there is none."""
        wanted = {one.name: getattr(self, one.name) for one in fields(self)} | {"page": None} | changed
        set_ = {name: str(value) for name, value in wanted.items() if value is not None}
        return f"?{urlencode(set_)}" if set_ else ""


_ANSWERS_TO_TRAINING = (
    (Stance.MAY.value, "yes"),
    (Stance.MAY_UNLESS_OPT_OUT.value, "yes, unless you opt out"),
    (Stance.ONLY_IF_OPT_IN.value, "only if you agree"),
    (Stance.MAY_NOT.value, "no"),
    (SILENT, "says nothing"),
)
_SORTS = (_NAME, _RECENT, *COLUMNS, *(aspect.key for aspect in ASPECTS if aspect.is_attribute))


def view_asked(query: Mapping[str, str]) -> tuple[View, tuple[str, ...]]:
    """Read a query string. What makes no sense is left out and named, so that an old link still shows something."""
    ignored: list[str] = []

    def known(name: str, values: Sequence[str]) -> str | None:
        written = query.get(name, "")
        if written and written not in values:
            ignored.append(f"{name}={line(written, 40)}")
            return None
        return written or None

    attributes = [aspect.key for aspect in ASPECTS if aspect.is_attribute]
    view = View(
        q=query.get("q", "").strip()[:100] or None,
        training=known("training", [stance for stance, _ in _ANSWERS_TO_TRAINING]),
        covers=known("covers", attributes),
        sort=known("sort", _SORTS),
        show=known("show", ("licence",)),
        at=_day(query.get("at", ""), ignored),
        page=_page(query.get("page", ""), ignored),
    )
    return view, tuple(ignored)


def _day(written: str, ignored: list[str]) -> date | None:
    if not written:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError:
        ignored.append(f"at={line(written, 40)}")
        return None


def _page(written: str, ignored: list[str]) -> int | None:
    if not written:
        return None
    if written.isascii() and written.isdigit() and 0 < int(written[:9]) <= 100_000:
        return int(written[:9])
    ignored.append(f"page={line(written, 40)}")
    return None


def chosen(every: Sequence[Profile], view: View) -> list[Profile]:
    """The profiles that a view shows, in its order."""
    found = list(every)
    if view.q:
        asked = view.q.casefold()
        found = [one for one in found if asked in one.service_name.casefold() or asked in one.service.casefold()]
    if view.training == SILENT:
        found = [one for one in found if not one.cell("training").held]
    elif view.training:
        wanted = Stance(view.training)
        found = [one for one in found if wanted in one.cell("training").stances]
    if view.covers:
        found = [one for one in found if view.covers in one.cells]
    return sorted(found, key=_order(view.sort))  # the archive gives them by name, and sorting keeps that


def aspects_of(view: View) -> frozenset[str] | None:
    """What must be known of every service to choose and order those that a view shows; `None`: everything."""
    if view.sort in ("licence", _RECENT):
        return None
    return frozenset({"training", *(key for key in (view.covers, view.sort) if key and key != _NAME)})


def _order(sort: str | None) -> Callable[[Profile], tuple[float, ...]]:
    if sort in (None, _NAME):
        return lambda profile: ()
    if sort == _RECENT:
        return lambda profile: (-_latest_turn(profile),)
    if sort == "licence":
        return lambda profile: (not profile.cell("licence").held, -_weight(profile))
    assert sort is not None
    return lambda profile: _rank(profile.cell(sort))


def _rank(cell: Cell) -> tuple[float, ...]:
    """What allows the platform most comes first; silence after all that is said, what cannot be read last."""
    if cell.held:
        return (0, permission(cell.aspect.key, cell.held[0].stance), cell.held[0].since.timestamp())
    return (1,) if cell.read else (2,)


def _weight(profile: Profile) -> int:
    return sum(cell.tone is Direction.WORSE for cell in profile.attributes)


def _latest_turn(profile: Profile) -> float:
    """When its stances last changed, leaving out what stood in the first texts we have."""
    turns = [one.since.timestamp() for cell in profile.cells.values() for one in cell.held if not one.from_first]
    return max(turns, default=0.0)


def _moment(at: date | None) -> datetime | None:
    return instant(at.isoformat()) if at is not None else None


# --- pages -----------------------------------------------------------------------------------------------------------


@router.get("/profiles")
def table(site: TheSite, request: Request) -> Response:
    view, ignored = view_asked(request.query_params)
    moment = _moment(view.at)
    every = site.archive.findings.table(moment, aspects_of(view))
    found = chosen(every, view)
    start = ((view.page or 1) - 1) * AT_ONCE
    return site.render(
        "profiles.html",
        title="Who may do what with your work",
        profiles=site.archive.findings.whole(found[start : start + AT_ONCE], moment),
        view=view,
        ignored=ignored,
        columns=[BY_KEY[key] for key in COLUMNS],
        attributes=[aspect for aspect in ASPECTS if aspect.is_attribute],
        answers=_ANSWERS_TO_TRAINING,
        counts=_counts(every),
        total=len(every),
        matching=len(found),
        previous=view.query(page=(view.page or 1) - 1) if start and found else None,
        following=view.query(page=(view.page or 1) + 1) if len(found) > start + AT_ONCE else None,
        first=start + 1,
        last=min(start + AT_ONCE, len(found)),
        licence_quotes=licence_quotes,
        profile_path=profile_path,
        claims=claims,
    )


def licence_quotes(profile: Profile) -> list[tuple[Held, list[Aspect]]]:
    """What the licence covers by the words that say so: one sentence mostly says it all."""
    found: dict[tuple[object, ...], tuple[Held, list[Aspect]]] = {}
    for cell in (profile.cell("licence"), *profile.attributes):
        for held in cell.held:
            _, covered = found.setdefault((held.key, held.quote), (held, []))
            if cell.aspect.is_attribute:
                covered.append(cell.aspect)
    return sorted(found.values(), key=lambda one: -len(one[1]))


@dataclass(frozen=True, slots=True)
class Count:
    """How many services give an answer to "may it train AI on your work?"; one may give several."""

    answer: str
    services: int
    value: str
    tone: str


def _counts(every: Sequence[Profile]) -> list[Count]:
    cells = [profile.cell("training") for profile in every]
    by_answer = Counter(stance.value for cell in cells for stance in cell.stances)
    by_answer[SILENT] = sum(not cell.held for cell in cells)
    tones = {"may": "worse", "may_unless_opt_out": "mixed", "only_if_opt_in": "better", "may_not": "better"}
    return [Count(answer, by_answer[value], value, tones.get(value, "none")) for value, answer in _ANSWERS_TO_TRAINING]


@router.get("/profiles/{service}")
def one_profile(site: TheSite, request: Request, service: str) -> Response:
    view, ignored = view_asked(request.query_params)
    moment = _moment(view.at)
    documents = _documents_of(site, service)
    profile = next(iter(site.archive.findings.profiles(service=service, at=moment)), None)
    name = documents[0].service_name
    return site.render(
        "profile.html",
        title=f"{name}: who may do what with your work",
        feeds=(service_feed(service, name),),
        service=service,
        name=name,
        documents=documents,
        profile=profile,
        licence=licence_quotes(profile) if profile is not None else [],
        main=_main_cells(profile),
        silent=_silent(profile),
        view=view,
        ignored=ignored,
        lanes=lanes_of(site, service, documents),
        rejudged=site.archive.findings.rejudged(service=service, limit=20),
        profile_path=profile_path,
        claims=claims,
    )


def _documents_of(site: Site, service: str) -> list[TermsRow]:
    documents = site.browse.documents(service)
    if not documents:
        raise HTTPException(404, "There is no such service in this archive.")
    return documents


def _main_cells(profile: Profile | None) -> list[Cell]:
    """What is said on each question but the licence's attributes, people's own topics last."""
    if profile is None:
        return []
    keys = [aspect.key for aspect in ASPECTS if not aspect.is_attribute]
    return [profile.cells[key] for key in (*keys, *profile.other_aspects) if key in profile.cells]


def _silent(profile: Profile | None) -> list[Cell]:
    if profile is None:
        return []
    cells = [profile.cell(aspect.key) for aspect in ASPECTS if not aspect.is_attribute]
    return [cell for cell in cells if not cell.held]


def lanes_of(site: Site, service: str, documents: Sequence[TermsRow]) -> Lanes | None:
    """The picture of a platform over time: what it claimed when, and each document's versions and changes."""
    stories = [(one.key, site.browse.version_marks(one.id), site.browse.change_marks(one.id)) for one in documents]
    return lanes(site.archive.findings.history(service), stories, site.clock())


@router.get("/found-later")
def found_later(site: TheSite, request: Request) -> Response:
    """What a later judgement brought out, and nobody was alerted of."""
    written = request.query_params.get("before", "")
    before = int(written) if written.isascii() and written.isdigit() and len(written) < 19 else None
    rows = site.archive.findings.rejudged(before_id=before, limit=AT_ONCE + 1)
    return site.render(
        "found_later.html",
        title="Found later",
        rejudged=rows[:AT_ONCE],
        older=f"?before={rows[AT_ONCE - 1].id}" if len(rows) > AT_ONCE else None,
        newest=before is None,
    )


# --- for programs ----------------------------------------------------------------------------------------------------


class StanceOut(BaseModel):
    """What one document says; `since_first_text` tells that it may be older than `since`. `clause` counts from 1."""

    type: str
    stance: Stance
    answer: str
    quote: str
    headings: list[str]
    objects: list[str]
    since: datetime
    since_first_text: bool
    change: int | None
    version: int
    clause: int
    page: str


class AnswerOut(BaseModel):
    """All that a service says on one question, what allows it most first. `read` is false in a language we do not read."""

    aspect: str
    question: str
    answer: str
    direction: Direction | None
    conflicting: bool
    read: bool
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
NOT_FOUND: dict[int | str, dict[str, str]] = {404: {"description": "There is no such thing in this archive."}}


@programs.get("/profiles", responses=NOT_FOUND)
def profiles(
    site: TheSite,
    at: When = None,
    training: Annotated[Stance | None, Query(description="Only services with this stance on training AI.")] = None,
    after: Annotated[str | None, Query(max_length=300, description="The cursor `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Profiles:
    """What each service may do with people's work, by the service's key, with quotes."""
    moment = _instant(at)
    every = sorted(site.archive.findings.table(moment, frozenset({"training"})), key=lambda one: one.service)
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


@programs.get("/profiles/{service}", responses=NOT_FOUND)
def profile_of(site: TheSite, service: str, at: When = None) -> ProfileOut:
    """One service's profile, now or at an instant."""
    found = site.archive.findings.profiles(service=service, at=_instant(at))
    if not found:
        raise HTTPException(404, "There is no such service in this archive, or no text of it of that day.")
    return _profile_out(site, found[0])


@programs.get("/profiles/{service}/history", responses=NOT_FOUND)
def history(site: TheSite, service: str) -> list[RunOut]:
    """Every stance that the service's documents ever took, oldest first."""
    _documents_of(site, service)
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


@programs.get("/found-later")
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
                stances=[_stance_out(site, cell, one) for one in cell.held],
            )
            for cell in cells
        ],
        page=on(site.settings.site_url, profile_path(profile.service)),
    )


def _stance_out(site: Site, cell: Cell, held: Held) -> StanceOut:
    return StanceOut(
        type=held.key.type,
        stance=held.stance,
        answer=answer(cell.aspect.key, held.stance),
        quote=held.quote.encode("utf-8", "replace").decode(),  # JSON has no lone surrogates
        headings=list(held.headings),
        objects=list(held.objects),
        since=held.since,
        since_first_text=held.from_first,
        change=held.change_id,
        version=held.version_id,
        clause=held.clause + 1,
        page=on(site.settings.site_url, f"{version_path(held.version_id)}#p{held.clause + 1}"),
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
