"""One feed entry per alert, the same in every format, rendered once.

An alert never changes, so what is made of it is kept in memory: a new alert then costs one rendering, however many
feeds it stands in, and a feed is its head and a hundred ready pieces.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tosmon.model import Alert
from tosmon.publish.feeds import FeedFormat, FeedSettings
from tosmon.publish.rendering import template
from tosmon.publish.text import line
from tosmon.publish.told import Room, Told, tell
from tosmon.publish.words import DIRECTION, topic_name

# 100 entries of 20 kB are 2 MB, which every reader still takes; a median entry has 3 kB.
_ROOMS = (
    Room(),
    Room(flags=6, passages=6, characters=4000, around=120, longest=500),
    Room(flags=3, passages=1, characters=800, around=60, longest=200),
)
_LARGEST = 20_000


@dataclass(frozen=True, slots=True)
class Category:
    """A category of an entry; the scheme says which list the term is from."""

    term: str
    scheme: str
    label: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in a feed. `told` is what it was made of; `related` the address of the terms themselves."""

    uid: str
    at: datetime
    title: str
    url: str
    summary: str
    html: str
    text: str
    categories: tuple[Category, ...]
    related: str | None
    told: Told
    alert: Alert


def entry(alert: Alert, settings: FeedSettings) -> Entry:
    """The entry of an alert. Its bytes depend on the alert and the settings alone."""
    for room in _ROOMS:
        told = tell(alert, settings, room)
        # One line, as a feed holds one line for each entry; no text of the alert has a line break.
        html = template("entry.html").render(told=told).replace("\n", "")
        if len(html) <= _LARGEST:
            break
    return Entry(
        uid=line(alert.uid),
        at=alert.at.astimezone(UTC).replace(microsecond=0),
        title=told.title,
        url=told.change_url,
        summary=summary(told),
        html=html,
        text=template("told.txt").render(told=told).strip(),
        categories=_categories(alert, settings),
        related=told.source_url,
        told=told,
        alert=alert,
    )


def summary(told: Told) -> str:
    """One line for lists: from when, and which way each flag goes."""
    flags = [f"{flag.direction_words}: {flag.topic}" for flag in told.flags[:4]]
    return line(" · ".join([part for part in (told.applies, *flags, told.summary) if part] or [told.severity_words]))


def _categories(alert: Alert, settings: FeedSettings) -> tuple[Category, ...]:
    """Service, type of terms, severity, topics with their direction, tags: each under a scheme of this archive."""
    topics = dict.fromkeys(flag.topic for flag in alert.flags)
    directions = dict.fromkeys(flag.direction for flag in alert.flags)
    named = [
        ("service", alert.service, alert.service_name),
        ("terms", alert.type, alert.type),
        ("severity", alert.severity.value, alert.severity.value),
        *(("topic", topic, topic_name(topic)) for topic in topics),
        *(("direction", direction.value, DIRECTION[direction][1]) for direction in directions),
        *(("tag", tag, tag) for tag in alert.tags),
    ]
    base = f"tag:{settings.authority},{settings.started.isoformat()}:scheme"
    return tuple(
        Category(line(term, 120), f"{base}/{scheme}", line(label, 120)) for scheme, term, label in named if line(term)
    )


# --- rendered once ------------------------------------------------------------------------------------------------

Pieces = Mapping[FeedFormat, bytes]
"""An entry as it stands in a feed of each format."""


class Kept:
    """Written entries, the latest used first, up to a number of bytes in all; safe to use from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Hashable, Pieces] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, write: Callable[[], Pieces]) -> Pieces:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        pieces = write()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = pieces
                self._size += _size(pieces)
            while self._size > self._most:
                _, dropped = self._kept.popitem(last=False)
                self._size -= _size(dropped)
        return pieces


def _size(pieces: Pieces) -> int:
    return sum(map(len, pieces.values()))
