"""Which feeds there are, what they are called for ever, and which of them an alert stands in.

Ids and file names outlive a change of host, of a platform's name and of tosmon: they are made of the authority and
the day that were fixed at init, the keys of services and types, and nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from urllib.parse import quote

from tosmon.errors import ConfigError
from tosmon.model import Alert, AlertKind, Direction, TermsKey
from tosmon.publish.text import line
from tosmon.publish.words import DIRECTION, SEVERITY, topic_name

ENTRIES = 100
"""How many of the latest alerts a feed holds."""


class FeedKind(StrEnum):
    ALL = "all"
    SERVICE = "service"
    DOCUMENT = "document"
    TOPIC = "topic"
    SEVERITY = "severity"
    TAG = "tag"
    PROFILE = "profile"
    PINS = "pins"
    INCIDENTS = "incidents"  # for whoever runs the monitor; of no use to readers


@dataclass(frozen=True, slots=True)
class Feed:
    """One feed. `path` is its identity: "all", "service/X", "document/X/Terms of Service", "topic/ai_training", …

    It is safe as a file name and never changes; title and description may, with the name of a service.
    """

    kind: FeedKind
    title: str = field(compare=False)
    path: str
    description: str = field(default="", compare=False)


class FeedFormat(StrEnum):
    RSS = "rss"
    ATOM = "atom"
    JSON = "json"

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    FeedFormat.RSS: "application/rss+xml",
    FeedFormat.ATOM: "application/atom+xml",
    FeedFormat.JSON: "application/feed+json",
}


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """What feeds and mails say of themselves.

    `authority` and `started` are fixed at init and stored with the archive: every id is made of them (RFC 4151), so
    they stay when `site_url` changes. `hub` is a WebSub hub, `icon` the address of a square picture.
    """

    title: str
    site_url: str
    authority: str
    started: date
    icon: str | None = None
    hub: str | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        if not _AUTHORITY.fullmatch(self.authority):
            raise ConfigError(
                f"feeds.authority: expected a host name or mail address of yours, got {self.authority!r} (RFC 4151)"
            )

    @property
    def host(self) -> str:
        """The authority as a host name, for ids in mail."""
        return self.authority.rpartition("@")[2]

    @property
    def start(self) -> datetime:
        """When the first entry may have been: what an empty feed gives as its last update."""
        return datetime.combine(self.started, time(), UTC)


# RFC 4151: a DNS name, or a mail address (its local part without quoting).
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+@)?(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9-]+)*")


# --- ids ---------------------------------------------------------------------------------------------------------


def alert_uid(authority: str, started: date, change_id: int, kind: AlertKind) -> str:
    """The permanent id of an alert, a `tag:` URI (RFC 4151): `tag:example.org,2026-01-31:change/12`.

    What follows on the same change has the kind at its end: `…:change/12/correction`.
    """
    suffix = "" if kind is AlertKind.CHANGE else f"/{kind.value}"
    return f"tag:{authority},{started.isoformat()}:change/{change_id}{suffix}"


def feed_uid(feed: Feed, settings: FeedSettings) -> str:
    """The permanent id of a feed, whatever its host and format."""
    return f"tag:{settings.authority},{settings.started.isoformat()}:feeds/{quote(feed.path)}"


# --- which feeds --------------------------------------------------------------------------------------------------


ALL = Feed(FeedKind.ALL, "All changes", "all", "Every change of terms that people are told of.")


PROFILE_TOPICS = ("ai_training", "content_license")
"""What a platform may do with people's work: a flag on one of these changes its profile."""

PROFILE = Feed(
    FeedKind.PROFILE,
    "Who may use your work",
    "profile",
    "Changes of what platforms may do with your work: train AI on it, or use it under your licence.",
)

PINS = Feed(
    FeedKind.PINS, "Pinned sentences", "pins", "Sentences that the operator pinned, when they change or disappear."
)


def service_feed(service: str, service_name: str) -> Feed:
    name = line(service_name) or service
    return Feed(FeedKind.SERVICE, name, f"service/{file_name(service)}", f"Changes of the terms of {name}.")


