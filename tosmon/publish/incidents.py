"""The operator's feed: which documents cannot be read, why, what to do about it, and which can be read again.

Like the feeds of alerts it is a log of entries that never change: each is made of what was known at that moment and of
the keys of service and type, which stay when a platform changes its name or its address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from html import escape
from pathlib import Path

from feedgen.entry import FeedEntry

from tosmon.model import IncidentEvent
from tosmon.publish.feeds import ENTRIES, Feed, FeedFormat, FeedKind, FeedSettings, feed_file, feed_url
from tosmon.publish.files import put
from tosmon.publish.formats import feed_title, generator_of, written
from tosmon.publish.links import document_path, on
from tosmon.publish.text import line
from tosmon.publish.words import moment

INCIDENTS = Feed(
    FeedKind.INCIDENTS, "Incidents", "incidents", "Documents that cannot be read, and those that can be read again."
)


def incidents_feed(events: Sequence[IncidentEvent], settings: FeedSettings, format: FeedFormat) -> bytes:
    """The feed of the latest 100 events, the newest first. The same events give the same bytes."""
    shown = sorted(events, key=lambda event: (event.at, event.incident, event.closed), reverse=True)[:ENTRIES]
    return _FORMATS[format](shown, settings)


def write_incidents(folder: Path, events: Sequence[IncidentEvent], settings: FeedSettings) -> tuple[Path, ...]:
    """Write the feed in every format; the files whose bytes are new."""
    return put(
        {folder / feed_file(INCIDENTS, format): incidents_feed(events, settings, format) for format in FeedFormat}
    )


# --- an entry --------------------------------------------------------------------------------------------------------


def incident_uid(event: IncidentEvent, settings: FeedSettings) -> str:
    """`tag:example.org,2026-01-31:incident/7/opened`"""
    what = "closed" if event.closed else "opened"
    return f"tag:{settings.authority},{settings.started.isoformat()}:incident/{event.incident}/{what}"


def _title(event: IncidentEvent) -> str:
    what = "can be read again" if event.closed else f"cannot be read: {event.verdict.value}"
    return line(f"{event.key.service}, {event.key.type}: {what}")


def _sentences(event: IncidentEvent) -> list[str]:
    """What happened, what to do, and since when we see less."""
    if event.closed:
        looks = "1 look" if event.looks == 1 else f"{event.looks} looks"
        return [
            f"It can be read again since {moment(event.at)}. It could not be read ({event.verdict.value}) since "
            f"{moment(event.opened_at)}, at {looks}.",
            "What changed meanwhile is told as one change.",
        ]
    whole = (
        f"It was last read completely on {moment(event.last_whole_at)}."
        if event.last_whole_at
        else "It was never seen."
    )
    return [line(event.detail, 600), whole, f"Noticed on {moment(event.at)}; looks go on, less and less often."]


def _url(event: IncidentEvent, settings: FeedSettings) -> str:
    return on(settings.site_url, document_path(event.key))


# --- formats ---------------------------------------------------------------------------------------------------------


def _xml(format: FeedFormat, events: Sequence[IncidentEvent], settings: FeedSettings) -> bytes:
    updated = max((event.at for event in events), default=settings.start)
    generator = generator_of(INCIDENTS, settings, updated, format)
    for event in reversed(events):  # feedgen puts each before the others
        generator.add_entry(_feed_entry(event, settings))
    return written(generator, format) + b"\n"


def _feed_entry(event: IncidentEvent, settings: FeedSettings) -> FeedEntry:
    made = FeedEntry()
    sentences = [sentence for sentence in _sentences(event) if sentence]
    made.guid(incident_uid(event, settings), permalink=False)
    made.title(_title(event))
    made.link(href=_url(event, settings), rel="alternate", type="text/html")
    made.published(_whole_seconds(event.at))
    made.updated(_whole_seconds(event.at))
    made.summary(sentences[0])
    made.content("".join(f"<p>{escape(sentence)}</p>" for sentence in sentences), type="html")
    made.category([{"term": event.verdict.value}, {"term": "closed" if event.closed else "opened"}])
    return made


def _json(events: Sequence[IncidentEvent], settings: FeedSettings) -> bytes:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed_title(INCIDENTS, settings),
        "home_page_url": on(settings.site_url, "/incidents"),
        "feed_url": feed_url(INCIDENTS, FeedFormat.JSON, settings),
        "description": INCIDENTS.description,
        "language": settings.language,
        "items": [_item(event, settings) for event in events],
    }
    return json.dumps(feed, ensure_ascii=False, indent=1).encode() + b"\n"


def _item(event: IncidentEvent, settings: FeedSettings) -> dict[str, object]:
    return {
        "id": incident_uid(event, settings),
        "url": _url(event, settings),
        "title": _title(event),
        "content_text": "\n".join(sentence for sentence in _sentences(event) if sentence),
        "date_published": _whole_seconds(event.at).isoformat(),
        "tags": [event.verdict.value, "closed" if event.closed else "opened"],
        "_tosmon": {
            "incident": event.incident,
            "closed": event.closed,
            "service": line(event.key.service),
            "terms": line(event.key.type),
            "verdict": event.verdict.value,
            "opened_at": _whole_seconds(event.opened_at).isoformat(),
            "last_whole_at": _whole_seconds(event.last_whole_at).isoformat() if event.last_whole_at else None,
        },
    }


def _whole_seconds(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=0)


_FORMATS: dict[FeedFormat, Callable[[Sequence[IncidentEvent], FeedSettings], bytes]] = {
    FeedFormat.RSS: partial(_xml, FeedFormat.RSS),
    FeedFormat.ATOM: partial(_xml, FeedFormat.ATOM),
    FeedFormat.JSON: _json,
}
