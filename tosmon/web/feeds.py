"""Feeds: which there are, and the files themselves."""

from __future__ import annotations

from functools import lru_cache

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, Response

from tosmon.model import Direction, Severity, TermsKey
from tosmon.publish import (
    ALL,
    INCIDENTS,
    OPML_FILE,
    PROFILE,
    PROFILE_TOPICS,
    Feed,
    FeedFormat,
    FeedKind,
    FeedSettings,
    Stored,
    atom,
    direction_feed,
    document_feed,
    feed_file,
    incidents_feed,
    json_feed,
    opml,
    rss,
    service_feed,
    severity_feed,
    tag_feed,
    topic_feed,
)
from tosmon.web.latest import topics
from tosmon.web.serving import accepts_gzip
from tosmon.web.site import Site, TheSite

router = APIRouter(include_in_schema=False)

_WRITERS = {FeedFormat.RSS: rss, FeedFormat.ATOM: atom, FeedFormat.JSON: json_feed}
_GROUPS = (
    (FeedKind.PROFILE, "Who may use your work"),
    (FeedKind.TOPIC, "By topic"),
    (FeedKind.SEVERITY, "By severity"),
    (FeedKind.TAG, "By tag"),
    (FeedKind.SERVICE, "By service"),
    (FeedKind.DOCUMENT, "By document"),
)


@router.get("/feeds", response_class=HTMLResponse)
def feeds(site: TheSite) -> Response:
    every = all_feeds(site)
    groups = [(title, [feed for feed in every if feed.kind is kind]) for kind, title in _GROUPS]
    return site.render("feeds.html", title="Feeds", groups=[group for group in groups if group[1]])


@router.get("/feeds.opml")
def opml_file(site: TheSite, request: Request) -> Response:
    """All feeds in one file. Written on the spot, so that a document of a minute ago is in it."""
    if site.settings.feeds is not None:
        body = opml(all_feeds(site), site.settings.feeds)
        return Response(body, media_type="text/x-opml; charset=utf-8")
    return _stored(site, OPML_FILE, request) or _no_feed()


@router.get("/feeds/{name:path}")
def feed(site: TheSite, request: Request, name: str) -> Response:
    """A feed as it was published; one without a file yet is written on the spot."""
    return _stored(site, f"feeds/{name}", request) or _written(site, name) or _no_feed()


def _no_feed() -> Response:
    raise HTTPException(404, "There is no such feed.")


def _stored(site: Site, name: str, request: Request) -> Response | None:
    stored = site.shelf.get(name) if site.shelf else None
    if stored is None:
        return None
    headers = {"ETag": stored.etag, "Last-Modified": stored.last_modified, "Cache-Control": "no-cache"}
    asked = request.headers
    if stored.unchanged(asked.get("if-none-match"), asked.get("if-modified-since")):
        return Response(status_code=304, headers=headers)
    return _packed(stored, accepts_gzip(asked.get("accept-encoding", "")), headers)


def _packed(stored: Stored, packed: bool, headers: dict[str, str]) -> Response:
    headers |= {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if packed else {})
    return Response(stored.gzipped if packed else stored.body, media_type=stored.media_type, headers=headers)


def _written(site: Site, name: str) -> Response | None:
    settings = site.settings.feeds
    if settings is None:
        return None
    for format in FeedFormat:
        if feed_file(INCIDENTS, format) == f"feeds/{name}":
            body = incidents_feed(site.browse.incident_events(), settings, format)
            return Response(body, media_type=f"{format.media_type}; charset=utf-8")
        for found in all_feeds(site):
            if feed_file(found, format) == f"feeds/{name}":
                return _write(site, found, format, settings)
    return None


def _write(site: Site, feed: Feed, format: FeedFormat, settings: FeedSettings) -> Response:
    body = _WRITERS[format](site.browse.alerts(feed.path), feed, settings)
    return Response(body, media_type=f"{format.media_type}; charset=utf-8")


def all_feeds(site: Site) -> tuple[Feed, ...]:
    """Every feed that people can choose: of each service and document, also those with nothing in them yet."""
    documents = site.browse.catalogue()
    return _feeds(tuple((one.key, one.service_name, one.tags) for one in documents), tuple(topics(site)))


# The documents of an archive seldom change, and to name a thousand feeds takes longer than all else on their page.
@lru_cache(maxsize=4)
def _feeds(documents: tuple[tuple[TermsKey, str, tuple[str, ...]], ...], topics: tuple[str, ...]) -> tuple[Feed, ...]:
    found = [
        ALL,
        PROFILE,
        *(direction_feed(topic, way) for topic in PROFILE_TOPICS for way in (Direction.WORSE, Direction.BETTER)),
        *(topic_feed(topic) for topic in topics),
        *(severity_feed(severity.value) for severity in Severity),
        *(tag_feed(tag) for tag in sorted({tag for _, _, tags in documents for tag in tags})),
        *(service_feed(service, name) for service, name in {key.service: name for key, name, _ in documents}.items()),
        *(document_feed(key, name) for key, name, _ in documents),
    ]
    return tuple(dict.fromkeys(found))
