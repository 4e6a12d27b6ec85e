"""Headers of mails that no text of strangers can break out of, and that every mail of ours has in common."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy, default
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
    _check(message, to)
    return message


_NO_FOLD = re.compile(rb"\r\n(?![ \t])|(?<!\r)\n|\r(?!\n)")


def _check(message: EmailMessage, to: Address) -> None:
    """Look at the headers as they will be sent: a text that breaks out of one must not reach a server, whatever it is."""
    for name, value in message.items():
        written = POLICY.fold_binary(name, value).removesuffix(b"\r\n")
        if _NO_FOLD.search(written):
            raise DeliveryError(f"the header {name} would hold a line break; no mail is written", permanent=True)
    read = message_from_bytes(POLICY.fold_binary("To", message["To"]), policy=default)["To"]
    if [one.addr_spec for one in read.addresses] != [to.addr_spec]:
        raise DeliveryError(f"{line(to.addr_spec, 100)!r} is no mail address that can be written to", permanent=True)


class _Policy(EmailPolicy):
    """SMTP's line ends, text in seven bits, the recipient and addresses in angle brackets left whole.

    The standard library turns a word that is longer than a line into an encoded word, which makes a List-Unsubscribe
    unreadable to the servers that look for it.
    """

    _WHOLE = frozenset({"archived-at", "in-reply-to", "list-id", "list-unsubscribe", "message-id", "references"})

    def fold(self, name: str, value: str) -> str:
        if name.lower() in self._WHOLE:
            return f"{name}: {value}{self.linesep}"
        addresses: tuple[Address, ...] = getattr(value, "addresses", ()) if name.lower() == "to" else ()
        if len(addresses) == 1:
            return f"{name}: {_spec(addresses[0])}{self.linesep}"
        return str(super().fold(name, value))

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii", "surrogateescape")


def _spec(address: Address) -> str:
    """The address in ASCII. The standard library would cut a long one in two, and one like `0.é@` it writes as another."""
    if address.username.isascii():
        return address.addr_spec
    return f"=?utf-8?b?{b64encode(address.username.encode()).decode()}?=@{address.domain}"


POLICY = _Policy(linesep="\r\n", cte_type="7bit")


def header_words(text: str) -> str:
    """Words for a header. The standard library would decode an encoded word in them, line breaks and all."""
    return text.replace("=?", "= ?")


_ID = re.compile(r"<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+>")


def _id_header(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(f"no Message-ID: {value!r}")
    return value


# One address and nothing around it: no list, no name, no comment, no way to a second header. Before the "@" a dot-atom
# (RFC 5321 4.1.2; letters beyond ASCII by RFC 6531), after it names of hosts (RFC 1123 2.1).
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u00a1-\U0010ffff-]+"
_USER = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}")  # no 192.0.2.1: a last label of digits is none of a name


def mail_address(text: str, name: str = "") -> Address | None:
    """The one address that this is, its domain in ASCII and without a final dot; `None` for anything else."""
    text = text.strip()
    # The standard library decodes an encoded word in an address when it writes the header, line breaks and all.
    if text != visible(text) or not text.isprintable() or "=?" in text or len(text) > 254:
        return None
    user, _, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii").removesuffix(".")
    except (ValueError, UnicodeError):  # an empty label, two dots in a row
        return None
    if len(user.encode()) > 64 or len(user) + len(domain) > 253:
        return None
    return Address(name, user, domain) if _USER.fullmatch(user) and _DOMAIN.fullmatch(domain) else None


def _sender(sender: str) -> Address:
    name, spec = parseaddr(visible(sender))
    address = mail_address(spec, header_words(line(name, 80)))
    if address is None:
        raise DeliveryError(f"email.from: {sender!r} is no mail address", permanent=False)
    return address
