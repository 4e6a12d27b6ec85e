"""Search over all clauses ever: who says this, since when, and who said it once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from tosmon.archive.search import MOST, Found, Hit, Order, Query, marks, parse
from tosmon.clauses import plain
from tosmon.errors import ArchiveError
from tosmon.publish.text import visible
from tosmon.web.filters import Sought, sought
from tosmon.web.site import Site, TheSite
from tosmon.web.times import start_of

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

AT_ONCE = 20
_LONG, _BEFORE = 700, 220  # letters of a clause that are shown, and of those before the first word that was looked for


@dataclass(frozen=True, slots=True)
class Shown:
    """A hit as it is shown: the words that were looked for are marked."""

    hit: Hit
    words: Markup


@router.get("/search")
def search(site: TheSite, request: Request) -> Response:
    asked = sought(request.query_params)
    query = parse(asked.words)
    found, unable = Found(), False
    if query:
        try:
            found = found_for(site, query, asked)
        except ArchiveError:
            unable = True
    return site.render(
        "search.html",
        title=f"“{asked.words}”" if asked.words else "Search",
        status=501 if unable else 200,
        asked=asked,
        understood=bool(query),
        unable=unable,
        found=found,
        hits=[Shown(hit, marked(query, plain(hit.text))) for hit in found.hits],
        following=asked.query(after=found.next) if found.next else None,
        most=MOST,
        services=site.browse.service_names(),
        types=site.browse.types(),
        orders=((Order.STANDING, "What stands now first"), (Order.FIRST, "Who said it first")),
    )


def found_for(site: Site, query: Query, asked: Sought, limit: int = AT_ONCE) -> Found:
    return site.browse.search(
        query,
        service=asked.service,
        type=asked.type,
        since=start_of(asked.since) if asked.since else None,
        until=start_of(asked.until) + timedelta(days=1) if asked.until else None,
        order=asked.order,
        after=asked.after,
        limit=limit,
    )


def marked(query: Query, words: str) -> Markup:
    """A clause, or the part of a long one that holds what was looked for, with it marked."""
    places = marks(query, words)
    start, end = 0, len(words)
    if end > _LONG:
        start = max(0, (places[0][0] if places else 0) - _BEFORE)
        end = min(len(words), start + _LONG)
    out, done = [Markup("… ") if start else Markup("")], start
    for low, high in places:
        if low < start or high > end:
            continue
        out += [escape(visible(words[done:low])), Markup("<mark>{}</mark>").format(visible(words[low:high]))]
        done = high
    out += [escape(visible(words[done:end])), Markup(" …") if end < len(words) else Markup("")]
    return Markup("").join(out)
