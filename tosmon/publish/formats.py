"""Write feeds as RSS 2.0, Atom 1.0 and JSON Feed 1.1, and the list of all feeds as OPML 2.0.

A feed is a log: the same alerts always give the same bytes, on any machine and at any time. feedgen writes the XML;
its own clock, generator and version are overruled. Entries never change, and rendering is nearly all of the work, so
each is rendered once: a feed is a new head and lines, one for each entry, most of them taken from the file as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache, partial
from importlib.resources import files

from feedgen.entry import FeedEntry
from feedgen.ext.base import BaseExtension
from feedgen.feed import FeedGenerator
from lxml import etree

from tosmon.model import Alert
from tosmon.publish.entries import Entry, Kept, Pieces, entry
from tosmon.publish.feeds import (
    Feed,
    FeedFormat,
    FeedKind,
    FeedSettings,
    feed_uid,
    feed_url,
    latest,
)
from tosmon.publish.links import on
from tosmon.publish.text import line

_ATOM = "http://www.w3.org/2005/Atom"
_GENERATOR = "tosmon"

# A new alert goes into six to ten feeds, of three formats each. 8 MB hold the entries of several hundred.
_kept = Kept(8_000_000)


def rss(alerts: Sequence[Alert], feed: Feed, settings: FeedSettings, former: bytes = b"") -> bytes:
    """The feed as RSS 2.0: the latest 100 of the alerts, newest first, whatever their order here.

    `former` is the feed as this function wrote it before, if there is one: entries are taken from it, not rendered.
    """
    return _xml(alerts, feed, settings, FeedFormat.RSS, former)


def atom(alerts: Sequence[Alert], feed: Feed, settings: FeedSettings, former: bytes = b"") -> bytes:
    """The feed as Atom 1.0 (RFC 4287): the latest 100 of the alerts, newest first."""
    return _xml(alerts, feed, settings, FeedFormat.ATOM, former)


def json_feed(alerts: Sequence[Alert], feed: Feed, settings: FeedSettings, former: bytes = b"") -> bytes:
    """The feed as JSON Feed 1.1; what has no place there (severity, flags, dates, evidence) is under `_tosmon`."""
    shown = latest(alerts)
    head = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed_title(feed, settings),
        "home_page_url": settings.site_url.rstrip("/") + "/",
        "feed_url": feed_url(feed, FeedFormat.JSON, settings),
        "description": line(feed.description),
        "icon": settings.icon,
        "language": settings.language,
        "authors": [{"name": line(settings.title) or _GENERATOR}],
        "hubs": [{"type": "WebSub", "url": settings.hub}] if settings.hub else None,
    }
    opening = _json({name: value for name, value in head.items() if value})[:-1]
    items = _block(shown, settings, FeedFormat.JSON, former)
    mark = _layout(settings, FeedFormat.JSON)
    return b"".join([opening, b', "items": [\n', *items, b"\n],\n", mark, b"\n", _ENDS[FeedFormat.JSON]])


def feed_title(feed: Feed, settings: FeedSettings) -> str:
    own = line(settings.title) or _GENERATOR
    return own if feed.kind is FeedKind.ALL else line(f"{feed.title} · {own}")


WRITERS = {FeedFormat.RSS: rss, FeedFormat.ATOM: atom, FeedFormat.JSON: json_feed}


# --- entries, a line each -----------------------------------------------------------------------------------------

_ENDS = {FeedFormat.RSS: b"</channel></rss>\n", FeedFormat.ATOM: b"</feed>\n", FeedFormat.JSON: b"}\n"}
# What an entry's line begins with, and what stands before and after its id. Content is escaped: it holds none of these.
_STARTS = {FeedFormat.RSS: b"<item>", FeedFormat.ATOM: b"<entry>", FeedFormat.JSON: b'{"id": "'}
_IDS = {
    FeedFormat.RSS: (b'<guid isPermaLink="false">', b"</guid>"),
    FeedFormat.ATOM: (b"<entry><id>", b"</id>"),
    FeedFormat.JSON: (b'{"id": "', b'"'),
}


_NEW = 10  # alerts at once, at most, for which a feed is worth taking over in one piece


def _block(
    alerts: Sequence[Alert], settings: FeedSettings, format: FeedFormat, former: bytes
) -> list[bytes | memoryview]:
    """All entries of a feed as they stand in it, in pieces to be joined: half a megabyte is copied once."""
    between = b",\n" if format is FeedFormat.JSON else b"\n"
    found = _overlap(alerts, settings, format, former)
    if found is None:
        return [between.join(_lines(alerts, settings, format, former))] if alerts else []
    new, kept = found
    return [*(piece for written in _lines(alerts[:new], settings, format, b"") for piece in (written, between)), kept]


def _overlap(
    alerts: Sequence[Alert], settings: FeedSettings, format: FeedFormat, former: bytes
) -> tuple[int, memoryview] | None:
    """How many alerts are new since the former feed, and its entries of the others in one piece.

    `None` when it is not the log that goes on: laid out in another way, or its entries are not those that are wanted.
    """
    if not alerts or not former.endswith(b"\n" + _layout(settings, format) + b"\n" + _ENDS[format]):
        return None
    opening, closing = _IDS[format]
    uids = [alert.uid.encode("utf-8", "replace") for alert in alerts]
    start = former.find(b"\n" + _STARTS[format]) + 1
    first = former.find(opening, start) + len(opening)
    known = former[first : former.find(closing, first)]
    last = former.rfind(opening + uids[-1] + closing)
    if not start or known not in uids[:_NEW] or last < 0:
        return None
    end, new = former.index(b"\n", last), uids.index(known)
    if former.count(b"\n", start, end) != len(uids) - new - 1:
        return None
    return new, memoryview(former)[start : end - (former[end - 1 : end] == b",")]


def _lines(alerts: Sequence[Alert], settings: FeedSettings, format: FeedFormat, former: bytes) -> list[bytes]:
    """The entries as they stand in a feed of that format: from the former feed, else written, for all formats at once."""
    known = _former_lines(former, settings, format)
    said_by = repr(settings)  # a string knows its hash; the settings would make theirs anew for each entry

    def made(alert: Alert) -> bytes:
        return _kept.get((alert.uid, said_by), partial(_pieces, alert, settings))[format]

    return [known.get(alert.uid.encode("utf-8", "replace")) or made(alert) for alert in alerts]


def _former_lines(former: bytes, settings: FeedSettings, format: FeedFormat) -> dict[bytes, bytes]:
    """Entries by id, if the feed is whole and was laid out as it would be now."""
    if not former.endswith(b"\n" + _layout(settings, format) + b"\n" + _ENDS[format]):
        return {}
    opening, closing = _IDS[format]
    found: dict[bytes, bytes] = {}
    for written in former.split(b"\n"):
        if written.startswith(_STARTS[format]):
            start = written.index(opening) + len(opening)
            found[written[start : written.index(closing, start)]] = written.removesuffix(b",")
    return found


def _layout(settings: FeedSettings, format: FeedFormat) -> bytes:
    """What says how a feed was laid out: it stands at its end, and another one makes all entries be written anew."""
    mark = hashlib.sha256(f"{_package()} {settings!r}".encode()).hexdigest()[:16].encode()
    return b'"_tosmon": {"layout": "' + mark + b'"}' if format is FeedFormat.JSON else b"<!-- layout " + mark + b" -->"


@cache
def _package() -> str:
    """A digest of this package, templates included: whatever could make an entry look different."""
    ours = files("tosmon.publish")
    parts = [part for folder in (ours, ours / "templates") for part in folder.iterdir() if part.is_file()]
    digests = (hashlib.sha256(part.read_bytes()).hexdigest() for part in sorted(parts, key=lambda part: part.name))
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _pieces(alert: Alert, settings: FeedSettings) -> Pieces:
    told = entry(alert, settings)
    return {
        FeedFormat.RSS: _element(told, FeedFormat.RSS),
        FeedFormat.ATOM: _element(told, FeedFormat.ATOM),
        FeedFormat.JSON: _json(_item(told)),
    }


# --- XML ----------------------------------------------------------------------------------------------------------

_TAGS = {FeedFormat.RSS: b"item", FeedFormat.ATOM: b"entry"}


def _xml(alerts: Sequence[Alert], feed: Feed, settings: FeedSettings, format: FeedFormat, former: bytes) -> bytes:
    shown = latest(alerts)
    updated = max((alert.at for alert in shown), default=settings.start)
    head = written(generator_of(feed, settings, updated, format), format).removesuffix(_ENDS[format].rstrip())
    entries = _block(shown, settings, format, former)
    rest = [b"\n", *entries] if entries else []
    return b"".join([head, *rest, b"\n", _layout(settings, format), b"\n", _ENDS[format]])


def generator_of(feed: Feed, settings: FeedSettings, updated: datetime, format: FeedFormat) -> FeedGenerator:
    generator = FeedGenerator()
    title = feed_title(feed, settings)
    generator.id(feed_uid(feed, settings))
    generator.title(title)
    generator.subtitle(line(feed.description) or title)
    generator.description(line(feed.description) or title)
    generator.author({"name": line(settings.title) or _GENERATOR})
    generator.generator(_GENERATOR)
    generator.language(settings.language)
    generator.updated(_whole_seconds(updated))  # also RSS's lastBuildDate, else the clock's
    generator.link(href=feed_url(feed, format, settings), rel="self", type=format.media_type)
    if settings.hub:
        generator.link(href=settings.hub, rel="hub")
        generator.register_extension("hub", _HubLink, None, atom=False, rss=True)
        generator.hub.href = settings.hub
    # The last link is the one that feedgen takes for RSS's <link>.
    generator.link(href=settings.site_url.rstrip("/") + "/", rel="alternate", type="text/html")
    if settings.icon:
        generator.icon(settings.icon)
        if format is FeedFormat.RSS:
            generator.image(settings.icon, title=title, link=settings.site_url.rstrip("/") + "/")
    return generator


class _HubLink(BaseExtension):  # type: ignore[misc]
    """RSS has no link to a hub of its own; feedgen writes Atom's for `self` alone."""

    href = ""

    def extend_rss(self, feed: etree._Element) -> etree._Element:
        channel = feed[0]
        channel.append(etree.Element(f"{{{_ATOM}}}link", rel="hub", href=self.href))
        return feed


