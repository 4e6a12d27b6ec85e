"""Headers of mails that no text of strangers can break out of, and that every mail of ours has in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr

from tosmon.errors import DeliveryError
from tosmon.model import TermsKey
from tosmon.publish.feeds import FeedSettings
from tosmon.publish.text import line, visible, web_address


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Whom mails are from (`Name <address>`), what the archive calls itself, and how large a mail may be in bytes."""

    sender: str
    feeds: FeedSettings
    largest: int = 100_000


@dataclass(frozen=True, slots=True)
class WaysOut:
    """Links that are the recipient's own: leave altogether (also by one click), mute a document, choose anew.

    A digest tells of several documents: `mutes` has a link for each.
    """

    unsubscribe: str | None = None
    mute: str | None = None
    settings: str | None = None
    mutes: Mapping[TermsKey, str] = field(default_factory=dict)


NO_WAYS_OUT = WaysOut()


def new_message(
    settings: MailSettings, recipient: str, subject: str, message_id: str, now: datetime, unsubscribe: str | None = None
) -> EmailMessage:
    """A mail with the headers that all of ours have, without a body.

    With `unsubscribe` it carries one-click unsubscription (RFC 8058). Raises `DeliveryError` (permanent) for a recipient
    that is no mail address.
    """
    to = mail_address(recipient)
    if to is None:
        raise DeliveryError(f"{line(recipient, 100)!r} is no mail address", permanent=True)
    title = re.sub(r"[^A-Za-z0-9 .-]", "", settings.feeds.title)[:60].strip() or "tosmon"
    message = EmailMessage(policy=POLICY)
    message["From"] = _sender(settings.sender)
    message["To"] = to
    message["Subject"] = header_words(subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = _id_header(message_id)
    message["List-Id"] = f'"{title}" <alerts.{settings.feeds.host}>'
    message["Auto-Submitted"] = "auto-generated"
    leave = web_address(unsubscribe or "")
    if leave:
        message["List-Unsubscribe"] = f"<{leave}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return message


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


POLICY = _Policy(linesep="\r\n", cte_type="7bit")


def header_words(text: str) -> str:
    """Words for a header. The standard library would decode an encoded word in them, line breaks and all."""
    return text.replace("=?", "= ?")


_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")


def _id_header(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(f"no Message-ID: {value!r}")
    return value


# One address and nothing around it: no list, no name, no comment, no way to a second header.
_ONE_ADDRESS = re.compile(r"[^\s<>()\[\]\\,;:\"@]+@[^\s<>()\[\]\\,;:\"@]+")


def mail_address(text: str, name: str = "") -> Address | None:
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
    address = mail_address(spec, header_words(line(name, 80)))
    if address is None:
        raise DeliveryError(f"email.from: {sender!r} is no mail address", permanent=False)
    return address
