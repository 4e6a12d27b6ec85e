"""Render the mails to subscribers that are no alerts: is this address yours, your choices, your data.

They look like the mails that tell, and every word in them is ours or was checked: whoever types a stranger's address
into a form must not get to write that stranger a letter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from tosmon.model import Choices, Frequency, Letter, LetterKind, Severity, Subscriber, TermsKey
from tosmon.publish.headers import NO_WAYS_OUT, MailSettings, WaysOut, new_message
from tosmon.publish.links import choices_path, confirm_path, mute_path, on, unsubscribe_path
from tosmon.publish.mail import common_values, fill
from tosmon.publish.signed import Purpose, Signer
from tosmon.publish.text import line
from tosmon.publish.words import moment, topic_name

CONFIRM_WITHIN = timedelta(days=7)
"""How long the link that confirms an address is good for."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class _Words:
    """What one kind of letter says. `button` is a label and where it leads."""

    subject: str
    paragraphs: tuple[str, ...]
    button: tuple[str, str] | None = None
    points: tuple[str, ...] = ()
    end: str = ""


def letter_mail(
    letter: Letter,
    settings: MailSettings,
    signer: Signer,
    *,
    now: datetime,
    names: Mapping[str, str] | None = None,
    copy: Mapping[str, Any] | None = None,
) -> EmailMessage:
    """The mail for this letter, sent at `now`; raises `DeliveryError` (see `new_message`).

    `names` are the names of services by key, `copy` what is kept about the subscriber (for a letter that brings it).
    """
    archive, host = line(settings.feeds.title, 100), settings.feeds.host
    words = _words(letter, settings, signer, names or {})
    ways_out = _ways_out_of_letter(letter, settings, signer)
    message = new_message(
        settings, letter.subscriber.address, words.subject, f"<letter.{letter.uid}@{host}>", now, ways_out.unsubscribe
    )
    values = {"words": words, "preview": words.paragraphs[0], "title": f"{archive}: {words.subject}"}
    fill(message, "letter", values | common_values(settings, ways_out))
    if letter.kind is LetterKind.COPY:
        body = json.dumps(copy or {}, ensure_ascii=False, indent=2).encode()
        message.add_attachment(body, maintype="application", subtype="json", filename="your-data.json")
    return message


def ways_out(
    subscriber: Subscriber, settings: MailSettings, signer: Signer, documents: Mapping[TermsKey, int] | None = None
) -> WaysOut:
    """The links of a subscriber's own that stand in each mail to them; `documents` are those it tells of, with their ids."""
    site, handle = settings.feeds.site_url, subscriber.handle
    mutes = {
        key: on(site, mute_path(signer.token(Purpose.MUTE, handle, terms_id)))
        for key, terms_id in (documents or {}).items()
    }
    return WaysOut(
        on(site, unsubscribe_path(signer.token(Purpose.LEAVE, handle))),
        next(iter(mutes.values())) if len(mutes) == 1 else None,
        on(site, choices_path(signer.token(Purpose.CHOICES, handle))),
        mutes,
    )


def _ways_out_of_letter(letter: Letter, settings: MailSettings, signer: Signer) -> WaysOut:
    # Who has not said yes so far has nothing to leave.
    return NO_WAYS_OUT if letter.kind is LetterKind.CONFIRM else ways_out(letter.subscriber, settings, signer)


def _words(letter: Letter, settings: MailSettings, signer: Signer, names: Mapping[str, str]) -> _Words:
    archive, site = line(settings.feeds.title, 100), settings.feeds.site_url
    if letter.kind is LetterKind.CONFIRM:
        until = letter.created_at + CONFIRM_WITHIN
        token = signer.token(Purpose.CONFIRM, letter.subscriber.handle, letter.id, until)
        return _Words(
            f"Confirm that {archive} may write to you",
            (
                f"Someone asked {archive} to write to this address when platforms change their terms. "
                "If that was you, say yes, and this is what you get:",
            ),
            ("Yes, write to me", on(site, confirm_path(token))),
            tuple(described(letter.choices, names)),
            f"The link is good until {moment(until)}. If it was not you, do nothing: you hear no more of it.",
        )
    choices_url = on(site, choices_path(signer.token(Purpose.CHOICES, letter.subscriber.handle)))
    if letter.kind is LetterKind.CHOICES:
        return _Words(
            f"Your subscription to {archive}",
            (
                f"Someone, you perhaps, asked {archive} to write to this address. It does already; nothing was changed. "
                "This is what you get:",
            ),
            ("Change what you get", choices_url),
            tuple(described(letter.choices, names)),
            "The link is yours alone: whoever has it can change or end your subscription.",
        )
    return _Words(
        f"What {archive} keeps about you",
        (
            "You asked for it: everything that is kept about you is in the attached file (JSON), from your address and "
            "choices to the alerts that were sent.",
        ),
        ("Change or erase it", choices_url),
    )


def described(choices: Choices, names: Mapping[str, str]) -> list[str]:
    """What choices come to, in words: what, how severe, when. `names` are the names of services by key."""
    services = [names.get(key, key) for key in choices.services]
    what = f"Changes at {_listed(services)}" if services else "Changes at every platform in the archive"
    if choices.topics:
        what += f" about {_listed([topic_name(topic) for topic in choices.topics])}"
    if choices.tags:
        what += f", tagged {_listed(list(choices.tags))}"
    least = {
        Severity.LOW: "Of any severity, minor ones too",
        Severity.MEDIUM: "Of medium and high severity",
        Severity.HIGH: "Of high severity only",
    }
    return [what, least[choices.severity], when(choices)]


def when(choices: Choices) -> str:
    """At once, or `In one mail every Monday at 08:00 (Europe/Berlin)`."""
    if choices.frequency is Frequency.IMMEDIATE:
        return "At once, a mail for each change"
    day = "day" if choices.frequency is Frequency.DAILY else WEEKDAYS[choices.weekday % 7]
    return f"In one mail every {day} at {choices.hour:02}:00 ({line(choices.zone, 60)})"


def _listed(names: list[str]) -> str:
    shown = [line(name, 60) for name in names[:_MOST_NAMED]]
    if len(names) > _MOST_NAMED:
        return f"{', '.join(shown)} and {len(names) - _MOST_NAMED} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def masked(address: str) -> str:
    """An address so that its owner knows it and nobody else does: `a…@e….org`."""
    user, _, domain = address.rpartition("@")
    name, dot, end = domain.rpartition(".")
    return f"{user[:1]}…@{(name or end)[:1]}…{dot + end if name else ''}"
