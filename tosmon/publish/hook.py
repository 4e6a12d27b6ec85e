"""Render an alert for programs: the JSON that webhooks get, and the few words that chats get.

The JSON is a promise: fields are added, never changed or removed, and `docs/hook-schema.json` describes it (a test holds
the two together). Texts of strangers are made visible here as everywhere; who shows them as HTML must escape them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from tosmon.model import AlertKind, ClauseChangeKind, Direction, EditKind, Notification, Quote, Severity, TermsKey
from tosmon.publish import links
from tosmon.publish.feeds import FeedSettings
from tosmon.publish.marks import runs_text
from tosmon.publish.text import ELLIPSIS, line, visible, web_address
from tosmon.publish.told import Room, Told, tell

_LONGEST = 4000  # characters of one quote or run of words
_MOST = 20


@dataclass(frozen=True, slots=True)
class HookService:
    """A platform: `key` never changes, `name` may."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class HookQuote:
    """Words of the terms, under these headings."""

    text: str
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HookFlag:
    """What the change does on one topic, which way for the user, and the words it rests on before and after."""

    topic: str
    direction: Direction
    what: str
    before: tuple[HookQuote, ...]
    after: tuple[HookQuote, ...]


@dataclass(frozen=True, slots=True)
class HookEdit:
    """A run of words: the `same` and `added` ones joined are the new text, the `same` and `removed` ones the old."""

    kind: EditKind
    text: str


@dataclass(frozen=True, slots=True)
class HookPassage:
    """A changed clause, word by word; long unchanged stretches are cut to an ellipsis."""

    kind: ClauseChangeKind
    headings: tuple[str, ...]
    edits: tuple[HookEdit, ...]


@dataclass(frozen=True, slots=True)
class HookLinks:
    """Where to read on: the change and its document in the archive, the terms at the platform."""

    change: str
    document: str
    source: str | None


@dataclass(frozen=True, slots=True)
class HookAlert:
    """One alert. `id` is the same over all channels and for ever; a later alert on the same change `corrects` the first.

    `at` is when the change was seen, `effective_date` the day from which the terms say it applies. `silent`: the text
    changed and the date of its last update did not. `passages_left_out`: how many changed clauses are not in here.
    """

    format: Literal["tosmon/alert/1"]
    id: str
    kind: AlertKind
    at: datetime
    service: HookService
    terms: str
    headline: str
    severity: Severity
    summary: str
    effective_date: date | None
    silent: bool
    corrects: str | None
    tags: tuple[str, ...]
    flags: tuple[HookFlag, ...]
    passages: tuple[HookPassage, ...]
    passages_left_out: int
    evidence_sha256: tuple[str, ...]
    links: HookLinks


_adapter = TypeAdapter(HookAlert)


def hook_body(notification: Notification, settings: FeedSettings) -> bytes:
    """What a webhook gets, as JSON; the same bytes at every attempt, as they are signed."""
    alert = notification.alert
    key = TermsKey(alert.service, alert.type)
    body = HookAlert(
        format="tosmon/alert/1",
        id=line(alert.uid),
        kind=alert.kind,
        at=alert.at,
        service=HookService(line(alert.service, 300), line(alert.service_name, 300)),
        terms=line(alert.type),
        headline=line(alert.headline),
        severity=alert.severity,
        summary=line(alert.summary, 1200),
        effective_date=alert.effective_date,
        silent=alert.silent,
        corrects=line(alert.corrects) if alert.corrects else None,
        tags=tuple(line(tag, 120) for tag in alert.tags[:_MOST]),
        flags=tuple(
            HookFlag(
                line(flag.topic, 120), flag.direction, line(flag.what, 600), _quotes(flag.before), _quotes(flag.after)
            )
            for flag in alert.flags[:_MOST]
        ),
        passages=tuple(
            HookPassage(
                passage.kind,
                _headings(passage.headings),
                tuple(HookEdit(edit.kind, _cut(edit.text)) for edit in passage.edits[:500]),
            )
            for passage in alert.passages[:_MOST]
        ),
        passages_left_out=alert.passages_left_out + max(0, len(alert.passages) - _MOST),
        evidence_sha256=tuple(line(digest, 140) for digest in alert.evidence[:_MOST]),
        links=HookLinks(
            links.on(settings.site_url, links.change_path(alert.change_id)),
            links.on(settings.site_url, links.document_path(key)),
            web_address(alert.url),
        ),
    )
    return _adapter.dump_json(body)


def _quotes(quotes: tuple[Quote, ...]) -> tuple[HookQuote, ...]:
    return tuple(HookQuote(_cut(quote.text), _headings(quote.headings)) for quote in quotes[:_MOST])


def _headings(headings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(line(heading) for heading in headings[-8:])


def _cut(text: str) -> str:
    shown = visible(text[: _LONGEST * 2])
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + ELLIPSIS


def hook_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what a webhook gets."""
    schema = _adapter.json_schema(mode="serialization")
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "An alert of tosmon", **schema}


# --- headers ------------------------------------------------------------------------------------------------------


def hook_headers(notification: Notification, body: bytes, secret: str, at: datetime) -> dict[str, str]:
    """The headers of one attempt: when it was made, the signature over that and the body, and a key that stays."""
    timestamp = str(int(at.timestamp()))
    return {
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": notification.message_id.strip("<>"),
        "Tosmon-Timestamp": timestamp,
        "Tosmon-Signature": f"v1={signature(secret, timestamp, body)}",
    }


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `timestamp.body`, in hex."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


# --- chats --------------------------------------------------------------------------------------------------------


def chat_message(notification: Notification, settings: FeedSettings) -> tuple[str, str]:
    """Title and text for a chat or a phone: what matters of one alert, or the headlines of many. Plain text."""
    told = [tell(alert, settings, _CHAT) for alert in notification.alerts]
    if len(told) == 1:
        return tame(line(f"{told[0].severity.value.upper()} · {told[0].title}", 200)), _chat_text(told[0])
    lines = [tame(f"{one.severity.value.upper()} · {one.title}") + f"\n{one.change_url}" for one in told[:_MOST]]
    left = len(told) - _MOST
    more = [f"and {left} more: {links.on(settings.site_url, '/')}"] if left > 0 else []
    return f"{len(told)} changes of terms", "\n\n".join([*lines, *more])


_CHAT = Room(flags=3, passages=1, characters=300, around=60, longest=260)


def _chat_text(told: Told) -> str:
    said = [told.applies or "No date given for when it applies"]
    for flag in told.flags:
        said.append(f"{flag.sign} {flag.direction_words}: {flag.what}")
        said += [f"{side.label}: “{runs_text(side.runs, marks=not side.whole)}”" for side in flag.sides[:2]]
    if not told.flags:
        sides = [side for passage in told.passages for side in passage.sides]
        said += [f"{side.label}: “{runs_text(side.runs, marks=not side.whole)}”" for side in sides]
    return "\n".join([*map(tame, said), told.change_url])


_JOINER = "\u200d"  # no reader sees it, and no chat reads on across it
# What chats take for a mention (@everyone, <!channel>), for markup of a link, and for a bare address.
_CALLING = re.compile(
    r"[@<]|\](?=[(\[])|(?i:https?|ftp|mailto|javascript|tel)(?=:)|(?i:www)(?=\.)|(?<=[^\W_])\.(?=[^\W\d_]{2})"
)


def tame(text: str) -> str:
    """Words of strangers as a chat shows them and does nothing else: nobody is called and nothing is a link."""
    return _CALLING.sub(lambda found: found[0] + _JOINER, text)