def written(generator: FeedGenerator, format: FeedFormat) -> bytes:
    body: bytes = generator.rss_str() if format is FeedFormat.RSS else generator.atom_str()
    return body.rstrip()


def _element(told: Entry, format: FeedFormat) -> bytes:
    """`<item>…</item>` or `<entry>…</entry>`, cut out of a feed of one entry so that prefixes are those of its root."""
    generator = FeedGenerator()
    generator.id("x")
    generator.title("x")
    generator.description("x")
    generator.link(href="x")
    generator.add_entry(_feed_entry(told))
    body = written(generator, format)
    # All text is escaped: the tags themselves occur once.
    start = body.index(b"<" + _TAGS[format])
    return body[start : body.index(b"</" + _TAGS[format] + b">") + len(_TAGS[format]) + 3]


def _feed_entry(told: Entry) -> FeedEntry:
    made = FeedEntry()
    made.guid(told.uid, permalink=False)
    made.title(told.title)
    made.link(href=told.url, rel="alternate", type="text/html")
    if told.related:
        made.link(href=told.related, rel="related")
    made.register_extension("links", _LinkRelations, atom=True, rss=False)
    made.published(told.at)
    made.updated(told.at)
    made.summary(told.summary)
    made.content(told.html, type="html")
    made.category([asdict(category) for category in told.categories])
    return made


