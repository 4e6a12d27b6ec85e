"""Tell people: alerts as feeds, as mail, and as files that any host can serve.

Everything is rendered from `model.Alert` alone, which is complete and never changes: no archive, no network and no
clock is needed here, and the same alerts give the same bytes for ever.
"""

from __future__ import annotations

from tosmon.publish.digest import digest
from tosmon.publish.feeds import (
    ALL,
    ENTRIES,
    PINS,
    PROFILE,
    PROFILE_TOPICS,
    Feed,
    FeedFormat,
    FeedKind,
    FeedSettings,
    alert_uid,
    direction_feed,
    document_feed,
    feed_file,
    feed_of,
    feed_uid,
    feed_url,
    feeds_for,
    service_feed,
    severity_feed,
    tag_feed,
    topic_feed,
)
from tosmon.publish.files import OPML_FILE, Shelf, Stored, write, write_opml
from tosmon.publish.formats import atom, feed_title, json_feed, opml, rss
from tosmon.publish.headers import NO_WAYS_OUT, MailSettings, WaysOut, new_message
from tosmon.publish.incidents import INCIDENTS, incidents_feed, write_incidents
from tosmon.publish.mail import mail, message_id
from tosmon.publish.marks import marked_html, marked_text

__all__ = [
    "ALL",
    "ENTRIES",
    "INCIDENTS",
    "NO_WAYS_OUT",
    "OPML_FILE",
    "PINS",
    "PROFILE",
    "PROFILE_TOPICS",
    "Feed",
    "FeedFormat",
    "FeedKind",
    "FeedSettings",
    "MailSettings",
    "Shelf",
    "Stored",
    "WaysOut",
    "alert_uid",
    "atom",
    "digest",
    "direction_feed",
    "document_feed",
    "feed_file",
    "feed_of",
    "feed_title",
    "feed_uid",
    "feed_url",
    "feeds_for",
    "incidents_feed",
    "json_feed",
    "mail",
    "marked_html",
    "marked_text",
    "message_id",
    "new_message",
    "opml",
    "rss",
    "service_feed",
    "severity_feed",
    "tag_feed",
    "topic_feed",
    "write",
    "write_incidents",
    "write_opml",
]
