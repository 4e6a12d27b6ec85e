"""Render one notification as a mail that people like to get: from when, which way, the words, and nothing else.

Text and HTML say the same. The Message-ID is the notification's own and each mail of a document answers the same
invented root, so that readers thread them and servers drop a second copy. Sends nothing: see `tosmon.deliver`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import cache

import css_inline

from tosmon.errors import DeliveryError
from tosmon.model import Alert, Notification
from tosmon.publish.entries import summary
from tosmon.publish.feeds import FeedSettings
from tosmon.publish.rendering import template
from tosmon.publish.text import line, visible, web_address
from tosmon.publish.told import Room, Told, tell
from tosmon.publish.words import SEVERITY


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Whom mails are from (`Name <address>`), what the archive calls itself, and how large a mail may be in bytes."""

    sender: str
    feeds: FeedSettings
    largest: int = 100_000


# The first room is what a mail shows; each next one is tried when the mail is larger than allowed.
_ROOMS = (
    Room(flags=8, passages=12, characters=9000, around=160, longest=900),
    Room(flags=6, passages=5, characters=4000, around=120, longest=500),
    Room(flags=4, passages=2, characters=1200, around=80, longest=300),
    Room(flags=2, passages=0, characters=0, around=40, longest=120),
)


def mail(
    notification: Notification, settings: MailSettings, *, now: datetime, unsubscribe_url: str | None = None
) -> EmailMessage:
    """The mail for this notification, sent at `now`.

    With an `unsubscribe_url` it carries one-click unsubscription (RFC 8058). Raises `DeliveryError` (permanent) for a
    recipient that is no mail address.
    """
    to = _address(notification.recipient)
    if to is None:
        raise DeliveryError(f"{line(notification.recipient, 100)!r} is no mail address", permanent=True)
    for room in _ROOMS:
        told = tell(notification.alert, settings.feeds, room)
        message = _message(notification, told, to, settings, now, web_address(unsubscribe_url or ""))
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
    what = told.headline
    for known in (f"{told.service_name} {told.type}", told.service_name):
        if what.casefold().startswith(known.casefold()) and re.match(r"\s*[:–—-]\s", what[len(known) :]):
            what = re.sub(r"^\s*[:–—-]\s+", "", what[len(known) :])
            break
    kind = f"{told.kind_word.lower()}: " if told.title != told.headline else ""
    return line(f"{alert.severity.value.upper()} · {told.service_name}: {kind}{what}", 180)


# --- the message --------------------------------------------------------------------------------------------------


def _message(
    notification: Notification, told: Told, to: Address, settings: MailSettings, now: datetime, unsubscribe: str | None
) -> EmailMessage:
    alert, feeds = notification.alert, settings.feeds
    message = EmailMessage(policy=_POLICY)
    message["From"] = _sender(settings.sender)
    message["To"] = to
    message["Subject"] = _words(subject(alert, told))
    message["Date"] = format_datetime(now)
    message["Message-ID"] = _id_header(notification.message_id)
    message["In-Reply-To"] = message["References"] = thread_id(alert, feeds.host)
    message["List-Id"] = (
        f'"{re.sub(r"[^A-Za-z0-9 .-]", "", feeds.title)[:60].strip() or "tosmon"}" <alerts.{feeds.host}>'
    )
    message["Archived-At"] = f"<{told.change_url}>"  # RFC 5064
    message["Auto-Submitted"] = "auto-generated"
    if unsubscribe:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    values = {
        "told": told,
        "preview": preview(told),
        "unsubscribe": unsubscribe,
        "archive": feeds.title,
        "archive_url": f"{feeds.site_url.rstrip('/')}/",
        "severity": SEVERITY[alert.severity],
    }
    message.set_content(template("mail.txt").render(values))
    message.add_alternative(_inliner().inline(template("mail.html").render(values)), subtype="html")
    return message


def preview(told: Told) -> str:
    """What a mailbox shows beside the subject."""
    return line(f"{told.kind_word}. {summary(told)}" if told.kind_word else summary(told), 160)


@cache
def _inliner() -> css_inline.CSSInliner:
    # At-rules stay for dark mode and phones; nothing is ever loaded from anywhere.
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


# --- headers ------------------------------------------------------------------------------------------------------


class _Policy(EmailPolicy):
    """SMTP's line ends, text in seven bits, and addresses in angle brackets left whole.

    The standard library turns a word that is longer than a line into an encoded word, which makes a List-Unsubscribe
    unreadable to the servers that look for it.
    """

    _WHOLE = frozenset({"archived-at", "in-reply-to", "list-id", "list-unsubscribe", "message-id", "references"})

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}{self.linesep}" if name.lower() in self._WHOLE else super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii", "surrogateescape")


_POLICY = _Policy(linesep="\r\n", cte_type="7bit")


def _words(text: str) -> str:
    """Words for a header. The standard library would decode an encoded word in them, line breaks and all."""
    return text.replace("=?", "= ?")


_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")


def _id_header(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(f"no Message-ID: {value!r}")
    return value


# One address and nothing around it: no list, no name, no comment, no way to a second header.
_ONE_ADDRESS = re.compile(r"[^\s<>()\[\]\\,;:\"@]+@[^\s<>()\[\]\\,;:\"@]+")


def _address(text: str, name: str = "") -> Address | None:
    text = text.strip()
    if text != visible(text) or len(text) > 254 or not _ONE_ADDRESS.fullmatch(text):
        return None
    user, _, domain = text.rpartition("@")
    try:
        return Address(name, user, domain.encode("idna").decode("ascii"))
    except (ValueError, UnicodeError):  # an empty label, two dots in a row
        return None


def _sender(sender: str) -> Address:
    name, spec = parseaddr(visible(sender))
    address = _address(spec, _words(line(name, 80)))
    if address is None:
        raise DeliveryError(f"email.from: {sender!r} is no mail address", permanent=False)
    return address
