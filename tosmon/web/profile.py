"""Who may do what with people's work: the table of all platforms, and one platform's profile with its story over time.

Every answer is a stance with the exact words it rests on, the day since when it stands, and the change that brought it.
Filters, order and the day live in the address, so that a view can be kept and shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, Response

from tosmon.archive import TermsRow
from tosmon.judge.profile import ASPECTS, BY_KEY, Aspect, Cell, Held, Profile, permission, tone
from tosmon.model import Direction, Stance
from tosmon.publish import service_feed
from tosmon.publish.links import profile_path
from tosmon.publish.text import line
from tosmon.web import claims
from tosmon.web.filters import day_asked, id_asked
from tosmon.web.lanes import NARROW, Lanes, lanes
from tosmon.web.site import Site, TheSite
from tosmon.web.times import instant

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

AT_ONCE = 30
COLUMNS = ("training", "training_others", "ownership", "licence", "restriction")
"""The aspects that head a column of the table of answers."""
SILENT = "silent"
_NAME, _RECENT = "name", "recent"


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
        at=day_asked(query.get("at", ""), ignored, "at"),
        page=_page(query.get("page", ""), ignored),
    )
    return view, tuple(ignored)


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
        found = [one for one in found if wanted in one.cell("training").stances[:1]]
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
    every = site.archive.findings.table(moment, aspects_of(view), site.clock().date())
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
    """How many services give an answer to "may it train AI on your work?": each is counted once, by what allows it most."""

    answer: str
    services: int
    value: str
    tone: str


def _counts(every: Sequence[Profile]) -> list[Count]:
    cells = [profile.cell("training") for profile in every]
    by_answer = Counter(cell.held[0].stance.value for cell in cells if cell.held)
    by_answer[SILENT] = sum(not cell.held for cell in cells)
    return [Count(answer, by_answer[value], value, _tone_of(value)) for value, answer in _ANSWERS_TO_TRAINING]


def _tone_of(value: str) -> str:
    return "none" if value == SILENT else tone("training", Stance(value)).value


@router.get("/profiles/{service}")
def one_profile(site: TheSite, request: Request, service: str) -> Response:
    view, ignored = view_asked(request.query_params)
    moment = _moment(view.at)
    documents = documents_of_service(site, service)
    found = site.archive.findings.profiles(service=service, at=moment, today=site.clock().date())
    profile = found[0] if found else None
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


def documents_of_service(site: Site, service: str) -> list[TermsRow]:
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


def lanes_of(site: Site, service: str, documents: Sequence[TermsRow]) -> tuple[Lanes, Lanes] | None:
    """A platform over time: what it claimed when, and each document's versions and changes. Wide, and for a phone."""
    stories = [(one.key, site.browse.version_marks(one.id), site.browse.change_marks(one.id)) for one in documents]
    history, now = site.archive.findings.history(service), site.clock()
    wide, narrow = lanes(history, stories, now), lanes(history, stories, now, NARROW)
    return (wide, narrow) if wide is not None and narrow is not None else None


@router.get("/found-later")
def found_later(site: TheSite, request: Request) -> Response:
    """What a later judgement brought out, and nobody was alerted of."""
    before = id_asked(request.query_params.get("before", ""), [])
    rows = site.archive.findings.rejudged(before_id=before, limit=AT_ONCE + 1)
    return site.render(
        "found_later.html",
        title="Found later",
        rejudged=rows[:AT_ONCE],
        older=f"?before={rows[AT_ONCE - 1].id}" if len(rows) > AT_ONCE else None,
        newest=before is None,
    )
