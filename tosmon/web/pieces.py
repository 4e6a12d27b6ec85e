"""The smallest things that every page shows many times over (times, badges), as markup.

Functions and not template macros: a list of a thousand documents shows three thousand times, and a macro call costs
ten times as much.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from markupsafe import Markup, escape

from tosmon.model import Direction, Severity, TermsKey
from tosmon.publish import Feed, FeedFormat, feed_file, links
from tosmon.publish.text import visible
from tosmon.publish.words import DIRECTION, SEVERITY, day, moment, topic_name
from tosmon.web.times import ago


def when(at: datetime, now: datetime) -> Markup:
    """ "3 hours ago", with the exact time on hover and for machines."""
    return Markup(f'<time datetime="{at.isoformat()}" title="{moment(at)}">{ago(at, now)}</time>')


def exact(at: datetime) -> Markup:
    """The time in UTC; the script adds the reader's own on hover."""
    return Markup(f'<time class="local" datetime="{at.isoformat()}">{moment(at)}</time>')


def on_day(at: datetime) -> Markup:
    return Markup(f'<time datetime="{at.isoformat()}" title="{moment(at)}">{day(at)}</time>')


def severity(level: Severity) -> Markup:
    return Markup(f'<span class="badge severity-{level.value}">{SEVERITY[level.value]}</span>')


def direction(way: Direction, topic: str | None = None) -> Markup:
    """ "▼ Worse for you: AI training on your work"; the topic's name may be a stranger's."""
    sign, words = DIRECTION[way]
    name = f": <bdi>{escape(visible(topic_name(topic)))}</bdi>" if topic else ""
    return Markup(f'<span class="direction {way.value}"><span aria-hidden="true">{sign}</span> {words}{name}</span>')


def feed_path(feed: Feed, format: FeedFormat = FeedFormat.ATOM) -> str:
    return "/" + quote(feed_file(feed, format))


def feed_links(feed: Feed) -> Markup:
    """The feed in each of its formats."""
    return _feed_links(feed, feed.title)


_FORMATS = ((FeedFormat.ATOM, "Atom"), (FeedFormat.RSS, "RSS"), (FeedFormat.JSON, "JSON"))


# A feed equals another of the same path, whatever its title: hence both.
@lru_cache(maxsize=10_000)
def _feed_links(feed: Feed, title: str) -> Markup:
    link = Markup('<a href="{}" type="{}" aria-label="{} as {}">{}</a>')
    return Markup(" ").join(
        link.format(feed_path(feed, format), format.media_type, visible(title), name, name) for format, name in _FORMATS
    )


@lru_cache(maxsize=10_000)
def document_path(key: TermsKey) -> str:
    return links.document_path(key)
