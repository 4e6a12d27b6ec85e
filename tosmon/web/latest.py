"""The first page: what changed lately, as headlines, with filters that live in the URL."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from tosmon.publish import Feed, service_feed, severity_feed, topic_feed
from tosmon.web.filters import Filters, asked
from tosmon.web.pictures import calendar, calendar_start
from tosmon.web.site import Site, TheSite
from tosmon.web.times import start_of

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

SHOWN = 30
_KNOWN_TOPICS = ("ai_training", "content_license", "ai_restriction", "ai_other", "service_license")


@router.get("/")
def latest(site: TheSite, request: Request) -> Response:
    query = asked(request.query_params)
    filters = query.filters
    now = site.clock()
    rows = site.browse.changes(
        service=filters.service,
        topic=filters.topic,
        direction=filters.direction,
        severity=filters.severity,
        since=start_of(filters.since) if filters.since else None,
        before_id=query.before,
        limit=SHOWN + 1,
    )
    found, more = rows[:SHOWN], rows[SHOWN:]
    services = site.browse.service_names()
    looked_from = site.browse.first_text_at(filters.service)
    activity = site.browse.activity(start_of(calendar_start(now.date())), filters.service)
    return site.render(
        "latest.html",
        feeds=_feeds(filters, services),
        changes=found,
        older=filters.query(before=found[-1].id) if more else None,
        newest=query.before is None,
        filters=filters,
        ignored=query.ignored,
        services=services,
        topics=topics(site),
        calendar=calendar(activity, now.date(), looked_from.date() if looked_from else None),
        pulse=site.browse.pulse(),
    )


def topics(site: Site) -> list[str]:
    """The topics to choose from: those that tosmon brings, then whatever else flags speak of."""
    return list(dict.fromkeys((*_KNOWN_TOPICS, *site.browse.topics())))


def _feeds(filters: Filters, names: dict[str, str]) -> tuple[Feed, ...]:
    """The feeds that come nearest to what is shown."""
    feeds: list[Feed] = []
    if filters.service in names:
        feeds.append(service_feed(filters.service, names[filters.service]))
    if filters.topic:
        feeds.append(topic_feed(filters.topic))
    if filters.severity:
        feeds.append(severity_feed(filters.severity.value))
    return tuple(feeds)