def document_feed(key: TermsKey, service_name: str) -> Feed:
    title = f"{line(service_name) or key.service}: {line(key.type)}"
    path = f"document/{file_name(key.service)}/{file_name(key.type)}"
    return Feed(FeedKind.DOCUMENT, title, path, f"Changes of {title}.")


def topic_feed(topic: str) -> Feed:
    name = topic_name(topic)
    return Feed(FeedKind.TOPIC, name, f"topic/{file_name(topic)}", f"Changes of terms flagged “{name}”.")


def direction_feed(topic: str, direction: Direction) -> Feed:
    """A profile topic, one way: what got worse (or better) for users; a flag that does both stands in both."""
    name, way = topic_name(topic), DIRECTION[direction][1].lower()
    path = f"topic/{file_name(topic)}/{direction.value}"
    return Feed(FeedKind.PROFILE, f"{name}: {way}", path, f"Changes of terms flagged “{name}” that are {way}.")


def profile_feeds(alert: Alert) -> tuple[Feed, ...]:
    """The feeds of changed profiles that an alert stands in, by its flags; neutral ones change no profile."""
    found: list[Feed] = []
    for flag in alert.flags:
        if flag.topic in PROFILE_TOPICS:
            ways = [Direction.WORSE, Direction.BETTER] if flag.direction is Direction.MIXED else [flag.direction]
            found += [direction_feed(flag.topic, way) for way in ways if way is not Direction.NEUTRAL]
    return (PROFILE, *dict.fromkeys(found)) if found else ()


def severity_feed(severity: str) -> Feed:
    name = SEVERITY.get(severity, line(severity))
    return Feed(FeedKind.SEVERITY, name, f"severity/{file_name(severity)}", f"Changes of terms of {name.lower()}.")


def tag_feed(tag: str) -> Feed:
    name = line(tag)
    return Feed(FeedKind.TAG, f"Tag: {name}", f"tag/{file_name(tag)}", f"Changes of the documents tagged “{name}”.")


def feeds_for(alert: Alert) -> tuple[Feed, ...]:
    """The feeds an alert stands in, each once: all, its service, document, severity, topics, profile and tags."""
    feeds = [
        ALL,
        service_feed(alert.service, alert.service_name),
        document_feed(TermsKey(alert.service, alert.type), alert.service_name),
        severity_feed(alert.severity.value),
        *(topic_feed(flag.topic) for flag in alert.flags),
        *profile_feeds(alert),
        *(tag_feed(tag) for tag in alert.tags),
    ]
    return tuple(dict.fromkeys(feeds))


def feed_of(path: str, alerts: Sequence[Alert]) -> Feed | None:
    """The feed of that path with the names of today, which its latest alert knows; `None` if no alert stands in it."""
    if path == ALL.path:
        return ALL
    found = (feed for alert in latest(alerts) for feed in feeds_for(alert) if feed.path == path)
    return next(found, None)


def latest(alerts: Sequence[Alert]) -> list[Alert]:
    """The alerts that a feed holds, the last one recorded first: a feed is a log, whatever the events' own times."""
    return sorted(alerts, key=lambda alert: (alert.id, alert.at, alert.uid), reverse=True)[:ENTRIES]


# --- where they are ------------------------------------------------------------------------------------------------


def feed_file(feed: Feed, format: FeedFormat) -> str:
    """Where a feed lies under the public folder: `feeds/service/X.atom`."""
    return f"feeds/{feed.path}.{format.value}"


def feed_url(feed: Feed, format: FeedFormat, settings: FeedSettings) -> str:
    return f"{settings.site_url.rstrip('/')}/{quote(feed_file(feed, format))}"


# Names that a file cannot have on some system, with any ending.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9 ._+&,'()@-]|^[ .-]|[ .]$")


def file_name(key: str) -> str:
    """A name that is safe as one part of a path on any system and in any static host, and stable.

    Plain keys stay as they are ("Terms of Service"); any other gets what is plain of it and eight digits of its
    SHA-256, so that two keys never share a name and none leads out of the folder.
    """
    if key and len(key) <= 80 and not _UNSAFE.search(key) and not _RESERVED.fullmatch(key):
        return key
    plain = re.sub(r"[^A-Za-z0-9]+", "-", key[:400]).strip("-")[:40].strip("-")
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain or 'name'}~{digest}"
