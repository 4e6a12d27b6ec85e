"""Render one notification as a mail that people like to get: from when, which way, the words, and nothing else.

Text and HTML say the same. The Message-ID is the notification's own and each mail of a document answers the same
invented root, so that readers thread them and servers drop a second copy. Sends nothing: see `tosmon.deliver`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email.message import EmailMessage
from functools import cache

import css_inline

from tosmon.model import Alert, Notification
from tosmon.publish.entries import summary
from tosmon.publish.headers import NO_WAYS_OUT, MailSettings, WaysOut, new_message
from tosmon.publish.links import on, version_path
from tosmon.publish.rendering import template
from tosmon.publish.text import line, web_address
from tosmon.publish.told import Room, Told, tell
from tosmon.publish.words import SEVERITY

# The first room is what a mail shows; each next one is tried when the mail is larger than allowed.
_ROOMS = (
    Room(flags=8, passages=12, characters=9000, around=160, longest=900),
    Room(flags=6, passages=5, characters=4000, around=120, longest=500),
    Room(flags=4, passages=2, characters=1200, around=80, longest=300),
    Room(flags=2, passages=0, characters=0, around=40, longest=120),
)


def mail(
    notification: Notification, settings: MailSettings, *, now: datetime, ways_out: WaysOut = NO_WAYS_OUT
) -> EmailMessage:
    """The mail for this notification of one alert, sent at `now`; raises `DeliveryError` (see `new_message`)."""
    for room in _ROOMS:
        told = tell(notification.alert, settings.feeds, room)
        message = _message(notification, told, settings, now, ways_out)
        if len(message.as_bytes()) <= settings.largest:
            break
    return message


def message_id(authority: str, uid: str, recipient: str) -> str:
    """The Message-ID of the mail that tells this recipient of the alert (or change) with that id: always the same."""
    digest = hashlib.sha256(f"{uid}\n{recipient}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"<{digest}@{authority.rpartition('@')[2]}>"


def thread_id(alert: Alert, host: str) -> str:
    """The root that all mails about one document answer; no mail ever has this id."""
    digest = hashlib.sha256(f"{alert.service}\n{alert.type}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"<document.{digest}@{host}>"


def subject(alert: Alert, told: Told) -> str:
    """`HIGH · X: may train AI models on your content (Terms of Service)`: what decides about reading comes first."""
    what, opening = told.headline, ""
    if told.kind_word and told.title == told.headline and ": " in what:  # "Now in force (…): X Terms of Service: …"
        opening, what = what.split(": ", 1)
        opening = f"{opening[:1].lower()}{opening[1:]}: "
    for known in (f"{told.service_name} {told.type}", told.service_name):
        if what.casefold().startswith(known.casefold()) and re.match(r"\s*[:–—-]\s", what[len(known) :]):
            what = re.sub(r"^\s*[:–—-]\s+", "", what[len(known) :])
            break
    kind = f"{told.kind_word.lower()}: " if told.title != told.headline else ""
    return line(f"{alert.severity.value.upper()} · {told.service_name}: {kind}{opening}{what}", 180)


# --- the message --------------------------------------------------------------------------------------------------


def _message(
    notification: Notification, told: Told, settings: MailSettings, now: datetime, ways_out: WaysOut
) -> EmailMessage:
    alert, feeds = notification.alert, settings.feeds
    message = new_message(
        settings, notification.recipient, subject(alert, told), notification.message_id, now, ways_out.unsubscribe
    )
    message["In-Reply-To"] = message["References"] = thread_id(alert, feeds.host)
    message["Archived-At"] = f"<{told.change_url}>"  # RFC 5064
    values = {
        "told": told,
        "preview": preview(told),
        "version_url": on(feeds.site_url, version_path(alert.version_id)) if alert.version_id else None,
        "severity": SEVERITY[alert.severity],
    }
    fill(message, "mail", values | common_values(settings, ways_out))
    return message


def common_values(settings: MailSettings, ways_out: WaysOut) -> dict[str, object]:
    """What the foot of every mail says: who sends it, and how to hear less."""
    return {
        "archive": line(settings.feeds.title, 100),
        "archive_url": f"{settings.feeds.site_url.rstrip('/')}/",
        "unsubscribe": web_address(ways_out.unsubscribe or ""),
        "mute": web_address(ways_out.mute or ""),
        "choose": web_address(ways_out.settings or ""),
    }


def fill(message: EmailMessage, name: str, values: dict[str, object]) -> None:
    """Put both bodies in: templates `name`.txt and `name`.html, the latter with its style moved into the tags."""
    message.set_content(template(f"{name}.txt").render(values))
    message.add_alternative(_inliner().inline(template(f"{name}.html").render(values)), subtype="html")


def preview(told: Told) -> str:
    """What a mailbox shows beside the subject."""
    return line(f"{told.kind_word}. {summary(told)}" if told.kind_word else summary(told), 160)


@cache
def _inliner() -> css_inline.CSSInliner:
    # At-rules stay for dark mode and phones; nothing is ever loaded from anywhere.
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)
