"""Tell people: alerts as feeds, as mail, and as files that any host can serve.

Everything is rendered from `model.Alert` alone, which is complete and never changes: no archive, no network and no
clock is needed here, and the same alerts give the same bytes for ever.
"""

from __future__ import annotations

from tosmon.publish.feeds import (
    ALL,
    ENTRIES,
    Feed,
    FeedFormat,
    FeedKind,
    FeedSettings,
    alert_uid,
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
from tosmon.publish.mail import MailSettings, mail, message_id
from tosmon.publish.marks import marked_html, marked_text

__all__ = [
    "ALL",
    "ENTRIES",
    "OPML_FILE",
    "Feed",
    "FeedFormat",
    "FeedKind",
    "FeedSettings",
    "MailSettings",
    "Shelf",
    "Stored",
    "alert_uid",
    "atom",
    "document_feed",
    "feed_file",
    "feed_of",
    "feed_title",
    "feed_uid",
    "feed_url",
    "feeds_for",
    "json_feed",
    "mail",
    "marked_html",
    "marked_text",
    "message_id",
    "opml",
    "rss",
    "service_feed",
    "severity_feed",
    "tag_feed",
    "topic_feed",
    "write",
    "write_opml",
]