class _LinkRelations(BaseExtension):  # type: ignore[misc]
    """feedgen 1.0 drops `rel` and `type` of an entry's links, so that all of them would be its permalink."""

    def extend_atom(self, feed: etree._Element) -> etree._Element:
        for link, rel in zip(feed.findall("link"), ("alternate", "related"), strict=False):
            link.set("rel", rel)
        return feed


def _whole_seconds(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


# --- JSON ---------------------------------------------------------------------------------------------------------


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).encode()


def _item(told: Entry) -> dict[str, object]:
    alert = told.alert
    fields: dict[str, object | None] = {
        "id": told.uid,
        "url": told.url,
        "external_url": told.related,
        "title": told.title,
        "summary": told.summary,
        "content_html": told.html,
        "content_text": told.text,
        "date_published": told.at.isoformat(),
        "tags": [category.label for category in told.categories],
        "_tosmon": {
            "kind": alert.kind.value,
            "service": line(alert.service),
            "service_name": told.told.service_name,
            "terms": told.told.type,
            "severity": alert.severity.value,
            "effective_date": alert.effective_date.isoformat() if alert.effective_date else None,
            "silent": alert.silent,
            "corrects": told.told.corrects,
            "flags": [
                {"topic": line(flag.topic), "direction": flag.direction.value, "what": line(flag.what, 400)}
                for flag in alert.flags
            ],
            "evidence_sha256": list(told.told.evidence),
        },
    }
    return {name: value for name, value in fields.items() if value is not None}


# --- OPML ---------------------------------------------------------------------------------------------------------


def opml(feeds: Sequence[Feed], settings: FeedSettings, format: FeedFormat = FeedFormat.ATOM) -> bytes:
    """All feeds as OPML 2.0, grouped by kind, each once: what a feed reader imports in one go."""
    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = line(settings.title) or _GENERATOR
    body = etree.SubElement(root, "body")
    by_kind: dict[FeedKind, list[Feed]] = {}
    for feed in dict.fromkeys(feeds):
        by_kind.setdefault(feed.kind, []).append(feed)
    for kind in FeedKind:
        group = body if kind is FeedKind.ALL else None
        for feed in sorted(by_kind.get(kind, ()), key=lambda feed: (feed.title.casefold(), feed.path)):
            if group is None:
                group = etree.SubElement(body, "outline", text=_GROUPS[kind])
            etree.SubElement(
                group,
                "outline",
                type="rss",
                text=feed_title(feed, settings) if kind is FeedKind.ALL else line(feed.title),
                xmlUrl=feed_url(feed, format, settings),
                htmlUrl=on(settings.site_url, "/"),
            )
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True))


_GROUPS = {
    FeedKind.PROFILE: "Who may use your work",
    FeedKind.PINS: "Pinned sentences",
    FeedKind.SERVICE: "Services",
    FeedKind.DOCUMENT: "Documents",
    FeedKind.TOPIC: "Topics",
    FeedKind.SEVERITY: "Severity",
    FeedKind.TAG: "Tags",
}
